"""Shapes from files and from bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError
from i2codec.media.shape_formats import SHAPE_EXTENSIONS, SHAPE_FORMATS, shape_container
from i2codec.media.shape_glb import check_glb
from i2codec.media.shape_libraries import shape_library
from i2codec.media.shape_mesh import MAX_FACES, Mesh, merged
from i2codec.media.shape_solid import check_solid
from i2codec.media.shape_text import readable_text
from i2codec.media.shape_topology import consistent_faces
from i2codec.signal.description import SourceContainer

_Part = tuple[NDArray[np.float64], NDArray[np.int64]]  # vertices [V, 3] and faces [F, 3]
_FILE_TYPES = {container: extension.removeprefix(".") for extension, container in SHAPE_EXTENSIONS.items()}


def read_shape(source: Path | bytes) -> tuple[Mesh, SourceContainer]:
    """The solid in a mesh file or in the bytes of one, and the format it was in: OBJ, PLY, STL or GLB.

    The format is told by the content. All geometries of a file are one shape, placed as its
    scene says. Polygons become triangles, equal vertices one vertex, and faces that disagree
    with their neighbours about the outside are turned. Materials, textures, colours and normals
    are ignored, and so are other files that the source refers to.

    Parameters
    ----------
    source:
        Path, or file content that came from standard input.

    Raises
    ------
    InputError
        If the source is missing, not a mesh of these formats, damaged, or not a closed solid;
        see :class:`~i2codec.media.shape_mesh.Mesh` and
        :func:`~i2codec.media.shape_solid.check_solid`.
    MissingExtraError
        If trimesh or libigl is not installed.
    """
    name = "standard input" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _content(source, name=name)
    if not data:
        raise InputError(f"{name} is empty; expected a mesh: {SHAPE_FORMATS}")
    container = shape_container(data)
    if container is None:
        raise InputError(f"{name} is not a mesh that can be read; expected {SHAPE_FORMATS}: check the file")
    trimesh = shape_library("trimesh")
    try:
        mesh = _joined_mesh(_parts(data, container, trimesh))
        check_solid(mesh)
    except InputError as exc:
        raise InputError(f"{name}: {exc}") from exc
    return mesh, container


def _content(path: Path, *, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise InputError(f"{name} does not exist; expected a mesh: check the path") from exc
    except IsADirectoryError as exc:
        raise InputError(f"{name} is a directory; expected a mesh: name a file in it") from exc
    except OSError as exc:
        raise InputError(f"{name} cannot be read ({exc.strerror or exc}); expected a mesh: check the file") from exc


def _joined_mesh(parts: list[_Part]) -> Mesh:
    """All parts as one mesh with shared vertices and faces that agree on the outside."""
    vertices, faces = [np.empty((0, 3))], [np.empty((0, 3), np.int64)]
    vertex_count = 0
    for part_vertices, part_faces in parts:
        vertices.append(part_vertices)
        faces.append(part_faces + vertex_count)
        vertex_count += len(part_vertices)
    apart = Mesh(np.concatenate(vertices), np.concatenate(faces))
    joined = Mesh(*merged(apart.vertices, apart.faces))
    return Mesh(joined.vertices, consistent_faces(joined.faces))


def _parts(data: bytes, container: SourceContainer, trimesh: Any) -> list[_Part]:
    """All meshes of a file, placed as its scene says."""
    try:
        if container is SourceContainer.GLB:
            check_glb(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about text that is not a number: what it breaks is refused later
            # A stream without a name and no resolver: the parser cannot open any other file.
            scene = trimesh.load_scene(
                io.BytesIO(readable_text(data, container)),
                file_type=_FILE_TYPES[container],
                process=False,
                skip_materials=True,
            )
            return list(_placed_parts(scene, trimesh))
    except InputError:
        raise
    except Exception as exc:  # parsers raise whatever a damaged file makes them trip over
        reason = " ".join(f"{type(exc).__name__}: {exc}".split())[:200]
        raise InputError(f"not a sound {container.name} ({reason}); expected a mesh: export it again") from exc


def _placed_parts(scene: Any, trimesh: Any) -> Iterator[_Part]:
    """Vertices and faces of every mesh of a scene, each time it is shown."""
    face_count = vertex_count = 0
    for node in scene.graph.nodes_geometry:
        transform, geometry_name = scene.graph[node]
        geometry = scene.geometry[geometry_name]
        if not isinstance(geometry, trimesh.Trimesh):
            continue  # points and curves have no inside
        vertices, faces = np.asarray(geometry.vertices, np.float64), np.asarray(geometry.faces, np.int64)
        if faces.ndim != 2 or faces.shape[1] != 3:
            raise ValueError("faces that are not polygons")
        face_count, vertex_count = face_count + len(faces), vertex_count + len(vertices)
        if face_count > MAX_FACES or vertex_count > 3 * MAX_FACES:  # a few bytes may show one mesh many times
            raise InputError(f"the mesh has over {MAX_FACES} faces; expected 1 to {MAX_FACES}: simplify it first")
        matrix = np.asarray(transform, np.float64)
        if np.linalg.det(matrix[:3, :3]) < 0:
            faces = faces[:, ::-1]  # mirrored, so clockwise became counter-clockwise
        yield vertices @ matrix[:3, :3].T + matrix[:3, 3], faces
