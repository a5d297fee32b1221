"""A decoded file as a function of coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from i2codec.errors import OptionError
from i2codec.field.stored import StoredNetwork
from i2codec.payload.file import StoredSignal
from i2codec.payload.stored_grid import StoredGrid, StoredLattice
from i2codec.render.render import render_signal
from i2codec.signal.description import SignalDescription
from i2codec.signal.grid import grid_coordinates, half_extents, sample_centres
from i2codec.signal.signal import Signal

if TYPE_CHECKING:
    from torch import Tensor

    from i2codec.field.module import ImplicitField

Float64s = NDArray[np.float64]
Floats = TypeVar("Floats", NDArray[np.float32], NDArray[np.float64])

_BLOCK_POINTS = 16384  # bounds the memory of states, whatever the number of coordinates
_DERIVATIVE_BLOCK_POINTS = 1024  # second derivatives carry d² + d more float64 states


class Field:
    """Φ(x) = W z* + b of a file, callable on coordinates.

    Coordinates are positions in the signal's domain, in axis order (photos: y, x; sounds: t;
    videos: t, y, x; shapes: z, y, x). Time spans −1..1, and so does the longest other axis, whose
    aspect the rest keep; sample ``j`` of ``m`` lies at ``e · ((2j + 1)/m − 1)``, with half extents
    ``e`` in :attr:`half_extents`. Outside the domain Φ is defined but was not fitted. Outputs are
    the fitted channels: colour in 0..1, premultiplied where there is alpha; sound in −1..1;
    occupancy, whose surface is at 0.5.

    A signal of several units has a network for each; the time of a point tells which one.

    Of a grid field Φ and :meth:`render` are there; states and derivatives are those of coordinate
    fields, whose points do not depend on their neighbours.
    """

    def __init__(self, stored: StoredSignal) -> None:
        """Wrap one signal of a file."""
        self._stored = stored

    @property
    def description(self) -> SignalDescription:
        """Axes, channels and formats of the signal."""
        return self._stored.description

    @property
    def half_extents(self) -> tuple[float, ...]:
        """Half length of each axis in coordinate units."""
        return half_extents(self.description.axes)

    def coordinates(self, extents: Sequence[int] | None = None) -> NDArray[np.float64]:
        """Coordinates ``[N, d]`` of a grid of ``extents`` samples (default: native), last axis fastest."""
        counts = self.description.extents if extents is None else tuple(extents)
        if len(counts) != len(self.half_extents) or min(counts) < 1:
            raise OptionError(f"a grid of {counts} samples; expected {len(self.half_extents)} numbers of at least 1")
        return grid_coordinates(
            [
                sample_centres(np.arange(count), count=count, half_extent=half)
                for count, half in zip(counts, self.half_extents, strict=True)
            ]
        )

    def __call__(self, x: ArrayLike) -> NDArray[np.float32]:
        """Φ ``[N, C]`` at coordinates ``[N, d]``.

        Raises
        ------
        OptionError
            If the coordinates are not finite numbers ``[N, d]``.
        """
        if self._stored.grid is not None:
            return self._on_grid(self._checked(x), self._stored.grid)
        return self._by_unit(lambda network: network.evaluate, x)

    def state(self, x: ArrayLike) -> NDArray[np.float32]:
        """State z ``[N, w]`` after the file's K steps, at coordinates ``[N, d]``.

        Raises
        ------
        OptionError
            If the coordinates lie in units of different widths, or are not finite ``[N, d]``.
        """
        return self._by_unit(lambda network: network.state, x)

    def residual(self, x: ArrayLike) -> NDArray[np.float32]:
        """‖F(z; x) − z‖ ``[N]`` at that state: how far it is from the fixed point."""
        return self._by_unit(lambda network: network.residual, x)

    def gradient(self, x: ArrayLike) -> NDArray[np.float64]:
        """First derivatives ∂Φ_c/∂x_a ``[N, C, d]``, exact for the K steps, in float64."""
        return self._derivatives(x, order=1)

    def hessian(self, x: ArrayLike) -> NDArray[np.float64]:
        """Second derivatives ∂²Φ_c/∂x_a∂x_b ``[N, C, d, d]``, exact for the K steps, in float64."""
        return self._derivatives(x, order=2)

    def render(
        self,
        extents: Sequence[int] | None = None,
        *,
        region: Sequence[tuple[int, int]] | None = None,
        device: str = "cpu",
    ) -> Signal:
        """The signal on a grid of ``extents`` samples; see :func:`i2codec.render.render.render_signal`."""
        return render_signal(self._stored, extents=extents, region=region, device=device)

    def to_torch(self, *, unit: int = 0) -> ImplicitField:
        """The field of a unit as a :class:`torch.nn.Module`: the unit's own coordinates ``[N, d]`` → Φ ``[N, C]``."""
        from i2codec.field.module import ImplicitField

        self._refuse_grid()
        return ImplicitField.from_stored(self._stored.networks[unit].dequantised())

    def _by_unit(
        self,
        function: Callable[[StoredNetwork], Callable[[Float64s], Floats]],
        x: ArrayLike,
        *,
        block_points: int = _BLOCK_POINTS,
    ) -> Floats:
        """Apply what ``function`` gives for a network to the points of its unit, in the unit's own coordinates."""
        self._refuse_grid()
        points = self._checked(x)
        segments, units = self._stored.segments, self._units_of(points)
        parts: list[tuple[NDArray[np.bool_], Floats]] = []
        for unit in np.unique(units) if len(points) else [0]:
            start, stop = segments.bounds(int(unit))
            chosen = units == unit
            local = points[chosen]
            if segments.count > 1:  # x = 2p/N − 1 over N samples is x' = 2(p − start)/n − 1 over the unit's n
                local[:, 0] = ((local[:, 0] + 1.0) * segments.extent - 2.0 * start) / (stop - start) - 1.0
            evaluate = function(self._stored.networks[int(unit)].dequantised())
            parts.append((chosen, _in_blocks(evaluate, local, block_points=block_points)))
        if len({values.shape[1:] for _, values in parts}) > 1:
            raise OptionError("the points lie in units of different widths; ask for one unit at a time")
        result: Floats = np.empty((len(points), *parts[0][1].shape[1:]), dtype=parts[0][1].dtype)
        for chosen, values in parts:
            result[chosen] = values
        return result

    def _on_grid(self, points: Float64s, grid: StoredGrid | StoredLattice) -> NDArray[np.float32]:
        """Φ of a grid field, which knows positions in native samples."""
        from i2codec.render.grid_render import GridRenderer
        from i2codec.render.lattice_render import LatticeRenderer

        extents = self.description.extents
        positions = 0.5 * (points / np.array(self.half_extents) + 1.0) * np.array(extents)
        if isinstance(grid, StoredLattice):
            channel_count = len(self.description.channels)
            renderer = LatticeRenderer(grid, segments=self._stored.segments, channel_count=channel_count)
            return renderer.at(np.clip(positions[:, 0], 0.0, float(extents[0])))
        return GridRenderer(grid.synthesis(), grid.latents, extents=extents).at(positions)

    def _refuse_grid(self) -> None:
        if self._stored.grid is not None:
            raise OptionError("states and derivatives are of coordinate fields; this file holds a grid field")

    def _units_of(self, points: Float64s) -> NDArray[np.int64]:
        """The unit ``[N]`` that each point lies in; time spans −1..1."""
        segments = self._stored.segments
        samples = 0.5 * (points[:, 0] + 1.0) * segments.extent
        return np.clip(samples // segments.length, 0, segments.count - 1).astype(np.int64)

    def _checked(self, x: ArrayLike) -> NDArray[np.float64]:
        points = np.asarray(x, dtype=np.float64)
        axis_count = len(self.half_extents)
        if points.ndim != 2 or points.shape[1] != axis_count or not np.isfinite(points).all():
            raise OptionError(f"coordinates of shape {points.shape}; expected finite numbers [N, {axis_count}]")
        return points

    def _derivatives(self, x: ArrayLike, *, order: int) -> NDArray[np.float64]:
        """All derivatives of Φ of an order, by automatic differentiation through the K steps."""
        import torch

        from i2codec.field.module import ImplicitField

        def derivatives_of(network: StoredNetwork) -> Callable[[Float64s], Float64s]:
            """All of them as a function of a unit's own coordinates."""
            module = ImplicitField.from_stored(network).double().requires_grad_(False)

            def differentiate(points: Float64s) -> Float64s:
                """By coordinates that are the unit's own."""
                point = torch.from_numpy(points).requires_grad_()
                values = module(point)
                for _ in range(order):
                    values = _gradients(values, point)
                result: Float64s = values.detach().numpy()
                return result

            return differentiate

        derivatives = self._by_unit(derivatives_of, x, block_points=_DERIVATIVE_BLOCK_POINTS)
        segments, points = self._stored.segments, np.asarray(x, dtype=np.float64)
        lengths = np.diff([segments.bounds(unit)[0] for unit in range(segments.count)] + [segments.extent])
        chain = np.ones_like(points)  # ∂(coordinate in the unit)/∂(coordinate in the signal)
        chain[:, 0] = segments.extent / lengths[self._units_of(points)]
        return derivatives * (chain[:, None] if order == 1 else chain[:, None, :, None] * chain[:, None, None, :])


def _in_blocks(function: Callable[[Float64s], Floats], points: Float64s, *, block_points: int) -> Floats:
    firsts = range(0, max(1, len(points)), block_points)
    return np.concatenate([function(points[first : first + block_points]) for first in firsts])


def _gradients(values: Tensor, x: Tensor) -> Tensor:
    """∂values/∂x ``[N, *rest, d]`` of values ``[N, *rest]``, whose rows depend on their own x ``[N, d]`` only."""
    import torch

    components = [
        torch.autograd.grad(component.sum(), x, create_graph=True, materialize_grads=True)[0]
        for component in values.flatten(start_dim=1).unbind(dim=1)
    ]
    return torch.stack(components, dim=1).reshape(*values.shape, x.shape[1])
