"""Decoded signals into files of the formats that people use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from i2codec.container.limits import Limits
from i2codec.errors import OptionError
from i2codec.payload.file import StoredSignal
from i2codec.render.render import Rendering
from i2codec.selection import Selection
from i2codec.signal.description import Kind
from i2codec.signal.signal import Signal

FRAME_FOLDER = ""
"""Extension of a folder that takes one PNG for each frame."""

_DEFAULT_EXTENSIONS = {Kind.PHOTO: ".png", Kind.SOUND: ".wav", Kind.VIDEO: ".mp4", Kind.SHAPE: ".obj"}


def default_extension(kind: Kind) -> str:
    """Extension of the file that a signal is decoded to where none is named."""
    return _DEFAULT_EXTENSIONS[kind]


@dataclass(frozen=True)
class Decoding:
    """A file's signals on their way into a file of another format.

    Parameters
    ----------
    signals:
        What the file holds; the first gives its kind, a second is the sound of a video.
    selection:
        What part of it, and how finely.
    extension:
        Format of the output; for videos ``""`` is a folder of PNG files.
    background:
        Colour under a transparent photo where the format has no alpha.
    device, limits:
        As for :class:`~i2codec.render.render.Rendering`.
    """

    signals: Sequence[StoredSignal]
    selection: Selection
    extension: str
    background: str | None
    device: str
    limits: Limits

    def __post_init__(self) -> None:
        kind = self.signals[0].description.kind
        self.selection.check(kind)
        if self.background is not None and kind is not Kind.PHOTO:
            raise OptionError(f"background has no meaning for a {kind.name.lower()}; it is for photos with alpha")

    @property
    def leaves_sound_out(self) -> bool:
        """True where the output cannot hold the sound that the file has."""
        from i2codec.media.video import holds_sound

        return self._track is not None and not holds_sound(self.extension)

    def check(self) -> None:
        """Refuse an output that cannot hold the signal, before any slow work.

        Raises
        ------
        OutputError
            If the format is unknown or cannot hold the signal.
        OptionError
            If a part that is asked for does not lie inside the signal.
        """
        description = self._rendering(self.signals[0]).description
        match description.kind:
            case Kind.PHOTO:
                from i2codec.media.image import check_photo_output, parse_background

                colour = None if self.background is None else parse_background(self.background)
                check_photo_output(self.extension, has_alpha=description.has_alpha, background=colour)
            case Kind.SOUND:
                from i2codec.media.sound import check_sound_output

                check_sound_output(self.extension, description)
            case Kind.VIDEO:
                from i2codec.media.video import check_video_output

                sound = None if self._track is None else self._rendering(self._track).description
                check_video_output(self.extension, description, sound=sound)
            case Kind.SHAPE:
                from i2codec.media.shape import check_shape_output

                check_shape_output(self.extension)

    def write(self, stream: BinaryIO) -> None:
        """Render and write to a seekable stream. Raises as :meth:`check`, and what rendering does."""
        self.check()
        match self.signals[0].description.kind:
            case Kind.PHOTO:
                self._write_photo(stream)
            case Kind.SOUND:
                self._write_sound(stream)
            case Kind.VIDEO:
                self._write_video(stream)
            case Kind.SHAPE:
                self._write_shape(stream)

    def write_frames(self, folder: Path) -> None:
        """Render a video into an existing, empty folder. Raises as :meth:`write`."""
        from i2codec.media.video import FrameFolder

        self.check()
        rendering = self._rendering(self.signals[0])
        writer = FrameFolder(folder, rendering.description)
        for frames in rendering.pieces():
            writer.write(frames)
        writer.close()

    @property
    def _track(self) -> StoredSignal | None:
        return self.signals[1] if len(self.signals) > 1 else None

    def _rendering(self, stored: StoredSignal) -> Rendering:
        grid = self.selection.grid(stored)
        return Rendering(
            stored, extents=grid.extents, rate=grid.rate, region=grid.region, device=self.device, limits=self.limits
        )

    def _whole(self) -> Signal:
        return self._rendering(self.signals[0]).signal()

    def _write_photo(self, stream: BinaryIO) -> None:
        from i2codec.media.image import parse_background, write_photo

        colour = None if self.background is None else parse_background(self.background)
        write_photo(self._whole(), stream, extension=self.extension, background=colour)

    def _write_sound(self, stream: BinaryIO) -> None:
        from i2codec.media.sound import SoundWriter

        stored = self.signals[0]
        rendering = self._rendering(stored)
        writer = SoundWriter(stream, rendering.description, extension=self.extension, metadata=stored.metadata)
        for samples in rendering.pieces():
            writer.write(samples)
        writer.close()

    def _write_shape(self, stream: BinaryIO) -> None:
        from i2codec.media.shape import surface, write_shape

        signal = self._whole()
        write_shape(surface(signal.samples[..., 0], signal.description), stream, extension=self.extension)

    def _write_video(self, stream: BinaryIO) -> None:
        from i2codec.media.video import VideoWriter, holds_sound

        stored = self.signals[0]
        pictures = self._rendering(stored)
        sound = self._rendering(self._track) if self._track is not None and holds_sound(self.extension) else None
        writer = VideoWriter(
            stream,
            pictures.description,
            extension=self.extension,
            timestamps=pictures.timestamps,
            sound=None if sound is None else sound.description,
            metadata=stored.metadata,
        )
        with writer:
            for frames, samples in _in_step(pictures, sound):
                if len(frames):
                    writer.write(frames)
                if len(samples):
                    writer.write_sound(samples)


def _in_step(pictures: Rendering, sound: Rendering | None) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Frames and the sound up to their end, in turns; in the end what is left of the sound."""
    step = pictures.description.axes[0].step
    pending = iter(()) if sound is None else sound.pieces()
    shown, heard = Fraction(0), Fraction(0)
    empty = np.empty((0, 1), dtype=np.float32)
    for frames in pictures.pieces():
        shown += len(frames) * step
        parts = []
        while sound is not None and heard < shown and (part := next(pending, None)) is not None:
            heard += len(part) * sound.description.axes[0].step
            parts.append(part)
        yield frames, np.concatenate(parts) if parts else empty
    for part in pending:
        yield empty, part
