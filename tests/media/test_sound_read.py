"""Reading sound files: formats, exactness, pieces, tags."""

from __future__ import annotations

import io
import json
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from i2codec.media.sound import MAX_SOUND_CHANNELS, SoundReader, open_sound
from i2codec.signal.description import AxisName, ChannelRole, Kind, SampleFormat, SourceContainer
from i2codec.signal.sample_formats import to_source_samples
from i2codec.signal.signal import MetadataKey
from i2codec.signal.stream import SignalReader

F, S = SampleFormat, SourceContainer
PCM_FILES = {
    ("WAV", "PCM_U8"): (F.INT8, S.WAV),
    ("WAV", "PCM_16"): (F.INT16, S.WAV),
    ("WAV", "PCM_24"): (F.INT24, S.WAV),
    ("WAVEX", "PCM_24"): (F.INT24, S.WAV),
    ("RF64", "PCM_16"): (F.INT16, S.WAV),
    ("W64", "PCM_16"): (F.INT16, S.WAV),
    ("FLAC", "PCM_S8"): (F.INT8, S.FLAC),
    ("FLAC", "PCM_16"): (F.INT16, S.FLAC),
    ("FLAC", "PCM_24"): (F.INT24, S.FLAC),
    ("AIFF", "PCM_S8"): (F.INT8, S.AIFF),
    ("AIFF", "PCM_U8"): (F.INT8, S.AIFF),
    ("AIFF", "PCM_16"): (F.INT16, S.AIFF),
    ("AIFF", "PCM_24"): (F.INT24, S.AIFF),
    ("AU", "PCM_16"): (F.INT16, S.OTHER),
    ("CAF", "ALAC_16"): (F.INT16, S.OTHER),
}
BITS = {F.INT8: 8, F.INT16: 16, F.INT24: 24, F.INT32: 32}


def sound_file(values: np.ndarray, container: str, subtype: str, *, rate: int = 44100, **tags: str) -> bytes:
    stream = io.BytesIO()
    channel_count = values.shape[1]
    with soundfile.SoundFile(stream, "w", rate, channel_count, format=container, subtype=subtype) as file:
        for name, text in tags.items():
            setattr(file, name, text)
        for start in range(0, len(values), 4096):
            file.write(values[start : start + 4096])
    return stream.getvalue()


def read_all(reader: SoundReader, piece: int = 1000) -> np.ndarray:
    pieces = []
    while len(samples := reader.read(piece)):
        assert samples.dtype == np.float32
        pieces.append(samples)
    return np.concatenate(pieces)


def tone(count: int = 20000, rate: int = 44100, channels: int = 2) -> np.ndarray:
    angles = 2 * np.pi * np.arange(count)[:, None] / rate * (440 * np.arange(1, channels + 1))
    return (0.5 * np.sin(angles)).astype(np.float32)


@pytest.mark.parametrize(("container", "subtype"), PCM_FILES)
@pytest.mark.parametrize("channels", [1, 2, MAX_SOUND_CHANNELS])
def test_integers_are_exact(container: str, subtype: str, channels: int, rng: np.random.Generator) -> None:
    sample_format, source = PCM_FILES[container, subtype]
    bits = BITS[sample_format]
    values = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (3000, channels), dtype=np.int32)
    values[:2] = [[-(2 ** (bits - 1))], [2 ** (bits - 1) - 1]]
    reader = open_sound(sound_file(values << (32 - bits), container, subtype, rate=48000), keep_metadata=False)
    description = reader.description
    assert (description.kind, description.sample_format, description.source) == (Kind.SOUND, sample_format, source)
    assert [(axis.name, axis.extent, axis.step) for axis in description.axes] == [
        (AxisName.TIME, 3000, Fraction(1, 48000))
    ]
    assert description.channels == (ChannelRole.SOUND,) * channels
    samples = read_all(reader)
    np.testing.assert_array_equal(samples.astype(np.float64) * 2 ** (bits - 1), values)
    np.testing.assert_array_equal(to_source_samples(samples, description), values)
    assert reader.lost() is None


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF"])
def test_every_sixteen_bit_value_comes_back(container: str) -> None:
    values = np.arange(-(2**15), 2**15, dtype=np.int16)[:, None]
    reader = open_sound(sound_file(values, container, "PCM_16"), keep_metadata=False)
    np.testing.assert_array_equal(to_source_samples(read_all(reader), reader.description), values)


