from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from i2codec.errors import Cancelled
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import level_extents
from i2codec.fit.context import feature_count
from i2codec.fit.grid_closing import ClosingStage, _halves_around, _parity
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.grid_start import starting_tensors
from i2codec.fit.progress import Reporter
from i2codec.latents.model import ContextModel
from i2codec.latents.stream import code_lengths
from i2codec.latents.template import Template

Grid = NDArray[np.int32]

_LMBDA = 0.002
_NAMES = {"C_1": "w1", "d_1": "b1", "C_2": "w2", "d_2": "b2", "C_3": "w3", "d_3": "b3"}


class _Case:
    """A signal, networks and latents that are not the best for it."""

    def __init__(self, extents: tuple[int, ...], *, plane_count: int = 1) -> None:
        axis_count = len(extents)
        self.architecture = GridArchitecture(
            4,
            axis_count,
            3,
            context_count=2,
            context_features=feature_count(axis_count, plane_count),
            unrolled=True,
            plane_count=plane_count,
        )
        _, self.tensors = starting_tensors(self.architecture, lmbda=_LMBDA, seed=0)
        self.tensors["gains"] *= 2.0
        synthesis = {name: self.tensors[name].astype(np.float32) for name in self.architecture.synthesis_shapes}
        self.network = StoredGridNetwork(self.architecture, synthesis, 3)
        generator = np.random.default_rng(1)
        shapes = [(*self.architecture.planes, *level_extents(extents, level)) for level in range(4)]
        self.latents = [generator.integers(-2, 3, shape).astype(np.int32) for shape in shapes]
        self.positions = [np.arange(extent) + 0.5 for extent in extents]
        output = self.network.evaluate(self.latents, self.positions)
        noisy = output + 0.05 * generator.standard_normal(output.shape).astype(np.float32)
        self.target = torch.from_numpy(np.ascontiguousarray(np.moveaxis(noisy, -1, 0)))
        template = Template.VOLUME if axis_count == 3 else Template.COLOUR if plane_count > 1 else Template.PLANE
        self.context = ContextModel.from_float(template, **{_NAMES[name]: self.tensors[name] for name in _NAMES})

    def stage(self, reporter: Reporter | None = None) -> ClosingStage:
        weights = torch.tensor([0.5, 0.3, 0.2])
        objective = GridObjective.of(self.target, weights, level_count=4)
        context = {name: self.tensors[name] for name in self.architecture.context_shapes}
        model = GridModel.finished(self.network, context, device="cpu")
        return ClosingStage(objective, model, self.context, steps=3, lmbda=_LMBDA, reporter=reporter or Reporter())

    def loss(self, latents: list[Grid]) -> float:
        """By the plain synthesis, and the lengths of all codes."""
        output = self.network.evaluate(latents, self.positions)
        errors = (output - np.moveaxis(self.target.numpy(), 0, -1)) ** 2 @ np.array([0.5, 0.3, 0.2])
        planes = [latent.reshape((1,) * (3 - latent.ndim) + latent.shape) for latent in latents]
        bits = sum(
            code_lengths(plane, coarser=coarser, coarsest=coarsest, model=self.context, level=level).sum()
            for level, (plane, coarser, coarsest) in enumerate(
                itertools.zip_longest(planes, planes[1:], planes[2:], fillvalue=None)
            )
        )
        return float(errors.sum() + _LMBDA * bits)


@pytest.mark.parametrize(
    ("extents", "plane_count", "ratio"),
    [((70, 90), 1, 0.99), ((300,), 1, 0.99), ((6, 40, 36), 1, 0.998), ((70, 90), 3, 0.998)],
)
def test_the_loss_of_the_file_falls(extents: tuple[int, ...], plane_count: int, ratio: float) -> None:
    case = _Case(extents, plane_count=plane_count)
    found = case.stage().run(case.latents, rounds=8)
    assert case.loss(found) < ratio * case.loss(case.latents)
    for level, (one, other) in enumerate(zip(found, case.latents, strict=True)):
        assert one.dtype == np.int32
        assert np.abs(one - other).max() <= (1 if level < 3 else 0)


def test_more_rounds_gain_more_and_what_is_given_is_left_alone() -> None:
    case = _Case((70, 90))
    given = [latent.copy() for latent in case.latents]
    losses = [case.loss(case.stage().run(case.latents, rounds=rounds)) for rounds in (0, 1, 4, 12)]
    assert losses[0] == case.loss(given)
    assert losses == sorted(losses, reverse=True)
    for one, other in zip(given, case.latents, strict=True):
        np.testing.assert_array_equal(one, other)


def test_latents_of_all_planes_move() -> None:
    case = _Case((70, 90), plane_count=3)
    found = case.stage().run(case.latents, rounds=8)
    assert (found[0] != case.latents[0]).any(axis=(1, 2)).all()


@pytest.mark.parametrize("plane_count", [1, 3])
def test_what_it_counts_with_is_the_loss(plane_count: int) -> None:
    """After many moves, taken and taken back, what it knows of errors and bits is still what they are."""
    case, seen = _Case((70, 90), plane_count=plane_count), []

    class Watched(ClosingStage):
        def _try(self, latents, costs, moves):
            result = super()._try(latents, costs, moves)
            seen.append((result.total, case.loss(latents)))
            return result

    stage = case.stage()
    stage.__class__ = Watched
    stage.run(case.latents, rounds=3)
    assert len(seen) == 12
    start = case.loss(case.latents)
    for found, wanted in seen:
        assert found == pytest.approx(wanted, rel=1e-3)
        assert wanted < start


def test_what_does_not_lower_the_loss_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    case = _Case((70, 90))

    def worse(self, latents, costs, moves):
        for move in moves:
            latents[move.level][move.place] += 3
        return replace(costs, errors=0.9 * costs.errors)

    monkeypatch.setattr(ClosingStage, "_try", worse)
    for one, other in zip(case.stage().run(case.latents, rounds=2), case.latents, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_can_be_cancelled() -> None:
    case = _Case((30, 30))
    with pytest.raises(Cancelled):
        case.stage(Reporter(lambda progress: progress.stage != "close")).run(case.latents, rounds=3)


def test_surroundings_of_blocks_of_one_parity_cover_everything_once() -> None:
    blocks = (5, 8)
    for parity in itertools.product((0, 1), repeat=2):
        count = np.zeros((10, 16), dtype=int)
        for block in np.ndindex(*blocks):
            if _parity(block) == parity:
                count[_halves_around(block)] += 1
        assert count.max() == 1
        assert (count[2:-2, 2:-2] == 1).all()
