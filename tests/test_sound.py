"""Sounds in coordinate fields end to end, through the public functions and the command line."""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from numpy.typing import NDArray

import i2codec
from i2codec._api import decode_bytes
from i2codec.cli.main import main
from i2codec.options import EncodeKeywords
from i2codec.signal.description import Kind, SampleFormat
from i2codec.signal.signal import MetadataKey

RATE = 8000
FLOOR_DB = 25.0  # what a sound is promised where nothing is asked
_DRAFT: EncodeKeywords = {"preset": "draft", "field": "coordinate", "steps": 100, "device": "cpu"}
_TINY: EncodeKeywords = {"preset": "draft", "steps": 10, "width": 4, "device": "cpu"}

Tones = Callable[..., NDArray[np.float64]]


def file_of(
    samples: Any, *, rate: int = RATE, container: str = "WAV", subtype: str = "PCM_16", title: str | None = None
) -> bytes:
    stream = io.BytesIO()
    channels = 1 if np.ndim(samples) == 1 else np.shape(samples)[1]
    with soundfile.SoundFile(stream, "w", rate, channels, subtype=subtype, format=container) as file:
        if title is not None:
            file.title = title
        file.write(np.asarray(samples))
    return stream.getvalue()


def snr_db(original: NDArray[Any], decoded: NDArray[Any]) -> float:
    reference, found = original.astype(np.float64), decoded.astype(np.float64)
    return 10 * math.log10(np.sum(reference**2) / np.sum((reference - found) ** 2))


