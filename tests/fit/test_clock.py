from __future__ import annotations

import math

import pytest

from i2codec.fit import clock as clock_module
from i2codec.fit.clock import StepClock, TimeClock
from i2codec.fit.effort import Effort


class _Time:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> _Time:
    time = _Time()
    monkeypatch.setattr(clock_module.time, "monotonic", time)
    return time


def test_steps_are_counted(time: _Time) -> None:
    clock = StepClock(10, _start=time.now)
    assert [clock.fraction(step) for step in (0, 5, 10)] == [0.0, 0.5, 1.0]
    assert math.isnan(clock.remaining_s(2))
    time.now += 4.0
    assert clock.remaining_s(4) == pytest.approx(12.0)  # 2 steps took 4 s, 6 are left


def test_time_runs_out_but_one_step_is_taken(time: _Time) -> None:
    clock = TimeClock(8.0, _start=time.now)
    time.now += 2.0
    assert clock.fraction(3) == pytest.approx(0.25)
    assert clock.remaining_s(3) == pytest.approx(6.0)
    time.now += 100.0
    assert clock.fraction(0) == 0.0
    assert clock.fraction(1) == 1.0
    assert clock.remaining_s(1) == 0.0


def test_time_ends_early_after_the_most_steps(time: _Time) -> None:
    clock = TimeClock(8.0, most_steps=10, _start=time.now)
    time.now += 2.0
    assert [clock.fraction(step) for step in (0, 1, 5, 10)] == [0.0, 0.25, 0.5, 1.0]
    time.now += 100.0
    assert clock.fraction(1) == 1.0


def test_effort_deals_out_steps_or_seconds() -> None:
    assert Effort(100).clock(0.25) == StepClock(25, _start=pytest.approx(0, abs=1e9))
    assert Effort(1).clock(0.01).fraction(1) == 1.0
    timed = Effort(100, seconds=20.0).clock(0.25)
    assert isinstance(timed, TimeClock)
    assert timed.duration_s == 5.0


def test_a_phase_of_so_many_steps_takes_them_whatever_the_effort() -> None:
    for effort in (Effort(1), Effort(10**6)):
        clock = effort.clock(0.01, steps=20)
        assert [clock.fraction(step) for step in (0, 10, 20)] == [0.0, 0.5, 1.0]
    timed = Effort(100, seconds=20.0).clock(0.25, steps=7)
    assert isinstance(timed, TimeClock)
    assert (timed.duration_s, timed.most_steps) == (5.0, 7)
