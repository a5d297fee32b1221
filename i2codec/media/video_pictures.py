"""Frames as the encoders of each output want them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from i2codec.media.video_colour import IDENTITY, LumaChroma, effective_matrix, known_matrix, sample_dtype
from i2codec.media.video_frames import converted, frame_of
from i2codec.signal.description import ColourTags, SampleFormat, SignalDescription

_UNSPECIFIED = 2
_PRIMARIES = {*range(1, 13), 22} - {3}
_TRANSFERS = set(range(1, 19)) - {3}
_FULL_RANGE, _LIMITED_RANGE = 2, 1  # FFmpeg's codes

# At this constant rate factor smooth frames keep a PSNR of about 44 dB, far above a decoded .i2 file's.
_H264_OPTIONS = {"crf": "10", "preset": "medium"}
_FFV1_OPTIONS = {"level": "3", "slicecrc": "1"}
_PALETTE_SOURCE = av.VideoFormat("bgra")  # what the filters work on; nothing is converted


class Pictures(ABC):
    """Turns pictures into frames of one pixel format.

    Parameters
    ----------
    description:
        The video.

    Attributes
    ----------
    codec, pixel_format, options:
        What to set up the encoder with.
    colour:
        Tags of the frames.
    """

    codec: str
    pixel_format: str
    options: dict[str, str]
    colour: ColourTags

    def __init__(self, description: SignalDescription) -> None:
        """Prepare for frames of ``description``."""
        self.height, self.width = description.extents[1:]
        self.grey = len(description.channels) == 1
        self.bits = 8 if description.sample_format is SampleFormat.UINT8 else 10

    @abstractmethod
    def frames(self, picture: NDArray[np.float32], *, start: int) -> list[Any]:
        """The frames that can be encoded after a picture ``[H, W, C]`` in 0..1 that begins at tick ``start``."""

    def rest(self) -> list[Any]:
        """The frames that are left at the end."""
        return []

    def set_up(self, context: Any, *, time_base: Fraction) -> None:
        """Give an encoder its size, format and colour tags."""
        context.width, context.height, context.pix_fmt = self.width, self.height, self.pixel_format
        context.time_base, context.options = time_base, dict(self.options)
        context.colorspace = self.colour.matrix
        context.color_range = _FULL_RANGE if self.colour.full_range else _LIMITED_RANGE
        context.color_primaries = self.colour.primaries if self.colour.primaries in _PRIMARIES else _UNSPECIFIED
        context.color_trc = self.colour.transfer if self.colour.transfer in _TRANSFERS else _UNSPECIFIED


class H264Pictures(Pictures):
    """YUV frames: 4:2:0, which every player knows, or 4:4:4 where a side is odd, which 4:2:0 cannot hold.

    Grey is written as colour without chroma.
    """

    codec, options = "libx264", _H264_OPTIONS

    def __init__(self, description: SignalDescription, *, variable_rate: bool) -> None:
        """Choose the layout, and tags under which it is read as it was meant."""
        super().__init__(description)
        if variable_rate:  # MP4 stores durations in coding order, so that of the last frame needs to be coded last
            self.options = {**_H264_OPTIONS, "bf": "0"}
        suffix = "" if self.bits == 8 else "10le"
        self._planar = f"yuv444p{suffix}"
        self.pixel_format = self._planar if self.height % 2 or self.width % 2 else f"yuv420p{suffix}"
        tags = description.colour
        matrix = effective_matrix(tags.matrix, height=self.height)
        # What was RGB has no luma and chroma of its own: take those that players expect.
        full_range = tags.full_range and tags.matrix != IDENTITY
        self._code = LumaChroma(matrix, full_range, self.bits)
        kept = tags.matrix if known_matrix(tags.matrix) and tags.matrix != IDENTITY else matrix
        self.colour = ColourTags(tags.primaries, tags.transfer, kept, full_range)
        self._reformatter = VideoReformatter()

    def frames(self, picture: NDArray[np.float32], *, start: int) -> list[Any]:
        """One frame."""
        frame = frame_of(self._planes(picture), self._planar)
        if self.pixel_format != self._planar:
            frame = converted(self._reformatter, frame, self.pixel_format, full_range=self._code.full_range)
        frame.pts = start
        return [frame]

    def _planes(self, picture: NDArray[np.float32]) -> list[NDArray[np.unsignedinteger]]:
        if not self.grey:
            return self._code.from_rgb(picture)
        luma = self._code.from_grey(picture)
        neutral = np.full_like(luma, 1 << (self.bits - 1))
        return [luma, neutral, neutral]


class Ffv1Pictures(Pictures):
    """RGB or grey frames for FFV1, which keeps every bit of them."""

    codec, options = "ffv1", _FFV1_OPTIONS

    def __init__(self, description: SignalDescription) -> None:
        """Choose the layout."""
        super().__init__(description)
        tags = description.colour
        matrix = _UNSPECIFIED if self.grey else IDENTITY
        self.colour = ColourTags(tags.primaries, tags.transfer, matrix, full_range=True)
        formats = {(True, 8): "gray", (True, 10): "gray10le", (False, 8): "bgr0", (False, 10): "gbrp10le"}
        self.pixel_format = formats[self.grey, self.bits]

    def frames(self, picture: NDArray[np.float32], *, start: int) -> list[Any]:
        """One frame."""
        values = _integers(picture, self.bits)
        if self.grey:
            planes = [values[..., 0]]
        elif self.bits == 8:
            planes = [np.concatenate([values[..., ::-1], np.zeros_like(values[..., :1])], axis=-1)]
        else:
            planes = [values[..., index] for index in (1, 2, 0)]
        frame = frame_of(planes, self.pixel_format)
        frame.pts = start
        return [frame]


class GifPictures(Pictures):
    """Frames of 256 colours, chosen for each frame and dithered; a filter graph of FFmpeg does both."""

    codec, pixel_format, options = "gif", "pal8", {}
    colour = ColourTags(matrix=_UNSPECIFIED)

    def __init__(self, description: SignalDescription, *, time_base: Fraction) -> None:
        """Build the graph, which holds one frame at a time."""
        super().__init__(description)
        self._graph = graph = av.filter.Graph()
        self._source = graph.add_buffer(
            width=self.width, height=self.height, format=_PALETTE_SOURCE, time_base=time_base
        )
        split, self._sink = graph.add("split"), graph.add("buffersink")
        choose = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
        use = graph.add("paletteuse", "new=1:dither=sierra2_4a")
        self._source.link_to(split)
        split.link_to(choose, 0, 0)
        split.link_to(use, 1, 0)
        choose.link_to(use, 0, 1)
        use.link_to(self._sink)
        graph.configure()

    def frames(self, picture: NDArray[np.float32], *, start: int) -> list[Any]:
        """The frames that have gone through the graph."""
        values = _integers(picture, 8)
        colours = np.repeat(values, 3, axis=-1) if self.grey else values[..., ::-1]
        opaque = np.full_like(values[..., :1], 255)
        frame = frame_of([np.concatenate([colours, opaque], axis=-1)], _PALETTE_SOURCE.name)
        frame.pts = start
        self._source.push(frame)
        return self._pulled()

    def rest(self) -> list[Any]:
        """The last frames."""
        self._source.push(None)
        return self._pulled()

    def _pulled(self) -> list[Any]:
        frames = []
        while True:
            try:
                frames.append(self._sink.pull())
            except (av.BlockingIOError, av.EOFError):  # none for now, none any more
                return frames


def _integers(picture: NDArray[np.float32], bits: int) -> NDArray[np.unsignedinteger]:
    values = np.rint(np.clip(picture, 0.0, 1.0) * np.float32(2**bits - 1))
    integers: NDArray[np.unsignedinteger] = values.astype(sample_dtype(bits))
    return integers
