"""The SIGNAL section: a :class:`SignalDescription` and how the signal is cut, as bytes and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

from i2codec.container.layout import Field, Layout
from i2codec.container.limits import Limits
from i2codec.errors import FormatError, LimitError, OptionError, VersionError
from i2codec.payload.ids import known
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

SIGNAL_HEADER = Layout(
    "SIGNAL_HEADER",
    (
        Field("kind", "B"),
        Field("axis_count", "B"),
        Field("channel_count", "B"),
        Field("sample_format", "B"),
        Field("source", "B"),
        Field("primaries", "B"),
        Field("transfer", "B"),
        Field("matrix", "B"),
        Field("flags", "B"),
    ),
)
AXIS = Layout(
    "AXIS",
    (
        Field("name", "B"),
        Field("spacing", "B"),
        Field("extent", "Q"),
        Field("step_numerator", "I"),
        Field("step_denominator", "I"),
    ),
)
CHANNEL = Layout("CHANNEL", (Field("role", "B"),))
VALUE_RANGE = Layout("VALUE_RANGE", (Field("offset", "d"), Field("scale", "d")))
AFFINE = Layout("AFFINE", tuple(Field(f"m{row}{column}", "d") for row in range(3) for column in range(4)))
SEGMENTS = Layout("SEGMENTS", (Field("length", "Q"),))

_FULL_RANGE, _HAS_AFFINE, _HAS_SEGMENTS = 1, 2, 4

_AXES = {
    Kind.PHOTO: (AxisName.Y, AxisName.X),
    Kind.SOUND: (AxisName.TIME,),
    Kind.VIDEO: (AxisName.TIME, AxisName.Y, AxisName.X),
    Kind.SHAPE: (AxisName.Z, AxisName.Y, AxisName.X),
}
_RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)


class Spacing(IntEnum):
    """How the samples of an axis are spaced."""

    UNIFORM = 1
    TIME_STAMPS = 2


@dataclass(frozen=True)
class SignalHeader:
    """What the SIGNAL section says.

    Parameters
    ----------
    description:
        Axes, channels, formats.
    segments:
        How the first axis is cut into units.
    has_timestamps:
        True if the TIMESTAMPS section says when the frames of the first axis begin.
    """

    description: SignalDescription
    segments: Segments
    has_timestamps: bool


def pack_signal(header: SignalHeader) -> bytes:
    """Payload of the SIGNAL section."""
    description, segments = header.description, header.segments
    flags = (
        _FULL_RANGE * description.colour.full_range
        | _HAS_AFFINE * (description.affine is not None)
        | _HAS_SEGMENTS * (segments.count > 1)
    )
    parts = [
        SIGNAL_HEADER.pack(
            kind=description.kind,
            axis_count=len(description.axes),
            channel_count=len(description.channels),
            sample_format=description.sample_format,
            source=description.source,
            primaries=description.colour.primaries,
            transfer=description.colour.transfer,
            matrix=description.colour.matrix,
            flags=flags,
        )
    ]
    parts += [
        AXIS.pack(
            name=axis.name,
            spacing=Spacing.TIME_STAMPS if header.has_timestamps and axis is description.axes[0] else Spacing.UNIFORM,
            extent=axis.extent,
            step_numerator=axis.step.numerator,
            step_denominator=axis.step.denominator,
        )
        for axis in description.axes
    ]
    parts += [CHANNEL.pack(role=role) for role in description.channels]
    if description.sample_format.is_float:
        parts.append(VALUE_RANGE.pack(offset=description.offset, scale=description.scale))
    if description.affine is not None:
        parts.append(AFFINE.pack(**dict(zip(AFFINE.names, description.affine, strict=True))))
    if segments.count > 1:
        parts.append(SEGMENTS.pack(length=segments.length))
    return b"".join(parts)


def unpack_signal(payload: bytes, *, limits: Limits) -> SignalHeader:
    """What a SIGNAL section's payload says.

    Raises
    ------
    FormatError
        If it is truncated, has bytes left over, or holds a value that no signal can have.
    VersionError
        If an id or flag is unknown.
    LimitError
        If the number of grid points of a unit, of units, or of channels is over its limit.
    """
    reader = _Reader(payload)
    head = reader.take(SIGNAL_HEADER)
    if head["flags"] & ~(_FULL_RANGE | _HAS_AFFINE | _HAS_SEGMENTS):
        raise VersionError(f"signal header has the unknown flags {head['flags']:#x}; update i2codec")
    if head["channel_count"] > limits.max_channels:
        raise LimitError(f"a signal of {head['channel_count']} channels; the limit is {limits.max_channels}")
    kind = known(Kind, head["kind"], field="kind of signal")
    sample_format = known(SampleFormat, head["sample_format"], field="sample format")
    records = [reader.take(AXIS) for _ in range(head["axis_count"])]
    axes = [_unpack_axis(record) for record in records]
    if (names := tuple(axis.name for axis in axes)) != _AXES[kind]:
        found, expected = (", ".join(name.name.lower() for name in group) or "none" for group in (names, _AXES[kind]))
        raise FormatError(f"a {kind.name.lower()} with the axes {found}; expected {expected}")
    roles = [
        known(ChannelRole, reader.take(CHANNEL)["role"], field="channel role") for _ in range(head["channel_count"])
    ]
    value_range = reader.take(VALUE_RANGE) if sample_format.is_float else {}
    affine = tuple(reader.take(AFFINE).values()) if head["flags"] & _HAS_AFFINE else None
    length = reader.take(SEGMENTS)["length"] if head["flags"] & _HAS_SEGMENTS else axes[0].extent
    reader.finish()
    try:
        description = SignalDescription(
            kind=kind,
            axes=tuple(axes),
            channels=tuple(roles),
            sample_format=sample_format,
            colour=ColourTags(
                primaries=head["primaries"],
                transfer=head["transfer"],
                matrix=head["matrix"],
                full_range=bool(head["flags"] & _FULL_RANGE),
            ),
            source=known(SourceContainer, head["source"], field="source container"),
            affine=affine,
            **value_range,
        )
        segments = Segments(extent=axes[0].extent, length=length)
    except OptionError as error:
        raise FormatError(f"signal header: {error}") from error
    _check_channels(description)
    _check_size(description, segments, limits)
    return SignalHeader(description, segments, _has_timestamps(records))


def _check_channels(description: SignalDescription) -> None:
    """Refuse channels that a signal of its kind cannot have, and a shape of unknown place."""
    roles = description.channels
    match description.kind:
        case Kind.PHOTO:
            fits = not {ChannelRole.SOUND, ChannelRole.OCCUPANCY} & set(roles)
        case Kind.SOUND:
            fits = set(roles) == {ChannelRole.SOUND}
        case Kind.VIDEO:
            fits = roles in ((ChannelRole.GREY,), _RGB, (*_RGB, ChannelRole.ALPHA))
        case Kind.SHAPE:
            fits = roles == (ChannelRole.OCCUPANCY,) and description.affine is not None
    if not fits:
        found = ", ".join(role.name.lower() for role in roles)
        raise FormatError(f"a {description.kind.name.lower()} cannot have the channels {found} and this affine map")


def _check_size(description: SignalDescription, segments: Segments, limits: Limits) -> None:
    first, last = segments.bounds(segments.count - 1)
    longest = max(segments.length if segments.count > 1 else 0, last - first)
    extents = (longest, *description.extents[1:])
    if math.prod(extents) > limits.max_points:
        sizes = " × ".join(map(str, extents))
        raise LimitError(f"a signal of {sizes} points; the limit is {limits.max_points} points")
    if segments.count > limits.max_sections:
        raise LimitError(f"a signal of {segments.count} segments; the limit is {limits.max_sections}")


def _has_timestamps(records: list[dict[str, int]]) -> bool:
    """Whether the first axis has time stamps, which no other may have."""
    stamped = [
        known(Spacing, record["spacing"], field="spacing of an axis") is Spacing.TIME_STAMPS for record in records
    ]
    if any(stamped[1:]) or (stamped[0] and records[0]["name"] != AxisName.TIME):
        raise FormatError("an axis other than time has time stamps")
    return stamped[0]


def _unpack_axis(record: dict[str, int]) -> Axis:
    name = known(AxisName, record["name"], field="axis name")
    if not record["step_denominator"]:
        raise FormatError(f"axis {name.name.lower()} has a sample step of denominator 0")
    try:
        return Axis(name, record["extent"], Fraction(record["step_numerator"], record["step_denominator"]))
    except OptionError as error:
        raise FormatError(f"signal header: {error}") from error


class _Reader:
    """Takes records off the front of a payload."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._offset = payload, 0

    def take(self, layout: Layout) -> dict[str, int]:
        """The next record."""
        record = layout.unpack(self._payload, self._offset)
        self._offset += layout.size
        return record

    def finish(self) -> None:
        if self._offset < len(self._payload):
            raise FormatError(f"signal header has {len(self._payload) - self._offset} bytes left over")
