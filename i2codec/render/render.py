"""A stored signal rendered on any grid, whole, in part, or piece by piece."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.devices import choose_device
from i2codec.errors import FormatError, LimitError, OptionError
from i2codec.payload.file import StoredSignal
from i2codec.payload.stored_grid import StoredGrid, StoredLattice
from i2codec.render.axis_grid import AxisGrid, StampedGrid
from i2codec.render.chunks import CHUNK_SHAPES, AxisSamples, render_windows
from i2codec.render.evaluator import evaluator
from i2codec.render.positions import AxisPositions
from i2codec.render.window import Window, area_filter, low_pass, low_pass_source, source_window
from i2codec.signal.colour import from_fitted
from i2codec.signal.description import Axis, AxisName, SignalDescription
from i2codec.signal.grid import half_extents
from i2codec.signal.signal import Signal
from i2codec.signal.timestamps import TimeStamps

if TYPE_CHECKING:
    from i2codec.render.grid_render import GridRenderer
    from i2codec.render.lattice_render import LatticeRenderer

_PIECE_POINTS = 2**18  # bounds the memory of a piece, unless one chunk along the first axis is larger


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
    rate: Fraction | None = None,
    region: Sequence[tuple[int, int]] | None = None,
    device: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> Signal:
    """The decoded signal on a grid; parameters and errors as for :class:`Rendering`."""
    return Rendering(stored, extents=extents, rate=rate, region=region, device=device, limits=limits).signal()


class Rendering:
    """A stored signal on a grid of its own.

    Along space, an axis that goes up is rendered at the size asked for, one that goes down at its
    native size and area-filtered. Sound that goes down is low-pass filtered. Frames of a video
    are moments of the field.
    """

    def __init__(
        self,
        stored: StoredSignal,
        *,
        extents: Sequence[int] | None = None,
        rate: Fraction | None = None,
        region: Sequence[tuple[int, int]] | None = None,
        device: str = "auto",
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Lay out the grid; nothing is rendered yet.

        Parameters
        ----------
        stored:
            What the file holds.
        extents:
            Samples per axis of the whole; ``None`` is the native size.
        rate:
            Samples or frames per second along the time axis, in place of its extent.
        region:
            Start and length per axis, in native samples; ``None`` is all.
        device:
            ``auto``, ``cpu`` or ``cuda``.
        limits:
            ``max_points`` bounds what is rendered at once.

        Raises
        ------
        OptionError
            If the region does not lie inside the signal, or an option is out of range.
        """
        self._stored, self._limits, self._device = stored, limits, choose_device(device)
        network = stored.networks[0] if stored.grid is None else stored.grid.network
        self._colour_transform = network.colour_transform
        native = stored.description.extents
        wanted = native if extents is None else tuple(extents)
        parts = [(0, extent) for extent in native] if region is None else list(region)
        if len(wanted) != len(native) or len(parts) != len(native):
            raise OptionError(f"{len(wanted)} extents and {len(parts)} ranges for a signal of {len(native)} axes")
        grids = [AxisGrid.of_count(native=extent, count=count) for extent, count in zip(native, wanted, strict=True)]
        if rate is not None:
            grids[0] = _at_rate(stored, rate)
        self._grids = grids
        self._windows = [
            grid.window(start=start, length=length) for grid, (start, length) in zip(grids, parts, strict=True)
        ]
        self._axes = tuple(map(self._axis, stored.description.axes, grids, self._windows))
        self.timestamps = self._native_timestamps() if rate is None else None
        self.description: SignalDescription = replace(stored.description, axes=self._axes)
        """What is rendered."""

    @property
    def window(self) -> Window:
        """What is rendered of the first axis."""
        return self._windows[0]

    def signal(self) -> Signal:
        """All of it; raises as :meth:`samples`."""
        return Signal(self.description, self.samples(self.window), dict(self._stored.metadata), self.timestamps)

    def pieces(self) -> Iterator[NDArray[np.float32]]:
        """The samples in order, cut along the first axis into pieces ``[n, *rest, C]`` of bounded size."""
        side = self._chunk_side
        rest = math.prod(plan.source.size for plan in self._plans(self.window)[1:])
        step = side * max(1, _PIECE_POINTS // (side * rest))
        for unit in range(self._stored.segments.count):
            first, stop = self._unit_samples(unit)
            for start in range(first, stop, step):  # pieces start at chunks, so no chunk is rendered twice
                low, high = max(start, self.window.start), min(start + step, stop, self.window.stop)
                if low < high:
                    yield self.samples(Window(self.window.count, low, high))

    @property
    def _chunk_side(self) -> int:
        """Samples of a chunk along the first axis.

        Chunks of a grid field are of native samples: where the sizes leave a fraction, it is left
        out, and pieces share the chunks at their ends.
        """
        if not isinstance(self._stored.grid, StoredGrid):
            return CHUNK_SHAPES[len(self._windows)][0]
        from i2codec.render.grid_render import GRID_CHUNK_SHAPES

        return max(1, math.floor(GRID_CHUNK_SHAPES[len(self._windows)][0] / self._grids[0].ratio))

    def samples(self, window: Window) -> NDArray[np.float32]:
        """Samples ``[n, *rest, C]`` of a part of the first axis, in their unit range.

        Raises
        ------
        LimitError
            If more points than the limit would be rendered.
        FormatError
            If the samples are not finite, which no encoder's file does.
        """
        plans = self._plans(window)
        if math.prod(plan.source.size for plan in plans) > self._limits.max_points:
            sizes = " × ".join(str(plan.source.size) for plan in plans)
            raise LimitError(f"a grid of {sizes} points; the limit is {self._limits.max_points}: ask for less")
        fitted = np.concatenate(list(self._units(plans)))
        if not np.isfinite(fitted).all():
            raise FormatError("the file decodes to samples that are not finite")
        for axis, plan in enumerate(plans):
            fitted = plan.reduce(fitted, axis)
        return from_fitted(fitted, self._colour_transform)

    def _plans(self, window: Window) -> list[_AxisPlan]:
        """How each axis is rendered for a part of the first one."""
        axes = self._stored.description.axes
        return [
            _plan(grid, part, is_space=axis.name is not AxisName.TIME, is_sound=len(axes) == 1)
            for axis, grid, part in zip(axes, self._grids, (window, *self._windows[1:]), strict=True)
        ]

    def _units(self, plans: Sequence[_AxisPlan]) -> Iterator[NDArray[np.float32]]:
        """Fitted channels on the plans' source windows, unit by unit."""
        stored, source = self._stored, plans[0].source
        if isinstance(stored.grid, StoredLattice):
            yield self._lattice_renderer.render(plans[0].grid, source)
            return
        if stored.grid is not None:
            positions = [AxisPositions.of_grid(plan.grid, plan.source) for plan in plans]
            with np.errstate(over="ignore", invalid="ignore"):  # as below
                yield self._grid_renderer.render(positions)
            return
        for unit in range(stored.segments.count):
            first, stop = self._unit_samples(unit, plans[0].grid)
            low, high = max(first, source.start), min(stop, source.stop)
            if low >= high:
                continue
            start, end = stored.segments.bounds(unit)
            bounds = [(start, end - start), *((0, extent) for extent in stored.description.extents[1:])]
            halves = half_extents(stored.unit_description(unit).axes)
            axes = [
                AxisSamples(
                    plan.source if axis else Window(source.count, low, high),
                    functools.partial(plan.grid.coordinates, start=begin, length=length, half_extent=half),
                    origin=0 if axis else first,
                )
                for axis, (plan, (begin, length), half) in enumerate(zip(plans, bounds, halves, strict=True))
            ]
            evaluate = evaluator(stored.networks[unit].dequantised(), device=self._device)
            with np.errstate(over="ignore", invalid="ignore"):  # reported by the caller, for all devices alike
                yield render_windows(evaluate, axes, channel_count=len(stored.description.channels))

    @functools.cached_property
    def _grid_renderer(self) -> GridRenderer:
        from i2codec.render.grid_render import GridRenderer  # torch, which a coordinate field does without

        grid = self._stored.grid
        assert isinstance(grid, StoredGrid)
        extents = self._stored.description.extents
        return GridRenderer(grid.synthesis(), grid.latents, extents=extents, device=self._device)

    @functools.cached_property
    def _lattice_renderer(self) -> LatticeRenderer:
        from i2codec.render.lattice_render import LatticeRenderer  # as above

        stored = self._stored
        assert isinstance(stored.grid, StoredLattice)
        channel_count = len(stored.description.channels)
        return LatticeRenderer(stored.grid, segments=stored.segments, channel_count=channel_count, device=self._device)

    def _unit_samples(self, unit: int, grid: AxisGrid | None = None) -> tuple[int, int]:
        """First sample of a unit on a grid along the first axis, and the one after its last."""
        grid = grid or self._grids[0]
        start, stop = self._stored.segments.bounds(unit)
        return grid.first_at(start), grid.first_at(stop)

    def _axis(self, axis: Axis, grid: AxisGrid, window: Window) -> Axis:
        return replace(axis, extent=window.size, step=axis.step * grid.ratio)

    def _native_timestamps(self) -> TimeStamps | None:
        """Time stamps of the frames in the window, from 0; ``None`` where there are none or frames are interpolated."""
        stamps, window = self._stored.timestamps, self.window
        if stamps is None or window.count != stamps.frame_count:
            return None
        first = stamps.ticks[window.start]
        return TimeStamps(
            stamps.time_base, tuple(tick - first for tick in stamps.ticks[window.start : window.stop + 1])
        )


@dataclass(frozen=True)
class _AxisPlan:
    """How one axis is rendered: samples ``source`` of ``grid``, then filtered by ``reduce(samples, axis)``."""

    grid: AxisGrid
    source: Window
    reduce: Callable[[NDArray[np.float32], int], NDArray[np.float32]]


def _plan(grid: AxisGrid, window: Window, *, is_space: bool, is_sound: bool) -> _AxisPlan:
    native = AxisGrid.of_count(native=grid.native, count=grid.native)
    if grid.ratio > 1 and is_space:
        source = source_window(window, native=grid.native)
        return _AxisPlan(native, source, functools.partial(_area_filtered, source=source, window=window))
    if grid.ratio > 1 and is_sound:
        offset = grid.first - native.first
        source = low_pass_source(window, native=grid.native, ratio=grid.ratio, offset=offset)
        return _AxisPlan(
            native,
            source,
            lambda samples, axis: low_pass(samples, ratio=grid.ratio, offset=offset, source=source, window=window),
        )
    return _AxisPlan(grid, window, lambda samples, axis: samples)


def _area_filtered(samples: NDArray[np.float32], axis: int, *, source: Window, window: Window) -> NDArray[np.float32]:
    return area_filter(samples, axis=axis, source=source, window=window)


def _at_rate(stored: StoredSignal, rate: Fraction) -> AxisGrid:
    axis = stored.description.axes[0]
    if axis.name is not AxisName.TIME:
        raise OptionError(f"a rate for a {stored.description.kind.name.lower()}; expected a sound or video")
    if rate <= 0:
        raise OptionError(f"rate {rate} per second; expected more than 0")
    if stored.timestamps is not None:
        return StampedGrid.of_rate(stored.timestamps, rate=rate)
    ratio = 1 / (axis.step * rate)
    return AxisGrid.of_ratio(native=axis.extent, ratio=ratio, centred=len(stored.description.axes) > 1)
