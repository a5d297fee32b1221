"""Sources that are no video, and hostile ones."""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from i2codec.errors import InputError
from i2codec.media import video_formats, video_read
from i2codec.media.video import count_frames, open_video, open_video_sound


def clip(
    *, muxer: str = "matroska", codec: str = "ffv1", sizes: list[tuple[int, int]], pixel_format: str = "bgr0"
) -> bytes:
    """Frames of black; those whose size differs from the first are coded on their own."""
    stream = io.BytesIO()
    container = av.open(stream, "w", format=muxer)
    height, width = sizes[0]
    video: Any = container.add_stream(codec, rate=Fraction(25))
    video.width, video.height, video.pix_fmt = width, height, pixel_format
    video.codec_context.time_base = Fraction(1, 25)
    for index, (height, width) in enumerate(sizes):
        encoder = av.CodecContext.create(codec, "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, pixel_format
        encoder.time_base = Fraction(1, 25)
        frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), "rgb24")
        for packet in [*encoder.encode(frame.reformat(format=pixel_format)), *encoder.encode(None)]:
            packet.stream, packet.pts, packet.dts, packet.time_base = video, index, index, Fraction(1, 25)
            container.mux(packet)
    container.close()
    return stream.getvalue()


def sound_file() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(4000))
    return stream.getvalue()


def picture(pillow_format: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 24), "red").save(stream, pillow_format)
    return stream.getvalue()


def refused(source: Path | bytes, pattern: str) -> None:
    for opening in (lambda: open_video(source, keep_metadata=False), lambda: count_frames(source)):
        with pytest.raises(InputError, match=pattern) as caught:
            opening()
        assert "\n" not in str(caught.value)


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    refused(tmp_path / "no.mp4", r"no\.mp4 does not exist; expected a video: check the path")
    refused(tmp_path, "is a directory; expected a video: name a file in it")
    (tmp_path / "empty.mp4").touch()
    refused(tmp_path / "empty.mp4", "is empty; expected a video such as MP4")
    refused(b"", "standard input is empty")


@pytest.mark.parametrize("data", [b"hello " * 500, bytes(5000), b"\x00\x00\x00\x20ftypisom" + bytes(64), b"GIF89a"])
def test_other_bytes(data: bytes) -> None:
    refused(data, "standard input is not a readable video .*; expected a video such as|holds no frames|holds neither")


def test_text_file_is_not_shown_as_a_video(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"  # FFmpeg would draw it on account of its name
    path.write_bytes(b"just some words\n" * 200)
    refused(path, "not a readable video")


@pytest.mark.parametrize("pillow_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_still_pictures(pillow_format: str) -> None:
    refused(picture(pillow_format), "is a still picture; expected a video")


def test_sound_only() -> None:
    refused(sound_file(), "standard input holds sound only; expected a video")


def test_cover_picture_is_not_a_video() -> None:
    mp3 = io.BytesIO()
    with av.open(mp3, "w", format="mp3") as container:
        stream: Any = container.add_stream("libmp3lame", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    cover = b"\x00image/png\x00\x03\x00" + picture("PNG")
    frame_header = b"APIC" + len(cover).to_bytes(4, "big") + b"\0\0"
    tag = frame_header + cover
    size = bytes(len(tag) >> shift & 127 for shift in (21, 14, 7, 0))
    refused(b"ID3\x03\x00\x00" + size + tag + mp3.getvalue(), "holds sound only")


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile '{path}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path}\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
    ],
)
def test_playlists_open_nothing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(clip(sizes=[(24, 32)]))
    refused(text.format(path=path).encode(), "not a readable video")


def test_size_is_checked_before_memory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    data = clip(sizes=[(24, 32)])
    monkeypatch.setattr(video_formats, "MAX_PIXELS", 700)
    monkeypatch.delattr(video_read, "StreamDecoder")  # nothing may be decoded
    with pytest.raises(InputError, match="frames of 32 x 24 pixels; expected 1 to 700 pixels"):
        open_video(data, keep_metadata=False)


def test_huge_announced_frames() -> None:
    data = bytearray(clip(sizes=[(24, 32)]))
    at = data.index(b"\xb0\x81\x20\xba\x81\x18")  # pixel width and height of the track
    data[at : at + 6] = b"\xb0\x82\xff\xff\xba\x80"
    refused(bytes(data), "pixels|not a readable video|frame")


def test_change_of_size() -> None:
    data = clip(muxer="mov", codec="png", pixel_format="rgb24", sizes=[(24, 32), (24, 32), (26, 34)])
    reader = open_video(data, keep_metadata=False)
    assert len(reader.read(2)) == 2
    with pytest.raises(InputError, match="changes from 32 x 24 to 34 x 26 pixels at frame 3; expected one size"):
        reader.read(1)
    reader.close()


def test_no_frame_that_can_be_decoded() -> None:
    data = bytearray(clip(muxer="mov", codec="png", pixel_format="rgb24", sizes=[(24, 32)] * 3))
    while (at := data.find(b"\x89PNG")) >= 0:
        data[at : at + 4] = b"none"
    with pytest.raises(InputError, match="has no frame that can be decoded; expected a video"):
        open_video(bytes(data), keep_metadata=False)


def test_colour_space_that_is_not_supported() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        video.codec_context.colorspace = 10
        for packet in [*video.encode(av.VideoFrame(32, 24, "yuv420p")), *video.encode(None)]:
            container.mux(packet)
    with pytest.raises(InputError, match=r"has colour of matrix 10 \(ITU-T H.273\); expected"):
        open_video(stream.getvalue(), keep_metadata=False)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_bytes_give_frames_or_an_input_error(data: st.DataObject) -> None:
    whole = bytearray(CLIP)
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(1, len(whole)))])
    try:
        reader = open_video(cut, keep_metadata=True)
        frames = reader.read(6)
        assert frames.shape[1:] == (*reader.description.extents[1:], len(reader.description.channels))
        assert np.isfinite(frames).all()
        reader.timestamps()
        reader.lost()
        reader.close()
        sound = open_video_sound(cut)
        assert sound is None
    except InputError as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017


CLIP = clip(sizes=[(24, 32)] * 4)
