"""Distortion and PSNR of decoded samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.signal.colour import channel_weights, to_fitted, transform_for
from i2codec.signal.description import SignalDescription

_BLOCK_POINTS = 2**18  # bounds the float64 copies, whatever the size of the signal


def distortion(*, target: NDArray[np.float32], decoded: NDArray[np.float32], description: SignalDescription) -> float:
    """Distortion of unit-range samples ``[*grid, C]``.

    The mean squared error over colour channels, premultiplied where there is alpha, plus
    the mean squared error of alpha.

    Raises
    ------
    OptionError
        If the shapes differ.
    """
    if target.shape != decoded.shape:
        raise OptionError(f"cannot compare samples of shape {target.shape} with {decoded.shape}; sizes must be equal")
    transform = transform_for(description)
    channel_count = len(description.channels)
    targets, candidates = target.reshape(-1, channel_count), decoded.reshape(-1, channel_count)
    squared = np.zeros(channel_count)
    for first in range(0, len(targets), _BLOCK_POINTS):
        block = slice(first, first + _BLOCK_POINTS)
        error = to_fitted(targets[block], transform).astype(np.float64) - to_fitted(candidates[block], transform)
        squared += np.sum(error**2, axis=0)
    return float(squared / len(targets) @ channel_weights(description.channels).astype(np.float64))


def psnr_db(distortion_value: float) -> float:
    """Peak signal-to-noise ratio of a distortion in the unit range, in dB.

    >>> round(psnr_db(0.01), 6)
    20.0
    """
    return math.inf if distortion_value == 0 else -10.0 * math.log10(distortion_value)
