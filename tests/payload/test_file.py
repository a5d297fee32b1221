from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from i2codec.container.limits import Limits
from i2codec.container.reader import read_container
from i2codec.container.section import Section, SectionType, pack_section
from i2codec.container.writer import write_container
from i2codec.errors import FormatError, LimitError, OptionError, VersionError
from i2codec.payload.file import PackedNetworks, StoredSignal, parse_container, read_file, write_file
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.signal import MetadataKey
from i2codec.signal.timestamps import TimeStamps

RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
PHOTO = SignalDescription(Kind.PHOTO, (Axis(AxisName.Y, 9), Axis(AxisName.X, 12)), RGB, SampleFormat.UINT8)
METADATA = {MetadataKey.EXIF: b"camera"}
T = SectionType


@pytest.fixture
def stored(make_quantised):
    return StoredSignal(PHOTO, (make_quantised(),), metadata=METADATA)


def a_sound(make_quantised, *, units):
    """Units of 4 samples, the last of 3, with networks of growing width."""
    description = SignalDescription(
        Kind.SOUND, (Axis(AxisName.TIME, 4 * units - 1, Fraction(1, 8000)),), (ChannelRole.SOUND,), SampleFormat.INT16
    )
    networks = tuple(make_quantised(width=3 + unit, axis_count=1, channel_count=1, seed=unit) for unit in range(units))
    return StoredSignal(description, networks, segment_length=4)


def a_video(make_quantised):
    axes = (Axis(AxisName.TIME, 2, Fraction(1, 24)), Axis(AxisName.Y, 3), Axis(AxisName.X, 4))
    description = SignalDescription(Kind.VIDEO, axes, RGB, SampleFormat.UINT10)
    stamps = TimeStamps(Fraction(1, 90000), (0, 3000, 10000))
    return StoredSignal(description, (make_quantised(axis_count=3),), timestamps=stamps)


def sections_of(stored):
    return list(read_container(write_file([stored])).sections)


def read_sections(sections, *, kind=Kind.PHOTO):
    return read_file(write_container(kind, sections))


@pytest.mark.parametrize("metadata", [METADATA, {}])
def test_round_trip(stored, metadata):
    stored = replace(stored, metadata=metadata)
    data = write_file([stored])
    (found,) = read_file(data)
    assert (found.description, found.metadata) == (PHOTO, metadata)
    assert found.networks[0].architecture == stored.networks[0].architecture
    for name, integers in stored.networks[0].integers.items():
        np.testing.assert_array_equal(found.networks[0].integers[name], integers)
    assert write_file([found]) == data
    types = [T.SIGNAL, T.NETWORK, T.METADATA] if metadata else [T.SIGNAL, T.NETWORK]
    assert [section.type for section in read_container(data).sections] == types


@pytest.mark.parametrize("kind", [0, 2, 7])
def test_head_and_signal_must_name_one_kind(stored, kind):
    with pytest.raises(FormatError, match=f"kind {kind}, the signal header 1"):
        read_sections(sections_of(stored), kind=kind)


@pytest.mark.parametrize("missing", [T.SIGNAL, T.NETWORK])
def test_sections_that_must_be_there(stored, missing):
    with pytest.raises(FormatError, match=f"no {missing.name} section"):
        read_sections([section for section in sections_of(stored) if section.type != missing])


@pytest.mark.parametrize(
    "extra",
    [
        Section(T.LATENTS, True, b""),
        Section(T.NETWORK, True, b"", level=1),
        Section(T.NETWORK, True, b"", group=1),
    ],
    ids=lambda section: T(section.type).name,
)
def test_what_a_later_version_may_add_needs_a_newer_reader(stored, extra):
    with pytest.raises(VersionError, match="update i2codec"):
        read_sections([*sections_of(stored), extra])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (Section(T.TIMESTAMPS, True, b""), "disagree on whether there are time stamps"),
        (Section(T.NETWORK, True, b"", unit=1), "2 networks for 1 units"),
        (Section(T.SIGNAL, True, b"", signal=2), "numbered \\[0, 2\\]"),
        (Section(T.METADATA, False, b"", signal=1), "signal 1 has no SIGNAL section"),
    ],
)
def test_sections_that_contradict_each_other(stored, extra, message):
    with pytest.raises(FormatError, match=message):
        read_sections([*sections_of(stored), extra])


