from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import level_extents
from i2codec.field.stencil import Stencil, sup_norm
from i2codec.fit import grid_model
from i2codec.fit.context import feature_count, latent_bits, planes_before
from i2codec.fit.grid_model import LATENT_SCALE, GridModel, GridObjective
from i2codec.fit.grid_start import starting_tensors

_EXTENTS = {1: (37,), 2: (11, 14), 3: (5, 6, 7)}
_LEVELS = 4
_EVERY_KIND = pytest.mark.parametrize(("axis_count", "plane_count"), [(1, 1), (2, 1), (3, 1), (2, 3)])

Start = Callable[..., GridModel]


@pytest.fixture
def start() -> Start:
    def make(
        axis_count: int = 2,
        *,
        plane_count: int = 1,
        contraction: float | None = 0.8,
        stencil: Stencil = Stencil.FULL,
    ) -> GridModel:
        """A model with random latents and biases."""
        architecture = _architecture(axis_count, plane_count=plane_count, stencil=stencil)
        _, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
        model = GridModel.start(
            architecture, tensors, extents=_EXTENTS[axis_count], contraction=contraction, device="cpu"
        )
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for latent in model.latents:
                latent.normal_(0.0, 3.0 / LATENT_SCALE, generator=generator)
            for name in ("d_1", "d_3"):  # otherwise alike on all levels
                model.context[name].normal_(0.0, 0.5, generator=generator)
        return model

    return make


def _architecture(axis_count: int, *, plane_count: int = 1, stencil: Stencil = Stencil.FULL) -> GridArchitecture:
    return GridArchitecture(
        _LEVELS,
        axis_count,
        3,
        context_features=feature_count(axis_count, plane_count),
        context_count=2,
        stencil=stencil,
        plane_count=plane_count,
    )


def _target(axis_count: int, *, seed: int = 0) -> Tensor:
    return torch.rand(3, *_EXTENTS[axis_count], generator=torch.Generator().manual_seed(seed))


