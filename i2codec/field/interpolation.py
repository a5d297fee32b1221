"""Reading latent grids between their nodes: a continuous kernel, as one matrix per axis.

Node i of level l covers the native samples i · 2ˡ to (i + 1) · 2ˡ and lies in their middle, so a
native position p is at node coordinate p / 2ˡ − ½.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KERNEL_REACH = 2
"""Nodes on each side of a position that have a weight."""


class Kernel(IntEnum):
    """Interpolation kernels. The values are ids of the file format."""

    CUBIC = 1
    """Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, a = −½: four nodes."""


def level_extents(extents: tuple[int, ...], level: int) -> tuple[int, ...]:
    """Nodes per axis of a level: as many as cover the native ``extents``."""
    return tuple(-(-extent >> level) for extent in extents)


def keys_cubic(distance: Floats) -> Floats:
    """Weight of a node at a distance, in nodes; interpolates, and is 0 from 2 on."""
    t = np.abs(distance)
    near = (1.5 * t - 2.5) * t**2 + 1.0
    far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    weights: Floats = np.where(t < 1.0, near, np.where(t < 2.0, far, 0.0))
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
    """The four nodes ``[n, 4]`` that count at each position, from ``first_node`` on, and their weights ``[n, 4]``.

    Parameters as for :func:`interpolation_matrix`.
    """
    places = np.asarray(positions, dtype=np.float64)[:, None] / 2.0**level - 0.5
    taps = np.floor(places).astype(np.int64) + np.arange(1 - KERNEL_REACH, KERNEL_REACH + 1)
    return np.clip(taps - first_node, 0, node_count - 1), keys_cubic(places - taps)
