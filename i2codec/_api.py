"""The public verbs: encode, decode, open. The only module that joins all layers."""

from __future__ import annotations

import warnings
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

from i2codec._encoding import Encodable, encoded
from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.devices import choose_device
from i2codec.errors import InputError, OptionError, OutputError
from i2codec.fit.progress import ProgressCallback
from i2codec.notices import DamagedSourceWarning, LeftOutWarning
from i2codec.options import EncodeKeywords, options_from
from i2codec.output import replacing, replacing_folder
from i2codec.payload.file import StoredSignal, read_file
from i2codec.render.field import Field
from i2codec.render.render import render_signal
from i2codec.selection import Selection
from i2codec.signal.description import Kind
from i2codec.signal.signal import Signal
from i2codec.sinks import FRAME_FOLDER, Decoding
from i2codec.sources import Source


def encode(
    source: Encodable,
    *,
    progress: ProgressCallback | None = None,
    **options: Unpack[EncodeKeywords],
) -> bytes:
    """Bytes of an ``.i2`` file that holds a photo, sound, video or 3D shape.

    A video's sound track is a second signal in the same file.

    Parameters
    ----------
    source:
        Path of a media file, its bytes, an array ``[H, W]`` or ``[H, W, C]`` (a photo), or a signal.
    progress:
        Called with :class:`Progress` reports; returning False cancels.
    **options:
        See :class:`EncodeOptions`.

    Raises
    ------
    InputError
        If the source cannot be read.
    OptionError
        If an option is unknown or out of range.
    FitError
        If the fit diverges.
    MissingExtraError
        If the source is a shape and the extra ``shape`` is not installed.
    Cancelled
        If ``progress`` returns False.

    >>> import numpy as np
    >>> ramp = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
    >>> data = encode(ramp, preset="draft", steps=20, width=4)
    >>> decode(data).samples.shape
    (8, 8, 1)
    """
    chosen = options_from(options)
    choose_device(chosen.device)  # before the source is read
    return encoded(source, chosen, progress)


def encode_file(
    source: Source,
    destination: str | Path,
    *,
    force: bool = False,
    progress: ProgressCallback | None = None,
    **options: Unpack[EncodeKeywords],
) -> None:
    """Encode into a file, which appears only when it is whole and was verified.

    Raises as :func:`encode`, and :class:`OutputError` if the destination exists and ``force``
    is not set, or cannot be written (found before the fit).
    """
    chosen = options_from(options)
    choose_device(chosen.device)
    with replacing(Path(destination), force=force) as stream:
        data = encoded(source, chosen, progress)
        stream.write(data)
        stream.flush()
        stream.seek(0)
        if stream.read() != data:
            raise OutputError(f"{destination} reads back differently from what was written; check the disk")


class DecodeKeywords(TypedDict, total=False):
    """Options of :func:`decode` as keywords, for type checkers."""

    scale: float | None
    size: tuple[int, int] | None
    region: tuple[int, int, int, int] | None
    rate: Fraction | int | float | None
    fps: Fraction | int | float | None
    start: float | None
    duration: float | None
    resolution: int | None
    device: str
    limits: Limits
    allow_truncated: bool


def decode(source: Source, *, signal: int = 0, **options: Unpack[DecodeKeywords]) -> Signal:
    """A signal in an ``.i2`` file, at any resolution.

    Parameters
    ----------
    source:
        Path of the file, or its bytes.
    signal:
        Which signal of the file: 1 is the sound of a video.
    scale:
        Samples per native sample along every axis of space; 1 by default.
    size:
        Width and height in pixels, in place of ``scale``; need not keep the aspect.
    region:
        Left, top, width and height in native pixels; the output's size is the region's times
        the scale.
    rate:
        Samples of sound per second.
    fps:
        Frames of video per second.
    start, duration:
        Part of a sound or video, in seconds.
    resolution:
        Cells along the longest axis of a shape, whose samples are its occupancy.
    device:
        ``auto``, ``cpu`` or ``cuda``.
    limits:
        Bounds that are checked before memory is taken.
    allow_truncated:
        Decode what a cut file of a grid field has: a coarser picture, with a warning.

    Raises
    ------
    FormatError
        If the file is damaged or needs a newer reader.
    OptionError
        If an option is out of range, or has no meaning for this kind of signal.
    DeviceError
        If ``cuda`` is asked for and there is none.
    """
    selection, reading = _split(options)
    signals = _read(source, reading)
    stored = _one_of(signals, signal)
    selection.check(signals[0].description.kind)
    grid = selection.grid(stored)
    return render_signal(
        stored,
        extents=grid.extents,
        rate=grid.rate,
        region=grid.region,
        device=reading.device,
        limits=reading.limits,
    )


