"""Presets of lattice fits as data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from i2codec.errors import OptionError
from i2codec.fit.grid_loop import GridPhase

_FIT = GridPhase("fit", share=1.0, rates=(1e-2, 1e-3))
_SETTLE = GridPhase(
    "settle", share=1.0, rates=(6e-3, 1e-3), temperatures=(0.3, 0.2), deviations=(0.22, 0.2), holds_networks=True
)
_CORRECTION = GridPhase("correct", share=0.3, rates=(5e-3, 1e-3), temperatures=(0.2, 0.1), deviations=(0.18, 0.15))


@dataclass(frozen=True)
class LatticePreset:
    """How to fit the lattice of a sound.

    Parameters
    ----------
    name:
        How the user asks for it.
    steps:
        Optimiser steps of networks and latents together.
    unit_steps:
        Then, of the latents of each unit alone, under the networks of the file.
    sampled_units:
        Units that the networks of a long sound are fitted to.
    fit, settle, correction:
        The phases: of all together, of latents alone, and of all where a target was missed.
    gradient_steps:
        Applications of F that carry the gradient, where its fixed point is solved.
    unrolled_steps:
        Applications of F from zero that are all there is of the explicit twin.
    contraction:
        Bound c on the recurrence in the sup norm.
    hidden_width, width:
        Channels of the explicit layer and of the state.
    """

    name: str
    steps: int
    unit_steps: int
    sampled_units: int
    fit: GridPhase = _FIT
    settle: GridPhase = _SETTLE
    correction: GridPhase = _CORRECTION
    gradient_steps: int = 2
    unrolled_steps: int = 3
    contraction: float = 0.75
    hidden_width: int = 8
    width: int = 4

    def fit_share(self, unit_count: int) -> float:
        """What part of the time the networks of a sound of so many units take, by optimiser steps times units."""
        if unit_count <= self.sampled_units:
            return 1.0
        fit_steps, unit_steps = self.steps * self.sampled_units, self.unit_steps * unit_count
        return fit_steps / (fit_steps + unit_steps)

    def with_steps(self, steps: int) -> LatticePreset:
        """The same with another number of steps; those of units go with it."""
        return replace(self, steps=steps, unit_steps=max(1, round(self.unit_steps * steps / self.steps)))


LATTICE_PRESETS = {
    preset.name: preset
    for preset in (
        LatticePreset("draft", steps=50, unit_steps=20, sampled_units=3),
        LatticePreset("fast", steps=200, unit_steps=40, sampled_units=8),
        LatticePreset("medium", steps=1200, unit_steps=120, sampled_units=12),
        LatticePreset("slow", steps=5000, unit_steps=400, sampled_units=16),
    )
}


def get_lattice_preset(name: str) -> LatticePreset:
    """A preset by name; raises :class:`OptionError` if there is none."""
    if name not in LATTICE_PRESETS:
        raise OptionError(f"unknown preset {name!r}; expected one of {', '.join(LATTICE_PRESETS)}")
    return LATTICE_PRESETS[name]
