"""What each network of ``paper.py`` is fitted with, as ``paper_sweep.py`` found it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from i2codec.field.architecture import Filter


class Family(StrEnum):
    """How the output follows from the tensors; see ``paper.py``."""

    IMPLICIT = "implicit"
    NO_RECURRENCE = "no recurrence"
    EXPLICIT = "explicit"
    UNROLLED = "unrolled"


@dataclass(frozen=True)
class Setting:
    """One learning rate and one box of initial frequencies for all tasks.

    Parameters
    ----------
    rate:
        Adam's rate at width 1; it falls with the square root of the width.
    band:
        Initial frequencies reach so many times as far as ``initial_band`` says.
    """

    rate: float
    band: float

    def times(self, factor: float) -> Setting:
        """With so many times the initial frequencies."""
        return Setting(self.rate, self.band * factor)


# A box of frequencies, as a part of Nyquist along each axis, holds its volume times N waves. The
# best start holds this part of P, on two axes the encoder's ¼ √(P/N): docs/fitting.md.
WAVES_PER_PARAMETER = 1 / 16

# A sound's own spectrum ends far below Nyquist, whatever the size of the network: 99 % of the
# power of bach.wav is under 0.1 of it.
SOUND_BAND = 0.034


def initial_band(task: str, *, parameters_per_point: float, axes: int) -> float:
    """Part of Nyquist that the initial frequencies reach along each axis."""
    if task == "sound":
        return SOUND_BAND
    return min(1.0, (WAVES_PER_PARAMETER * parameters_per_point) ** (1.0 / axes))


_EXPLICIT: Mapping[Filter, Setting] = {
    Filter.SIREN: Setting(0.24, 0.71),
    Filter.FOURIER: Setting(0.48, 1.41),
    Filter.GABOR: Setting(0.24, 1.41),
}
_NO_RECURRENCE: Mapping[Filter, Setting] = {
    Filter.SIREN: Setting(0.48, 1.0),
    Filter.FOURIER: Setting(0.24, 2.0),
    Filter.GABOR: Setting(0.24, 2.0),
}
_IMPLICIT: Mapping[Filter, Setting] = {
    Filter.SIREN: Setting(0.48, 1.0),
    Filter.FOURIER: Setting(0.24, 1.41),
    Filter.GABOR: Setting(0.24, 1.41),
}
# With several layers in F, whether it recurs or not.
_DEEP: Mapping[Filter, Setting] = {
    Filter.SIREN: Setting(0.24, 0.5),
    Filter.FOURIER: Setting(0.48, 1.41),
    Filter.GABOR: Setting(0.24, 1.41),
}


def setting_of(family: Family, filter: Filter, *, layers: int) -> Setting:
    """The best of the sweep for a network beside an implicit field of so many ``layers``."""
    if family is Family.EXPLICIT:
        return _EXPLICIT[filter]
    if layers > 1:
        return _DEEP[filter]
    return _NO_RECURRENCE[filter] if family is Family.NO_RECURRENCE else _IMPLICIT[filter]
