import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.errors import FormatError
from i2codec.field.grid_module import GridField
from i2codec.field.interpolation import level_extents
from i2codec.field.stencil import Stencil
from i2codec.payload.file import read_file, write_file
from i2codec.render.axis_grid import AxisGrid, StampedGrid
from i2codec.render.grid_render import GRID_CHUNK_SHAPES, GridRenderer
from i2codec.render.positions import AxisPositions
from i2codec.render.render import Rendering, render_signal
from i2codec.render.window import Window
from i2codec.signal.colour import ColourTransform
from i2codec.signal.timestamps import TimeStamps

EXTENTS = {1: (45,), 2: (13, 9), 3: (5, 6, 4)}


@pytest.fixture
def chunks(monkeypatch):
    """Sets the sides of chunks."""

    def set_sides(*sides):
        monkeypatch.setitem(GRID_CHUNK_SHAPES, len(sides), sides)

    return set_sides


def renderer(stored, latents=None, **options):
    latents = latents or stored.grid.latents
    return GridRenderer(stored.grid.network.dequantised(), latents, extents=stored.description.extents, **options)


def exactly(stored, axes):
    """Positions that are solved as they are, however many shifts they have."""
    return [
        AxisPositions(tuple(map(Fraction, axis)), extent)
        for axis, extent in zip(axes, stored.description.extents, strict=True)
    ]


def on_grid(stored, counts):
    """Positions of a grid of ``counts`` samples, and as numbers."""
    grids = [AxisGrid.of_count(native=n, count=m) for n, m in zip(stored.description.extents, counts, strict=True)]
    axes = [AxisPositions.of_grid(grid, Window(grid.count, 0, grid.count)) for grid in grids]
    return axes, [axis.positions for axis in axes]


def evaluated(stored, axes):
    """Φ on a product of positions sample by sample, each from the shifted native grid of the whole that it is on."""
    network, latents = stored.grid.network.dequantised(), stored.grid.latents.levels()
    extents, grids = stored.description.extents, {}
    samples = []
    for point in itertools.product(*axes):
        inside = [min(max(at, Fraction(0)), n - Fraction(1, 2**20)) for at, n in zip(point, extents, strict=True)]
        shifts = tuple(at % 1 for at in inside)
        if shifts not in grids:
            places = [np.arange(extent) + float(shift) for extent, shift in zip(extents, shifts, strict=True)]
            grids[shifts] = network.evaluate(latents, places)
        samples.append(grids[shifts][tuple(map(math.floor, inside))])
    return np.array(samples).reshape(*map(len, axes), -1)


def assert_close(found, expected, *, atol=1e-5):
    assert found.dtype == np.float32
    assert expected.std(axis=tuple(range(expected.ndim - 1))).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=atol)  # 1e-6 seen


def relative_error(found, expected):
    """Of the part that varies from sample to sample."""
    varying = expected - expected.mean(axis=tuple(range(expected.ndim - 1)))
    return np.sqrt(np.square(found - expected).mean() / np.square(varying).mean())


EVERY_KIND = pytest.mark.parametrize(
    ("axis_count", "options"),
    [
        (1, {}),
        (2, {}),
        (3, {}),
        (2, {"planes": True}),
        (2, {"planes": True, "channel_count": 2}),
        (2, {"planes": True, "channel_count": 4}),
    ],
    ids=str,
)


@pytest.mark.parametrize("stencil", Stencil)
@EVERY_KIND
def test_the_whole_is_what_is_stored(make_grid_stored, axis_count, options, stencil):
    stored = make_grid_stored(*EXTENTS[axis_count], stencil=stencil, **options)
    extents = stored.description.extents
    expected = stored.grid.network.dequantised().evaluate(
        stored.grid.latents.levels(), [np.arange(extent) + 0.5 for extent in extents]
    )
    axes, _ = on_grid(stored, extents)
    assert_close(renderer(stored).render(axes), expected)


