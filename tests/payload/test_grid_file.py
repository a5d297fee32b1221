"""Files of grid fields: network and latents, written, read whole, cut and in part."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from i2codec.container.limits import Limits
from i2codec.container.reader import read_container
from i2codec.container.section import Section, SectionType
from i2codec.container.writer import write_container
from i2codec.errors import FormatError, LimitError, OptionError, TruncatedError, VersionError
from i2codec.latents.template import Template
from i2codec.payload.file import StoredSignal, read_file, write_file
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.latents_section import LatentPyramid, pack_latents
from i2codec.payload.readouts_section import pack_readouts
from i2codec.payload.stored_grid import StoredGrid
from i2codec.signal.colour import ColourTransform
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.signal import MetadataKey

RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
T = SectionType


def photo(height, width):
    axes = (Axis(AxisName.Y, height), Axis(AxisName.X, width))
    return SignalDescription(Kind.PHOTO, axes, RGB, SampleFormat.UINT8)


def sound(count):
    return SignalDescription(
        Kind.SOUND, (Axis(AxisName.TIME, count, Fraction(1, 8000)),), (ChannelRole.SOUND,), SampleFormat.INT16
    )


def video(frames, height, width):
    axes = (Axis(AxisName.TIME, frames, Fraction(1, 25)), Axis(AxisName.Y, height), Axis(AxisName.X, width))
    return SignalDescription(Kind.VIDEO, axes, RGB, SampleFormat.UINT8)


@pytest.fixture(scope="module")
def a_grid(make_grid, make_levels):
    """A signal stored as a grid field, and its levels."""

    def make(
        description,
        *,
        level_count=4,
        section_bytes=4096,
        zeros=(),
        zero_tensors=(),
        metadata=None,
        readouts=None,
        template=None,
        **options,
    ):
        template = template or (Template.VOLUME if len(description.axes) == 3 else Template.PLANE)
        network = make_grid(
            axis_count=len(description.axes),
            channel_count=len(description.channels),
            level_count=level_count,
            template=template,
            zeros=zero_tensors,
            **options,
        )
        tiles = LatentTiles.of(description.axes, level_count, planes=network.architecture.planes)
        model = network.context_model()
        levels = make_levels(tiles, zeros=zeros)
        payloads = pack_latents(levels, tiles=tiles, model=model, section_bytes=section_bytes)
        pyramid = LatentPyramid(payloads, tiles=tiles, model=model)
        stored = StoredSignal(
            description, (), metadata=metadata or {}, grid=StoredGrid(network, pyramid, readouts or {})
        )
        return stored, levels

    return make


def assert_read(found, stored, levels):
    assert (found.description, found.metadata, found.networks) == (stored.description, stored.metadata, ())
    network, expected = found.grid.network, stored.grid.network
    assert network.architecture == expected.architecture
    for name, integers in expected.integers.items():
        np.testing.assert_array_equal(network.integers[name], integers)
    for one, other in zip(found.grid.latents.levels(), levels, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_pyramid_of_nothing_weighs(a_grid):
    """Head 16, SIGNAL 21 + 48, NETWORK 21 + 33, LATENTS 21 + 2, END 21 + 12."""
    names = tuple(a_grid(photo(9, 12))[0].grid.network.integers)
    stored, _ = a_grid(photo(9, 12), level_count=7, zeros=tuple(range(7)), zero_tensors=names)
    assert len(write_file([stored])) == 16 + 21 + 48 + 21 + 33 + 21 + 2 + 21 + 12 == 195


@pytest.mark.parametrize(
    ("description", "template"),
    [
        (photo(9, 12), None),
        (photo(1, 1), None),
        (photo(1100, 40), None),
        (sound(700), None),
        (video(5, 9, 12), None),
        (photo(9, 12), Template.COLOUR),
        (photo(1, 1), Template.COLOUR),
        (photo(1100, 40), Template.COLOUR),
    ],
    ids=lambda value: getattr(value, "extents", value),
)
@pytest.mark.parametrize("metadata", [{}, {MetadataKey.EXIF: b"camera"}])
def test_round_trip(a_grid, description, template, metadata):
    stored, levels = a_grid(description, template=template, metadata=metadata, transform=ColourTransform.NONE)
    data = write_file([stored])
    (found,) = read_file(data)
    assert_read(found, stored, levels)
    assert write_file([found]) == data
    assert read_container(data).minor == (2 if template is None else 3)


def test_the_order_of_the_sections(a_grid):
    stored, _ = a_grid(photo(1100, 40), section_bytes=0, metadata={MetadataKey.EXIF: b"camera"})
    sections = read_container(write_file([stored])).sections
    kinds = [section.type for section in sections]
    assert kinds == [T.SIGNAL, T.NETWORK, *[T.LATENTS] * 5, T.METADATA]
    assert [(section.level, section.unit) for section in sections[2:7]] == [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1)]
    assert all(section.required for section in sections[:7])


def test_readouts_come_before_the_latents_and_may_be_skipped(a_grid, make_readouts):
    readouts = make_readouts(1, 3)
    stored, levels = a_grid(photo(40, 24), section_bytes=0, readouts=readouts)
    data = write_file([stored])
    sections = read_container(data).sections
    assert [section.type for section in sections] == [T.SIGNAL, T.NETWORK, T.READOUTS, *[T.LATENTS] * 4]
    assert not sections[2].required
    (found,) = read_file(data)
    assert_read(found, stored, levels)
    assert found.grid.readouts.keys() == readouts.keys()
    assert write_file([found]) == data
    assert stored.payloads() == tuple(section.payload for section in sections[1:])


def test_a_cut_file_is_read_out_by_what_was_stored_for_it(a_grid, make_readouts):
    readouts = make_readouts(1, 3)
    stored, _ = a_grid(photo(40, 24), section_bytes=0, readouts=readouts)
    data, own = write_file([stored]), stored.grid.network.dequantised().tensors
    ends = [data.rindex(payload) + len(payload) for payload in stored.grid.latents.payloads.values()]
    for whole, end in enumerate(ends, start=1):
        (found,) = read_file(data[:end], allow_truncated=True)
        assert found.grid.latents.whole_levels == whole
        tensors = found.grid.synthesis().tensors
        np.testing.assert_array_equal(tensors["W"], readouts[whole].weights if whole in readouts else own["W"])
        np.testing.assert_array_equal(tensors["b"], readouts[whole].biases if whole in readouts else own["b"])
        np.testing.assert_array_equal(tensors["E_1"], own["E_1"])


def test_readouts_beside_a_coordinate_field_are_refused(make_quantised, make_readouts):
    sections = read_container(write_file([StoredSignal(photo(9, 12), (make_quantised(),))])).sections
    readouts = Section(T.READOUTS, False, pack_readouts(make_readouts(1)))
    with pytest.raises(FormatError, match="readouts of a grid field beside a coordinate field"):
        read_file(write_container(Kind.PHOTO, [*sections, readouts], minor=2))


def test_the_oldest_version_that_has_all_ids(make_quantised, a_grid):
    coordinate = StoredSignal(photo(9, 12), (make_quantised(),))
    track = StoredSignal(sound(20), (make_quantised(axis_count=1, channel_count=1),))
    grid, _ = a_grid(video(5, 9, 12))
    colours, _ = a_grid(photo(9, 12), template=Template.COLOUR)
    for signals, minor in (([coordinate], 0), ([track], 1), ([grid], 2), ([grid, track], 2), ([colours], 3)):
        assert read_container(write_file(signals)).minor == minor
    found = read_file(write_file([grid, track]))
    assert (found[0].grid is None, found[1].grid is None, len(found[1].networks)) == (False, True, 1)


@pytest.mark.parametrize("height", [40, 1100])
def test_a_cut_file_reads_as_its_whole_sections(a_grid, height):
    stored, levels = a_grid(photo(height, 24), section_bytes=0, metadata={MetadataKey.EXIF: b"camera"})
    data = write_file([stored])
    sections = read_container(data).sections
    ends, position = [], 16 + 21 + 16 * len(sections)  # behind the head and the index
    for section in sections:
        position += 21 + len(section.payload)
        ends.append(position)
    assert ends[-1] == len(data) - 33
    first = ends[[section.type for section in sections].index(T.LATENTS)]
    for length in [*range(0, first, 7), first - 1]:
        with pytest.raises(TruncatedError):
            read_file(data[:length], allow_truncated=True)
    for length in sorted({*ends, *(end - 1 for end in ends), *range(first, len(data), 97), len(data) - 1}):
        if length < first:
            continue
        with pytest.raises(TruncatedError):
            read_file(data[:length])
        (found,) = read_file(data[:length], allow_truncated=True)
        left = [section for section, end in zip(sections, ends, strict=True) if end <= length]
        assert list(found.grid.latents.payloads) == [(s.level, s.unit) for s in left if s.type == T.LATENTS]
        whole = sum(s.type == T.LATENTS for s in left)
        whole = 4 if whole == 5 else 3 if height == 1100 and whole == 4 else whole
        assert found.grid.latents.whole_levels == whole
        for place, (one, other) in enumerate(zip(reversed(found.grid.latents.levels()), reversed(levels), strict=True)):
            if place < whole:
                np.testing.assert_array_equal(one, other)
            elif height == 40:
                assert not one.any()
        assert found.metadata == (stored.metadata if left[-1].type == T.METADATA else {})
        if not found.grid.latents.is_whole:
            with pytest.raises(OptionError, match="cut file cannot be written"):
                write_file([found])
    (found,) = read_file(data, allow_truncated=True)
    assert_read(found, stored, levels)


def test_a_cut_coordinate_field_needs_all_its_networks(make_quantised):
    networks = tuple(make_quantised(axis_count=1, channel_count=1, seed=unit) for unit in range(2))
    stored = StoredSignal(sound(8), networks, segment_length=4, metadata={MetadataKey.TAGS: b"{}"})
    data = write_file([stored])
    *_, last, metadata = read_container(data).sections
    assert (last.type, last.unit) == (T.NETWORK, 1)
    end = len(data) - 33 - 21 - len(metadata.payload)
    (found,) = read_file(data[:end], allow_truncated=True)
    assert (len(found.networks), found.metadata) == (2, {})
    with pytest.raises(TruncatedError, match="signal 0 has 1 networks for 2 units: the file is cut too early"):
        read_file(data[: end - 1], allow_truncated=True)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (15, "inside its head"),
        (16, r"signals numbered \[\].*: the file is cut too early; get a complete copy"),
        (16 + 21 + 48, "signal 0 has no NETWORK section: the file is cut too early"),
        (16 + 21 + 48 + 21 + 33, "a grid field has no LATENTS section: the file is cut too early"),
    ],
)
def test_a_file_cut_too_early(a_grid, length, message):
    stored, _ = a_grid(photo(9, 12), zero_tensors=tuple(a_grid(photo(9, 12))[0].grid.network.integers))
    with pytest.raises(TruncatedError, match=message):
        read_file(write_file([stored])[:length], allow_truncated=True)


def test_other_damage_is_not_a_cut(a_grid):
    data = bytearray(write_file([a_grid(photo(9, 12))[0]]))
    data[-40] ^= 1
    with pytest.raises(FormatError, match="damaged"):
        read_file(bytes(data), allow_truncated=True)


def changed_sections(stored, change, *, kind=Kind.PHOTO):
    sections = [change(section) for section in read_container(write_file([stored])).sections]
    return write_container(kind, [section for section in sections if section is not None])


def without(section_type, **numbers):
    def change(section):
        matches = all(getattr(section, name) == value for name, value in numbers.items())
        return None if section.type == section_type and matches else section

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (without(T.LATENTS), FormatError, "a grid field has no LATENTS section"),
        (without(T.LATENTS, level=1), FormatError, "latent level 1 is not there"),
        (without(T.LATENTS, level=3, unit=1), FormatError, "latent level 3 is not there, or not all of its tiles"),
        (without(T.NETWORK), FormatError, "no NETWORK section"),
        (without(T.SIGNAL), FormatError, "no SIGNAL section"),
        (lambda s: replace(s, group=1) if s.type == T.LATENTS else s, VersionError, "group 1, .*update i2codec"),
        (lambda s: replace(s, level=1) if s.type == T.NETWORK else s, VersionError, "NETWORK section of level 1"),
        (lambda s: replace(s, unit=1) if s.type == T.NETWORK else s, FormatError, "1 networks for 1 units"),
        (lambda s: replace(s, unit=s.unit + 1) if s.type == T.LATENTS else s, FormatError, "the level has 1 tiles"),
    ],
)
def test_sections_that_are_missing_or_out_of_place(a_grid, change, error, message):
    stored, _ = a_grid(photo(1100, 24), section_bytes=0)
    with pytest.raises(error, match=message):
        read_file(changed_sections(stored, change))


def test_latents_beside_a_coordinate_field_need_a_newer_reader(make_quantised):
    sections = read_container(write_file([StoredSignal(photo(9, 12), (make_quantised(),))])).sections
    data = write_container(Kind.PHOTO, [*sections, Section(T.LATENTS, True, b"\x02\x00", level=3)])
    with pytest.raises(VersionError, match="LATENTS section of level 3 and group 0"):
        read_file(data)


def test_a_pyramid_in_segments_needs_a_newer_reader(a_grid, make_quantised):
    networks = tuple(make_quantised(axis_count=1, channel_count=1) for _ in range(2))
    segmented = read_container(write_file([StoredSignal(sound(8), networks, segment_length=4)])).sections
    grid = read_container(write_file([a_grid(sound(8))[0]])).sections
    networks = [replace(grid[1], unit=unit) for unit in range(2)]
    with pytest.raises(VersionError, match="a pyramid in segments"):
        read_file(write_container(Kind.SOUND, [segmented[0], networks[0], grid[2]]))
    with pytest.raises(FormatError, match="2 networks for 2 units"):
        read_file(write_container(Kind.SOUND, [segmented[0], *networks, grid[2]]))
    coordinate_first = [segmented[0], segmented[1], networks[1]]
    (found,) = read_file(write_container(Kind.SOUND, coordinate_first))
    with pytest.raises(VersionError, match="basis"):
        found.networks[1]


def test_a_stored_grid_fits_its_signal(a_grid, make_quantised):
    stored, _ = a_grid(photo(9, 12))
    with pytest.raises(OptionError, match="beside 1 networks"):
        replace(stored, networks=(make_quantised(),))
    with pytest.raises(OptionError, match="in 2 units"):
        replace(stored, segment_length=4)
    with pytest.raises(OptionError, match="do not fit the signal's extents"):
        replace(stored, description=photo(9, 13))
    planes, _ = a_grid(photo(9, 12), template=Template.COLOUR)
    with pytest.raises(OptionError, match="do not fit the signal's extents"):
        replace(stored, grid=replace(stored.grid, latents=planes.grid.latents))
    with pytest.raises(OptionError, match="axes, channels and levels"):
        replace(stored, description=sound(9))
    with pytest.raises(OptionError, match="axes, channels and levels"):
        replace(stored, grid=replace(stored.grid, network=a_grid(photo(9, 12), level_count=3)[0].grid.network))
    with pytest.raises(OptionError, match="0 networks for 1 units"):
        replace(stored, grid=None)


def test_limits_reach_every_section(a_grid):
    data = write_file([a_grid(photo(9, 12))[0]])
    read_file(data, limits=Limits(max_points=108, max_levels=4))
    for limits in (Limits(max_points=107), Limits(max_levels=3), Limits(max_section_bytes=40), Limits(max_sections=2)):
        with pytest.raises(LimitError):
            read_file(data, limits=limits)


def test_every_cut_and_changed_byte_is_found(a_grid):
    stored, _ = a_grid(photo(9, 12))
    data = write_file([stored])
    for position in range(len(data)):
        with pytest.raises(FormatError):
            read_file(data[:position])
        damaged = bytearray(data)
        damaged[position] ^= 0x41
        with pytest.raises(FormatError):
            read_file(bytes(damaged))
