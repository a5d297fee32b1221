from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2codec.errors import Cancelled, FitError
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.fit.checkpoint import Checkpoint
from i2codec.fit.clock import StepClock
from i2codec.fit.goals import Goal, PriceGoal, PsnrGoal
from i2codec.fit.grid_loop import GridPhase, GridRun
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.grid_start import starting_tensors
from i2codec.fit.pricing import Pricing
from i2codec.fit.progress import Reporter

_ARCHITECTURE = GridArchitecture(4, 2, 3, hidden_width=8, width=4, context_width=8, context_count=2)
_EXTENTS = (24, 36)
_STEPS = 10
_RATE, _LAST_RATE = 0.02, 0.002
_MATRICES = {"A", "E_1", "E_2", "W", "C_1", "C_2", "C_3"}

_GOAL = PriceGoal(0.01)

Run = Callable[..., GridModel]


@pytest.fixture
def run(crop: NDArray[np.uint8]) -> Run:
    """A model after a phase of ten steps, or as many as asked for, on a part of the photo."""
    target = torch.from_numpy(crop[: _EXTENTS[0], : _EXTENTS[1]].astype(np.float32) / 255.0).movedim(-1, 0)

    def make(
        *,
        first_level: int = 0,
        seed: int = 0,
        reporter: Reporter | None = None,
        checkpoint: Checkpoint | None = None,
        scale: float = 1.0,
        steps: int = _STEPS,
        latent_factor: float = 1.0,
        holds_networks: bool = False,
        goal: Goal = _GOAL,
    ) -> GridModel:
        _, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)
        model = GridModel.start(_ARCHITECTURE, tensors, extents=_EXTENTS, contraction=0.8, device="cpu")
        objective = GridObjective.of(scale * target, torch.ones(3) / 3.0, level_count=4, first_level=first_level)
        phase = GridPhase("main", 1.0, (_RATE, _LAST_RATE), first_level=first_level, holds_networks=holds_networks)
        pricing = Pricing(goal, point_count=objective.point_count, overhead_bytes=0)
        grid_run = GridRun(
            model,
            objective,
            phase,
            StepClock(steps),
            pricing=pricing,
            seed=seed,
            gradient_steps=2,
            overhead_bytes=0,
            latent_factor=latent_factor,
        )
        grid_run.run(reporter=reporter or Reporter(), checkpoint=checkpoint or Checkpoint())
        return model

    return make


def _is_same(one: GridModel, other: GridModel) -> bool:
    pairs = zip((*one.latents, *one.networks()), (*other.latents, *other.networks()), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def test_the_same_seed_gives_the_same_model(run: Run) -> None:
    first = run()
    assert _is_same(first, run())
    assert not _is_same(first, run(seed=1))


@pytest.mark.parametrize("first_level", [0, 2])
@pytest.mark.parametrize("stop_after", [1, 4])
def test_an_interrupted_run_continues_to_the_same_bits(
    stop_after: int, first_level: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(first_level=first_level)
    path = tmp_path / "fit.checkpoint"
    monkeypatch.setattr(Checkpoint, "due", True)  # after every step
    monkeypatch.setattr(Reporter, "due", True)
    calls = itertools.count(1)
    reporter = Reporter(lambda progress: next(calls) <= stop_after)
    with pytest.raises(Cancelled):
        run(first_level=first_level, reporter=reporter, checkpoint=Checkpoint(path, "same"))
    steps: list[int] = []
    continued = run(
        first_level=first_level,
        reporter=Reporter(lambda progress: steps.append(progress.step) or True),
        checkpoint=Checkpoint(path, "same"),
    )
    assert steps == list(range(stop_after + 1, _STEPS + 1))
    assert _is_same(whole, continued)


@pytest.mark.parametrize("first_level", [0, 1, 2])
def test_what_no_level_of_the_phase_has_stays(first_level: int, run: Run) -> None:
    """Latents, gains and biases of a level, and context networks."""
    _, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)
    model = run(first_level=first_level)
    for level, latent in enumerate(model.latents):
        assert bool(latent.any()) == (level >= first_level)
    parameters = model.named_networks()
    firsts = dict.fromkeys(("gains", "d_1", "d_3"), first_level)
    firsts |= dict.fromkeys(("C_1", "C_2", "d_2", "C_3"), min(first_level, 1))
    for name, first in firsts.items():
        change = parameters[name].detach() - torch.from_numpy(tensors[name]).float()
        assert [bool(part.any()) for part in change] == [number >= first for number in range(len(change))]


@pytest.mark.parametrize("first_level", [0, 2])
def test_networks_that_are_held_stay_and_latents_move(first_level: int, run: Run) -> None:
    _, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)
    model = run(first_level=first_level, holds_networks=True)
    assert all(latent.any() for latent in model.latents[first_level:])
    for name, tensor in model.named_networks().items():
        assert torch.equal(tensor.detach(), torch.from_numpy(tensors[name]).float())


@pytest.mark.parametrize(("first_level", "follows"), [(0, True), (1, False)])
def test_a_target_is_followed_at_the_native_resolution_alone(
    first_level: int, follows: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fractions = []
    monkeypatch.setattr(Pricing, "follow", lambda pricing, fraction, **found: fractions.append(fraction))
    run(first_level=first_level, goal=PsnrGoal(30.0))
    assert bool(fractions) == follows


@pytest.mark.parametrize("latent_factor", [1.0, 2.5])
def test_vectors_and_latents_are_moved_by_adam_and_matrices_by_soap(latent_factor: float, run: Run) -> None:
    """Adam's first step is by the rate; SOAP's moves nothing, and its second is by the rate in bases of its own."""
    _, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)

    def changes(model: GridModel) -> dict[str, Tensor]:
        networks = model.named_networks().items()
        return {name: tensor.detach() - torch.from_numpy(tensors[name]).float() for name, tensor in networks}

    once, twice = (run(steps=steps, latent_factor=latent_factor) for steps in (1, 2))
    for latent in once.latents:
        assert float(latent.detach().abs().max()) == pytest.approx(latent_factor * _RATE, rel=1e-3)
    assert not any(change.any() for name, change in changes(once).items() if name in _MATRICES)
    vectors = {name: change for name, change in changes(once).items() if name not in _MATRICES}
    assert set(vectors) == {"gains", "e_1", "e_2", "b", "d_1", "d_2", "d_3"}
    for change in vectors.values():
        assert change.all()
        assert float(change.abs().max()) == pytest.approx(_RATE, rel=1e-3)
    second_rate = 0.5 * (_RATE + _LAST_RATE)  # halfway
    for name, change in changes(twice).items():
        if name in _MATRICES:
            assert float(change.square().mean().sqrt()) == pytest.approx(second_rate, rel=0.06)
            assert float(change.abs().max()) > 1.2 * second_rate  # of one size they are in those bases alone


def test_a_loss_that_is_not_finite_is_an_error(run: Run) -> None:
    with pytest.raises(FitError, match="not finite"):
        run(scale=float("inf"))
