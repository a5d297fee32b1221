"""Videos from files and from bytes, frame by frame."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError
from i2codec.media.video_colour import IDENTITY, known_matrix
from i2codec.media.video_formats import INPUT_FORMATS, check_frame_size
from i2codec.media.video_frames import FrameSamples, Layout, is_full_range, orientation
from i2codec.media.video_scan import Scan, scan_video
from i2codec.media.video_source import StreamDecoder, VideoSource, picture_stream, reading, sound_stream
from i2codec.media.video_tags import tags_block
from i2codec.media.video_timing import stamps_of
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

_RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)


def open_video(source: Path | bytes, *, keep_metadata: bool) -> VideoReader:
    """Open a video of any kind that FFmpeg decodes, told by its content.

    Frames come out upright and as RGB in 0..1, after the file's own matrix and range; grey
    pixel formats stay grey. Alpha is dropped. Samples of more than 8 bits are marked as 10-bit
    ones, and none of their bits is lost on reading. Interlaced frames stay so, and pixels count
    as square.

    Parameters
    ----------
    source:
        Path, or file content that came from standard input.
    keep_metadata:
        Whether to keep the title and other descriptive tags.

    Raises
    ------
    InputError
        If the source is missing, not a video, without a frame that can be decoded, in a colour
        space that is not supported, or has frames over
        :data:`~i2codec.media.image_formats.MAX_PIXELS`.
    """
    opened = VideoSource(source)
    try:
        return VideoReader(opened, keep_metadata=keep_metadata)
    except BaseException:
        opened.close()
        raise


def count_frames(source: Path | bytes) -> int:
    """Frames that a video file holds, counted without decoding them.

    Raises
    ------
    InputError
        If the source is missing or not a video.
    """
    opened = VideoSource(source)
    try:
        return scan_video(opened).frame_count
    finally:
        opened.close()


class VideoReader:
    """Frames of a video, read once from front to back; a :class:`~i2codec.signal.stream.SignalReader`.

    Parameters
    ----------
    source:
        The file; closed with the reader.
    keep_metadata:
        Whether to keep descriptive tags.

    Attributes
    ----------
    has_sound:
        Whether there is a sound track, which :func:`~i2codec.media.video.open_video_sound` reads.
    """

    def __init__(self, source: VideoSource, *, keep_metadata: bool) -> None:
        """Count the frames and decode the first, which tells the format."""
        self._source, self._scan = source, scan_video(source)
        container = source.open()
        stream = picture_stream(container, name=source.name)
        self.has_sound = sound_stream(container) is not None
        self._samples, self._starts, self._decoded = FrameSamples(), array("q"), 0
        self._damaged = 0
        self._frames = StreamDecoder(container, stream)
        first = self._frames.next()
        if first is None:
            raise InputError(f"{source.name} has no frame that can be decoded; expected {INPUT_FORMATS}")
        self._waiting: deque[Any] = deque([first])
        self._size = (first.width, first.height)
        self._layout = Layout.of(first.format)
        self.description = _description(first, stream, self._scan, source)
        block = tags_block(container.metadata) if keep_metadata else None
        self.metadata: Mapping[MetadataKey, bytes] = {MetadataKey.TAGS: block} if block else {}

    def read(self, count: int) -> NDArray[np.float32]:
        """The next ``count`` frames ``[n, H, W, C]`` in 0..1; fewer only at the end.

        Raises
        ------
        InputError
            If a frame has another size than the first, or colour in a grey video.
        """
        shape = (*self.description.extents[1:], len(self.description.channels))
        pictures: list[NDArray[np.float32]] = []
        while len(pictures) < count:
            frame = self._waiting.popleft() if self._waiting else self._frames.next()
            if frame is None:
                break
            pictures.append(self._picture(frame))
        return np.stack(pictures) if pictures else np.zeros((0, *shape), np.float32)

    def timestamps(self) -> TimeStamps | None:
        """When the frames read so far begin, and the end of the last; ``None`` at a constant frame rate."""
        return stamps_of(self._starts, self._scan.timing)

    def lost(self) -> str | None:
        """After the end: how many frames are missing or damaged, in words; ``None`` if none is."""
        announced = max(self._scan.announced_count, self._decoded)
        missing = announced - self._decoded
        suspect = self._frames.failures or not self._scan.intact or self._scan.announced_count > self._scan.frame_count
        parts = []
        if suspect and missing:
            parts.append(f"{missing} of {announced} frames could not be decoded")
        if self._damaged:
            parts.append(f"{self._damaged} came out damaged" if parts else f"{self._damaged} frames came out damaged")
        return ", ".join(parts) or None

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _picture(self, frame: Any) -> NDArray[np.float32]:
        self._check_frame(frame)
        with reading(self._source.name):
            samples = self._samples.of(frame)
        if samples.shape[2] != len(self.description.channels):  # grey between frames in colour
            samples = np.repeat(samples, 3, axis=2)
        self._note_start(frame)
        self._decoded += 1
        self._damaged += frame.is_corrupt
        return samples

    def _check_frame(self, frame: Any) -> None:
        name, number = self._source.name, self._decoded + 1
        if (frame.width, frame.height) != self._size:
            was, now = (f"{width} x {height}" for width, height in (self._size, (frame.width, frame.height)))
            raise InputError(
                f"{name} changes from {was} to {now} pixels at frame {number}; expected one size: split it"
            )
        if Layout.of(frame.format).channel_count > len(self.description.channels):
            raise InputError(f"{name} changes from grey to colour at frame {number}; expected one format: convert it")

    def _note_start(self, frame: Any) -> None:
        if frame.pts is not None:
            self._starts.append(frame.pts)
        elif self._starts:
            self._starts.append(self._starts[-1] + max(1, round(self._scan.timing.step / self._scan.timing.time_base)))
        else:
            self._starts.append(self._scan.timing.starts[0] if self._scan.timing.starts else 0)


def _description(frame: Any, stream: Any, scan: Scan, source: VideoSource) -> SignalDescription:
    check_frame_size(frame.height, frame.width, name=source.name)
    layout = Layout.of(frame.format)
    height, width = frame.height, frame.width
    if orientation(frame).transpose:
        height, width = width, height
    return SignalDescription(
        kind=Kind.VIDEO,
        axes=(
            Axis(AxisName.TIME, scan.frame_count, scan.timing.step),
            Axis(AxisName.Y, height),
            Axis(AxisName.X, width),
        ),
        channels=_RGB if layout.channel_count == 3 else (ChannelRole.GREY,),
        sample_format=SampleFormat.UINT8 if layout.bits == 8 else SampleFormat.UINT10,
        colour=_colour_tags(frame, stream, layout, name=source.name),
        source=source.container_kind,
    )


def _colour_tags(frame: Any, stream: Any, layout: Layout, *, name: str) -> ColourTags:
    matrix = IDENTITY if layout.family == "rgb" else int(frame.colorspace)
    if layout.family == "yuv" and not known_matrix(matrix):
        raise InputError(
            f"{name} has colour of matrix {matrix} (ITU-T H.273); expected 1, 2 or 4 to 9: convert it to BT.709"
        )
    return ColourTags(
        primaries=int(stream.codec_context.color_primaries),
        transfer=int(stream.codec_context.color_trc),
        matrix=matrix,
        full_range=is_full_range(layout, frame.color_range, pixel_format=frame.format.name),
    )