@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_thirty_two_bits_keep_the_upper_twenty_four(container: str, rng: np.random.Generator) -> None:
    values = rng.integers(-(2**31), 2**31, (3000, 1), dtype=np.int32)
    reader = open_sound(sound_file(values, container, "PCM_32"), keep_metadata=False)
    assert reader.description.sample_format is F.INT32
    back = to_source_samples(read_all(reader), reader.description).astype(np.int64)
    assert np.abs(back - values).max() <= 2**7


@pytest.mark.parametrize("container", ["WAV", "AIFF"])
@pytest.mark.parametrize(("subtype", "sample_format"), [("FLOAT", F.FLOAT32), ("DOUBLE", F.FLOAT64)])
def test_floats_stay_as_they_are(container: str, subtype: str, sample_format: F, rng: np.random.Generator) -> None:
    values = (rng.normal(size=(3000, 2)) * 10).astype(np.float32)  # far over full scale
    reader = open_sound(sound_file(values, container, subtype), keep_metadata=False)
    assert reader.description.sample_format is sample_format
    np.testing.assert_array_equal(read_all(reader), values)


@pytest.mark.parametrize(
    ("container", "subtype", "rate", "source"),
    [
        ("OGG", "VORBIS", 44100, S.OGG),
        ("OGG", "OPUS", 48000, S.OGG),
        ("MP3", "MPEG_LAYER_III", 44100, S.MP3),
        ("MP3", "MPEG_LAYER_III", 8000, S.MP3),
    ],
)
def test_lossy_files_hold_floats(container: str, subtype: str, rate: int, source: S) -> None:
    reader = open_sound(sound_file(tone(rate=rate), container, subtype, rate=rate), keep_metadata=False)
    description = reader.description
    assert (description.sample_format, description.source, description.extents) == (F.FLOAT32, source, (20000,))
    assert description.axes[0].step == Fraction(1, rate)
    samples = read_all(reader)
    assert samples.shape == (20000, 2)
    assert np.sqrt(np.mean((samples - tone(rate=rate)) ** 2)) < 0.05
    assert reader.lost() is None


@pytest.mark.parametrize("subtype", ["ULAW", "IMA_ADPCM"])
def test_telephone_codecs_decode_to_sixteen_bits(subtype: str) -> None:
    reader = open_sound(sound_file(tone(channels=1), "WAV", subtype), keep_metadata=False)
    assert reader.description.sample_format is F.INT16
    assert np.abs(read_all(reader)[1000:20000] - tone(channels=1)[1000:]).max() < 0.1  # once it has adapted
    assert reader.lost() is None


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")],
)
def test_pieces_of_any_size_give_the_same_samples(container: str, subtype: str) -> None:
    data = sound_file(tone(rate=48000), container, subtype, rate=48000)
    whole = open_sound(data, keep_metadata=False).read(10**6)
    assert len(whole) == 20000
    for piece in (37, 1024, 1500):
        np.testing.assert_array_equal(read_all(open_sound(data, keep_metadata=False), piece), whole)
    np.testing.assert_allclose(whole, soundfile.read(io.BytesIO(data), dtype="float32")[0], atol=1e-6)


