"""How far a phase has come: by optimiser steps, or by time."""

from __future__ import annotations

import abc
import math
import time
from dataclasses import dataclass, field


class Clock(abc.ABC):
    """Tells the part of a phase that is done."""

    @abc.abstractmethod
    def fraction(self, step: int) -> float:
        """Part done when ``step`` steps were taken; the phase ends at 1."""

    @abc.abstractmethod
    def remaining_s(self, step: int) -> float:
        """Estimated seconds left when ``step`` steps were taken; NaN where unknown."""


@dataclass
class StepClock(Clock):
    """A phase of a fixed number of steps: reproducible."""

    total: int
    _start: float = field(default_factory=time.monotonic)
    _first_step: int | None = None

    def fraction(self, step: int) -> float:
        """See :class:`Clock`."""
        return step / self.total if self.total else 1.0

    def remaining_s(self, step: int) -> float:
        """See :class:`Clock`."""
        if self._first_step is None:
            self._first_step, self._start = step, time.monotonic()
        taken = step - self._first_step
        return (time.monotonic() - self._start) / taken * (self.total - step) if taken else math.nan


@dataclass
class TimeClock(Clock):
    """A phase that lasts a time; at least one step is taken, and ``most_steps`` if they are given."""

    duration_s: float
    most_steps: int | None = None
    _start: float = field(default_factory=time.monotonic)

    def fraction(self, step: int) -> float:
        """See :class:`Clock`."""
        if not step:
            return 0.0
        taken = step / self.most_steps if self.most_steps else 0.0
        return min(1.0, max(taken, (time.monotonic() - self._start) / self.duration_s))

    def remaining_s(self, step: int) -> float:
        """See :class:`Clock`."""
        return max(0.0, self.duration_s - (time.monotonic() - self._start))
