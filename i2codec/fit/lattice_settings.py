"""What to fit of a sound and how, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from i2codec.container.section import INDEX_ENTRY, SECTION
from i2codec.field.stencil import Stencil
from i2codec.fit.effort import Effort
from i2codec.fit.goals import Goal
from i2codec.fit.lattice_presets import LatticePreset
from i2codec.payload.grid_section import QuantisedGridNetwork, pack_grid_network
from i2codec.payload.signal_section import SEGMENTS

_LEAST_SECONDS = 1e-3
_INDEXED_BESIDE = 3
"""Sections of a sound that the index has beside those of its units: signal, network, metadata."""


@dataclass(frozen=True)
class LatticeSettings:
    """What to fit and how.

    Parameters
    ----------
    preset:
        Phases and steps.
    goal:
        What is asked of rate and distortion.
    reference_power:
        Mean square of the sound, which decibels are counted against.
    fills_noise:
        Whether what is 0 is filled with noise, which sounds better and is farther from the sound.
    stencil, unrolled:
        The layers: pointwise is the explicit layer alone; else the implicit layer, or its explicit twin.
    seed:
        Of networks and noise.
    device:
        ``cpu`` or ``cuda``.
    time_limit_s:
        If not ``None``, the time that the optimisation is laid over.
    """

    preset: LatticePreset
    goal: Goal
    reference_power: float = 1.0
    fills_noise: bool = False
    stencil: Stencil = Stencil.POINTWISE
    unrolled: bool = False
    seed: int = 0
    device: str = "cpu"
    time_limit_s: float | None = None

    def effort(self, steps: int, *, share: float) -> Effort:
        """So many steps, or a share of the time that there is."""
        seconds = None if self.time_limit_s is None else max(_LEAST_SECONDS, share * self.time_limit_s)
        return Effort(steps, seconds=seconds)


@dataclass(frozen=True)
class EncodedUnits:
    """Units as they will be stored, and what they amount to."""

    payloads: list[bytes]
    squared_error: float
    """Of all channels, over the reference power."""
    sample_count: int
    """In time."""

    @classmethod
    def joined(cls, parts: Iterable[EncodedUnits]) -> EncodedUnits:
        """Units one after the other."""
        whole = list(parts)
        return cls(
            [payload for part in whole for payload in part.payloads],
            sum(part.squared_error for part in whole),
            sum(part.sample_count for part in whole),
        )

    def file_bytes(self, network: QuantisedGridNetwork, *, unit_count: int) -> int:
        """Bytes of a file of so many units alike, but for its framing."""
        byte_count = sum(SECTION.size + INDEX_ENTRY.size + len(payload) for payload in self.payloads)
        index_bytes = SECTION.size + _INDEXED_BESIDE * INDEX_ENTRY.size + SEGMENTS.size if unit_count > 1 else 0
        whole_bytes = round(byte_count * unit_count / len(self.payloads))
        return SECTION.size + len(pack_grid_network(network)) + index_bytes + whole_bytes
