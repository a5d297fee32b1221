"""Edges of a mesh: where it is open, and whether neighbouring faces agree on their outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2codec.media.shape_libraries import shape_library


def _edge_counts(faces: NDArray[np.int64], *, directed: bool) -> NDArray[np.int64]:
    """How many faces have each edge."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    if not directed:
        edges.sort(axis=1)
    keys = edges[:, 0] * (int(faces.max()) + 1) + edges[:, 1]
    return np.unique(keys, return_counts=True)[1]


def boundary_edge_count(faces: NDArray[np.int64]) -> int:
    """Number of edges of one face only, of faces ``[F, 3]``; 0 where the surface is closed."""
    return int((_edge_counts(faces, directed=False) == 1).sum())


def consistent_faces(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Faces ``[F, 3]`` turned so that neighbours agree on which side is outside.

    Faces that agree already are returned as they are. Else every patch of connected faces is
    turned to where the most of its faces pointed.
    """
    if _edge_counts(faces, directed=True).max() == 1:
        return faces
    turned, patch = shape_library("igl").bfs_orient(faces)
    changed = (turned != faces).any(axis=1)
    mostly_changed = 2 * np.bincount(patch, weights=changed) > np.bincount(patch)
    back = mostly_changed[patch]
    turned[back] = turned[back, ::-1]
    result: NDArray[np.int64] = turned
    return result
