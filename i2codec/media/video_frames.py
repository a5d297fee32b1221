"""Samples of decoded frames, and frames for encoders."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from i2codec.media.video_colour import LumaChroma, effective_matrix, sample_dtype

_FULL_RANGE = 2  # FFmpeg's code; 1 is limited and 0 unspecified
_DEPTHS = (8, 9, 10, 12, 14, 16)  # of which FFmpeg has planar formats


@dataclass(frozen=True)
class Layout:
    """What the pixel format of a video holds.

    Parameters
    ----------
    family:
        ``"grey"``, ``"rgb"`` or ``"yuv"``. Alpha is left out.
    bits:
        Bits per sample: 8, 9, 10, 12, 14 or 16.
    """

    family: str
    bits: int

    @staticmethod
    def of(pixel_format: av.VideoFormat) -> Layout:
        """The layout of an FFmpeg pixel format; palettes, XYZ and Bayer patterns count as RGB."""
        depth = max(component.bits for component in pixel_format.components)
        bits = next((known for known in _DEPTHS if known >= depth), 16)
        colours = pixel_format.is_rgb or pixel_format.has_palette
        if colours or pixel_format.name.startswith(("xyz", "bayer")):
            return Layout("rgb", bits)
        # One component, or two where the second is alpha
        return Layout("grey" if len(pixel_format.components) <= 2 else "yuv", bits)

    @property
    def channel_count(self) -> int:
        """Channels of the samples: 1 for grey, else 3."""
        return 1 if self.family == "grey" else 3

    def planar_format(self, *, source: str) -> str:
        """Name of the pixel format with the same samples in planes of equal size."""
        suffix = "" if self.bits == 8 else f"{self.bits}le"
        if source.startswith("yuvj"):
            return "yuvj444p"  # some versions of PyAV would change the range otherwise
        return {"grey": "gray", "rgb": "gbrp", "yuv": "yuv444p"}[self.family] + suffix


def is_full_range(layout: Layout, color_range: int, *, pixel_format: str) -> bool:
    """Whether samples use all integers: by tag or format, and by default in grey and RGB."""
    if layout.family == "rgb" or pixel_format.startswith("yuvj"):
        return True
    return color_range == _FULL_RANGE if color_range else layout.family == "grey"


class FrameSamples:
    """Turns decoded frames into samples. It follows each frame's own format, range and matrix."""

    def __init__(self) -> None:
        """Keep one converter for all frames."""
        self._reformatter = VideoReformatter()

    def of(self, frame: av.VideoFrame) -> NDArray[np.float32]:
        """Samples ``[H, W, C]`` in 0..1 of a frame, upright: RGB, or grey for grey formats."""
        layout = Layout.of(frame.format)
        full_range = is_full_range(layout, frame.color_range, pixel_format=frame.format.name)
        planes = _planes(self._planar(frame, layout, full_range=full_range), sample_dtype(layout.bits))
        if layout.family == "rgb":
            green, blue, red = planes
            values = np.stack([red, green, blue], axis=-1).astype(np.float32)
            return upright(values / np.float32(2**layout.bits - 1), orientation(frame))
        code = LumaChroma(effective_matrix(frame.colorspace, height=frame.height), full_range, layout.bits)
        return upright(code.grey(planes[0]) if len(planes) == 1 else code.to_rgb(planes), orientation(frame))

    def _planar(self, frame: av.VideoFrame, layout: Layout, *, full_range: bool) -> av.VideoFrame:
        return converted(
            self._reformatter, frame, layout.planar_format(source=frame.format.name), full_range=full_range
        )


def converted(reformatter: Any, frame: av.VideoFrame, pixel_format: str, *, full_range: bool) -> av.VideoFrame:
    """The frame in another layout: chroma is resampled, and neither matrix nor range changes."""
    if frame.format.name == pixel_format:
        return frame
    sample_range = "JPEG" if full_range else "MPEG"
    result: av.VideoFrame = reformatter.reformat(
        frame,
        format=pixel_format,
        src_colorspace="ITU709",  # the same on both sides, whatever it is
        dst_colorspace="ITU709",
        src_color_range=sample_range,
        dst_color_range=sample_range,
        interpolation="BICUBIC",
        **_one_thread(),
    )
    return result


@functools.cache
def _one_thread() -> dict[str, int]:
    """The argument that keeps a conversion to one thread, for versions of PyAV that use several.

    The threads of FFmpeg 8 write over each other's rows where a width is odd.
    """
    one_thread = {"threads": 1}
    reformatter: Any = VideoReformatter()
    try:
        reformatter.reformat(av.VideoFrame(2, 2, "gray"), **one_thread)
    except TypeError:
        return {}
    return one_thread


def _planes(frame: Any, dtype: type[np.unsignedinteger]) -> list[NDArray[np.unsignedinteger]]:
    """The planes ``[H, W]`` of a planar frame, without FFmpeg's padding; views into it."""
    return [np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes]


def frame_of(planes: Sequence[NDArray[np.unsignedinteger]], pixel_format: str) -> av.VideoFrame:
    """A frame of planes ``[H, W]``, or of one packed plane ``[H, W, components]``."""
    height, width = planes[0].shape[:2]
    frame = av.VideoFrame(width, height, pixel_format)
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        data = np.ascontiguousarray(values).reshape(plane.height, -1).view(np.uint8)
        rows[:, : data.shape[1]] = data
        plane.update(rows.tobytes())
    return frame


@dataclass(frozen=True)
class Orientation:
    """How stored pixels come upright: transposed first, then turned over.

    Parameters
    ----------
    transpose:
        Whether rows become columns.
    flip_y, flip_x:
        Whether the order of rows, of columns is turned round after that.
    """

    transpose: bool = False
    flip_y: bool = False
    flip_x: bool = False


def orientation(frame: Any) -> Orientation:
    """The nearest orientation to the frame's display matrix, which may rotate and mirror."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    a, b, _, c, d = (int(number) for number in np.frombuffer(data, np.int32)[:5])
    # A stored point (p, q) is shown at (a p + c q, b p + d q), up to a shift.
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(flip_y=d < 0, flip_x=a < 0)
    return Orientation(transpose=True, flip_y=b < 0, flip_x=c < 0)


def upright(samples: NDArray[np.float32], turn: Orientation) -> NDArray[np.float32]:
    """Samples ``[H, W, C]`` as they are to be seen."""
    if turn.transpose:
        samples = samples.transpose(1, 0, 2)
    return samples[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1]
