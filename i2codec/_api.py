"""The public verbs: encode, decode, open. The only module that joins all layers."""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import asdict, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.container.section import SECTION
from i2codec.devices import choose_device
from i2codec.errors import FitError, InputError, OptionError, OutputError
from i2codec.fit.goals import DEFAULT_SNR_DB, Goal, PsnrGoal, SizeGoal
from i2codec.fit.progress import ProgressCallback, Reporter
from i2codec.notices import DamagedSourceWarning, LeftOutWarning, TargetMissedWarning
from i2codec.options import FILTERS, EncodeKeywords, EncodeOptions, options_from
from i2codec.output import replacing, replacing_folder
from i2codec.payload.file import PackedNetworks, StoredSignal, read_file, write_file
from i2codec.render.field import Field
from i2codec.render.render import render_signal
from i2codec.selection import Selection
from i2codec.signal.description import Kind
from i2codec.signal.samples import ScatteredSignal
from i2codec.signal.signal import Signal
from i2codec.signal.stream import SignalReader
from i2codec.sinks import FRAME_FOLDER, Decoding
from i2codec.sources import Source, SourceSignal, open_signals

if TYPE_CHECKING:
    from i2codec.fit.checkpoint import CheckpointPart
    from i2codec.fit.encoder import SignalEncoder
    from i2codec.fit.grid_encoder import GridEncoder, GridSettings
    from i2codec.fit.unit_encoder import FitSettings

_TARGET_TOLERANCE = 0.05
_SOUND_TRACK_SHARE = 0.125  # of a video's size
_MOST_GRID_POINTS = 2**24  # 650 to 800 bytes each while it is fitted: 12 GB

Encodable = Source | Signal | NDArray[np.generic]
"""A path, the bytes of a file, a signal, or an array of a photo."""


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
    return _encoded(source, chosen, progress)


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
        data = _encoded(source, chosen, progress)
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
        if stored.grid is not None and not stored.grid.latents.is_whole:
            levels = stored.grid.latents
            message = f"the file is cut: {levels.whole_levels} of {levels.tiles.level_count} levels are whole"
            warnings.warn(message, DamagedSourceWarning, stacklevel=4)
    return signals


def _one_of(signals: tuple[StoredSignal, ...], number: int) -> StoredSignal:
    if not 0 <= number < len(signals):
        raise OptionError(f"signal {number}; the file has {len(signals)}, counted from 0")
    return signals[number]


def _encoded(source: Encodable, options: EncodeOptions, progress: ProgressCallback | None) -> bytes:
    from i2codec.fit.checkpoint import Checkpoint

    path = None if options.checkpoint is None else Path(options.checkpoint)
    signals = open_signals(source, keep_metadata=options.metadata == "keep", seed=options.seed)
    try:
        checkpoint = Checkpoint(path, "" if path is None else _fingerprint(source, options))
        goals = _goals(signals, options)
        encoders = [
            _encoder(
                signal,
                goal,
                options if number == 0 else replace(options, field="coordinate"),
                time_share=share,
                reporter=Reporter(progress),
                checkpoint=checkpoint.part(f"signal {number}"),
            )
            for number, (signal, goal, share) in enumerate(zip(signals, goals, _time_shares(signals), strict=True))
        ]
        stored = tuple(encoder.encode() for encoder in encoders)
        for signal in signals:
            if not isinstance(signal.samples, ScatteredSignal) and (lost := signal.samples.lost()) is not None:
                warnings.warn(f"the source is damaged: {lost}", DamagedSourceWarning, stacklevel=3)
    finally:
        for signal in signals:
            signal.close()
    data = write_file(stored)
    _verify(data, stored)
    asked = options.goal(
        point_count=stored[0].description.point_count, is_sound=stored[0].description.kind is Kind.SOUND
    )
    found_db = encoders[0].decibels
    if options.target_psnr is None:  # the default of a sound is a floor
        found_db = min(found_db, DEFAULT_SNR_DB)
    _warn_if_missed(asked, size_bytes=len(data), found_db=found_db)
    checkpoint.remove()
    return data


def _encoder(
    signal: SourceSignal,
    goal: Goal,
    options: EncodeOptions,
    *,
    time_share: float,
    reporter: Reporter,
    checkpoint: CheckpointPart,
) -> SignalEncoder | GridEncoder:
    """What encodes a signal with the field asked for."""
    from i2codec.fit.encoder import SignalEncoder
    from i2codec.fit.grid_encoder import GridEncoder

    description = signal.samples.description
    kind, fits = description.kind, description.point_count <= _MOST_GRID_POINTS
    if options.chosen_field(is_photo=kind is Kind.PHOTO and fits) == "coordinate":
        return SignalEncoder(
            signal.samples, _settings(signal, goal, options, time_share=time_share), reporter, checkpoint
        )
    if kind not in (Kind.PHOTO, Kind.VIDEO):
        raise OptionError(f"a grid field for a {kind.name.lower()}; expected a photo or video: use --field coordinate")
    return GridEncoder(
        _whole(signal.samples), _grid_settings(goal, options, time_share=time_share), reporter, checkpoint
    )


