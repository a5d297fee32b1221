"""Videos end to end, with and without sound, through the public functions and the command line."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

import i2codec
import i2codec.fit.encoder
from i2codec._api import decode_bytes
from i2codec.cli.main import main
from i2codec.options import EncodeKeywords
from i2codec.signal.description import Kind
from i2codec.signal.timestamps import TimeStamps

NTSC = Fraction(30000, 1001)
HEIGHT, WIDTH, FRAMES = 24, 32, 10
SOUND_RATE = 16000
FLOOR_DB = 24.0
_DRAFT: EncodeKeywords = {"preset": "draft", "steps": 100, "width": 16, "device": "cpu"}
_TINY: EncodeKeywords = {"preset": "draft", "steps": 10, "width": 4, "device": "cpu"}
_TINY_OPTIONS = ("--preset", "draft", "--steps", "10", "--width", "4", "--device", "cpu")

Tones = Callable[..., NDArray[np.float64]]


def picture(index: int, *, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Grey, with a bright square that moves right by two pixels a frame."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    pixels[6:14, 2 * index : 2 * index + 8] = (255, 230, 180)
    return pixels


def clip(
    muxer: str = "mp4",
    *,
    count: int = FRAMES,
    rate: Fraction = NTSC,
    ticks: Sequence[int] | None = None,
    base: Fraction | None = None,
    sound: NDArray[np.float64] | None = None,
    title: str | None = None,
) -> bytes:
    """A clip in H.264 (MP4) or FFV1 (MKV), with a sound track in AAC or PCM."""
    stream = io.BytesIO()
    container = av.open(stream, "w", format=muxer)
    if title is not None:
        container.metadata["title"] = title
    is_mp4 = muxer == "mp4"
    video: Any = container.add_stream("libx264" if is_mp4 else "ffv1", rate=rate)
    video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p" if is_mp4 else "bgr0"
    video.codec_context.time_base = base or 1 / rate
    video.codec_context.options = {"crf": "4"} if is_mp4 else {}
    audio: Any = None
    if sound is not None:
        audio = container.add_stream("aac" if is_mp4 else "pcm_s16le", rate=SOUND_RATE, layout="mono")
    packets = []
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(picture(index), "rgb24")
        frame.pts, frame.time_base = (ticks[index] if ticks else index), video.codec_context.time_base
        packets += video.encode(frame)
    packets += video.encode(None)
    for packet in packets:
        packet.duration = packet.duration or 1
    if sound is not None:
        samples = sound.astype(np.float32) if is_mp4 else np.rint(32767 * sound).astype(np.int16)
        for start in range(0, len(samples), 1024):
            piece = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], "fltp" if is_mp4 else "s16", "mono")
            piece.sample_rate, piece.pts, piece.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
            packets += audio.encode(piece)
        packets += audio.encode(None)
    for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
        container.mux(packet)
    container.close()
    return stream.getvalue()


def stream_facts(data: bytes) -> dict[str, Any]:
    """What FFmpeg says of a file: frames, their times in seconds, rate, size, streams."""
    with av.open(io.BytesIO(data)) as container:
        video = container.streams.video[0]
        rate, base = video.average_rate, video.time_base
        frames = [(frame.pts * base, (frame.width, frame.height)) for frame in container.decode(video)]
        kinds = [stream.type for stream in container.streams]
    return {"rate": rate, "times": [time for time, _ in frames], "sizes": {size for _, size in frames}, "kinds": kinds}


@pytest.fixture(scope="module")
def mp4() -> bytes:
    return clip(title="A square")


@pytest.fixture(scope="module")
def packed(mp4: bytes) -> bytes:
    return i2codec.encode(mp4, **_DRAFT)


@pytest.fixture(scope="module")
def heard(tones: Tones) -> bytes:
    """A lossless clip with a sound track of 5334 samples."""
    return clip("matroska", sound=tones(5334, rate=SOUND_RATE))


@pytest.fixture(scope="module")
def packed_heard(heard: bytes) -> bytes:
    return i2codec.encode(heard, preset="draft", steps=60, width=12, device="cpu")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, stdin=None: CliRunner().invoke(main, list(arguments), input=stdin)


def test_a_video_survives(mp4: bytes, packed: bytes) -> None:
    decoded = i2codec.decode(packed)
    assert decoded.kind is Kind.VIDEO
    assert decoded.samples.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert decoded.to_source().dtype == np.uint8
    assert decoded.axes[0].step == 1 / NTSC
    assert decoded.timestamps is None
    originals = np.stack([picture(index) for index in range(FRAMES)]) / 255
    assert -10 * np.log10(np.mean((decoded.samples - originals) ** 2)) >= FLOOR_DB - 1  # H.264 takes its part
    assert i2codec.compare(mp4, packed)["psnr_db"] >= FLOOR_DB
    assert len(packed) < 900


def test_without_its_parameters_it_is_black(mp4: bytes, packed: bytes, zeroed: Callable[[bytes], bytes]) -> None:
    assert i2codec.compare(mp4, zeroed(packed))["psnr_db"] < FLOOR_DB - 10


def test_the_same_seed_gives_the_same_bytes(heard: bytes) -> None:
    first = i2codec.encode(heard, **_TINY)
    assert i2codec.encode(heard, **_TINY) == first
    assert i2codec.encode(heard, seed=1, **_TINY) != first


@pytest.mark.parametrize("rate", [NTSC, Fraction(25), Fraction(24000, 1001), Fraction(15, 2)])
def test_the_frame_rate_stays_exact(rate: Fraction) -> None:
    data = i2codec.encode(clip(rate=rate, count=5), **_TINY)
    assert i2codec.info(data)["fps"] == float(rate)
    facts = stream_facts(decode_bytes(data, extension=".mp4"))
    assert facts["rate"] == rate
    assert facts["times"] == [index / rate for index in range(5)]


def test_variable_frame_rate_keeps_its_time_stamps() -> None:
    ticks = [0, 40, 80, 200, 240, 500]
    source = clip("matroska", ticks=ticks, count=6, base=Fraction(1, 1000), rate=Fraction(25))
    data = i2codec.encode(source, **_TINY)
    stamps = i2codec.decode(data).timestamps
    assert stamps is not None
    assert [tick * stamps.time_base for tick in stamps.ticks[:-1]] == [Fraction(tick, 1000) for tick in ticks]
    for extension in (".mp4", ".mkv"):
        facts = stream_facts(decode_bytes(data, extension=extension))
        assert facts["times"] == [Fraction(tick, 1000) for tick in ticks]
    assert i2codec.info(data)["duration_s"] == float(stamps.duration)
    part = i2codec.decode(data, start=0.1, duration=0.14)
    assert part.timestamps == TimeStamps(stamps.time_base, (0, 120, 160))
    np.testing.assert_array_equal(part.samples, i2codec.decode(data).samples[2:4])
    steady = i2codec.decode(data, fps=50)
    assert steady.timestamps is None
    assert abs(steady.axes[0].extent * steady.axes[0].step - stamps.duration) <= Fraction(1, 50)


@pytest.mark.parametrize(
    ("fps", "count"), [(60, 20), (15, 5), (NTSC, 10), (2 * NTSC, 20), (29.97002997, 10), (Fraction(1), 1)]
)
def test_another_frame_rate_keeps_the_duration(packed: bytes, fps: Any, count: int) -> None:
    decoded = i2codec.decode(packed, fps=fps)
    assert decoded.samples.shape == (count, HEIGHT, WIDTH, 3)
    assert float(1 / decoded.axes[0].step) == pytest.approx(float(fps))
    assert stream_facts(decode_bytes(packed, extension=".mp4", fps=fps, start=0.0))["sizes"] == {(WIDTH, HEIGHT)}


def test_the_native_rate_asked_for_gives_the_same_frames(packed: bytes) -> None:
    np.testing.assert_array_equal(i2codec.decode(packed, fps=NTSC).samples, i2codec.decode(packed).samples)


def test_scale_size_and_region(packed: bytes) -> None:
    double = i2codec.decode(packed, scale=2)
    assert double.samples.shape == (FRAMES, 2 * HEIGHT, 2 * WIDTH, 3)
    part = i2codec.decode(packed, scale=2, region=(5, 4, 10, 6), start=0.1, duration=0.1)
    np.testing.assert_array_equal(part.samples, double.samples[3:6, 8:20, 10:30])
    assert i2codec.decode(packed, size=(11, 30)).samples.shape == (FRAMES, 30, 11, 3)
    assert i2codec.decode(packed, scale=0.5).samples.shape == (FRAMES, HEIGHT // 2, WIDTH // 2, 3)
    assert stream_facts(decode_bytes(packed, extension=".mp4", scale=2))["sizes"] == {(2 * WIDTH, 2 * HEIGHT)}
    assert stream_facts(decode_bytes(packed, extension=".mp4", size=(7, 5)))["sizes"] == {(7, 5)}


def test_a_part_is_the_slice_of_the_whole(packed: bytes) -> None:
    whole = i2codec.decode(packed).samples
    np.testing.assert_array_equal(i2codec.decode(packed, start=0.1, duration=0.1).samples, whole[3:6])
    np.testing.assert_array_equal(i2codec.decode(packed, start=0.2).samples, whole[6:])
    np.testing.assert_array_equal(i2codec.decode(packed, duration=0.1).samples, whole[:3])
    assert len(i2codec.decode(packed, start=0.33, duration=1e-9).samples) == 1


def test_segments_join(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(i2codec.fit.encoder, "_VIDEO_SEGMENT_POINTS", 8 * HEIGHT * WIDTH)
    source = clip("matroska", count=12)
    data = i2codec.encode(source, preset="draft", steps=60, width=14, device="cpu")
    assert i2codec.info(data)["units"] == 1  # 4 frames are less than half a segment more
    source = clip("matroska", count=13)
    data = i2codec.encode(source, preset="draft", steps=60, width=14, device="cpu")
    assert i2codec.info(data)["units"] == 2
    whole = i2codec.decode(data)
    frames = [i2codec.decode(data, start=index / float(NTSC), duration=1 / 30).samples for index in range(13)]
    np.testing.assert_array_equal(np.concatenate(frames), whole.samples)
    values = i2codec.compare(source, data)
    assert min(values["psnr_db_per_frame"]) > 18.0  # every frame is in its place
    i2codec.decode_file(data, tmp_path / "x.mkv")
    assert i2codec.compare(source, tmp_path / "x.mkv")["psnr_db"] == pytest.approx(values["psnr_db"], abs=1e-4)


def test_lossless_output_holds_the_samples(packed: bytes) -> None:
    expected = i2codec.decode(packed).to_source()
    with av.open(io.BytesIO(decode_bytes(packed, extension=".mkv"))) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    np.testing.assert_array_equal(np.stack(frames), expected)


def test_gif_output(packed: bytes) -> None:
    expected = i2codec.decode(packed).to_source()
    with Image.open(io.BytesIO(decode_bytes(packed, extension=".gif"))) as picture:
        assert (picture.format, picture.n_frames, picture.size) == ("GIF", FRAMES, (WIDTH, HEIGHT))
        for index in (0, FRAMES - 1):
            picture.seek(index)
            assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - expected[index]).mean() < 8


def test_a_folder_of_pictures(packed: bytes, tmp_path: Path) -> None:
    i2codec.decode_file(packed, tmp_path / "frames")
    paths = sorted((tmp_path / "frames").glob("*.png"))
    assert len(paths) == len(list((tmp_path / "frames").iterdir())) >= FRAMES
    pictures = []
    for path in paths:
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture))
    np.testing.assert_array_equal(np.stack(pictures), i2codec.decode(packed).to_source())
    with pytest.raises(i2codec.OutputError, match="already exists"):
        i2codec.decode_file(packed, tmp_path / "frames", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_tags_are_kept_or_stripped(mp4: bytes, packed: bytes) -> None:
    with av.open(io.BytesIO(decode_bytes(packed, extension=".mp4"))) as container:
        assert container.metadata["title"] == "A square"
    assert not i2codec.decode(i2codec.encode(mp4, metadata="strip", **_TINY)).metadata


def test_sound_is_the_second_signal(tones: Tones, packed_heard: bytes) -> None:
    track = i2codec.decode(packed_heard, signal=1)
    assert track.kind is Kind.SOUND
    assert track.samples.shape == (5334, 1)
    assert track.axes[0].step == Fraction(1, SOUND_RATE)
    original = tones(5334, rate=SOUND_RATE)
    error = np.mean((track.samples[:, 0] - original) ** 2)
    assert error < 0.5 * np.mean(original**2)
    assert i2codec.decode(packed_heard).kind is Kind.VIDEO
    np.testing.assert_array_equal(
        i2codec.decode(packed_heard, signal=1, start=0.1, duration=0.1).samples, track.samples[1600:3200]
    )
    assert i2codec.decode(packed_heard, signal=1, rate=8000).samples.shape == (2667, 1)
    with pytest.raises(i2codec.OptionError, match="signal 2; the file has 2"):
        i2codec.decode(packed_heard, signal=2)


def test_sound_is_muxed_back(packed_heard: bytes) -> None:
    expected = i2codec.decode(packed_heard, signal=1).to_source()[:, 0]
    lossless = decode_bytes(packed_heard, extension=".mkv")
    assert stream_facts(lossless)["kinds"] == ["video", "audio"]
    with av.open(io.BytesIO(lossless)) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    np.testing.assert_array_equal(np.concatenate(frames), expected)
    mp4 = decode_bytes(packed_heard, extension=".mp4", rate=48000)
    with av.open(io.BytesIO(mp4)) as container:
        assert container.streams.audio[0].codec_context.sample_rate == 48000
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert 0.9 * 3 * 5334 < len(samples) < 3 * 5334 + 3000  # AAC comes in whole frames


def test_sound_of_a_lossy_file_is_read_too(tones: Tones) -> None:
    source = clip("mp4", count=5, sound=tones(3000, rate=SOUND_RATE))
    track = i2codec.decode(i2codec.encode(source, **_TINY), signal=1)
    assert len(track.description.channels) == 1
    assert 3000 <= len(track.samples) <= 3000 + 1024  # AAC comes in whole frames
    assert track.axes[0].step == Fraction(1, SOUND_RATE)


def test_a_part_takes_its_sound_along(packed_heard: bytes) -> None:
    whole = i2codec.decode(packed_heard, signal=1).to_source()[:, 0]
    part = decode_bytes(packed_heard, extension=".mkv", start=0.1, duration=0.1)
    with av.open(io.BytesIO(part)) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    np.testing.assert_array_equal(np.concatenate(frames), whole[1600:3200])
    assert len(stream_facts(part)["times"]) == 3


@pytest.mark.parametrize("name", ["x.gif", "frames"])
def test_sound_that_is_left_out_is_said(
    run: Callable[..., Result], tmp_path: Path, packed_heard: bytes, packed: bytes, name: str
) -> None:
    with pytest.warns(i2codec.LeftOutWarning, match=f"{name} cannot hold the video's sound"):
        i2codec.decode_file(packed_heard, tmp_path / name)
    Path("v.i2").write_bytes(packed_heard)
    result = run("decode", "v.i2", "-o", f"other{name}")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"i2codec: other{name} cannot hold the video's sound, which is left out\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        i2codec.decode_file(packed, tmp_path / f"silent{name}")


def test_an_interrupted_encoding_goes_on_to_the_same_bytes(heard: bytes, tmp_path: Path) -> None:
    path = tmp_path / "video.checkpoint"
    expected = i2codec.encode(heard, **_TINY)
    packs: list[str] = []

    def stop_in_the_sound(progress: i2codec.Progress) -> bool:
        packs.append(progress.stage)
        return packs.count("pack") < 2

    with pytest.raises(i2codec.Cancelled):
        i2codec.encode(heard, checkpoint=path, progress=stop_in_the_sound, **_TINY)
    assert path.exists()
    assert i2codec.encode(heard, checkpoint=path, **_TINY) == expected
    assert not path.exists()


def test_a_target_size_counts_the_sound(heard: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = i2codec.encode(heard, preset="draft", steps=40, target_size=2400, device="cpu")
    assert 2280 <= len(data) <= 2400
    assert i2codec.info(data)["sound"]["shape"] == [5334, 1]


def test_a_broken_tail_keeps_what_can_be_decoded(run: Callable[..., Result]) -> None:
    whole = clip("matroska", count=30)
    cut = whole[: 2 * len(whole) // 3]
    with pytest.warns(i2codec.DamagedSourceWarning, match=r"the source is damaged: \d+ of 30 frames"):
        data = i2codec.encode(cut, **_TINY)
    count = i2codec.info(data)["frames"]
    assert 10 <= count <= 22
    assert i2codec.decode(data).samples.shape == (count, HEIGHT, WIDTH, 3)
    Path("cut.mkv").write_bytes(cut)
    result = run("encode", "cut.mkv", *_TINY_OPTIONS)
    assert result.exit_code == 0
    assert result.stderr.startswith("i2codec: the source is damaged: ")
    assert len(result.stderr.splitlines()) == 1
    assert Path("cut.i2").read_bytes() == data


def test_info(run: Callable[..., Result], packed: bytes, packed_heard: bytes) -> None:
    values = json.loads(run("info", "-", "--json", stdin=packed).stdout)
    assert (values["kind"], values["shape"]) == ("video", [FRAMES, HEIGHT, WIDTH, 3])
    assert (values["frames"], values["units"]) == (FRAMES, 1)
    assert values["fps"] == float(NTSC)
    assert values["duration_s"] == pytest.approx(FRAMES / float(NTSC))
    assert values["bitrate_bps"] == pytest.approx(8 * len(packed) * float(NTSC) / FRAMES)
    assert values["rate_bpp"] == pytest.approx(8 * len(packed) / (FRAMES * HEIGHT * WIDTH))
    assert "sound" not in values
    assert "rate_hz" not in values
    sound = json.loads(run("info", "-", "--json", stdin=packed_heard).stdout)["sound"]
    assert (sound["shape"], sound["rate_hz"], sound["units"]) == ([5334, 1], SOUND_RATE, 1)
    assert sound["duration_s"] == 5334 / SOUND_RATE
    assert 0 < sound["bitrate_bps"] < 8 * len(packed_heard) / sound["duration_s"]
    assert "sound" in run("info", "-", stdin=packed_heard).stdout


def test_compare(run: Callable[..., Result], mp4: bytes, packed: bytes, packed_heard: bytes) -> None:
    Path("v.mp4").write_bytes(mp4)
    Path("v.i2").write_bytes(packed)
    values = json.loads(run("compare", "v.mp4", "v.i2", "--json").stdout)
    keys = {"size_bytes", "rate_bpp", "frames", "fps", "duration_s", "bitrate_bps", "psnr_db", "psnr_db_per_frame"}
    assert values.keys() == keys
    assert (values["size_bytes"], values["frames"]) == (len(packed), FRAMES)
    assert values["fps"] == pytest.approx(float(NTSC))
    assert len(values["psnr_db_per_frame"]) == FRAMES
    errors = [10 ** (-decibels / 10) for decibels in values["psnr_db_per_frame"]]
    assert values["psnr_db"] == pytest.approx(-10 * np.log10(np.mean(errors)))
    assert run("decode", "v.i2", "-o", "w.mkv").exit_code == 0
    other = json.loads(run("compare", "v.mp4", "w.mkv", "--json").stdout)
    assert other["psnr_db"] == pytest.approx(values["psnr_db"], abs=1e-4)
    assert json.loads(run("compare", "v.mp4", "v.mp4", "--json").stdout)["psnr_db"] is None
    assert run("decode", "v.i2", "-o", "large.mkv", "--scale", "2").exit_code == 0
    assert "the videos are 32x24 and 64x48" in run("compare", "v.mp4", "large.mkv").stderr
    assert run("decode", "v.i2", "-o", "fast.mkv", "--fps", "60").exit_code == 0
    assert "expected the same length" in run("compare", "v.mp4", "fast.mkv").stderr


def test_verify(run: Callable[..., Result], packed_heard: bytes) -> None:
    Path("v.i2").write_bytes(packed_heard)
    assert run("verify", "v.i2").stdout == "v.i2: ok\n"


def test_the_command_line_does_the_same(run: Callable[..., Result], heard: bytes) -> None:
    Path("v.mkv").write_bytes(heard)
    assert run("encode", "v.mkv", *_TINY_OPTIONS).exit_code == 0
    assert Path("v.i2").read_bytes() == i2codec.encode(heard, **_TINY)
    arguments = ("--scale", "2", "--fps", "30000/1001", "--region", "1,2,10,8", "--start", "0.1", "--rate", "8000")
    assert run("decode", "v.i2", *arguments).exit_code == 0
    facts = stream_facts(Path("v.mp4").read_bytes())
    assert (facts["sizes"], facts["rate"], len(facts["times"])) == ({(20, 16)}, NTSC, 7)
    assert facts["kinds"] == ["video", "audio"]
    piped = run("decode", "-", "--duration", "0.1", stdin=Path("v.i2").read_bytes())
    assert stream_facts(piped.stdout_bytes)["sizes"] == {(WIDTH, HEIGHT)}
    frames = run("decode", "v.i2", "-o", "wide.mkv", "--size", "40x10")
    assert frames.stderr == "i2codec: size 40x10 does not keep the aspect of 32x24\n"


def fails(result: Result) -> str:
    """The one line on standard error of a command that failed as expected."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("i2codec: ")
    return lines[0]


