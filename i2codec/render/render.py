"""A stored signal rendered at any size, whole or in part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.devices import choose_device
from i2codec.errors import FormatError, LimitError, OptionError
from i2codec.payload.file import StoredSignal
from i2codec.render.chunks import render_windows
from i2codec.render.evaluator import evaluator
from i2codec.render.window import area_filter, scaled_window, source_window
from i2codec.signal.colour import from_fitted
from i2codec.signal.grid import half_extents
from i2codec.signal.signal import Signal


def scaled_extents(extents: Sequence[int], scale: float) -> tuple[int, ...]:
    """Extents times ``scale``, rounded, at least 1 each.

    Raises
    ------
    OptionError
        If the scale is not finite and above 0.
    """
    if not (scale > 0 and math.isfinite(scale * max(extents))):
        raise OptionError(f"scale {scale}; expected a finite number above 0")
    return tuple(max(1, math.floor(extent * scale + 0.5)) for extent in extents)


def render_signal(
    stored: StoredSignal,
    *,
    extents: Sequence[int] | None = None,
    region: Sequence[tuple[int, int]] | None = None,
    device: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> Signal:
    """The decoded signal on a grid of ``extents`` samples per axis.

    An axis that goes up is rendered at the size asked for, one that goes down at its native
    size and area-filtered.

    Parameters
    ----------
    stored:
        What the file holds.
    extents:
        Samples per axis of the whole; ``None`` is the native size.
    region:
        Start and length per axis, in native samples; ``None`` is all.
    device:
        ``auto``, ``cpu`` or ``cuda``.
    limits:
        ``max_points`` bounds the grid that is rendered.

    Raises
    ------
    OptionError
        If the region does not lie inside the signal, or an option is out of range.
    LimitError
        If the grid has more points than the limit.
    FormatError
        If the samples are not finite, which no encoder's file does.
    """
    description, network = stored.description, stored.network
    native = description.extents
    wanted = native if extents is None else tuple(extents)
    parts = [(0, extent) for extent in native] if region is None else list(region)
    if len(wanted) != len(native) or len(parts) != len(native):
        raise OptionError(f"{len(wanted)} extents and {len(parts)} ranges for a signal of {len(native)} axes")
    windows = [
        scaled_window(native=extent, count=count, start=start, length=length)
        for extent, count, (start, length) in zip(native, wanted, parts, strict=True)
    ]
    sources = [source_window(window, native=extent) for window, extent in zip(windows, native, strict=True)]
    if math.prod(source.size for source in sources) > limits.max_points:
        sizes = " × ".join(str(source.size) for source in sources)
        raise LimitError(f"a grid of {sizes} points; the limit is {limits.max_points}: ask for less")
    evaluate = evaluator(network.dequantised(), device=choose_device(device))
    with np.errstate(over="ignore", invalid="ignore"):  # reported below, for all devices alike
        samples = render_windows(
            evaluate,
            sources,
            half_extents=half_extents(description.axes),
            channel_count=len(description.channels),
        )
    if not np.isfinite(samples).all():
        raise FormatError("the file decodes to samples that are not finite")
    for axis, (source, window) in enumerate(zip(sources, windows, strict=True)):
        samples = area_filter(samples, axis=axis, source=source, window=window)
    axes = tuple(
        replace(axis, extent=window.size, step=axis.step * Fraction(axis.extent, window.count))
        for axis, window in zip(description.axes, windows, strict=True)
    )
    return Signal(
        replace(description, axes=axes), from_fitted(samples, network.colour_transform), dict(stored.metadata)
    )
