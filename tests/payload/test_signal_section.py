import struct
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.errors import FormatError, LimitError, OptionError, TruncatedError, VersionError
from i2codec.payload.signal_section import AXIS, CHANNEL, SIGNAL_HEADER, VALUE_RANGE, pack_signal, unpack_signal
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

NAMES = {
    Kind.PHOTO: (AxisName.Y, AxisName.X),
    Kind.SOUND: (AxisName.TIME,),
    Kind.VIDEO: (AxisName.TIME, AxisName.Y, AxisName.X),
    Kind.SHAPE: (AxisName.Z, AxisName.Y, AxisName.X),
}
U32 = st.integers(1, 2**32 - 1)
FINITE = st.floats(-1e300, 1e300)


@st.composite
def descriptions(draw):
    kind = draw(st.sampled_from(Kind))
    sample_format = draw(st.sampled_from(SampleFormat))
    return SignalDescription(
        kind=kind,
        axes=tuple(Axis(name, draw(st.integers(1, 600)), Fraction(draw(U32), draw(U32))) for name in NAMES[kind]),
        channels=tuple(draw(st.lists(st.sampled_from(ChannelRole), min_size=1, max_size=16))),
        sample_format=sample_format,
        offset=draw(FINITE) if sample_format.is_float else 0.0,
        scale=draw(FINITE) if sample_format.is_float else 1.0,
        colour=ColourTags(*(draw(st.integers(0, 255)) for _ in range(3)), full_range=draw(st.booleans())),
        source=draw(st.sampled_from(SourceContainer)),
        affine=draw(st.none() | st.lists(FINITE, min_size=12, max_size=12).map(tuple)),
    )


@given(descriptions())
def test_round_trip(description):
    payload = pack_signal(description)
    assert unpack_signal(payload, limits=DEFAULT_LIMITS) == description


@given(descriptions(), st.data())
def test_every_cut_is_a_truncation_and_nothing_may_follow(description, data):
    payload = pack_signal(description)
    with pytest.raises(TruncatedError):
        unpack_signal(payload[: data.draw(st.integers(0, len(payload) - 1))], limits=DEFAULT_LIMITS)
    with pytest.raises(FormatError, match="1 bytes left over"):
        unpack_signal(payload + b"\x00", limits=DEFAULT_LIMITS)


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
    assert pack_signal(PHOTO) == head + axes + bytes([1, 5]) + struct.pack("<dd", -2.0, 5.0)


AXES_AT = SIGNAL_HEADER.size
ROLES_AT = AXES_AT + 2 * AXIS.size
RANGE_AT = ROLES_AT + 2 * CHANNEL.size


def changed(layout, start, **values):
    """The payload of PHOTO with fields of the record at ``start`` replaced."""
    payload = pack_signal(PHOTO)
    record = layout.unpack(payload, start) | values
    return payload[:start] + layout.pack(**record) + payload[start + layout.size :]


@pytest.mark.parametrize(
    ("layout", "start", "field", "value"),
    [
        (SIGNAL_HEADER, 0, "kind", 0),
        (SIGNAL_HEADER, 0, "kind", 5),
        (SIGNAL_HEADER, 0, "sample_format", 0),
        (SIGNAL_HEADER, 0, "sample_format", 10),
        (SIGNAL_HEADER, 0, "source", 6),
        (SIGNAL_HEADER, 0, "flags", 4),
        (SIGNAL_HEADER, 0, "flags", 128),
        (AXIS, AXES_AT, "name", 0),
        (AXIS, AXES_AT, "name", 5),
        (AXIS, AXES_AT, "spacing", 0),
        (AXIS, AXES_AT + AXIS.size, "spacing", 2),
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
        (VALUE_RANGE, RANGE_AT, {"offset": float("nan")}, "finite"),
        (VALUE_RANGE, RANGE_AT, {"scale": float("-inf")}, "finite"),
    ],
)
def test_values_that_no_signal_has_are_refused(layout, start, values, message):
    with pytest.raises(FormatError, match=message):
        unpack_signal(changed(layout, start, **values), limits=DEFAULT_LIMITS)


def test_no_channels_are_refused():
    integers = replace(PHOTO, sample_format=SampleFormat.UINT8, offset=0.0, scale=1.0)
    payload = bytearray(pack_signal(integers)[:-2])
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
    assert unpack_signal(pack_signal(PHOTO), limits=Limits(max_points=1200, max_channels=2)) == PHOTO


def test_a_step_that_does_not_fit_is_refused_by_the_writer():
    axes = (Axis(AxisName.Y, 30, Fraction(1, 2**32)), Axis(AxisName.X, 40))
    with pytest.raises(OptionError, match="step_denominator"):
        pack_signal(replace(PHOTO, axes=axes))
