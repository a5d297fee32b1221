"""The sound track of a video file, in step with its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError
from i2codec.media.video_formats import MAX_SOUND_CHANNELS
from i2codec.media.video_scan import Scan, scan_video
from i2codec.media.video_source import StreamDecoder, VideoSource, sound_stream
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    Kind,
    SampleFormat,
    SignalDescription,
)
from i2codec.signal.signal import MetadataKey
from i2codec.signal.timestamps import TimeStamps

_FORMATS = {
    "u8": SampleFormat.INT8,
    "s16": SampleFormat.INT16,
    "s32": SampleFormat.INT32,
    "s64": SampleFormat.INT32,
    "flt": SampleFormat.FLOAT32,
    "dbl": SampleFormat.FLOAT32,
}
_DTYPES: dict[str, type[np.generic]] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "s64": np.int64,
    "flt": np.float32,
    "dbl": np.float64,
}
_FULL_SCALE = {"u8": 2**7, "s16": 2**15, "s32": 2**31, "s64": 2**63}
_GAP_S = Fraction(1, 20)  # shorter ones come from rounded time stamps


def open_video_sound(source: Path | bytes) -> VideoSoundReader | None:
    """Open the sound track of a video file; ``None`` where there is none that can be decoded.

    Sound and pictures begin together: sound that starts later than the first frame is preceded
    by silence, and what comes before that frame is cut. Gaps in the track become silence too.

    Parameters
    ----------
    source:
        Path, or file content that came from standard input.

    Raises
    ------
    InputError
        If the source is missing, not a video, or its sound has more than 8 channels.
    """
    opened = VideoSource(source)
    try:
        scan = scan_video(opened)
        container = opened.open()
        stream = sound_stream(container)
        decoder = StreamDecoder(container, stream) if stream is not None else None
        first = decoder.next() if decoder is not None else None
        if decoder is None or first is None:
            opened.close()
            return None
        return VideoSoundReader(opened, scan, decoder, first)
    except BaseException:
        opened.close()
        raise


class VideoSoundReader:
    """Samples of a sound track, read once; a :class:`~i2codec.signal.stream.SignalReader`.

    It is opened by :func:`open_video_sound`.
    """

    def __init__(self, opened: VideoSource, scan: Scan, decoder: StreamDecoder, first: Any) -> None:
        """Begin with the decoded frame ``first``."""
        self._opened, self._decoder = opened, decoder
        self._rate, self._layout, self._format = first.sample_rate, first.layout.name, first.format.name
        channel_count = first.layout.nb_channels
        if not 1 <= channel_count <= MAX_SOUND_CHANNELS:
            raise InputError(
                f"{opened.name} has sound of {channel_count} channels; expected 1 to {MAX_SOUND_CHANNELS}: mix it down"
            )
        self._begin = scan.timing.start
        # Nothing is put off beyond the end of the pictures, whatever the file says.
        self._latest: int = round(scan.timing.step * scan.announced_count * self._rate)
        self.description = SignalDescription(
            kind=Kind.SOUND,
            axes=(Axis(AxisName.TIME, self._announced(scan), Fraction(1, self._rate)),),
            channels=(ChannelRole.SOUND,) * channel_count,
            sample_format=_FORMATS[_interleaved_name(first)],
            source=opened.container_kind,
        )
        self.metadata: Mapping[MetadataKey, bytes] = {}
        self._pieces = self._timeline(first)
        self._rest = np.zeros((0, channel_count), np.float32)

    def read(self, count: int) -> NDArray[np.float32]:
        """The next ``count`` samples ``[n, C]``, −1..1 but for overshoot of floats; fewer only at the end.

        Raises
        ------
        InputError
            If the rate, the channels or the number format change, or a sample is not finite.
        """
        pieces, wanted = [self._rest], count - len(self._rest)
        while wanted > 0:
            piece = next(self._pieces, None)
            if piece is None:
                break
            pieces.append(piece)
            wanted -= len(piece)
        samples = np.concatenate(pieces)
        self._rest = samples[count:].copy()
        return samples[:count]

    def timestamps(self) -> TimeStamps | None:
        """``None``: sound has a constant rate."""
        return None

    def lost(self) -> str | None:
        """How many packets could not be decoded so far, in words; ``None`` if none."""
        failures = self._decoder.failures
        return f"{failures} packets of the sound could not be decoded" if failures else None

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def _announced(self, scan: Scan) -> int:
        start, end = scan.sound_span or (self._begin, self._begin)
        offset = min(round((start - self._begin) * self._rate), self._latest)
        length: int = offset + round((end - start) * self._rate)
        return max(1, length)

    def _timeline(self, first: Any) -> Iterator[NDArray[np.float32]]:
        """Pieces ``[n, C]`` from the start of the pictures on, with silence where there is no sound."""
        frame, position, slack = first, None, Fraction(0)
        while frame is not None:
            values = self._unit_samples(frame)
            due = self._due(frame)
            if position is None:
                position = min(due or 0, 0)  # before the pictures where negative
            gap = due - position if due is not None and due - position > slack else 0
            yield from self._silence(max(0, position + gap) - max(0, position))
            position += gap
            yield values[max(0, -position) :]
            position += len(values)
            frame, slack = self._decoder.next(), _GAP_S * self._rate

    def _due(self, frame: Any) -> int | None:
        if frame.pts is None or not frame.time_base:
            return None
        due: int = round((frame.pts * frame.time_base - self._begin) * self._rate)
        return min(due, self._latest)

    def _silence(self, count: int) -> Iterator[NDArray[np.float32]]:
        for start in range(0, count, self._rate):
            yield np.zeros((min(self._rate, count - start), len(self.description.channels)), np.float32)

    def _unit_samples(self, frame: Any) -> NDArray[np.float32]:
        """Samples ``[n, C]`` of a decoded frame."""
        name = self._opened.name
        if (frame.sample_rate, frame.layout.name, frame.format.name) != (self._rate, self._layout, self._format):
            raise InputError(
                f"the sound of {name} changes from {self._rate} Hz {self._layout} {self._format} to "
                f"{frame.sample_rate} Hz {frame.layout.name} {frame.format.name}; expected one format: convert it"
            )
        plain = _interleaved_name(frame)
        values = _values(frame, _DTYPES[plain])
        if plain not in _FULL_SCALE:
            if not np.isfinite(values).all():
                raise InputError(f"the sound of {name} holds NaN or infinite values; expected finite samples")
            return values.astype(np.float32)
        unit = values.astype(np.float64) / _FULL_SCALE[plain]
        return (unit - 1.0 if plain == "u8" else unit).astype(np.float32)


def _values(frame: Any, dtype: type[np.generic]) -> NDArray[np.generic]:
    """Values ``[n, C]`` of a decoded frame."""
    channel_count = frame.layout.nb_channels
    if not frame.format.is_planar:
        return np.frombuffer(frame.planes[0], dtype, frame.samples * channel_count).reshape(-1, channel_count)
    # PyAV may list a plane too many, whose memory is not there.
    return np.stack([np.frombuffer(plane, dtype, frame.samples) for plane in frame.planes[:channel_count]], axis=-1)


def _interleaved_name(frame: Any) -> str:
    """FFmpeg's name of the sample format, without the "p" of planar ones."""
    name: str = frame.format.name
    return name.removesuffix("p")
