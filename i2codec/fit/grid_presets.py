"""Presets of grid fits as data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from i2codec.errors import OptionError
from i2codec.fit.grid_loop import GridPhase


def _coarse(name: str, steps: int, *, first_level: int, holds_networks: bool = True) -> GridPhase:
    """A few cheap steps at a lower resolution.

    Networks that move while all latents are 0 lose what the prior gave them (docs/grid.md), so
    they wait until the coarse latents have a picture.
    """
    return GridPhase(
        name,
        share=0.01,
        steps=steps,
        rates=(1e-2, 1e-2),
        temperatures=(0.3, 0.25),
        deviations=(0.22, 0.2),
        first_level=first_level,
        holds_networks=holds_networks,
    )


_PHASES = (
    _coarse("quarter", 20, first_level=2),
    _coarse("half", 20, first_level=1),
    _coarse("half, with networks", 12, first_level=1, holds_networks=False),
    GridPhase("fit", share=0.97, rates=(1e-2, 1e-4)),
)
_PICTURE_PHASES = (GridPhase("fit", share=0.97, rates=(3e-3, 1e-4), synthesis_factor=0.1),)
_CORRECTION = GridPhase("correct", share=0.25, rates=(5e-3, 1e-4), temperatures=(0.2, 0.1), deviations=(0.18, 0.15))


def _hasty(phase: GridPhase) -> GridPhase:
    """With shorter memories: a fit of some hundred steps gains by them, one of thousands loses (docs/grid.md)."""
    return replace(phase, adam_betas=(0.8, 0.9), soap_betas=(0.9, 0.95))


@dataclass(frozen=True)
class GridPreset:
    """How to fit a grid field.

    Parameters
    ----------
    name:
        How the user asks for it.
    point_steps:
        Optimiser steps times native grid points: large photos take fewer steps.
    most_steps, least_steps:
        Bounds on the steps.
    phases:
        In order.
    picture_phases:
        Where the fit starts at the picture.
    correction:
        Where a size or PSNR was missed: at another λ.
    closing_rounds:
        Of the closing stage at most.
    gradient_steps:
        Applications of F that carry the gradient, where its fixed point is solved.
    unrolled_steps:
        Applications of F from zero that are all there is of the explicit twin.
    contraction:
        Bound c on the recurrence in the sup norm.
    hidden_width, width:
        Channels of the explicit layer and of the state. Long fits gain by more, short ones by more steps
        in the same time (docs/grid.md).
    """

    name: str
    point_steps: float
    most_steps: int
    least_steps: int = 50
    phases: tuple[GridPhase, ...] = _PHASES
    picture_phases: tuple[GridPhase, ...] = _PICTURE_PHASES
    correction: GridPhase = _CORRECTION
    closing_rounds: int = 20
    gradient_steps: int = 2
    unrolled_steps: int = 3
    contraction: float = 0.75
    hidden_width: int = 24
    width: int = 6

    def steps(self, point_count: int, plane_count: int = 1) -> int:
        """Optimiser steps of all phases together for a signal of so many grid points.

        One with three latents at every node takes about twice as long.
        """
        cost = point_count * (1 + plane_count) / 2
        return max(self.least_steps, min(self.most_steps, round(self.point_steps / cost)))

    def with_steps(self, steps: int) -> GridPreset:
        """The same with a fixed number of steps."""
        return replace(self, least_steps=steps, most_steps=steps)


GRID_PRESETS = {
    preset.name: preset
    for preset in (
        GridPreset(
            "draft",
            point_steps=6e7,
            most_steps=400,
            phases=tuple(_hasty(phase) for phase in _PHASES),
            picture_phases=tuple(_hasty(phase) for phase in _PICTURE_PHASES),
            correction=_hasty(_CORRECTION),
            closing_rounds=5,
        ),
        GridPreset("fast", point_steps=3.2e8, most_steps=2600, closing_rounds=10),
        GridPreset("medium", point_steps=1.65e9, most_steps=12000, hidden_width=48, width=10),
        GridPreset("slow", point_steps=8e9, most_steps=40000, hidden_width=48, width=10),
    )
}


def get_grid_preset(name: str) -> GridPreset:
    """A preset by name; raises :class:`OptionError` if there is none."""
    if name not in GRID_PRESETS:
        raise OptionError(f"unknown preset {name!r}; expected one of {', '.join(GRID_PRESETS)}")
    return GRID_PRESETS[name]
