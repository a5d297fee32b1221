"""From a source to the bytes of a file: which field a signal gets, what is asked of it, and what is checked."""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from i2codec.container.limits import DEFAULT_LIMITS
from i2codec.container.section import SECTION
from i2codec.devices import choose_device
from i2codec.errors import FitError, OptionError
from i2codec.fit.goals import DEFAULT_SNR_DB, AskedGoal, Goal, PriceGoal, PsnrGoal, RelativePriceGoal, SizeGoal
from i2codec.fit.progress import ProgressCallback, Reporter
from i2codec.notices import DamagedSourceWarning, TargetMissedWarning
from i2codec.options import FILTERS, TUNES, EncodeOptions
from i2codec.payload.file import PackedNetworks, StoredSignal, read_file, write_file
from i2codec.signal.description import Kind, SignalDescription
from i2codec.signal.samples import ScatteredSignal
from i2codec.signal.signal import Signal
from i2codec.signal.stream import SignalReader
from i2codec.sources import Source, SourceSignal, open_signals

if TYPE_CHECKING:
    from i2codec.fit.checkpoint import CheckpointPart
    from i2codec.fit.encoder import SignalEncoder
    from i2codec.fit.grid_encoder import GridEncoder, GridSettings
    from i2codec.fit.lattice_encoder import LatticeEncoder
    from i2codec.fit.lattice_settings import LatticeSettings
    from i2codec.fit.unit_encoder import FitSettings

_TARGET_TOLERANCE = 0.05
_SOUND_TRACK_SHARE = 0.125  # of a video's size
_MOST_VIDEO_POINTS = 2**24  # of a grid field, 650 to 800 bytes each while it is fitted: 12 GB

Encodable = Source | Signal | NDArray[np.generic]
"""A path, the bytes of a file, a signal, or an array of a photo."""


def encoded(source: Encodable, options: EncodeOptions, progress: ProgressCallback | None) -> bytes:
    """Bytes of an ``.i2`` file; raises as :func:`i2codec.encode`."""
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
                options if number == 0 else replace(options, field=_field_of_track(options), layer=None),
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
    asked = _goal(stored[0].description, options, is_sound=stored[0].description.kind is Kind.SOUND)
    found_db = encoders[0].decibels
    if options.target_psnr is None and options.target_snr is None:  # the default of a sound is a floor
        found_db = min(found_db, DEFAULT_SNR_DB)
    _warn_if_missed(asked, size_bytes=len(data), found_db=found_db)
    checkpoint.remove()
    return data


def _encoder(
    signal: SourceSignal,
    asked: AskedGoal,
    options: EncodeOptions,
    *,
    time_share: float,
    reporter: Reporter,
    checkpoint: CheckpointPart,
) -> SignalEncoder | GridEncoder | LatticeEncoder:
    """What encodes a signal with the field asked for."""
    from i2codec.fit.encoder import SignalEncoder
    from i2codec.fit.grid_encoder import GridEncoder
    from i2codec.fit.lattice_encoder import LatticeEncoder

    goal = PriceGoal(asked.lmbda * signal.reference_power) if isinstance(asked, RelativePriceGoal) else asked
    kind = signal.samples.description.kind
    is_coordinate = options.chosen_field(suits_grid=kind in (Kind.PHOTO, Kind.SOUND)) == "coordinate"
    if options.tune != TUNES[0] and (kind in (Kind.PHOTO, Kind.SHAPE) or (kind is Kind.SOUND and is_coordinate)):
        raise OptionError(f"--tune {options.tune} is of sounds in a grid field; leave it out")
    if is_coordinate:
        if options.layer is not None:
            raise OptionError(
                "a layer is of the grid field; leave --layer out, or use --field grid for a photo, sound or video"
            )
        return SignalEncoder(
            signal.samples, _settings(signal, goal, options, time_share=time_share), reporter, checkpoint
        )
    if kind is Kind.SOUND:
        assert signal.reopened is not None  # as all sounds are
        settings = _lattice_settings(signal, goal, options, time_share=time_share)
        return LatticeEncoder(signal.reopened, settings, reporter, checkpoint)
    if kind not in (Kind.PHOTO, Kind.VIDEO):
        raise OptionError(
            f"a grid field for a {kind.name.lower()}; expected a photo, sound or video: use --field coordinate"
        )
    return GridEncoder(
        _whole(signal.samples), _grid_settings(goal, options, time_share=time_share), reporter, checkpoint
    )


