"""What part of a stored signal is decoded, and how finely."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from i2codec.errors import OptionError
from i2codec.payload.file import StoredSignal
from i2codec.render.render import scaled_extents
from i2codec.signal.description import Kind

_USES = {
    Kind.PHOTO: ("scale", "size", "region"),
    Kind.SOUND: ("rate", "start", "duration"),
    Kind.VIDEO: ("scale", "size", "region", "fps", "rate", "start", "duration"),  # the rate is its sound's
    Kind.SHAPE: ("scale", "resolution"),
}
LEAST_RATE = 0.01
LARGEST_RATE = 768_000
LARGEST_FPS = 1000
LARGEST_RESOLUTION = 4096


@dataclass(frozen=True)
class Grid:
    """Arguments of a rendering, see :class:`i2codec.render.render.Rendering`."""

    extents: tuple[int, ...] | None
    rate: Fraction | None
    region: tuple[tuple[int, int], ...] | None


@dataclass(frozen=True)
class Selection:
    """What is asked of a decode; ``None`` is as the source was.

    Parameters
    ----------
    scale:
        Samples per native sample along every axis of space.
    size:
        Width and height in pixels, in place of ``scale``; need not keep the aspect.
    region:
        Left, top, width and height in native pixels; the output's size is the region's times
        the scale.
    rate:
        Samples of sound per second.
    fps:
        Frames of video per second.
    start, duration:
        Part of a sound or video, in seconds.
    resolution:
        Cells along the longest axis of a shape.
    """

    scale: float | None = None
    size: tuple[int, int] | None = None
    region: tuple[int, int, int, int] | None = None
    rate: Fraction | int | float | None = None
    fps: Fraction | int | float | None = None
    start: float | None = None
    duration: float | None = None
    resolution: int | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and self.size is not None:
            raise OptionError("scale and size were both given; expected at most one of them")
        if self.scale is not None and self.resolution is not None:
            raise OptionError("scale and resolution were both given; expected at most one of them")
        if self.size is not None and min(self.size) < 1:
            raise OptionError(f"size {self.size[0]}x{self.size[1]}; expected at least 1x1")
        for name, value, largest in (("rate", self.rate, LARGEST_RATE), ("fps", self.fps, LARGEST_FPS)):
            if value is not None and not LEAST_RATE <= value <= largest:
                raise OptionError(f"{name} {value}; expected {LEAST_RATE} to {largest} per second")
        if self.start is not None and not 0 <= self.start < math.inf:
            raise OptionError(f"start {self.start} s; expected 0 or more")
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise OptionError(f"duration {self.duration} s; expected more than 0")
        if self.resolution is not None and not 2 <= self.resolution <= LARGEST_RESOLUTION:
            raise OptionError(f"resolution {self.resolution}; expected 2 to {LARGEST_RESOLUTION} cells")

    def check(self, kind: Kind) -> None:
        """Refuse what a file whose first signal is of ``kind`` has no use for.

        Raises
        ------
        OptionError
            If there is such an option; the message names it.
        """
        unused = [name for name in self.__dataclass_fields__ if getattr(self, name) is not None]
        for name in unused:
            if name not in _USES[kind]:
                uses = ", ".join(_USES[kind])
                raise OptionError(f"{name} has no meaning for a {kind.name.lower()}; it takes {uses}")

    def grid(self, stored: StoredSignal) -> Grid:
        """The grid that is asked for of one signal.

        Raises
        ------
        OptionError
            If a region or time does not lie inside the signal.
        """
        extents, kind = stored.description.extents, stored.description.kind
        if kind is Kind.SOUND:
            return Grid(None, _fraction(self.rate), self._times(stored))
        if kind is Kind.SHAPE:
            scale = self.resolution / max(extents) if self.resolution is not None else self.scale
            return Grid(None if scale is None else scaled_extents(extents, scale), None, None)
        wanted = self._picture_extents(extents[-2:])
        parts = self._picture_region(extents[-2:], kind=kind)
        if kind is Kind.PHOTO:
            return Grid(wanted, None, parts)
        times = self._times(stored) or ((0, extents[0]),)
        whole = tuple((0, extent) for extent in extents[1:])
        return Grid((extents[0], *(wanted or extents[1:])), _fraction(self.fps), (*times, *(parts or whole)))

    def _picture_extents(self, native: Sequence[int]) -> tuple[int, ...] | None:
        if self.scale is not None:
            return scaled_extents(native, self.scale)
        return None if self.size is None else (self.size[1], self.size[0])

    def _picture_region(self, native: Sequence[int], *, kind: Kind) -> tuple[tuple[int, int], ...] | None:
        if self.region is None:
            return None
        left, top, width, height = self.region
        if min(left, top) < 0 or min(width, height) < 1 or left + width > native[1] or top + height > native[0]:
            raise OptionError(
                f"region {left},{top},{width},{height} does not lie inside the {kind.name.lower()} "
                f"of {native[1]}x{native[0]}"
            )
        return (top, height), (left, width)

    def _times(self, stored: StoredSignal) -> tuple[tuple[int, int]] | None:
        """Start and length along the time axis, in native samples."""
        if self.start is None and self.duration is None:
            return None
        axis, stamps = stored.description.axes[0], stored.timestamps
        total_s = axis.extent * axis.step if stamps is None else stamps.duration
        start_s = Fraction(self.start or 0.0)
        if start_s >= total_s:
            kind = stored.description.kind.name.lower()
            raise OptionError(f"start {self.start} s; the {kind} lasts {float(total_s):.6g} s")
        stop_s = total_s if self.duration is None else min(total_s, start_s + Fraction(self.duration))
        if stamps is None:
            first = min(round(start_s / axis.step), axis.extent - 1)
            last = max(first + 1, min(axis.extent, round(stop_s / axis.step)))
        else:
            # half a tick of room both ways: a float cannot say exactly when a frame begins
            first = min(bisect_right(stamps.ticks, start_s / stamps.time_base + Fraction(1, 2)), axis.extent) - 1
            last = max(first + 1, bisect_right(stamps.ticks, stop_s / stamps.time_base - Fraction(1, 2)))
            last = min(last, axis.extent)
        return ((first, last - first),)


def _fraction(rate: Fraction | int | float | None) -> Fraction | None:
    """The rate exactly: 29.97 is 2997/100, not the double next to it."""
    return None if rate is None else Fraction(rate).limit_denominator(1_000_000)
