"""Noise in place of what is rounded to 0: in which bands it lies, how loud it is, and which it is.

A band that is left silent is heard as a hole, and noise of its power is not: Herre, Schulz, "Extending
the MPEG-4 AAC Codec by Perceptual Noise Substitution", AES Convention 104, 1998. Here every column
that is 0 gets noise at the level of its band and cell.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

BAND_EDGES_HZ = (
    0, 100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400,
    7700, 9500, 12000, 15500,
)  # fmt: skip
"""Critical bands of hearing: Zwicker, "Subdivision of the Audible Frequency Range into Critical Bands", JASA 33, 1961.

The last one ends where the spectrum ends.
"""
LARGEST_LEVEL = 24
_UNIFORM_PEAK = math.sqrt(3.0)  # of noise of power 1


def band_edges(cell_length: int, *, sample_step: Fraction) -> NDArray[np.int64]:
    """First columns of the bands, and the number of columns; bands without a column are left out.

    ``sample_step`` is the distance of samples in seconds.
    """
    columns = [
        min(cell_length, math.floor(edge * 2 * cell_length * sample_step + Fraction(1, 2))) for edge in BAND_EDGES_HZ
    ]
    return np.unique(np.array([*columns, cell_length], dtype=np.int64))


def noise(levels: NDArray[np.int32], edges: NDArray[np.int64], *, unit: int, channel: int) -> NDArray[np.float64]:
    """Noise ``[cells, M]`` in units of the steps of its columns, for levels ``[cells, bands]`` of a channel.

    Level 0 is none; level L ≥ 1 has the root mean square 2^((L − 25)/2).
    """
    loudness = np.where(levels > 0, np.exp2(0.5 * (levels - (LARGEST_LEVEL + 1))), 0.0)
    columns = np.repeat(loudness, np.diff(edges), axis=1)
    return columns * _UNIFORM_PEAK * _uniform(columns.shape, unit=unit, channel=channel)


def filled(
    amplitudes: NDArray[np.float64],
    levels: NDArray[np.int32],
    *,
    steps: NDArray[np.float64],
    edges: NDArray[np.int64],
    unit: int,
) -> NDArray[np.float64]:
    """Amplitudes ``[C, cells, M]`` of a unit, with noise where they are 0; ``steps`` ``[M]`` are of the columns."""
    noises = [steps * noise(each, edges, unit=unit, channel=channel) for channel, each in enumerate(levels)]
    return np.where(amplitudes == 0.0, np.stack(noises), amplitudes)


def _uniform(shape: tuple[int, ...], *, unit: int, channel: int) -> NDArray[np.float64]:
    """Numbers from −1 to 1 that follow from where they are alone."""
    cells, columns = (np.arange(extent, dtype=np.uint32) for extent in shape)
    key = _mixed(np.array([unit * 8 + channel], dtype=np.uint32))
    rows = _mixed(key + cells)
    return (_mixed(rows[:, None] + columns) >> np.uint32(8)).astype(np.float64) / 2.0**23 - 1.0


def _mixed(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A bijection of 32 bits without visible pattern: Wellons, "Prospecting for Hash Functions", 2018, lowbias32."""
    mixed = values.copy()
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x7FEB352D)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x846CA68B)
    mixed ^= mixed >> np.uint32(16)
    return mixed
