"""Video files as FFmpeg opens them, with this package's errors and limits."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.stream import Disposition

from i2codec.errors import InputError
from i2codec.media.image_formats import MAX_PIXELS
from i2codec.media.video_formats import INPUT_FORMATS, check_frame_size
from i2codec.signal.description import SourceContainer

_CONTAINERS = {"mov": SourceContainer.MP4, "matroska": SourceContainer.MATROSKA, "gif": SourceContainer.GIF}
_STILL_FORMATS = ("_pipe", "image2")  # endings of FFmpeg's names for pictures
_OPTIONS = {
    "protocol_whitelist": "none",  # playlists must not open other files or addresses
    "max_pixels": str(MAX_PIXELS),
}


class _Unnamed(io.BufferedReader):
    name = "<none>"  # FFmpeg would take the extension of a name as a hint at the format


class VideoSource:
    """The bytes of a video, which can be opened again from their beginning.

    Parameters
    ----------
    source:
        Path, or file content that came from standard input.

    Raises
    ------
    InputError
        If the file is missing, a directory, empty or cannot be read.
    """

    def __init__(self, source: Path | bytes) -> None:
        """Open the file."""
        self.name = "standard input" if isinstance(source, bytes) else str(source)
        self._stream = io.BytesIO(source) if isinstance(source, bytes) else _opened(source, name=self.name)
        self._container: Any = None
        if not self._stream.read(1):
            self.close()
            raise InputError(f"{self.name} is empty; expected {INPUT_FORMATS}")

    def open(self) -> Any:
        """The container, at its beginning; one that was open is closed.

        Raises
        ------
        InputError
            If it is not a video.
        """
        self._close_container()
        self._stream.seek(0)
        with reading(self.name):
            self._container = av.open(self._stream, "r", options=dict(_OPTIONS), metadata_errors="replace")
        return self._container

    @property
    def container_kind(self) -> SourceContainer:
        """File family of the open container."""
        family = self._container.format.name.split(",")[0]  # FFmpeg lists all names of a demuxer
        return _CONTAINERS.get(family, SourceContainer.OTHER)

    def close(self) -> None:
        """Close the file."""
        self._close_container()
        self._stream.close()

    def _close_container(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None


def _opened(path: Path, *, name: str) -> BinaryIO:
    try:
        return _Unnamed(io.FileIO(path))
    except FileNotFoundError as exc:
        raise InputError(f"{name} does not exist; expected a video: check the path") from exc
    except IsADirectoryError as exc:
        raise InputError(f"{name} is a directory; expected a video: name a file in it") from exc
    except OSError as exc:
        raise InputError(f"{name} cannot be read ({exc.strerror or exc}); expected a video: check the file") from exc


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Run FFmpeg on a source; its failures become InputError.

    Raises
    ------
    InputError
        In place of whatever FFmpeg raises; ``name`` says which source.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as exc:  # PyAV has error types of its own and raises plain ones too
        reason = getattr(exc, "strerror", None) or " ".join(str(exc).split()) or type(exc).__name__
        raise InputError(
            f"{name} is not a readable video ({reason}); expected {INPUT_FORMATS}: convert it, "
            "or fetch it again if damaged"
        ) from exc


def picture_stream(container: Any, *, name: str) -> Any:
    """The first video stream that is not a cover picture, ready to decode frames within the limits.

    Raises
    ------
    InputError
        If there is none, its frames are too large, or no decoder is known.
    """
    if container.format.name.endswith(_STILL_FORMATS):
        raise InputError(f"{name} is a still picture; expected {INPUT_FORMATS}")
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not streams:
        found = "sound only" if container.streams.audio else "neither pictures nor sound"
        raise InputError(f"{name} holds {found}; expected {INPUT_FORMATS}")
    stream = streams[0]
    if stream.codec_context is None:
        raise InputError(f"{name} is coded in a way that this FFmpeg cannot decode; expected H.264 or the like")
    if stream.codec_context.width or stream.codec_context.height:
        check_frame_size(stream.codec_context.height, stream.codec_context.width, name=name)
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def sound_stream(container: Any) -> Any:
    """The first sound stream that can be decoded, or ``None``."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


class StreamDecoder:
    """Frames of one stream in the order in which they are shown, past packets that cannot be decoded.

    Parameters
    ----------
    container, stream:
        An open container, at its beginning, and one of its streams.

    Attributes
    ----------
    failures:
        Packets so far that could not be decoded.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        """Begin with the first packet."""
        self.failures = 0
        self._stream, self._packets = stream, container.demux(stream)
        self._frames = self._decoded()

    def next(self) -> Any:
        """The next frame, or ``None`` after the last."""
        return next(self._frames, None)

    def _decoded(self) -> Iterator[Any]:
        ended = False
        while not ended:
            try:
                packet = next(self._packets, None)
            except av.FFmpegError:  # nothing can be read beyond it
                packet = None
            ended = packet is None
            try:
                yield from self._stream.decode(packet)
            except av.EOFError:  # the last packet had emptied the decoder
                return
            except av.FFmpegError:
                self.failures += 1
