from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_module import GridField, LatentReader
from i2codec.field.interpolation import level_extents
from i2codec.field.stencil import Stencil
from i2codec.fit import grid_step_count
from i2codec.fit.grid_step_count import measure_grid_step_count

_EXTENTS = {1: (150,), 2: (20, 23), 3: (5, 6, 7)}


def _random_field(
    axis_count: int, *, contraction: float, is_positive: bool = False, stencil: Stencil = Stencil.FULL, seed: int = 0
) -> GridField:
    """Outputs of a few units; where A is positive nothing cancels, and the error falls by ``contraction`` a step."""
    architecture = GridArchitecture(3, axis_count, 3, hidden_width=8, width=6, stencil=stencil)
    generator = np.random.default_rng(seed)
    tensors = {
        name: torch.from_numpy(generator.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).float()
        for name, shape in architecture.synthesis_shapes.items()
    }
    if "A" in tensors:
        taps = tensors["A"].abs() if is_positive else tensors["A"]
        tensors["A"] = taps * (contraction / taps.abs().sum(dim=(1, 2), keepdim=True))
    return GridField(architecture, tensors).requires_grad_(False)


def _random_latents(extents: tuple[int, ...], *, seed: int = 0) -> list[Tensor]:
    generator = np.random.default_rng(seed)
    return [torch.from_numpy(generator.integers(-4, 5, level_extents(extents, level))).float() for level in range(3)]


def _chain(*taps: tuple[int, int, float], readout: Sequence[float] = (1.0, 0.0, 0.0)) -> GridField:
    """One level and axis; the latent is injected into channel 1, and ``taps`` are (to, from, weight)."""
    architecture = GridArchitecture(1, 1, 1, hidden_width=1, width=3)
    recurrence = torch.zeros(3, 3, 3)
    for to, source, weight in taps:
        recurrence[to, source, 1] = weight
    tensors = {
        "gains": torch.ones(1), "E_1": torch.ones(1, 1), "e_1": torch.zeros(1), "E_2": torch.eye(3)[:, 1:2],
        "e_2": torch.zeros(3), "A": recurrence, "W": torch.tensor([readout]), "b": torch.zeros(1),
    }  # fmt: skip
    return GridField(architecture, tensors).requires_grad_(False)


def _errors(field: GridField, latents: list[Tensor], extents: tuple[int, ...], steps: Sequence[int]) -> list[float]:
    """Of the outputs after each of ``steps`` against those after 200, at the native grid and all shifted ones."""
    worst = [0.0] * len(steps)
    for shift in itertools.product((0.0, 0.5), repeat=len(extents)):
        positions = [np.arange(extent) + 0.5 + part for extent, part in zip(extents, shift, strict=True)]
        u = field.inject(LatentReader(extents, positions, levels=range(len(latents)))(latents))
        limit = field.read_out(field.state(u, steps=200))
        outputs = [field.read_out(field.state(u, steps=count)) for count in steps]
        worst = [max(most, float((output - limit).abs().max())) for most, output in zip(worst, outputs, strict=True)]
    return worst


