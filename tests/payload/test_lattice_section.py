"""Units of a lattice as LATENTS sections, and a whole file of them."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.container.limits import DEFAULT_LIMITS
from i2codec.errors import FormatError, I2Error, OptionError
from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.noise_filling import band_edges
from i2codec.field.stencil import Stencil
from i2codec.latents.template import Template
from i2codec.payload.file import StoredSignal, read_file, write_file
from i2codec.payload.grid_section import QuantisedGridNetwork, pack_grid_network, unpack_grid_network
from i2codec.payload.lattice_section import LATTICE_HEADER, LatticeUnit, LatticeUnits, pack_lattice_unit
from i2codec.payload.network_header import NETWORK_HEADER
from i2codec.payload.stored_grid import StoredLattice
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.segments import Segments

SEGMENTS = Segments(1000, 256)  # 256, 256, 256 and 232 samples


def make_network(channel_count=2, seed=0, **changes):
    sizes = {"level_count": 1, "axis_count": 1, "channel_count": channel_count, "hidden_width": 3, "width": 2}
    stencil = {"context_width": 4, "context_features": Template.LATTICE.feature_count, "basis": Basis.LATTICE}
    architecture = GridArchitecture(**({"stencil": Stencil.POINTWISE} | sizes | stencil | changes))
    rng = np.random.default_rng(seed)
    shapes = architecture.tensor_shapes
    integers = {name: rng.integers(-9, 10, shape) for name, shape in shapes.items()}
    return QuantisedGridNetwork(architecture, integers, dict.fromkeys(shapes, 2.0**-5), contraction=0.0, steps=1)


def make_units(bits=(6, 7, 8, 6), channel_count=2, seed=0):
    """A unit of each of four segments; of the third all latents are 0."""
    rng = np.random.default_rng(seed)
    units = []
    for number, exponent in enumerate(bits):
        start, stop = SEGMENTS.bounds(number)
        latents = rng.integers(-3, 4, (channel_count, -(-(stop - start) >> exponent), 1 << exponent))
        latents[..., 40:] = 0
        latents *= number != 2
        turns = tuple(map(int, rng.integers(0, 32, channel_count // 2)))
        units.append(LatticeUnit(exponent, turns, latents.astype(np.int32)))
    return units


def packed(units, network):
    model = network.context_model()
    return {(0, number): pack_lattice_unit(unit, model) for number, unit in enumerate(units)}


def lattice_of(payloads, network, **changes):
    channel_count = network.architecture.channel_count
    options = {"segments": SEGMENTS, "channel_count": channel_count, "model": network.context_model()}
    options["sample_step"] = Fraction(1, 8000)
    return LatticeUnits(payloads, **(options | changes))


def assert_same(found, unit):
    assert (found.cell_bits, found.turns) == (unit.cell_bits, unit.turns)
    columns = found.latents.shape[2]
    np.testing.assert_array_equal(found.latents, unit.latents[..., :columns])
    assert not unit.latents[..., columns:].any()


@pytest.mark.parametrize("channel_count", [1, 2, 3, 8])
def test_units_come_back(channel_count):
    network, units = make_network(channel_count), make_units(channel_count=channel_count)
    lattice = lattice_of(packed(units, network), network)
    for number, unit in enumerate(units):
        assert_same(lattice.unit(number), unit)
    assert lattice.is_whole
    assert lattice.unit_count == 4


def with_noise(units, seed=0):
    rng = np.random.default_rng(seed)
    noisy = []
    for unit in units:
        bands = len(band_edges(unit.cell_length, sample_step=Fraction(1, 8000))) - 1
        levels = rng.integers(0, 25, (*unit.latents.shape[:2], bands)).astype(np.int32)
        noisy.append(replace(unit, noise=levels))
    return noisy


@pytest.mark.parametrize("channel_count", [1, 2, 3])
def test_levels_of_noise_come_back(channel_count):
    network = make_network(channel_count, level_count=2, context_count=2)
    units = with_noise(make_units(channel_count=channel_count))
    lattice = lattice_of(packed(units, network), network)
    for number, unit in enumerate(units):
        assert_same(lattice.unit(number), unit)
        np.testing.assert_array_equal(lattice.unit(number).noise, unit.noise)
    payload = pack_grid_network(network)
    assert NETWORK_HEADER.unpack(payload)["noise_filling"] == 1
    found = unpack_grid_network(payload, axis_count=1, channel_count=channel_count, limits=DEFAULT_LIMITS)
    assert found.architecture == network.architecture


@pytest.mark.parametrize("level", [-1, 25])
def test_levels_out_of_range_are_refused(level):
    network = make_network(level_count=2, context_count=2)
    units = with_noise(make_units())
    units[1].noise[1, 0, 2] = level
    lattice = lattice_of(packed(units, network), network)
    with pytest.raises(FormatError, match="expected 0 to 24"):
        lattice.unit(1)


@pytest.mark.parametrize(("noise_filling", "level_count"), [(0, 2), (1, 1), (2, 1)])
def test_noise_filling_takes_a_second_level(noise_filling, level_count):
    payload = pack_grid_network(make_network(level_count=level_count, context_count=1))
    head = NETWORK_HEADER.unpack(payload) | {"noise_filling": noise_filling}
    with pytest.raises(I2Error, match="noise filling"):
        unpack_grid_network(
            NETWORK_HEADER.pack(**head) + payload[NETWORK_HEADER.size :],
            axis_count=1,
            channel_count=2,
            limits=DEFAULT_LIMITS,
        )


def test_silence_costs_nearly_nothing():
    network, units = make_network(), make_units()
    payloads = packed(units, network)
    assert len(payloads[0, 2]) == LATTICE_HEADER.size + 1
    assert len(payloads[0, 1]) > 50


def test_cells_overlap_by_half_of_the_shorter_neighbour():
    network = make_network()
    lattice = lattice_of(packed(make_units(), network), network)
    rows = [lattice.cells(number) for number in range(4)]
    assert [(row.count, row.length, row.rise, row.fall) for row in rows] == [
        (4, 64, 0, 32),
        (2, 128, 32, 64),
        (1, 256, 64, 32),
        (4, 64, 32, 0),
    ]


def test_what_a_cut_file_lacks_is_missing():
    network = make_network()
    payloads = packed(make_units(), network)
    del payloads[0, 3]
    lattice = lattice_of(payloads, network, is_whole=False)
    assert not lattice.is_whole
    assert lattice.cells(3) is None
    assert lattice.cells(2).fall == 0
    with pytest.raises(FormatError, match="3 units of latents; expected 4"):
        lattice_of(payloads, network)


@pytest.mark.parametrize(
    ("unit", "payload", "message"),
    [
        (0, bytes([5, 0, 0, 0]), "cells of 2\\^5 samples; expected exponents of 6 to 15"),
        (0, bytes([16, 0, 0, 0]), "cells of 2\\^16"),
        (0, bytes([6, 65, 0, 0]), "65 columns in cells"),
        (0, bytes([9, 0, 0, 0]), "cells of 2\\^9 samples do not fill a unit of 256"),
        (0, bytes([6, 0, 0, 32]), r"turns of channels \[32\]"),
        (0, bytes([6, 0, 0]), r"turns of channels \[\]"),
        (0, bytes([6]), "LATTICE_HEADER"),
        (4, bytes([6, 0, 0, 0]), "unit 4 in a lattice of 4 units"),
    ],
)
def test_wrong_headers_are_refused(unit, payload, message):
    network = make_network()
    with pytest.raises(FormatError, match=message):
        lattice_of(packed(make_units(), network) | {(0, unit): payload}, network)


def test_a_second_level_is_refused():
    network = make_network()
    payloads = packed(make_units(), network)
    with pytest.raises(FormatError, match="level 1"):
        lattice_of(payloads | {(1, 0): payloads[0, 0]}, network)


@settings(max_examples=60)
@given(st.integers(0, 3), st.integers(4, 60), st.integers(1, 255))
def test_changed_latents_never_give_the_same_unit(number, place, change):
    network, units = make_network(), make_units()
    payloads = packed(units, network)
    data = bytearray(payloads[0, number])
    data[place % len(data)] ^= change
    try:
        found = lattice_of(payloads | {(0, number): bytes(data)}, network).unit(number)
    except FormatError:
        return
    same = found.latents.shape[2] <= 40 and np.array_equal(
        np.pad(found.latents, ((0, 0), (0, 0), (0, 64 - found.latents.shape[2])))[..., :40],
        np.pad(units[number].latents, ((0, 0), (0, 0), (0, 64)))[..., :40],
    )
    assert not same or (found.cell_bits, found.turns) != (units[number].cell_bits, units[number].turns)


@pytest.mark.parametrize("stencil", Stencil)
@pytest.mark.parametrize("unrolled", [False, True])
def test_networks_of_lattices_come_back(stencil, unrolled):
    if unrolled and stencil is Stencil.POINTWISE:
        return
    network = make_network(stencil=stencil, unrolled=unrolled)
    if stencil is not Stencil.POINTWISE and not unrolled:
        integers = {name: array if name != "A" else array * 0 for name, array in network.integers.items()}
        network = replace(network, integers=integers)
    payload = pack_grid_network(network)
    found = unpack_grid_network(payload, axis_count=1, channel_count=2, limits=DEFAULT_LIMITS)
    assert found.architecture == network.architecture
    assert pack_grid_network(found) == payload
    assert found.template is Template.LATTICE


@pytest.mark.parametrize(
    ("field", "value"), [("interpolation", 1), ("prior", 1), ("context_model", 1), ("context_model", 2), ("basis", 1)]
)
def test_parts_of_a_pyramid_are_refused(field, value):
    payload = pack_grid_network(make_network())
    head = NETWORK_HEADER.unpack(payload) | {field: value}
    with pytest.raises(I2Error):
        unpack_grid_network(
            NETWORK_HEADER.pack(**head) + payload[NETWORK_HEADER.size :],
            axis_count=1,
            channel_count=2,
            limits=DEFAULT_LIMITS,
        )


@pytest.fixture
def stored():
    network = make_network()
    axes = (Axis(AxisName.TIME, 1000, step=Fraction(1, 8000)),)
    description = SignalDescription(Kind.SOUND, axes, (ChannelRole.SOUND,) * 2, SampleFormat.INT16)
    lattice = StoredLattice(network, lattice_of(packed(make_units(), network), network))
    return StoredSignal(description, (), segment_length=256, grid=lattice)


def test_a_file_comes_back(stored):
    data = write_file([stored])
    (found,) = read_file(data)
    assert found.payloads() == stored.payloads()
    assert found.segments == SEGMENTS
    assert write_file([found]) == data
    assert data[9] == 3  # the version that added lattices


def test_a_cut_file_has_the_units_before_the_cut(stored):
    data = write_file([stored])
    (found,) = read_file(data[: len(data) - 120], allow_truncated=True)
    assert 0 < len(found.grid.latent_payloads) < 4
    assert found.grid.what_is_whole() == f"{len(found.grid.latent_payloads)} of 4 units of the sound are there"
    with pytest.raises(OptionError, match="cut file cannot be written"):
        write_file([found])


def test_units_must_fit_the_signal(stored):
    with pytest.raises(OptionError, match="latents of 4 units for 2 units"):
        replace(stored, segment_length=500)
    with pytest.raises(OptionError, match="axes, channels and levels"):
        replace(stored, description=replace(stored.description, channels=(ChannelRole.SOUND,)))
