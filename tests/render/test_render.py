import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec import devices
from i2codec.container.limits import Limits
from i2codec.errors import DeviceError, FormatError, LimitError, OptionError
from i2codec.field.architecture import Filter
from i2codec.payload.file import write_file
from i2codec.render.field import Field
from i2codec.render.render import render_signal, scaled_extents
from i2codec.signal.colour import ColourTransform
from i2codec.signal.signal import MetadataKey


def box_mean(samples, factor):
    height, width, channels = samples.shape
    wide = samples.astype(np.float64).reshape(height // factor, factor, width // factor, factor, channels)
    return wide.mean(axis=(1, 3))


@pytest.mark.parametrize("filter", Filter)
def test_a_render_is_the_field_at_the_sample_centres(make_stored, filter):
    stored = make_stored(70, 20, filter=filter)
    field = Field(stored)
    for extents in (None, (70, 20), (141, 33)):
        found = render_signal(stored, extents=extents, device="cpu")
        expected = field(field.coordinates(extents)).reshape(found.samples.shape)
        np.testing.assert_allclose(found.samples, expected, atol=1e-5)
        assert found.samples.std() > 0.05


@settings(max_examples=40)
@given(st.data())
def test_a_region_has_the_bytes_of_the_whole(make_stored, data):
    native = (70, 45)
    extents = tuple(data.draw(st.integers(max(1, extent // 3), extent * 5 // 2)) for extent in native)
    region = []
    for extent in native:
        start = data.draw(st.integers(0, extent - 1))
        region.append((start, data.draw(st.integers(1, extent - start))))
    stored = make_stored(*native, steps=4)
    whole = render_signal(stored, extents=extents, device="cpu").samples
    part = render_signal(stored, extents=extents, region=region, device="cpu").samples
    firsts = []
    for (start, length), extent, count, size in zip(region, native, extents, part.shape, strict=False):
        assert size == min(count, max(1, (2 * length * count + extent) // (2 * extent)))
        firsts.append(min((2 * start * count + extent) // (2 * extent), count - size))
    rows, columns = (slice(first, first + size) for first, size in zip(firsts, part.shape, strict=False))
    assert part.tobytes() == np.ascontiguousarray(whole[rows, columns]).tobytes()


@pytest.mark.parametrize("factor", [2, 5])
def test_going_down_is_the_box_mean_of_the_native_render(make_stored, factor):
    stored = make_stored(30, 40)
    small = render_signal(stored, extents=(30 // factor, 40 // factor), device="cpu").samples
    native = render_signal(stored, device="cpu").samples
    np.testing.assert_allclose(small, box_mean(native, factor), atol=1e-6)


def test_an_axis_goes_up_while_the_other_goes_down(make_stored):
    stored = make_stored(30, 40)
    mixed = render_signal(stored, extents=(90, 20), device="cpu").samples
    tall = render_signal(stored, extents=(90, 40), device="cpu").samples
    np.testing.assert_allclose(mixed, tall.reshape(90, 20, 2, 3).mean(axis=2), atol=1e-6)


def test_three_times_the_size_holds_the_native_samples(make_stored):
    stored = make_stored(30, 40)
    native = render_signal(stored, device="cpu").samples
    large = render_signal(stored, extents=(90, 120), device="cpu").samples
    np.testing.assert_allclose(large[1::3, 1::3], native, atol=1e-5)


def test_the_signal_says_what_it_is(make_stored):
    stored = replace(make_stored(30, 40), metadata={MetadataKey.EXIF: b"camera"})
    signal = render_signal(stored, extents=(60, 20), region=[(10, 5), (0, 40)], device="cpu")
    assert [(axis.extent, axis.step) for axis in signal.axes] == [(10, Fraction(1, 2)), (20, Fraction(2))]
    assert signal.description.channels == stored.description.channels
    assert signal.metadata == {MetadataKey.EXIF: b"camera"}
    assert signal.to_source().dtype == np.uint8


def test_alpha_comes_back_straight(make_stored):
    stored = make_stored(8, 9, channel_count=4, transform=ColourTransform.PREMULTIPLIED)
    found = render_signal(stored, device="cpu").samples
    raw = Field(stored)(Field(stored).coordinates()).reshape(8, 9, 4)
    visible = raw[..., 3] > 0.1
    assert visible.any()
    expected = np.clip(raw[..., :3] / np.clip(raw[..., 3:], 1e-3, 1.0), 0.0, 1.0)[visible]
    np.testing.assert_allclose(found[..., :3][visible], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("extents", "scale", "expected"),
    [
        ((30, 40), 1.0, (30, 40)),
        ((3, 5), 0.5, (2, 3)),
        ((3, 5), 0.01, (1, 1)),
        ((5, 1), 0.7, (4, 1)),
        ((3,), 1e9, (3 * 10**9,)),
    ],
)
def test_scaled_sizes_are_rounded(extents, scale, expected):
    assert scaled_extents(extents, scale) == expected


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 1.7e308])
def test_scales_that_make_no_sense_are_refused(scale):
    with pytest.raises(OptionError, match="expected a finite number above 0"):
        scaled_extents((30, 40), scale)


@pytest.mark.parametrize(
    "options",
    [
        {"extents": (0, 4)},
        {"extents": (-3, 4)},
        {"extents": (4,)},
        {"region": [(0, 4)]},
        {"region": [(0, 31), (0, 40)]},
        {"region": [(-1, 4), (0, 4)]},
        {"region": [(0, 0), (0, 4)]},
        {"region": [(2**70, 1), (0, 4)]},
        {"device": "tpu"},
    ],
)
def test_options_out_of_range_are_refused(make_stored, options):
    with pytest.raises(OptionError):
        render_signal(make_stored(30, 40), **({"device": "cpu"} | options))


def test_the_grid_that_is_rendered_is_limited(make_stored):
    stored = make_stored(30, 40)
    limits = Limits(max_points=1200)
    render_signal(stored, device="cpu", limits=limits)
    render_signal(stored, extents=(60, 80), region=[(3, 15), (0, 20)], device="cpu", limits=limits)
    for extents in ((31, 40), (10**30, 1)):
        with pytest.raises(LimitError, match="the limit is 1200"):
            render_signal(stored, extents=extents, device="cpu", limits=limits)


def test_a_field_that_is_not_finite_is_a_bad_file(make_stored):
    stored = make_stored(filter=Filter.FOURIER, depth=3)
    fine = stored.networks[0]
    sizes = dict.fromkeys(fine.quantisation_steps, 65504.0)
    largest = {name: np.full_like(tensor, 2**24 - 1) for name, tensor in fine.integers.items()}
    network = replace(fine, integers=largest, quantisation_steps=sizes, state_scale=1.0)
    with pytest.raises(FormatError, match="not finite"):
        render_signal(replace(stored, networks=(network,)), device="cpu")


def test_decoding_on_the_cpu_loads_neither_torch_nor_the_encoder(make_stored, tmp_path):
    path = tmp_path / "photo.i2"
    path.write_bytes(write_file([make_stored(3, 4)]))
    code = (
        "import sys; from pathlib import Path;"
        "from i2codec.payload.file import read_file; from i2codec.render.render import render_signal;"
        "from i2codec.render.field import Field;"
        f"stored = read_file(Path({str(path)!r}).read_bytes())[0];"
        "print(render_signal(stored, device='cpu').samples.shape, Field(stored)([[0.0, 0.0]]).shape);"
        "print([name for name in sys.modules if name == 'torch' or name.startswith('i2codec.fit')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["(3, 4, 3) (1, 3)", "[]"]


def test_no_device_is_used_in_place_of_another(make_stored, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(devices, "_has_driver", lambda: True)
    with pytest.raises(DeviceError, match="no CUDA device"):
        render_signal(make_stored(3, 3), device="cuda")
    assert devices.choose_device("auto") == "cpu"
