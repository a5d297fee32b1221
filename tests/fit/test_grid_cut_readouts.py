import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.fit import grid_cut_readouts, grid_evaluation
from i2codec.fit.grid_cut_readouts import readouts_of_cuts
from i2codec.fit.grid_evaluation import GridEvaluation
from i2codec.fit.grid_model import GridObjective
from i2codec.fit.grid_start import starting_tensors
from i2codec.latents.model import ContextModel
from i2codec.latents.template import Template
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.latents_section import LatentPyramid, pack_latents
from i2codec.payload.readouts_section import Readout
from i2codec.signal.description import Axis, AxisName

_LEVELS, _EXTENTS = 4, (150, 190)
_ARCHITECTURE = GridArchitecture(_LEVELS, 2, 3, context_count=2, unrolled=True)
_NODES = [(-(-_EXTENTS[0] >> level), -(-_EXTENTS[1] >> level)) for level in range(_LEVELS)]


@pytest.fixture(autouse=True)
def _no_latents_are_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_cut_readouts, "_LEAST_LATENTS_BYTES", 0)
    monkeypatch.setattr(grid_evaluation, "_SIDE", 64)


@pytest.fixture
def latents() -> list[NDArray[np.int32]]:
    generator = np.random.default_rng(0)
    return [generator.integers(-3, 4, nodes).astype(np.int32) for nodes in _NODES]


@pytest.fixture
def tensors() -> dict[str, NDArray[np.float64]]:
    return starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)[1]


@pytest.fixture
def network(tensors: dict[str, NDArray[np.float64]]) -> StoredGridNetwork:
    synthesis = {name: tensors[name].astype(np.float32) for name in _ARCHITECTURE.synthesis_shapes}
    return StoredGridNetwork(_ARCHITECTURE, synthesis, 3)


def _evaluation(latents: list[NDArray[np.int32]], *, is_windowed: bool) -> GridEvaluation:
    target = torch.rand(3, *_EXTENTS, generator=torch.Generator().manual_seed(1))
    objective = GridObjective.of(target, torch.tensor([0.5, 0.3, 0.2]), level_count=_LEVELS)
    return GridEvaluation(objective, [torch.from_numpy(latent).float() for latent in latents], is_windowed=is_windowed)


def _pyramid(
    latents: list[NDArray[np.int32]], tensors: dict[str, NDArray[np.float64]], *, section_bytes: int = 0
) -> LatentPyramid:
    axes = tuple(Axis(name, extent) for name, extent in zip((AxisName.Y, AxisName.X), _EXTENTS, strict=True))
    names = {"C_1": "w1", "d_1": "b1", "C_2": "w2", "d_2": "b2", "C_3": "w3", "d_3": "b3"}
    model = ContextModel.from_float(Template.PLANE, **{names[name]: tensors[name] for name in names})
    tiles = LatentTiles.of(axes, _LEVELS)
    payloads = pack_latents(latents, tiles=tiles, model=model, section_bytes=section_bytes)
    return LatentPyramid(payloads, tiles=tiles, model=model)


def _error(
    network: StoredGridNetwork, readout: Readout, latents: list[NDArray[np.int32]], *, first_level: int
) -> float:
    """By the equations in NumPy: of a level's cells, with finer levels 0."""
    changed = StoredGridNetwork(_ARCHITECTURE, {**network.tensors, "W": readout.weights, "b": readout.biases}, 3)
    coarse = [latent * (level >= first_level) for level, latent in enumerate(latents)]
    output = changed.evaluate(coarse, [np.arange(extent) + 0.5 for extent in _EXTENTS])
    target = np.moveaxis(torch.rand(3, *_EXTENTS, generator=torch.Generator().manual_seed(1)).numpy(), 0, -1)
    side = 2**first_level
    cells = [
        np.add.reduceat(np.add.reduceat(values, range(0, _EXTENTS[0], side), 0), range(0, _EXTENTS[1], side), 1)
        for values in (output, target, np.ones_like(target))
    ]
    return float(np.mean(((cells[0] - cells[1]) / cells[2]) ** 2))


@pytest.mark.parametrize("is_windowed", [False, True])
def test_the_error_is_the_least(
    network: StoredGridNetwork,
    latents: list[NDArray[np.int32]],
    tensors: dict[str, NDArray[np.float64]],
    is_windowed: bool,
) -> None:
    found = readouts_of_cuts(_evaluation(latents, is_windowed=is_windowed), network, _pyramid(latents, tensors))
    assert list(found) == [1, 2, 3]
    generator = np.random.default_rng(2)
    for whole_levels, readout in found.items():
        first_level = _LEVELS - whole_levels
        least = _error(network, readout, latents, first_level=first_level)
        own = Readout(network.tensors["W"], network.tensors["b"])
        assert least < 0.99 * _error(network, own, latents, first_level=first_level)
        for _ in range(5):
            near = Readout(*(values * generator.uniform(0.95, 1.05, values.shape) for values in readout))
            assert least < _error(network, near, latents, first_level=first_level)


def test_states_that_tell_nothing_keep_their_weights(
    network: StoredGridNetwork, latents: list[NDArray[np.int32]], tensors: dict[str, NDArray[np.float64]]
) -> None:
    """With no latent but the finest a cut leaves one constant state, to which only b need be fitted."""
    flat = [latents[0], *(np.zeros_like(latent) for latent in latents[1:])]
    found = readouts_of_cuts(_evaluation(flat, is_windowed=False), network, _pyramid(latents, tensors))
    assert found
    for readout in found.values():
        assert np.isfinite(readout.weights).all()
        assert np.abs(readout.weights - network.tensors["W"]).max() < 1.0


def test_there_is_one_behind_every_section_but_the_last(
    network: StoredGridNetwork, latents: list[NDArray[np.int32]], tensors: dict[str, NDArray[np.float64]]
) -> None:
    pyramid = _pyramid(latents, tensors, section_bytes=1500)
    assert [place for place, _ in pyramid.payloads] == [1, 2, 3]
    assert list(readouts_of_cuts(_evaluation(latents, is_windowed=False), network, pyramid)) == [2, 3]


def test_small_latents_do_without(
    network: StoredGridNetwork,
    latents: list[NDArray[np.int32]],
    tensors: dict[str, NDArray[np.float64]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pyramid = _pyramid(latents, tensors)
    monkeypatch.setattr(grid_cut_readouts, "_LEAST_LATENTS_BYTES", sum(map(len, pyramid.payloads.values())) + 1)
    assert readouts_of_cuts(_evaluation(latents, is_windowed=False), network, pyramid) == {}
