"""What a sound file is, before its samples are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import soundfile

from i2codec.errors import InputError
from i2codec.media.sound_formats import (
    INPUT_FORMATS,
    MAX_SOUND_CHANNELS,
    MAX_SOUND_RATE,
    READ_CONTAINERS,
    SAMPLE_BYTES,
    VORBIS_ORDERS,
    VORBIS_SUBTYPES,
    sample_format_of,
)
from i2codec.media.sound_length import announced_samples, mp3_announces_length, ogg_breaks_off
from i2codec.media.sound_library import GuardedStream, SequentialFile, count_samples
from i2codec.media.sound_tags import read_tags
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SignalDescription, SourceContainer
from i2codec.signal.signal import MetadataKey

_UNKNOWN_LENGTH = 2**62  # libsndfile says 2⁶³ − 1


@dataclass(frozen=True)
class SoundFacts:
    """What :func:`probed` found out.

    Parameters
    ----------
    description:
        The sound. Its length is what the file announces or, where that is known beforehand, what there is.
    metadata:
        Its tags.
    announced:
        Samples per channel that the file announces; None if it does not.
    breaks_off:
        True for a file that lacks the mark of its end, or announces no length and is damaged.
    pretend_longer:
        How to open it; see :class:`~i2codec.media.sound_library.GuardedStream`.
    channel_order:
        Where each channel lies in what libsndfile gives; None where they are in order.
    """

    description: SignalDescription
    metadata: dict[MetadataKey, bytes]
    announced: int | None
    breaks_off: bool
    pretend_longer: bool
    channel_order: tuple[int, ...] | None


def probed(stream: BinaryIO, *, name: str, keep_metadata: bool) -> SoundFacts:
    """Facts about the sound in a seekable binary file object, which is left at any position.

    A file that does not announce its length is decoded once to count its samples.

    Raises
    ------
    InputError
        As :func:`~i2codec.media.sound.open_sound` does.
    """
    with opened(stream, name=name) as (file, _):
        _check_kind(file, name=name)
        source = READ_CONTAINERS[file.format]
        metadata = read_tags(file) if keep_metadata else {}
        length, rate, channel_count, subtype = file.frames, file.samplerate, file.channels, file.subtype
    estimated = source is SourceContainer.MP3 and not mp3_announces_length(stream)
    announced, breaks_off = None, source is SourceContainer.OGG and ogg_breaks_off(stream)
    if estimated or length >= _UNKNOWN_LENGTH:
        with opened(stream, name=name, pretend_longer=estimated) as (file, guard), guard.checked():
            length, breaks_off = count_samples(file)
    else:
        sample_bytes = SAMPLE_BYTES.get(subtype)
        stored = announced_samples(stream, bytes_per_step=sample_bytes * channel_count) if sample_bytes else None
        announced = stored or length
        length = min(length, announced)  # libsndfile counts the padding of AIFF too
    if length == 0:
        raise InputError(f"{name} holds no samples; expected at least one: check the file")
    axis, channels = Axis(AxisName.TIME, length, Fraction(1, rate)), (ChannelRole.SOUND,) * channel_count
    description = SignalDescription(Kind.SOUND, (axis,), channels, sample_format_of(subtype), source=source)
    stored_order = VORBIS_ORDERS.get(channel_count) if subtype in VORBIS_SUBTYPES else None
    order = tuple(map(stored_order.index, range(channel_count))) if stored_order else None
    return SoundFacts(description, metadata, announced, breaks_off, estimated, order)


@contextmanager
def opened(
    stream: BinaryIO, *, name: str, pretend_longer: bool = False
) -> Iterator[tuple[SequentialFile, GuardedStream]]:
    """The sound file in a seekable binary file object, from its start, and the guard between the two.

    Raises
    ------
    InputError
        If libsndfile cannot read it.
    """
    stream.seek(0)
    guard = GuardedStream(stream, pretend_longer=pretend_longer)
    try:
        with guard.checked():
            file = SequentialFile(guard)
    except soundfile.LibsndfileError as exc:
        reason = exc.error_string.strip().rstrip(".")
        raise InputError(
            f"{name} is not a readable sound ({reason}); expected {INPUT_FORMATS}: check the file or convert it"
        ) from exc
    try:
        yield file, guard
    finally:
        file.close()


def _check_kind(file: SequentialFile, *, name: str) -> None:
    if file.format not in READ_CONTAINERS:
        raise InputError(f"{name} is taken for {file.format_info}; expected {INPUT_FORMATS}: convert it")
    if not 1 <= file.channels <= MAX_SOUND_CHANNELS:
        raise InputError(
            f"{name} has {file.channels} channels; expected 1 to {MAX_SOUND_CHANNELS}: mix it down or split it"
        )
    if not 1 <= file.samplerate <= MAX_SOUND_RATE:
        raise InputError(
            f"{name} has a rate of {file.samplerate} Hz; expected 1 to {MAX_SOUND_RATE} Hz: check or convert the file"
        )
