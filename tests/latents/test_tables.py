import hashlib
import math

import numpy as np
import pytest

from i2codec.errors import VersionError
from i2codec.latents.tables import PHASES, SCALES, TOTAL_BITS, load_latent_tables

TABLES = load_latent_tables(1)
SHA_256 = "99a9d00d32195a33808964f929ae002a4ae90f5a24fdb315f81a4700f695c1e1"


def row(scale, phase):
    """Cumulative frequencies of one row, and its radius."""
    radius, middle = int(TABLES.radii[scale]), int(TABLES.middles[PHASES * scale + phase])
    return TABLES.cumulative[middle - radius : middle + radius + 3], radius


def test_released_tables_never_change(format_page):
    assert hashlib.sha256(TABLES.cumulative.astype("<u4").tobytes()).hexdigest() == SHA_256
    assert f"`{SHA_256}`" in format_page
    assert f"{TABLES.cumulative.size} numbers" in format_page


def test_rows_follow_one_another():
    ends = [row(scale, phase)[0] for scale in range(SCALES) for phase in range(PHASES)]
    np.testing.assert_array_equal(np.concatenate(ends), TABLES.cumulative)
    assert {array.dtype for array in (TABLES.cumulative, TABLES.middles, TABLES.radii)} == {np.dtype(np.int32)}


@pytest.mark.parametrize("scale", range(SCALES))
def test_the_radius_holds_ten_scales_up_to_255(scale):
    assert TABLES.radii[scale] == min(255, max(2, math.ceil(10 * 2 ** (scale / 8 - 4))))


def laplace_cdf(x):
    return 0.5 * math.exp(x) if x < 0 else 1 - 0.5 * math.exp(-x)


@pytest.mark.parametrize("scale", [0, 1, 7, 16, 32, 45, 61, 72, 79])
@pytest.mark.parametrize("phase", [0, 1, 8, 15])
def test_rows_are_the_laplace_distribution(scale, phase):
    cumulative, radius = row(scale, phase)
    b, mean = 2 ** (scale / 8 - 4), (phase - 8) / 16
    edges = [laplace_cdf((r - 0.5 - mean) / b) for r in range(-radius, radius + 2)]
    symbols = 2 * radius + 2
    expected = [n + (2**TOTAL_BITS - symbols) * (edge - edges[0]) for n, edge in enumerate(edges)]
    np.testing.assert_allclose(cumulative[:-1], expected, atol=1.01, rtol=0)  # they are rounded down
    assert cumulative[0] == 0
    assert cumulative[-1] == 2**TOTAL_BITS
    assert np.diff(cumulative).min() >= 1


@pytest.mark.parametrize(("scale", "phase"), [(0, 0), (0, 8), (32, 8)])
def test_rows_of_the_format_page(scale, phase, format_page):
    cumulative, radius = row(scale, phase)
    assert f"| {scale} | {phase} | {radius} | {', '.join(map(str, cumulative.tolist()))} |" in format_page


@pytest.mark.parametrize(("scale", "bits"), [(32, 0.001), (64, 0.003), (72, 0.003), (79, 0.02)])
def test_coding_costs_little_more_than_the_entropy(scale, bits):
    cumulative, radius = row(scale, 8)
    b = 2 ** (scale / 8 - 4)
    values = np.arange(-3000, 3001)
    edges = np.array([laplace_cdf((value - 0.5) / b) for value in np.append(values, 3001)])
    probabilities = np.maximum(np.diff(edges), 1e-300)
    inside = np.abs(values) <= radius
    lengths = np.empty(len(values))
    lengths[inside] = TOTAL_BITS - np.log2(np.diff(cumulative)[:-1])
    escape = TOTAL_BITS - np.log2(cumulative[-1] - cumulative[-2])
    lengths[~inside] = escape + 5 + np.floor(np.log2(np.abs(values[~inside]) - radius))
    assert 0 <= probabilities @ (lengths + np.log2(probabilities)) < bits


@pytest.mark.parametrize("number", [0, 2, 255])
def test_other_sets_are_unknown(number):
    with pytest.raises(VersionError, match=f"latent tables of set {number}"):
        load_latent_tables(number)
