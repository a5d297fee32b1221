"""Videos to files, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from i2codec.errors import I2Error, OptionError, OutputError
from i2codec.media.video_formats import FRAME_FOLDER, OutputFormat, check_video_output, output_format
from i2codec.media.video_pictures import Ffv1Pictures, GifPictures, H264Pictures, Pictures
from i2codec.media.video_sound_write import SoundTrack
from i2codec.media.video_tags import container_tags
from i2codec.signal.description import SignalDescription
from i2codec.signal.signal import MetadataKey
from i2codec.signal.timestamps import TimeStamps

_LARGEST = 2**31 - 1  # numbers of FFmpeg's fractions
_FINE_TICK = Fraction(1, 90000)


class VideoWriter:
    """Writes a video to a seekable binary file object, holding a few frames at a time.

    ========  ======================================================================
    ``.mp4``  H.264 at a quality that hardly differs from its input (crf 10), 8 or 10
              bits, 4:2:0, or 4:4:4 where a side is odd; AAC sound at 128 kb/s a
              channel; frame rate and time stamps exact
    ``.mkv``  FFV1 in RGB or grey, 8 or 10 bits, and FLAC or PCM sound: both lossless
              for samples rounded to their format; times rounded to milliseconds
    ``.gif``  256 colours a frame, dithered; no sound; times rounded to hundredths of a
              second, without drift. Players show delays under 0.02 s slower
    ========  ======================================================================

    Colour tags are written with the frames, and MP4 frames follow their matrix and range. It is a
    context manager: it closes at the end of its block, and gives up if the block raises.

    Parameters
    ----------
    destination:
        Where to write, from its current position; it stays open.
    description:
        The video.
    extension:
        One of :data:`~i2codec.media.video_formats.VIDEO_EXTENSIONS`, in any case.
    timestamps:
        When frames begin, where the frame rate varies.
    sound:
        The sound track, if there is one to be written; ignored for GIF.
    metadata:
        Blocks of the video, of which the tags are written.

    Raises
    ------
    OutputError
        As :func:`~i2codec.media.video.check_video_output` does, or if writing fails.
    """

    def __init__(
        self,
        destination: BinaryIO,
        description: SignalDescription,
        *,
        extension: str,
        timestamps: TimeStamps | None,
        sound: SignalDescription | None,
        metadata: Mapping[MetadataKey, bytes],
    ) -> None:
        """Set up the encoders."""
        check_video_output(extension, description, sound=sound)
        if extension == FRAME_FOLDER:
            raise OptionError("a folder of PNG files is written by FrameFolder, not by VideoWriter")
        self._kind, self._extension = output_format(extension), extension.lower()
        self._shape = (*description.extents[1:], len(description.channels))
        self._clock = _Clock(description, timestamps, tick=self._kind.tick)
        self._durations: dict[int, int] = {}  # of frames that the encoder still holds
        with _writing(self._kind):
            # MP4 would round its length to milliseconds, which may cut frames.
            options = {"movie_timescale": str(self._clock.time_base.denominator)} if self._extension == ".mp4" else {}
            self._container = av.open(destination, "w", format=self._kind.muxer, options=options)
            self._container.metadata.update(container_tags(metadata))
            self._pictures = self._pictures_for(description, variable_rate=timestamps is not None)
            self._stream: Any = self._container.add_stream(self._pictures.codec, rate=self._clock.mean_rate)
            self._pictures.set_up(self._stream.codec_context, time_base=self._clock.time_base)
            self._sound: SoundTrack | None = None
            if sound is not None and self._kind.holds_sound:
                self._sound = SoundTrack(self._container, sound, lossless=self._extension == ".mkv")

    def write(self, frames: NDArray[np.float32]) -> None:
        """Write the next frames ``[n, H, W, C]`` in 0..1.

        Raises
        ------
        OptionError
            If they have another shape than described, or are more than there are time stamps.
        OutputError
            If writing fails.
        """
        if frames.shape[1:] != self._shape:
            raise OptionError(f"frames of shape {frames.shape[1:]}; expected {self._shape}")
        for picture in frames:
            start, duration = self._clock.next()
            self._durations[start] = duration
            with _writing(self._kind):
                self._encode(self._pictures.frames(picture, start=start))

    def write_sound(self, samples: NDArray[np.float32]) -> None:
        """Write the next samples of the sound track ``[n, C]``, −1..1; nothing happens without one.

        Take turns with :meth:`write`, about a second of each: the file interleaves them, and
        whichever runs ahead waits in memory.

        Raises
        ------
        OutputError
            If writing fails.
        """
        if self._sound is None:
            return
        with _writing(self._kind):
            self._container.mux(self._sound.packets(samples))

    def close(self) -> None:
        """Finish the file.

        Raises
        ------
        OutputError
            If no frame was written, or writing fails.
        """
        if self._clock.position == 0:
            self.give_up()
            raise OutputError(f"the {self._kind.name} would be empty; expected at least one frame")
        with _writing(self._kind):
            self._encode([*self._pictures.rest(), None])
            if self._sound is not None:
                self._container.mux(self._sound.rest())
            self._container.close()

    def give_up(self) -> None:
        """Close the encoders after a failure; what was written is of no use."""
        try:
            self._container.close()
        except Exception:  # the failure that came first is the one to report
            return

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.give_up()

    def _pictures_for(self, description: SignalDescription, *, variable_rate: bool) -> Pictures:
        if self._extension == ".gif":
            return GifPictures(description, time_base=self._clock.time_base)
        if self._extension == ".mp4":
            return H264Pictures(description, variable_rate=variable_rate)
        return Ffv1Pictures(description)

    def _encode(self, frames: list[Any]) -> None:
        for frame in frames:
            if frame is not None:
                frame.time_base = self._clock.time_base
            for packet in self._stream.encode(frame):
                packet.duration = self._durations.pop(packet.pts, 1)
                self._container.mux(packet)


class _Clock:
    """Start and duration of one frame after the other, in rising ticks."""

    def __init__(self, description: SignalDescription, timestamps: TimeStamps | None, *, tick: Fraction | None) -> None:
        step = description.axes[0].step
        self._stamps, self._step = timestamps, step
        base = tick or (timestamps.time_base if timestamps else step)
        self.time_base = base if max(base.numerator, base.denominator) <= _LARGEST else _FINE_TICK
        mean_rate = timestamps.frame_count / timestamps.duration if timestamps else 1 / step
        self.mean_rate = max(mean_rate.limit_denominator(1_001_000), Fraction(1, 1_001_000))
        self.position, self._start = 0, 0

    def next(self) -> tuple[int, int]:
        """Start and duration of the next frame."""
        if self._stamps is not None and self.position >= self._stamps.frame_count:
            raise OptionError(f"more frames than the {self._stamps.frame_count} that have time stamps")
        self.position += 1
        start, self._start = self._start, max(self._edge(self.position), self._start + 1)
        return start, self._start - start

    def _edge(self, index: int) -> int:
        """Tick at which a frame begins."""
        if self._stamps is not None:
            return round(self._stamps.ticks[index] * self._stamps.time_base / self.time_base)
        return round(index * self._step / self.time_base)


@contextmanager
def _writing(kind: OutputFormat) -> Iterator[None]:
    try:
        yield
    except I2Error:
        raise
    except Exception as exc:  # PyAV has error types of its own and raises plain ones too
        reason = getattr(exc, "strerror", None) or " ".join(str(exc).split()) or type(exc).__name__
        raise OutputError(f"the {kind.name} cannot be written ({reason}); check the disk") from exc
