"""The mesh record: triangles in the units of their source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError

# Above it, arrays of corners, edges and search trees take several gigabytes each.
MAX_FACES = 20_000_000
# STL, PLY and GLB hold float32, 1e-38 to 3e38, and so must squares of sizes in programs that read them.
LARGEST_COORDINATE = 1e18
_SMALLEST_SIDE = 1e-18
_FLATTEST = 1e-9  # shortest over longest side
_FARTHEST = 1e-9  # longest side over the distance from the origin; float64 resolves 1e-16


@dataclass(frozen=True, eq=False)
class Mesh:
    """A surface of triangles.

    Parameters
    ----------
    vertices:
        ``[V, 3]`` float64: x, y, z in units of the source.
    faces:
        ``[F, 3]`` int64: three vertices each, counter-clockwise seen from outside.

    Raises
    ------
    InputError
        If there are no faces or over :data:`MAX_FACES`, if one names a vertex that is not there,
        or if the size cannot be coded: coordinates that are not finite or beyond
        :data:`LARGEST_COORDINATE`, a flat bounding box, or one far smaller than its distance
        from the origin.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, array, dtype in (("vertices", self.vertices, np.float64), ("faces", self.faces, np.int64)):
            if array.dtype != dtype or array.ndim != 2 or array.shape[1] != 3:
                raise InputError(
                    f"{name} of the mesh are {array.dtype} of shape {array.shape}; expected {np.dtype(dtype)} of [n, 3]"
                )
        if not 1 <= len(self.faces) <= MAX_FACES:
            raise InputError(
                f"the mesh has {len(self.faces)} faces; expected 1 to {MAX_FACES}: "
                "point clouds and curves have none, larger meshes can be simplified first"
            )
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise InputError(f"the mesh has {len(self.vertices)} vertices and faces that name others: check the file")
        if not np.isfinite(self.vertices).all():
            raise InputError("the mesh has vertices that are not finite numbers; expected finite ones: check the file")
        if np.abs(self.vertices).max() > LARGEST_COORDINATE:
            raise InputError(f"the mesh has coordinates beyond {LARGEST_COORDINATE:.0e}: scale it down first")
        self._check_sides()

    def _check_sides(self) -> None:
        low, high = self.bounds
        sides = high - low
        if sides.max() < _SMALLEST_SIDE and sides.any():
            raise InputError(
                f"the mesh measures {sides.max():.3g}; expected at least {_SMALLEST_SIDE}: scale it up first"
            )
        if not sides.min() > _FLATTEST * sides.max():  # also where all are 0
            raise InputError("the mesh is flat; expected a solid, which has a volume: give it a thickness first")
        distance = float(np.maximum(np.abs(low), np.abs(high)).max())
        if not sides.max() > _FARTHEST * distance:
            raise InputError(
                f"the mesh measures {sides.max():.3g} at {distance:.3g} from the origin, where its vertices "
                "are hardly told apart: move it to the origin first"
            )

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Least and greatest x, y, z of the corners of faces."""
        used = self.vertices[self.faces.ravel()]
        return used.min(axis=0), used.max(axis=0)


def merged(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices and faces with equal vertices made one, unused ones gone and collapsed faces gone.

    STL gives every face corners of its own, and other formats split vertices along the seams of
    textures; which faces share an edge can only be told once they are one again.
    """
    used, corners = np.unique(faces, return_inverse=True)
    unique, index = np.unique(vertices[used] + 0.0, axis=0, return_inverse=True)  # + 0.0 turns −0 into 0
    joined: NDArray[np.int64] = index.reshape(-1)[corners.reshape(-1, 3)].astype(np.int64)
    collapsed = (joined == np.roll(joined, 1, axis=1)).any(axis=1)
    return unique, joined[~collapsed]
