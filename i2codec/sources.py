"""The signals in whatever a user names: a path, the bytes of a file, an array, a signal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError
from i2codec.signal.description import Kind
from i2codec.signal.samples import ScatteredSignal
from i2codec.signal.signal import Signal
from i2codec.signal.stream import SignalMemory, SignalReader

Source = str | Path | bytes
"""A path, or the bytes of a file."""

_SHAPE_POINTS = 2**18
_BLOCK_SAMPLES = 2**16


@dataclass(frozen=True)
class SourceSignal:
    """One signal that is to be encoded.

    Parameters
    ----------
    samples:
        On a grid, or scattered.
    reference_power:
        Power that decibels are counted against: 1, for sound its mean square.
    reopened:
        Opens a sound once more, from its start.
    """

    samples: SignalReader | ScatteredSignal
    reference_power: float = 1.0
    reopened: Callable[[], SignalReader] | None = None

    def close(self) -> None:
        """Close the source."""
        if not isinstance(self.samples, ScatteredSignal):
            self.samples.close()


def open_signals(
    source: Source | Signal | NDArray[np.generic], *, keep_metadata: bool, seed: int
) -> tuple[SourceSignal, ...]:
    """The signals of a source: one, or a video and its sound. The caller closes them.

    ``seed`` picks the points of a shape.

    Raises
    ------
    InputError
        If the source cannot be read.
    MissingExtraError
        If it is a shape and the extra ``shape`` is not installed.
    """
    if isinstance(source, np.ndarray):
        from i2codec.media.image import photo_from_array

        source = photo_from_array(source)
    if isinstance(source, Signal):
        signal = source
        is_sound = signal.kind is Kind.SOUND
        return (_sound(lambda: SignalMemory(signal)) if is_sound else SourceSignal(SignalMemory(signal)),)
    from i2codec.media.kind import kind_of

    file = source if isinstance(source, bytes) else Path(source)
    match kind_of(file):
        case Kind.PHOTO:
            return (SourceSignal(SignalMemory(read_photo(file, keep_metadata=keep_metadata))),)
        case Kind.SOUND:
            from i2codec.media.sound import open_sound

            return (_sound(lambda: open_sound(file, keep_metadata=keep_metadata)),)
        case Kind.VIDEO:
            return _video(file, keep_metadata=keep_metadata)
        case Kind.SHAPE:
            return (_shape(file, seed=seed),)


def read_photo(source: Path | bytes, *, keep_metadata: bool) -> Signal:
    """A photo from a path or bytes as a signal; raises as :func:`i2codec.media.image.read_photo`."""
    from i2codec.media import image

    return image.read_photo(source, keep_metadata=keep_metadata)


def open_source_signal(source: Source, *, kind: Kind) -> SignalReader:
    """The photo, sound or pictures of a video in a file that must be of ``kind``, without its metadata.

    Raises
    ------
    InputError
        If the source is of another kind or cannot be read.
    """
    from i2codec.media.kind import kind_of

    file = source if isinstance(source, bytes) else Path(source)
    found = kind_of(file)
    if found is not kind:
        name = "standard input" if isinstance(source, bytes) else str(source)
        raise InputError(f"{name} is a {found.name.lower()}; expected a {kind.name.lower()} to compare with")
    if kind is Kind.SOUND:
        from i2codec.media.sound import open_sound

        return open_sound(file, keep_metadata=False)
    if kind is Kind.VIDEO:
        from i2codec.media.video import open_video

        return open_video(file, keep_metadata=False)
    return SignalMemory(read_photo(file, keep_metadata=False))


def _sound(opened: Callable[[], SignalReader]) -> SourceSignal:
    """A sound with its power, for which it is read once before."""
    reader = opened()
    try:
        squared, count = 0.0, 0
        while len(block := reader.read(_BLOCK_SAMPLES)):
            squared += float(np.sum(block.astype(np.float64) ** 2))
            count += block.size
    finally:
        reader.close()
    return SourceSignal(opened(), squared / count if squared else 1.0, opened)


def _video(file: Path | bytes, *, keep_metadata: bool) -> tuple[SourceSignal, ...]:
    from i2codec.media.video import open_video, open_video_sound

    pictures = SourceSignal(open_video(file, keep_metadata=keep_metadata))
    track = open_video_sound(file)
    if track is None:
        return (pictures,)
    track.close()

    def opened() -> SignalReader:
        """The sound track from its start."""
        again = open_video_sound(file)
        assert again is not None  # it was there a moment ago
        return again

    return pictures, _sound(opened)


def _shape(file: Path | bytes, *, seed: int) -> SourceSignal:
    from i2codec.media.shape import describe_shape, read_shape, sample_shape

    mesh, container = read_shape(file)
    description = describe_shape(mesh, source=container)
    samples = sample_shape(mesh, description, count=_SHAPE_POINTS, seed=seed)
    return SourceSignal(ScatteredSignal(description, samples))