def decode_bytes(
    source: Source, *, extension: str, background: str | None = None, **options: Unpack[DecodeKeywords]
) -> bytes:
    """A decoded file as the bytes of a file of the format that ``extension`` names.

    ``background`` is the colour under a transparent photo where the format has no alpha. The
    options are those of :func:`decode`; raises also :class:`OutputError` for a format that
    cannot hold the signal.
    """
    stream = BytesIO()
    _decoding(source, extension=extension, background=background, options=options).write(stream)
    return stream.getvalue()


def decode_file(
    source: Source,
    destination: str | Path,
    *,
    background: str | None = None,
    force: bool = False,
    **options: Unpack[DecodeKeywords],
) -> None:
    """Decode into a file whose format follows from its name; the rest as :func:`decode_bytes`.

    A video whose destination has no suffix becomes a new folder of PNG files. Sound and video are
    rendered and written piece by piece.

    Raises also :class:`OutputError` if the destination exists and ``force`` is not set, or
    cannot be written.
    """
    path = Path(destination)
    decoding = _decoding(source, extension=path.suffix.lower(), background=background, options=options)
    is_video = decoding.signals[0].description.kind is Kind.VIDEO
    if is_video and decoding.leaves_sound_out:
        warnings.warn(f"{path} cannot hold the video's sound, which is left out", LeftOutWarning, stacklevel=2)
    if is_video and path.suffix == FRAME_FOLDER:
        with replacing_folder(path) as folder:
            decoding.write_frames(folder)
        return
    with replacing(path, force=force) as stream:
        decoding.write(stream)


def open_field(source: Source, *, signal: int = 0, limits: Limits = DEFAULT_LIMITS) -> Field:
    """The field of a signal in an ``.i2`` file, callable on coordinates ``[N, d]``. Raises as :func:`decode`."""
    return Field(_one_of(read_file(bytes_of(source), limits=limits), signal))


def bytes_of(source: Source) -> bytes:
    """Bytes of a source; :class:`InputError` if it cannot be read."""
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}; expected an .i2 file") from error


def _decoding(source: Source, *, extension: str, background: str | None, options: DecodeKeywords) -> Decoding:
    selection, reading = _split(options)
    signals = _read(source, reading)
    decoding = Decoding(signals, selection, extension, background, choose_device(reading.device), reading.limits)
    decoding.check()
    return decoding


class _Reading(NamedTuple):
    """How a file is read and rendered, whatever is selected of it."""

    device: str = "auto"
    limits: Limits = DEFAULT_LIMITS
    allow_truncated: bool = False


def _split(options: DecodeKeywords) -> tuple[Selection, _Reading]:
    """What is selected, and how it is read."""
    chosen = dict(options)
    reading = {name: chosen.pop(name) for name in _Reading._fields if name in chosen}
    if unknown := chosen.keys() - Selection.__dataclass_fields__.keys():
        known = ", ".join([*Selection.__dataclass_fields__, *_Reading._fields])
        raise OptionError(f"unknown option {', '.join(sorted(unknown))}; expected {known}")
    return Selection(**chosen), _Reading(**reading)  # type: ignore[arg-type]


def _read(source: Source, reading: _Reading) -> tuple[StoredSignal, ...]:
    """The signals of a file; says so where it is cut."""
    signals = read_file(bytes_of(source), limits=reading.limits, allow_truncated=reading.allow_truncated)
    for stored in signals:
        if stored.grid is not None and not stored.grid.is_whole:
            warnings.warn(f"the file is cut: {stored.grid.what_is_whole()}", DamagedSourceWarning, stacklevel=4)
    return signals


def _one_of(signals: tuple[StoredSignal, ...], number: int) -> StoredSignal:
    if not 0 <= number < len(signals):
        raise OptionError(f"signal {number}; the file has {len(signals)}, counted from 0")
    return signals[number]
