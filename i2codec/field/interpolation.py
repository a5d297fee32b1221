"""Reading latent grids between their nodes: a continuous kernel, as one matrix per axis.

Node i of level l covers the native samples i · 2ˡ to (i + 1) · 2ˡ and lies in their middle, so a
native position p is at node coordinate p / 2ˡ − ½.
"""

from __future__ import annotations

from enum import IntEnum
from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Kernel(IntEnum):
    """Interpolation kernels. The values are ids of the file format."""

    LANCZOS_CUBIC = 1
    """The finest level by :func:`lanczos`, all others by :func:`keys_cubic`."""


CUBIC_REACH = 2
"""Nodes on each side of a position that have a weight by :func:`keys_cubic`."""


def kernel_reach(level: int) -> int:
    """Nodes of a level on each side of a position that have a weight."""
    return 3 if level == 0 else CUBIC_REACH


def level_extents(extents: tuple[int, ...], level: int) -> tuple[int, ...]:
    """Nodes per axis of a level: as many as cover the native ``extents``."""
    return tuple(-(-extent >> level) for extent in extents)


def across_planes(box: tuple[slice, ...]) -> tuple[EllipsisType | slice, ...]:
    """Index of a box of nodes in latents ``[*planes, *nodes]``."""
    return (..., *box)


def keys_cubic(distance: Floats) -> Floats:
    """Weight of a node at a distance, in nodes; interpolates, and is 0 from 2 on."""
    t = np.abs(distance)
    near = (1.5 * t - 2.5) * t**2 + 1.0
    far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    weights: Floats = np.where(t < 1.0, near, np.where(t < 2.0, far, 0.0))
    return weights


def lanczos(distance: Floats) -> Floats:
    """Weights ``[n, taps]`` of nodes at distances, in nodes; it interpolates, and is 0 from 3 on.

    They are scaled to sum to 1 for each position. Duchon, "Lanczos Filtering in One and Two
    Dimensions", 1979. It is sharper than :func:`keys_cubic` between the samples of a photo
    (docs/grid.md); a fit is the same with either, since it reads the finest level at its nodes.
    """
    t = np.abs(distance)
    window = np.where(t < 3.0, np.sinc(t) * np.sinc(t / 3.0), 0.0)
    weights: Floats = np.where(t % 1.0 == 0.0, t == 0.0, window)  # exactly 0 at the other nodes
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def interpolation_matrix(
    positions: NDArray[np.floating], *, node_count: int, level: int, first_node: int = 0
) -> NDArray[np.float32]:
    """Weights ``[n, m]`` of the nodes of a level at native ``positions`` ``[n]`` along one axis.

    ``node_count`` is the number m of nodes at hand, from ``first_node`` on; nodes before and after
    them repeat the first and the last.
    """
    nodes, weights = interpolation_taps(positions, node_count=node_count, level=level, first_node=first_node)
    matrix = np.zeros((len(nodes), node_count), dtype=np.float64)
    np.add.at(matrix, (np.arange(len(nodes))[:, None], nodes), weights)
    return matrix.astype(np.float32)


def interpolation_taps(
    positions: NDArray[np.floating], *, node_count: int, level: int, first_node: int = 0
) -> tuple[NDArray[np.int64], Floats]:
    """The nodes ``[n, taps]`` that count at each position, from ``first_node`` on, and their weights ``[n, taps]``.

    There are six taps on the finest level, and four on others. Parameters as for :func:`interpolation_matrix`.
    """
    places = np.asarray(positions, dtype=np.float64) / 2.0**level - 0.5
    if level > 0:
        return cubic_taps(places, node_count=node_count, first_node=first_node)
    taps, distances = _around(places, reach=kernel_reach(level))
    return np.clip(taps - first_node, 0, node_count - 1), lanczos(distances)


def cubic_taps(
    places: NDArray[np.floating], *, node_count: int, first_node: int = 0
) -> tuple[NDArray[np.int64], Floats]:
    """The four nodes ``[n, 4]`` that count at ``places`` ``[n]``, given in nodes, and their weights ``[n, 4]``."""
    taps, distances = _around(np.asarray(places, dtype=np.float64), reach=CUBIC_REACH)
    return np.clip(taps - first_node, 0, node_count - 1), keys_cubic(distances)


def _around(places: Floats, *, reach: int) -> tuple[NDArray[np.int64], Floats]:
    taps = np.floor(places)[:, None].astype(np.int64) + np.arange(1 - reach, reach + 1)
    return taps, places[:, None] - taps
