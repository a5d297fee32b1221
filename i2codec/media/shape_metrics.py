"""How near a decoded shape is to its source: IoU, chamfer distance, normal consistency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2codec.media.shape_mesh import Mesh
from i2codec.media.shape_solid import Solid

_VOLUME_POINTS = 2**19
_MOST_CUBES = 2**10  # along one axis, for boxes that are nearly flat
_SURFACE_POINTS = 2**16


def compare_shapes(reference: Mesh, candidate: Mesh, *, seed: int = 0) -> dict[str, float]:
    """Measures of the difference of two solids.

    ``iou``
        Volume of the intersection over volume of the union, 1 for equal solids. The box around
        both is cut into about 2¹⁹ cubes, and a random point of each is looked at; the standard
        error for solids that fill a tenth of it is below 0.001.
    ``chamfer``
        Mean distance of points of one surface to the other surface, averaged over both
        directions, in units of the longest side of the reference's bounding box; 0 for equal
        surfaces. 2¹⁶ points on each, spread evenly over its area, to the nearest point of the
        other's triangles.
    ``normal_consistency``
        Mean of \\|n · n′\\| of the faces' unit normals at these pairs of points, averaged over both
        directions; 1 for equal surfaces (Mescheder et al., "Occupancy Networks", CVPR 2019,
        supplementary material).

    Parameters
    ----------
    reference, candidate:
        Closed meshes in the same units.
    seed:
        Picks the points.

    Raises
    ------
    MissingExtraError
        If libigl is not installed.
    """
    low, high = reference.bounds
    centre, side = low / 2 + high / 2, float((high - low).max())
    solids = [Solid.of_mesh(mesh, centre=centre, scale=side) for mesh in (reference, candidate)]
    rng = np.random.default_rng(seed)
    distances, cosines = zip(
        _one_way(solids[0], solids[1], rng=rng), _one_way(solids[1], solids[0], rng=rng), strict=True
    )
    return {
        "iou": _intersection_over_union(*solids, rng=rng),
        "chamfer": float(np.mean(distances)),
        "normal_consistency": float(np.mean(cosines)),
    }


def _intersection_over_union(reference: Solid, candidate: Solid, *, rng: np.random.Generator) -> float:
    corners = np.concatenate([solid.vertices[solid.faces.ravel()] for solid in (reference, candidate)])
    low, sides = corners.min(axis=0), np.ptp(corners, axis=0)
    counts = np.clip(np.round(sides * (_VOLUME_POINTS / np.prod(sides)) ** (1 / 3)), 1, _MOST_CUBES).astype(int)
    cells = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, 3)
    points = low + sides * (cells + rng.random(cells.shape)) / counts
    in_reference, in_candidate = reference.inside(points), candidate.inside(points)
    union = int((in_reference | in_candidate).sum())
    return float((in_reference & in_candidate).sum() / union) if union else 0.0


def _one_way(source: Solid, target: Solid, *, rng: np.random.Generator) -> tuple[float, float]:
    """Mean distance of points of one surface to another, and mean |cosine| of the normals there."""
    points, faces = _surface_points(source, rng=rng)
    distances, nearest = target.nearest(points)
    cosines = np.abs(np.sum(_unit(source.face_vectors()[faces]) * _unit(target.face_vectors()[nearest]), axis=1))
    return float(distances.mean()), float(cosines.mean())


def _surface_points(solid: Solid, *, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points ``[N, 3]`` spread evenly over the area of a surface, and the faces ``[N]`` that they lie on."""
    ends = np.cumsum(np.linalg.norm(solid.face_vectors(), axis=1))
    positions = (np.arange(_SURFACE_POINTS) + rng.random(_SURFACE_POINTS)) / _SURFACE_POINTS * ends[-1]
    faces = np.minimum(np.searchsorted(ends, positions, side="right"), len(ends) - 1)
    a, b, c = np.moveaxis(solid.vertices[solid.faces[faces]], 1, 0)
    u, v = np.sort(rng.random((2, _SURFACE_POINTS, 1)), axis=0)
    return a * u + b * (v - u) + c * (1 - v), faces


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors ``[N, 3]`` of length 1; those of faces without area become 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: NDArray[np.float64] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return result
