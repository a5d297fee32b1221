"""Sources that are not solids, or not meshes: one line each that says why."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

import i2codec.media.shape_mesh
import i2codec.media.shape_read
from i2codec.errors import InputError
from i2codec.media.shape import Mesh, check_solid, read_shape

TETRAHEDRON = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 3 2 1\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"


def refused(data: bytes | Path, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_shape(data)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(data) if isinstance(data, Path) else "standard input")


def ply(mesh: trimesh.Trimesh) -> bytes:
    data: bytes = mesh.export(file_type="ply")
    return data


def test_tetrahedron_is_read() -> None:
    assert len(read_shape(TETRAHEDRON)[0].faces) == 4


def test_missing_files_and_directories(tmp_path: Path) -> None:
    refused(tmp_path / "no.obj", "does not exist; expected a mesh")
    refused(tmp_path, "is a directory; expected a mesh")


@pytest.mark.parametrize("data", [b"GIF89a", b"hello", b"\0" * 200, b"PK\3\4"])
def test_other_content(data: bytes) -> None:
    refused(data, "is not a mesh that can be read; expected OBJ, PLY, STL or GLB")


def test_empty_source() -> None:
    refused(b"", "is empty; expected a mesh")


def test_open_hemisphere() -> None:
    sphere = trimesh.creation.icosphere(3)
    upper = sphere.triangles_center[:, 2] > 0
    half = trimesh.Trimesh(sphere.vertices, sphere.faces[upper], process=False)
    refused(
        ply(half), r"the mesh is open \(\d\d boundary edges, \d\d % of the volume undecided\); expected a closed solid"
    )


def test_open_tube() -> None:
    tube = trimesh.creation.cylinder(radius=1, height=4, sections=24)
    side = np.abs(tube.face_normals[:, 2]) < 0.5
    refused(ply(trimesh.Trimesh(tube.vertices, tube.faces[side], process=False)), "48 boundary edges.*repair it first")


def test_single_sheet() -> None:
    refused(b"v 0 0 0\nv 1 0 1\nv 1 1 1\nv 0 1 0\nf 1 2 3 4\n", "the mesh is open")


def test_sheet_with_two_sides() -> None:
    refused(b"v 0 0 0\nv 1 0 1\nv 1 1 1\nv 0 1 0\nf 1 2 3 4\nf 4 3 2 1\n", "encloses no volume")


def test_flat_mesh() -> None:
    refused(b"v 0 0 7\nv 1 0 7\nv 1 1 7\nv 0 1 7\nf 1 2 3 4\n", "the mesh is flat; expected a solid")


def test_needle() -> None:
    refused(b"v 0 0 0\nv 1 1 1\nv 2 2 2\nv 3 3 3\nf 1 2 3\nf 2 3 4\n", "encloses no volume")


@pytest.mark.parametrize(
    "faces",
    ["", "l 1 2\nl 2 3\n", "f 1 1 2\nf 2 2 2\n", "p 1 2 3\n", "f 1 2\n"],
    ids=["none", "lines", "collapsed", "points", "pair"],
)
def test_obj_without_faces(faces: str) -> None:
    refused(b"v 0 0 0\nv 1 0 0\nv 0 1 3\n" + faces.encode(), "the mesh has 0 faces; expected 1 to|not a sound OBJ|flat")


def test_point_cloud() -> None:
    data = trimesh.PointCloud(np.random.default_rng(0).random((9, 3))).export(file_type="ply")
    refused(data, "the mesh has 0 faces.*point clouds")


@pytest.mark.parametrize("file_type", ["glb", "ply", "stl"])
def test_file_without_geometry(file_type: str) -> None:
    empty = {
        "glb": _glb({"asset": {"version": "2.0"}, "scenes": [{"nodes": []}], "scene": 0}),
        "ply": b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n",
        "stl": bytes(84),
    }[file_type]
    refused(empty, "the mesh has 0 faces|not a sound")


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_numbers_that_are_not_finite(number: str) -> None:
    refused(TETRAHEDRON.replace(b"v 1 0 0", f"v {number} 0 0".encode()), "not finite")


def test_huge_coordinates() -> None:
    refused(TETRAHEDRON.replace(b"v 1 0 0", b"v 1e300 0 0"), "beyond 1e.18: scale it down first")


def test_tiny_coordinates() -> None:
    refused(TETRAHEDRON.replace(b" 1", b" 1e-30", 3).replace(b"f 3 2 1e-30", b"f 3 2 1"), "scale it up first|flat")


def test_far_from_the_origin() -> None:
    far = Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]), np.array([[2, 1, 0], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    )
    with pytest.raises(InputError, match=r"measures 1 at 1e.10 from the origin.*move it"):
        Mesh(far.vertices + 1e10, far.faces)


@pytest.mark.parametrize("index", [b"9", b"-9"])
def test_faces_that_name_no_vertex(index: bytes) -> None:
    refused(
        TETRAHEDRON.replace(b"f 3 2 1", b"f 3 2 " + index),
        "not a sound OBJ|a face counts 9 vertices back and there are 4",
    )


@pytest.mark.parametrize("faces", [[[0, 1, 4]], [[0, -1, 2]]])
def test_mesh_checks_indices(faces: list[list[int]]) -> None:
    with pytest.raises(InputError, match="has 4 vertices and faces that name others"):
        Mesh(np.eye(4, 3), np.array(faces))


@pytest.mark.parametrize(
    ("vertices", "faces"),
    [
        (np.zeros((3, 3), np.float32), np.zeros((1, 3), np.int64)),
        (np.zeros((3, 2)), np.zeros((1, 3), np.int64)),
        (np.zeros((3, 3)), np.zeros((1, 4), np.int64)),
        (np.zeros((3, 3)), np.zeros((1, 3), np.int32)),
    ],
)
def test_mesh_checks_types(vertices: np.ndarray, faces: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"of the mesh are \w+ of shape .*; expected"):
        Mesh(vertices, faces)


def test_too_many_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i2codec.media.shape_mesh, "MAX_FACES", 3)
    refused(TETRAHEDRON, "the mesh has 4 faces; expected 1 to 3")


def test_too_many_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = trimesh.Scene()
    box = trimesh.creation.box()
    for place in range(3):
        scene.add_geometry(box, geom_name="box", transform=trimesh.transformations.translation_matrix([place, 0, 0]))
    monkeypatch.setattr(i2codec.media.shape_read, "MAX_FACES", 30)
    refused(scene.export(file_type="glb"), "the mesh has over 30 faces")


@pytest.mark.parametrize("file_type", ["ply", "stl", "glb"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_truncated(file_type: str, part: float) -> None:
    data = trimesh.creation.icosphere(2).export(file_type=file_type)
    refused(data[: int(part * len(data))], "not a sound|is not a mesh|the mesh")


@pytest.mark.parametrize(
    "data",
    [
        b"ply\nformat ascii 1.0\nelement vertex 99999999999\nproperty float x\nend_header\n1\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 99999999999\nproperty float x\nend_header\n1\n",
        b"ply\nformat ascii 1.0\nelement vertex",
        b"ply\n",
        b"solid x\nfacet normal a b c\n",
        b"solid x\nfacet\nvertex 1 2\nendsolid x",
        b"v 1 2\nf 1 2 3\n",
        b"v 1 2 3\nf a b c\n",
        b"v 1 2 3\nf -1 -b -1\n",
        b"glTF\2\0\0\0",
        b"glTF\2\0\0\0\xff\xff\xff\xff\xff\xff\xff\xffJSON{}",
    ],
)
def test_damaged(data: bytes) -> None:
    refused(data, "not a sound|is not a mesh|the mesh has 0 faces")


# ---- glTF that asks for too much ----


def _glb(header: dict[str, object], binary: bytes = b"\0" * 64) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def _triangle(**overrides: object) -> dict[str, object]:
    header: dict[str, object] = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": 64}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }
    return header | overrides


@pytest.mark.parametrize(
    "overrides",
    [
        {"accessors": [{"componentType": 5126, "count": count, "type": "VEC3"} for count in (3, 10**12)]},
        {"bufferViews": [{"buffer": 0, "byteLength": 2**14}] * 9},
        {
            "accessors": [{"bufferView": 0, "componentType": 5126, "count": 16000, "type": "VEC3"}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}] * 20000}],
        },
    ],
    ids=["accessor", "views", "primitives"],
)
def test_glb_that_asks_for_too_much(overrides: dict[str, object]) -> None:
    refused(_glb(_triangle(**overrides), bytes(2**14)), "the GLB asks for more data than it holds")


def test_glb_of_nothing_unusual() -> None:
    refused(_glb(_triangle()), "the mesh is flat")


def test_glb_with_outside_data() -> None:
    refused(_glb(_triangle(buffers=[{"byteLength": 36, "uri": "secret.bin"}])), "not a sound GLB")


def test_check_solid_takes_meshes_from_anywhere() -> None:
    sphere = trimesh.creation.icosphere(2)
    check_solid(Mesh(np.array(sphere.vertices), np.array(sphere.faces, np.int64)))
    with pytest.raises(InputError, match="the mesh is open"):
        check_solid(Mesh(np.array(sphere.vertices), np.array(sphere.faces[:100], np.int64)))
