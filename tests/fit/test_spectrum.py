from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from i2codec.fit import spectrum as spectrum_module
from i2codec.fit.points import TrainingPoints
from i2codec.fit.spectrum import Spectrum
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.samples import PointSamples
from i2codec.signal.signal import Signal

_NAMES = {1: (AxisName.TIME,), 2: (AxisName.Y, AxisName.X), 3: (AxisName.Z, AxisName.Y, AxisName.X)}
_CASES = pytest.mark.parametrize(
    ("extents", "lines"), [((500,), (37,)), ((24, 60), (5, 41)), ((60, 24), (0, 7)), ((10, 16, 20), (3, 0, 11))]
)


def _described(extents: Sequence[int], *, channels: int = 1) -> SignalDescription:
    axes = tuple(Axis(name, extent) for name, extent in zip(_NAMES[len(extents)], extents, strict=True))
    return SignalDescription(Kind.PHOTO, axes, (ChannelRole.PLAIN,) * channels, SampleFormat.FLOAT32)


def _points(samples: NDArray[np.floating]) -> TrainingPoints:
    """All points of an array ``[*grid, C]``."""
    description = _described(samples.shape[:-1], channels=samples.shape[-1])
    return TrainingPoints.of_signal(Signal(description, samples.astype(np.float32)), device="cpu")


def _cosine(extents: Sequence[int], lines: Sequence[int]) -> NDArray[np.float64]:
    """``[*extents, 1]``: line k of n samples is cos(π k (j + ½)/n)."""
    waves = [
        np.cos(np.pi * line * (np.arange(extent) + 0.5) / extent) for extent, line in zip(extents, lines, strict=True)
    ]
    product: NDArray[np.float64] = np.array(1.0)
    for wave in waves:
        product = product[..., None] * wave
    return product[..., None]


def _drawn(spectrum: Spectrum, count: int, *, parameters: int = 0, seed: int = 0) -> NDArray[np.float32]:
    return spectrum.draw(count, parameter_count=parameters, generator=np.random.default_rng(seed))


def _lines(spectrum: Spectrum, count: int, *, parameters: int = 0) -> NDArray[np.int64]:
    """The nearest lines ``[count, d]`` of drawn frequencies."""
    spacing = np.pi / (2.0 * np.array(spectrum.half_extents))
    return np.rint(np.abs(_drawn(spectrum, count, parameters=parameters)) / spacing).astype(np.int64)


@_CASES
def test_the_frequencies_of_a_cosine_are_within_half_a_line_of_it(
    extents: tuple[int, ...], lines: tuple[int, ...]
) -> None:
    points = _points(0.4 + 0.3 * _cosine(extents, lines))
    found = _drawn(Spectrum.of_points(points), 50)
    assert found.shape == (50, len(extents))
    assert found.dtype == np.float32
    # a coordinate spans 2 e, in which line k turns by k π
    spacing = np.pi / (2.0 * np.array(points.half_extents))
    assert np.all(np.abs(np.abs(found) - np.array(lines) * spacing) <= 0.501 * spacing)
    assert {tuple(signs) for signs in np.sign(found)} == {
        tuple(signs) for signs in np.stack(np.meshgrid(*[(-1.0, 1.0)] * len(extents)), -1).reshape(-1, len(extents))
    }
    assert len(np.unique(found)) > 40 * len(extents)  # between the lines too


@_CASES
def test_as_many_waves_are_needed_as_the_error_allows(extents: tuple[int, ...], lines: tuple[int, ...]) -> None:
    second, third = (tuple(reversed([(line + shift) % 9 + 1 for line in lines])) for shift in (1, 4))
    amplitudes = (0.9, 0.5, 0.1)
    waves = [
        amplitude * _cosine(extents, each) for amplitude, each in zip(amplitudes, (lines, second, third), strict=True)
    ]
    spectrum = Spectrum.of_points(_points(sum(waves) + 3.0))
    errors = [float(np.mean(wave**2)) for wave in waves]
    assert spectrum.waves_for(0.9 * errors[2]) == 3
    assert spectrum.waves_for(1.1 * errors[2]) == 2
    assert spectrum.waves_for(errors[2] + 1.1 * errors[1]) == 1
    assert spectrum.waves_for(1.1 * sum(errors)) == 0


def test_power_is_the_mean_over_the_channels() -> None:
    samples = np.concatenate([_cosine((64,), (5,)), np.full((64, 1), 0.7)], axis=-1)
    spectrum = Spectrum.of_points(_points(samples))
    assert spectrum.power[5] == pytest.approx(64 / 2 / 2, rel=1e-4)
    assert np.delete(spectrum.power, 5).max() < 1e-6


def test_a_constant_needs_no_waves_and_still_gives_frequencies() -> None:
    spectrum = Spectrum.of_points(_points(np.full((32, 1), 0.25)))
    assert spectrum.waves_for(1e-6) == 0
    assert np.isfinite(_drawn(spectrum, 7, parameters=100)).all()


