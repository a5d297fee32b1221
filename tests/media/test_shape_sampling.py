"""Samples of occupancy, on a grid of half the usual resolution to save time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import trimesh

import i2codec.media.shape_domain
from i2codec.errors import InputError, OptionError
from i2codec.media.shape import Mesh, describe_shape, sample_shape
from i2codec.media.shape_domain import affine_parts
from i2codec.media.shape_sampling import NEAR_CELLS, NEAR_SHARE, RAMP_CELLS
from i2codec.signal.description import SignalDescription, SourceContainer
from i2codec.signal.grid import half_extents
from i2codec.signal.samples import PointSamples

CELLS = 64


@pytest.fixture(scope="module", autouse=True)
def _coarse_grid() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(i2codec.media.shape_domain, "GRID_CELLS", CELLS)
        yield


def mesh_of(source: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(source.vertices, np.float64), np.array(source.faces, np.int64))


def described(mesh: Mesh) -> SignalDescription:
    return describe_shape(mesh, source=SourceContainer.STL)


def sampled(source: trimesh.Trimesh, *, count: int = 4096, seed: int = 0) -> PointSamples:
    mesh = mesh_of(source)
    return sample_shape(mesh, described(mesh), count=count, seed=seed)


def domain_volume(description: SignalDescription) -> float:
    return 8.0 * math.prod(half_extents(description.axes))


def test_samples() -> None:
    samples = sampled(trimesh.creation.icosphere(2), count=5000)
    assert samples.count == 5000
    assert samples.coordinates.shape == (5000, 3)
    assert samples.values.shape == (5000, 1)
    assert samples.values.min() == 0.0
    assert samples.values.max() == 1.0
    assert np.abs(samples.coordinates).max() <= 1.0
    assert samples.weights.mean() == pytest.approx(1.0, abs=1e-5)
    assert len(np.unique(samples.weights)) == 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sides", [(1, 1, 1), (3, 1, 0.4)])
def test_weights_undo_the_density(sides: tuple[float, float, float], seed: int) -> None:
    box = trimesh.creation.box(sides)
    samples = sampled(box, count=20000, seed=seed)
    description = described(mesh_of(box))
    scale = affine_parts(description)[0][0, 0]
    share = box.volume / scale**3 / domain_volume(description)
    terms = samples.weights * (samples.values[:, 0] > 0.5)
    assert abs(terms.mean() - share) < 4 * terms.std() / math.sqrt(samples.count)  # strata make it much less
    half = np.array(half_extents(description.axes))
    second_moment = (samples.weights[:, None] * samples.coordinates**2).mean(axis=0)
    np.testing.assert_allclose(second_moment, half**2 / 3, rtol=0.02)


def test_points_are_where_they_are_needed() -> None:
    samples = sampled(trimesh.creation.icosphere(4), count=20000)
    description = described(mesh_of(trimesh.creation.icosphere(4)))
    radius = np.linalg.norm(samples.coordinates, axis=1) * affine_parts(description)[0][0, 0]
    cell = 2 * affine_parts(description)[0][0, 0] / CELLS
    near = np.abs(radius - 1.0) < (NEAR_CELLS + 0.9) * cell
    assert near.mean() == pytest.approx(NEAR_SHARE, abs=0.03)
    assert not near[: int(20000 * (1 - NEAR_SHARE)) - 600].all()
    assert near[-int(20000 * NEAR_SHARE) :].all()  # far points come first


def test_occupancy_is_a_ramp_of_the_distance() -> None:
    box = trimesh.creation.box((2, 2, 2))
    samples = sampled(box, count=8192)
    scale = affine_parts(described(mesh_of(box)))[0][0, 0]
    inside = 1.0 - np.abs(samples.coordinates * scale).max(axis=1)  # depth, right where a face is nearest
    ramp = RAMP_CELLS * 2 * scale / CELLS
    face = (np.abs(samples.coordinates * scale) < 1.0).sum(axis=1) >= 2
    expected = np.clip(0.5 + inside / ramp, 0.0, 1.0)
    np.testing.assert_allclose(samples.values[face, 0], expected[face], atol=1e-3)
    assert ((samples.values > 0.1) & (samples.values < 0.9)).any()


def test_axis_order() -> None:
    long = trimesh.creation.box(bounds=[[0, 0, 0], [4, 2, 1]])
    samples = sampled(long)
    assert np.abs(samples.coordinates).max(axis=0).argsort().tolist() == [0, 1, 2]
    corner = trimesh.util.concatenate([long, trimesh.creation.box(bounds=[[0, 0, 0], [1, 1, 3]])])
    samples = sampled(corner)
    inside = samples.coordinates[samples.values[:, 0] > 0.5]
    high = inside[inside[:, 0] > 0.0]  # the part that sticks out in z, at low x and y
    assert (high[:, 2] < -0.4).all()
    assert (high[:, 1] < 0.1).all()


def test_seeds() -> None:
    ball = trimesh.creation.icosphere(1)
    one, again, other = (sampled(ball, count=100, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.coordinates, again.coordinates)
    assert not np.array_equal(one.coordinates, other.coordinates)


def test_neighbours_in_the_list_are_neighbours_in_space() -> None:
    coordinates = sampled(trimesh.creation.icosphere(2)).coordinates
    far = len(coordinates) - round(NEAR_SHARE * len(coordinates))
    assert (np.diff(coordinates[:far, 0]) > -2.0 / CELLS).all()
    assert (np.diff(coordinates[far:, 0]) > -2.0 / CELLS).all()


@pytest.mark.parametrize("count", [2, 3, 17])
def test_few_points(count: int) -> None:
    assert sampled(trimesh.creation.icosphere(1), count=count, seed=1).count == count


def test_a_single_point_is_refused() -> None:
    with pytest.raises(OptionError, match="1 points; expected at least 2"):
        sampled(trimesh.creation.icosphere(1), count=1)


def test_overlapping_bodies_unite_and_cavities_are_empty() -> None:
    first, second = (trimesh.creation.box((2, 2, 2)) for _ in range(2))
    second.apply_translation([1, 0, 0])
    both = trimesh.util.concatenate([first, second])
    scale = affine_parts(described(mesh_of(both)))[0][0, 0]
    samples = sampled(both, count=20000)
    volume = (
        (samples.weights * (samples.values[:, 0] > 0.5)).mean() * domain_volume(described(mesh_of(both))) * scale**3
    )
    assert volume == pytest.approx(12.0, rel=0.01)

    shell, cavity = trimesh.creation.icosphere(3), trimesh.creation.icosphere(3, radius=0.6)
    cavity.invert()
    hollow = trimesh.util.concatenate([shell, cavity])
    samples = sampled(hollow, count=20000)
    scale = affine_parts(described(mesh_of(hollow)))[0][0, 0]
    radius = np.linalg.norm(samples.coordinates, axis=1) * scale
    assert samples.values[radius < 0.5].max() == 0.0
    assert samples.values[(radius > 0.7) & (radius < 0.9)].min() == 1.0


@pytest.mark.parametrize("thickness", [1e-4, 0.005, 0.01])  # with and without a cell's centre inside
def test_solid_thinner_than_a_cell_is_refused(thickness: float) -> None:
    plate = trimesh.creation.box((1, 1, thickness))
    with pytest.raises(InputError, match="thinner than a cell"):
        sampled(plate)


def test_solid_of_a_few_cells_is_kept() -> None:
    assert sampled(trimesh.creation.box((1, 1, 0.03))).values.max() > 0.75
