"""Samples of a solid's occupancy: most points near the surface, the others in the rest of the domain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError, OptionError
from i2codec.media.shape_domain import solid_in_domain
from i2codec.media.shape_mesh import Mesh
from i2codec.media.shape_solid import Solid
from i2codec.signal.description import SignalDescription
from i2codec.signal.grid import grid_coordinates, half_extents, sample_centres
from i2codec.signal.samples import PointSamples

NEAR_SHARE = 0.75
"""Share of the points that lie in cells near the surface."""

NEAR_CELLS = 2.5
"""A cell is near where its centre is at most so many cells from the surface."""

RAMP_CELLS = 3.0
"""Width over which occupancy falls from 1 to 0 across the surface, in cells."""

LEAST_DEPTH_CELLS = 0.25
"""Distance to the surface, in cells, that some cell's centre inside the solid must have."""


def sample_shape(mesh: Mesh, description: SignalDescription, *, count: int, seed: int) -> PointSamples:
    """Occupancy at random points of the domain.

    The cells of the description's grid fall into near and far ones, see :data:`NEAR_CELLS`.
    :data:`NEAR_SHARE` of the points are spread evenly over the near cells and the rest over the
    far ones, uniformly within each cell. A point's weight is the share of the volume of its kind
    of cell over the share of points there, so weights take two values, and weighted means over
    points are means over the volume.

    Occupancy is that of a solid with a soft edge, ``clip(½ − d / (RAMP_CELLS · h), 0, 1)`` with the
    distance d to the surface, negative inside, and the side h of a cell: a step sampled once per
    cell would come out of marching cubes as stairs.

    Parameters
    ----------
    mesh:
        A closed mesh.
    description:
        Its description, see :func:`~i2codec.media.shape_domain.describe_shape`.
    count:
        Number of points, at least 2.
    seed:
        Picks the points; the same seed gives the same points.

    Returns
    -------
    PointSamples
        Far points first. Of either kind, neighbours in the list are neighbours in space, so
        that batches with one point from each of many equal stretches cover the domain.

    Raises
    ------
    InputError
        If the solid is so thin that no cell's centre lies :data:`LEAST_DEPTH_CELLS` inside.
    OptionError
        If ``count`` is too small or the description is not that of a shape.
    MissingExtraError
        If libigl is not installed.
    """
    if count < 2:
        raise OptionError(f"{count} points; expected at least 2")
    solid = solid_in_domain(mesh, description)
    cells = _cells(description)
    side = float(cells.sides.max())
    near = _near_cells(solid, cells, side=side)
    rng = np.random.default_rng(seed)
    near_count = _near_count(near, count)
    points, weights = [], []
    for kind, share in ((~near, count - near_count), (near, near_count)):
        if share:
            chosen = _spread(np.flatnonzero(kind), share, rng)
            points.append(cells.centres[chosen] + cells.sides * (rng.random((share, 3)) - 0.5))
            weights.append(np.full(share, kind.mean() * count / share))
    coordinates = np.concatenate(points)
    values = _occupancy(solid, coordinates, first_near=count - near_count, ramp=RAMP_CELLS * side)
    return PointSamples(coordinates.astype(np.float32), values[:, None], np.concatenate(weights).astype(np.float32))


class _Cells(NamedTuple):
    """Cells of a grid: number and length along each axis and centres ``[N, 3]``, in order z, y, x."""

    counts: tuple[int, ...]
    centres: NDArray[np.float64]
    sides: NDArray[np.float64]


def _cells(description: SignalDescription) -> _Cells:
    axes = list(zip(description.extents, half_extents(description.axes), strict=True))
    centres = [sample_centres(np.arange(extent), count=extent, half_extent=half) for extent, half in axes]
    return _Cells(
        description.extents, grid_coordinates(centres), np.array([2 * half / extent for extent, half in axes])
    )


def _near_cells(solid: Solid, cells: _Cells, *, side: float) -> NDArray[np.bool_]:
    """Which cells ``[N]`` are near the surface; refuses a solid that would vanish between the centres of cells."""
    distances = solid.distance_within(_xyz(cells.centres), NEAR_CELLS * side)
    near: NDArray[np.bool_] = np.isfinite(distances)
    if not (distances[near][solid.inside(_xyz(cells.centres[near]))] > LEAST_DEPTH_CELLS * side).any():
        raise InputError(
            f"the solid is thinner than a cell, 1/{max(cells.counts)} of the longest side, everywhere; "
            "expected a thicker one: it would vanish"
        )
    return near


def _near_count(near: NDArray[np.bool_], count: int) -> int:
    """How many of the points are for near cells; all or none where there are no others."""
    if near.all() or not near.any():
        return count if near.all() else 0
    return min(count - 1, max(1, round(NEAR_SHARE * count)))


def _spread(cells: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``count`` of the cells, in order, each as often as any other to within one, at a random start."""
    positions = (np.arange(count) + rng.random()) * (len(cells) / count)
    return cells[np.minimum(positions.astype(np.int64), len(cells) - 1)]


def _occupancy(solid: Solid, coordinates: NDArray[np.float64], *, first_near: int, ramp: float) -> NDArray[np.float32]:
    """Occupancy ``[N]`` at ``[N, 3]`` in order z, y, x; only points from ``first_near`` on are on the ramp."""
    inside = solid.inside(_xyz(coordinates))
    values = inside.astype(np.float32)
    near = slice(first_near, None)
    distances = np.where(inside[near], -1.0, 1.0) * solid.nearest(_xyz(coordinates[near]))[0]
    values[near] = np.clip(0.5 - distances / ramp, 0.0, 1.0)
    return values


def _xyz(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates in order z, y, x as points in order x, y, z."""
    return np.ascontiguousarray(coordinates[:, ::-1])
