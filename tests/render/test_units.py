"""Signals of several units: sounds and videos, whole, in part, piece by piece, at other rates."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.container.limits import Limits
from i2codec.errors import FormatError, LimitError, OptionError
from i2codec.field.architecture import Filter
from i2codec.payload.file import StoredSignal
from i2codec.render import render as render_module
from i2codec.render.chunks import CHUNK_SHAPES
from i2codec.render.field import Field
from i2codec.render.render import Rendering, render_signal
from i2codec.signal.grid import grid_coordinates, sample_centres
from i2codec.signal.timestamps import TimeStamps

STAMPS = TimeStamps(Fraction(1, 1000), (0, 40, 80, 120, 500, 510, 520, 560, 700, 740, 780, 900))
SIGNALS = {  # extents, samples of a unit, time stamps: several units of several chunks each
    "sound": ((9500,), 4500, None),
    "short units": ((230,), 50, None),
    "video": ((11, 36, 9), 5, None),
    "stamped video": ((11, 5, 34), 5, STAMPS),
}
GRIDS = {
    "sound": [{}, {"rate": Fraction(141)}, {"rate": Fraction(44)}, {"extents": (950,)}],
    "short units": [{}, {"rate": Fraction(730)}, {"rate": Fraction(10)}],
    "video": [{}, {"rate": Fraction(237)}, {"rate": Fraction(31)}, {"extents": (11, 17, 9)}, {"extents": (25, 40, 4)}],
    "stamped video": [{}, {"rate": Fraction(30)}, {"rate": Fraction(5)}, {"extents": (11, 4, 20)}],
}
EVERY = pytest.mark.parametrize("name", SIGNALS)
CASES = pytest.mark.parametrize(("name", "grid"), [(name, grid) for name in GRIDS for grid in GRIDS[name]])


@pytest.fixture(scope="session")
def signals(make_units):
    return {
        name: make_units(*extents, length=length, timestamps=stamps)
        for name, (extents, length, stamps) in SIGNALS.items()
    }


@EVERY
def test_a_unit_is_its_own_network_at_its_own_coordinates(signals, name):
    stored = signals[name]
    assert stored.segments.count >= 2
    found = render_signal(stored, device="cpu").samples
    for unit in range(stored.segments.count):
        start, stop = stored.segments.bounds(unit)
        alone = StoredSignal(stored.unit_description(unit), (stored.networks[unit],))
        np.testing.assert_array_equal(found[start:stop], render_signal(alone, device="cpu").samples)
        values = stored.networks[unit].dequantised().evaluate(Field(alone).coordinates())
        np.testing.assert_allclose(found[start:stop].reshape(values.shape), values, atol=1e-5)
    assert found.std() > 0.05


@CASES
@pytest.mark.parametrize("piece_points", [1, 1500, 2**18])
def test_pieces_together_are_the_whole(signals, name, grid, piece_points, monkeypatch):
    rendering = Rendering(signals[name], **grid, device="cpu")
    whole = rendering.samples(rendering.window)
    assert whole.shape[:-1] == rendering.description.extents
    monkeypatch.setattr(render_module, "_PIECE_POINTS", piece_points)
    pieces = list(rendering.pieces())
    assert len(pieces) >= signals[name].segments.count
    assert np.concatenate(pieces).tobytes() == whole.tobytes()


@CASES
@settings(max_examples=6)
@given(data=st.data())
def test_a_part_in_time_has_the_bytes_of_the_whole(signals, name, grid, data):
    stored = signals[name]
    native = stored.description.extents
    start = data.draw(st.integers(0, native[0] - 1))
    region = [(start, data.draw(st.integers(1, native[0] - start))), *((0, extent) for extent in native[1:])]
    whole = render_signal(stored, **grid, device="cpu").samples
    part = Rendering(stored, **grid, region=region, device="cpu")
    expected = whole[part.window.start : part.window.stop]
    assert part.signal().samples.tobytes() == expected.tobytes()
    assert np.concatenate(list(part.pieces())).tobytes() == expected.tobytes()


@EVERY
def test_chunks_begin_at_units_and_none_is_rendered_twice(signals, name, monkeypatch):
    stored, seen, of_network = signals[name], [], render_module.evaluator

    def recording(network, **options):
        evaluate = of_network(network, **options)
        return lambda x: seen.append(x) or evaluate(x)

    monkeypatch.setattr(render_module, "evaluator", recording)
    monkeypatch.setattr(render_module, "_PIECE_POINTS", 1)
    list(Rendering(stored, device="cpu").pieces())
    side = CHUNK_SHAPES[len(stored.description.axes)][0]
    chunks = [range(start, stop, side) for start, stop in map(stored.segments.bounds, range(stored.segments.count))]
    rest = math.prod(-(-extent // 32) for extent in stored.description.extents[1:])
    assert len(seen) == sum(map(len, chunks)) * rest


def test_pieces_are_bounded_by_what_is_rendered_for_them(make_units, monkeypatch):
    """A video that goes down in size is rendered at its native one."""
    sizes, render_windows = [], render_module.render_windows

    def recorded(evaluate, axes, **options):
        sizes.append(math.prod(axis.window.size for axis in axes))
        return render_windows(evaluate, axes, **options)

    monkeypatch.setattr(render_module, "render_windows", recorded)
    monkeypatch.setattr(render_module, "_PIECE_POINTS", 4 * 40 * 50)
    rendering = Rendering(make_units(24, 40, 50, length=24), extents=(24, 2, 2), device="cpu")
    assert sum(len(piece) for piece in rendering.pieces()) == 24
    assert max(sizes) <= 4 * 40 * 50


@EVERY
def test_the_field_is_the_render(signals, name):
    stored = signals[name]
    field = Field(stored)
    found = render_signal(stored, device="cpu").samples
    np.testing.assert_allclose(field(field.coordinates()).reshape(found.shape), found, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_a_higher_rate_holds_the_native_samples_of_a_sound(signals, factor):
    stored = signals["short units"]
    native = render_signal(stored, device="cpu").samples
    found = render_signal(stored, rate=Fraction(100 * factor), device="cpu")
    assert found.samples[::factor].shape == native.shape
    np.testing.assert_allclose(found.samples[::factor], native, atol=1e-6)
    assert found.axes[0].step == Fraction(1, 100 * factor)


def at_moments(stored, positions):
    """Frames of the field at places among the native frames."""
    half_y, half_x = Field(stored).half_extents[1:]
    count, height, width = stored.description.extents
    times = 2.0 * np.array(positions, dtype=np.float64) / count - 1.0
    rows = sample_centres(np.arange(height), count=height, half_extent=half_y)
    columns = sample_centres(np.arange(width), count=width, half_extent=half_x)
    return Field(stored)(grid_coordinates([times, rows, columns])).reshape(len(times), height, width, 3)


@pytest.mark.parametrize(("rate", "count"), [(237, 26), (31, 3), (4, 1)])
def test_frames_at_a_rate_are_the_middles_of_their_time(signals, rate, count):
    stored = signals["video"]
    found = render_signal(stored, rate=Fraction(rate), device="cpu")
    positions = [min(11.0, (frame + 0.5) * 100 / rate) for frame in range(count)]
    assert found.axes[0].extent == count
    assert found.axes[0].step == Fraction(1, rate)
    np.testing.assert_allclose(found.samples, at_moments(stored, positions), atol=1e-5)


@pytest.mark.parametrize(("rate", "count"), [(30, 27), (5, 5)])
def test_frames_at_a_rate_go_by_the_time_stamps(signals, rate, count):
    stored = signals["stamped video"]
    found = render_signal(stored, rate=Fraction(rate), device="cpu")
    positions = []
    for frame in range(count):
        tick = min(900.0, 1000 * (frame + 0.5) / rate)
        shown = min(10, sum(start <= tick for start in STAMPS.ticks) - 1)
        positions.append(shown + (tick - STAMPS.ticks[shown]) / (STAMPS.ticks[shown + 1] - STAMPS.ticks[shown]))
    assert (found.axes[0].extent, found.axes[0].step) == (count, Fraction(1, rate))
    assert found.timestamps is None
    np.testing.assert_allclose(found.samples, at_moments(stored, positions), atol=1e-5)


def test_time_stamps_of_a_part_begin_at_zero(signals):
    stored = signals["stamped video"]
    assert render_signal(stored, device="cpu").timestamps == STAMPS
    part = render_signal(stored, extents=(11, 2, 3), region=[(3, 4), (0, 5), (0, 34)], device="cpu")
    assert part.timestamps == TimeStamps(Fraction(1, 1000), (0, 380, 390, 400, 440))
    assert render_signal(stored, extents=(22, 5, 34), device="cpu").timestamps is None
    assert render_signal(signals["video"], device="cpu").timestamps is None


def of_one_tone(stored, cycles_per_sample):
    """Every unit holds 0.5 sin of one frequency, whatever its state."""
    networks = []
    for unit, network in enumerate(stored.networks):
        integers = {name: np.zeros_like(tensor) for name, tensor in network.integers.items()}
        integers["U_1"][0], integers["W"][0, 0] = 1, 1
        start, stop = stored.segments.bounds(unit)
        sizes = {**network.quantisation_steps, "U_1": np.pi * cycles_per_sample * (stop - start), "W": 0.5}
        networks.append(replace(network, integers=integers, quantisation_steps=sizes, state_scale=0.0))
    return replace(stored, networks=tuple(networks))


def test_a_lower_rate_leaves_out_what_it_cannot_hold(make_units):
    held, lost = (of_one_tone(make_units(4000, length=4000), cycles) for cycles in (0.1, 0.31))
    for stored in (held, lost):
        native = render_signal(stored, device="cpu").samples
        assert 0.49 < np.abs(native).max() <= 0.5
    kept = render_signal(held, rate=Fraction(50), device="cpu").samples
    np.testing.assert_allclose(kept[50:-50], render_signal(held, device="cpu").samples[::2][50:-50], atol=1e-3)
    assert np.abs(render_signal(lost, rate=Fraction(50), device="cpu").samples[50:-50]).max() < 1e-4


def test_a_photo_has_no_rate(make_stored):
    with pytest.raises(OptionError, match="a rate for a photo; expected a sound or video"):
        render_signal(make_stored(3, 4), rate=Fraction(10), device="cpu")


@EVERY
@pytest.mark.parametrize("rate", [Fraction(0), Fraction(-5)])
def test_a_rate_is_above_zero(signals, name, rate):
    with pytest.raises(OptionError, match="per second; expected more than 0"):
        render_signal(signals[name], rate=rate, device="cpu")


@EVERY
def test_what_is_rendered_for_a_piece_is_limited(signals, name):
    stored = signals[name]
    longest = max(stored.unit_description(unit).point_count for unit in range(stored.segments.count))
    assert len(list(Rendering(stored, device="cpu", limits=Limits(max_points=longest)).pieces())) > 1
    with pytest.raises(LimitError, match=f"the limit is {longest}: ask for less"):
        render_signal(stored, device="cpu", limits=Limits(max_points=longest))
    with pytest.raises(LimitError, match="the limit is 10: ask for less"):
        list(Rendering(stored, device="cpu", limits=Limits(max_points=10)).pieces())


def test_a_unit_that_is_not_finite_is_a_bad_file(make_units):
    stored = make_units(40, length=20, filter=Filter.FOURIER)
    bad = stored.networks[1]
    integers = {name: np.full_like(tensor, 2**24 - 1) for name, tensor in bad.integers.items()}
    sizes = dict.fromkeys(bad.quantisation_steps, 65504.0)
    network = replace(bad, integers=integers, quantisation_steps=sizes, state_scale=1.0, steps=30)
    pieces = Rendering(replace(stored, networks=(stored.networks[0], network)), device="cpu").pieces()
    assert next(pieces).shape == (20, 1)
    with pytest.raises(FormatError, match="not finite"):
        next(pieces)
