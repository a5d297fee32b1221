"""Writing sounds: formats, exactness, lossy quality, tags, refusals."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import OutputError
from i2codec.media.sound import (
    SOUND_EXTENSIONS,
    SOUND_INPUT_EXTENSIONS,
    SoundWriter,
    check_sound_output,
    open_sound,
)
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.sample_formats import to_source_samples
from i2codec.signal.signal import MetadataKey

F = SampleFormat
BITS = {F.INT8: 8, F.INT16: 16, F.INT24: 24}
LOSSY = {".ogg", ".opus", ".mp3"}
TAGS = {
    "title": "Title é 日本" * 5,
    "copyright": "C",
    "artist": "Artist",
    "comment": "Comment ü",
    "date": "2024",
    "album": "Album",
    "license": "L",
    "tracknumber": "3",
    "genre": "Rock",
}


def describe(length: int, channels: int = 1, sample_format: F = F.INT16, *, rate: Fraction | int = 48000) -> Any:
    axes = (Axis(AxisName.TIME, length, 1 / Fraction(rate)),)
    return SignalDescription(Kind.SOUND, axes, (ChannelRole.SOUND,) * channels, sample_format)


def written(
    samples: np.ndarray, description: SignalDescription, extension: str, *, tags: bytes = b"", piece: int = 10**6
) -> bytes:
    stream = io.BytesIO()
    metadata = {MetadataKey.TAGS: tags} if tags else {}
    writer = SoundWriter(stream, description, extension=extension, metadata=metadata)
    for start in range(0, len(samples), piece):
        writer.write(samples[start : start + piece])
    writer.close()
    assert stream.tell() == len(stream.getvalue())  # open, and at its end
    return stream.getvalue()


def tone(length: int = 30000, channels: int = 2, rate: int = 48000) -> np.ndarray:
    angles = 2 * np.pi * np.arange(length)[:, None] / rate * (330 * np.arange(1, channels + 1))
    return (0.4 * np.sin(angles)).astype(np.float32)


@given(
    extension=st.sampled_from([".wav", ".flac", ".aif", ".AIFF"]),
    sample_format=st.sampled_from(list(BITS)),
    length=st.integers(1, 3000),
    channels=st.integers(1, 8),
    rate=st.sampled_from([1, 8000, 44100, 65535, 192000, 384000]),
    piece=st.integers(1, 3000),
    seed=st.integers(0, 2**32 - 1),
)
def test_integers_come_back(
    extension: str, sample_format: F, length: int, channels: int, rate: int, piece: int, seed: int
) -> None:
    half = 2 ** (BITS[sample_format] - 1)
    values = np.random.default_rng(seed).integers(-half, half, (length, channels), dtype=np.int32)
    description = describe(length, channels, sample_format, rate=rate)
    data = written(values.astype(np.float32) / half, description, extension, piece=max(piece, length // 20))
    reader = open_sound(data, keep_metadata=False)
    assert replace(reader.description, source=description.source) == description
    np.testing.assert_array_equal(to_source_samples(reader.read(length + 1), reader.description), values)


@pytest.mark.parametrize("sample_format", [F.FLOAT32, F.FLOAT64])
@pytest.mark.parametrize("extension", [".wav", ".aif"])
def test_floats_come_back(extension: str, sample_format: F, rng: np.random.Generator) -> None:
    samples = rng.normal(size=(3000, 3)).astype(np.float32) * 5
    reader = open_sound(written(samples, describe(3000, 3, sample_format), extension), keep_metadata=False)
    assert reader.description.sample_format is sample_format
    np.testing.assert_array_equal(reader.read(3000), samples)


@pytest.mark.parametrize(
    ("extension", "sample_format", "subtype"),
    [
        (".wav", F.INT8, "PCM_U8"),
        (".wav", F.INT32, "PCM_32"),
        (".wav", F.FLOAT16, "FLOAT"),
        (".aif", F.INT8, "PCM_S8"),
        (".aif", F.INT32, "PCM_32"),
        (".flac", F.INT8, "PCM_S8"),
        (".flac", F.INT32, "PCM_24"),
        (".flac", F.FLOAT32, "PCM_24"),
        (".flac", F.FLOAT64, "PCM_24"),
        (".ogg", F.INT16, "VORBIS"),
        (".opus", F.INT16, "OPUS"),
        (".mp3", F.INT16, "MPEG_LAYER_III"),
    ],
)
def test_number_formats_in_the_file(extension: str, sample_format: F, subtype: str) -> None:
    data = written(tone(), describe(30000, 2, sample_format), extension)
    assert soundfile.info(io.BytesIO(data)).subtype == subtype


@pytest.mark.parametrize("extension", [".wav", ".flac", ".aif"])
def test_samples_beyond_full_scale_are_clipped(extension: str) -> None:
    samples = np.array([[-1.5], [-1.0], [0.99999], [1.0], [7.0]], np.float32)
    reader = open_sound(written(samples, describe(5), extension), keep_metadata=False)
    values = to_source_samples(reader.read(5), reader.description)[:, 0].tolist()
    assert values == [-32768, -32768, 32767, 32767, 32767]


def test_floats_in_flac_keep_twenty_four_bits(rng: np.random.Generator) -> None:
    samples = rng.uniform(-1, 1, (3000, 2)).astype(np.float32)
    reader = open_sound(written(samples, describe(3000, 2, F.FLOAT32), ".flac"), keep_metadata=False)
    assert np.abs(reader.read(3000) - samples).max() <= 2.0**-23


@pytest.mark.parametrize(("extension", "least_db"), [(".ogg", 30), (".opus", 25), (".mp3", 30)])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_files_are_close(extension: str, least_db: float, channels: int) -> None:
    samples = tone(channels=channels)
    reader = open_sound(written(samples, describe(30000, channels), extension, piece=777), keep_metadata=False)
    decoded = reader.read(40000)
    assert decoded.shape == samples.shape  # the delay of the encoder is gone
    noise_power = np.mean((decoded - samples)[1000:-1000] ** 2)
    assert 10 * np.log10(np.mean(samples**2) / noise_power) > least_db


@pytest.mark.parametrize("extension", [".ogg", ".opus"])
@pytest.mark.parametrize("channels", range(1, 9))
def test_lossy_channels_keep_their_order(extension: str, channels: int) -> None:
    # low enough for the channel of low frequencies
    samples = tone(channels=channels, rate=48000 * 20)
    decoded = open_sound(written(samples, describe(30000, channels), extension), keep_metadata=False).read(40000)
    assert np.abs(decoded - samples)[2000:-2000].max() < 0.15


@pytest.mark.parametrize("extension", [".ogg", ".opus"])
@pytest.mark.parametrize("channels", range(1, 8))  # PyAV crashes on arrays of eight planes
def test_other_programs_see_the_channels_in_their_place(extension: str, channels: int) -> None:
    samples = tone(channels=channels, rate=48000 * 20)
    with av.open(io.BytesIO(written(samples, describe(30000, channels), extension))) as container:
        planes = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert np.abs(planes.T[2000:28000] - samples[2000:28000]).max() < 0.15


def test_a_long_wav_becomes_rf64() -> None:
    data = written(tone(), describe(2**31, 2), ".wav")
    assert data.startswith(b"RF64")
    np.testing.assert_allclose(open_sound(data, keep_metadata=False).read(30000), tone(), atol=2e-5)
    assert written(tone(), describe(30000, 2), ".wav").startswith(b"RIFF")


@pytest.mark.parametrize("length", [1000, 1001])
def test_an_aiff_of_odd_length_announces_it(length: int) -> None:
    data = written(tone(length, 1), describe(length, 1, F.INT8), ".aif")
    assert data[data.index(b"COMM") + 10 :][:4] == length.to_bytes(4, "big")
    assert data[data.index(b"SSND") + 4 :][:4] == (8 + length).to_bytes(4, "big")
    assert len(data) == 54 + length + length % 2


@pytest.mark.parametrize("extension", SOUND_EXTENSIONS)
def test_writing_starts_where_the_stream_stands(extension: str) -> None:
    stream = io.BytesIO(b"before")
    stream.seek(6)
    writer = SoundWriter(stream, describe(3000, 2), extension=extension, metadata={})
    writer.write(tone(3000))
    writer.close()
    writer.close()  # a second time does nothing
    data = stream.getvalue()
    assert data.startswith(b"before")
    assert len(open_sound(data[6:], keep_metadata=False).read(10000)) == 3000


def test_writing_goes_to_real_files(tmp_path: Path) -> None:
    path = tmp_path / "sound.part"
    with path.open("x+b") as stream:
        writer = SoundWriter(stream, describe(3000, 2), extension=".flac", metadata={})
        writer.write(tone(3000))
        writer.close()
        assert not stream.closed
    reader = open_sound(path, keep_metadata=False)
    assert reader.description.extents == (3000,)
    reader.close()


# ---- tags ----


@pytest.mark.parametrize(
    ("extension", "left_out"),
    [
        (".wav", {"license"}),
        (".flac", set()),
        (".ogg", set()),
        (".opus", set()),
        (".mp3", {"license"}),
        (".aif", {"date", "album", "license", "tracknumber", "genre"}),
    ],
)
def test_tags_come_back(extension: str, left_out: set[str]) -> None:
    block = json.dumps(TAGS).encode()
    data = written(tone(3000), describe(3000, 2), extension, tags=block)
    kept = json.loads(open_sound(data, keep_metadata=True).metadata[MetadataKey.TAGS])
    assert kept == {name: text for name, text in TAGS.items() if name not in left_out}


@pytest.mark.parametrize("extension", SOUND_EXTENSIONS)
def test_long_tags_are_cut_and_harm_no_file(extension: str) -> None:
    block = json.dumps(dict.fromkeys(TAGS, "日" * 50_000)).encode()
    reader = open_sound(written(tone(3000), describe(3000, 2), extension, tags=block), keep_metadata=True)
    title = json.loads(reader.metadata[MetadataKey.TAGS])["title"]
    assert len(title) >= 600
    assert set(title) == {"日"}
    assert len(reader.read(10000)) == 3000


@pytest.mark.parametrize("extension", SOUND_EXTENSIONS)
@pytest.mark.parametrize(
    "block",
    [
        b"\xff\xfe",
        b"not JSON",
        b"[" * 100_000,
        b'["title"]',
        b'"title"',
        b"1" * 5000,
        b'{"title": 3, "artist": null, "album": {}, "samplerate": "5", "__class__": "x", "name": "y"}',
    ],
)
def test_damaged_tags_are_left_out(extension: str, block: bytes) -> None:
    data = written(tone(3000), describe(3000, 2), extension, tags=block)
    assert open_sound(data, keep_metadata=True).metadata == {}


@pytest.mark.parametrize("extension", SOUND_EXTENSIONS)
def test_odd_characters_in_tags(extension: str) -> None:
    data = written(tone(3000), describe(3000, 2), extension, tags=b'{"title": "a\\u0000b\\ud800c", "artist": ""}')
    reader = open_sound(data, keep_metadata=True)
    assert json.loads(reader.metadata[MetadataKey.TAGS]) == {"title": "a b?c"}


# ---- refusals ----


@pytest.mark.parametrize("extension", ["", ".png", ".wma"])
def test_unknown_extension(extension: str) -> None:
    with pytest.raises(OutputError, match=r"cannot write a sound as .*; use \.wav \.flac \.ogg"):
        check_sound_output(extension, describe(10))


def refused(extension: str, description: SignalDescription) -> str:
    with pytest.raises(OutputError) as caught:
        check_sound_output(extension, description)
    with pytest.raises(OutputError) as again:
        SoundWriter(io.BytesIO(), description, extension=extension, metadata={})
    assert str(again.value) == str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("extension", "rate", "message"),
    [
        (
            ".mp3",
            96000,
            "an MP3 file holds rates of 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000 Hz; "
            "the sound has 96000 Hz: use --rate or write .wav",
        ),
        (".opus", 44100, "an Opus file holds rates of 8000, 12000, 16000, 24000, 48000 Hz; the sound has 44100 Hz"),
        (".ogg", 200001, "an Ogg Vorbis file holds rates of 1 to 200000 Hz; the sound has 200001 Hz: use --rate"),
        (".flac", 65536, "a FLAC file holds rates of 1 to 65535 Hz and multiples of 10 up to 655350 Hz; the sound"),
        (".flac", 65541, "the sound has 65541 Hz: use --rate or write .wav"),
        (".flac", 655360, "the sound has 655360 Hz: use --rate or write .wav"),
        (".wav", 10_000_001, "a WAV file holds rates of 1 to 10000000 Hz; the sound has 10000001 Hz: use --rate"),
        (".wav", Fraction(44101, 2), "a WAV file holds whole rates; the sound has 22050.5 Hz: use --rate"),
    ],
)
def test_rates_that_the_format_does_not_hold(extension: str, rate: Fraction | int, message: str) -> None:
    assert message in refused(extension, describe(10, rate=rate))


@pytest.mark.parametrize(
    ("extension", "rate"), [(".flac", 65540), (".flac", 655350), (".ogg", 200000), (".ogg", 1), (".mp3", 8000)]
)
def test_rates_at_the_limits_can_be_written(extension: str, rate: int) -> None:
    data = written(tone(3000, 1), describe(3000, rate=rate), extension)
    assert open_sound(data, keep_metadata=False).description.axes[0].step == Fraction(1, rate)


def test_channels_that_the_format_does_not_hold() -> None:
    message = "an MP3 file is written with at most 2 channels; the sound has 3: write .wav"
    assert refused(".mp3", describe(10, 3)) == message
    assert "at most 8 channels; the sound has 9: mix it down" in refused(".wav", describe(10, 9))


def test_a_long_aiff_is_refused() -> None:
    message = "an AIFF file holds less than 4 GiB; the sound takes 8.0 GiB: write .wav"
    assert refused(".aiff", describe(2**31, 2)) == message


def test_an_old_libsndfile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "check_format", lambda container, subtype: container != "MP3")
    check_sound_output(".wav", describe(10))
    assert "cannot write an MP3 file; install a newer one or write .wav" in refused(".mp3", describe(10))


class FullDisk(io.BytesIO):
    room = 20_000

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("extension", SOUND_EXTENSIONS)
@pytest.mark.parametrize("room", [0, 20_000])
def test_a_full_disk_is_told(extension: str, room: int, rng: np.random.Generator) -> None:
    def write() -> None:
        stream = FullDisk()
        stream.room = room
        writer = SoundWriter(stream, describe(10**5, 2), extension=extension, metadata={})
        writer.write(rng.uniform(-0.5, 0.5, (10**5, 2)).astype(np.float32))
        writer.close()

    with pytest.raises(OutputError, match=r"file cannot be written \(No space left on device\); check the disk"):
        write()


def test_a_short_write_is_told() -> None:
    class Stubborn(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(data) if self.tell() < 1000 else 0

    writer = SoundWriter(Stubborn(), describe(10**5), extension=".wav", metadata={})
    with pytest.raises(OutputError, match="a WAV file cannot be written"):
        writer.write(tone(10**5, 1))


def test_interruption_comes_through() -> None:
    class Interrupted(io.BytesIO):
        def write(self, data: Any) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SoundWriter(Interrupted(), describe(10), extension=".wav", metadata={}).write(tone(10, 1))


def test_extensions() -> None:
    assert set(SOUND_EXTENSIONS) <= SOUND_INPUT_EXTENSIONS


def test_nothing_is_printed() -> None:
    code = (
        "import io, numpy as np\n"
        "from fractions import Fraction\n"
        "from i2codec.media.sound import SOUND_EXTENSIONS, SoundWriter, open_sound\n"
        "from i2codec.signal.description import *\n"
        "axes = (Axis(AxisName.TIME, 9000, Fraction(1, 48000)),)\n"
        "sound = SignalDescription(Kind.SOUND, axes, (ChannelRole.SOUND,), SampleFormat.INT16)\n"
        "for extension in SOUND_EXTENSIONS:\n"
        "    stream = io.BytesIO()\n"
        "    writer = SoundWriter(stream, sound, extension=extension, metadata={})\n"
        "    writer.write(np.zeros((9000, 1), np.float32))\n"
        "    writer.close()\n"
        "    assert len(open_sound(stream.getvalue(), keep_metadata=True).read(10000)) == 9000\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout, done.stderr) == ("", "")
