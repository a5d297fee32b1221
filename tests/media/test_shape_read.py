"""Reading mesh files: formats, scenes, orientation, what other programs put into them."""

from __future__ import annotations

import builtins
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from i2codec.errors import MissingExtraError
from i2codec.media.shape import Mesh, check_solid, read_shape, shape_container
from i2codec.media.shape_solid import Solid
from i2codec.media.shape_topology import boundary_edge_count
from i2codec.signal.description import SourceContainer


def exported(mesh: trimesh.Trimesh | trimesh.Scene, file_type: str) -> bytes:
    data = mesh.export(file_type=file_type)
    return data.encode() if isinstance(data, str) else data


def volume(mesh: Mesh) -> float:
    return float(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).volume)


CONTAINERS = {
    "obj": SourceContainer.OBJ,
    "ply": SourceContainer.PLY,
    "stl": SourceContainer.STL,
    "stl_ascii": SourceContainer.STL,
    "glb": SourceContainer.GLB,
}

CUBE = """
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 1
v 1 0 1
v 1 1 1
v 0 1 1
"""
QUADS = "f 4 3 2 1\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n"


@pytest.mark.parametrize("file_type", CONTAINERS)
def test_formats(file_type: str) -> None:
    source = trimesh.creation.icosphere(2)
    mesh, container = read_shape(exported(source, file_type))
    assert container is CONTAINERS[file_type]
    assert len(mesh.vertices) == len(source.vertices)  # STL's corners are joined again
    assert len(mesh.faces) == len(source.faces)
    assert boundary_edge_count(mesh.faces) == 0
    assert volume(mesh) == pytest.approx(source.volume, rel=1e-5)
    np.testing.assert_allclose(np.sort(mesh.vertices, axis=0), np.sort(source.vertices, axis=0), atol=1e-6)


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "ball.obj"
    path.write_bytes(exported(trimesh.creation.icosphere(1), "ply"))
    assert read_shape(path)[1] is SourceContainer.PLY


def test_binary_stl_may_call_itself_solid() -> None:
    data = exported(trimesh.creation.box(), "stl")
    assert shape_container(b"solid facet".ljust(80) + data[80:]) is SourceContainer.STL
    assert len(read_shape(b"solid facet".ljust(80) + data[80:])[0].faces) == 12


@pytest.mark.parametrize("data", [b"", b"\0" * 90, b"v is the first letter of vertex", b"\x89PNG\r\n\x1a\n", b"glT"])
def test_other_content_is_no_mesh(data: bytes) -> None:
    assert shape_container(data) is None


def test_obj_with_quads() -> None:
    mesh, _ = read_shape((CUBE + QUADS).encode())
    assert len(mesh.faces) == 12
    assert volume(mesh) == pytest.approx(1.0)


def test_obj_with_polygons_and_windows_line_ends() -> None:
    angles = np.arange(6) * np.pi / 3
    corners = [(np.cos(angle), np.sin(angle), height) for height in (0, 1) for angle in angles]
    lines = ["v {} {} {}".format(*corner) for corner in corners]
    lines += ["f 6 5 4 3 2 1", "f 7 8 9 10 11 12"]
    lines += [f"f {k + 1} {(k + 1) % 6 + 1} {(k + 1) % 6 + 7} {k + 7}" for k in range(6)]
    mesh, _ = read_shape("\r\n".join(lines).encode())
    assert volume(mesh) == pytest.approx(1.5 * np.sqrt(3))


def test_relative_indices_count_from_where_they_stand() -> None:
    second = CUBE.replace("v 0", "v 5").replace("v 1", "v 6")
    relative = "f -5 -6 -7 -8\nf -4 -3 -2 -1\nf -8 -7 -3 -4\nf -7 -6 -2 -3\nf -6 -5 -1 -2\nf -5 -8 -4 -1\n"
    mesh, _ = read_shape((CUBE + relative + second + relative).encode())
    assert volume(mesh) == pytest.approx(2.0)
    assert mesh.vertices[:, 0].max() == 6.0


