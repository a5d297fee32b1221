"""The inside of a mesh, told by the generalised winding number.

Jacobson, Kavan, Sorkine-Hornung, "Robust inside-outside segmentation using generalized winding
numbers", SIGGRAPH 2013, computed fast as in Barill et al., "Fast winding numbers for soups and
clouds", SIGGRAPH 2018. Around a closed surface it is 1 inside and 0 outside. A point is inside
where its magnitude exceeds ½: bodies that overlap unite, cavities whose faces point inwards are
hollow, a body turned inside out is as good as one that is not, and small holes are closed by a
film across them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError
from i2codec.media.shape_libraries import shape_library
from i2codec.media.shape_mesh import Mesh
from i2codec.media.shape_topology import boundary_edge_count

_UNDECIDED = (0.2, 0.8)
MAX_UNDECIDED_SHARE = 0.02
"""Largest part of a solid's volume that may lie neither clearly inside nor clearly outside."""

_CHECKED_POINTS = 2**15
_CHECKED_DISTANCE = 2.0 / 128  # of the half of the longest side: points nearer belong to the surface


@dataclass(frozen=True, eq=False)
class Solid:
    """A mesh in coordinates of about unit size, ready for queries.

    Parameters
    ----------
    vertices:
        ``[V, 3]`` float64: x, y, z.
    faces:
        ``[F, 3]`` int64.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]

    @classmethod
    def of_mesh(cls, mesh: Mesh, *, centre: NDArray[np.float64], scale: float) -> Solid:
        """The solid whose coordinates are those of the mesh, less ``centre``, over ``scale``."""
        return cls((mesh.vertices - centre) / scale, mesh.faces)

    @classmethod
    def in_unit_box(cls, mesh: Mesh) -> Solid:
        """The solid with the centre of its bounding box at 0 and its longest side from −1 to 1."""
        low, high = mesh.bounds
        return cls.of_mesh(mesh, centre=low / 2 + high / 2, scale=float((high - low).max()) / 2)

    def winding(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Magnitude of the generalised winding number ``[N]`` at points ``[N, 3]``."""
        numbers: NDArray[np.float64] = shape_library("igl").fast_winding_number(self.vertices, self.faces, points)
        return np.abs(numbers)

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points ``[N, 3]`` lie inside, ``[N]``."""
        result: NDArray[np.bool_] = self.winding(points) > 0.5
        return result

    def nearest(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distance ``[N]`` of points ``[N, 3]`` to the surface, and the face ``[N]`` it was found on."""
        squared, faces, _ = shape_library("igl").point_mesh_squared_distance(points, self.vertices, self.faces)
        return np.sqrt(squared), faces

    def distance_within(self, points: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
        """Distance ``[N]`` of points ``[N, 3]`` to the surface, NaN where it is above ``limit``.

        Six times as fast as :meth:`nearest` where most points are far away.
        """
        igl = shape_library("igl")
        kind = igl.SIGNED_DISTANCE_TYPE_UNSIGNED
        distances: NDArray[np.float64] = igl.signed_distance(points, self.vertices, self.faces, kind, 0.0, limit)[0]
        return distances

    def face_vectors(self) -> NDArray[np.float64]:
        """Normals ``[F, 3]`` of the faces, as long as twice their areas."""
        corners = self.vertices[self.faces]
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def check_solid(mesh: Mesh) -> None:
    """Refuse a mesh that does not say what is inside.

    Random points of the bounding box and a little around it are looked at. Where more than
    :data:`MAX_UNDECIDED_SHARE` of the volume have a winding number between 0.2 and 0.8 away from
    the surface, holes are too large to be closed by a guess.

    Raises
    ------
    InputError
        If the mesh is open like this, or if hardly any volume is inside.
    """
    solid = Solid.in_unit_box(mesh)
    reach = np.abs(solid.vertices[solid.faces.ravel()]).max(axis=0) + 2 * _CHECKED_DISTANCE
    points = np.random.default_rng(0).uniform(-reach, reach, (_CHECKED_POINTS, 3))
    winding = solid.winding(points)
    undecided = (winding > _UNDECIDED[0]) & (winding < _UNDECIDED[1])
    undecided[undecided] = solid.nearest(points[undecided])[0] > _CHECKED_DISTANCE
    share = undecided.sum() / max(1, ((winding > 0.5) | undecided).sum())
    if share > MAX_UNDECIDED_SHARE:
        raise InputError(
            f"the mesh is open ({boundary_edge_count(mesh.faces)} boundary edges, {100 * share:.0f} % of the volume "
            "undecided); expected a closed solid: repair it first"
        )
    if not (winding > 0.5).any():
        raise InputError("the mesh encloses no volume that could be seen; expected a solid: check its faces")