def _cell_means(target: np.ndarray, side: int) -> np.ndarray:
    """Cell by cell."""
    counts = [-(-extent // side) for extent in target.shape[1:]]
    means = np.empty((target.shape[0], *counts))
    for cell in np.ndindex(*counts):
        inside = tuple(slice(side * place, side * (place + 1)) for place in cell)
        means[(slice(None), *cell)] = target[(slice(None), *inside)].reshape(target.shape[0], -1).mean(axis=1)
    return means


@_EVERY_KIND
def test_a_model_starts_with_latents_of_zero_and_the_given_networks(axis_count: int, plane_count: int) -> None:
    architecture = _architecture(axis_count, plane_count=plane_count)
    _, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
    model = GridModel.start(architecture, tensors, extents=_EXTENTS[axis_count], contraction=0.8, device="cpu")
    shapes = [(*architecture.planes, *level_extents(_EXTENTS[axis_count], level)) for level in range(_LEVELS)]
    assert [tuple(latent.shape) for latent in model.latents] == shapes
    assert all(latent.requires_grad and not latent.any() for latent in model.latents)
    networks = {**dict(model.field.tensors.items()), **dict(model.context.items())}
    assert {name: tuple(tensor.shape) for name, tensor in networks.items()} == architecture.tensor_shapes
    for name, parameter in networks.items():
        assert np.array_equal(parameter.detach().numpy(), tensors[name].astype(np.float32))
    assert {id(parameter) for parameter in model.networks()} == {id(parameter) for parameter in networks.values()}


@_EVERY_KIND
def test_levels_may_start_at_latents(axis_count: int, plane_count: int, start: Start) -> None:
    """Those of two levels, as they would be coded; they need not be integers yet."""
    made = start(axis_count, plane_count=plane_count)
    before = [latent.detach().clone() for latent in made.latents]
    given = {level: 10.0 * torch.rand_like(before[level]) for level in (0, 2)}
    made.start_latents(given)
    assert all(latent.requires_grad and latent.is_leaf for latent in made.latents)
    for level, wanted in given.items():
        assert torch.equal(made.rounded()[level], torch.round(wanted))
        torch.testing.assert_close(LATENT_SCALE * made.latents[level].detach(), wanted)
    for level in set(range(len(before))) - set(given):
        assert torch.equal(made.latents[level], before[level])


def test_training_a_model_leaves_what_it_started_from() -> None:
    architecture = GridArchitecture(_LEVELS, 2, 3)
    _, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
    before = {name: tensor.copy() for name, tensor in tensors.items()}
    model = GridModel.start(architecture, tensors, extents=(5, 5), contraction=0.8, device="cpu")
    with torch.no_grad():
        for parameter in model.networks():
            parameter += 1.0
    assert all(np.array_equal(tensor, before[name]) for name, tensor in tensors.items())


def test_networks_cost_what_they_differ_from_their_priors() -> None:
    architecture = GridArchitecture(_LEVELS, 2, 3)
    _, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
    arguments = {"extents": (5, 5), "contraction": 0.8, "device": "cpu"}
    model = GridModel.start(architecture, tensors, **arguments)
    assert float(model.network_bits().detach()) == 0.0
    other = GridModel.start(
        architecture, tensors, **arguments, priors={name: np.zeros_like(tensor) for name, tensor in tensors.items()}
    )
    assert float(other.network_bits().detach()) > 100.0
    costs = []
    for moved in (0.001, 0.01, 0.1):
        with torch.no_grad():
            model.context["C_1"].copy_(torch.from_numpy(tensors["C_1"] + moved))
        costs.append(float(model.network_bits().detach()))
    assert 0.0 < costs[0] < costs[1] < costs[2]
    gradient = torch.autograd.grad(model.network_bits(), model.context["C_1"])[0]
    assert (gradient > 0.0).all()


def test_rounded_latents_are_the_integers_that_are_coded(start: Start) -> None:
    model = start()
    with torch.no_grad():
        model.latents[0].view(-1)[:4] = torch.tensor([0.49, -0.51, 2.6, -3.0]) / LATENT_SCALE
    rounded = model.rounded()
    assert rounded[0].view(-1)[:4].tolist() == [0.0, -1.0, 3.0, -3.0]
    for latent, integers in zip(model.latents, rounded, strict=True):
        assert not integers.requires_grad
        assert torch.equal(integers, torch.round(integers))
        assert float((integers - LATENT_SCALE * latent.detach()).abs().max()) <= 0.5


@pytest.mark.parametrize("axis_count", [1, 2, 3])
@pytest.mark.parametrize("first_level", [0, 1, 2, 3])
def test_targets_are_means_over_cells_and_the_last_ones_of_what_is_left(axis_count: int, first_level: int) -> None:
    target = _target(axis_count)
    objective = GridObjective.of(target, torch.ones(3), level_count=_LEVELS, first_level=first_level)
    assert tuple(objective.target.shape[1:]) == level_extents(_EXTENTS[axis_count], first_level)
    np.testing.assert_allclose(objective.target, _cell_means(target.numpy(), 2**first_level), rtol=1e-5)


def test_a_cell_may_be_larger_than_the_signal() -> None:
    target = torch.rand(2, 3, 9, 1, generator=torch.Generator().manual_seed(0))
    objective = GridObjective.of(target, torch.ones(2), level_count=4, first_level=2)
    np.testing.assert_allclose(objective.target, _cell_means(target.numpy(), 4), rtol=1e-5)


@_EVERY_KIND
@pytest.mark.parametrize("first_level", [0, 1, 3])
def test_latents_are_read_in_the_middles_of_the_cells(
    axis_count: int, plane_count: int, first_level: int, start: Start
) -> None:
    model = start(axis_count, plane_count=plane_count)
    latents = model.rounded()
    objective = GridObjective.of(_target(axis_count), torch.ones(3), level_count=_LEVELS, first_level=first_level)
    values = objective.reader(latents[first_level:])
    assert torch.equal(values[:plane_count].view_as(latents[first_level]), latents[first_level])  # at its nodes
    tensors = {name: tensor.detach().numpy() for name, tensor in model.field.stored_tensors().items()}
    stored = StoredGridNetwork(model.field.architecture, tensors, steps=4)
    grids = [level.numpy().astype(np.int32) * (number >= first_level) for number, level in enumerate(latents)]
    positions = [(np.arange(count) + 0.5) * 2.0**first_level for count in objective.target.shape[1:]]
    wanted = np.moveaxis(stored.evaluate(grids, positions), -1, 0)
    np.testing.assert_allclose(objective.output(model, latents[first_level:], steps=4), wanted, atol=1e-5)


@_EVERY_KIND
@pytest.mark.parametrize("first_level", [0, 1, 2])
def test_the_rate_counts_over_native_points_at_every_resolution(
    axis_count: int, plane_count: int, first_level: int, start: Start
) -> None:
    model = start(axis_count, plane_count=plane_count)
    latents = model.rounded()[first_level:]
    objective = GridObjective.of(_target(axis_count), torch.ones(3), level_count=_LEVELS, first_level=first_level)
    before = planes_before(axis_count=axis_count, plane_count=plane_count)
    bits = latent_bits(latents, dict(model.context.items()), first_level=first_level, before=before).detach()
    assert objective.point_count == np.prod(_EXTENTS[axis_count])
    rate = objective.rate(model, latents).detach()
    assert float(rate) == pytest.approx(float(bits) / objective.point_count, rel=1e-5)


@pytest.mark.parametrize("plane_count", [1, 3])
def test_the_rate_has_gradients_by_latents_and_context_model(plane_count: int, start: Start) -> None:
    model = start(plane_count=plane_count)
    objective = GridObjective.of(_target(2), torch.ones(3), level_count=_LEVELS)
    rate = objective.rate(model, [LATENT_SCALE * latent for latent in model.latents])
    gradients = torch.autograd.grad(rate, [*model.latents, *model.context.values()])
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_the_compiled_rate_is_for_the_cpu_and_the_plain_one_for_other_devices(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = start()
    objective = GridObjective.of(_target(2), torch.ones(3), level_count=_LEVELS)
    fast = float(objective.rate(model, model.rounded()).detach())
    monkeypatch.setattr(grid_model, "latent_bits", lambda *_, **__: torch.tensor(-1.0))
    assert float(objective.rate(model, model.rounded()).detach()) == fast
    objective.target = objective.target.to("meta")
    assert float(objective.rate(model, model.rounded()).detach()) == pytest.approx(-1.0 / objective.point_count)


def test_distortion_weighs_the_channels() -> None:
    target = _target(2)
    weights = torch.tensor([0.5, 0.3, 0.0])
    objective = GridObjective.of(target, weights, level_count=_LEVELS)
    output = target + torch.tensor([0.1, -0.2, 5.0])[:, None, None]
    assert float(objective.distortion(output)) == pytest.approx(0.5 * 0.01 + 0.3 * 0.04, rel=1e-4)
    assert float(objective.distortion(target)) == 0.0


@pytest.mark.parametrize("first_level", [0, 1])
def test_decoded_figures_are_those_of_the_rounded_latents(first_level: int, start: Start) -> None:
    model = start()
    objective = GridObjective.of(_target(2), torch.ones(3), level_count=_LEVELS, first_level=first_level)
    distortion, rate = objective.decoded(model, steps=6)
    latents = model.rounded()[first_level:]
    assert distortion == float(objective.distortion(objective.output(model, latents, steps=6)))
    assert rate == float(objective.rate(model, latents).detach())
    with torch.no_grad():
        for latent in model.latents:  # to within less than half a step of the integer
            latent.copy_((torch.round(LATENT_SCALE * latent) + 0.3) / LATENT_SCALE)
    assert objective.decoded(model, steps=6) == (distortion, rate)
    assert objective.decoded(model, steps=1)[0] != distortion


def test_the_bound_is_kept_in_the_fit(start: Start) -> None:
    assert sup_norm(start(contraction=0.8).field.stored_tensors()["A"].detach().numpy()) <= 0.8 + 1e-6
    assert sup_norm(start(contraction=None).field.stored_tensors()["A"].detach().numpy()) > 1.0
