"""The sound track of a video file that is being written."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from i2codec.signal.description import SampleFormat, SignalDescription
from i2codec.signal.sample_formats import to_source_samples

_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")  # by number of channels
_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_AAC_BITS_PER_CHANNEL = 128_000  # a second
_AAC_FRAME, _AAC_FRAME_BITS = 1024, 6144  # samples of a frame and the most bits for a channel of it
# Lossless codecs in MKV and the sample format that they take; FLAC has no floats and no full 32 bits.
_LOSSLESS = {
    SampleFormat.INT8: ("flac", "s16"),
    SampleFormat.INT16: ("flac", "s16"),
    SampleFormat.INT24: ("flac", "s32"),
    SampleFormat.INT32: ("pcm_s32le", "s32"),
}
_LOSSLESS_FLOAT = ("pcm_f32le", "flt")
_LEFT_SHIFTS = {SampleFormat.INT8: 8, SampleFormat.INT24: 8}  # into the container's wider integers


class SoundTrack:
    """Encodes sound into a stream of an open container: AAC in MP4, FLAC or PCM in MKV.

    AAC knows some sampling rates only; others are resampled to the next higher one.

    Parameters
    ----------
    container:
        An FFmpeg container that nothing was written to yet.
    description:
        The sound.
    lossless:
        Whether every bit is to be kept.
    """

    def __init__(self, container: Any, description: SignalDescription, *, lossless: bool) -> None:
        """Add the stream."""
        self._description, channel_count = description, len(description.channels)
        self._rate = int(1 / description.axes[0].step)
        self._layout = _LAYOUTS[channel_count - 1]
        codec, self._format = _LOSSLESS.get(description.sample_format, _LOSSLESS_FLOAT) if lossless else ("aac", "flt")
        rate = self._rate if lossless else _aac_rate(self._rate)
        self._stream = container.add_stream(codec, rate=rate)
        self._stream.codec_context.layout = self._layout
        self._stream.codec_context.time_base = Fraction(1, rate)
        if lossless:
            self._stream.codec_context.format = self._format
        else:
            most = _AAC_FRAME_BITS * rate // _AAC_FRAME
            self._stream.codec_context.bit_rate = min(_AAC_BITS_PER_CHANNEL, most) * channel_count
        self._written = 0

    def packets(self, samples: NDArray[np.float32]) -> list[Any]:
        """Packets that are ready after the next samples ``[n, C]``, −1..1."""
        if not len(samples):
            return []
        values: Any = self._values(samples).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(values, self._format, self._layout)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._written
        self._written += len(samples)
        packets: list[Any] = self._stream.encode(frame)
        return packets

    def rest(self) -> list[Any]:
        """The packets that are left at the end."""
        packets: list[Any] = self._stream.encode(None)
        return packets

    def _values(self, samples: NDArray[np.float32]) -> NDArray[np.generic]:
        if self._format == "flt":
            return np.ascontiguousarray(samples, np.float32)
        wide = np.int16 if self._format == "s16" else np.int32
        values: NDArray[np.signedinteger] = to_source_samples(samples, self._description).astype(wide)
        shifted: NDArray[np.generic] = np.left_shift(
            values, _LEFT_SHIFTS.get(self._description.sample_format, 0), dtype=wide
        )
        return shifted


def _aac_rate(rate: int) -> int:
    return next((known for known in _AAC_RATES if known >= rate), _AAC_RATES[-1])
