"""The public verbs: encode, decode, open. The only module that joins all layers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.devices import choose_device
from i2codec.errors import FitError, InputError, OptionError, OutputError
from i2codec.fit.goals import Goal, PsnrGoal, SizeGoal
from i2codec.fit.progress import ProgressCallback, Reporter
from i2codec.options import EncodeKeywords, EncodeOptions, options_from
from i2codec.output import replacing
from i2codec.payload.file import StoredSignal, read_signal, write_signal
from i2codec.render.field import Field
from i2codec.render.render import render_signal, scaled_extents
from i2codec.signal.description import Kind
from i2codec.signal.metrics import distortion, psnr_db
from i2codec.signal.signal import Signal

Source = str | Path | bytes
"""A path, or the bytes of a file."""

_TARGET_TOLERANCE = 0.05
_VERIFY_TOLERANCE = 0.005


class TargetMissedWarning(UserWarning):
    """A target was not met within 5 %; the message says how close the file came."""


def encode(
    source: Source | Signal | NDArray[np.generic],
    *,
    progress: ProgressCallback | None = None,
    **options: Unpack[EncodeKeywords],
) -> bytes:
    """Bytes of an ``.i2`` file that holds a photo.

    Parameters
    ----------
    source:
        Path of a photo, its bytes, an array ``[H, W]`` or ``[H, W, C]``, or a signal.
    progress:
        Called with :class:`Progress` reports; returning False cancels.
    **options:
        See :class:`EncodeOptions`.

    Raises
    ------
    InputError
        If the source cannot be read as a photo.
    OptionError
        If an option is unknown or out of range.
    FitError
        If the fit diverges.
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
    return _encoded(_to_signal(source, chosen), chosen, progress)


def encode_file(
    source: Source,
    destination: str | Path,
    *,
    force: bool = False,
    progress: ProgressCallback | None = None,
    **options: Unpack[EncodeKeywords],
) -> None:
    """Encode a photo into a file, which appears only when it is whole and was verified.

    Raises as :func:`encode`, and :class:`OutputError` if the destination exists and ``force``
    is not set, or cannot be written (found before the fit).
    """
    chosen = options_from(options)
    choose_device(chosen.device)
    with replacing(Path(destination), force=force) as stream:
        data = _encoded(_to_signal(source, chosen), chosen, progress)
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
    device: str
    limits: Limits


