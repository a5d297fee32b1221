"""libsndfile on Python file objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import BinaryIO

import soundfile

BLOCK = 1024
"""Samples per channel in one call of libsndfile; of a call that meets damage, no sample is known."""

# Above the ratio of MP3's highest bit rate to its lowest, 320 to 8 kbit/s.
_PRETENDED_FACTOR = 64


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that is read or written from front to back.

    A seekable one ends each call with a seek, which costs time and fails at the end of a sound of
    unannounced length, where the samples of that call are lost.
    """

    def seekable(self) -> bool:
        """False; see the class."""
        return False


class GuardedStream:
    """A file object whose start is where it stands, and out of which no exception comes.

    libsndfile calls these methods from C, where an exception would be printed and lost, be it a full
    disk or Ctrl-C. The first one is kept for :meth:`checked`.

    Parameters
    ----------
    stream:
        A seekable binary file object.
    pretend_longer:
        Whether to show a file many times as long. libsndfile ends an MP3 without a length in its
        header after an estimate from the length of the file; so it goes on to the real end.
    """

    def __init__(self, stream: BinaryIO, *, pretend_longer: bool = False) -> None:
        """Stand between libsndfile and ``stream``."""
        self._stream, self._start = stream, stream.tell()
        self._error: BaseException | None = None
        self._length = stream.seek(0, SEEK_END) - self._start
        self._pretended_length = self._length * _PRETENDED_FACTOR if pretend_longer else None
        stream.seek(self._start)

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Raise the exception that was kept inside the block, if there is one, instead of what follows from it."""
        try:
            yield
        finally:
            error, self._error = self._error, None
            if error is not None:
                raise error

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``; see :meth:`io.RawIOBase.readinto`."""
        return self._kept(lambda: self._readinto(buffer))

    def write(self, data: bytes) -> int:
        """Write ``data``; see :meth:`io.RawIOBase.write`."""
        return self._kept(lambda: self._stream.write(data))

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Move; see :meth:`io.IOBase.seek`."""
        return self._kept(lambda: self._seek(offset, whence))

    def tell(self) -> int:
        """Where it stands; see :meth:`io.IOBase.tell`."""
        return self._kept(lambda: self._stream.tell() - self._start)

    def read(self, count: int) -> bytes:
        """Not called, but :class:`soundfile.SoundFile` asks for it."""
        raise NotImplementedError

    def _kept(self, operation: Callable[[], int]) -> int:
        try:
            return operation()
        except BaseException as exc:
            self._error = self._error or exc
            return 0

    def _readinto(self, buffer: memoryview) -> int:
        count = len(buffer)
        if self._pretended_length is not None and self._stream.tell() - self._start > self._length:
            data = bytes(count)  # a look at the end, for tags there
        else:
            data = self._stream.read(count)
        buffer[: len(data)] = data
        return len(data)

    def _seek(self, offset: int, whence: int) -> int:
        position = offset
        if whence == SEEK_CUR:
            position += self._stream.tell() - self._start
        elif whence == SEEK_END and self._pretended_length is not None:
            position += self._pretended_length
        elif whence == SEEK_END:
            position += self._stream.seek(0, SEEK_END) - self._start
        # damaged files send libsndfile to before the start, which it must be told and is no fault of the stream
        return self._stream.seek(position + self._start) - self._start if position >= 0 else -1


def count_samples(file: soundfile.SoundFile) -> tuple[int, bool]:
    """Samples per channel from where ``file`` stands to its end or to damage, and whether it is damaged."""
    count = 0
    try:
        while read_count := len(file.read(BLOCK, dtype="float32", always_2d=True)):
            count += read_count
    except soundfile.LibsndfileError:
        return count, True
    return count, False
