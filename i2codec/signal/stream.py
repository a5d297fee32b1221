"""Signals that arrive piece by piece along their first axis, so that memory holds one piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from i2codec.signal.description import SignalDescription
from i2codec.signal.signal import MetadataKey, Signal
from i2codec.signal.timestamps import TimeStamps


class SignalReader(Protocol):
    """A source of samples, read once from front to back."""

    description: SignalDescription
    """What the samples are. The first extent is what the source announces; :meth:`read` tells the truth."""
    metadata: Mapping[MetadataKey, bytes]
    """Blocks kept verbatim."""

    def read(self, count: int) -> NDArray[np.float32]:
        """The next ``count`` samples along the first axis, ``[n, *rest, C]``; fewer only at the end."""
        ...

    def timestamps(self) -> TimeStamps | None:
        """When the frames read so far begin, where the source's frame rate varies; else ``None``."""
        ...

    def lost(self) -> str | None:
        """After the end: what the source announced and could not be read, in words; ``None`` if nothing."""
        ...

    def close(self) -> None:
        """Close the source."""
        ...


class SignalMemory:
    """A whole signal as a :class:`SignalReader`."""

    def __init__(self, signal: Signal) -> None:
        """Read from ``signal``."""
        self.description = signal.description
        self.metadata: Mapping[MetadataKey, bytes] = signal.metadata
        self._samples, self._timestamps, self._position = signal.samples, signal.timestamps, 0

    def read(self, count: int) -> NDArray[np.float32]:
        """See :class:`SignalReader`."""
        piece = self._samples[self._position : self._position + count]
        self._position += len(piece)
        return piece

    def timestamps(self) -> TimeStamps | None:
        """See :class:`SignalReader`."""
        return self._timestamps

    def lost(self) -> str | None:
        """See :class:`SignalReader`."""
        return None

    def close(self) -> None:
        """See :class:`SignalReader`."""


def segments_of(reader: SignalReader, length: int) -> Iterator[NDArray[np.float32]]:
    """Samples cut as :class:`~i2codec.signal.segments.Segments` cuts them, without knowing how many there are."""
    current = reader.read(length)
    while len(current):
        following = reader.read(length)
        if 2 * len(following) <= length:
            yield np.concatenate([current, following]) if len(following) else current
            return
        yield current
        current = following
