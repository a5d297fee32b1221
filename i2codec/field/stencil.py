"""Stencils: the neighbour offsets, in native samples, that the layer reads, and what bounds it."""

from __future__ import annotations

import itertools
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stencil(IntEnum):
    """Neighbours that F reads beside the point itself. The values are ids of the file format."""

    POINTWISE = 1
    CROSS = 2
    FULL = 3

    def offsets(self, axis_count: int) -> tuple[tuple[int, ...], ...]:
        """Offsets of the taps, per axis −1, 0 or 1, in the order of the file (last axis fastest).

        >>> Stencil.CROSS.offsets(2)
        ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))
        """
        every = itertools.product((-1, 0, 1), repeat=axis_count)
        most = {Stencil.POINTWISE: 0, Stencil.CROSS: 1, Stencil.FULL: axis_count}[self]
        return tuple(offset for offset in every if sum(map(abs, offset)) <= most)

    @property
    def radius(self) -> int:
        """Farthest neighbour along an axis."""
        return 0 if self is Stencil.POINTWISE else 1


def sup_norm(taps: NDArray[np.float32]) -> float:
    """Norm of z ↦ A ⋆ z in the sup norm: the largest Σ|A| of a row of ``taps`` ``[S, S, taps]``.

    Whatever lies outside the domain repeats the edge, which averages no more than the inside, so
    the bound holds at edges too. Infinite where a weight is not finite.
    """
    sums = np.abs(taps.astype(np.float64)).sum(axis=(1, 2))
    return float(sums.max()) if np.isfinite(sums).all() else float("inf")


def apply_stencil(
    taps: NDArray[np.float32], z: NDArray[np.float32], offsets: tuple[tuple[int, ...], ...]
) -> NDArray[np.float32]:
    """A ⋆ z ``[S, *grid]`` of states ``[S, *grid]``; outside the grid they repeat its edge."""
    padded = np.pad(z, [(0, 0), *[(1, 1)] * (z.ndim - 1)], mode="edge")
    result = np.zeros((taps.shape[0], *z.shape[1:]), dtype=np.float32)
    for tap, offset in enumerate(offsets):
        window = tuple(slice(1 + step, 1 + step + extent) for step, extent in zip(offset, z.shape[1:], strict=True))
        result += np.tensordot(taps[:, :, tap], padded[(slice(None), *window)], axes=1)
    return result
