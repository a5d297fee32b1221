"""Surfaces from occupancy: marching cubes (Lewiner et al., Journal of Graphics Tools 8(2), 2003)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import FormatError
from i2codec.media.shape_domain import affine_parts
from i2codec.media.shape_libraries import shape_library
from i2codec.media.shape_mesh import Mesh
from i2codec.signal.description import SignalDescription
from i2codec.signal.grid import half_extents, sample_centres

_LEVEL = np.float32(0.5)
# A sample at the level would put several vertices into one place, and equal samples leave it open
# how the faces of a cube are cut: 57 of 100 random grids of zeros and ones came out with holes,
# none with samples so little apart. Vertices move by less than a thousandth of a cell.
_LEAST_DISTANCE = np.float32(1e-3)
_SPREAD = np.float32(1e-4)


def surface(occupancy: NDArray[np.float32], description: SignalDescription) -> Mesh:
    """The closed surface where occupancy is ½.

    Parameters
    ----------
    occupancy:
        ``[Z, Y, X]`` float32, samples at cell centres; more than ½ is inside. Outside the grid is
        empty, so that a solid which reaches its border is closed there.
    description:
        Of this very grid, at any resolution.

    Returns
    -------
    Mesh
        Vertices in units of the source; faces are counter-clockwise seen from outside.

    Raises
    ------
    FormatError
        If no sample is inside: the file holds no solid that this grid could show.
    OptionError
        If the description is not that of a shape.
    """
    matrix, offset = affine_parts(description)
    if not (occupancy > _LEVEL).any():
        raise FormatError("no sample of the grid lies inside the solid: decode it at a higher resolution")
    measure = shape_library("skimage.measure")
    indices, faces, _, _ = measure.marching_cubes(_distinct(np.pad(occupancy, 1)), 0.0)
    columns = [
        sample_centres(indices[:, axis].astype(np.float64) - 1.0, count=extent, half_extent=half)
        for axis, (extent, half) in enumerate(zip(description.extents, half_extents(description.axes), strict=True))
    ]
    vertices = np.stack(columns[::-1], axis=1) @ matrix.T + offset  # [V, 3] in x, y, z
    # Faces come clockwise in z, y, x, and the change to x, y, z mirrors them; a mirroring map does so again.
    outward = faces if np.linalg.slogdet(matrix)[0] > 0 else faces[:, ::-1]
    return Mesh(vertices, np.ascontiguousarray(outward, dtype=np.int64))


def _distinct(occupancy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Occupancy above the level, kept off 0 and without ties; the same for the same grid."""
    above = occupancy - _LEVEL
    above = np.where(np.abs(above) < _LEAST_DISTANCE, np.copysign(_LEAST_DISTANCE, above), above)
    noise = np.random.default_rng(0).random(above.shape, dtype=np.float32)
    distinct: NDArray[np.float32] = above * (1 + _SPREAD * noise)
    return distinct
