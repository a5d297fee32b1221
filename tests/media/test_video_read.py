"""Reading videos: codecs, depth, time, orientation, damage, memory."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from i2codec.media.video import VideoReader, count_frames, open_video
from i2codec.signal.description import AxisName, ChannelRole, Kind, SampleFormat, SourceContainer
from i2codec.signal.signal import MetadataKey

HEIGHT, WIDTH = 24, 32
NTSC = Fraction(30000, 1001)


def block_picture(index: int, *, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Grey, with a white block that moves right by two pixels a frame, and a red corner."""
    picture = np.full((height, width, 3), 60, np.uint8)
    picture[4:12, 2 * index : 2 * index + 6] = 255
    picture[-6:, :6] = (200, 20, 20)
    return picture


def clip(
    muxer: str = "mp4",
    codec: str = "libx264",
    *,
    pixel_format: str = "yuv420p",
    count: int = 12,
    rate: Fraction = NTSC,
    ticks: Sequence[int] | None = None,
    base: Fraction | None = None,
    height: int = HEIGHT,
    width: int = WIDTH,
    options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    metadata: dict[str, str] | None = None,
) -> bytes:
    stream = io.BytesIO()
    container = av.open(stream, "w", format=muxer)
    container.metadata.update(metadata or {})
    video: Any = container.add_stream(codec, rate=rate)
    video.width, video.height, video.pix_fmt = width, height, pixel_format
    context = video.codec_context
    context.time_base = base or 1 / rate
    context.options = options if options is not None else {"crf": "4"} if codec == "libx264" else {}
    for name, value in (tags or {}).items():
        setattr(context, name, value)
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(block_picture(index, height=height, width=width), "rgb24")
        frame.pts, frame.time_base = (ticks[index] if ticks else index), context.time_base
        for packet in video.encode(frame):
            packet.duration = packet.duration or 1
            container.mux(packet)
    for packet in video.encode(None):
        container.mux(packet)
    container.close()
    return stream.getvalue()


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Any:
    """Opens videos and closes them after the test."""

    def opening(data: bytes | Path, *, keep_metadata: bool = False) -> VideoReader:
        reader = open_video(data, keep_metadata=keep_metadata)
        request.addfinalizer(reader.close)
        return reader

    return opening


def assert_shows_block(frames: np.ndarray, *, tolerance: float = 0.12) -> None:
    for index, frame in enumerate(frames):
        expected = block_picture(index, height=frame.shape[0], width=frame.shape[1]) / 255
        expected = expected if frame.shape[2] == 3 else expected.mean(axis=-1, keepdims=True)
        inside = frame[5:11, 2 * index + 1 : 2 * index + 5]
        assert inside.min() > 1 - tolerance, index
        assert np.abs(frame - expected).mean() < tolerance / 2, index


@pytest.mark.parametrize(
    ("muxer", "codec", "pixel_format", "container"),
    [
        ("mp4", "libx264", "yuv420p", SourceContainer.MP4),
        ("mov", "mpeg4", "yuv420p", SourceContainer.MP4),
        ("matroska", "ffv1", "yuv444p", SourceContainer.MATROSKA),
        ("matroska", "libx264", "yuv444p", SourceContainer.MATROSKA),
        ("webm", "libvpx-vp9", "yuv420p", SourceContainer.MATROSKA),
        ("webm", "libvpx", "yuv420p", SourceContainer.MATROSKA),
        ("avi", "mjpeg", "yuvj420p", SourceContainer.OTHER),
        ("mpegts", "libx264", "yuv420p", SourceContainer.OTHER),
        ("h264", "libx264", "yuv420p", SourceContainer.OTHER),
    ],
)
def test_containers_and_codecs(
    muxer: str, codec: str, pixel_format: str, container: SourceContainer, opened: Any
) -> None:
    rate = Fraction(25) if muxer == "h264" else NTSC  # a raw stream says no rate that FFmpeg would read
    reader = opened(clip(muxer, codec, pixel_format=pixel_format, rate=rate))
    description = reader.description
    assert description.kind is Kind.VIDEO
    assert description.extents == (12, HEIGHT, WIDTH)
    assert [axis.name for axis in description.axes] == [AxisName.TIME, AxisName.Y, AxisName.X]
    assert description.axes[0].step == 1 / rate
    assert description.channels == (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
    assert description.sample_format is SampleFormat.UINT8
    assert description.source is container
    frames = np.concatenate([reader.read(5), reader.read(5), reader.read(5)])
    assert frames.shape == (12, HEIGHT, WIDTH, 3)
    assert frames.dtype == np.float32
    assert reader.read(5).shape == (0, HEIGHT, WIDTH, 3)
    assert_shows_block(frames, tolerance=0.25)
    assert reader.timestamps() is None
    assert reader.lost() is None
    assert not reader.has_sound


def test_path_and_bytes_give_the_same_and_content_decides(tmp_path: Path, opened: Any) -> None:
    path = tmp_path / "clip.txt"
    path.write_bytes(clip())
    from_path, from_bytes = opened(path), opened(clip())
    assert from_path.description == from_bytes.description
    np.testing.assert_array_equal(from_path.read(20), from_bytes.read(20))
    assert count_frames(path) == 12


@pytest.mark.parametrize(("codec", "bits"), [("libx264", 10), ("ffv1", 12), ("libx265", 10)])
def test_deep_video_keeps_more_than_eight_bits(codec: str, bits: int, opened: Any) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else None
    reader = opened(clip("matroska", codec, pixel_format=f"yuv420p{bits}le", options=options))
    assert reader.description.sample_format is SampleFormat.UINT10
    assert_shows_block(reader.read(12))


@pytest.mark.parametrize("size", [(23, 33), (25, 31)])
def test_odd_sizes(size: tuple[int, int], opened: Any) -> None:
    height, width = size
    frames = opened(clip("matroska", "ffv1", height=height, width=width)).read(12)
    assert frames.shape == (12, height, width, 3)
    assert_shows_block(frames)


def test_grey_stays_grey(opened: Any) -> None:
    reader = opened(clip("matroska", "ffv1", pixel_format="gray"))
    assert reader.description.channels == (ChannelRole.GREY,)
    assert_shows_block(reader.read(12))


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("primaries", "transfer", "matrix"), [(1, 13, 1), (9, 16, 9), (6, 6, 6), (2, 2, 2)])
def test_colour_tags_are_kept(primaries: int, transfer: int, matrix: int, full_range: bool, opened: Any) -> None:
    tags = {
        "color_primaries": primaries,
        "color_trc": transfer,
        "colorspace": matrix,
        "color_range": 2 if full_range else 1,
    }
    colour = opened(clip(tags=tags)).description.colour
    assert (colour.primaries, colour.transfer, colour.matrix) == (primaries, transfer, matrix)
    assert colour.full_range is full_range