def test_a_path_reads_like_its_bytes_and_content_decides(tmp_path: Path) -> None:
    data = sound_file(tone(), "FLAC", "PCM_16")
    for name in ("sound.flac", "sound.wav", "sound.raw", "sound"):  # soundfile itself trips over .raw
        path = tmp_path / name
        path.write_bytes(data)
        reader = open_sound(path, keep_metadata=True)
        assert reader.description.source is S.FLAC
        np.testing.assert_array_equal(read_all(reader), read_all(open_sound(data, keep_metadata=True)))
        reader.close()
        reader.close()  # a second time does nothing


def test_a_reader_is_a_signal_reader() -> None:
    reader: SignalReader = open_sound(sound_file(tone(), "WAV", "PCM_16"), keep_metadata=True)
    assert reader.timestamps() is None
    assert reader.metadata == {}
    assert reader.read(0).shape == (0, 2)
    assert reader.read(3).shape == (3, 2)
    assert reader.lost() is None  # it is not at the end
    assert len(reader.read(10**6)) == 19997
    assert reader.read(5).shape == (0, 2)


def test_a_wav_written_to_a_pipe_does_not_know_its_size() -> None:
    data = sound_file(tone(), "WAV", "PCM_16")
    start = data.index(b"data") + 4
    for size in (0x7FFFF000, 0xFFFFFFFF):
        piped = data[:start] + struct.pack("<I", size) + data[start + 4 :]
        reader = open_sound(piped, keep_metadata=False)
        assert reader.description.extents == (20000,)
        assert len(read_all(reader)) == 20000
        assert reader.lost() is None


def test_a_flac_that_announces_no_length_is_counted() -> None:
    whole = sound_file(tone(), "FLAC", "PCM_16")
    data = bytearray(whole)
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # 36 bits of STREAMINFO
    reader = open_sound(bytes(data), keep_metadata=False)
    assert reader.description.extents == (20000,)
    np.testing.assert_array_equal(read_all(reader), read_all(open_sound(whole, keep_metadata=False)))
    assert reader.lost() is None


def headless_mp3() -> bytes:
    """Loud at first and then silent, without the frame that holds the length: libsndfile's estimate is far off."""
    values = np.zeros((200000, 2), np.float32)
    values[:20000] = np.random.default_rng(5).normal(size=(20000, 2)) * 0.3
    data = sound_file(values, "MP3", "MPEG_LAYER_III")
    second_frame = data.index(data[:2], 100)
    assert b"Xing" in data[:second_frame]
    return data[second_frame:]


@pytest.mark.parametrize("trailer", [b"", b"TAG" + b"Title".ljust(125, b"\0")])
@pytest.mark.parametrize("leader", [b"", b"ID3\4\0\0\0\0\0\x0a" + bytes(10)])
def test_an_mp3_without_a_length_is_read_to_its_end(leader: bytes, trailer: bytes) -> None:
    data = leader + headless_mp3() + trailer
    assert soundfile.info(io.BytesIO(data)).frames < 50000  # the estimate
    reader = open_sound(data, keep_metadata=True)
    assert reader.description.extents[0] == pytest.approx(200000, abs=3 * 1152)
    samples = read_all(reader)
    assert samples.shape == (reader.description.extents[0], 2)
    assert reader.lost() is None
    if trailer:
        assert json.loads(reader.metadata[MetadataKey.TAGS])["title"] == "Title"


# ---- tags ----


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")])
def test_tags_are_kept_on_request(container: str, subtype: str) -> None:
    data = sound_file(tone(), container, subtype, title="Título 日本", artist="A", date="2024", tracknumber="7")
    block = open_sound(data, keep_metadata=True).metadata[MetadataKey.TAGS]
    assert block == '{"artist": "A", "date": "2024", "title": "Título 日本", "tracknumber": "7"}'.encode()
    assert open_sound(data, keep_metadata=False).metadata == {}


def test_a_huge_tag_is_cut() -> None:
    data = sound_file(tone(), "FLAC", "PCM_16", comment="日" * 200_000)
    tags = json.loads(open_sound(data, keep_metadata=True).metadata[MetadataKey.TAGS])
    assert tags == {"comment": "日" * (2**16 // 3)}
