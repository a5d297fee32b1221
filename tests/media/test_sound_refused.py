"""Sources that are no sound, and sounds that are not whole: one line says what was found."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import InputError
from i2codec.media import sound_probe, sound_read
from i2codec.media.sound import MAX_SOUND_RATE, SoundReader, open_sound


def sound_file(values: np.ndarray, container: str, subtype: str, *, rate: int = 44100) -> bytes:
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", rate, values.shape[1], format=container, subtype=subtype) as file:
        for start in range(0, len(values), 4096):
            file.write(values[start : start + 4096])
    return stream.getvalue()


def noise(count: int = 44100, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(count, channels)).astype(np.float32) * 0.1


def message_of(source: Path | bytes) -> str:
    with pytest.raises(InputError) as caught:
        open_sound(source, keep_metadata=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read_all(reader: SoundReader) -> np.ndarray:
    pieces = []
    while len(piece := reader.read(5000)):
        pieces.append(piece)
    return np.concatenate(pieces)


def test_missing_file(tmp_path: Path) -> None:
    assert "absent.wav does not exist; expected a sound: check the path" in message_of(tmp_path / "absent.wav")


def test_directory(tmp_path: Path) -> None:
    assert "is a directory; expected a sound" in message_of(tmp_path)


def test_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert "cannot be read (Not a directory)" in message_of(tmp_path / "file" / "sound.wav")


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    assert "empty.wav is empty; expected a sound: WAV" in message_of(path)
    assert "standard input is empty" in message_of(b"")


@pytest.mark.parametrize(
    "data", [b"just some text\n" * 100, b"RIFF", b"fLaC", b"OggS", b"\xff\xd8\xff\xe0" + bytes(5000), bytes(9999)]
)
def test_not_a_sound(data: bytes, tmp_path: Path) -> None:
    assert "is not a readable sound (" in message_of(data)
    path = tmp_path / "text.vox"  # a name for which libsndfile would read anything
    path.write_bytes(data)
    assert "expected WAV, FLAC, OGG (Vorbis or Opus), MP3 or AIFF: check the file or convert it" in message_of(path)


def test_other_kinds_of_libsndfile_are_refused() -> None:
    data = sound_file(noise(), "PAF", "PCM_16")
    assert "is taken for PAF (Ensoniq PARIS); expected WAV" in message_of(data)


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("RF64", "FLOAT"), ("AIFF", "FLOAT")])
def test_no_samples(container: str, subtype: str) -> None:
    with pytest.raises(InputError, match="holds no samples; expected at least one"):
        read_all(open_sound(sound_file(noise(0), container, subtype), keep_metadata=True))


def test_too_many_channels() -> None:
    data = sound_file(noise(10, 9), "WAV", "PCM_16")
    assert "has 9 channels; expected 1 to 8: mix it down" in message_of(data)


@pytest.mark.parametrize("rate", [MAX_SOUND_RATE + 1, 2**31 - 1])
def test_absurd_rate(rate: int) -> None:
    assert f"has a rate of {rate} Hz; expected 1 to" in message_of(sound_file(noise(10), "WAV", "PCM_16", rate=rate))
    whole = sound_file(noise(10), "WAV", "PCM_16", rate=MAX_SOUND_RATE)
    assert open_sound(whole, keep_metadata=True).description.axes[0].step.denominator == MAX_SOUND_RATE


def test_rate_zero() -> None:
    data = bytearray(sound_file(noise(10), "WAV", "PCM_16"))
    data[24:28] = bytes(4)
    assert "standard input" in message_of(bytes(data))


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize(("odd", "words"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
def test_samples_must_be_finite(subtype: str, odd: float, words: str) -> None:
    values = noise()
    values[4409, 1] = odd
    reader = open_sound(sound_file(values, "WAV", subtype), keep_metadata=True)
    np.testing.assert_array_equal(reader.read(4000), values[:4000])
    with pytest.raises(InputError, match=rf"sample 4410 of channel 2 \(at 0\.100 s\) is {words}.*clean the sound"):
        reader.read(1000)


def test_doubles_beyond_float32_are_refused() -> None:
    data = sound_file(np.full((5, 1), 1e300), "WAV", "DOUBLE")
    with pytest.raises(InputError, match=r"sample 1 of channel 1 .* beyond float32"):
        open_sound(data, keep_metadata=True).read(5)


# ---- truncated and damaged ----


@pytest.mark.parametrize("container", ["WAV", "AIFF", "RF64", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2])
def test_cut_uncompressed_files(container: str, channels: int, tmp_path: Path) -> None:
    values = noise(channels=channels)
    path = tmp_path / "cut"
    path.write_bytes(sound_file(values, container, "FLOAT")[: -14100 * channels * 4])
    reader = open_sound(path, keep_metadata=True)
    assert reader.description.extents == (30000,)
    np.testing.assert_array_equal(reader.read(30000), values[:30000])
    lost = reader.lost()
    assert reader.read(1).shape == (0, channels)
    assert reader.lost() == lost
    assert lost == (
        "the file announces 44100 samples per channel and ends after 30000 samples per channel (0.680 s): "
        "0.320 s are lost"
    )
    reader.close()


@pytest.mark.parametrize(
    ("container", "subtype", "words"),
    [("FLAC", "PCM_16", "is damaged after"), ("MP3", "MPEG_LAYER_III", "ends after")],
)
def test_cut_compressed_files_that_announce_their_length(container: str, subtype: str, words: str) -> None:
    data = sound_file(noise(), container, subtype)
    whole = read_all(open_sound(data, keep_metadata=True))
    reader = open_sound(data[: len(data) // 2], keep_metadata=True)
    samples = read_all(reader)
    assert 15000 < len(samples) < 25000
    if container == "FLAC":
        np.testing.assert_array_equal(samples, whole[: len(samples)])
    lost = reader.lost()
    assert lost is not None
    assert lost.startswith(f"the file announces 44100 samples per channel and {words} {len(samples)} samples")
    assert lost.endswith(f"{1 - len(samples) / 44100:.3f} s are lost")


def test_a_cut_mp3_behind_long_tags() -> None:
    id3 = b"ID3\4\0\0\0\0\x50\0" + bytes(0x50 << 7)
    data = id3 + sound_file(noise(), "MP3", "MPEG_LAYER_III")
    reader = open_sound(data[: 3 * len(data) // 4], keep_metadata=True)
    assert reader.description.extents == (44100,)
    assert len(read_all(reader)) < 35000
    assert str(reader.lost()).startswith("the file announces 44100 samples per channel and ends after")


def test_a_cut_wav_behind_an_odd_chunk() -> None:
    data = sound_file(noise(), "WAV", "PCM_16")
    start = data.index(b"data")
    reader = open_sound(data[:start] + b"note\3\0\0\0abc\0" + data[start:-4000], keep_metadata=True)
    assert len(read_all(reader)) == 43100
    assert "announces 44100 samples" in str(reader.lost())


def test_padding_of_aiff_is_no_sample() -> None:
    data = bytearray(sound_file(noise(1001, 1), "AIFF", "PCM_S8"))
    count_at = data.index(b"COMM") + 10
    data[count_at : count_at + 4] = struct.pack(">I", 1001)
    reader = open_sound(bytes(data), keep_metadata=True)
    assert reader.description.extents == (1001,)
    assert len(read_all(reader)) == 1001
    assert reader.lost() is None


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_cut_ogg_lacks_its_end(subtype: str) -> None:
    data = sound_file(noise(48000), "OGG", subtype, rate=48000)
    last_page = data.rindex(b"OggS")
    for cut in (last_page, last_page + 20, len(data) - 1):
        reader = open_sound(data[:cut], keep_metadata=True)
        count = len(read_all(reader))
        assert 0 < count < 48000
        assert str(reader.lost()).startswith(f"the file ends after {count} samples per channel")
        assert "without the mark of its end" in str(reader.lost())


@pytest.mark.parametrize("unknown_length", [False, True])
def test_damage_amid_a_file_ends_the_sound(unknown_length: bool) -> None:
    data = bytearray(sound_file(noise(), "FLAC", "PCM_16"))
    if unknown_length:
        data[21] &= 0xF0
        data[22:26] = bytes(4)
    data[len(data) // 2 : len(data) // 2 + 20000] = bytes(20000)
    reader = open_sound(bytes(data), keep_metadata=True)
    count = len(read_all(reader))
    assert 15000 < count < 25000
    assert reader.read(100).shape == (0, 2)
    assert f"damaged after {count} samples per channel" in str(reader.lost())
    again = open_sound(bytes(data), keep_metadata=True)
    if unknown_length:  # the count ends there
        assert again.description.extents == (count,)
    again.read(again.description.extents[0])
    assert f"after {count} samples per channel" in str(again.lost())


def test_nothing_to_decode() -> None:
    data = sound_file(noise(), "FLAC", "PCM_16")
    start = data.index(b"\xff\xf8", 42)
    with pytest.raises(InputError, match=r"is damaged \(.*\); expected a sound|holds no samples"):
        open_sound(data[:start] + bytes(len(data) - start), keep_metadata=True).read(10)
    with pytest.raises(InputError, match="holds no samples; expected a sound"):
        open_sound(data[:start], keep_metadata=True).read(10)


@pytest.mark.parametrize("fault", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_faults_of_the_file_object_come_through(fault: BaseException, tmp_path: Path) -> None:
    class Faulty(io.BytesIO):
        failing = False

        def read(self, count: int | None = -1) -> bytes:
            if self.failing:
                raise fault
            return super().read(count)

    stream = Faulty(sound_file(noise(), "WAV", "PCM_16"))
    reader = SoundReader(stream, name="disk.wav", keep_metadata=False)
    stream.failing = True
    expected = InputError if isinstance(fault, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match=r"disk\.wav cannot be read \(Input/output error\)|^$"):
        reader.read(20000)
    reader.close()
    assert stream.closed


def test_a_file_is_closed_when_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.wav"
    path.write_bytes(b"text")
    streams = []
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda *arguments: streams.append(opened(*arguments)) or streams[-1])
    assert "not a readable sound" in message_of(path)
    assert [stream.closed for stream in streams] == [True]


MAKERS: list[Callable[[], bytes]] = [
    lambda: sound_file(noise(500), "WAV", "PCM_16"),
    lambda: sound_file(noise(500), "AIFF", "PCM_24"),
    lambda: sound_file(noise(500), "FLAC", "PCM_16"),
    lambda: sound_file(noise(500), "OGG", "VORBIS"),
]


@pytest.mark.parametrize("make", MAKERS)
def test_any_cut_and_any_changed_byte_is_read_or_refused(make: Callable[[], bytes]) -> None:
    whole = make()

    @given(st.integers(0, len(whole)), st.integers(0, min(200, len(whole) - 1)), st.integers(0, 255))
    def check(cut: int, place: int, value: int) -> None:
        changed = bytearray(whole)
        changed[place] = value
        for data in (whole[:cut], bytes(changed)):
            with contextlib.suppress(InputError):
                reader = open_sound(data, keep_metadata=True)
                while len(reader.read(10**4)):
                    pass
                reader.lost()
                reader.close()

    check()


def test_a_file_of_empty_chunks_takes_no_time() -> None:
    data = b"RIFF" + struct.pack("<I", 2**20) + b"WAVE" + b"abcd\0\0\0\0" * 100_000 + b"data\4\0\0\0"
    assert sound_probe.announced_samples(io.BytesIO(data), bytes_per_step=2) is None


def test_slack_of_mp3_is_less_than_a_tenth_of_a_second() -> None:
    assert sound_read._MP3_SLACK / 44100 < 0.1
