"""Sounds from files and from bytes, piece by piece."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from i2codec.errors import InputError
from i2codec.media.sound_formats import INPUT_FORMATS
from i2codec.media.sound_library import BLOCK
from i2codec.media.sound_probe import opened, probed
from i2codec.signal.description import SignalDescription, SourceContainer
from i2codec.signal.signal import MetadataKey

# Encoders of MP3 disagree about the padding at both ends; this is two frames.
_MP3_SLACK = 2 * 1152


def open_sound(source: Path | bytes, *, keep_metadata: bool) -> SoundReader:
    """The sound in a file or in the bytes of one: WAV, FLAC, OGG (Vorbis or Opus), MP3 or AIFF.

    The kind of file is told by its content. WAV stands for its large kinds RF64 and W64 too.

    Parameters
    ----------
    source:
        Path, or file content that came from standard input.
    keep_metadata:
        Whether to keep title, artist and the like.

    Raises
    ------
    InputError
        If the source is missing, not a sound of a supported kind, without samples, or over
        :data:`~i2codec.media.sound_formats.MAX_SOUND_CHANNELS` or
        :data:`~i2codec.media.sound_formats.MAX_SOUND_RATE`.
    """
    name = "standard input" if isinstance(source, bytes) else str(source)
    with _file_errors(name):
        stream = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        with ExitStack() as on_failure:
            on_failure.callback(stream.close)
            if not stream.read(1):
                raise InputError(f"{name} is empty; expected a sound: {INPUT_FORMATS}")
            reader = SoundReader(stream, name=name, keep_metadata=keep_metadata)
            on_failure.pop_all()
    return reader


@contextmanager
def _file_errors(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise InputError(f"{name} does not exist; expected a sound: check the path") from exc
    except IsADirectoryError as exc:
        raise InputError(f"{name} is a directory; expected a sound: name a file in it") from exc
    except OSError as exc:
        raise InputError(f"{name} cannot be read ({exc.strerror or exc}); expected a sound: check the file") from exc


class SoundReader:
    """A sound file as a :class:`~i2codec.signal.stream.SignalReader`; made by :func:`open_sound`.

    Integers up to 24 bits are exact; those of 32 bits are rounded to the 24 bits that a float32
    holds. Floats stay as they are, beyond −1..1 too, and doubles are rounded to float32.

    Three and more channels of Vorbis and Opus come in the order of WAV and FLAC.

    The first extent is the length that the file announces or, where that is known beforehand, what
    there is of it.
    """

    description: SignalDescription
    metadata: Mapping[MetadataKey, bytes]

    def __init__(self, stream: BinaryIO, *, name: str, keep_metadata: bool) -> None:
        """Read from a seekable binary file object, closed with the reader; ``name`` is for messages."""
        facts = probed(stream, name=name, keep_metadata=keep_metadata)
        self.description, self.metadata = facts.description, facts.metadata
        self._name, self._facts = name, facts
        self._position, self._ended, self._fault = 0, False, ""
        # Decoded and not yet asked for; blocks begin at the same samples whatever is asked for, damaged ones too.
        self._rest = np.zeros((0, len(self.description.channels)), np.float32)
        self._resources = ExitStack()
        self._resources.callback(stream.close)
        self._file, self._guard = self._resources.enter_context(
            opened(stream, name=name, pretend_longer=facts.pretend_longer)
        )

    def read(self, count: int) -> NDArray[np.float32]:
        """The next ``count`` samples of each channel, ``[n, C]`` in −1..1; fewer only at the end or at damage.

        Raises
        ------
        InputError
            If a sample is not finite, the file cannot be read, or not a single sample could be decoded.
        """
        pieces = [self._rest[:0]]
        missing = count
        while missing > 0 and not self._ended:
            piece, self._rest = self._rest[:missing], self._rest[missing:]
            pieces.append(piece)
            missing -= len(piece)
            self._position += len(piece)
            if missing > 0:
                self._rest = self._block()
        if self._ended and self._position == 0:
            found = f"is damaged ({self._fault})" if self._fault else "holds no samples"
            raise InputError(f"{self._name} {found}; expected a sound: check the file")
        return np.concatenate(pieces)

    def timestamps(self) -> None:
        """None: samples lie at equal distances."""

    def lost(self) -> str | None:
        """After the end: how much the file announced and does not hold; ``None`` if nothing.

        An MP3 without a length in its header and a W64 file can lose their end unnoticed.
        """
        axis = self.description.axes[0]
        if not self._ended and self._position < axis.extent:
            return None
        rate = 1 / axis.step
        place = f"after {self._position} samples per channel ({float(self._position / rate):.3f} s)"
        end = "is damaged" if self._fault else "ends"
        announced = self._facts.announced
        slack = _MP3_SLACK if self.description.source is SourceContainer.MP3 else 0
        if announced is not None and announced > self._position + slack:
            lost_s = float((announced - self._position) / rate)
            return f"the file announces {announced} samples per channel and {end} {place}: {lost_s:.3f} s are lost"
        if self._fault:
            return f"the file is damaged {place}: what follows is lost"
        if self._facts.breaks_off:
            return f"the file ends {place} without the mark of its end: what followed is lost"
        return None

    def close(self) -> None:
        """Close the file; what was read stays valid."""
        self._resources.close()

    def _block(self) -> NDArray[np.float32]:
        """The samples that follow, ``[n, C]``; none at the end and at damage."""
        announced = self._facts.announced
        count = BLOCK if announced is None else min(BLOCK, announced - self._position)
        with _file_errors(self._name), self._guard.checked():
            try:
                block: NDArray[np.float32] = self._file.read(count, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as exc:
                self._fault = exc.error_string.strip().rstrip(".")
                block = self._rest[:0]
        self._ended = len(block) == 0
        if self._facts.channel_order:
            block = np.take(block, self._facts.channel_order, axis=1)
        finite = np.isfinite(block)
        if not finite.all():
            self._refuse(block, finite)
        return block

    def _refuse(self, block: NDArray[np.float32], finite: NDArray[np.bool_]) -> None:
        index, channel = (int(number) for number in np.argwhere(~finite)[0])
        time_s = float((self._position + index) * self.description.axes[0].step)
        found = "NaN" if np.isnan(block[index, channel]) else "infinite or beyond float32"
        raise InputError(
            f"{self._name}: sample {self._position + index + 1} of channel {channel + 1} (at {time_s:.3f} s) "
            f"is {found}; expected finite samples: clean the sound first"
        )
