"""Shapes end to end, through the public functions and the command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner, Result
from numpy.typing import NDArray

import i2codec
import i2codec.sources
from i2codec._api import decode_bytes
from i2codec.cli.main import main
from i2codec.options import EncodeKeywords
from i2codec.signal.description import Kind

MAJOR, MINOR = 20.0, 8.0
CENTRE = np.array([100.0, -30.0, 7.0])
VOLUME = 2 * np.pi**2 * MAJOR * MINOR**2
FLOOR = 0.9
_DRAFT: EncodeKeywords = {"preset": "draft", "steps": 120, "width": 16, "device": "cpu"}
_TINY_OPTIONS = ("--preset", "draft", "--steps", "20", "--width", "6", "--device", "cpu")
_FORMATS = ["obj", "ply", "stl", "glb"]


def file_of(mesh: trimesh.Trimesh, extension: str = "obj") -> bytes:
    data = mesh.export(file_type=extension)
    return data.encode() if isinstance(data, str) else data


def mesh_of(data: bytes, extension: str) -> trimesh.Trimesh:
    scene = trimesh.load_scene(io.BytesIO(data), file_type=extension)
    mesh = scene.to_mesh()
    mesh.merge_vertices()
    return mesh


@pytest.fixture(scope="module")
def torus() -> trimesh.Trimesh:
    """Not at the origin, nor of size 1."""
    mesh = trimesh.creation.torus(MAJOR, MINOR)
    mesh.apply_translation(CENTRE)
    return mesh


@pytest.fixture(scope="module")
def obj(torus: trimesh.Trimesh) -> bytes:
    return file_of(torus)


@pytest.fixture(scope="module")
def simple() -> bytes:
    """A torus of few faces, for fits where nothing is asked of the quality."""
    mesh = trimesh.creation.torus(MAJOR, MINOR, major_sections=16, minor_sections=8)
    mesh.apply_translation(CENTRE)
    return file_of(mesh)


@pytest.fixture(scope="module")
def packed(obj: bytes) -> bytes:
    return i2codec.encode(obj, **_DRAFT)


@pytest.fixture
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such fits take few points too."""
    monkeypatch.setattr(i2codec.sources, "_SHAPE_POINTS", 2**13)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, stdin=None: CliRunner().invoke(main, list(arguments), input=stdin)


def inside(signal: Any) -> NDArray[np.bool_]:
    """Which cells of a signal's grid lie in the torus."""
    z, y, x = (np.arange(axis.extent) for axis in signal.axes)
    longest = max(axis.extent for axis in signal.axes)
    cells = [(2 * positions + 1 - len(positions)) / longest for positions in (x, y, z)]
    affine = np.array(signal.description.affine).reshape(3, 4)
    x, y, z = (
        affine[row, row] * cells[row].reshape([-1 if axis == 2 - row else 1 for axis in range(3)])
        + affine[row, 3]
        - CENTRE[row]
        for row in range(3)
    )
    return (np.hypot(x, y) - MAJOR) ** 2 + z**2 < MINOR**2


def iou(signal: Any) -> float:
    expected, found = inside(signal), signal.samples[..., 0] > 0.5
    return float((expected & found).sum() / (expected | found).sum())


def test_a_shape_survives(obj: bytes, packed: bytes) -> None:
    decoded = i2codec.decode(packed)
    assert decoded.kind is Kind.SHAPE
    assert max(decoded.samples.shape) == 128
    assert iou(decoded) >= FLOOR
    assert len(packed) < 1000 < len(obj) / 50


def test_without_its_parameters_it_is_empty(packed: bytes, zeroed: Callable[[bytes], bytes]) -> None:
    assert iou(i2codec.decode(zeroed(packed))) == 0.0
    with pytest.raises(i2codec.I2Error, match="no sample of the grid lies inside the solid"):
        decode_bytes(zeroed(packed), extension=".obj", resolution=32)


@pytest.mark.parametrize("extension", _FORMATS)
def test_every_output_format_holds_a_closed_mesh(torus: trimesh.Trimesh, packed: bytes, extension: str) -> None:
    mesh = mesh_of(decode_bytes(packed, extension=f".{extension}", resolution=64), extension)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(VOLUME, rel=0.1)
    body = max(mesh.split(), key=lambda part: part.volume)
    assert body.volume > 0.95 * mesh.volume  # a short fit leaves specks beside it
    assert body.euler_number == 0  # the hole is there
    np.testing.assert_allclose(body.bounds, torus.bounds, atol=2.0)


