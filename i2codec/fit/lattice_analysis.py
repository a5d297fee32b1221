"""From the samples of a sound to the amplitudes of its atoms: cells and turns of channels, chosen by cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.field.lapped_cosines import CellRow
from i2codec.signal.channel_turns import TURN_COUNT, channels_turned

CELL_BITS = (8, 9, 10, 11, 12)
"""Cells that are tried: of 256 to 4096 samples."""
_LONGEST_CELL = 1 << CELL_BITS[-1]
_UNIT_SECONDS = 4
_TURN_SAMPLES = 2**15
"""Amplitudes of a pair of channels that its turn is chosen by, at most."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnalysedUnit:
    """Amplitudes of one unit.

    Parameters
    ----------
    cell_bits:
        Binary logarithm of the samples M of a cell.
    turns:
        How far each pair of channels was turned.
    amplitudes:
        ``[C, cells, M]``.
    sample_count:
        Samples of the unit in time.
    """

    cell_bits: int
    turns: tuple[int, ...]
    amplitudes: Floats
    sample_count: int


def unit_length(rate_hz: float) -> int:
    """Samples of a unit of some seconds, a multiple of the longest cell."""
    return max(1, round(_UNIT_SECONDS * rate_hz / _LONGEST_CELL)) * _LONGEST_CELL


def analysed_units(units: Iterable[NDArray[np.float32]], *, step: float) -> Iterator[AnalysedUnit]:
    """Units ``[n, C]`` that follow one another, analysed with their overlaps; two of them are held at a time.

    ``step`` is about what amplitudes will be rounded to, which decides what pays.
    """
    before: tuple[Floats, int] | None = None
    current: tuple[Floats, int] | None = None
    for samples in units:
        following = _with_cells(samples, step)
        if current is not None:
            yield _analysed(before, current, following, step)
        before, current = current, following
    if current is not None:
        yield _analysed(before, current, None, step)


def analysed_alone(samples: NDArray[np.float32], *, step: float) -> AnalysedUnit:
    """A unit as if there were nothing around it."""
    return next(analysed_units([samples], step=step))


def _with_cells(samples: NDArray[np.float32], step: float) -> tuple[Floats, int]:
    """Channels ``[C, n]`` and the exponent of the cells that they cost least in."""
    channels = samples.T.astype(np.float64)
    return channels, min(CELL_BITS, key=lambda bits: _cost(_analysed_cells(channels, CellRow(0, 1, 1 << bits)), step))


def _analysed_cells(channels: Floats, cell: CellRow) -> Floats:
    """Amplitudes of channels in as many such cells as they take, without overlaps at the ends."""
    count = -(-channels.shape[1] // cell.length)
    row = CellRow(0, count, cell.length)
    return row.analysed(_filled_up(channels, row.stop))


def _filled_up(channels: Floats, length: int) -> Floats:
    """Channels that go on after their end, mirrored and fading: a step down to 0 would cost many atoms."""
    missing = length - channels.shape[1]
    mirrored = channels[:, ::-1][:, :missing]
    fade = np.cos(0.5 * np.pi * (np.arange(mirrored.shape[1]) + 0.5) / max(1, mirrored.shape[1])) ** 2
    return np.pad(np.concatenate([channels, mirrored * fade], axis=1), ((0, 0), (0, missing - mirrored.shape[1])))


def _analysed(
    before: tuple[Floats, int] | None, unit: tuple[Floats, int], after: tuple[Floats, int] | None, step: float
) -> AnalysedUnit:
    channels, bits = unit
    length, sample_count = 1 << bits, channels.shape[1]
    rise, fall = (0 if other is None else min(length, 1 << other[1]) // 2 for other in (before, after))
    row = CellRow(0, -(-sample_count // length), length, rise, fall)
    parts = [_filled_up(channels, row.stop)]
    if before is not None:
        parts.insert(0, before[0][:, before[0].shape[1] - rise :])
    if after is not None:
        parts.append(_filled_up(after[0], max(fall, after[0].shape[1]))[:, :fall])
    amplitudes = row.analysed(np.concatenate(parts, axis=1))
    turns = tuple(_best_turn(amplitudes[pair : pair + 2], step) for pair in range(0, len(amplitudes) - 1, 2))
    return AnalysedUnit(bits, turns, channels_turned(amplitudes, turns), sample_count)


def _best_turn(pair: Floats, step: float) -> int:
    """The turn that two channels ``[2, cells, M]`` cost least in."""
    loud = np.abs(pair).max(axis=0) > 0.5 * step
    values = pair[:, loud]
    values = values[:, :: max(1, values.shape[1] // _TURN_SAMPLES)]
    return min(range(TURN_COUNT), key=lambda turn: _cost(channels_turned(values, [turn]), step))


def _cost(amplitudes: Floats, step: float) -> float:
    """About the bits of amplitudes once they are rounded to multiples of ``step``."""
    return float(np.log2(1.0 + np.square(amplitudes / step)).sum())


def step_for_distortion(amplitudes: Sequence[Floats], wanted: float) -> float:
    """The step for which the squared errors of rounded amplitudes sum to about ``wanted``."""
    values = np.abs(np.concatenate([unit.ravel() for unit in amplitudes]))
    low, high = 1e-9, 1.0 + float(values.max(initial=0.0)) * 4.0
    for _ in range(_BISECTIONS):
        step = float(np.sqrt(low * high))
        if _squared_error(values, step) < wanted:
            low = step
        else:
            high = step
    return low


def step_for_bits(amplitudes: Sequence[Floats], wanted: float) -> float:
    """The step for which rounded amplitudes take about ``wanted`` bits."""
    values = np.abs(np.concatenate([unit.ravel() for unit in amplitudes]))
    low, high = 1e-9, 1.0 + float(values.max(initial=0.0)) * 4.0
    for _ in range(_BISECTIONS):
        step = float(np.sqrt(low * high))
        if _rough_bits(values, step) > wanted:
            low = step
        else:
            high = step
    return high


_BISECTIONS = 30
_DEAD_ZONE = 0.65  # of a step: what is smaller is hardly worth its bits
_BITS_OF_ONE = 5.0


def _squared_error(values: Floats, step: float) -> float:
    rounded = step * np.floor(values / step + 1.0 - _DEAD_ZONE)
    return float(np.square(values - rounded).sum())


def _rough_bits(values: Floats, step: float) -> float:
    integers = np.floor(values / step + 1.0 - _DEAD_ZONE)
    coded = integers[integers > 0]
    return float((_BITS_OF_ONE + 1.5 * np.log2(coded)).sum())
