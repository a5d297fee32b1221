from dataclasses import replace

import numpy as np
import pytest

from i2codec.container.limits import Limits
from i2codec.container.reader import read_container
from i2codec.container.section import Section, SectionType, pack_section
from i2codec.container.writer import write_container
from i2codec.errors import FormatError, LimitError, VersionError
from i2codec.payload.file import StoredSignal, parse_container, read_signal, write_signal
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.signal import MetadataKey

RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
PHOTO = SignalDescription(Kind.PHOTO, (Axis(AxisName.Y, 9), Axis(AxisName.X, 12)), RGB, SampleFormat.UINT8)
METADATA = {MetadataKey.EXIF: b"camera"}
T = SectionType


@pytest.fixture
def stored(make_quantised):
    return StoredSignal(PHOTO, make_quantised(), METADATA)


def sections_of(stored):
    return list(read_container(write_signal(stored)).sections)


def read_sections(sections, *, kind=Kind.PHOTO):
    return read_signal(write_container(kind, sections))


@pytest.mark.parametrize("metadata", [METADATA, {}])
def test_round_trip(stored, metadata):
    stored = replace(stored, metadata=metadata)
    data = write_signal(stored)
    found = read_signal(data)
    assert (found.description, found.metadata) == (PHOTO, metadata)
    assert found.network.architecture == stored.network.architecture
    for name, integers in stored.network.integers.items():
        np.testing.assert_array_equal(found.network.integers[name], integers)
    assert write_signal(found) == data
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
        Section(T.TIMESTAMPS, True, b""),
        Section(T.NETWORK, True, b"", unit=1),
        Section(T.SIGNAL, True, b"", signal=1),
        Section(T.METADATA, False, b"", signal=1),
    ],
    ids=lambda section: T(section.type).name,
)
def test_what_a_later_version_may_add_needs_a_newer_reader(stored, extra):
    with pytest.raises(VersionError, match="update i2codec"):
        read_sections([*sections_of(stored), extra])


@pytest.mark.parametrize("field", ["signal", "level", "group", "unit"])
def test_a_network_of_a_part_needs_a_newer_reader(stored, field):
    signal, network, _ = sections_of(stored)
    with pytest.raises(VersionError, match="update i2codec"):
        read_sections([signal, replace(network, **{field: 1})])


@pytest.mark.parametrize(("required", "error"), [(False, None), (True, VersionError)])
def test_unknown_sections_are_skipped_where_optional(stored, required, error):
    data = write_signal(stored)
    extra = pack_section(Section(77, required, b"later"))
    end = len(data) - 33
    count, length = len(sections_of(stored)) + 1, len(data) + len(extra)
    closing = pack_section(Section(T.END, True, count.to_bytes(4, "little") + length.to_bytes(8, "little")))
    changed = data[:end] + extra + closing
    if error:
        with pytest.raises(error):
            read_signal(changed)
    else:
        assert read_signal(changed).description == PHOTO


def test_limits_reach_every_section(stored):
    data = write_signal(stored)
    for limits in (Limits(max_points=107), Limits(max_width=4), Limits(max_metadata_bytes=10)):
        with pytest.raises(LimitError):
            read_signal(data, limits=limits)
        with pytest.raises(LimitError):
            parse_container(read_container(data), limits=limits)


def test_every_cut_and_changed_byte_is_found(stored):
    data = write_signal(stored)
    for position in range(len(data)):
        with pytest.raises(FormatError):
            read_signal(data[:position])
        damaged = bytearray(data)
        damaged[position] ^= 0x41
        with pytest.raises(FormatError):
            read_signal(bytes(damaged))
