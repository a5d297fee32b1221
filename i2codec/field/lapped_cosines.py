"""Lapped cosines: an orthonormal basis of local atoms in time, each a continuous function.

Time is cut into cells. Cell [a, a + M) has the atoms

    φ_k(t) = √(2/M) w(t) cos(π/M (k + ½)(t − a)),   k = 0..M − 1,

under a window w that rises over 2r around its start and falls over 2r' around its end, where it
overlaps the cells before and after. With sin and cos as the two halves of an overlap the atoms of
all cells together are orthonormal on the samples at n + ½: Coifman, Meyer, "Remarques sur
l'analyse de Fourier à fenêtre", C. R. Acad. Sci. 312, 1991; for equal cells they are the MDCT of
Princen, Bradley, IEEE TASSP 34, 1986. t is counted in samples, sample n being at n + ½.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CellRow:
    """Consecutive cells of one length.

    Parameters
    ----------
    start:
        Where the first begins, in samples.
    count:
        Number of cells.
    length:
        Samples M of each, which is also its number of atoms.
    rise, fall:
        Half widths r of the overlaps at the two ends of the row, at most M/2; between cells it is M/2.
    """

    start: int
    count: int
    length: int
    rise: int = 0
    fall: int = 0

    @property
    def stop(self) -> int:
        """The sample after the last cell."""
        return self.start + self.count * self.length

    @property
    def reach(self) -> tuple[int, int]:
        """The first sample that an atom is not 0 at, and the one after the last."""
        return self.start - self.rise, self.stop + self.fall

    def bounds(self, cell: int) -> tuple[int, int, int]:
        """Where a cell begins, and the half widths of its two overlaps."""
        inner = self.length // 2
        rise, fall = inner if cell else self.rise, inner if cell < self.count - 1 else self.fall
        return self.start + cell * self.length, rise, fall

    def analysed(self, samples: Floats) -> Floats:
        """Amplitudes ``[..., cells, M]`` of samples ``[..., n]`` over :attr:`reach`."""
        values = np.array(samples, dtype=np.float64)
        self._rotate(values, forward=True)
        cells = values[..., self.rise : values.shape[-1] - self.fall]
        amplitudes: Floats = fft.dct(cells.reshape(*cells.shape[:-1], self.count, self.length), type=4, norm="ortho")
        return amplitudes

    def summed(self, amplitudes: Floats) -> Floats:
        """The sum of all atoms at the samples of :attr:`reach`, ``[..., n]``: the transpose of :meth:`analysed`."""
        cells = fft.dct(amplitudes, type=4, norm="ortho").reshape(*amplitudes.shape[:-2], -1)
        around = [(0, 0)] * (cells.ndim - 1) + [(self.rise, self.fall)]
        values: Floats = np.pad(cells, around)
        self._rotate(values, forward=False)
        return values

    def _rotate(self, values: Floats, *, forward: bool) -> None:
        """Fold every overlap into the cells at its two sides, or unfold it again."""
        overlaps = [self.bounds(cell)[:2] for cell in range(self.count)] + [(self.stop, self.fall)]
        for place, half_width in overlaps:
            if half_width:
                at = place - self.reach[0]
                after, before = values[..., at : at + half_width], values[..., at - half_width : at][..., ::-1]
                angle = _angle((np.arange(half_width) + 0.5) / half_width)
                cosine, sine = np.cos(angle), np.sin(angle)
                if not forward:
                    cosine = -cosine
                after[...], before[...] = sine * after + cosine * before, sine * before - cosine * after

    def summed_at(self, amplitudes: Floats, *, first: Fraction, step: Fraction, window: range) -> Floats:
        """The sum of all atoms at the times first + j · step for j in a ``window``, ``[..., n]``.

        Every cell is summed over all of its own times, whatever the window, so that a part has the
        bytes of the whole. A chirp z-transform of each cell: Rabiner, Schafer, Rader, "The chirp
        z-transform algorithm", 1969.
        """
        result = np.zeros((*amplitudes.shape[:-2], len(window)))
        for cell in range(self.count):
            place, rise, fall = self.bounds(cell)
            low = math.ceil((place - rise - first) / step)
            high = math.floor((place + self.length + fall - first) / step) + 1
            common = range(max(low, window.start), min(high, window.stop))
            if common and amplitudes[..., cell, :].any():
                start = float(first + low * step - place)
                times = start + float(step) * np.arange(high - low, dtype=np.float64)
                values = _window(times, length=self.length, rise=rise, fall=fall)
                values = values * _cosine_sums(
                    amplitudes[..., cell, :], first=start, step=float(step), count=high - low
                )
                inside = slice(common.start - low, common.stop - low)
                result[..., common.start - window.start : common.stop - window.start] += values[..., inside]
        return result

    def atoms_at(self, time: float) -> Iterator[tuple[int, Floats]]:
        """The cells that are not 0 at a time, and the values ``[M]`` of their atoms there."""
        nearest = int((time - self.start) // self.length)
        for cell in range(max(0, nearest - 1), min(self.count, nearest + 2)):
            place, rise, fall = self.bounds(cell)
            window = _window(np.array([time - place]), length=self.length, rise=rise, fall=fall)
            if window[0] > 0.0:
                angles = np.pi / self.length * (np.arange(self.length) + 0.5) * (time - place)
                yield cell, window[0] * np.sqrt(2.0 / self.length) * np.cos(angles)


def _angle(place: Floats) -> Floats:
    """Angle of a window whose sine rises from 0 to 1 as ``place`` goes from −1 to 1."""
    angle: Floats = np.pi / 4 * (1.0 + place)
    return angle


def _window(times: Floats, *, length: int, rise: int, fall: int) -> Floats:
    """w at ``times`` from the start of a cell; 0 outside of its overlaps."""
    before, after = times, length - times
    window = np.ones_like(times)
    for distance, half_width in ((before, rise), (after, fall)):
        place = np.clip(distance / half_width, -1.0, 1.0) if half_width else np.where(distance >= 0.0, 1.0, -1.0)
        window *= np.sin(_angle(place))
    return window


def _cosine_sums(amplitudes: Floats, *, first: float, step: float, count: int) -> Floats:
    """√(2/M) Σ_k a_k cos(π/M (k + ½) t) at t = first + j · step, ``[..., count]``."""
    length = amplitudes.shape[-1]
    phases = np.pi / length * (np.arange(length) + 0.5)
    turned = amplitudes * np.exp(1j * phases * first)
    sums = _chirp(length, count, step)(turned)
    sums *= np.exp(1j * np.pi / (2 * length) * step * np.arange(count))  # the half of k + ½
    result: Floats = np.sqrt(2.0 / length) * sums.real
    return result


@functools.lru_cache(maxsize=16)
def _chirp(length: int, count: int, step: float) -> signal.CZT:
    return signal.CZT(length, count, w=np.exp(1j * np.pi / length * step))
