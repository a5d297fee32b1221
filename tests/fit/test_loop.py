from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from i2codec.errors import Cancelled, FitError
from i2codec.field.architecture import Architecture, Filter
from i2codec.field.gradients import OneStep
from i2codec.field.module import ImplicitField
from i2codec.fit.checkpoint import Checkpoint
from i2codec.fit.clock import StepClock
from i2codec.fit.field_fit import FieldFit
from i2codec.fit.loop import PhaseRun, TrainingStep, typical_steps
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import PRESETS, Phase
from i2codec.fit.progress import Progress, Reporter
from i2codec.fit.quantisation import StepSearch
from i2codec.signal.metrics import psnr_db

_PHASE = Phase("fit", share=1.0, first_rate=1.0, last_rate=0.02, quantised=False)


def _run(field: ImplicitField, points: TrainingPoints, *, steps: int, **changes: Any) -> PhaseRun:
    arguments: dict[str, Any] = {
        "stage": "fit",
        "field": field,
        "points": points,
        "preset": replace(PRESETS["draft"], batch_points=512),
        "phase": _PHASE,
        "clock": StepClock(steps),
        "seed": 3,
        "reference_power": 1.0,
        "quantisation_steps": None,
        "overhead_bytes": 0,
    }
    return PhaseRun(**{**arguments, **changes})


def _psnr_db(field: ImplicitField, points: TrainingPoints) -> float:
    return psnr_db(StepSearch(field, points).float_distortion)


def test_a_fit_learns_the_photo(fitted: ImplicitField, field_fit: FieldFit, points: TrainingPoints) -> None:
    before = field_fit.start(fitted.architecture)
    assert _psnr_db(before, points) < 15.0
    assert _psnr_db(fitted, points) > 21.0


@pytest.mark.parametrize("filter_", list(Filter))
@pytest.mark.parametrize("depth", [1, 2])
def test_every_filter_and_depth_learns(
    filter_: Filter, depth: int, field_fit: FieldFit, points: TrainingPoints, architecture: Architecture
) -> None:
    field = field_fit.start(replace(architecture, filter=filter_, depth=depth, width=16))
    before = _psnr_db(field, points)
    field_fit.fit(field, stage="main", share=0.4)
    assert _psnr_db(field, points) > max(16.0, before + 3.0)


def test_a_signal_that_fits_is_one_batch(
    points: TrainingPoints, field_fit: FieldFit, architecture: Architecture
) -> None:
    field = field_fit.start(architecture)
    whole = replace(PRESETS["draft"], batch_points=points.count)
    _run(field, points, steps=30, preset=whole).run(reporter=Reporter(), checkpoint=Checkpoint())
    assert _psnr_db(field, points) > 16.0


def test_a_step_goes_on_from_the_state_it_is_given(fitted: ImplicitField, points: TrainingPoints) -> None:
    """Fixed-point reuse: one application of F from the state of 30 steps is the state of 31."""
    step = TrainingStep(fitted, OneStep())
    x = points.coordinates(torch.arange(50))
    _, thirty = step(x, None, 29)
    _, reused = step(x, thirty.detach(), 0)
    _, solved = step(x, None, 30)
    torch.testing.assert_close(reused, solved)
    _, cold = step(x, None, 0)
    assert not torch.allclose(cold, solved, atol=1e-3)


def test_the_same_seed_gives_the_same_weights(
    points: TrainingPoints, field_fit: FieldFit, architecture: Architecture
) -> None:
    start = field_fit.start(architecture)
    fields = [copy.deepcopy(start) for _ in range(3)]
    for field, seed in zip(fields, (3, 3, 4), strict=True):
        _run(field, points, steps=6, seed=seed).run(reporter=Reporter(), checkpoint=Checkpoint())
    one, same, other = (field.tensors["A_1"] for field in fields)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_an_interrupted_run_continues_to_the_same_weights(
    stop_after: int,
    quantised: bool,
    points: TrainingPoints,
    fitted: ImplicitField,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps 1, 4 and 7 of batches kept for 4: in the middle, between, and after the first."""
    steps = typical_steps(dict(fitted.tensors.items())) if quantised else None
    whole, interrupted, continued = (copy.deepcopy(fitted) for _ in range(3))
    _run(whole, points, steps=10, quantisation_steps=steps).run(reporter=Reporter(), checkpoint=Checkpoint())

    path = tmp_path / "fit.checkpoint"
    monkeypatch.setattr(Checkpoint, "due", True)  # after every step
    calls = itertools.count(1)
    reporter = Reporter(lambda progress: next(calls) <= stop_after)
    monkeypatch.setattr(Reporter, "due", True)
    with pytest.raises(Cancelled):
        _run(interrupted, points, steps=10, quantisation_steps=steps).run(
            reporter=reporter, checkpoint=Checkpoint(path, "same")
        )
    run = _run(continued, points, steps=10, quantisation_steps=steps)
    run.run(reporter=Reporter(), checkpoint=Checkpoint(path, "same"))
    for name in whole.tensors:
        assert torch.equal(whole.tensors[name], continued.tensors[name]), name


def test_a_finished_phase_is_not_run_again(points: TrainingPoints, fitted: ImplicitField, tmp_path: Any) -> None:
    path = tmp_path / "fit.checkpoint"
    field = copy.deepcopy(fitted)
    _run(field, points, steps=5).run(reporter=Reporter(), checkpoint=Checkpoint(path, "same"))
    again = copy.deepcopy(fitted)
    run = _run(again, points, steps=5)
    run._optimise = None  # type: ignore[assignment, method-assign]  # a step would fail
    run.run(reporter=Reporter(), checkpoint=Checkpoint(path, "same"))
    assert torch.equal(field.tensors["W"], again.tensors["W"])


def test_a_loss_that_is_not_finite_is_an_error(points: TrainingPoints, fitted: ImplicitField) -> None:
    field = copy.deepcopy(fitted)
    with torch.no_grad():
        field.tensors["phi_0"][0] = torch.nan
    with pytest.raises(FitError, match="not finite"):
        _run(field, points, steps=2).run(reporter=Reporter(), checkpoint=Checkpoint())


def test_reports_say_how_far_it_is(
    points: TrainingPoints, fitted: ImplicitField, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reporter, "due", True)
    reports: list[Progress] = []
    _run(copy.deepcopy(fitted), points, steps=4, overhead_bytes=1000).run(
        reporter=Reporter(reports.append), checkpoint=Checkpoint()
    )
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert [report.fraction for report in reports] == [0.0, 0.25, 0.5, 0.75]
    assert all(report.stage == "fit" and report.psnr_db > 12.0 for report in reports)
    parameters = fitted.architecture.parameter_count
    assert all(1000 + parameters / 4 < report.size_bytes < 1000 + parameters for report in reports)