def test_a_sound_of_several_units_beside_a_video(make_quantised):
    video, sound = a_video(make_quantised), a_sound(make_quantised, units=3)
    data = write_file([video, sound])
    found = read_file(data)
    assert [signal.description for signal in found] == [video.description, sound.description]
    assert (found[0].timestamps, found[1].timestamps) == (video.timestamps, None)
    assert (found[0].segments.count, found[1].segments.count, found[1].segment_length) == (1, 3, 4)
    assert [found[1].unit_description(unit).extents for unit in range(3)] == [(4,), (4,), (3,)]
    for unit in (2, 0, 1, 1):
        for name, integers in sound.networks[unit].integers.items():
            np.testing.assert_array_equal(found[1].networks[unit].integers[name], integers)
    assert [architecture.width for architecture in found[1].networks.architectures()] == [3, 4, 5]
    assert [network.architecture.width for network in found[1].networks[1:]] == [4, 5]
    assert write_file(found) == data


def test_each_unit_has_its_network(make_quantised):
    sound = a_sound(make_quantised, units=3)
    with pytest.raises(OptionError, match="2 networks for 3 units"):
        replace(sound, networks=sound.networks[:2])
    with pytest.raises(OptionError, match="4 time stamps for 11 frames"):
        replace(sound, timestamps=TimeStamps(Fraction(1), (0, 1, 2, 3, 4)))
    sections = [section for section in read_container(write_file([sound])).sections if section.unit != 1]
    with pytest.raises(FormatError, match="2 networks for 3 units"):
        read_sections(sections, kind=Kind.SOUND)


def test_a_fault_in_a_later_unit_is_found_when_it_is_used(make_quantised):
    sections = list(read_container(write_file([a_sound(make_quantised, units=2)])).sections)
    broken = [replace(section, payload=section.payload[:-4]) if section.unit == 1 else section for section in sections]
    (found,) = read_sections(broken, kind=Kind.SOUND)
    assert found.networks[0].architecture.width == 3
    with pytest.raises(FormatError):
        found.networks[1]


def test_packing_keeps_the_networks_apart(make_quantised):
    sound = a_sound(make_quantised, units=2)
    packed = PackedNetworks.of(sound.networks)
    assert write_file([replace(sound, networks=packed)]) == write_file([sound])


@pytest.mark.parametrize(("required", "error"), [(False, None), (True, VersionError)])
def test_unknown_sections_are_skipped_where_optional(stored, required, error):
    data = write_file([stored])
    extra = pack_section(Section(77, required, b"later"))
    end = len(data) - 33
    count, length = len(sections_of(stored)) + 1, len(data) + len(extra)
    closing = pack_section(Section(T.END, True, count.to_bytes(4, "little") + length.to_bytes(8, "little")))
    changed = data[:end] + extra + closing
    if error:
        with pytest.raises(error):
            read_file(changed)
    else:
        assert read_file(changed)[0].description == PHOTO


def test_limits_reach_every_section(stored):
    data = write_file([stored])
    for limits in (Limits(max_points=107), Limits(max_width=4), Limits(max_metadata_bytes=10)):
        with pytest.raises(LimitError):
            read_file(data, limits=limits)
        with pytest.raises(LimitError):
            parse_container(read_container(data), limits=limits)


def test_every_cut_and_changed_byte_is_found(stored):
    data = write_file([stored])
    for position in range(len(data)):
        with pytest.raises(FormatError):
            read_file(data[:position])
        damaged = bytearray(data)
        damaged[position] ^= 0x41
        with pytest.raises(FormatError):
            read_file(bytes(damaged))
