"""Frozen integer frequency tables, numbered, shipped with the package.

A table covers the integers −R..R and an escape symbol; its frequencies are integers that sum
to 2¹⁶. The tables of a released set never change: files name them by set and number. How
they were made is recorded in ``benchmarks/freeze_tables.py``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import VersionError

TOTAL_BITS = 16
LARGEST_MAGNITUDE = 2**24 - 1
"""Largest |integer| that can be coded, by escape; the quantiser stays below it."""


@dataclass(frozen=True, eq=False)
class Table:
    """Frequencies of ``2R + 2`` symbols: symbol i < 2R + 1 is the integer i − R, the last escapes."""

    radius: int
    frequencies: NDArray[np.int64]

    @functools.cached_property
    def magnitude_bits(self) -> NDArray[np.float64]:
        """Ideal code length in bits of each magnitude 0..R, and of the escape symbol last."""
        return TOTAL_BITS - np.log2(self.frequencies[self.radius :].astype(np.float64))

    def rate_bits(self, magnitudes: NDArray[np.int64], counts: NDArray[np.int64]) -> float:
        """Ideal code length in bits of integers given as distinct ``magnitudes`` and their ``counts``."""
        return float(counts @ self.bits(magnitudes))

    def bits(self, magnitudes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Ideal code length in bits of one integer of each of ``magnitudes``."""
        inside = magnitudes <= self.radius
        bits = self.magnitude_bits[np.where(inside, magnitudes, self.radius + 1)]
        excess = np.where(inside, 1, magnitudes - self.radius)
        # Escaped: sign, length and mantissa of the excess, see coder.Coder.
        escape_bits = 1.0 + LENGTH_BITS + np.floor(np.log2(excess))
        total: NDArray[np.float64] = bits + np.where(inside, 0.0, escape_bits)
        return total


_SETS = (1, 2)
LENGTH_BITS = 5
"""Bits that code the bit length of an escaped excess."""


@functools.cache
def load_tables(set_number: int) -> tuple[Table, ...]:
    """The tables of a numbered set.

    Raises
    ------
    VersionError
        If this release does not carry the set.
    """
    if set_number not in _SETS:
        carried = " and ".join(map(str, _SETS))
        raise VersionError(f"entropy tables of set {set_number}; this release carries sets {carried}: update i2codec")
    with resources.files("i2codec.entropy").joinpath("tables", f"set_{set_number}.npz").open("rb") as stream:
        stored = np.load(stream, allow_pickle=False)
        radii, escapes, flat = (stored[key].astype(np.int64) for key in ("radius", "escape", "frequencies"))
    tables = []
    ends = np.cumsum(radii + 1)
    for radius, escape, end in zip(radii, escapes, ends, strict=True):
        half = flat[end - radius - 1 : end]
        tables.append(Table(int(radius), np.concatenate([half[:0:-1], half, [escape]])))
    return tuple(tables)


def cheapest_table(integers: NDArray[np.int64], tables: tuple[Table, ...]) -> tuple[int, float]:
    """Number of the table that codes ``integers`` in the fewest bits, and those bits."""
    magnitudes, counts = np.unique(np.abs(integers), return_counts=True)
    if (magnitudes < _COMMON_MAGNITUDES).all():
        rates = _common_bits(tables)[:, magnitudes] @ counts
    else:
        rates = np.array([table.rate_bits(magnitudes, counts) for table in tables])
    best = int(np.argmin(rates))
    return best, float(rates[best])


_COMMON_MAGNITUDES = 1024


@functools.cache
def _common_bits(tables: tuple[Table, ...]) -> NDArray[np.float64]:
    """Bits ``[tables, magnitudes]`` of one integer: a search for steps asks for them thousands of times."""
    return np.stack([table.bits(np.arange(_COMMON_MAGNITUDES)) for table in tables])
