import struct
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.errors import FormatError, LimitError, OptionError, TruncatedError, VersionError
from i2codec.payload.signal_section import (
    AXIS,
    CHANNEL,
    SIGNAL_HEADER,
    VALUE_RANGE,
    SignalHeader,
    pack_signal,
    unpack_signal,
)
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    ColourTags,
    Kind,
    SampleFormat,
    SignalDescription,
    SourceContainer,
)
from i2codec.signal.segments import Segments

NAMES = {
    Kind.PHOTO: (AxisName.Y, AxisName.X),
    Kind.SOUND: (AxisName.TIME,),
    Kind.VIDEO: (AxisName.TIME, AxisName.Y, AxisName.X),
    Kind.SHAPE: (AxisName.Z, AxisName.Y, AxisName.X),
}
RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
PICTURES = [role for role in ChannelRole if role not in (ChannelRole.SOUND, ChannelRole.OCCUPANCY)]
CHANNELS = {
    Kind.PHOTO: st.lists(st.sampled_from(PICTURES), min_size=1, max_size=16).map(tuple),
    Kind.SOUND: st.integers(1, 16).map(lambda count: (ChannelRole.SOUND,) * count),
    Kind.VIDEO: st.sampled_from([(ChannelRole.GREY,), RGB, (*RGB, ChannelRole.ALPHA)]),
    Kind.SHAPE: st.just((ChannelRole.OCCUPANCY,)),
}
U32 = st.integers(1, 2**32 - 1)
FINITE = st.floats(-1e300, 1e300)


@st.composite
def headers(draw):
    kind = draw(st.sampled_from(Kind))
    sample_format = draw(st.sampled_from(SampleFormat))
    affine = st.lists(FINITE, min_size=12, max_size=12).map(tuple)
    description = SignalDescription(
        kind=kind,
        axes=tuple(Axis(name, draw(st.integers(1, 600)), Fraction(draw(U32), draw(U32))) for name in NAMES[kind]),
        channels=draw(CHANNELS[kind]),
        sample_format=sample_format,
        offset=draw(FINITE) if sample_format.is_float else 0.0,
        scale=draw(FINITE) if sample_format.is_float else 1.0,
        colour=ColourTags(*(draw(st.integers(0, 255)) for _ in range(3)), full_range=draw(st.booleans())),
        source=draw(st.sampled_from(SourceContainer)),
        affine=draw(affine if kind is Kind.SHAPE else st.none() | affine),
    )
    extent = description.extents[0]
    segments = Segments(extent=extent, length=draw(st.integers(1, extent)))
    has_timestamps = kind in (Kind.SOUND, Kind.VIDEO) and draw(st.booleans())
    return SignalHeader(
        description, segments if segments.count > 1 else Segments(extent=extent, length=extent), has_timestamps
    )


@given(headers())
def test_round_trip(header):
    payload = pack_signal(header)
    assert unpack_signal(payload, limits=DEFAULT_LIMITS) == header


@given(headers(), st.data())
def test_every_cut_is_a_truncation_and_nothing_may_follow(header, data):
    payload = pack_signal(header)
    with pytest.raises(TruncatedError):
        unpack_signal(payload[: data.draw(st.integers(0, len(payload) - 1))], limits=DEFAULT_LIMITS)
    with pytest.raises(FormatError, match="1 bytes left over"):
        unpack_signal(payload + b"\x00", limits=DEFAULT_LIMITS)


def whole(description):
    """The header of a signal of one unit at even times."""
    extent = description.extents[0]
    return SignalHeader(description, Segments(extent=extent, length=extent), has_timestamps=False)


PHOTO = SignalDescription(
    Kind.PHOTO,
    (Axis(AxisName.Y, 30, Fraction(1, 2)), Axis(AxisName.X, 40)),
    (ChannelRole.GREY, ChannelRole.ALPHA),
    SampleFormat.FLOAT32,
    offset=-2.0,
    scale=5.0,
)


def test_golden_bytes():
    head = bytes([1, 2, 2, 7, 0, 2, 2, 2, 1])
    axes = struct.pack("<BBQII", 3, 1, 30, 1, 2) + struct.pack("<BBQII", 4, 1, 40, 1, 1)
    assert pack_signal(whole(PHOTO)) == head + axes + bytes([1, 5]) + struct.pack("<dd", -2.0, 5.0)


AXES_AT = SIGNAL_HEADER.size
ROLES_AT = AXES_AT + 2 * AXIS.size
RANGE_AT = ROLES_AT + 2 * CHANNEL.size


def changed(layout, start, **values):
    """The payload of PHOTO with fields of the record at ``start`` replaced."""
    payload = pack_signal(whole(PHOTO))
    record = layout.unpack(payload, start) | values
    return payload[:start] + layout.pack(**record) + payload[start + layout.size :]


