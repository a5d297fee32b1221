from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from i2codec.fit.points import TrainingPoints
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.grid import grid_coordinates, half_extents, sample_centres
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
