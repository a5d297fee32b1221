"""What is fitted in place of the samples, and the weight of each channel's error.

Alpha is fitted beside *premultiplied* colour, because that is how colour is compared: the
colour of a fully transparent pixel is worth no bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from i2codec.signal.description import ChannelRole, SignalDescription

# Below half a step of 8-bit opacity a pixel is invisible and its colour undefined.
_LEAST_VISIBLE_ALPHA = 0.5 / 255.0
_OPACITY_MARGIN = np.float32(0.08)


class ColourTransform(IntEnum):
    """How fitted channels relate to the samples; the values are ids of the file format."""

    NONE = 0
    PREMULTIPLIED = 1


def transform_for(description: SignalDescription) -> ColourTransform:
    """The transform that the encoder uses for a signal."""
    return ColourTransform.PREMULTIPLIED if description.has_alpha else ColourTransform.NONE


def to_fitted(samples: NDArray[np.float32], transform: ColourTransform) -> NDArray[np.float32]:
    """Fitted channels ``[..., C]`` of samples ``[..., C]``."""
    if transform is ColourTransform.NONE:
        return samples
    colour, alpha = samples[..., :-1], samples[..., -1:]
    return np.concatenate([colour * alpha, alpha], axis=-1)


def from_fitted(fitted: NDArray[np.float32], transform: ColourTransform) -> NDArray[np.float32]:
    """Samples ``[..., C]`` of fitted channels; the inverse of :func:`to_fitted` up to clipping."""
    if transform is ColourTransform.NONE:
        return fitted
    alpha = np.clip(fitted[..., -1:], 0.0, 1.0)
    visible = alpha >= _LEAST_VISIBLE_ALPHA
    colour = np.where(visible, fitted[..., :-1] / np.where(visible, alpha, 1.0), 0.0)
    return np.concatenate([np.clip(colour, 0.0, 1.0), alpha], axis=-1).astype(np.float32)


def with_opacity_margin(fitted: NDArray[np.float32], transform: ColourTransform) -> NDArray[np.float32]:
    """``fitted`` ``[..., C]`` with an alpha beyond 0 and 1 where a partly transparent photo has 0 or 1.

    What is fitted to it lies beyond them too, but for some samples at edges, and decodes to exactly
    transparent and exactly opaque, since alpha is clipped.
    """
    if transform is not ColourTransform.PREMULTIPLIED or np.ptp(fitted[..., -1]) == 0.0:
        return fitted
    alpha = fitted[..., -1:]
    return np.concatenate([fitted[..., :-1], alpha + _OPACITY_MARGIN * (np.float32(alpha == 1.0) - (alpha == 0.0))], -1)


def channel_weights(channels: Sequence[ChannelRole]) -> NDArray[np.float32]:
    """Weights ``[C]`` of the channels' mean squared errors in the distortion.

    The mean over colour channels, plus the error of alpha (the design's definition).
    """
    is_alpha = np.array([role is ChannelRole.ALPHA for role in channels])
    colour_count = max(1, int((~is_alpha).sum()))
    return np.where(is_alpha, 1.0, 1.0 / colour_count).astype(np.float32)
