"""Sounds to files, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import SEEK_END
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from i2codec.errors import OutputError
from i2codec.media.sound_formats import VORBIS_ORDERS, SoundFormat, check_sound_output, sound_format, sound_size
from i2codec.media.sound_length import set_aiff_length
from i2codec.media.sound_library import BLOCK, GuardedStream, SequentialFile
from i2codec.media.sound_tags import id3_block, shortened, stored_tags
from i2codec.signal.description import SampleFormat, SignalDescription
from i2codec.signal.sample_formats import to_source_samples
from i2codec.signal.signal import MetadataKey

# libsndfile takes integers at the upper end of 32 bits.
_SHIFTS = {SampleFormat.INT8: 24, SampleFormat.INT16: 16, SampleFormat.INT24: 8, SampleFormat.INT32: 0}
_LARGEST_WAV_SIZE = 2**32 - 2**20


class SoundWriter:
    """Writes a sound to a seekable binary file object from where it stands, in the format that ``extension`` names.

    =========  ==================================================================================
    WAV, AIFF  the sound's own number format; WAV over 4 GiB becomes RF64
    FLAC       8, 16 or 24 bits; sounds of other formats in 24 bits, clipped to −1..1
    OGG, Opus  lossy, about 250 to 300 kbit/s for stereo
    MP3        lossy, variable bit rate of the best quality
    =========  ==================================================================================

    Three and more channels are in the order of WAV and FLAC, for Vorbis and Opus reordered to theirs;
    these two may keep only low frequencies in the fourth of six or more, which is meant for them.

    Samples are rounded without dither. Two runs may differ in a few bytes: libsndfile puts the time into
    WAV files of floats and a random number into OGG files.

    Parameters
    ----------
    stream:
        Where to write; it stays open.
    description:
        The sound; its length decides between WAV and RF64 only.
    extension:
        One of :data:`~i2codec.media.sound_formats.SOUND_EXTENSIONS`, in any case.
    metadata:
        Tags, of which those are written that the format holds, long ones cut. Damaged tags count as none.

    Raises
    ------
    OutputError
        As :func:`~i2codec.media.sound.check_sound_output` does, or if writing fails.
    """

    def __init__(
        self,
        stream: BinaryIO,
        description: SignalDescription,
        *,
        extension: str,
        metadata: Mapping[MetadataKey, bytes],
    ) -> None:
        """Write the header."""
        check_sound_output(extension, description)
        kind = sound_format(extension)
        written = kind.written_format(description.sample_format)
        if written is not description.sample_format:
            description = replace(description, sample_format=written, offset=0.0, scale=1.0)
        self._stream, self._kind, self._description = stream, kind, description
        self._order = VORBIS_ORDERS.get(len(description.channels)) if kind.container == "OGG" else None
        self._position, self._start = 0, stream.tell()
        tags = {name: shortened(text, kind.longest_tag) for name, text in stored_tags(metadata).items()}
        with _writing(kind):
            if kind.container == "MP3":
                stream.write(id3_block(tags))
                tags = {}
            self._guard = GuardedStream(stream)
            with self._guard.checked():
                self._file = _new_file(self._guard, description, kind)
                for name, text in tags.items():
                    with suppress(soundfile.SoundFileError):  # not every format holds every tag
                        setattr(self._file, name, text)

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append samples ``[n, C]`` of the unit range −1..1; integers are rounded and clipped.

        Raises
        ------
        OutputError
            If writing fails.
        """
        shift = _SHIFTS.get(self._description.sample_format)
        with _writing(self._kind), self._guard.checked():
            for start in range(0, len(samples), BLOCK):
                piece = samples[start : start + BLOCK]
                values = to_source_samples(
                    np.take(piece, self._order, axis=1) if self._order else piece, self._description
                )
                if shift is not None:
                    values = values.astype(np.int32) << np.int32(shift)
                self._file.write(np.ascontiguousarray(values))
                self._position += len(values)

    def close(self) -> None:
        """Complete the file; the file object stays open and stands at its end.

        Raises
        ------
        OutputError
            If writing fails.
        """
        with _writing(self._kind):
            with self._guard.checked():
                self._file.close()
            step_bytes = sound_size(self._description.with_length(1), self._kind)
            if self._kind.container == "AIFF" and step_bytes * self._position % 2:
                self._stream.seek(self._start)
                set_aiff_length(self._stream, self._position, bytes_per_step=step_bytes)
            self._stream.seek(0, SEEK_END)


@contextmanager
def _writing(kind: SoundFormat) -> Iterator[None]:
    try:
        yield
    # soundfile asserts that libsndfile took all samples
    except (OSError, AssertionError, soundfile.SoundFileError) as exc:
        reason = (isinstance(exc, OSError) and exc.strerror) or str(exc) or "not all samples were taken"
        raise OutputError(f"{kind.name} cannot be written ({reason}); check the disk") from exc


def _new_file(guard: GuardedStream, description: SignalDescription, kind: SoundFormat) -> SequentialFile:
    large = kind.container == "WAV" and sound_size(description, kind) > _LARGEST_WAV_SIZE
    options = {} if kind.compression_level is None else {"compression_level": kind.compression_level}
    return SequentialFile(
        guard,
        "w",
        samplerate=int(1 / description.axes[0].step),
        channels=len(description.channels),
        format="RF64" if large else kind.container,
        subtype=kind.subtypes[description.sample_format],
        **options,
    )