def test_relative_indices_beside_textures_and_continued_lines() -> None:
    faces = QUADS.replace("f 4 3 2 1", "f -5/1/1 -6/1/1 \\\n -7/1/1 -8/1/1")
    mesh, _ = read_shape(("mtllib away.mtl\nvt 0 0\nvn 0 0 1\nusemtl gold\n" + CUBE + faces).encode())
    assert volume(mesh) == pytest.approx(1.0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_names_and_comments_in_any_encoding(encoding: str) -> None:
    name = "Würfel Nº 1"
    obj = f"# {name}\no {name}\n{CUBE}{QUADS}".encode(encoding)
    assert len(read_shape(obj)[0].faces) == 12
    stl = str(trimesh.creation.box().export(file_type="stl_ascii")).replace("solid", f"solid {name}", 1)
    assert len(read_shape(stl.encode(encoding.removesuffix("-sig")))[0].faces) == 12
    for ply_encoding in ("ascii", "binary"):
        ply = trimesh.creation.box().export(file_type="ply", encoding=ply_encoding)
        named = ply.replace(b"comment", b"comment " + name.encode(encoding) + b"\ncomment", 1)
        assert len(read_shape(named)[0].faces) == 12


def test_textures_and_materials_do_not_matter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "gold.mtl").write_text("newmtl gold\nmap_Kd missing.png\n")
    faces = "".join(
        f"usemtl {name}\nf "
        + " ".join(f"{index}/{corner + 1}/1" for corner, index in enumerate(line.split()[1:]))
        + "\n"
        for line, name in zip(QUADS.splitlines(), ["gold", "silver"] * 3, strict=True)
    )
    seams = "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\n"
    path = tmp_path / "cube.obj"
    path.write_text("mtllib gold.mtl\n" + CUBE + seams + faces)
    mesh, _ = read_shape(path)
    assert (len(mesh.vertices), volume(mesh)) == (8, pytest.approx(1.0))
    assert boundary_edge_count(mesh.faces) == 0
    assert caplog.records == []


def test_no_other_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gold.mtl").write_text("newmtl gold\n")
    path = tmp_path / "cube.obj"
    path.write_text(f"mtllib {tmp_path / 'gold.mtl'}\n" + CUBE + QUADS)
    ply = exported(trimesh.creation.box(), "ply").replace(b"comment", b"comment TextureFile gold.mtl\ncomment", 1)
    read_shape(path)  # libraries are loaded now
    opened = []
    genuine = io.open

    def recording(file: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(str(file))
        return genuine(file, *args, **kwargs)

    monkeypatch.setattr(io, "open", recording)
    monkeypatch.setattr(builtins, "open", recording)
    read_shape(path)
    read_shape(ply)
    assert not [name for name in opened if "gold" in name]


def test_scene_is_placed_and_joined() -> None:
    scene = trimesh.Scene()
    box = trimesh.creation.box((1, 2, 3))
    mirrored = np.diag([-1.0, 1.0, 1.0, 1.0])
    scene.add_geometry(box, geom_name="box", transform=trimesh.transformations.translation_matrix([10, 0, 0]))
    scene.add_geometry(box, geom_name="box", transform=mirrored)
    scene.add_geometry(trimesh.PointCloud([[50.0, 0, 0]]), geom_name="points")
    mesh, _ = read_shape(exported(scene, "glb"))
    assert len(mesh.faces) == 24
    assert volume(mesh) == pytest.approx(12.0)  # 0 if the mirrored one were inside out
    assert mesh.bounds[1].tolist() == pytest.approx([10.5, 1, 1.5])


def test_faces_that_disagree_are_turned() -> None:
    source = trimesh.creation.icosphere(2)
    cavity = trimesh.creation.icosphere(1, radius=0.5)
    cavity.invert()
    faces = np.concatenate([source.faces, cavity.faces + len(source.vertices)])
    expected = source.volume + cavity.volume
    for start in (0, 1):  # also where the very first face is a wrong one
        wrong = faces.copy()
        wrong[start::3] = wrong[start::3, ::-1]
        data = exported(
            trimesh.Trimesh(np.concatenate([source.vertices, cavity.vertices]), wrong, process=False), "ply"
        )
        assert volume(read_shape(data)[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("inverted", [False, True])
def test_inside_out_is_as_good(inverted: bool) -> None:
    source = trimesh.creation.icosphere(2)
    if inverted:
        source.invert()
    mesh, _ = read_shape(exported(source, "ply"))
    points = np.array([[0, 0, 0], [0, 0, 0.9], [0, 0, 1.1], [2, 2, 2.0]])
    assert Solid.in_unit_box(mesh).inside(points).tolist() == [True, True, False, False]


def test_collapsed_faces_and_unused_vertices_go() -> None:
    mesh, _ = read_shape(f"{CUBE}v 7 7 7\nv 0 0 0\n{QUADS}f 1 10 2\nf 4 4 5\n".encode())
    assert (len(mesh.vertices), len(mesh.faces)) == (8, 12)
    assert mesh.vertices.max() == 1.0


def test_small_hole_is_no_matter() -> None:
    source = trimesh.creation.icosphere(3)
    mesh = Mesh(np.array(source.vertices), np.array(source.faces[1:], np.int64))
    check_solid(mesh)
    assert boundary_edge_count(mesh.faces) == 3
    read_shape(exported(trimesh.Trimesh(mesh.vertices, mesh.faces), "stl"))


@pytest.mark.parametrize("library", ["trimesh", "igl"])
def test_missing_library_names_the_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = exported(trimesh.creation.box(), "ply")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"shapes need {library}.*pip install 'i2codec\[shape\]'"):
        read_shape(data)


def test_libraries_are_loaded_on_use() -> None:
    program = "import i2codec.media.shape, sys; print({'trimesh', 'igl', 'skimage'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
