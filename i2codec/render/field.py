"""A decoded file as a function of coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from i2codec.errors import OptionError
from i2codec.payload.file import StoredSignal
from i2codec.render.render import render_signal
from i2codec.signal.description import SignalDescription
from i2codec.signal.grid import grid_coordinates, half_extents, sample_centres
from i2codec.signal.signal import Signal

if TYPE_CHECKING:
    from torch import Tensor

    from i2codec.field.module import ImplicitField

Floats = TypeVar("Floats", NDArray[np.float32], NDArray[np.float64])

_BLOCK_POINTS = 16384  # bounds the memory of states, whatever the number of coordinates
_DERIVATIVE_BLOCK_POINTS = 1024  # second derivatives carry d² + d more float64 states


class Field:
    """Φ(x) = W z* + b of a file, callable on coordinates.

    Coordinates are positions in the signal's domain, in axis order (photos: y, x). The longest
    axis spans −1..1 and the other keeps its aspect; sample ``j`` of ``m`` lies at
    ``e · ((2j + 1)/m − 1)``, with half extents ``e`` in :attr:`half_extents`. Outside the
    domain Φ is defined but was not fitted. Outputs are the fitted channels: colour in 0..1,
    premultiplied where there is alpha.
    """

    def __init__(self, stored: StoredSignal) -> None:
        """Wrap what a file holds."""
        self._stored = stored
        self._network = stored.network.dequantised()

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
        return self._in_blocks(self._network.evaluate, x)

    def state(self, x: ArrayLike) -> NDArray[np.float32]:
        """State z ``[N, w]`` after the file's K steps, at coordinates ``[N, d]``."""
        return self._in_blocks(self._network.state, x)

    def residual(self, x: ArrayLike) -> NDArray[np.float32]:
        """‖F(z; x) − z‖ ``[N]`` at that state: how far it is from the fixed point."""
        return self._in_blocks(self._network.residual, x)

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

    def to_torch(self) -> ImplicitField:
        """The field as a :class:`torch.nn.Module`: coordinates ``[N, d]`` → Φ ``[N, C]``."""
        from i2codec.field.module import ImplicitField

        return ImplicitField.from_stored(self._network)

    def _in_blocks(self, function: Callable[[NDArray[np.float64]], Floats], x: ArrayLike) -> Floats:
        points = self._checked(x)
        blocks = [
            function(points[first : first + _BLOCK_POINTS]) for first in range(0, max(1, len(points)), _BLOCK_POINTS)
        ]
        return np.concatenate(blocks)

    def _checked(self, x: ArrayLike) -> NDArray[np.float64]:
        points = np.asarray(x, dtype=np.float64)
        axis_count = len(self.half_extents)
        if points.ndim != 2 or points.shape[1] != axis_count or not np.isfinite(points).all():
            raise OptionError(f"coordinates of shape {points.shape}; expected finite numbers [N, {axis_count}]")
        return points

    def _derivatives(self, x: ArrayLike, *, order: int) -> NDArray[np.float64]:
        """All derivatives of Φ of an order, by automatic differentiation through the K steps."""
        import torch

        module = self.to_torch().double().requires_grad_(False)

        def differentiate(points: NDArray[np.float64]) -> NDArray[np.float64]:
            point = torch.from_numpy(points).requires_grad_()
            values = module(point)
            for _ in range(order):
                values = _gradients(values, point)
            result: NDArray[np.float64] = values.detach().numpy()
            return result

        return self._in_blocks(differentiate, x)


def _gradients(values: Tensor, x: Tensor) -> Tensor:
    """∂values/∂x ``[N, *rest, d]`` of values ``[N, *rest]``, whose rows depend on their own x ``[N, d]`` only."""
    import torch

    components = [
        torch.autograd.grad(component.sum(), x, create_graph=True, materialize_grads=True)[0]
        for component in values.flatten(start_dim=1).unbind(dim=1)
    ]
    return torch.stack(components, dim=1).reshape(*values.shape, x.shape[1])