def only_sound(samples: NDArray[np.float64]) -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        audio: Any = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :1024].astype(np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = SOUND_RATE, 0
        container.mux([*audio.encode(frame), *audio.encode(None)])
    return stream.getvalue()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("encode", "missing.mp4"), "does not exist"),
        (("encode", "text.mp4"), "text.mp4 is not a photo, sound, video or 3D shape, but text"),
        (("encode", "start.mp4"), "start.mp4 is not a readable video"),
        (("encode", "empty.mp4"), "is empty"),
        (("encode", "sound.mp4"), "sound.mp4"),
        (("encode", "header.mkv"), "header.mkv is not a readable video"),
        (("decode", "v.i2", "-o", "x.png"), "cannot write a video as .png"),
        (("decode", "v.i2", "-o", "v.i2", "--force"), "cannot write a video as .i2"),
        (("decode", "v.i2", "-o", "no/x.mp4"), "does not exist"),
        (("decode", "v.i2", "-o", "no/frames"), "cannot be made"),
        (("decode", "v.i2", "-o", "there"), "there already exists"),
        (("decode", "v.i2", "-o", "there", "--force"), "there already exists"),
        (("decode", "v.i2", "-o", "x.mp4", "--fps", "0"), "fps 0"),
        (("decode", "v.i2", "-o", "x.mp4", "--fps", "1001"), "expected 0.01 to 1000 per second"),
        (("decode", "v.i2", "-o", "x.gif", "--fps", "200"), "GIF holds at most 100"),
        (("decode", "v.i2", "-o", "x.mp4", "--rate", "0"), "rate 0"),
        (("decode", "v.i2", "-o", "x.mp4", "--start", "1"), "the video lasts 0.333667 s"),
        (("decode", "v.i2", "-o", "x.mp4", "--duration", "-1"), "expected more than 0"),
        (("decode", "v.i2", "-o", "x.mp4", "--scale", "0"), "above 0"),
        (("decode", "v.i2", "-o", "x.mp4", "--scale", "1e6"), "MP4 holds at most 16384"),
        (("decode", "v.i2", "-o", "frames", "--scale", "2000"), "the limit is"),
        (("decode", "v.i2", "-o", "x.mp4", "--size", "0x4"), "expected at least 1x1"),
        (("decode", "v.i2", "-o", "x.mp4", "--region", "0,0,33,1"), "does not lie inside the video of 32x24"),
        (("decode", "v.i2", "-o", "x.mp4", "--resolution", "9"), "resolution has no meaning for a video"),
        (("decode", "v.i2", "-o", "x.mp4", "--background", "red"), "background has no meaning for a video"),
        (("compare", "v.mp4", "tones.i2"), "the original is a video, the .i2 file holds a sound"),
        (("compare", "v.mp4", "text.mp4"), "text.mp4"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    run: Callable[..., Result],
    tones: Tones,
    mp4: bytes,
    packed: bytes,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    matroska = clip("matroska")
    contents = {
        "v.mp4": mp4,
        "v.i2": packed,
        "text.mp4": b"This is no video.",
        "start.mp4": mp4[:200],
        "empty.mp4": b"",
        "sound.mp4": only_sound(tones(1024)),
        "header.mkv": matroska[: matroska.index(b"\x1f\x43\xb6\x75")],  # up to the first cluster
        "tones.i2": (Path(__file__).parent / "golden" / "sound_v1.i2").read_bytes(),
    }
    for name, content in contents.items():
        Path(name).write_bytes(content)
    Path("there").mkdir()
    assert expected in fails(run(*arguments))
    assert not list(Path("there").iterdir())
    Path("there").rmdir()
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == contents
