"""Latent tables, set 1: probabilities of latents around a mean, computed in integers.

For each of 80 scales b = 2^(k/8 − 4) and 16 places of the mean between two integers there is a
row of cumulative frequencies of a Laplace distribution. All are the same on every machine:
Python's ``decimal`` is correctly rounded wherever it runs, and the rest are integers. Their
SHA-256 is in ``docs/format.md``.
"""

from __future__ import annotations

import decimal
import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import VersionError

__all__ = ["PHASES", "SCALES", "TOTAL_BITS", "LatentTables", "load_latent_tables"]

SCALES = 80
PHASES = 16
"""Places of the mean: it is (phase − 8)/16 above the integer c that symbols are counted from."""
TOTAL_BITS = 16
"""The frequencies of a row sum to 2¹⁶."""
_LARGEST_RADIUS = 255
"""Up to b = 25 a row holds all but e⁻¹⁰ of its distribution. With 127 the tables would be 31 %
smaller, but code latents of the largest scale in 1.8 % more bits than their entropy, not 0.2 %."""
_FRACTION_BITS = 32


@dataclass(frozen=True, eq=False)
class LatentTables:
    """Rows of cumulative frequencies, one for each scale and phase, in one flat array.

    The row of scale k and phase p has the symbols r = −R..R, R = ``radii[k]``, and an escape
    symbol r = R + 1. ``cumulative[middles[16 k + p] + r]`` is the sum of the frequencies before
    r, and the row ends with 2¹⁶.
    """

    cumulative: NDArray[np.int32]
    middles: NDArray[np.int32]
    """``[1280]`` places of the symbol 0 of each row."""
    radii: NDArray[np.int32]
    """``[80]``."""


@functools.cache
def load_latent_tables(set_number: int) -> LatentTables:
    """The tables of a numbered set, made on first use in about 0.03 s.

    Raises
    ------
    VersionError
        If this release does not know the set.
    """
    if set_number != 1:
        raise VersionError(f"latent tables of set {set_number}; this release knows set 1: update i2codec")
    radii = [_radius(scale) for scale in range(SCALES)]
    survival = _survival(PHASES * (_LARGEST_RADIUS + 1))
    rows = [_rows(survival[:, scale], radius) for scale, radius in enumerate(radii)]
    lengths = np.repeat([2 * radius + 3 for radius in radii], PHASES)
    middles = np.cumsum(lengths) - lengths + np.repeat(radii, PHASES)
    arrays = (np.concatenate([row.ravel() for row in rows]), middles, np.array(radii))
    return LatentTables(*(array.astype(np.int32) for array in arrays))


def _radius(scale: int) -> int:
    """min(255, max(2, ⌈10 b⌉)): the smallest R from 2 on with 10 · 2^(k/8 − 4) ≤ R."""
    return next(r for r in range(2, _LARGEST_RADIUS + 1) if r == _LARGEST_RADIUS or 10**8 << scale <= (16 * r) ** 8)


def _survival(last: int) -> NDArray[np.int64]:
    """e^(−n / 16b) for n = 0 to ``last`` and each scale, ``[last + 1, 80]``, with 32 fractional bits."""
    with decimal.localcontext(decimal.Context(prec=50)):
        eighth = 1 / decimal.Decimal(2).sqrt().sqrt().sqrt()
        ratios = [(-(eighth**scale)).exp() for scale in range(SCALES)]  # 1/(16 b) is 2^(−k/8)
        ratio = np.array([int((2**_FRACTION_BITS * r).to_integral_value()) for r in ratios], dtype=np.uint64)
    powers = np.empty((last + 1, SCALES), dtype=np.uint64)
    powers[0] = 2**_FRACTION_BITS
    for n in range(last):  # below 2⁶⁴: powers[n] ≤ 2³², ratio < 2³²
        powers[n + 1] = (powers[n] * ratio) >> np.uint64(_FRACTION_BITS)
    return powers.astype(np.int64)


def _rows(survival: NDArray[np.int64], radius: int) -> NDArray[np.int64]:
    """Cumulative frequencies ``[16, 2R + 3]`` of one scale, from its survival function."""
    symbols = 2 * radius + 2
    # Symbol r holds what lies from r − 1/2 to r + 1/2; its lower edge is (16 r − phase)/16 above the mean.
    edges = PHASES * np.arange(-radius, radius + 2) - np.arange(PHASES)[:, None]
    tails = survival[np.abs(edges)]
    below = np.where(edges <= 0, tails, (2 << _FRACTION_BITS) - tails)  # of 2³³
    # Each symbol has one part of 2¹⁶ to itself; the others are shared out by probability. What
    # lies beyond both ends is left to the escape symbol.
    shared = ((2**TOTAL_BITS - symbols) * (below - below[:, :1])) >> (_FRACTION_BITS + 1)
    inner = np.arange(symbols) + shared
    return np.concatenate([inner, np.full((PHASES, 1), 2**TOTAL_BITS)], axis=1)
