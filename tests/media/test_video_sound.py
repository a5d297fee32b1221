"""Sound tracks of videos: read and written in step with the pictures."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from i2codec.errors import InputError
from i2codec.media.video import VideoWriter, open_video, open_video_sound
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    Kind,
    SampleFormat,
    SignalDescription,
    SourceContainer,
)
from i2codec.signal.sample_formats import to_source_samples

STEP = Fraction(1, 25)
FRAMES = 50
RATE = 48000
LAYOUTS = ["mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1"]
VIDEO = SignalDescription(
    Kind.VIDEO,
    (Axis(AxisName.TIME, FRAMES, STEP), Axis(AxisName.Y, 16), Axis(AxisName.X, 16)),
    (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE),
    SampleFormat.UINT8,
)


def described(
    *, channels: int = 1, rate: int = RATE, sample_format: SampleFormat = SampleFormat.INT16, length: int | None = None
) -> SignalDescription:
    axis = Axis(AxisName.TIME, length or 2 * rate, Fraction(1, rate))
    return SignalDescription(Kind.SOUND, (axis,), (ChannelRole.SOUND,) * channels, sample_format)


def tone(channels: int, rate: int = RATE, *, onset: float = 0.5, seconds: float = 2.0) -> np.ndarray:
    """Silence up to `onset`, then a tone of its own pitch and loudness in each channel."""
    time = np.arange(round(seconds * rate)) / rate
    waves = [(0.8 - 0.08 * k) * np.sin(2 * np.pi * (300 + 170 * k) * time) for k in range(channels)]
    return (np.stack(waves, axis=-1) * (time >= onset)[:, None]).astype(np.float32)


def written(extension: str, samples: np.ndarray, sound: SignalDescription) -> bytes:
    stream = io.BytesIO()
    rate = int(1 / sound.axes[0].step)
    with VideoWriter(stream, VIDEO, extension=extension, timestamps=None, sound=sound, metadata={}) as writer:
        for index in range(FRAMES):
            writer.write(np.full((1, 16, 16, 3), index / FRAMES, np.float32))
            writer.write_sound(samples[round(index * STEP * rate) : round((index + 1) * STEP * rate)])
        writer.write_sound(samples[round(FRAMES * STEP * rate) :])
    return stream.getvalue()


def read_back(data: bytes | Path) -> tuple[SignalDescription, np.ndarray]:
    reader = open_video_sound(data)
    assert reader is not None
    pieces = [reader.read(700)]
    while len(pieces[-1]) == 700:
        pieces.append(reader.read(700))
    assert len(reader.read(5)) == 0
    assert reader.lost() is None
    assert reader.timestamps() is None
    assert reader.metadata == {}
    reader.close()
    return reader.description, np.concatenate(pieces)


def onset_of(samples: np.ndarray, rate: int = RATE) -> float:
    return float(np.argmax(np.abs(samples[:, 0]) > 0.1) / rate)


@pytest.mark.parametrize(
    "sample_format",
    [SampleFormat.INT16, SampleFormat.INT24, SampleFormat.INT32, SampleFormat.FLOAT32, SampleFormat.INT8],
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_mkv_keeps_every_bit_of_the_sound(sample_format: SampleFormat, channels: int) -> None:
    sound = described(channels=channels, sample_format=sample_format)
    samples = tone(channels)
    description, decoded = read_back(written(".mkv", samples, sound))
    assert description.kind is Kind.SOUND
    assert description.channels == sound.channels
    assert description.axes == sound.axes
    assert description.source is SourceContainer.MATROSKA
    assert len(decoded) == len(samples)
    np.testing.assert_array_equal(to_source_samples(decoded, sound), to_source_samples(samples, sound))


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_keep_their_order(channels: int) -> None:
    samples = tone(channels, onset=0.0)
    for extension in (".mp4", ".mkv"):
        _, decoded = read_back(written(extension, samples, described(channels=channels)))
        assert decoded.shape[1] == channels
        spectrum = np.abs(np.fft.rfft(decoded[RATE // 2 : RATE // 2 + RATE], axis=0))
        pitches = [300 + 170 * k for k in range(channels)]
        if channels >= 6 and extension == ".mp4":  # AAC passes only low tones in the bass channel
            spectrum, pitches = np.delete(spectrum, 3, axis=1), [*pitches[:3], *pitches[4:]]
        assert spectrum.argmax(axis=0).tolist() == pitches


@pytest.mark.parametrize(
    ("rate", "kept"), [(48000, 48000), (44100, 44100), (8000, 8000), (37000, 44100), (192000, 96000)]
)
def test_aac_in_mp4_is_in_step(rate: int, kept: int) -> None:
    samples = tone(2, rate)
    description, decoded = read_back(written(".mp4", samples, described(channels=2, rate=rate)))
    assert description.axes[0].step == Fraction(1, kept)
    assert description.sample_format is SampleFormat.FLOAT32
    assert 2 * kept - 0.003 * kept < len(decoded) < 2.003 * kept + 1024  # whole AAC frames
    assert abs(description.axes[0].extent - len(decoded)) <= 1024
    assert onset_of(decoded, kept) == pytest.approx(0.5, abs=0.003)
    if kept == rate:
        later = slice(round(0.6 * rate), round(1.9 * rate))
        assert np.abs(decoded[later] - samples[later]).mean() < 0.01


def test_pictures_are_the_same_beside_sound() -> None:
    for extension in (".mp4", ".mkv"):
        reader = open_video(written(extension, tone(1), described()), keep_metadata=False)
        assert reader.has_sound
        assert reader.description.axes[0] == VIDEO.axes[0]
        frames = reader.read(100)
        np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), np.arange(FRAMES) / FRAMES, atol=0.02)
        assert reader.lost() is None
        reader.close()


def test_sound_and_pictures_are_interleaved() -> None:
    with av.open(io.BytesIO(written(".mp4", tone(2), described(channels=2)))) as container:
        kinds = [(packet.stream.type, packet.pos) for packet in container.demux() if packet.size]
    positions = {kind: [position for name, position in kinds if name == kind] for kind in ("audio", "video")}
    assert min(positions["audio"]) < np.median(positions["video"]) < max(positions["audio"])


def muxed(*, video_start: int, sound_start: int, gap: int = 0, samples: np.ndarray | None = None) -> bytes:
    """A Matroska file of 2 s: pictures and sound begin at the given milliseconds; a gap in the sound after 1 s."""
    samples = tone(1, 8000) if samples is None else samples
    stream = io.BytesIO()
    container = av.open(stream, "w", format="matroska")
    video: Any = container.add_stream("ffv1", rate=25)
    video.width, video.height, video.pix_fmt = 16, 16, "gray"
    video.codec_context.time_base = Fraction(1, 1000)
    sound: Any = container.add_stream("pcm_s16le", rate=8000)
    sound.codec_context.layout = "mono"
    packets: list[Any] = []
    for index in range(FRAMES):
        frame = av.VideoFrame(16, 16, "gray")
        frame.pts, frame.time_base = video_start + 40 * index, Fraction(1, 1000)
        packets += video.encode(frame)
    form = sound.codec_context.format.name
    for index in range(0, len(samples), 800):
        values = np.rint(samples[index : index + 800] * 32767).astype(np.int16)
        audio = av.AudioFrame.from_ndarray(values.reshape(1, -1), form, "mono")
        audio.sample_rate, audio.time_base = 8000, Fraction(1, 8000)
        audio.pts = sound_start * 8 + index + (gap * 8 if index >= 8000 else 0)
        packets += sound.encode(audio)
    for packet in sorted(packets, key=lambda packet: packet.pts * packet.time_base):
        container.mux(packet)
    container.close()
    return stream.getvalue()


@pytest.mark.parametrize(
    ("video_start", "sound_start", "onset"), [(0, 0, 0.5), (0, 300, 0.8), (300, 0, 0.2), (400, 500, 0.6), (0, 1, 0.501)]
)
def test_sound_begins_with_the_first_frame(video_start: int, sound_start: int, onset: float) -> None:
    description, samples = read_back(muxed(video_start=video_start, sound_start=sound_start))
    expected = 16000 + (sound_start - video_start) * 8
    assert len(samples) == description.axes[0].extent == expected
    assert onset_of(samples, 8000) == pytest.approx(onset, abs=0.001)
    lead = (sound_start - video_start) * 8
    values = np.rint(tone(1, 8000) * 32767) / 32768
    np.testing.assert_array_equal(samples[max(lead, 0) :], values[max(-lead, 0) :])
    assert not samples[: max(lead, 0)].any()


def test_gap_in_the_sound_becomes_silence() -> None:
    _, samples = read_back(muxed(video_start=0, sound_start=0, gap=250))
    assert len(samples) == 18000
    assert not samples[8000:10000].any()
    assert np.abs(samples[10000:10100]).max() > 0.5


def test_sound_that_never_comes_into_view_adds_no_endless_silence() -> None:
    _, samples = read_back(muxed(video_start=0, sound_start=3_600_000, samples=tone(1, 8000, onset=0)))
    assert len(samples) == 2 * 16000  # the length of the pictures, then the sound
    _, samples = read_back(muxed(video_start=0, sound_start=0, gap=3_600_000))
    assert len(samples) <= 2 * 16000


def test_sixteen_bits_as_decoded() -> None:
    assert read_back(muxed(video_start=0, sound_start=0))[0].sample_format is SampleFormat.INT16


def test_unsigned_bytes_are_centred() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="avi") as container:
        video: Any = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 16, 16, "gray"
        sound: Any = container.add_stream("pcm_u8", rate=8000)
        sound.codec_context.layout = "mono"
        values = np.array([[0, 128, 255, 64] * 80], np.uint8)
        audio = av.AudioFrame.from_ndarray(values, "u8", "mono")
        audio.sample_rate, audio.pts, audio.time_base = 8000, 0, Fraction(1, 8000)
        for packet in [*video.encode(av.VideoFrame(16, 16, "gray")), *sound.encode(audio), *video.encode(None)]:
            container.mux(packet)
    description, samples = read_back(stream.getvalue())
    assert description.sample_format is SampleFormat.INT8
    np.testing.assert_array_equal(samples[:4, 0], [-1, 0, 127 / 128, -0.5])


def test_no_sound_track() -> None:
    stream = io.BytesIO()
    with VideoWriter(stream, VIDEO, extension=".mp4", timestamps=None, sound=None, metadata={}) as writer:
        writer.write(np.zeros((2, 16, 16, 3), np.float32))
        writer.write_sound(np.zeros((10, 1), np.float32))  # ignored
    assert open_video_sound(stream.getvalue()) is None


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_video_sound(tmp_path / "no.mp4")
    with pytest.raises(InputError, match="not a readable video"):
        open_video_sound(b"hello " * 100)


def test_damaged_sound_is_told() -> None:
    data = bytearray(written(".mkv", tone(1), described()))
    with av.open(io.BytesIO(bytes(data))) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    for position, size in places[8:10]:
        at = data.index(b"\xff\xf8", position)  # the mark of a FLAC frame
        data[at : at + size - 20] = bytes(size - 20)
    reader = open_video_sound(bytes(data))
    assert reader is not None
    length = len(reader.read(10**6))
    assert reader.lost() == "2 packets of the sound could not be decoded"
    assert length == 2 * RATE  # what is missing became silence
    reader.close()


def test_pieces_of_any_length_give_the_same_sound() -> None:
    data = muxed(video_start=0, sound_start=300)
    whole = read_back(data)[1]
    reader = open_video_sound(data)
    assert reader is not None
    pieces = [reader.read(count) for count in (0, 1, 5000, 3, 0, 100_000)]
    assert [len(piece) for piece in pieces] == [0, 1, 5000, 3, 0, len(whole) - 5004]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    reader.close()