def decode(
    source: Source,
    *,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    region: tuple[int, int, int, int] | None = None,
    device: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> Signal:
    """The signal in an ``.i2`` file, at any size.

    Parameters
    ----------
    source:
        Path of the file, or its bytes.
    scale:
        Samples per native sample along every axis; 1 by default.
    size:
        Width and height in pixels, in place of ``scale``; need not keep the aspect.
    region:
        Left, top, width and height in native pixels; the output's size is the region's times
        the scale.
    device:
        ``auto``, ``cpu`` or ``cuda``.
    limits:
        Bounds that are checked before memory is taken.

    Raises
    ------
    FormatError
        If the file is damaged or needs a newer reader.
    OptionError
        If an option is out of range.
    DeviceError
        If ``cuda`` is asked for and there is none.
    """
    stored = read_signal(bytes_of(source), limits=limits)
    return _rendered(stored, scale=scale, size=size, region=region, device=device, limits=limits)


def decode_bytes(
    source: Source, *, extension: str, background: str | None = None, **options: Unpack[DecodeKeywords]
) -> bytes:
    """A decoded photo as the bytes of a file of the format that ``extension`` names.

    ``background`` is the colour under a transparent photo where the format has no alpha. The
    options are those of :func:`decode`; raises also :class:`OutputError` for a format that
    cannot hold the photo.
    """
    from i2codec.media.image import check_photo_output, parse_background, write_photo

    colour = parse_background(background) if background is not None else None
    data = bytes_of(source)
    has_alpha = read_signal(data, limits=options.get("limits", DEFAULT_LIMITS)).description.has_alpha
    check_photo_output(extension, has_alpha=has_alpha, background=colour)
    stream = BytesIO()
    write_photo(decode(data, **options), stream, extension=extension, background=colour)
    return stream.getvalue()


def decode_file(
    source: Source,
    destination: str | Path,
    *,
    background: str | None = None,
    force: bool = False,
    **options: Unpack[DecodeKeywords],
) -> None:
    """Decode a photo into a file whose format follows from its name; the rest as :func:`decode_bytes`.

    Raises also :class:`OutputError` if the destination exists and ``force`` is not set, or
    cannot be written.
    """
    path = Path(destination)
    with replacing(path, force=force) as stream:
        stream.write(decode_bytes(source, extension=path.suffix.lower(), background=background, **options))


def open_field(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> Field:
    """The field in an ``.i2`` file, callable on coordinates ``[N, d]``. Raises as :func:`decode`."""
    return Field(read_signal(bytes_of(source), limits=limits))


def read_source(source: Source | Signal | NDArray[np.generic], *, keep_metadata: bool) -> Signal:
    """A photo from a path, bytes or array as a signal."""
    if isinstance(source, Signal):
        return source
    from i2codec.media.image import photo_from_array, read_photo

    if isinstance(source, np.ndarray):
        return photo_from_array(source)
    return read_photo(source if isinstance(source, bytes) else Path(source), keep_metadata=keep_metadata)


def _to_signal(source: Source | Signal | NDArray[np.generic], options: EncodeOptions) -> Signal:
    return read_source(source, keep_metadata=options.metadata == "keep")


def _encoded(signal: Signal, options: EncodeOptions, progress: ProgressCallback | None) -> bytes:
    from i2codec.field.architecture import Filter
    from i2codec.fit.checkpoint import Checkpoint
    from i2codec.fit.encoder import FitSettings, SignalEncoder

    goal = options.goal(point_count=signal.description.point_count)
    settings = FitSettings(
        preset=options.chosen_preset(),
        goal=goal,
        filter=Filter[options.filter.upper()],
        width=options.width,
        seed=options.seed,
        device=choose_device(options.device),
        time_limit_s=options.time_limit,
    )
    path = None if options.checkpoint is None else Path(options.checkpoint)
    checkpoint = Checkpoint(path, _fingerprint(signal, options))
    encoder = SignalEncoder(signal, settings, Reporter(progress), checkpoint)
    stored = encoder.encode()
    data = write_signal(stored)
    decoded = render_signal(read_signal(data), device="cpu")
    _verify(signal, decoded, *encoder.reference_samples(stored))
    _warn_if_missed(goal, size_bytes=len(data), signal=signal, decoded=decoded)
    checkpoint.remove()
    return data


def _verify(signal: Signal, decoded: Signal, indices: NDArray[np.int64], reference: NDArray[np.float32]) -> None:
    """Hold the file, decoded on the CPU path, against what the encoder meant it to be."""
    channel_count = len(signal.description.channels)
    target = signal.samples.reshape(-1, channel_count)[indices]
    found = decoded.samples.reshape(-1, channel_count)[indices]
    wanted = distortion(target=target, decoded=reference, description=signal.description)
    measured = distortion(target=target, decoded=found, description=signal.description)
    if not measured <= wanted * (1.0 + _VERIFY_TOLERANCE) + 1e-9:
        raise FitError(
            f"the file decodes to {psnr_db(measured):.2f} dB, the fit had {psnr_db(wanted):.2f} dB; "
            "nothing was written: please report this"
        )


def _warn_if_missed(goal: Goal, *, size_bytes: int, signal: Signal, decoded: Signal) -> None:
    if isinstance(goal, SizeGoal):
        wanted, found, unit = float(goal.size_bytes), float(size_bytes), "bytes"
    elif isinstance(goal, PsnrGoal):
        error = distortion(target=signal.samples, decoded=decoded.samples, description=signal.description)
        wanted, found, unit = goal.psnr_db, psnr_db(error), "dB"
    else:
        return
    if abs(found / wanted - 1.0) > _TARGET_TOLERANCE:
        message = f"the target of {wanted:g} {unit} was not met within 5 %: the file has {found:.6g} {unit}"
        warnings.warn(message, TargetMissedWarning, stacklevel=3)


def _fingerprint(signal: Signal, options: EncodeOptions) -> str:
    digest = hashlib.sha256(signal.samples.tobytes())
    digest.update(repr((signal.description, sorted(signal.metadata.items()))).encode())
    digest.update(repr(sorted((key, value) for key, value in asdict(options).items() if key != "checkpoint")).encode())
    return digest.hexdigest()


def bytes_of(source: Source) -> bytes:
    """Bytes of a source; :class:`InputError` if it cannot be read."""
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}; expected an .i2 file") from error


def _rendered(
    stored: StoredSignal,
    *,
    scale: float | None,
    size: tuple[int, int] | None,
    region: tuple[int, int, int, int] | None,
    device: str,
    limits: Limits,
) -> Signal:
    if scale is not None and size is not None:
        raise OptionError("scale and size were both given; expected at most one of them")
    if stored.description.kind is not Kind.PHOTO:
        raise OptionError(f"the file holds a {stored.description.kind.name.lower()}; this release decodes photos")
    extents: Sequence[int] | None = None
    if scale is not None:
        extents = scaled_extents(stored.description.extents, scale)
    if size is not None:
        width, height = size
        if width < 1 or height < 1:
            raise OptionError(f"size {width}x{height}; expected at least 1x1")
        extents = (height, width)
    ranges = None
    if region is not None:
        left, top, width, height = region
        native_height, native_width = stored.description.extents
        if min(left, top) < 0 or min(width, height) < 1 or left + width > native_width or top + height > native_height:
            raise OptionError(
                f"region {left},{top},{width},{height} does not lie inside the photo of {native_width}x{native_height}"
            )
        ranges = [(top, height), (left, width)]
    return render_signal(stored, extents=extents, region=ranges, device=device, limits=limits)