def test_more_frequencies_than_lines_can_be_drawn() -> None:
    assert _drawn(Spectrum.of_points(_points(_cosine((5,), (2,)))), 40).shape == (40, 1)


def test_noise_is_left_out() -> None:
    wanted = [11, 40, 73, 150, 222, 300, 411, 888]
    noise = 0.2 * np.random.default_rng(0).standard_normal((2048, 1))
    spectrum = Spectrum.of_points(_points(sum(_cosine((2048,), (line,)) for line in wanted) + noise))
    assert set(_lines(spectrum, 8, parameters=32)[:, 0]) <= set(wanted)
    everywhere = _lines(spectrum, 200, parameters=4 * 2048)[:, 0]
    assert not set(everywhere) <= set(wanted)


def test_draws_go_by_amplitude() -> None:
    spectrum = Spectrum.of_points(_points(3.0 * _cosine((256,), (20,)) + _cosine((256,), (90,))))
    lines = _lines(spectrum, 4000)[:, 0]
    assert np.mean(lines == 20) == pytest.approx(0.75, abs=0.03)
    assert np.mean(lines == 90) == pytest.approx(0.25, abs=0.03)


def test_a_seed_says_what_is_drawn() -> None:
    spectrum = Spectrum.of_points(_points(np.random.default_rng(1).standard_normal((30, 40, 3))))
    first, again, other = (_drawn(spectrum, 60, parameters=900, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def _scattered(extents: tuple[int, ...], lines: tuple[int, ...], positions: NDArray[np.float64]) -> TrainingPoints:
    """A cosine at ``[M, d]`` positions in 0..1."""
    description = _described(extents)
    halves = np.array([extent / max(extents) for extent in extents])
    samples = PointSamples(
        coordinates=(halves * (2.0 * positions - 1.0)).astype(np.float32),
        values=np.cos(np.pi * positions * np.array(lines)).prod(axis=1, keepdims=True).astype(np.float32),
        weights=np.ones(len(positions), dtype=np.float32),
    )
    return TrainingPoints.of_samples(samples, description, device="cpu")


@pytest.mark.parametrize(("extents", "lines"), [((40, 60), (3, 8)), ((16, 24, 32), (2, 0, 5))])
def test_scattered_points_have_the_spectrum_of_their_cells(extents: tuple[int, ...], lines: tuple[int, ...]) -> None:
    positions = np.random.default_rng(2).random((40_000, len(extents)))
    spectrum = Spectrum.of_points(_scattered(extents, lines, positions))
    assert spectrum.point_share == 1.0
    assert tuple(_lines(spectrum, 1)[0]) == lines


def test_cells_hold_about_eight_points_and_empty_ones_the_mean() -> None:
    positions = np.random.default_rng(3).random((8000, 3))
    spectrum = Spectrum.of_points(_scattered((64, 64, 64), (1, 1, 1), positions))
    assert spectrum.power.shape == (10, 10, 10)
    half = positions * np.array([0.5, 1.0, 1.0])  # half of the cells are empty
    found = Spectrum.of_points(_scattered((64, 64, 64), (0, 0, 0), half))
    assert found.power.max() < 1e-6
    assert np.isfinite(_drawn(found, 5)).all()


def test_a_block_in_the_middle_stands_for_a_long_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum_module, "_MOST_POINTS", 1000)
    lines = 100 * np.cos(np.pi * 400 * (np.arange(8000) + 0.5) / 8000)
    outside = np.cos(np.pi * 3333 * (np.arange(8000) + 0.5) / 8000)
    middle = slice(3500, 4500)
    samples = 1000.0 * outside
    samples[middle] = lines[middle]
    points = _points(samples[:, None])
    spectrum = Spectrum.of_points(points)
    assert spectrum.power.shape == (1000,)
    assert spectrum.point_share == 1000 / 8000
    assert spectrum.half_extents == (1000 / 8000,)
    wanted = math.pi * 400 / 2.0
    assert np.abs(np.abs(_drawn(spectrum, 20)) - wanted).max() <= 0.501 * math.pi / (2.0 * spectrum.half_extents[0])
    assert spectrum.waves_for(1.0) == 8  # one in each eighth


@pytest.mark.parametrize("extents", [(5001,), (10, 700), (7, 30, 40)])
def test_the_transform_is_bounded_and_keeps_the_aspect(
    extents: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectrum_module, "_MOST_POINTS", 500)
    points = _points(np.random.default_rng(0).random((*extents, 1)))
    spectrum = Spectrum.of_points(points)
    assert min(spectrum.power.shape) >= 1
    assert spectrum.power.size <= 500
    assert spectrum.point_share == spectrum.power.size / points.count
    for half, whole, size, extent in zip(
        spectrum.half_extents, points.half_extents, spectrum.power.shape, extents, strict=True
    ):
        assert half == pytest.approx(whole * size / extent)