@EVERY_KIND
@pytest.mark.parametrize("scale", [Fraction(3, 2), Fraction(2), Fraction(3)])
def test_scales_of_few_shifts_are_evaluated_where_they_lie(make_grid_stored, axis_count, options, scale):
    stored = make_grid_stored(*(2 * (extent // 2) for extent in EXTENTS[axis_count]), **options)
    axes, places = on_grid(stored, [int(extent * scale) for extent in stored.description.extents])
    assert len(axes[0].shifted()) == scale.numerator
    assert_close(renderer(stored).render(axes), evaluated(stored, places))


@EVERY_KIND
@pytest.mark.parametrize("side", [1, 4])
def test_the_chunks_do_not_show(make_grid_stored, chunks, axis_count, options, side):
    stored = make_grid_stored(*EXTENTS[axis_count], contraction=0.95, **options)
    axes, _ = on_grid(stored, [extent * 2 for extent in EXTENTS[axis_count]])
    whole = renderer(stored).render(axes)
    chunks(*range(side, side + axis_count))
    found = renderer(stored).render(axes)
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_the_halo_reaches_as_far_as_the_steps(make_grid_stored):
    for stencil, radius in ((Stencil.POINTWISE, 0), (Stencil.CROSS, 1), (Stencil.FULL, 1)):
        assert renderer(make_grid_stored(9, stencil=stencil, steps=7)).halo == 7 * radius


@pytest.mark.parametrize("tap", [0, 2])
def test_what_travels_a_sample_a_step_crosses_chunks(make_grid_stored, chunks, tap):
    """z(x) = u(x) + 0.97 z(x ∓ 1) for a positive u: after K steps a sample still depends on one K − 1 away."""
    stored = make_grid_stored(40, steps=12)
    network = stored.grid.network
    taps = np.zeros_like(network.integers["A"])
    taps[0, 0, tap] = 993  # of 1024
    biases = network.integers["e_2"] + 8 * 1024
    changed = replace(network, integers={**network.integers, "A": taps, "e_2": biases}, contraction=0.97)
    stored = replace(stored, grid=replace(stored.grid, network=changed))
    axes, places = on_grid(stored, (40,))
    chunks(2)
    assert_close(renderer(stored).render(axes), evaluated(stored, places))


REGIONS = st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0))


@EVERY_KIND
def test_a_region_has_the_bytes_of_the_whole(make_grid_stored, chunks, axis_count, options):
    stored = make_grid_stored(*EXTENTS[axis_count], **options)
    chunks(*(3, 4, 2)[:axis_count])
    drawn = renderer(stored)

    @settings(max_examples=(20, 12, 6)[axis_count - 1])
    @given(st.data())
    def check(data):
        grids = [
            AxisGrid.of_count(native=extent, count=data.draw(st.integers(1, 5 * extent // 2)))
            for extent in EXTENTS[axis_count]
        ]
        windows = []
        for grid in grids:
            start = data.draw(st.integers(0, grid.count - 1))
            windows.append(Window(grid.count, start, data.draw(st.integers(start + 1, grid.count))))
        whole = drawn.render([AxisPositions.of_grid(grid, Window(grid.count, 0, grid.count)) for grid in grids])
        part = drawn.render([AxisPositions.of_grid(grid, window) for grid, window in zip(grids, windows, strict=True)])
        expected = whole[tuple(slice(window.start, window.stop) for window in windows)]
        assert part.tobytes() == np.ascontiguousarray(expected).tobytes()

    check()


def test_a_region_of_stamped_frames_has_the_bytes_of_the_whole(make_grid_stored):
    stamps = TimeStamps(Fraction(1, 100), (0, 3, 4, 9, 11, 12))
    stored = make_grid_stored(5, 6, 4, timestamps=stamps)
    grid, (_, *space) = StampedGrid.of_rate(stamps, rate=Fraction(70)), on_grid(stored, (5, 6, 4))[0]
    whole, part = (
        renderer(stored).render([AxisPositions.of_grid(grid, Window(grid.count, *bounds)), *space])
        for bounds in ((0, grid.count), (3, 5))
    )
    assert part.tobytes() == np.ascontiguousarray(whole[3:5]).tobytes()


class Watched:
    """Latents that note which nodes are read."""

    def __init__(self, latents, extents):
        self.latents, self.extents, self.seen = latents, extents, []

    def window(self, level, region):
        for (start, stop), count in zip(region, level_extents(self.extents, level), strict=True):
            assert 0 <= start < stop <= count
        self.seen.append((level, tuple(region)))
        return self.latents.window(level, region)


@pytest.mark.parametrize("planes", [False, True])
def test_a_region_reads_the_latents_that_it_needs(make_grid_stored, chunks, planes):
    stored = make_grid_stored(400, 40, steps=3, planes=planes)
    chunks(16, 16)
    watched = Watched(stored.grid.latents, (400, 40))
    axes, places = on_grid(stored, (400, 40))
    part = [replace(axes[0], positions=axes[0].positions[165:170]), axes[1]]
    found = renderer(stored, watched).render(part)
    assert_close(found, evaluated(stored, [places[0][165:170], places[1]]))
    for level, ((start, stop), _) in watched.seen:  # chunk 160 to 176, a halo of 3, and 2 nodes on each side
        assert 157 // 2**level - 2 <= start
        assert stop <= 179 // 2**level + 3
    assert {level for level, _ in watched.seen} == {0, 1, 2}


@settings(max_examples=30)
@given(st.lists(st.fractions(-4, 17, max_denominator=24), min_size=1, max_size=8).map(sorted))
def test_any_positions_can_be_asked_for(make_grid_stored, positions):
    stored = make_grid_stored(13)
    found = renderer(stored, Watched(stored.grid.latents, (13,))).render(exactly(stored, [positions]))
    np.testing.assert_allclose(found, evaluated(stored, [positions]), atol=1e-5)


def test_many_shifts_are_solved_where_they_lie_if_asked_for(make_grid_stored):
    stored = make_grid_stored(9, 7)
    _, places = on_grid(stored, (11, 8))
    assert_close(renderer(stored).render(exactly(stored, places)), evaluated(stored, places))


@pytest.mark.parametrize("fineness", [None, 2])
def test_positions_outside_are_the_edge(make_grid_stored, fineness):
    stored = make_grid_stored(13, 9)
    outside = [
        AxisPositions((Fraction(-7), Fraction(-1, 3), Fraction(4)), 13, fineness),
        AxisPositions((Fraction(4), Fraction(9), Fraction(28, 3), Fraction(50)), 9, fineness),
    ]
    edge = [
        AxisPositions((Fraction(0), Fraction(0), Fraction(4)), 13, fineness),
        AxisPositions((Fraction(4), *[9 - Fraction(1, 2**20)] * 3), 9, fineness),
    ]
    found, expected = (renderer(stored).render(axes) for axes in (outside, edge))
    assert found.std() > 0.02
    np.testing.assert_array_equal(found, expected)


def test_many_shifts_are_interpolated_close_to_what_they_are(make_grid_stored):
    counts = (27, 17)
    for zeros, most in (((), 0.12), ((0,), 0.015), ((0, 1), 0.01)):  # 0.091, 0.011 and 0.007 seen
        stored = make_grid_stored(21, 13, zeros=zeros)
        axes, places = on_grid(stored, counts)
        assert [axis.fineness for axis in axes] == [2, 2]
        found, exact = renderer(stored).render(axes), evaluated(stored, places)
        assert found.shape == exact.shape
        assert 0.0 < relative_error(found, exact) < most


def test_the_axes_are_interpolated_each_on_its_own(make_grid_stored):
    stored = make_grid_stored(21, 12, zeros=(0, 1))
    axes, places = on_grid(stored, (27, 24))
    assert [axis.fineness for axis in axes] == [2, None]
    found = renderer(stored).render(axes)
    assert found.shape == (27, 24, 3)
    assert relative_error(found, evaluated(stored, places)) < 0.005  # 0.002 seen


def test_precision_is_not_traded_for_speed(make_grid_stored, monkeypatch):
    """cuDNN rounds what it convolves to eleven bits unless it is told not to: more than a step of eight."""
    stored, allowed, layer = make_grid_stored(6, 5), [], GridField.layer

    def watched(*arguments):
        allowed.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32, torch.is_grad_enabled()))
        return layer(*arguments)

    monkeypatch.setattr(GridField, "layer", watched)
    before = (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32, torch.is_grad_enabled())
    renderer(stored).render(on_grid(stored, (6, 5))[0])
    assert set(allowed) == {(True, False, False)}
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32, torch.is_grad_enabled()) == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_is_within_a_step_of_an_eight_bit_channel(make_grid_stored):
    stored = make_grid_stored(150, 200, steps=20, contraction=0.95)
    on_cpu, on_gpu = (
        render_signal(stored, extents=(190, 130), device=device).to_source().astype(int) for device in ("cpu", "cuda")
    )
    assert np.abs(on_cpu - on_gpu).max() <= 1


@pytest.mark.parametrize("planes", [False, True])
def test_a_signal_at_its_native_size(make_grid_stored, planes):
    stored = make_grid_stored(13, 9, planes=planes)
    found = render_signal(read_file(write_file([stored]))[0], device="cpu")
    assert (found.description, found.timestamps) == (stored.description, None)
    assert_close(found.samples, evaluated(stored, on_grid(stored, (13, 9))[1]))


@pytest.mark.parametrize("counts", [(26, 18), (39, 45), (26, 9)])
def test_a_signal_that_goes_up(make_grid_stored, counts):
    stored = make_grid_stored(13, 9)
    found = render_signal(stored, extents=counts, device="cpu").samples
    assert_close(found, evaluated(stored, on_grid(stored, counts)[1]))


@pytest.mark.parametrize("counts", [(14, 11), (19, 10), (13, 16)])
def test_a_signal_of_an_odd_size(make_grid_stored, counts):
    stored = make_grid_stored(13, 9, zeros=(0,))
    found = render_signal(stored, extents=counts, device="cpu").samples
    exact = evaluated(stored, on_grid(stored, counts)[1])
    assert relative_error(found, exact) < 0.015  # 0.011 seen


def test_a_signal_that_goes_down_is_the_mean_of_its_native_samples(make_grid_stored):
    stored = make_grid_stored(12, 10)
    native = render_signal(stored, device="cpu").samples
    half = render_signal(stored, extents=(6, 5), device="cpu").samples
    assert_close(half, native.reshape(6, 2, 5, 2, 3).mean(axis=(1, 3)), atol=1e-6)
    mixed = render_signal(stored, extents=(24, 2), device="cpu").samples
    tall = render_signal(stored, extents=(24, 10), device="cpu").samples
    assert_close(mixed, tall.reshape(24, 2, 5, 3).mean(axis=2), atol=1e-6)


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("counts", [(13, 9), (26, 18), (6, 4), (17, 30), (29, 5)])
def test_a_region_of_a_signal_has_the_bytes_of_the_whole(make_grid_stored, chunks, counts, planes):
    stored = make_grid_stored(13, 9, planes=planes)
    chunks(4, 4)
    region = [(5, 4), (2, 7)]
    grids = [AxisGrid.of_count(native=n, count=m) for n, m in zip((13, 9), counts, strict=True)]
    windows = [grid.window(start=start, length=length) for grid, (start, length) in zip(grids, region, strict=True)]
    whole = render_signal(stored, extents=counts, device="cpu").samples
    part = render_signal(stored, extents=counts, region=region, device="cpu").samples
    expected = whole[tuple(slice(window.start, window.stop) for window in windows)]
    assert part.shape == expected.shape
    assert part.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_a_signal_has_its_colours(make_grid_stored):
    plain, premultiplied = (
        make_grid_stored(13, 9, channel_count=4, transform=transform, seed=6)
        for transform in (ColourTransform.NONE, ColourTransform.PREMULTIPLIED)
    )
    raw = render_signal(plain, device="cpu").samples
    found = render_signal(premultiplied, device="cpu").samples
    visible = raw[..., 3] > 0.1
    assert visible.sum() > 9
    expected = np.clip(raw[..., :3] / np.clip(raw[..., 3:], 1e-3, 1.0), 0.0, 1.0)[visible]
    np.testing.assert_allclose(found[visible][:, :3], expected, atol=1e-4)


def test_sound_at_another_rate(make_grid_stored):
    """Sample 0 stays, and the last ones lie past the end of the last native sample."""
    stored = make_grid_stored(45, rate=100)
    places = [Fraction(1, 2) + sample * Fraction(1, 3) for sample in range(135)]
    assert places[-1] > 45
    found = render_signal(stored, rate=Fraction(300), device="cpu")
    assert_close(found.samples, evaluated(stored, [places]))
    low = render_signal(stored, rate=Fraction(50), device="cpu").samples
    assert low.shape == (23, 1)


def test_video_at_another_rate(make_grid_stored):
    stored = make_grid_stored(8, 6, 4, rate=100)
    _, (_, *space) = on_grid(stored, (8, 6, 4))
    for rate, frames in ((200, 16), (50, 4), (25, 2)):
        places = [(frame + Fraction(1, 2)) * 100 / rate for frame in range(frames)]
        found = render_signal(stored, rate=Fraction(rate), device="cpu").samples
        assert_close(found, evaluated(stored, [places, *space]))


def test_frames_with_time_stamps(make_grid_stored):
    stamps = TimeStamps(Fraction(1, 100), (0, 3, 4, 9, 11, 12))
    stored = make_grid_stored(5, 6, 4, timestamps=stamps, zeros=(0,))
    native = render_signal(stored, device="cpu")
    assert native.timestamps == stamps
    assert_close(native.samples, evaluated(stored, on_grid(stored, (5, 6, 4))[1]))
    found = render_signal(stored, rate=Fraction(100), device="cpu").samples
    steps = np.interp(np.arange(12) + 0.5, stamps.ticks, np.arange(6))
    _, (_, *space) = on_grid(stored, (5, 6, 4))
    exact = evaluated(stored, [list(map(Fraction, steps)), *space])
    assert relative_error(found, exact) < 0.005  # 0.002 seen


@pytest.mark.parametrize("counts", [(50, 9), (100, 9), (33, 9), (25, 18)])
def test_pieces_are_the_whole_and_no_chunk_is_solved_twice(make_grid_stored, chunks, monkeypatch, counts):
    stored = make_grid_stored(50, 9)
    chunks(4, 16)
    monkeypatch.setattr("i2codec.render.render._PIECE_POINTS", 1)
    solved, chunk = [], GridRenderer._chunk
    monkeypatch.setattr(GridRenderer, "_chunk", lambda self, *place: solved.append(str(place)) or chunk(self, *place))
    rendering = Rendering(stored, extents=counts, device="cpu")
    pieces = list(rendering.pieces())
    times, solved[:] = len(solved), []
    whole = rendering.signal().samples
    assert len(pieces) > 2
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    assert times == len(solved) if counts[0] != 33 else times <= 3 * len(solved)


@pytest.mark.parametrize("counts", [(13, 9), (17, 11), (6, 4)])
def test_a_field_that_is_not_finite_is_a_bad_file(make_grid_stored, counts):
    stored = make_grid_stored(13, 9)
    network = stored.grid.network
    huge = {name: np.full_like(network.integers[name], 2**24 - 1) for name in ("gains", "E_1", "E_2", "W")}
    sizes = network.quantisation_steps | dict.fromkeys(huge, 65504.0)
    changed = replace(network, integers={**network.integers, **huge}, quantisation_steps=sizes)
    with pytest.raises(FormatError, match="not finite"):
        render_signal(replace(stored, grid=replace(stored.grid, network=changed)), extents=counts, device="cpu")