@pytest.mark.parametrize("extension", _FORMATS)
@pytest.mark.usefixtures("few_points")
def test_every_input_format_is_read(torus: trimesh.Trimesh, extension: str) -> None:
    data = i2codec.encode(file_of(torus, extension), preset="draft", steps=60, width=10, device="cpu")
    assert iou(i2codec.decode(data, resolution=64)) > 0.6


def test_resolution_changes_the_mesh(packed: bytes) -> None:
    faces = [
        len(mesh_of(decode_bytes(packed, extension=".ply", resolution=cells), "ply").faces) for cells in (24, 48, 96)
    ]
    assert 3 * faces[0] < faces[1] < faces[2] / 3
    assert max(i2codec.decode(packed, resolution=40).samples.shape) == 40
    assert iou(i2codec.decode(packed, resolution=40)) >= FLOOR
    half = i2codec.decode(packed, scale=0.5).samples
    assert half.shape == (*(round(extent / 2) for extent in i2codec.decode(packed).samples.shape[:3]), 1)


@pytest.mark.usefixtures("few_points")
def test_the_same_seed_gives_the_same_bytes(simple: bytes) -> None:
    options: EncodeKeywords = {"preset": "draft", "steps": 20, "width": 6, "device": "cpu"}
    first = i2codec.encode(simple, **options)
    assert i2codec.encode(simple, **options) == first
    assert i2codec.encode(simple, seed=1, **options) != first


@pytest.mark.usefixtures("few_points")
def test_an_interrupted_encoding_goes_on_to_the_same_bytes(simple: bytes, tmp_path: Path) -> None:
    options: EncodeKeywords = {"preset": "draft", "steps": 20, "width": 6, "device": "cpu"}
    path = tmp_path / "shape.checkpoint"
    expected = i2codec.encode(simple, **options)
    with pytest.raises(i2codec.Cancelled):
        i2codec.encode(simple, checkpoint=path, progress=lambda progress: progress.stage == "fit", **options)
    assert path.exists()
    assert i2codec.encode(simple, checkpoint=path, **options) == expected
    assert not path.exists()


def test_the_field_is_callable(packed: bytes) -> None:
    field = i2codec.open(packed)
    longest = 2 * (MAJOR + MINOR) * 1.08 / 2
    ring, middle = [0.0, 0.0, MAJOR / longest], [0.0, 0.0, 0.0]
    values = field(np.array([ring, middle]))
    assert values[0, 0] > 0.5 > values[1, 0]


def test_info_and_compare(run: Callable[..., Result], obj: bytes, packed: bytes) -> None:
    Path("m.obj").write_bytes(obj)
    Path("m.i2").write_bytes(packed)
    values = json.loads(run("info", "m.i2", "--json").stdout)
    assert (values["kind"], values["units"], values["size_bytes"]) == ("shape", 1, len(packed))
    assert values["shape"][1:] == [128, 128, 1]
    assert not {"duration_s", "bitrate_bps", "frames", "rate_hz", "sound"} & values.keys()
    compared = json.loads(run("compare", "m.obj", "m.i2", "--json").stdout)
    assert compared.keys() == {"size_bytes", "rate_bpp", "iou", "chamfer", "normal_consistency"}
    assert compared["size_bytes"] == len(packed)
    assert compared["rate_bpp"] == pytest.approx(8 * len(packed) / np.prod(values["shape"]))
    assert compared["iou"] >= FLOOR
    assert 0 < compared["chamfer"] < 0.05
    assert compared["normal_consistency"] > 0.9


def test_the_command_line_does_the_same(
    run: Callable[..., Result], few_points: None, simple: bytes, packed: bytes
) -> None:
    Path("m.obj").write_bytes(simple)
    assert run("encode", "m.obj", *_TINY_OPTIONS).exit_code == 0
    assert Path("m.i2").read_bytes() == i2codec.encode(simple, preset="draft", steps=20, width=6, device="cpu")
    Path("m.i2").write_bytes(packed)
    Path("m.obj").unlink()
    assert run("decode", "m.i2", "--resolution", "32").exit_code == 0
    assert Path("m.obj").read_bytes() == decode_bytes(packed, extension=".obj", resolution=32)
    piped = run("decode", "-", "--resolution", "32", stdin=packed)
    assert piped.stdout_bytes == Path("m.obj").read_bytes()
    assert run("decode", "m.i2", "-o", "m.glb", "--resolution", "32").exit_code == 0
    assert mesh_of(Path("m.glb").read_bytes(), "glb").is_watertight


