from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2codec.errors import Cancelled
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.fit.checkpoint import Checkpoint
from i2codec.fit.clock import StepClock
from i2codec.fit.context import feature_count
from i2codec.fit.goals import PriceGoal, PsnrGoal
from i2codec.fit.grid_loop import GridPhase, GridRun
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.grid_start import starting_tensors
from i2codec.fit.grid_window_loop import WindowedGridRun
from i2codec.fit.grid_windows import windows_of_pass
from i2codec.fit.pricing import Pricing
from i2codec.fit.progress import Reporter

_ARCHITECTURE = GridArchitecture(4, 2, 3, hidden_width=8, width=4, context_width=8, context_count=2, unrolled=True)
_OF_PLANES = replace(_ARCHITECTURE, plane_count=3, context_features=feature_count(2, 3))
_EITHER = pytest.mark.parametrize("architecture", [_ARCHITECTURE, _OF_PLANES], ids=["one latent at a node", "three"])
_RATE, _SIDE, _SPACING = 0.02, 16, 8

Run = Callable[..., GridModel]


@pytest.fixture
def target(crop: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(crop[:40, :52].astype(np.float32) / 255.0).movedim(-1, 0)


@pytest.fixture
def run(target: Tensor, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A model after one phase on a part of the photo, in windows of 16 x 16 samples or whole."""
    monkeypatch.setattr(WindowedGridRun, "side", _SIDE)

    def make(
        *,
        steps: int,
        architecture: GridArchitecture = _ARCHITECTURE,
        kind: type[GridRun] = WindowedGridRun,
        first_level: int = 0,
        holds_networks: bool = False,
        latent_factor: float = 1.0,
        is_targeted: bool = False,
        reporter: Reporter | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> GridModel:
        _, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
        model = GridModel.start(architecture, tensors, extents=(40, 52), contraction=None, device="cpu")
        objective = GridObjective.of(target, torch.ones(3) / 3.0, level_count=4)
        phase = GridPhase("main", 1.0, (_RATE, _RATE), first_level=first_level, holds_networks=holds_networks)
        goal = PsnrGoal(30.0) if is_targeted else PriceGoal(1e-4)
        grid_run = kind(
            model,
            objective,
            phase,
            StepClock(steps),
            pricing=Pricing(goal, point_count=objective.point_count, overhead_bytes=0),
            seed=0,
            gradient_steps=3,
            overhead_bytes=0,
            latent_factor=latent_factor,
        )
        grid_run.run(reporter=reporter or Reporter(), checkpoint=checkpoint or Checkpoint())
        return model

    return make


def _pass(number: int) -> int:
    """Windows of a pass."""
    return len(windows_of_pass((40, 52), side=_SIDE, spacing=_SPACING, seed=0, number=number))


@pytest.mark.parametrize("first_level", [0, 2])
@pytest.mark.parametrize("latent_factor", [1.0, 2.5])
@_EITHER
def test_in_the_first_pass_every_latent_moves_once(
    architecture: GridArchitecture, first_level: int, latent_factor: float, run: Run
) -> None:
    """By Adam, whose first step is by the rate."""
    model = run(steps=_pass(0), architecture=architecture, first_level=first_level, latent_factor=latent_factor)
    for level, latent in enumerate(model.latents):
        if level < first_level:
            assert not latent.any()
            continue
        moves = latent.detach().abs()
        assert float(moves.max()) == pytest.approx(latent_factor * _RATE, rel=1e-3)
        assert float((moves > 0.5 * latent_factor * _RATE).float().mean()) > 0.8  # but for tiny gradients


@_EITHER
def test_in_a_step_the_latents_of_one_window_move_and_the_networks(architecture: GridArchitecture, run: Run) -> None:
    window = windows_of_pass((40, 52), side=_SIDE, spacing=_SPACING, seed=0, number=0)[0]
    model = run(steps=1, architecture=architecture)
    for level, latent in enumerate(model.latents):
        outside = latent.detach().clone()
        outside[(..., *window.nodes(level))][(..., *window.inner_nodes(level))] = 0.0
        assert latent.view(architecture.plane_count, -1).any(dim=1).all()
        assert not outside.any()
    _, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
    assert not torch.equal(model.context["d_3"].detach(), torch.from_numpy(tensors["d_3"]).float())


def test_networks_that_are_held_stay(run: Run) -> None:
    _, tensors = starting_tensors(_ARCHITECTURE, lmbda=0.01, seed=0)
    model = run(steps=3, holds_networks=True)
    for name, tensor in model.named_networks().items():
        assert torch.equal(tensor.detach(), torch.from_numpy(tensors[name]).float())


@pytest.mark.parametrize(
    ("architecture", "stop_after"), [(_ARCHITECTURE, 1), (_ARCHITECTURE, 7), (_ARCHITECTURE, 20), (_OF_PLANES, 20)]
)
def test_an_interrupted_run_continues_to_the_same_bits(
    architecture: GridArchitecture, stop_after: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = _pass(0) + 10
    whole = run(steps=steps, architecture=architecture)
    path = tmp_path / "fit.checkpoint"
    monkeypatch.setattr(Checkpoint, "due", True)  # after every step
    monkeypatch.setattr(Reporter, "due", True)
    calls = itertools.count(1)
    with pytest.raises(Cancelled):
        run(
            steps=steps,
            architecture=architecture,
            reporter=Reporter(lambda progress: next(calls) <= stop_after),
            checkpoint=Checkpoint(path, "same"),
        )
    continued = run(steps=steps, architecture=architecture, checkpoint=Checkpoint(path, "same"))
    pairs = zip((*whole.latents, *whole.networks()), (*continued.latents, *continued.networks()), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@_EITHER
def test_windows_fit_as_well_as_the_whole(architecture: GridArchitecture, run: Run, target: Tensor) -> None:
    """As many passes as steps on the whole: the picture is as near."""
    objective = GridObjective.of(target, torch.ones(3) / 3.0, level_count=4)
    passes = 40
    windowed = run(steps=sum(_pass(number) for number in range(passes)), architecture=architecture)
    whole = run(steps=passes, architecture=architecture, kind=GridRun)
    (by_windows, _), (at_once, _) = (objective.decoded(model, steps=3) for model in (windowed, whole))
    assert at_once < 0.01
    assert by_windows < 1.1 * at_once


def test_a_target_is_left_to_corrections(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pricing, "follow", lambda *found: pytest.fail("a window says little about the whole"))
    run(steps=10, is_targeted=True)