@pytest.mark.parametrize("axis_count", [1, 2, 3])
@pytest.mark.parametrize("contraction", [0.3, 0.8])
@pytest.mark.parametrize("is_positive", [True, False])
@pytest.mark.parametrize("tolerance", [2.0**-10, 2.0**-14])
def test_after_the_count_outputs_stay_within_the_tolerance_of_their_limit(
    axis_count: int, contraction: float, is_positive: bool, tolerance: float
) -> None:
    field = _random_field(axis_count, contraction=contraction, is_positive=is_positive)
    extents = _EXTENTS[axis_count]
    latents = _random_latents(extents)
    count = measure_grid_step_count(field, latents, extents=extents, tolerance=tolerance)
    assert 2 <= count <= 64
    # The sum of the changes that follow is more than the error, but not by many steps.
    *enough, too_few = _errors(field, latents, extents, (count, count + 1, count + 5, min(count - 2, count * 4 // 5)))
    assert max(enough) <= tolerance < too_few


@pytest.mark.parametrize("slope", [0.2, 0.5, 0.8])
def test_the_count_is_the_first_within_the_tolerance(slope: float) -> None:
    """z ← u + slope · z in one channel: after k steps slopeᵏ / (1 − slope) of u is missing."""
    field = _chain((1, 1, slope), readout=(0.0, 1.0, 0.0))
    expected = int(np.ceil(np.log(1e-3 * (1.0 - slope)) / np.log(slope)))
    assert measure_grid_step_count(field, [torch.ones(9)], extents=(9,), tolerance=1e-3) == expected


@pytest.mark.parametrize("tolerance", [2.0**-10, 2.0**-14, 2.0**-18])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_weak_recurrence_needs_few_steps_whatever_the_rounding_noise(tolerance: float, scale: float) -> None:
    """What moves by the rounding of float32 alone has settled; it was taken for something that never does."""
    for seed in range(4):
        for axis_count, extents in _EXTENTS.items():
            field = _random_field(axis_count, contraction=0.1, seed=seed)
            field.tensors["e_2"] += scale
            count = measure_grid_step_count(
                field, _random_latents(extents, seed=seed), extents=extents, tolerance=tolerance
            )
            assert count <= 10


def test_rounding_noise_is_not_looked_at_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    field = _random_field(1, contraction=0.3)
    field.tensors["e_2"] += 100.0
    steps, layer = [], GridField.layer

    def counted(*arguments: Tensor) -> Tensor:
        steps.append(1)
        return layer(*arguments)

    monkeypatch.setattr(GridField, "layer", counted)
    measure_grid_step_count(field, _random_latents((150,)), extents=(150,), tolerance=2.0**-18)
    assert len(steps) < 2 * 30  # of 64 at each of two shifts


def test_without_a_recurrence_one_step_is_enough() -> None:
    pointwise = _random_field(2, contraction=0.5, stencil=Stencil.POINTWISE)
    extents = _EXTENTS[2]
    assert measure_grid_step_count(pointwise, _random_latents(extents), extents=extents, tolerance=1e-6) == 1
    still = _random_field(2, contraction=0.0)
    assert measure_grid_step_count(still, _random_latents(extents), extents=extents, tolerance=1e-6) == 1


def test_without_a_readout_one_step_is_enough() -> None:
    field = _random_field(2, contraction=0.9)
    field.tensors["W"].zero_()
    extents = _EXTENTS[2]
    assert measure_grid_step_count(field, _random_latents(extents), extents=extents, tolerance=1e-6) == 1


@pytest.mark.parametrize("contraction", [0.95, 0.99, 0.999])
def test_what_converges_too_slowly_says_so(contraction: float) -> None:
    field = _random_field(2, contraction=contraction, is_positive=True)
    extents = _EXTENTS[2]
    latents = _random_latents(extents)
    assert max(_errors(field, latents, extents, [64])) > 1e-4
    assert measure_grid_step_count(field, latents, extents=extents, tolerance=1e-4) >= 65


def test_what_is_left_after_the_last_step_counts() -> None:
    """Of a slow field that hardly moves a step: the changes seen are all below the tolerance, their sum is not."""
    field = _chain((1, 1, 0.99), readout=(0.0, 1.0, 0.0))
    latents = [torch.full((9,), 0.04)]
    assert measure_grid_step_count(field, latents, extents=(9,), tolerance=0.9) >= 65
    assert measure_grid_step_count(field, latents, extents=(9,), tolerance=5.0) == 1


def test_an_output_that_moves_late_is_waited_for() -> None:
    """Channel 1 reaches channel 0, which is read, through channel 2: the first step leaves the output as it was."""
    field = _chain((2, 1, 0.5), (0, 2, 0.5))
    assert measure_grid_step_count(field, [torch.ones(9)], extents=(9,), tolerance=1e-3) == 3


def test_half_sample_shifts_count() -> None:
    """Latents of at most 0 at every node that lie above it halfway between some."""
    field = _chain((1, 1, 0.8), readout=(0.0, 1.0, 0.0))
    latent = torch.zeros(30)
    latent[::3] = -1.0
    native = LatentReader((30,), [np.arange(30) + 0.5], levels=range(1))
    assert not field.inject(native([latent])).any()
    assert measure_grid_step_count(field, [latent], extents=(30,), tolerance=1e-3) > 10


@pytest.mark.parametrize("axis_count", [1, 2])
def test_every_block_counts(axis_count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    extents = (40, 30)[:axis_count]
    field = _random_field(axis_count, contraction=0.9, is_positive=True)
    for name in ("e_1", "e_2"):
        field.tensors[name].zero_()
    latents = [torch.zeros(level_extents(extents, level)) for level in range(3)]
    assert measure_grid_step_count(field, latents, extents=extents, tolerance=1e-3) == 1
    latents[0].view(-1)[-1] = 9.0
    whole = measure_grid_step_count(field, latents, extents=extents, tolerance=1e-3)
    monkeypatch.setattr(grid_step_count, "_SIDES", {1: 16, 2: 16})
    assert measure_grid_step_count(field, latents, extents=extents, tolerance=1e-3) == pytest.approx(whole, abs=2)
    assert whole > 5