def fails(result: Result) -> str:
    """The one line on standard error of a command that failed as expected."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("i2codec: ")
    return lines[0]


TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 3 2 1\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("encode", "missing.obj"), "does not exist"),
        (("encode", "points.obj"), "the mesh has 0 faces"),
        (("encode", "open.obj"), "the mesh is open"),
        (("encode", "flat.obj"), "flat.obj: "),
        (("encode", "infinite.obj"), "infinite.obj: "),
        (("encode", "torn.ply"), "torn.ply"),
        (("decode", "m.i2", "-o", "x.wav"), "cannot write a shape as .wav"),
        (("decode", "m.i2", "-o", "folder"), "cannot write a shape"),
        (("decode", "m.i2", "-o", "no/x.obj"), "does not exist"),
        (("decode", "m.i2", "-o", "x.obj", "--resolution", "1"), "resolution 1; expected 2 to 4096"),
        (("decode", "m.i2", "-o", "x.obj", "--resolution", "4097"), "resolution 4097; expected 2 to 4096"),
        (("decode", "m.i2", "-o", "x.obj", "--resolution", "4096"), "the limit is"),
        (("decode", "m.i2", "-o", "x.obj", "--scale", "1000"), "the limit is"),
        (("decode", "m.i2", "-o", "x.obj", "--scale", "2", "--resolution", "9"), "at most one"),
        (("decode", "m.i2", "-o", "x.obj", "--scale", "0.001"), "decode it at a higher resolution"),
        (("decode", "m.i2", "-o", "x.obj", "--size", "4x4"), "size has no meaning for a shape"),
        (("decode", "m.i2", "-o", "x.obj", "--region", "0,0,1,1"), "region has no meaning for a shape"),
        (("decode", "m.i2", "-o", "x.obj", "--rate", "8000"), "rate has no meaning for a shape"),
        (("decode", "m.i2", "-o", "x.obj", "--start", "0"), "start has no meaning for a shape"),
        (("compare", "solid.obj", "open.obj"), "the mesh is open"),
        (("compare", "solid.obj", "photo.i2"), "the original is a shape, the .i2 file holds a photo"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    run: Callable[..., Result], packed: bytes, arguments: tuple[str, ...], expected: str
) -> None:
    contents = {
        "m.i2": packed,
        "solid.obj": TETRAHEDRON.encode(),
        "points.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\n",
        "open.obj": TETRAHEDRON.removesuffix("f 3 1 4\n").encode(),
        "flat.obj": TETRAHEDRON.replace("v 0 0 1", "v 1 1 0").encode(),
        "infinite.obj": TETRAHEDRON.replace("v 0 0 1", "v 0 0 inf").encode(),
        "torn.ply": file_of(trimesh.creation.icosphere(2), "ply")[:900],
        "photo.i2": (Path(__file__).parent / "golden" / "photo_v1.i2").read_bytes(),
    }
    for name, content in contents.items():
        Path(name).write_bytes(content)
    assert expected in fails(run(*arguments))
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == contents


@pytest.mark.parametrize("library", ["trimesh", "igl"])
def test_encoding_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result], obj: bytes, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(i2codec.MissingExtraError, match=r"pip install 'i2codec\[shape\]'"):
        i2codec.encode(obj, **_DRAFT)
    Path("m.obj").write_bytes(obj)
    message = fails(run("encode", "m.obj", *_TINY_OPTIONS))
    assert library in message
    assert "i2codec[shape]" in message
    assert [path.name for path in Path().iterdir()] == ["m.obj"]


def test_decoding_without_the_extra(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result], packed: bytes) -> None:
    for library in ("trimesh", "igl", "skimage", "skimage.measure"):
        monkeypatch.setitem(sys.modules, library, None)
    assert iou(i2codec.decode(packed, resolution=32)) >= FLOOR - 0.05  # the field needs none of them
    assert i2codec.info(packed)["kind"] == "shape"
    Path("m.i2").write_bytes(packed)
    assert run("verify", "m.i2").exit_code == 0
    assert "i2codec[shape]" in fails(run("decode", "m.i2", "-o", "m.obj", "--resolution", "32"))
    assert [path.name for path in Path().iterdir()] == ["m.i2"]