def with_matrix(data: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """An MP4 whose track header shows a stored point (p, q) at (a p + c q, b p + d q), up to a shift."""
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (65536 * number for number in matrix)
    return data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36 :]


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((1, 0, 0, 1), lambda frame: frame),
        ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),  # clockwise, as phones write it
        ((0, -1, 1, 0), lambda frame: np.rot90(frame, 1)),
        ((-1, 0, 0, -1), lambda frame: np.rot90(frame, 2)),
        ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
        ((0, 1, 1, 0), lambda frame: frame.transpose(1, 0, 2)),
    ],
)
def test_frames_come_upright(matrix: tuple[int, int, int, int], turned: Any, opened: Any) -> None:
    plain = opened(clip()).read(12)
    reader = opened(with_matrix(clip(), matrix))
    expected = np.stack([turned(frame) for frame in plain])
    assert reader.description.extents == expected.shape[:3]
    np.testing.assert_array_equal(reader.read(12), expected)


@pytest.mark.parametrize("key_distance", ["1", "12"])
def test_frames_that_the_edit_list_skips_do_not_count(key_distance: str, opened: Any) -> None:
    whole = clip(options={"crf": "4", "bf": "0", "g": key_distance})
    data = bytearray(whole)
    at = data.index(b"elst") + 12  # duration and first time of the only entry
    data[at : at + 8] = struct.pack(">ii", 300, 3003)
    skipped = opened(bytes(data))
    count = skipped.description.extents[0]
    frames = skipped.read(20)
    assert len(frames) == count == 9
    np.testing.assert_array_equal(frames, opened(whole).read(12)[3:])
    assert skipped.lost() is None


def test_frames_that_only_prepare_others_do_not_count(opened: Any) -> None:
    data = clip("webm", "libvpx")
    with av.open(io.BytesIO(data)) as container:
        packet = bytes([packet for packet in container.demux(video=0) if packet.size][5])
    assert data.count(packet) == 1
    hidden = bytes([packet[0] & ~0x10]) + packet[1:]
    reader = opened(data.replace(packet, hidden))
    assert reader.description.extents[0] == len(reader.read(100)) == 11
    assert reader.lost() is None


def test_variable_frame_rate_becomes_time_stamps(opened: Any) -> None:
    ticks = [0, 3, 5, 11, 12, 13, 20, 31, 32, 40]
    reader = opened(clip(count=10, ticks=ticks, base=Fraction(1, 90)))
    assert reader.timestamps() is None  # nothing is read yet
    assert_shows_block(reader.read(4))
    stamps = reader.timestamps()
    assert [tick * stamps.time_base for tick in stamps.ticks] == [Fraction(tick, 90) for tick in ticks[:5]]
    reader.read(10)
    stamps = reader.timestamps()
    assert [tick * stamps.time_base for tick in stamps.ticks[:-1]] == [Fraction(tick, 90) for tick in ticks]
    assert reader.description.axes[0].step == stamps.duration / 10


