import math

import numpy as np
import pytest

from i2codec.render.axis_grid import AxisGrid
from i2codec.render.chunks import CHUNK_SHAPES, AxisSamples, render_windows
from i2codec.render.window import Window
from i2codec.signal.grid import sample_centres

HALVES = (1.0, 0.5, 0.25)


def samples_of(window, half):
    grid = AxisGrid.of_count(native=window.count, count=window.count)
    return AxisSamples(
        window, lambda indices: grid.coordinates(indices, start=0, length=window.count, half_extent=half)
    )


def coordinates_as_channels(x):
    return x.astype(np.float32)


@pytest.mark.parametrize(
    "windows",
    [
        [Window(5, 0, 5)],
        [Window(9000, 4000, 8200)],
        [Window(150, 10, 140), Window(70, 63, 65)],
        [Window(64, 0, 64), Window(65, 0, 65)],
        [Window(20, 3, 18), Window(1, 0, 1), Window(40, 15, 33)],
    ],
)
def test_every_sample_is_at_its_coordinates(windows):
    rank = len(windows)
    output = render_windows(coordinates_as_channels, list(map(samples_of, windows, HALVES)), channel_count=rank)
    assert output.shape == (*(window.size for window in windows), rank)
    for axis, (window, half) in enumerate(zip(windows, HALVES[:rank], strict=True)):
        centres = sample_centres(np.arange(window.start, window.stop), count=window.count, half_extent=half)
        expected = centres.astype(np.float32).reshape([-1 if other == axis else 1 for other in range(rank)])
        np.testing.assert_array_equal(output[..., axis], np.broadcast_to(expected, output.shape[:-1]))


@pytest.mark.parametrize("rank", CHUNK_SHAPES)
def test_chunks_have_one_size_whatever_is_wanted(rank):
    assert math.prod(CHUNK_SHAPES[rank]) == 4096
    seen = []

    def evaluate(x):
        seen.append(x)
        return x[:, :1].astype(np.float32)

    whole = [Window(side + 2, 0, side + 2) for side in CHUNK_SHAPES[rank]]
    part = [Window(side + 2, side - 1, side) for side in CHUNK_SHAPES[rank]]
    render_windows(evaluate, list(map(samples_of, whole, HALVES)), channel_count=1)
    assert [x.shape for x in seen] == [(4096, rank)] * 2**rank
    first = seen[0]
    seen.clear()
    render_windows(evaluate, list(map(samples_of, part, HALVES)), channel_count=1)
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], first)
