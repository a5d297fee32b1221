"""Distortion and PSNR of decoded samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.signal.colour import channel_weights, to_fitted, transform_for
from i2codec.signal.description import SignalDescription


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
    weights = channel_weights(description.channels).astype(np.float64)
    error = to_fitted(target, transform).astype(np.float64) - to_fitted(decoded, transform)
    per_channel = np.mean(error**2, axis=tuple(range(error.ndim - 1)))
    return float(per_channel @ weights)


def psnr_db(distortion_value: float) -> float:
    """Peak signal-to-noise ratio of a distortion in the unit range, in dB.

    >>> round(psnr_db(0.01), 6)
    20.0
    """
    return math.inf if distortion_value == 0 else -10.0 * math.log10(distortion_value)