def _field_of_track(options: EncodeOptions) -> str:
    """The field of a video's sound: a grid, unless what is asked for is of coordinate fields only."""
    return "grid" if options.width is None and options.filter is None else "coordinate"


def _whole(samples: SignalReader | ScatteredSignal) -> Signal:
    """All samples of a signal at once."""
    assert not isinstance(samples, ScatteredSignal)  # those are shapes
    announced = samples.description
    if announced.kind is Kind.VIDEO and announced.point_count > _MOST_VIDEO_POINTS:
        raise OptionError(
            f"a grid field of a video of {announced.point_count} samples; at most {_MOST_VIDEO_POINTS} are fitted at "
            "once: use --field coordinate"
        )
    values = samples.read(announced.extents[0])
    return Signal(announced.with_length(len(values)), values, dict(samples.metadata), samples.timestamps())


def _grid_settings(goal: Goal, options: EncodeOptions, *, time_share: float) -> GridSettings:
    from i2codec.field.stencil import Stencil
    from i2codec.fit.grid_encoder import GridSettings
    from i2codec.fit.grid_presets import get_grid_preset

    preset = get_grid_preset(options.preset)
    return GridSettings(
        preset=preset if options.steps is None else preset.with_steps(options.steps),
        goal=goal,
        stencil=Stencil.POINTWISE if options.layer == "explicit" else Stencil.FULL,
        unrolled=options.layer in (None, "unrolled"),
        seed=options.seed,
        device=choose_device(options.device),
        time_limit_s=None if options.time_limit is None else options.time_limit * time_share,
    )


def _lattice_settings(
    signal: SourceSignal, goal: Goal, options: EncodeOptions, *, time_share: float
) -> LatticeSettings:
    from i2codec.field.stencil import Stencil
    from i2codec.fit.lattice_presets import get_lattice_preset
    from i2codec.fit.lattice_settings import LatticeSettings

    preset = get_lattice_preset(options.preset)
    return LatticeSettings(
        preset=preset if options.steps is None else preset.with_steps(options.steps),
        goal=goal,
        reference_power=signal.reference_power,
        fills_noise=options.tune == "ear",
        stencil=Stencil.POINTWISE if options.layer in (None, "explicit") else Stencil.FULL,
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


def _goals(signals: tuple[SourceSignal, ...], options: EncodeOptions) -> list[AskedGoal]:
    """What is asked of each signal; a size is that of its networks alone, without the rest of the file."""
    main = signals[0].samples.description
    goals = [_goal(main, options, is_sound=signal.samples.description.kind is Kind.SOUND) for signal in signals]
    if not isinstance(goals[0], SizeGoal):
        return goals
    networks_bytes = goals[0].size_bytes - _framing_bytes(signals)
    track_bytes = round(_SOUND_TRACK_SHARE * networks_bytes) if len(signals) > 1 else 0
    return [SizeGoal(max(1, size)) for size in (networks_bytes - track_bytes, track_bytes)[: len(signals)]]


def _goal(description: SignalDescription, options: EncodeOptions, *, is_sound: bool) -> AskedGoal:
    """What is asked of a file whose main signal is so described."""
    has_duration = description.kind in (Kind.SOUND, Kind.VIDEO)
    return options.goal(
        point_count=description.point_count,
        duration_s=description.duration_s if has_duration else None,
        is_sound=is_sound,
    )


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


def _warn_if_missed(goal: AskedGoal, *, size_bytes: int, found_db: float) -> None:
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
