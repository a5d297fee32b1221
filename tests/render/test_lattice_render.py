"""Sounds on a lattice at any rate, whole and in part."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from i2codec.errors import FormatError
from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.stencil import Stencil
from i2codec.latents.template import Template
from i2codec.payload.file import StoredSignal, read_file, write_file
from i2codec.payload.grid_section import QuantisedGridNetwork
from i2codec.payload.lattice_section import LatticeUnit, LatticeUnits, pack_lattice_unit
from i2codec.payload.stored_grid import StoredLattice
from i2codec.render.field import Field
from i2codec.render.render import Rendering, render_signal
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.segments import Segments

RATE, COUNT, LENGTH = 44100, 20000, 4096
STEP = Fraction(1, RATE)
BITS = (9, 7, 10, 8, 9)
SEGMENTS = Segments(COUNT, LENGTH)


@pytest.fixture(scope="module")
def stored():
    """Noise below 9 kHz, of loud and soft amplitudes, in units of different cells."""
    sizes = {"level_count": 1, "axis_count": 1, "channel_count": 2, "hidden_width": 3, "width": 2, "context_width": 4}
    architecture = GridArchitecture(
        **sizes,
        context_features=Template.LATTICE.feature_count,
        stencil=Stencil.FULL,
        unrolled=True,
        basis=Basis.LATTICE,
    )
    rng = np.random.default_rng(0)
    shapes = architecture.tensor_shapes
    integers = {name: rng.integers(-9, 10, shape) for name, shape in shapes.items()}
    integers["gains"][0] = -200
    network = QuantisedGridNetwork(architecture, integers, dict.fromkeys(shapes, 2.0**-5), contraction=0.0, steps=3)
    payloads = {}
    for number, bits in enumerate(BITS):
        start, stop = SEGMENTS.bounds(number)
        latents = np.rint(rng.laplace(scale=2, size=(2, -(-(stop - start) >> bits), 1 << bits))).astype(np.int32)
        latents[..., int(0.4 * 2**bits) :] = 0
        unit = LatticeUnit(bits, (int(rng.integers(32)),), latents)
        payloads[0, number] = pack_lattice_unit(unit, network.context_model())
    units = LatticeUnits(payloads, segments=SEGMENTS, channel_count=2, model=network.context_model(), sample_step=STEP)
    axes = (Axis(AxisName.TIME, COUNT, step=Fraction(1, RATE)),)
    description = SignalDescription(Kind.SOUND, axes, (ChannelRole.SOUND,) * 2, SampleFormat.INT16)
    return StoredSignal(description, (), segment_length=LENGTH, grid=StoredLattice(network, units))


@pytest.fixture(scope="module")
def whole(stored):
    return render_signal(stored, device="cpu").samples


def test_the_whole_is_there(whole):
    assert whole.shape == (COUNT, 2)
    power = np.square(whole.reshape(-1, 400, 2)).mean(axis=(1, 2))
    assert power.min() > 0.1 * power.mean()  # no gap


@pytest.mark.parametrize("region", [(0, 1), (4000, 200), (4095, 2), (4096, 4096), (9000, 11000), (19999, 1)])
def test_a_region_is_that_part_of_the_whole(stored, whole, region):
    part = render_signal(stored, region=[region], device="cpu").samples
    np.testing.assert_array_equal(part, whole[region[0] : sum(region)])


def test_a_region_reads_its_units_and_their_neighbours_only(stored):
    grid = stored.grid
    broken = {
        (0, unit): data if unit in (1, 2, 3) else data[:3] + b"\x07\xff\xff\xff"
        for (_, unit), data in grid.latent_payloads.items()
    }
    units = LatticeUnits(
        broken, segments=SEGMENTS, channel_count=2, model=grid.network.context_model(), sample_step=STEP
    )
    damaged = replace(stored, grid=StoredLattice(grid.network, units))
    part = render_signal(damaged, region=[(2 * LENGTH, LENGTH)], device="cpu").samples
    assert part.any()
    with pytest.raises(FormatError):
        render_signal(damaged, region=[(LENGTH - 200, 400)], device="cpu")


def test_pieces_are_the_whole(stored, whole):
    pieces = list(Rendering(stored, device="cpu").pieces())
    assert len(pieces) == len(BITS)
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("rate", [96000, 48000, 88200, 44101])
def test_a_higher_rate_is_the_same_function_of_time(stored, whole, rate):
    """Against the sum over samples of a long windowed sinc, 60 dB down as is promised below 20 kHz."""
    found = render_signal(stored, rate=Fraction(rate), device="cpu").samples
    assert abs(len(found) - COUNT * rate / RATE) <= 1
    reach, chosen = 400, np.arange(4000, len(found) - 4000, 37)
    places = chosen * RATE / rate
    nearest = np.rint(places).astype(int)
    taps = nearest[:, None] + np.arange(-reach, reach + 1)
    distance = places[:, None] - taps
    kernel = np.sinc(distance) * np.kaiser(2 * reach + 1, 12.0)
    wanted = np.einsum("nt,ntc->nc", kernel, whole[taps].astype(np.float64))
    error = np.square(found[chosen] - wanted).mean()
    assert error < 1e-6 * np.square(wanted).mean()


@pytest.mark.parametrize("rate", [96000, 44101, 30000])
def test_parts_of_another_rate_are_those_of_the_whole(stored, rate):
    whole = render_signal(stored, rate=Fraction(rate), device="cpu").samples
    part = render_signal(stored, rate=Fraction(rate), region=[(3900, 5000)], device="cpu").samples
    first = round(3900 * rate / RATE)
    np.testing.assert_array_equal(part, whole[first : first + len(part)])


def test_every_second_sample_of_twice_the_rate_is_the_native_one(stored, whole):
    doubled = render_signal(stored, rate=Fraction(2 * RATE), device="cpu").samples
    np.testing.assert_allclose(doubled[::2], whole, atol=2e-6)


def test_a_lower_rate_is_low_pass_filtered(stored, whole):
    half = render_signal(stored, rate=Fraction(RATE, 4), device="cpu").samples
    assert len(half) == COUNT // 4
    assert np.square(half).mean() < 0.9 * np.square(whole).mean()


def test_a_field_is_the_same_function(stored, whole):
    samples = np.array([0, 4095, 4096, 12345, COUNT - 1])
    coordinates = (2.0 * samples + 1.0) / COUNT - 1.0
    np.testing.assert_allclose(Field(stored)(coordinates[:, None]), whole[samples], atol=2e-6)
    assert np.isfinite(Field(stored)(np.array([[-1.0], [1.0]]))).all()


def test_units_of_a_cut_file_are_silent(stored, whole):
    data = write_file([stored])
    (cut,) = read_file(data[: int(0.7 * len(data))], allow_truncated=True)
    there = len(cut.grid.latent_payloads)
    assert 1 < there < len(BITS)
    found = render_signal(cut, device="cpu").samples
    safe = (there - 1) * LENGTH
    np.testing.assert_array_equal(found[:safe], whole[:safe])
    assert not found[there * LENGTH + 600 :].any()
