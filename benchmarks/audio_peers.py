"""The peers of ``audio_rd.py``: Opus, MP3 and AAC through PyAV, Vorbis and FLAC through libsndfile.

Each writes a file in its usual container. What it decodes to is brought back to the rate of the
source by soxr (Opus codes 48 kHz), moved by the lag at which both fit best, and scaled by the gain that fits
best, which cost a peer nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import correlate

Setting = Mapping[str, Any]
Samples = NDArray[np.float32]  # [n, C] in −1..1

_LARGEST_LAG = 4096
_OPUS_RATE = 48000


@dataclass(frozen=True)
class Sound:
    """A sound to be coded: ``samples`` [n, C] at ``rate_hz``."""

    name: str
    samples: Samples
    rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


class Codec(Protocol):
    """What ``audio_rd.py`` measures."""

    @property
    def name(self) -> str: ...

    @property
    def suffix(self) -> str: ...

    @property
    def versions(self) -> str: ...

    def settings(self) -> Sequence[Setting]: ...

    def encode(self, sound: Sound, path: Path, setting: Setting) -> None: ...

    def decode(self, path: Path, sound: Sound) -> Samples:
        """At the rate, length and place of the source."""


@dataclass(frozen=True)
class Ffmpeg:
    """An encoder of FFmpeg; ``rates`` in kbit/s are combined with each of ``variants``, options of the encoder."""

    name: str
    suffix: str
    encoder: str
    rates: tuple[int, ...]
    variants: tuple[Mapping[str, str], ...] = ({},)
    rate_hz: int | None = None

    @property
    def versions(self) -> str:
        return f"PyAV {av.__version__}, {self.encoder}"

    def settings(self) -> list[Setting]:
        return [{"kbps": rate, **variant} for variant in self.variants for rate in self.rates]

    def encode(self, sound: Sound, path: Path, setting: Setting) -> None:
        options = {name: value for name, value in setting.items() if name != "kbps"}
        rate_hz, layout = self.rate_hz or sound.rate_hz, "mono" if sound.samples.shape[1] == 1 else "stereo"
        samples = soxr.resample(sound.samples, sound.rate_hz, rate_hz, "VHQ")
        with av.open(str(path), "w") as container:
            stream = container.add_stream(self.encoder, rate=rate_hz, layout=layout, options=options)
            stream.bit_rate = 1000 * setting["kbps"]
            resampler = av.AudioResampler(stream.format, layout, rate_hz, frame_size=stream.codec_context.frame_size)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", layout)
            frame.sample_rate = rate_hz
            for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
                container.mux(stream.encode(piece))

    def decode(self, path: Path, sound: Sound) -> Samples:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray() for frame in _as_floats(container)]
            rate_hz = container.streams.audio[0].rate
        samples = np.concatenate(frames, axis=1).T
        return aligned(soxr.resample(samples, rate_hz, sound.rate_hz, "VHQ"), sound.samples)


def _as_floats(container: Any) -> Any:
    resampler = av.AudioResampler("fltp")
    for frame in container.decode(audio=0):
        yield from resampler.resample(frame)


@dataclass(frozen=True)
class Sndfile:
    """A format of libsndfile; ``levels`` are its compression levels, from 0, the largest file, to 1."""

    name: str
    suffix: str
    format: Mapping[str, str]
    levels: tuple[float, ...]
    versions: str = field(default=f"libsndfile {soundfile.__libsndfile_version__}")

    def settings(self) -> list[Setting]:
        return [{"level": level} for level in self.levels]

    def encode(self, sound: Sound, path: Path, setting: Setting) -> None:
        level = setting["level"]
        soundfile.write(path, sound.samples, sound.rate_hz, **self.format, compression_level=level)

    def decode(self, path: Path, sound: Sound) -> Samples:
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
        return aligned(samples, sound.samples)


def aligned(decoded: Samples, source: Samples) -> Samples:
    """``decoded`` moved and scaled to fit ``source`` best, of its length; zeros where there is nothing."""
    first, second = source.sum(axis=1), decoded.sum(axis=1)
    fit = correlate(second, first, mode="full", method="fft")
    middle = len(first) - 1
    near = slice(max(0, middle - _LARGEST_LAG), middle + _LARGEST_LAG + 1)
    lag = int(np.argmax(fit[near])) + near.start - middle
    moved = np.zeros_like(source)
    part = decoded[max(0, lag) : max(0, lag + len(source))]
    moved[max(0, -lag) : max(0, -lag) + len(part)] = part[: len(source) - max(0, -lag)]
    power = float(np.sum(moved.astype(np.float64) ** 2))
    gain = float(np.sum(moved.astype(np.float64) * source)) / power if power else 1.0
    return (gain * moved).astype(np.float32)


_RATES = (8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)
_OPUS = tuple({"application": use, "vbr": mode} for use in ("audio", "voip") for mode in ("on", "off"))

PEERS: tuple[Codec, ...] = (
    Ffmpeg("opus", ".opus", "libopus", _RATES, _OPUS, _OPUS_RATE),
    Ffmpeg("mp3", ".mp3", "libmp3lame", (16, *_RATES[5:])),
    Ffmpeg("aac", ".m4a", "aac", _RATES[2:]),
    Sndfile("vorbis", ".ogg", {"format": "OGG", "subtype": "VORBIS"}, tuple(number / 10 for number in range(11))),
    Sndfile("flac", ".flac", {"format": "FLAC", "subtype": "PCM_16"}, (1.0,)),
)
