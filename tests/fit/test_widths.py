"""The search for a PSNR, on fits whose outcome is a curve over the width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from i2codec.field.architecture import Architecture, Filter
from i2codec.fit import widths
from i2codec.fit.effort import Effort
from i2codec.fit.goals import PsnrGoal
from i2codec.fit.widths import fitted_for_psnr

_GOAL = PsnrGoal(30.0)
_WANTED_DB = 30.4  # quantisation takes the rest


@dataclass
class _Fit:
    """Stands for a :class:`FieldFit`: a field of width w reaches ``reached_db(w)``."""

    reached_db: Callable[[int], float]
    waves: int = 100
    seconds: float | None = None
    reference_power: float = 1.0
    tried: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    points: Any = None

    @property
    def effort(self) -> Effort:
        return Effort(100, seconds=self.seconds)

    @property
    def spectrum(self) -> Any:
        return SimpleNamespace(waves_for=lambda distortion: self.asked.append(distortion) or self.waves)

    def start(self, architecture: Architecture) -> Any:
        distortion = self.reference_power * 10.0 ** (-0.1 * self.reached_db(architecture.width))
        return SimpleNamespace(architecture=architecture, distortion=distortion)

    def fit(self, field: Any, *, stage: str, share: float) -> None:
        assert stage == f"psnr/width {field.architecture.width}"
        self.tried.append(field.architecture.width)
        self.shares.append(share)


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widths, "StepSearch", lambda field, points: SimpleNamespace(float_distortion=field.distortion))


def _width(fit: _Fit, *, share: float = 0.75) -> int:
    architecture = Architecture(Filter.SIREN, width=1, depth=1, axis_count=1, channel_count=1)
    found: int = fitted_for_psnr(architecture, fit, _GOAL, share=share).architecture.width  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("above_db", [0.0, 2.0, 7.0])
def test_the_first_that_is_in_reach_is_the_last(above_db: float) -> None:
    fit = _Fit(lambda width: _WANTED_DB + above_db + 1e-6 * (1 if above_db == 0.0 else -1))
    assert _width(fit) == fit.tried[0]
    assert fit.shares == [0.75]
    assert fit.asked == [pytest.approx(10.0 ** (-0.1 * _WANTED_DB))]


def test_the_first_width_follows_the_waves_that_are_needed() -> None:
    tried = []
    for waves in (20, 100, 1000):
        fit = _Fit(lambda width: _WANTED_DB + 1.0, waves=waves)
        architecture = Architecture(Filter.SIREN, _width(fit), 1, 1, 1)
        assert architecture.parameter_count <= 4.0 * waves < 1.5 * architecture.parameter_count
        tried.append(architecture.width)
    assert tried == sorted(tried)


def test_decibels_are_counted_against_the_power() -> None:
    fit = _Fit(lambda width: _WANTED_DB + 1.0, reference_power=0.01)
    assert _width(fit) == fit.tried[0]
    assert len(fit.tried) == 1
    assert fit.asked == [pytest.approx(0.01 * 10.0 ** (-0.1 * _WANTED_DB))]


def test_a_fit_that_falls_short_is_followed_by_a_wider_one() -> None:
    fit = _Fit(lambda width: 24.0 + 0.4 * width, waves=50)
    width = _width(fit)
    assert len(fit.tried) == 2
    assert width == fit.tried[-1] > fit.tried[0]
    assert fit.reached_db(width) >= _WANTED_DB > fit.reached_db(fit.tried[0])


def test_the_better_of_two_that_fall_short_is_kept() -> None:
    fit = _Fit(lambda width: 5.0 + 0.05 * width)
    assert _width(fit) == max(fit.tried)
    assert len(fit.tried) == 2
    assert fit.tried == sorted(fit.tried)


def test_the_best_is_kept_where_a_wider_one_does_worse() -> None:
    fit = _Fit(lambda width: 25.0 if len(fit.tried) == 0 else 20.0)
    assert _width(fit) == fit.tried[0]
    assert len(fit.tried) == 2


def test_the_narrowest_that_is_in_reach_is_kept() -> None:
    fit = _Fit(lambda width: 35.0 + 0.2 * width, waves=400)
    assert _width(fit) == min(fit.tried) < fit.tried[0]
    assert fit.reached_db(min(fit.tried)) >= _WANTED_DB


def test_one_that_turns_out_too_narrow_is_not_kept() -> None:
    fit = _Fit(lambda width: 45.0 if width >= 30 else 20.0, waves=400)
    assert _width(fit) == fit.tried[0] >= 30 > fit.tried[1]


@pytest.mark.parametrize(("reached_db", "waves", "expected"), [(90.0, 0, 4), (1.0, 10**9, 512)])
def test_widths_stay_in_their_range_and_none_is_tried_twice(reached_db: float, waves: int, expected: int) -> None:
    fit = _Fit(lambda width: reached_db, waves=waves)
    assert _width(fit) == expected
    assert fit.tried == [expected]


def test_a_perfect_fit_of_silence_is_enough() -> None:
    fit = _Fit(lambda width: float("inf"), waves=0)
    assert _width(fit) == 4


def test_a_time_is_shared_out() -> None:
    fit = _Fit(lambda width: 5.0 + 0.05 * width, seconds=60.0)
    _width(fit)
    assert fit.shares == [pytest.approx(0.375)] * 2
