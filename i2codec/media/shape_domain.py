"""The box in which a shape is coded: its grid, and the map between coordinates and source units."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.media.shape_mesh import Mesh
from i2codec.media.shape_solid import Solid
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    Kind,
    SampleFormat,
    SignalDescription,
    SourceContainer,
)

GRID_CELLS = 128
"""Cells along the longest axis of the grid that a shape is coded for."""

MARGIN = 0.04
"""Empty space on every side, as a part of the longest side of the bounding box."""


def describe_shape(mesh: Mesh, *, source: SourceContainer) -> SignalDescription:
    """The description of the occupancy of a mesh: axes z, y, x and one channel.

    The domain is the bounding box with :data:`MARGIN` on every side. Its longest axis has
    :data:`GRID_CELLS` cells; cells are cubes, so the other axes are rounded up to whole cells,
    half of what is added on either side. ``affine`` is the 3×4 matrix, row by row, that maps
    ``(x, y, z, 1)`` in coordinates of :mod:`i2codec.signal.grid`, where the longest axis spans
    −1..1, to x, y, z in units of the source. (A field takes its coordinates in axis order
    z, y, x.)
    """
    low, high = mesh.bounds
    sides = high - low
    cell = float(sides.max()) * (1 + 2 * MARGIN) / GRID_CELLS
    margin = MARGIN * float(sides.max())
    x, y, z = (math.ceil((float(side) + 2 * margin) / cell - 1e-6) for side in sides)
    scale = cell * GRID_CELLS / 2
    centre = [float(value) for value in low / 2 + high / 2]
    affine = tuple(
        value for row in range(3) for value in (*(scale if row == column else 0.0 for column in range(3)), centre[row])
    )
    return SignalDescription(
        kind=Kind.SHAPE,
        axes=(Axis(AxisName.Z, z), Axis(AxisName.Y, y), Axis(AxisName.X, x)),
        channels=(ChannelRole.OCCUPANCY,),
        sample_format=SampleFormat.FLOAT32,
        source=source,
        affine=affine,
    )


def affine_parts(description: SignalDescription) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix ``[3, 3]`` and offset ``[3]`` of the map from coordinates x, y, z to source units.

    Raises
    ------
    OptionError
        If the description is not that of a shape.
    """
    if description.kind is not Kind.SHAPE or description.affine is None or len(description.axes) != 3:
        raise OptionError("the description is not that of a shape: it needs three axes and an affine map")
    whole = np.array(description.affine, dtype=np.float64).reshape(3, 4)
    return whole[:, :3], whole[:, 3]


def solid_in_domain(mesh: Mesh, description: SignalDescription) -> Solid:
    """The solid in the coordinates of the field, in order x, y, z.

    Raises
    ------
    OptionError
        If the description is not that of a shape.
    """
    matrix, offset = affine_parts(description)
    vertices = np.linalg.solve(matrix, (mesh.vertices - offset).T).T
    return Solid(np.ascontiguousarray(vertices), mesh.faces)
