"""Surfaces from occupancy, and mesh files written."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2codec.errors import FormatError, MissingExtraError, OptionError, OutputError
from i2codec.media.shape import (
    SHAPE_EXTENSIONS,
    Mesh,
    check_shape_output,
    compare_shapes,
    describe_shape,
    read_shape,
    surface,
    write_shape,
)
from i2codec.media.shape_domain import solid_in_domain
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    Kind,
    SampleFormat,
    SignalDescription,
    SourceContainer,
)
from i2codec.signal.grid import grid_coordinates, half_extents, sample_centres


def mesh_of(source: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(source.vertices, np.float64), np.array(source.faces, np.int64))


def solid(mesh: Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


def rendered(mesh: Mesh, cells: int) -> tuple[NDArray[np.float32], SignalDescription]:
    """Occupancy of a mesh on a grid of ``cells`` along the longest axis, with an edge of two cells."""
    native = describe_shape(mesh, source=SourceContainer.OBJ)
    axes = []
    for axis in native.axes:
        extent = max(1, round(axis.extent * cells / 128))
        axes.append(replace(axis, extent=extent, step=Fraction(axis.extent, extent)))
    description = replace(native, axes=tuple(axes))
    centres = [
        sample_centres(np.arange(axis.extent), count=axis.extent, half_extent=half)
        for axis, half in zip(axes, half_extents(axes), strict=True)
    ]
    points = np.ascontiguousarray(grid_coordinates(centres)[:, ::-1])
    inside = solid_in_domain(mesh, description)
    distance = inside.nearest(points)[0] * np.where(inside.inside(points), -1, 1)
    values = np.clip(0.5 - distance * cells / 4, 0, 1).astype(np.float32)
    return values.reshape(description.extents), description


def grid(extents: tuple[int, int, int], affine: tuple[float, ...]) -> SignalDescription:
    axes = tuple(Axis(name, extent) for name, extent in zip((AxisName.Z, AxisName.Y, AxisName.X), extents, strict=True))
    return SignalDescription(Kind.SHAPE, axes, (ChannelRole.OCCUPANCY,), SampleFormat.FLOAT32, affine=affine)


UNIT = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def hook() -> Mesh:
    """Without any symmetry: three boxes along the axes, joined at a corner, far from the origin."""
    parts = [((4, 1, 1), (0, 0, 0)), ((1, 3, 1), (0, 1, 0)), ((1, 1, 1.5), (0, 0, 1))]
    boxes = [trimesh.creation.box(bounds=[start, np.add(start, size)]) for size, start in parts]
    joined = trimesh.util.concatenate(boxes)
    joined.apply_translation([10, -20, 30])
    return mesh_of(joined)


@pytest.mark.parametrize("cells", [48, 64, 100])
def test_every_axis_comes_back_in_place(cells: int) -> None:
    source = hook()
    result = solid(surface(*rendered(source, cells)))
    assert result.is_watertight
    assert result.volume == pytest.approx(8.5, rel=0.03)
    weighted = np.array([[2, 0.5, 0.5], [0.5, 2.5, 0.5], [0.5, 0.5, 1.75]]).T @ [4, 3, 1.5] / 8.5
    np.testing.assert_allclose(result.center_mass, weighted + np.array([10, -20, 30]), atol=0.03)
    np.testing.assert_allclose(result.bounds, np.stack(source.bounds), atol=1.2 * 4.32 / cells)


def test_resolution_decides_the_detail_only() -> None:
    source = mesh_of(trimesh.creation.torus(1.0, 0.4, major_sections=24, minor_sections=12))
    measures = [compare_shapes(source, surface(*rendered(source, cells))) for cells in (24, 48)]
    assert measures[0]["iou"] > 0.88
    assert measures[1]["iou"] > 0.97
    assert measures[1]["chamfer"] < measures[0]["chamfer"] < 0.02
    assert surface(*rendered(source, 48)).vertices.max() == pytest.approx(1.4, abs=0.02)


def test_one_sample_becomes_an_octahedron() -> None:
    values = np.zeros((2, 4, 8), np.float32)
    values[1, 2, 6] = 1.0
    affine = (10.0, 0.0, 0.0, 5.0, 0.0, 10.0, 0.0, 6.0, 0.0, 0.0, 10.0, 7.0)
    mesh = surface(values, grid((2, 4, 8), affine))
    # One cell is 2/8 wide: the sample lies at x = 0.625, y = 0.125, z = 0.125 and its neighbours
    # 0.25 away, so the surface at half that distance.
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), [11.25, 7.25, 8.25], atol=1e-5)
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), 2.5, rtol=1e-3)
    assert solid(mesh).volume > 0


def test_surfaces_are_closed_at_the_border() -> None:
    mesh = surface(np.ones((3, 4, 5), np.float32), grid((3, 4, 5), UNIT))
    assert solid(mesh).is_watertight
    np.testing.assert_allclose(mesh.bounds[1], [1.0, 0.8, 0.6], rtol=1e-3)  # half a cell beyond the last centres


def test_mirroring_map_leaves_faces_outward() -> None:
    mirrored = (-1.0, *UNIT[1:])
    values = np.zeros((4, 4, 4), np.float32)
    values[1, 2, 0] = 1.0
    mesh = surface(values, grid((4, 4, 4), mirrored))
    assert solid(mesh).volume > 0
    assert mesh.vertices[:, 0].mean() == pytest.approx(0.75)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.integers(1, 6)] * 3),
    st.sampled_from(["zeros and ones", "halves", "any"]),
)
def test_surfaces_are_always_closed(seed: int, extents: tuple[int, int, int], kind: str) -> None:
    rng = np.random.default_rng(seed)
    values = {
        "zeros and ones": rng.integers(0, 2, extents),
        "halves": rng.integers(-2, 4, extents) / 2,
        "any": rng.normal(0.5, 1.0, extents),
    }[kind].astype(np.float32)
    values.flat[0] = 1.0
    mesh = surface(values, grid(extents, UNIT))
    assert solid(mesh).is_watertight
    assert solid(mesh).volume > 0
    # Not even float32 makes vertices equal, which would merge them on reading.
    assert len(np.unique(mesh.vertices.astype(np.float32), axis=0)) == len(mesh.vertices)


def test_ties_leave_no_holes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):  # without the spread of values, every second of these has holes
        values = rng.integers(0, 2, (6, 7, 8)).astype(np.float32)
        assert solid(surface(values, grid((6, 7, 8), UNIT))).is_watertight


def test_nothing_inside_is_an_error() -> None:
    with pytest.raises(FormatError, match="no sample of the grid lies inside the solid"):
        surface(np.full((3, 3, 3), 0.4, np.float32), grid((3, 3, 3), UNIT))


def test_other_kinds_are_refused() -> None:
    description = replace(grid((3, 3, 3), UNIT), affine=None)
    with pytest.raises(OptionError, match="not that of a shape"):
        surface(np.ones((3, 3, 3), np.float32), description)


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(MissingExtraError, match=r"shapes need skimage.*pip install 'i2codec\[shape\]'"):
        surface(np.ones((3, 3, 3), np.float32), grid((3, 3, 3), UNIT))


# ---- files ----


def written(mesh: Mesh, extension: str) -> bytes:
    stream = io.BytesIO()
    write_shape(mesh, stream, extension=extension)
    return stream.getvalue()


@pytest.mark.parametrize("extension", SHAPE_EXTENSIONS)
def test_round_trip(extension: str) -> None:
    source = surface(*rendered(hook(), 32))
    mesh, container = read_shape(written(source, extension))
    assert container is SHAPE_EXTENSIONS[extension]
    assert len(mesh.faces) == len(source.faces)
    assert len(mesh.vertices) == len(source.vertices)
    assert solid(mesh).is_watertight
    assert solid(mesh).volume == pytest.approx(solid(source).volume, rel=1e-4)
    np.testing.assert_allclose(mesh.bounds, source.bounds, atol=1e-5)


def test_extensions_in_any_case() -> None:
    assert written(mesh_of(trimesh.creation.box()), ".STL")[80:84] == (12).to_bytes(4, "little")


@pytest.mark.parametrize("extension", SHAPE_EXTENSIONS)
@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1e6, 1e15])
def test_any_size(extension: str, scale: float) -> None:
    source = trimesh.creation.icosphere(1)
    mesh = read_shape(written(Mesh(source.vertices * scale, np.array(source.faces, np.int64)), extension))[0]
    assert len(mesh.vertices) == len(source.vertices)
    np.testing.assert_allclose(mesh.bounds, np.array(source.bounds) * scale, rtol=1e-6)


def test_far_from_the_origin() -> None:
    box = mesh_of(trimesh.creation.box())
    far = Mesh(box.vertices + 1e7, box.faces)
    np.testing.assert_allclose(read_shape(written(far, ".obj"))[0].bounds, far.bounds, atol=1e-6)
    for extension in (".stl", ".ply", ".glb"):
        with pytest.raises(OutputError, match=r"too far from its origin for the float32.*write .obj"):
            written(far, extension)


@pytest.mark.parametrize("extension", [".png", "", ".gltf", ".OFF"])
def test_other_extensions_are_refused(extension: str) -> None:
    with pytest.raises(OutputError, match=r"cannot write a shape as .*; use .obj .ply .stl .glb"):
        check_shape_output(extension)
    with pytest.raises(OutputError):
        written(mesh_of(trimesh.creation.box()), extension)


class FullDisk(io.BytesIO):
    def write(self, _: object) -> int:
        raise OSError("no space left")


@pytest.mark.parametrize("extension", SHAPE_EXTENSIONS)
def test_disk_errors_are_reported(extension: str) -> None:
    with pytest.raises(OutputError, match=r"cannot be written \(no space left\)"):
        write_shape(mesh_of(trimesh.creation.box()), FullDisk(), extension=extension)
