from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from i2codec.fit.points import TrainingPoints
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.grid import grid_coordinates, half_extents, sample_centres
from i2codec.signal.samples import PointSamples
from i2codec.signal.signal import Signal

_AXES = (AxisName.Z, AxisName.Y, AxisName.X)


def _points(*extents: int) -> TrainingPoints:
    axes = tuple(Axis(name, extent) for name, extent in zip(_AXES[-len(extents) :], extents, strict=True))
    description = SignalDescription(Kind.PHOTO, axes, (ChannelRole.GREY,), SampleFormat.UINT8)
    samples = np.arange(np.prod(extents), dtype=np.float32).reshape(*extents, 1)
    return TrainingPoints.of_signal(Signal(description, samples), device="cpu")


@pytest.mark.parametrize("extents", [(7,), (5, 3), (2, 3, 4), (1, 1)])
def test_coordinates_follow_the_convention_in_the_order_of_the_targets(extents: tuple[int, ...]) -> None:
    points = _points(*extents)
    axes = [Axis(name, extent) for name, extent in zip(_AXES[-len(extents) :], extents, strict=True)]
    halves = half_extents(axes)
    expected = grid_coordinates(
        [
            sample_centres(np.arange(extent), count=extent, half_extent=half)
            for extent, half in zip(extents, halves, strict=True)
        ]
    )
    indices = points.targets[:, 0].long()
    np.testing.assert_allclose(points.coordinates(indices), expected, atol=1e-6)


def test_a_shift_moves_by_samples() -> None:
    points = _points(4, 6)
    moved = points.coordinates(torch.tensor([0]), shift=(1.0, 2.0))
    torch.testing.assert_close(moved, points.coordinates(torch.tensor([6 + 2])))


def test_long_axes_get_exact_coordinates() -> None:
    assert _points(5000).coordinates(torch.tensor([0])).dtype == torch.float64
    assert _points(50).coordinates(torch.tensor([0])).dtype == torch.float32


@given(size=st.sampled_from([1, 2, 5, 8, 20, 40, 100]), seed=st.integers(0, 2**31), number=st.integers(0, 10_000))
def test_a_batch_has_one_point_of_each_stretch(size: int, seed: int, number: int) -> None:
    points = _points(200)
    indices = points.batch_indices(size, seed=seed, number=number)
    assert torch.equal(indices, points.batch_indices(size, seed=seed, number=number))
    assert torch.equal(indices * size // 200, torch.arange(size))


def test_batches_differ() -> None:
    points = _points(2000)
    batches = [points.batch_indices(100, seed=seed, number=number) for seed in (0, 1) for number in (0, 1)]
    for first in range(4):
        for second in range(first):
            assert not torch.equal(batches[first], batches[second])


def test_a_lattice_is_spread_evenly_or_whole() -> None:
    points = _points(10, 10)
    assert torch.equal(points.lattice_indices(100), torch.arange(100))
    assert torch.equal(points.lattice_indices(500), torch.arange(100))
    assert torch.equal(points.lattice_indices(4), torch.tensor([12, 37, 62, 87]))


def _scattered(count: int = 50) -> tuple[PointSamples, SignalDescription]:
    """Occupancy at points of a box of 4 × 10 × 20 cells, denser in one half."""
    generator = np.random.default_rng(0)
    axes = tuple(Axis(name, extent) for name, extent in zip(_AXES, (4, 10, 20), strict=True))
    samples = PointSamples(
        coordinates=generator.uniform(-0.2, 0.2, (count, 3)).astype(np.float32),
        values=generator.integers(0, 2, (count, 1)).astype(np.float32),
        weights=np.where(np.arange(count) % 2, 1.5, 0.5).astype(np.float32),
    )
    return samples, SignalDescription(Kind.SHAPE, axes, (ChannelRole.OCCUPANCY,), SampleFormat.UINT8)


def test_scattered_samples_stay_where_they_are() -> None:
    samples, description = _scattered()
    points = TrainingPoints.of_samples(samples, description, device="cpu")
    assert (points.count, points.extents, points.half_extents) == (50, (4, 10, 20), (0.2, 0.5, 1.0))
    indices = torch.tensor([7, 0, 49])
    np.testing.assert_array_equal(points.coordinates(indices), samples.coordinates[[7, 0, 49]])
    np.testing.assert_array_equal(points.targets, samples.values)


def test_a_shift_moves_scattered_samples_by_cells() -> None:
    samples, description = _scattered()
    points = TrainingPoints.of_samples(samples, description, device="cpu")
    moved = points.coordinates(torch.arange(50), shift=(1.0, 0.5, -2.0))
    expected = samples.coordinates + np.array([2 * 0.2 / 4, 0.5 * 2 * 0.5 / 10, -2 * 2 * 1.0 / 20])
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    assert moved.dtype == torch.float32


def test_weights_count_for_the_distortion_and_not_for_training() -> None:
    samples, description = _scattered()
    points = TrainingPoints.of_samples(samples, description, device="cpu")
    indices = torch.arange(50)
    output = torch.rand(50, 1, generator=torch.Generator().manual_seed(0))
    squared = (output.numpy() - samples.values)[:, 0] ** 2
    assert points.distortion(output, indices) == pytest.approx(np.mean(squared * samples.weights), rel=1e-5)
    assert points.training_loss(output, indices) == pytest.approx(np.mean(squared), rel=1e-5)
    some = torch.tensor([3, 8])  # the weights are those of the points that are asked for
    expected = 0.5 * (1.5 * squared[3] + 0.5 * squared[8])
    assert points.distortion(output[some], some) == pytest.approx(expected, rel=1e-5)


def test_on_a_grid_both_are_the_same() -> None:
    points = _points(5, 6)
    output = torch.rand(30, 1, generator=torch.Generator().manual_seed(1))
    assert points.distortion(output, torch.arange(30)) == points.training_loss(output, torch.arange(30))
