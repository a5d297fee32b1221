"""Presets: how long and how a field is fitted, as frozen records. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from i2codec.errors import OptionError


@dataclass(frozen=True)
class Phase:
    """A stretch of the fit.

    Parameters
    ----------
    name:
        What it does.
    share:
        Its part of all optimiser steps, or of the time; shares of a preset sum to 1.
    first_rate, last_rate:
        Learning rate at its ends as a fraction of the preset's; a half cosine in between.
    quantised:
        True if the weights are rounded to their steps, little by little.
    """

    name: str
    share: float
    first_rate: float
    last_rate: float
    quantised: bool


@dataclass(frozen=True)
class Preset:
    """All that fixes a fit apart from the architecture.

    Parameters
    ----------
    name:
        How the user asks for it.
    steps:
        Optimiser steps in all phases together, for each unit of the signal.
    segment_steps:
        The same for a segment of sound, which is small.
    phases:
        In order; the quantised ones last.
    batch_points:
        Points per step; a signal with no more is fitted whole.
    batch_reuse:
        Steps that a random batch is kept for, solving from its last state each time.
    start_steps:
        Picard steps from zero on a fresh batch.
    gradient_terms:
        Applications of F that the gradient passes through (phantom gradient).
    largest_width:
        Largest width that is chosen without a rate option: it bounds the time of large signals.
    learning_rate:
        Adam's rate at width 1; it falls with the square root of the width.
    """

    name: str
    steps: int
    phases: tuple[Phase, ...] = (
        Phase("fit", share=0.75, first_rate=1.0, last_rate=0.02, quantised=False),
        Phase("tune", share=0.25, first_rate=0.1, last_rate=0.02, quantised=True),
    )
    batch_points: int = 8192
    batch_reuse: int = 4
    start_steps: int = 4
    gradient_terms: int = 1
    largest_width: int = 128
    learning_rate: float = 0.24
    segment_steps: int = 480

    def __post_init__(self) -> None:
        if min(self.steps, self.segment_steps) < 1:
            raise OptionError(f"{min(self.steps, self.segment_steps)} optimiser steps; expected at least 1")
        if not math.isclose(sum(phase.share for phase in self.phases), 1.0):
            raise OptionError(f"shares of the phases of preset {self.name} must sum to 1")

    def for_segments(self) -> Preset:
        """The same for segments of sound: ``segment_steps``, all of them before rounding.

        A segment's network is fitted past its goal and rounded as coarsely as that allows; steps
        do more for a fit than for its rounding (docs/fitting.md).
        """
        fit = [replace(phase, share=1.0) for phase in self.phases if not phase.quantised]
        return replace(self, steps=self.segment_steps, phases=tuple(fit))

    def phase_steps(self) -> dict[str, int]:
        """Optimiser steps of each phase by name; they sum to ``steps``.

        >>> PRESETS["draft"].phase_steps()
        {'fit': 300, 'tune': 100}
        """
        ends, total = [], 0.0
        for phase in self.phases:
            total += phase.share
            ends.append(round(total * self.steps))
        starts = [0, *ends[:-1]]
        return {phase.name: end - start for phase, start, end in zip(self.phases, starts, ends, strict=True)}


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("draft", steps=400, segment_steps=220, largest_width=96),
        Preset("fast", steps=1500),
        Preset("medium", steps=6000, segment_steps=1500, largest_width=192),
        Preset("slow", steps=24000, segment_steps=6000, batch_points=16384, largest_width=256),
    )
}
DEFAULT_PRESET = "fast"


def get_preset(name: str, **overrides: object) -> Preset:
    """A preset by name, with fields overridden one by one.

    Raises
    ------
    OptionError
        If the name or a field is unknown, or a value has the wrong type.

    >>> get_preset("fast", steps=10).phase_steps()
    {'fit': 8, 'tune': 2}
    """
    if name not in PRESETS:
        raise OptionError(f"unknown preset {name!r}; expected one of {', '.join(PRESETS)}")
    preset = PRESETS[name]
    for field, value in overrides.items():
        if field not in Preset.__dataclass_fields__:
            raise OptionError(
                f"preset has no field {field!r}; expected one of {', '.join(Preset.__dataclass_fields__)}"
            )
        expected = type(getattr(preset, field))
        if type(value) is not expected:
            raise OptionError(f"preset field {field} is {value!r}; expected a {expected.__name__}")
    return replace(preset, **overrides)  # type: ignore[arg-type]
