"""Turning pairs of channels, so that one of each pair has most of what both have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError

TURN_COUNT = 32
"""A turn is a whole number of 32nds of π."""


def channels_turned(channels: NDArray[np.float64], turns: Sequence[int], *, back: bool = False) -> NDArray[np.float64]:
    """Channels ``[C, ...]`` with every two in a row turned as a plane, or turned ``back``.

    The last of an odd number stays as it is. Raises :class:`OptionError` if there are not as many turns as pairs.
    """
    if len(turns) != len(channels) // 2:
        raise OptionError(f"{len(turns)} turns for {len(channels)} channels; expected one for each pair")
    result = channels.copy()
    for pair, turn in enumerate(turns):
        angle = np.pi * turn / TURN_COUNT * (-1.0 if back else 1.0)
        first, second = channels[2 * pair], channels[2 * pair + 1]
        result[2 * pair] = np.cos(angle) * first + np.sin(angle) * second
        result[2 * pair + 1] = np.cos(angle) * second - np.sin(angle) * first
    return result