def _whole(samples: SignalReader | ScatteredSignal) -> Signal:
    """All samples of a signal at once."""
    assert not isinstance(samples, ScatteredSignal)  # those are shapes
    announced = samples.description
    if announced.point_count > _MOST_GRID_POINTS:
        raise OptionError(
            f"a grid field of {announced.point_count} samples; at most {_MOST_GRID_POINTS} are fitted at once: "
            "use --field coordinate"
        )
    values = samples.read(announced.extents[0])
    return Signal(announced.with_length(len(values)), values, dict(samples.metadata), samples.timestamps())


def _grid_settings(goal: Goal, options: EncodeOptions, *, time_share: float) -> GridSettings:
    from i2codec.fit.grid_encoder import GridSettings
    from i2codec.fit.grid_presets import get_grid_preset

    preset = get_grid_preset(options.preset)
    return GridSettings(
        preset=preset if options.steps is None else preset.with_steps(options.steps),
        goal=goal,
        unrolled=options.layer == "unrolled",
        seed=options.seed,
        device=choose_device(options.device),
        time_limit_s=None if options.time_limit is None else options.time_limit * time_share,
    )


def _settings(signal: SourceSignal, goal: Goal, options: EncodeOptions, *, time_share: float) -> FitSettings:
    from i2codec.field.architecture import Filter
    from i2codec.fit.unit_encoder import FitSettings

    return FitSettings(
        preset=options.chosen_preset(),
        goal=goal,
        reference_power=signal.reference_power,
        filter=Filter[(options.filter or FILTERS[0]).upper()],
        width=options.width,
        seed=options.seed,
        device=choose_device(options.device),
        time_limit_s=None if options.time_limit is None else options.time_limit * time_share,
    )


def _goals(signals: tuple[SourceSignal, ...], options: EncodeOptions) -> list[Goal]:
    """What is asked of each signal; a size is that of its networks alone, without the rest of the file."""
    main = signals[0].samples.description
    goals = [
        options.goal(point_count=main.point_count, is_sound=signal.samples.description.kind is Kind.SOUND)
        for signal in signals
    ]
    if not isinstance(goals[0], SizeGoal):
        return goals
    networks_bytes = goals[0].size_bytes - _framing_bytes(signals)
    track_bytes = round(_SOUND_TRACK_SHARE * networks_bytes) if len(signals) > 1 else 0
    return [SizeGoal(max(1, size)) for size in (networks_bytes - track_bytes, track_bytes)[: len(signals)]]


def _time_shares(signals: tuple[SourceSignal, ...]) -> list[float]:
    return [1.0] if len(signals) == 1 else [1.0 - _SOUND_TRACK_SHARE, _SOUND_TRACK_SHARE]


def _framing_bytes(signals: tuple[SourceSignal, ...]) -> int:
    """Bytes of the file that are not a network's, but for the time stamps of a video."""
    bare = []
    for signal in signals:
        description = signal.samples.description
        metadata = {} if isinstance(signal.samples, ScatteredSignal) else dict(signal.samples.metadata)
        empty = PackedNetworks([b""], axis_count=1, channel_count=1, limits=DEFAULT_LIMITS)
        bare.append(StoredSignal(description, empty, metadata=metadata))
    return len(write_file(bare)) - SECTION.size * len(bare)


def _verify(data: bytes, stored: tuple[StoredSignal, ...]) -> None:
    """Read the file again; its networks were each held against the fit when they were packed."""
    found = read_file(data)
    for before, after in zip(stored, found, strict=True):
        if before.payloads() != after.payloads() or before.description != after.description:
            raise FitError(
                "the file reads back differently from what was packed; nothing was written: please report this"
            )


def _warn_if_missed(goal: Goal, *, size_bytes: int, found_db: float) -> None:
    if isinstance(goal, SizeGoal):
        wanted, found, unit = float(goal.size_bytes), float(size_bytes), "bytes"
    elif isinstance(goal, PsnrGoal):
        wanted, found, unit = goal.psnr_db, found_db, "dB"
    else:
        return
    if math.isfinite(found) and abs(found / wanted - 1.0) > _TARGET_TOLERANCE:  # silence is met without error
        message = f"the target of {wanted:g} {unit} was not met within 5 %: the file has {found:.6g} {unit}"
        warnings.warn(message, TargetMissedWarning, stacklevel=4)


def _fingerprint(source: Encodable, options: EncodeOptions) -> str:
    if isinstance(source, Signal):
        digest = hashlib.sha256(source.samples.tobytes())
        digest.update(repr((source.description, sorted(source.metadata.items()), source.timestamps)).encode())
    elif isinstance(source, np.ndarray):
        digest = hashlib.sha256(repr((source.shape, source.dtype)).encode())
        digest.update(source.tobytes())
    elif isinstance(source, bytes):
        digest = hashlib.sha256(source)
    else:
        with Path(source).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
    digest.update(repr(sorted((key, value) for key, value in asdict(options).items() if key != "checkpoint")).encode())
    return digest.hexdigest()
