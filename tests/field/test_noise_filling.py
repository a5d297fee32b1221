from fractions import Fraction

import numpy as np
import pytest

from i2codec.field.noise_filling import BAND_EDGES_HZ, LARGEST_LEVEL, band_edges, noise


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 96000])
@pytest.mark.parametrize("length", [64, 256, 4096])
def test_bands_cover_all_columns(rate, length):
    edges = band_edges(length, sample_step=Fraction(1, rate))
    assert edges[0] == 0
    assert edges[-1] == length
    assert (np.diff(edges) > 0).all()
    hz = edges[1:-1] * rate / (2 * length)
    nearest = np.abs(hz[:, None] - np.array(BAND_EDGES_HZ)).min(axis=1)
    assert nearest.max() <= rate / (4 * length)  # half a column


def test_noise_is_as_loud_as_its_level_and_none_at_0():
    levels = np.array([[LARGEST_LEVEL, 0, 1], [5, 6, 0]] * 50, dtype=np.int32)
    edges = np.array([0, 2000, 4000, 6000])
    found = noise(levels, edges, unit=3, channel=1)
    assert found.shape == (100, 6000)
    loudness = np.sqrt(np.square(found).reshape(100, 3, 2000).mean(axis=2))
    wanted = np.where(levels > 0, 2.0 ** (0.5 * (levels - 25)), 0.0)
    np.testing.assert_allclose(loudness, wanted, rtol=0.05)
    assert not loudness[:, 2][1::2].any()


def test_noise_is_white_and_of_its_place_alone():
    levels, edges = np.full((40, 1), 10, dtype=np.int32), np.array([0, 500])
    found = noise(levels, edges, unit=0, channel=0)
    np.testing.assert_array_equal(noise(levels[:7], edges, unit=0, channel=0), found[:7])
    normal = found / found.std()
    assert abs(normal.mean()) < 0.03
    for shifted in (np.roll(normal, 1, axis=0), np.roll(normal, 1, axis=1)):
        assert abs((normal * shifted).mean()) < 0.03
    for other in (noise(levels, edges, unit=1, channel=0), noise(levels, edges, unit=0, channel=1)):
        assert abs((found * other).mean()) < 0.03 * found.var()


def test_the_generator_is_fixed():
    """As docs/format.md has it."""
    found = noise(np.full((2, 1), 25, dtype=np.int32), np.array([0, 3]), unit=2, channel=1) / np.sqrt(3.0)
    integers = np.rint((found + 1.0) * 2**23).astype(int).tolist()
    assert integers == GOLDEN


def mixed(value):
    value ^= value >> 16
    value = value * 0x7FEB352D % 2**32
    value ^= value >> 15
    value = value * 0x846CA68B % 2**32
    return value ^ value >> 16


GOLDEN = [
    [mixed((mixed((mixed(2 * 8 + 1) + cell) % 2**32) + column) % 2**32) >> 8 for column in range(3)]
    for cell in range(2)
]
