from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.stencil import Stencil
from i2codec.fit import grid_start
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.grid_start import starting_tensors

APrior = Callable[..., tuple[int, dict[str, NDArray[np.int16]]]]

_ARCHITECTURE = GridArchitecture(4, 2, 3)


@pytest.mark.parametrize("axis_count", [1, 2, 3])
@pytest.mark.parametrize("stencil", list(Stencil))
@pytest.mark.parametrize("context_count", [1, 3])
def test_without_a_prior_all_tensors_are_random_or_constant(
    axis_count: int, stencil: Stencil, context_count: int
) -> None:
    architecture = GridArchitecture(5, axis_count, 2, stencil=stencil, context_count=context_count)
    number, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
    assert number == 0
    assert {name: tensor.shape for name, tensor in tensors.items()} == architecture.tensor_shapes
    assert [*tensors] == [*architecture.tensor_shapes]
    assert all(tensor.dtype == np.float64 and np.isfinite(tensor).all() for tensor in tensors.values())


def test_the_seed_alone_decides() -> None:
    (_, first), (_, again), (_, other) = (starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=seed) for seed in (1, 1, 2))
    for name, tensor in first.items():
        assert np.array_equal(tensor, again[name])
        is_random = name in {"E_1", "E_2", "A", "W", "C_1", "C_2", "C_3"}
        assert np.array_equal(tensor, other[name]) is not is_random


def test_layers_about_keep_the_variance() -> None:
    """Of what they read, times the square of a number below 1."""
    wide = GridArchitecture(64, 2, 64, hidden_width=64, width=64, context_width=64, context_count=3)
    _, tensors = starting_tensors(wide, lmbda=0.01, seed=0)
    expected = {"E_1": 1.0, "E_2": 0.3, "A": 0.35, "W": 0.7, "C_1": 1.0, "C_2": 0.1, "C_3": 0.1}
    for name, gain in expected.items():
        networks = tensors[name] if name.startswith("C") else tensors[name][None]
        for network in networks:
            assert float(network.std()) * np.sqrt(network[0].size) == pytest.approx(gain, rel=0.15)


def test_the_fit_starts_from_a_grey_picture_and_scales_of_one() -> None:
    _, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)
    model = GridModel.start(_ARCHITECTURE, tensors, extents=(6, 7), contraction=0.9, device="cpu")
    objective = GridObjective.of(torch.zeros(3, 6, 7), torch.ones(3), level_count=4)
    output = objective.output(model, model.rounded(), steps=3)
    assert torch.equal(output, torch.full((3, 6, 7), 0.5))
    assert not any(tensors[name].any() for name in ("d_1", "d_2", "d_3"))


def test_without_a_prior_lambda_says_nothing() -> None:
    low, high = (starting_tensors(_ARCHITECTURE, lmbda=lmbda, seed=0)[1] for lmbda in (1e-4, 0.1))
    assert all(np.array_equal(low[name], high[name]) for name in low)


def test_the_prior_of_the_architecture_is_where_a_fit_starts(a_prior: APrior) -> None:
    number, integers = a_prior(_ARCHITECTURE)
    for seed in (0, 1):
        found, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=seed)
        assert found == number
        assert [*tensors] == [*_ARCHITECTURE.tensor_shapes]
        for name, tensor in tensors.items():
            assert np.array_equal(tensor, integers[name] / 1024.0)


@pytest.mark.parametrize("factor", [4.0, 0.25])
def test_latents_start_finer_or_coarser_where_lambda_is_not_that_of_the_prior(factor: float, a_prior: APrior) -> None:
    """At four times λ their step is twice as large, and half as many steps make up the same deviation."""
    _, integers = a_prior(_ARCHITECTURE)
    _, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01 * factor, seed=0)
    prior = {name: array / 1024.0 for name, array in integers.items()}
    np.testing.assert_allclose(tensors["gains"], prior["gains"] * factor**0.5)
    np.testing.assert_allclose(tensors["d_3"][:, 1], prior["d_3"][:, 1] - 0.5 * np.log2(factor))
    assert np.array_equal(tensors["d_3"][:, 0], prior["d_3"][:, 0])
    others = tensors.keys() - {"gains", "d_3"}
    assert all(np.array_equal(tensors[name], prior[name]) for name in others)


@pytest.mark.parametrize(("lmbda", "number"), [(1.0, 1), (0.004, 1), (0.002, 1), (0.0015, 2), (0.0007, 2), (1e-6, 2)])
def test_of_several_priors_the_one_of_the_nearest_lambda_is_taken(
    lmbda: float, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearest as a ratio: 0.0017 lies between 0.0007 and 0.004."""
    shapes = _ARCHITECTURE.tensor_shapes

    def numbered(found: int, _: GridArchitecture) -> dict[str, NDArray[np.float64]]:
        return {name: np.full(shape, float(found)) for name, shape in shapes.items()}

    monkeypatch.setattr(grid_start, "released_priors", lambda _: {1: 0.004, 2: 0.0007})
    monkeypatch.setattr(grid_start, "prior_for", numbered)
    found, tensors = starting_tensors(_ARCHITECTURE, lmbda=lmbda, seed=0)
    assert found == number
    assert np.all(tensors["W"] == number)


def test_a_prior_stays_what_it_is(a_prior: APrior) -> None:
    _, integers = a_prior(_ARCHITECTURE)
    _, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)
    for tensor in tensors.values():
        tensor += 1.0
    _, again = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)
    assert np.array_equal(again["W"], integers["W"] / 1024.0)


def test_a_prior_of_another_architecture_is_left_alone(a_prior: APrior) -> None:
    a_prior(GridArchitecture(4, 2, 3, width=7))
    number, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)
    assert number == 0
    assert np.all(tensors["b"] == 0.5)
