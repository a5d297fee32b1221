"""Shapes to files."""

from __future__ import annotations

import math
from typing import BinaryIO

import numpy as np

from i2codec.errors import OutputError
from i2codec.media.shape_formats import check_shape_output
from i2codec.media.shape_libraries import shape_library
from i2codec.media.shape_mesh import Mesh

_OBJ_DIGITS = 8  # of the longest side
_LEAST_FLOAT32_SIDE = 1e-4  # of the distance from the origin: float32 then resolves a 1000th of the side


def write_shape(mesh: Mesh, stream: BinaryIO, *, extension: str) -> None:
    """Write a mesh to a binary file object, in the format that ``extension`` names.

    ========  ============================================================
    ``.obj``  text, eight digits of the longest side
    ``.ply``  binary, float32
    ``.stl``  binary, float32, corners of faces not shared
    ``.glb``  binary, float32, one geometry without material
    ========  ============================================================

    Parameters
    ----------
    mesh:
        The surface.
    stream:
        Where to write; nothing else is written.
    extension:
        One of :data:`~i2codec.media.shape_formats.SHAPE_EXTENSIONS`, in any case.

    Raises
    ------
    OutputError
        For another extension, for a small mesh so far from its origin that float32 cannot tell
        its vertices apart, or if writing fails.
    MissingExtraError
        If trimesh is not installed.
    """
    check_shape_output(extension)
    trimesh = shape_library("trimesh")
    file_type = extension.lower().removeprefix(".")
    low, high = mesh.bounds
    side = float((high - low).max())
    if file_type != "obj" and side < _LEAST_FLOAT32_SIDE * float(np.maximum(np.abs(low), np.abs(high)).max()):
        raise OutputError(f"the shape is too far from its origin for the float32 of {file_type.upper()}: write .obj")
    # OBJ is written with a fixed number of decimals, which have to begin where the size does.
    options = {"digits": max(0, _OBJ_DIGITS - math.floor(math.log10(side)))} if file_type == "obj" else {}
    try:
        surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False, validate=False)
        data = surface.export(file_type=file_type, **options)
        stream.write(data.encode() if isinstance(data, str) else data)
    except Exception as exc:
        raise OutputError(f"the {file_type.upper()} cannot be written ({exc}); check the disk") from exc
