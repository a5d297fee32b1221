"""IoU, chamfer distance and normal consistency against known solids."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from i2codec.media.shape import Mesh, compare_shapes


def box(low: tuple[float, ...], high: tuple[float, ...]) -> Mesh:
    return mesh_of(trimesh.creation.box(bounds=[low, high]))


def mesh_of(source: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(source.vertices, np.float64), np.array(source.faces, np.int64))


def test_equal_solids() -> None:
    mesh = mesh_of(trimesh.creation.icosphere(2))
    measures = compare_shapes(mesh, mesh)
    assert measures["iou"] == 1.0
    assert measures["chamfer"] == pytest.approx(0.0, abs=1e-9)
    assert measures["normal_consistency"] == pytest.approx(1.0)


def test_boxes_side_by_side() -> None:
    measures = compare_shapes(box((0, 0, 0), (2, 1, 1)), box((1, 0, 0), (3, 1, 1)))
    assert measures["iou"] == pytest.approx(1 / 3, rel=0.01)


def test_boxes_apart() -> None:
    measures = compare_shapes(box((0, 0, 0), (1, 1, 1)), box((5, 0, 0), (6, 1, 1)))
    assert measures["iou"] == 0.0
    assert 4.0 < measures["chamfer"] < 5.5


def test_units_and_scale() -> None:
    for scale in (1.0, 1e-3, 1e6):
        one = box((0, 0, 0), (2 * scale, scale, scale))
        thicker = box((0, -0.1 * scale, -0.1 * scale), (2 * scale, 1.1 * scale, 1.1 * scale))
        measures = compare_shapes(one, thicker)
        assert measures["iou"] == pytest.approx(2.0 / 2.88, rel=0.01)
        # 8 of the 10 units of the reference's area are 0.1 away and the ends 0, out of a side of 2.
        assert measures["chamfer"] == pytest.approx(0.04, rel=0.15)


def test_spheres() -> None:
    small, large = (mesh_of(trimesh.creation.icosphere(5, radius=radius)) for radius in (0.9, 1.0))
    measures = compare_shapes(large, small)
    assert measures["iou"] == pytest.approx(0.729, rel=0.01)
    assert measures["chamfer"] == pytest.approx(0.05, rel=0.01)  # 0.1 of a diameter of 2, both ways
    assert measures["normal_consistency"] > 0.999


def test_normals_at_right_angles() -> None:
    slab, turned = box((-1, -1, -0.001), (1, 1, 0.001)), box((-0.001, -1, -1), (0.001, 1, 1))
    assert compare_shapes(slab, turned)["normal_consistency"] < 0.05


def test_orientation_of_faces_does_not_matter() -> None:
    mesh = box((0, 0, 0), (1, 1, 1))
    assert compare_shapes(mesh, Mesh(mesh.vertices, mesh.faces[:, ::-1].copy()))["normal_consistency"] == pytest.approx(
        1
    )


def test_faces_without_area_do_no_harm() -> None:
    lower = box((0, 0, 0), (1, 1, 0.9))
    needle = np.array([[0, 0.5, 1], [0.5, 0.5, 1], [1, 0.5, 1]])  # nearest to the middle of the top
    longer = Mesh(np.concatenate([lower.vertices, needle]), np.concatenate([lower.faces, [[8, 9, 10]]]))
    measures = compare_shapes(box((0, 0, 0), (1, 1, 1)), longer)
    assert measures["iou"] == pytest.approx(0.9, rel=0.01)
    assert 0.9 < measures["normal_consistency"] < 1.0


def test_seed() -> None:
    one, other = box((0, 0, 0), (1, 1, 1)), box((0, 0, 0), (1, 1, 1.3))
    assert compare_shapes(one, other, seed=1) == compare_shapes(one, other, seed=1)
    assert compare_shapes(one, other, seed=1) != compare_shapes(one, other, seed=2)