def test_animated_gif(opened: Any) -> None:
    images = [Image.fromarray(block_picture(index)) for index in range(5)]
    stream = io.BytesIO()
    images[0].save(stream, "GIF", save_all=True, append_images=images[1:], duration=[100, 100, 100, 100, 900])
    reader = opened(stream.getvalue())
    assert reader.description.source is SourceContainer.GIF
    assert reader.description.channels[-1] is ChannelRole.BLUE
    np.testing.assert_array_equal(np.rint(reader.read(9) * 255), np.stack([np.asarray(image) for image in images]))
    stamps = reader.timestamps()
    assert [tick * stamps.time_base * 10 for tick in stamps.ticks] == [0, 1, 2, 3, 4, 13]


def test_tags_are_kept_on_request(opened: Any) -> None:
    data = clip(metadata={"title": "Été", "artist": "A", "encoder": "x"})
    assert opened(data).metadata == {}
    block = opened(data, keep_metadata=True).metadata[MetadataKey.TAGS]
    assert json.loads(block) == {"artist": "A", "title": "Été"}
    assert opened(clip(), keep_metadata=True).metadata == {}


def test_cut_matroska_gives_what_is_there_and_says_what_is_lost(opened: Any) -> None:
    whole = clip("matroska", "ffv1", count=40, rate=Fraction(25), width=160)
    reader = opened(whole[: len(whole) * 6 // 10])
    frames = reader.read(100)
    assert 12 < len(frames) < 32
    assert_shows_block(frames)
    assert reader.lost() == f"{40 - len(frames)} of 40 frames could not be decoded"
    assert reader.timestamps() is None


def test_cut_mp4_says_what_is_lost(tmp_path: Path, opened: Any) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height = WIDTH, HEIGHT
        for index in range(40):
            values = np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(values, "rgb24")))
        container.mux(video.encode(None))
    whole = path.read_bytes()
    reader = opened(whole[: len(whole) * 6 // 10])
    count = len(reader.read(100))
    assert 12 < count < 28
    assert reader.description.axes[0].step == Fraction(1, 25)
    assert reader.lost().startswith(f"{40 - count} of 40 frames could not be decoded")


def test_cut_avi_says_what_is_lost(opened: Any) -> None:
    whole = clip("avi", "mjpeg", pixel_format="yuvj420p", count=20, rate=Fraction(25), height=96, width=192)
    reader = opened(whole[: len(whole) * 8 // 10])
    frames = reader.read(100)
    assert 3 < len(frames) < 20
    assert reader.lost() == f"{20 - len(frames)} of 20 frames could not be decoded"


def test_frame_cut_in_two_is_told_as_damaged(opened: Any) -> None:
    whole = clip("avi", "mpeg4", count=20, rate=Fraction(25), height=96, width=192, options={"g": "5"})
    position, size = list(packets_of(whole))[10]
    reader = opened(whole[: position + size // 2])
    assert len(reader.read(100)) == 11
    assert reader.lost() == "9 of 20 frames could not be decoded, 1 came out damaged"


def packets_of(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the packets of a video lie in its file."""
    with av.open(io.BytesIO(data)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                yield packet.pos, packet.size


def test_damaged_frames_in_the_middle(opened: Any) -> None:
    data = bytearray(clip("mov", "png", pixel_format="rgb24", count=10, rate=Fraction(25)))
    for position, _ in list(packets_of(bytes(data)))[3:5]:
        data[position : position + 8] = b"damaged!"
    reader = opened(bytes(data))
    frames = reader.read(20)
    assert len(frames) == 8
    assert reader.lost() == "2 of 10 frames could not be decoded"
    stamps = reader.timestamps()  # what is left keeps its time
    assert [tick * stamps.time_base * 25 for tick in stamps.ticks] == [0, 1, 2, 5, 6, 7, 8, 9, 10]


def test_packets_without_a_frame_are_not_lost_ones(opened: Any) -> None:
    reader = opened(clip())
    reader.read(20)
    reader._scan = replace(reader._scan, frame_count=13, announced_count=13)  # as of fields that pair up
    assert reader.lost() is None


def test_damaged_packets_of_a_video_that_builds_on_them(opened: Any) -> None:
    data = bytearray(clip(count=30, options={"crf": "10", "g": "10"}))
    for position, size in list(packets_of(bytes(data)))[12:14]:
        data[position + 8 : position + size] = bytes(size - 8)
    reader = opened(bytes(data))
    count = len(reader.read(50))
    assert 20 <= count < 30
    assert reader.lost() == f"{30 - count} of 30 frames could not be decoded"


def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    def peak(count: int) -> int:
        data = clip("matroska", "ffv1", count=count, height=96, width=128, rate=Fraction(25))
        tracemalloc.start()
        reader = open_video(data, keep_metadata=False)
        while len(reader.read(4)):
            pass
        reader.close()
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    picture = 96 * 128 * 3 * 4
    few, many = peak(20), peak(200)
    assert few < 16 * picture
    assert many < few + picture


def test_close_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(count=3))
    reader = open_video(path, keep_metadata=False)
    reader.read(1)
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader._source._stream.read(1)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    whole = clip("matroska", "ffv1", count=20)
    reader = open_video(whole[: len(whole) // 2], keep_metadata=False)
    reader.read(20)
    reader.close()
    assert capfd.readouterr() == ("", "")