@pytest.fixture(scope="module")
def wav(tones: Tones) -> bytes:
    """Half a second of two tones, in 16 bits."""
    return file_of(tones(RATE // 2), title="Two tones")


@pytest.fixture(scope="module")
def packed(wav: bytes) -> bytes:
    """That sound with no other option than few steps."""
    return i2codec.encode(wav, **_DRAFT)


@pytest.fixture(scope="module")
def long_packed(tones: Tones) -> bytes:
    """Two segments: loud up to sample 4096 of 9000, then soft."""
    samples = tones(9000, pitches_hz=(20.0, 30.0)) * np.where(np.arange(9000) < 4096, 1.0, 0.1)
    return i2codec.encode(file_of(samples), preset="draft", steps=60, width=12, device="cpu")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, stdin=None: CliRunner().invoke(main, list(arguments), input=stdin)


def test_a_sound_survives(wav: bytes, packed: bytes) -> None:
    original, _ = soundfile.read(io.BytesIO(wav), dtype="int16", always_2d=True)
    decoded = i2codec.decode(packed)
    assert decoded.kind is Kind.SOUND
    assert decoded.samples.shape == (RATE // 2, 1)
    assert decoded.to_source().dtype == np.int16
    assert snr_db(original, decoded.to_source()) >= FLOOR_DB
    assert len(packed) < len(wav) / 4


def test_without_its_parameters_it_is_silent(wav: bytes, packed: bytes, zeroed: Callable[[bytes], bytes]) -> None:
    original, _ = soundfile.read(io.BytesIO(wav), dtype="int16", always_2d=True)
    assert snr_db(original, i2codec.decode(zeroed(packed)).to_source()) < 1.0
    assert i2codec.compare(wav, zeroed(packed))["snr_db"] < 1.0


def test_the_same_seed_gives_the_same_bytes(wav: bytes) -> None:
    first = i2codec.encode(wav, **_TINY)
    assert i2codec.encode(wav, **_TINY) == first
    assert i2codec.encode(wav, seed=1, **_TINY) != first


@pytest.mark.parametrize(
    ("container", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_16", 16000, 1),
        ("WAV", "PCM_U8", 8000, 2),
        ("WAV", "FLOAT", 44100, 2),
        ("WAV", "DOUBLE", 11025, 1),
        ("FLAC", "PCM_24", 48000, 2),
        ("FLAC", "PCM_16", 8000, 6),
        ("AIFF", "PCM_32", 22050, 1),
    ],
)
def test_format_rate_channels_and_tags_are_restored(
    tones: Tones, container: str, subtype: str, rate: int, channels: int
) -> None:
    samples = np.stack([tones(300, rate=rate)] * channels, axis=1)
    source = file_of(samples, rate=rate, container=container, subtype=subtype, title="Zwei Töne")
    restored = decode_bytes(i2codec.encode(source, **_TINY), extension=f".{container.lower()}")
    with soundfile.SoundFile(io.BytesIO(restored)) as file:
        assert (file.format, file.subtype, file.samplerate, file.channels) == (container, subtype, rate, channels)
        assert file.frames == 300
        assert file.title == "Zwei Töne"
    stripped = i2codec.encode(source, metadata="strip", **_TINY)
    assert not i2codec.decode(stripped).metadata


@pytest.mark.parametrize("extension", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff"])
def test_every_output_format_can_be_read_again(packed: bytes, extension: str) -> None:
    samples, rate = soundfile.read(io.BytesIO(decode_bytes(packed, extension=extension)))
    assert rate == RATE
    assert abs(len(samples) - RATE // 2) <= (2 * 1152 if extension == ".mp3" else 0)
    assert 0.3 < np.sqrt(np.mean(samples**2)) < 0.5


def test_channels_stay_apart(tones: Tones) -> None:
    loud = tones(1000, pitches_hz=(24.0, 40.0))
    source = file_of(np.stack([loud, np.zeros(1000), -loud], axis=1))
    decoded = i2codec.decode(i2codec.encode(source, preset="draft", steps=100, width=16, device="cpu")).samples
    left, middle, right = decoded.T
    assert snr_db(loud, left) > 15.0
    assert snr_db(-loud, right) > 15.0
    assert np.sqrt(np.mean(middle**2)) < 0.05


def test_floats_beyond_one_survive(tones: Tones) -> None:
    loud = 3.0 * tones(1000, pitches_hz=(24.0, 40.0))
    decoded = i2codec.decode(i2codec.encode(file_of(loud, subtype="FLOAT"), **_DRAFT))
    assert decoded.description.sample_format is SampleFormat.FLOAT32
    assert np.abs(decoded.to_source()).max() > 2.0
    assert snr_db(loud, decoded.to_source()[:, 0]) >= FLOOR_DB


@pytest.mark.parametrize("rate", [1000, 3000, 7999, 8000, 8001, 11025, 16000, 96000])
def test_another_rate_keeps_duration_and_content(tones: Tones, packed: bytes, rate: int) -> None:
    decoded = i2codec.decode(packed, rate=rate)
    assert decoded.axes[0].step == Fraction(1, rate)
    assert abs(decoded.axes[0].extent / rate - 0.5) <= 1 / rate
    # the low-pass filter on the way down sees no sound beyond the ends
    edge = round(0.02 * rate)
    expected = tones(len(decoded.samples), rate=rate)
    assert snr_db(expected[edge:-edge], decoded.samples[edge:-edge, 0]) >= FLOOR_DB - 1.0


def test_a_part_is_the_slice_of_the_whole(packed: bytes) -> None:
    whole = i2codec.decode(packed)
    part = i2codec.decode(packed, start=0.1, duration=0.2)
    assert part.samples.tobytes() == whole.samples[800:2400].tobytes()
    assert i2codec.decode(packed, start=0.3).samples.tobytes() == whole.samples[2400:].tobytes()
    assert i2codec.decode(packed, duration=0.05).samples.tobytes() == whole.samples[:400].tobytes()
    assert i2codec.decode(packed, start=0.4, duration=100.0).samples.tobytes() == whole.samples[3200:].tobytes()
    assert i2codec.decode(packed, duration=1e-9).samples.shape == (1, 1)
    file, _ = soundfile.read(io.BytesIO(decode_bytes(packed, extension=".wav", start=0.1, duration=0.2)), dtype="int16")
    np.testing.assert_array_equal(file, whole.to_source()[800:2400, 0])


def test_parts_of_another_rate_join(packed: bytes) -> None:
    whole = i2codec.decode(packed, rate=16000).samples
    parts = [i2codec.decode(packed, rate=16000, start=start, duration=0.25).samples for start in (0.0, 0.25)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_segments_join(tones: Tones, long_packed: bytes, tmp_path: Path) -> None:
    assert i2codec.info(long_packed)["units"] == 2
    whole = i2codec.decode(long_packed).samples
    assert whole.shape == (9000, 1)
    edges = [0, 1000, 4095, 4096, 4097, 8999, 9000]
    parts = [
        i2codec.decode(long_packed, start=first / RATE, duration=(last - first) / RATE).samples
        for first, last in pairwise(edges)
    ]
    assert [len(part) for part in parts] == np.diff(edges).tolist()
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    original = tones(9000, pitches_hz=(20.0, 30.0))
    assert snr_db(original[:4096], whole[:4096, 0]) > 15.0
    assert snr_db(0.1 * original[4096:], whole[4096:, 0]) > 10.0
    i2codec.decode_file(long_packed, tmp_path / "x.wav")
    file, _ = soundfile.read(tmp_path / "x.wav", dtype="int16", always_2d=True)
    np.testing.assert_array_equal(file, i2codec.decode(long_packed).to_source())
    assert abs(len(i2codec.decode(long_packed, rate=3000).samples) - 3375) <= 1


def test_a_target_size_is_met_over_all_segments(tones: Tones) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = i2codec.encode(
            file_of(tones(9000)),
            preset="draft",
            field="coordinate",
            steps=40,
            target_size=1200,
            device="cpu",
            metadata="strip",
        )
    assert 1140 <= len(data) <= 1200


def test_an_interrupted_encoding_goes_on_to_the_same_bytes(tones: Tones, tmp_path: Path) -> None:
    source, path = file_of(tones(9000)), tmp_path / "sound.checkpoint"
    expected = i2codec.encode(source, **_TINY)
    finished: list[int] = []

    def stop_in_the_second_segment(progress: i2codec.Progress) -> bool:
        finished.append(progress.unit)
        return progress.unit == 0

    with pytest.raises(i2codec.Cancelled):
        i2codec.encode(source, checkpoint=path, progress=stop_in_the_second_segment, **_TINY)
    assert path.exists()
    finished.clear()
    assert i2codec.encode(
        source, checkpoint=path, progress=lambda progress: finished.append(progress.unit), **_TINY
    ) == (expected)
    assert set(finished) == {1}  # the first is not fitted again
    assert not path.exists()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_tiny_sounds(count: int) -> None:
    source = file_of(np.full(count, 0.25))
    decoded = i2codec.decode(i2codec.encode(source, preset="draft", steps=40, device="cpu"))
    assert decoded.samples.shape == (count, 1)
    assert np.abs(decoded.samples - 0.25).max() < 0.05
    assert len(i2codec.decode(i2codec.encode(source, **_TINY), rate=16000).samples) == 2 * count


def test_silence_stays_silent() -> None:
    data = i2codec.encode(file_of(np.zeros(2000)), preset="draft", steps=20, device="cpu")
    assert np.abs(i2codec.decode(data).to_source()).max() <= 1
    assert len(data) < 400


def test_info(run: Callable[..., Result], packed: bytes, long_packed: bytes) -> None:
    values = json.loads(run("info", "-", "--json", stdin=packed).stdout)
    assert values["kind"] == "sound"
    assert values["shape"] == [4000, 1]
    assert values["duration_s"] == 0.5
    assert values["rate_hz"] == 8000.0
    assert values["bitrate_bps"] == pytest.approx(8 * len(packed) / 0.5)
    assert values["rate_bpp"] == pytest.approx(8 * len(packed) / 4000)
    assert values["units"] == 1
    assert values["sections"].keys() == {"signal", "network", "metadata"}
    assert "frames" not in values
    assert json.loads(run("info", "-", "--json", stdin=long_packed).stdout)["duration_s"] == 1.125


def test_compare(run: Callable[..., Result], wav: bytes, packed: bytes) -> None:
    Path("s.wav").write_bytes(wav)
    Path("s.i2").write_bytes(packed)
    values = json.loads(run("compare", "s.wav", "s.i2", "--json").stdout)
    assert values.keys() == {"size_bytes", "rate_bpp", "snr_db", "duration_s", "bitrate_bps"}
    original, _ = soundfile.read(io.BytesIO(wav), dtype="int16", always_2d=True)
    assert values["snr_db"] == pytest.approx(snr_db(original, i2codec.decode(packed).to_source()), abs=1e-3)
    assert (values["size_bytes"], values["duration_s"]) == (len(packed), 0.5)
    assert values["bitrate_bps"] == pytest.approx(16 * len(packed))
    assert run("decode", "s.i2", "-o", "t.flac").exit_code == 0
    other = json.loads(run("compare", "s.wav", "t.flac", "--json").stdout)
    assert other["snr_db"] == pytest.approx(values["snr_db"], abs=1e-6)
    assert json.loads(run("compare", "s.wav", "s.wav", "--json").stdout)["snr_db"] is None
    assert run("decode", "s.i2", "-o", "slow.wav", "--rate", "4000").exit_code == 0
    assert "decode without --rate" in run("compare", "s.wav", "slow.wav").stderr
    assert run("decode", "s.i2", "-o", "short.wav", "--duration", "0.2").exit_code == 0
    assert "expected the same length" in run("compare", "s.wav", "short.wav").stderr


def test_verify(run: Callable[..., Result], long_packed: bytes) -> None:
    Path("s.i2").write_bytes(long_packed)
    assert run("verify", "s.i2").stdout == "s.i2: ok\n"


def test_the_command_line_does_the_same(run: Callable[..., Result], wav: bytes, packed: bytes) -> None:
    Path("s.wav").write_bytes(wav)
    assert (
        run(
            "encode", "s.wav", "--preset", "draft", "--field", "coordinate", "--steps", "100", "--device", "cpu"
        ).exit_code
        == 0
    )
    assert Path("s.i2").read_bytes() == packed
    assert run("decode", "s.i2", "-o", "p.wav", "--rate", "16000", "--start", "0.1", "--duration", "0.2").exit_code == 0
    samples, rate = soundfile.read("p.wav", dtype="int16", always_2d=True)
    assert rate == 16000
    part = i2codec.decode(packed, rate=16000, start=0.1, duration=0.2)
    np.testing.assert_array_equal(samples, part.to_source())
    assert len(samples) == 3200
    assert part.metadata.keys() == {MetadataKey.TAGS}


def fails(result: Result) -> str:
    """The one line on standard error of a command that failed as expected."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("i2codec: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("encode", "missing.wav"), "does not exist"),
        (("encode", "empty.wav"), "is empty"),
        (("encode", "header.wav"), "holds no samples"),
        (("encode", "torn.wav"), "is not a readable sound"),
        (("encode", "nan.wav"), "is NaN"),
        (("encode", "text.mp3"), "text.mp3 is not a photo, sound, video or 3D shape, but text"),
        (("decode", "s.i2", "-o", "x.png"), "cannot write a sound as .png"),
        (("decode", "s.i2", "-o", "x.i2"), "cannot write a sound as .i2"),
        (("decode", "s.i2", "-o", "folder"), "a name without extension"),
        (("decode", "s.i2", "-o", "no/x.wav"), "does not exist"),
        (("decode", "s.i2", "-o", "s.i2", "--force"), "cannot write a sound as .i2"),
        (("decode", "s.i2", "-o", "x.mp3", "--rate", "9000"), "holds rates of"),
        (("decode", "s.i2", "-o", "x.wav", "--rate", "0"), "rate 0"),
        (("decode", "s.i2", "-o", "x.wav", "--rate", "-8000"), "rate -8000"),
        (("decode", "s.i2", "-o", "x.wav", "--rate", "768001"), "expected 0.01 to 768000 per second"),
        (("decode", "s.i2", "-o", "x.wav", "--start", "0.5"), "the sound lasts 0.5 s"),
        (("decode", "s.i2", "-o", "x.wav", "--start", "-1"), "expected 0 or more"),
        (("decode", "s.i2", "-o", "x.wav", "--start", "nan"), "expected 0 or more"),
        (("decode", "s.i2", "-o", "x.wav", "--duration", "0"), "expected more than 0"),
        (("decode", "s.i2", "-o", "x.wav", "--scale", "2"), "scale has no meaning for a sound"),
        (("decode", "s.i2", "-o", "x.wav", "--size", "4x4"), "size has no meaning for a sound"),
        (("decode", "s.i2", "-o", "x.wav", "--region", "0,0,1,1"), "region has no meaning for a sound"),
        (("decode", "s.i2", "-o", "x.wav", "--fps", "25"), "fps has no meaning for a sound"),
        (("decode", "s.i2", "-o", "x.wav", "--resolution", "9"), "resolution has no meaning for a sound"),
        (("decode", "s.i2", "-o", "x.wav", "--background", "red"), "background has no meaning for a sound"),
        (("decode", "part.i2", "-o", "x.wav"), "announces"),
        (("compare", "s.wav", "text.mp3"), "text.mp3"),
        (("compare", "s.wav", "part.i2"), "announces"),
        (("compare", "s.wav", "photo.i2"), "the original is a sound, the .i2 file holds a photo"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    run: Callable[..., Result], wav: bytes, packed: bytes, arguments: tuple[str, ...], expected: str
) -> None:
    contents = {
        "s.wav": wav,
        "s.i2": packed,
        "empty.wav": b"",
        "header.wav": file_of(np.zeros(0)),
        "torn.wav": wav[:20],
        "nan.wav": file_of([0.0, np.nan, 0.5], subtype="FLOAT"),
        "text.mp3": b"This is no sound.",
        "part.i2": packed[:200],
        "photo.i2": (Path(__file__).parent / "golden" / "photo_v1.i2").read_bytes(),
    }
    for name, content in contents.items():
        Path(name).write_bytes(content)
    assert expected in fails(run(*arguments))
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == contents


def test_an_unknown_signal_of_the_file_is_refused(packed: bytes) -> None:
    for number in (-1, 1):
        with pytest.raises(i2codec.OptionError, match=f"signal {number}; the file has 1"):
            i2codec.decode(packed, signal=number)


def test_a_cut_file_keeps_what_is_there(run: Callable[..., Result], wav: bytes) -> None:
    cut = wav[: wav.index(b"data") + 8 + 2 * 1000]
    assert len(cut) < len(wav)
    with pytest.warns(i2codec.DamagedSourceWarning, match="announces 4000 samples per channel and ends after 1000"):
        data = i2codec.encode(cut, **_TINY)
    assert i2codec.decode(data).samples.shape == (1000, 1)
    Path("cut.wav").write_bytes(cut)
    result = run("encode", "cut.wav", "--preset", "draft", "--steps", "10", "--width", "4", "--device", "cpu")
    assert result.exit_code == 0
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("i2codec: the source is damaged: ")
    assert Path("cut.i2").read_bytes() == data
