"""How much work a whole encoding may take, dealt out to its phases."""

from __future__ import annotations

from dataclasses import dataclass

from i2codec.fit.clock import Clock, StepClock, TimeClock


@dataclass(frozen=True)
class Effort:
    """Optimiser steps, or seconds of optimisation, of which phases take shares.

    Parameters
    ----------
    steps:
        All optimiser steps together.
    seconds:
        If not ``None``, the time that all steps together take, in place of ``steps``.
    """

    steps: int
    seconds: float | None = None

    def clock(self, share: float, *, steps: int | None = None, repeats: float = 1.0) -> Clock:
        """A clock for ``share`` of the whole, at least one step.

        Where ``steps`` are given it stops after so many, in place of its share of the steps, and
        within its share of the seconds. Of either number of steps it takes ``repeats`` times as many.
        """
        most_steps = None if steps is None else max(1, round(steps * repeats))
        if self.seconds is not None:
            return TimeClock(self.seconds * share, most_steps=most_steps)
        return StepClock(max(1, round(self.steps * share * repeats)) if most_steps is None else most_steps)
