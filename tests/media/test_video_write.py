"""Writing videos: what is read back is what was written."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from i2codec.errors import OptionError, OutputError
from i2codec.media.video import (
    FRAME_FOLDER,
    VIDEO_EXTENSIONS,
    FrameFolder,
    VideoWriter,
    check_video_output,
    holds_sound,
    open_video,
)
from i2codec.media.video_tags import container_tags
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    ColourTags,
    Kind,
    SampleFormat,
    SignalDescription,
)
from i2codec.signal.signal import MetadataKey
from i2codec.signal.timestamps import TimeStamps

NTSC = Fraction(1001, 30000)
RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
TAGS_709 = ColourTags(1, 1, 1, full_range=False)


def described(
    *,
    size: tuple[int, int, int] = (10, 24, 32),
    step: Fraction = NTSC,
    channels: tuple[ChannelRole, ...] = RGB,
    sample_format: SampleFormat = SampleFormat.UINT8,
    colour: ColourTags = TAGS_709,
) -> SignalDescription:
    axes = (Axis(AxisName.TIME, size[0], step), Axis(AxisName.Y, size[1]), Axis(AxisName.X, size[2]))
    return SignalDescription(Kind.VIDEO, axes, channels, sample_format, colour=colour)


def smooth_frames(description: SignalDescription) -> np.ndarray:
    """Colours that change slowly, with a white block that moves right by two pixels a frame."""
    count, height, width = description.extents
    t, y, x = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    planes = [0.5 + 0.4 * np.sin(x / 9 + t / 8), 0.3 + 0.4 * y / height, 0.5 + 0.3 * np.cos(y / 7 - t / 9)]
    frames = np.stack(planes[: len(description.channels)], axis=-1).astype(np.float32)
    for index in range(count):
        frames[index, 4:10, 2 * index : 2 * index + 6] = 1.0
    return frames


def written(
    description: SignalDescription,
    frames: np.ndarray,
    extension: str,
    *,
    timestamps: TimeStamps | None = None,
    metadata: dict[MetadataKey, bytes] | None = None,
) -> bytes:
    stream = io.BytesIO()
    with VideoWriter(
        stream, description, extension=extension, timestamps=timestamps, sound=None, metadata=metadata or {}
    ) as writer:
        for start in range(0, len(frames), 4):
            writer.write(frames[start : start + 4])
    assert not stream.closed
    return stream.getvalue()


def read_back(data: bytes) -> tuple[Any, np.ndarray]:
    reader = open_video(data, keep_metadata=True)
    frames = np.concatenate([reader.read(7), reader.read(1000)])
    assert reader.lost() is None
    reader.close()
    return reader, frames


@pytest.mark.parametrize("sample_format", [SampleFormat.UINT8, SampleFormat.UINT10])
@pytest.mark.parametrize("channels", [RGB, (ChannelRole.GREY,)])
@pytest.mark.parametrize("size", [(10, 24, 32), (3, 23, 31), (2, 1, 1)])
def test_mkv_keeps_every_bit(
    sample_format: SampleFormat, channels: tuple[ChannelRole, ...], size: tuple[int, int, int]
) -> None:
    description = described(size=size, channels=channels, sample_format=sample_format)
    peak = 255 if sample_format is SampleFormat.UINT8 else 1023
    values = np.random.default_rng(0).integers(0, peak + 1, (*size, len(channels)))
    reader, frames = read_back(written(description, (values / peak).astype(np.float32), ".mkv"))
    np.testing.assert_array_equal(np.rint(frames * peak), values)
    assert reader.description.channels == channels
    assert reader.description.sample_format is sample_format
    assert reader.description.axes == description.axes
    colour = reader.description.colour
    assert (colour.primaries, colour.transfer, colour.full_range) == (1, 1, True)


@pytest.mark.parametrize("sample_format", [SampleFormat.UINT8, SampleFormat.UINT10])
@pytest.mark.parametrize("size", [(10, 24, 32), (10, 23, 31)])
@pytest.mark.parametrize(
    "colour", [TAGS_709, ColourTags(9, 16, 9, full_range=False), ColourTags(6, 6, 6), ColourTags()]
)
def test_mp4_keeps_colours_and_their_tags(
    sample_format: SampleFormat, size: tuple[int, int, int], colour: ColourTags
) -> None:
    description = described(size=size, sample_format=sample_format, colour=colour)
    frames = smooth_frames(description)
    reader, decoded = read_back(written(description, frames, ".mp4"))
    assert reader.description.axes == description.axes
    assert reader.description.colour == colour
    assert reader.description.sample_format is sample_format
    assert np.abs(decoded - frames).mean() < 0.012
    quiet = (slice(None), slice(14, None))  # below the moving block, whose edges lose chroma
    assert np.abs(decoded - frames)[quiet].max() < 0.05
    for index in range(10):
        assert decoded[index, 5:9, 2 * index + 2 : 2 * index + 4].min() > 0.93


def test_every_player_gets_the_common_layout_where_sides_are_even() -> None:
    for size, expected in (((2, 24, 32), "yuv420p"), ((2, 24, 31), "yuv444p")):
        description = described(size=size)
        with av.open(io.BytesIO(written(description, smooth_frames(description), ".mp4"))) as container:
            assert container.streams.video[0].codec_context.pix_fmt == expected


def test_rgb_source_becomes_limited_range_video_with_the_usual_matrix() -> None:
    description = described(colour=ColourTags(1, 13, 0, full_range=True))
    frames = smooth_frames(description)
    reader, decoded = read_back(written(description, frames, ".mp4"))
    assert reader.description.colour == ColourTags(1, 13, 6, full_range=False)
    assert np.abs(decoded - frames).mean() < 0.012


@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_tags_that_no_encoder_knows_are_left_out(extension: str) -> None:
    description = described(colour=ColourTags(200, 255, 77, full_range=False))
    reader, _ = read_back(written(description, smooth_frames(description), extension))
    assert (reader.description.colour.primaries, reader.description.colour.transfer) == (2, 2)


def test_grey_mp4_is_grey_for_every_player() -> None:
    description = described(channels=(ChannelRole.GREY,))
    frames = smooth_frames(description)
    _, decoded = read_back(written(description, frames, ".mp4"))
    assert decoded.shape[-1] == 3
    assert np.abs(decoded - frames).max() < 0.06
    assert np.ptp(decoded, axis=-1).max() < 0.02


@pytest.mark.parametrize("step", [NTSC, Fraction(1, 25), Fraction(1001, 24000), Fraction(1, 60), Fraction(13, 317)])
@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_constant_rates_are_exact(step: Fraction, extension: str) -> None:
    description = described(size=(40, 8, 8), step=step)
    data = written(description, np.zeros((40, 8, 8, 3), np.float32), extension)
    reader, _ = read_back(data)
    assert reader.description.axes[0] == Axis(AxisName.TIME, 40, step)
    assert reader.timestamps() is None
    with av.open(io.BytesIO(data)) as container:
        assert container.duration / 1e6 == pytest.approx(40 * float(step), abs=1.1e-3)
        if extension == ".mp4":
            assert container.streams.video[0].average_rate == 1 / step


@settings(max_examples=25, deadline=None)
@example(gaps=[1, 1, 1, 5], base=Fraction(1, 90000))  # all within a millisecond
@given(
    st.lists(st.integers(1, 5000), min_size=2, max_size=12),
    st.sampled_from([Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 25)]),
)
def test_time_stamps_are_exact_in_mp4(gaps: list[int], base: Fraction) -> None:
    stamps = TimeStamps(base, (0, *np.cumsum(gaps).tolist()))
    description = described(size=(len(gaps), 8, 8), step=Fraction(1, 30))
    data = written(description, np.zeros((len(gaps), 8, 8, 3), np.float32), ".mp4", timestamps=stamps)
    reader, frames = read_back(data)
    found = reader.timestamps()
    if found is None:
        step = reader.description.axes[0].step
        times = [index * step for index in range(len(frames) + 1)]
    else:
        times = [tick * found.time_base for tick in found.ticks]
    wanted = [tick * base for tick in stamps.ticks]
    ends = len(times) if found is not None else -1  # a constant rate has no last frame of its own length
    assert np.abs([float(a - b) for a, b in zip(times[:ends], wanted[:ends], strict=True)]).max() <= float(base) + 1e-9


@pytest.mark.parametrize(("extension", "tick"), [(".mkv", 1000), (".gif", 100)])
def test_time_stamps_are_rounded_without_drift(extension: str, tick: int) -> None:
    gaps = [3, 1, 2, 7, 7, 1, 1, 1, 30, 2]
    stamps = TimeStamps(Fraction(1, 7), (0, *np.cumsum(gaps).tolist()))
    reader, _ = read_back(written(described(), smooth_frames(described()), extension, timestamps=stamps))
    found = reader.timestamps()
    times = [tick * found.time_base for tick in found.ticks]
    wanted = [tick * stamps.time_base for tick in stamps.ticks]
    ends = len(times) if extension == ".gif" else -1  # MKV leaves the end of the last frame open
    for time, want in zip(times[:ends], wanted[:ends], strict=True):
        assert abs(time - want) <= Fraction(1, 2 * tick)


@pytest.mark.parametrize(("extension", "tick"), [(".mkv", 1000), (".gif", 100)])
def test_frames_closer_than_a_tick_are_all_kept(extension: str, tick: int) -> None:
    stamps = TimeStamps(Fraction(1, 4 * tick), (0, 1, 2, 3, 4, 5, 6, 7, 8, 400, 800))
    reader, frames = read_back(written(described(), smooth_frames(described()), extension, timestamps=stamps))
    assert len(frames) == 10
    assert reader.timestamps().ticks[:10] == (*range(9), 100)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_very_fast_videos_keep_their_frames(count: int) -> None:
    description = described(size=(count, 8, 8), step=Fraction(1, 5000))
    reader, _ = read_back(written(description, np.zeros((count, 8, 8, 3), np.float32), ".mp4"))
    assert reader.description.extents[0] == count


def test_gif_keeps_length_and_looks() -> None:
    description = described(size=(25, 24, 64))
    frames = smooth_frames(description)
    data = written(description, frames, ".gif")
    reader, decoded = read_back(data)
    assert reader.description.extents == (25, 24, 64)
    assert np.abs(decoded - frames).mean() < 0.03
    for index in range(25):
        assert decoded[index, 5:9, 2 * index + 1 : 2 * index + 5].min() > 0.9
    with Image.open(io.BytesIO(data)) as image:
        delays = []
        for index in range(image.n_frames):
            image.seek(index)
            delays.append(image.info["duration"])
        for index, end in enumerate(np.cumsum(delays)):
            assert abs(end - 1000 * float((index + 1) * NTSC)) <= 5  # half a hundredth of a second
        assert set(delays) <= {30, 40}
        assert image.info["loop"] == 0


def test_grey_gif() -> None:
    description = described(channels=(ChannelRole.GREY,))
    _, decoded = read_back(written(description, smooth_frames(description), ".gif"))
    assert np.abs(decoded - smooth_frames(description)).mean() < 0.01


def test_samples_outside_the_range_are_clipped() -> None:
    frames = np.array([-0.5, 0.0, 1.0, 1.5], np.float32).reshape(1, 2, 2, 1).repeat(3, axis=-1)
    _, decoded = read_back(written(described(size=(1, 2, 2)), frames, ".mkv"))
    np.testing.assert_array_equal(decoded, np.clip(frames, 0, 1))


@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_tags_are_written(extension: str) -> None:
    block = json.dumps({"title": "Été", "artist": "A"}, ensure_ascii=False).encode()
    data = written(described(), smooth_frames(described()), extension, metadata={MetadataKey.TAGS: block})
    reader = open_video(data, keep_metadata=True)
    assert json.loads(reader.metadata[MetadataKey.TAGS]) == {"title": "Été", "artist": "A"}
    reader.close()


@pytest.mark.parametrize("block", [b"", b"\xff", b"[1]", b"1e999", b'{"a": 1, "b": "\\u0000"}', b"[" * 100_000])
def test_odd_tag_blocks_are_as_good_as_none(block: bytes) -> None:
    assert container_tags({MetadataKey.TAGS: block}) == {}
    assert container_tags({}) == {}


def test_folder_of_frames(tmp_path: Path) -> None:
    description = described(sample_format=SampleFormat.UINT8)
    frames = smooth_frames(description)
    folder = FrameFolder(tmp_path, description)
    folder.write(frames[:3])
    folder.write_sound(np.zeros((5, 1), np.float32))
    folder.write(frames[3:])
    folder.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"frame_{number:06}.png" for number in range(1, 11)]
    for name, frame in zip(names, frames, strict=True):
        with Image.open(tmp_path / name) as image:
            np.testing.assert_array_equal(np.asarray(image), np.rint(np.clip(frame, 0, 1) * 255))


def test_deep_frames_become_16_bit_files(tmp_path: Path) -> None:
    description = described(size=(1, 4, 256), channels=(ChannelRole.GREY,), sample_format=SampleFormat.UINT10)
    values = np.arange(1024).reshape(1, 4, 256, 1)
    FrameFolder(tmp_path, description).write((values / 1023).astype(np.float32))
    with Image.open(tmp_path / "frame_000001.png") as image:
        np.testing.assert_array_equal(np.rint(np.asarray(image) / 65535 * 1023), values[0, ..., 0])


def test_folder_must_be_there_and_empty(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not a folder that can be written; expected an empty one"):
        FrameFolder(tmp_path / "no", described())
    (tmp_path / "x").touch()
    with pytest.raises(OutputError, match="is not empty; expected an empty folder"):
        FrameFolder(tmp_path, described())


def test_outputs_that_cannot_be_written() -> None:
    for extension in (*VIDEO_EXTENSIONS, ".MP4", FRAME_FOLDER):
        check_video_output(extension, described(), sound=None)
    with pytest.raises(OutputError, match=r"cannot write a video as .avi; use .mp4 .mkv .gif, or no extension"):
        check_video_output(".avi", described(), sound=None)
    with pytest.raises(OutputError, match=r"side of 20000 pixels; MP4 holds at most 16384"):
        check_video_output(".mp4", described(size=(1, 2, 20000)), sound=None)
    with pytest.raises(OutputError, match=r"has 120 frames per second; GIF holds at most 100: write .mp4"):
        check_video_output(".gif", described(step=Fraction(1, 120)), sound=None)
    with pytest.raises(OutputError, match="channels red, green, blue, alpha; expected a video in RGB or grey"):
        check_video_output(".mp4", described(channels=(*RGB, ChannelRole.ALPHA)), sound=None)
    photo = replace(described(), kind=Kind.PHOTO)
    with pytest.raises(OutputError, match="a photo of channels"):
        check_video_output(".mp4", photo, sound=None)


def test_sound_is_left_out_of_gif_and_folders() -> None:
    sound = SignalDescription(
        Kind.SOUND, (Axis(AxisName.TIME, 9, Fraction(1, 8000)),), (ChannelRole.SOUND,) * 9, SampleFormat.INT16
    )
    for extension in (".gif", FRAME_FOLDER):
        assert not holds_sound(extension)
        check_video_output(extension, described(), sound=sound)
    for extension in (".mp4", ".mkv"):
        assert holds_sound(extension)
        with pytest.raises(OutputError, match=r"sound track has 9 channels; M.. holds at most 8"):
            check_video_output(extension, described(), sound=sound)
        uneven = replace(sound, channels=sound.channels[:1], axes=(Axis(AxisName.TIME, 9, Fraction(2, 8001)),))
        with pytest.raises(OutputError, match="8001/2 samples per second; expected a whole number"):
            check_video_output(extension, described(), sound=uneven)


def writer_on(stream: Any, extension: str = ".mp4", timestamps: TimeStamps | None = None) -> VideoWriter:
    return VideoWriter(stream, described(), extension=extension, timestamps=timestamps, sound=None, metadata={})


def test_wrong_calls() -> None:
    stamps = TimeStamps(Fraction(1), (0, 1, 3))
    with (
        pytest.raises(OptionError, match="more frames than the 2 that have time stamps"),
        writer_on(io.BytesIO(), timestamps=stamps) as writer,
    ):
        writer.write(np.zeros((3, 24, 32, 3), np.float32))
    with (
        pytest.raises(OptionError, match=r"frames of shape \(24, 31, 3\); expected \(24, 32, 3\)"),
        writer_on(io.BytesIO()) as writer,
    ):
        writer.write(np.zeros((3, 24, 31, 3), np.float32))
    with pytest.raises(OptionError, match="written by FrameFolder"):
        writer_on(io.BytesIO(), FRAME_FOLDER)


@pytest.mark.parametrize("extension", VIDEO_EXTENSIONS)
def test_no_frames_is_an_error(extension: str) -> None:
    with pytest.raises(OutputError, match="would be empty; expected at least one frame"):
        writer_on(io.BytesIO(), extension).close()


@pytest.mark.parametrize("extension", VIDEO_EXTENSIONS)
def test_full_disk_is_reported(extension: str) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    writer = writer_on(Full(), extension)
    with pytest.raises(OutputError, match=r"cannot be written .*No space left on device.*; check"), writer:
        writer.write(np.random.default_rng(0).random((60, 24, 32, 3), np.float32))


def test_giving_up_after_the_file_was_closed(tmp_path: Path) -> None:
    with (tmp_path / "clip.mp4").open("x+b") as stream:
        writer = writer_on(stream)
        writer.write(np.zeros((3, 24, 32, 3), np.float32))
    writer.give_up()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for extension in VIDEO_EXTENSIONS:
        written(described(), smooth_frames(described()), extension)
    assert capfd.readouterr() == ("", "")