@pytest.mark.parametrize(
    ("layout", "start", "field", "value"),
    [
        (SIGNAL_HEADER, 0, "kind", 0),
        (SIGNAL_HEADER, 0, "kind", 5),
        (SIGNAL_HEADER, 0, "sample_format", 0),
        (SIGNAL_HEADER, 0, "sample_format", 11),
        (SIGNAL_HEADER, 0, "source", 18),
        (SIGNAL_HEADER, 0, "flags", 8),
        (SIGNAL_HEADER, 0, "flags", 128),
        (AXIS, AXES_AT, "name", 0),
        (AXIS, AXES_AT, "name", 5),
        (AXIS, AXES_AT, "spacing", 0),
        (AXIS, AXES_AT + AXIS.size, "spacing", 3),
        (CHANNEL, ROLES_AT, "role", 0),
        (CHANNEL, ROLES_AT + 1, "role", 9),
    ],
)
def test_unknown_ids_need_a_newer_reader(layout, start, field, value):
    with pytest.raises(VersionError, match="update i2codec"):
        unpack_signal(changed(layout, start, **{field: value}), limits=DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("layout", "start", "values", "message"),
    [
        (SIGNAL_HEADER, 0, {"kind": 2}, "a sound with the axes y, x; expected time"),
        (SIGNAL_HEADER, 0, {"kind": 4}, "expected z, y, x"),
        (SIGNAL_HEADER, 0, {"axis_count": 0}, "axes none"),
        (AXIS, AXES_AT, {"name": 4}, "axes x, x"),
        (AXIS, AXES_AT, {"extent": 0}, "0 samples"),
        (AXIS, AXES_AT, {"step_numerator": 0}, "step 0"),
        (AXIS, AXES_AT, {"step_denominator": 0}, "denominator 0"),
        (SIGNAL_HEADER, 0, {"sample_format": 1}, "16 bytes left over"),
        (AXIS, AXES_AT, {"spacing": 2}, "other than time has time stamps"),
        (AXIS, AXES_AT + AXIS.size, {"spacing": 2}, "other than time has time stamps"),
        (CHANNEL, ROLES_AT, {"role": 7}, "a photo cannot have the channels sound, alpha"),
        (VALUE_RANGE, RANGE_AT, {"offset": float("nan")}, "finite"),
        (VALUE_RANGE, RANGE_AT, {"scale": float("-inf")}, "finite"),
    ],
)
def test_values_that_no_signal_has_are_refused(layout, start, values, message):
    with pytest.raises(FormatError, match=message):
        unpack_signal(changed(layout, start, **values), limits=DEFAULT_LIMITS)


SOUND = SignalDescription(Kind.SOUND, (Axis(AxisName.TIME, 10),), (ChannelRole.SOUND,), SampleFormat.INT16)


def cut_sound(length):
    """The payload of a sound of 10 samples that says it is cut into segments of ``length``."""
    payload = bytearray(pack_signal(whole(SOUND)))
    payload[SIGNAL_HEADER.names.index("flags")] |= 4
    return bytes(payload) + struct.pack("<Q", length)


def test_a_signal_says_how_it_is_cut():
    assert pack_signal(replace(whole(SOUND), segments=Segments(extent=10, length=4))) == cut_sound(4)
    assert unpack_signal(cut_sound(4), limits=DEFAULT_LIMITS).segments == Segments(extent=10, length=4)


@pytest.mark.parametrize("length", [0, 11, 2**64 - 1])
def test_a_cut_that_makes_no_sense_is_refused(length):
    with pytest.raises(FormatError, match="expected 1 to 10"):
        unpack_signal(cut_sound(length), limits=DEFAULT_LIMITS)


def test_limits_are_those_of_a_segment_and_their_number():
    assert unpack_signal(cut_sound(4), limits=Limits(max_points=6)).segments.count == 2
    for limits in (Limits(max_points=5), Limits(max_sections=1)):
        with pytest.raises(LimitError, match="the limit is"):
            unpack_signal(cut_sound(4), limits=limits)


@pytest.mark.parametrize(
    ("kind", "roles", "affine"),
    [
        (Kind.SOUND, (ChannelRole.GREY,), None),
        (Kind.VIDEO, (ChannelRole.PLAIN,), None),
        (Kind.VIDEO, (ChannelRole.RED, ChannelRole.GREEN), None),
        (Kind.SHAPE, (ChannelRole.OCCUPANCY,), None),
        (Kind.SHAPE, (ChannelRole.GREY,), (1.0,) * 12),
    ],
)
def test_channels_that_a_kind_cannot_have_are_refused(kind, roles, affine):
    axes = tuple(Axis(name, 3) for name in NAMES[kind])
    description = SignalDescription(kind, axes, roles, SampleFormat.UINT8, affine=affine)
    with pytest.raises(FormatError, match=f"a {kind.name.lower()} cannot have the channels"):
        unpack_signal(pack_signal(whole(description)), limits=DEFAULT_LIMITS)


def test_no_channels_are_refused():
    integers = replace(PHOTO, sample_format=SampleFormat.UINT8, offset=0.0, scale=1.0)
    payload = bytearray(pack_signal(whole(integers))[:-2])
    payload[SIGNAL_HEADER.names.index("channel_count")] = 0
    with pytest.raises(FormatError, match="0 channels"):
        unpack_signal(bytes(payload), limits=DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("layout", "start", "values", "limits"),
    [
        (AXIS, AXES_AT, {"extent": 2**64 - 1}, Limits()),
        (AXIS, AXES_AT, {"extent": 2**23}, Limits()),
        (SIGNAL_HEADER, 0, {"channel_count": 17}, Limits()),
        (SIGNAL_HEADER, 0, {"channel_count": 255}, Limits()),
        (SIGNAL_HEADER, 0, {}, Limits(max_points=1199)),
        (SIGNAL_HEADER, 0, {}, Limits(max_channels=1)),
    ],
)
def test_limits_come_before_memory(layout, start, values, limits):
    payload = changed(layout, start, **values)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="the limit is"):
            unpack_signal(payload, limits=limits)
        assert tracemalloc.get_traced_memory()[1] < 2**18
    finally:
        tracemalloc.stop()


def test_at_its_limits_a_signal_is_read():
    assert unpack_signal(pack_signal(whole(PHOTO)), limits=Limits(max_points=1200, max_channels=2)) == whole(PHOTO)


def test_a_step_that_does_not_fit_is_refused_by_the_writer():
    axes = (Axis(AxisName.Y, 30, Fraction(1, 2**32)), Axis(AxisName.X, 40))
    with pytest.raises(OptionError, match="step_denominator"):
        pack_signal(whole(replace(PHOTO, axes=axes)))
