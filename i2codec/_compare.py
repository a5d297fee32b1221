"""The public verb ``compare``: how close a file comes to its original, in the terms of its kind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2codec._api import bytes_of, decode_bytes
from i2codec.container.head import MAGIC
from i2codec.errors import OptionError
from i2codec.payload.file import StoredSignal, read_file
from i2codec.render.render import Rendering, render_signal
from i2codec.signal.colour import to_fitted, transform_for
from i2codec.signal.description import ChannelRole, Kind, SignalDescription
from i2codec.signal.metrics import distortion, psnr_db
from i2codec.signal.sample_formats import from_source_samples, to_source_samples
from i2codec.signal.signal import Signal
from i2codec.signal.stream import SignalReader
from i2codec.sources import Source, open_source_signal, read_photo

_SMALLEST_MS_SSIM_SIDE = 161  # five scales of an 11-pixel window: 10 · 2⁴ + 1
_BLOCK_SAMPLES = 2**16

Samples = NDArray[np.float32]


def compare(original: Source, file: Source) -> dict[str, Any]:
    """How close a file comes to its original.

    ``file`` is an ``.i2`` file or any other of the same kind of media; it is decoded to its own
    sample format. All kinds have ``size_bytes`` and ``rate_bpp`` (per grid point).

    - Photos: ``psnr_db`` and ``ms_ssim``, pytorch-msssim's; under 161 pixels a side it is ``None``
      and ``ms_ssim_reason`` says why.
    - Sounds: ``snr_db`` over all samples, ``bitrate_bps``, ``duration_s``.
    - Videos: ``frames``, ``fps``, ``duration_s``, ``bitrate_bps``, ``psnr_db`` of the mean error of
      all frames, and ``psnr_db_per_frame``; the sound track is not compared.
    - Shapes: ``iou``, ``chamfer`` and ``normal_consistency``, see
      :func:`i2codec.media.shape.compare_shapes`; an ``.i2`` file is decoded to a mesh at its native
      resolution.

    Raises
    ------
    OptionError
        If the two differ in size, rate or channels.
    InputError
        If one of them cannot be read, or they are of different kinds.
    """
    from i2codec.media.kind import kind_of

    data = bytes_of(file)
    kind = kind_of(original if isinstance(original, bytes) else Path(original))
    stored = read_file(data)[0] if data.startswith(MAGIC) else None
    if stored is not None and stored.description.kind is not kind:
        found = stored.description.kind.name.lower()
        raise OptionError(f"the original is a {kind.name.lower()}, the .i2 file holds a {found}; expected one kind")
    match kind:
        case Kind.PHOTO:
            quality = _compare_photos(original, file, stored)
        case Kind.SHAPE:
            return {"size_bytes": len(data), **_compare_shapes(original, file, stored, size_bytes=len(data))}
        case _:
            with (
                closing(open_source_signal(original, kind=kind)) as first,
                closing(_opened(file, stored, kind)) as second,
            ):
                compared = _compare_sounds if kind is Kind.SOUND else _compare_videos
                quality = compared(first, second, size_bytes=len(data))
    return {"size_bytes": len(data), **quality}


class _StoredReader:
    """A stored signal as a reader of its samples as written: rounded and clipped to its format."""

    def __init__(self, stored: StoredSignal) -> None:
        rendering = Rendering(stored, device="cpu")
        self.description, self.metadata = rendering.description, stored.metadata
        self._pieces: Iterator[Samples] = rendering.pieces()
        self._rest: Samples = np.empty((0, *self.description.extents[1:], len(self.description.channels)), np.float32)

    def read(self, count: int) -> Samples:
        """The next samples; see :class:`~i2codec.signal.stream.SignalReader`."""
        parts = [self._rest]
        while sum(map(len, parts)) < count and (piece := next(self._pieces, None)) is not None:
            parts.append(_as_written(piece, self.description))
        joined = np.concatenate(parts)
        self._rest = joined[count:]
        return joined[:count]

    def timestamps(self) -> None:
        return None

    def lost(self) -> None:
        return None

    def close(self) -> None:
        return None


def _opened(file: Source, stored: StoredSignal | None, kind: Kind) -> SignalReader:
    return open_source_signal(file, kind=kind) if stored is None else _StoredReader(stored)


def _as_written(samples: Samples, description: SignalDescription) -> Samples:
    if description.sample_format.is_float:
        return samples
    return from_source_samples(to_source_samples(samples, description), description)[0]


def _compare_photos(original: Source, file: Source, stored: StoredSignal | None) -> dict[str, Any]:
    reference = _photo(original)
    if stored is None:
        candidate = _photo(file)
    else:
        decoded = render_signal(stored)
        candidate = replace(decoded, samples=_as_written(decoded.samples, decoded.description))
    if reference.description.extents != candidate.description.extents:
        sizes = " and ".join("x".join(map(str, signal.description.extents[::-1])) for signal in (reference, candidate))
        raise OptionError(f"the photos are {sizes} pixels; expected the same size: decode without --scale")
    reference, candidate = _same_channels(reference, candidate)
    error = distortion(target=reference.samples, decoded=candidate.samples, description=reference.description)
    ms_ssim, reason = _ms_ssim(reference, candidate)
    result = {
        "rate_bpp": 8 * len(bytes_of(file)) / reference.description.point_count,
        "psnr_db": psnr_db(error),
        "ms_ssim": ms_ssim,
    }
    return result if reason is None else {**result, "ms_ssim_reason": reason}


def _photo(source: Source) -> Signal:
    return read_photo(source if isinstance(source, bytes) else Path(source), keep_metadata=False)


def _compare_sounds(first: SignalReader, second: SignalReader, *, size_bytes: int) -> dict[str, Any]:
    one, two = first.description, second.description
    if (one.axes[0].step, len(one.channels)) != (two.axes[0].step, len(two.channels)):
        found = " and ".join(f"{len(each.channels)} channels at {1 / each.axes[0].step} Hz" for each in (one, two))
        raise OptionError(f"the sounds have {found}; expected the same: decode without --rate")
    power = error = 0.0
    count = 0
    for reference, candidate in _pairs(first, second, length=_BLOCK_SAMPLES):
        power += float(np.sum(reference.astype(np.float64) ** 2))
        error += float(np.sum((candidate.astype(np.float64) - reference) ** 2))
        count += len(reference)
    duration_s = float(count * one.axes[0].step)
    snr_db = math.inf if error == 0.0 else -math.inf if power == 0.0 else 10.0 * math.log10(power / error)
    return {
        "rate_bpp": 8 * size_bytes / count,
        "snr_db": snr_db,
        "duration_s": duration_s,
        "bitrate_bps": 8 * size_bytes / duration_s,
    }


def _compare_videos(first: SignalReader, second: SignalReader, *, size_bytes: int) -> dict[str, Any]:
    one, two = first.description, second.description
    if one.extents[1:] != two.extents[1:] or one.channels != two.channels:
        found = " and ".join(f"{each.extents[2]}x{each.extents[1]}" for each in (one, two))
        raise OptionError(
            f"the videos are {found}, of {len(one.channels)} and {len(two.channels)} channels; expected the same"
        )
    errors = [
        distortion(target=reference, decoded=candidate, description=one.with_length(1))
        for reference, candidate in _pairs(first, second, length=1)
    ]
    stamps = first.timestamps()
    duration_s = float(len(errors) * one.axes[0].step if stamps is None else stamps.duration)
    frame_points = math.prod(one.extents[1:])
    return {
        "rate_bpp": 8 * size_bytes / (len(errors) * frame_points),
        "frames": len(errors),
        "fps": len(errors) / duration_s,
        "duration_s": duration_s,
        "bitrate_bps": 8 * size_bytes / duration_s,
        "psnr_db": psnr_db(sum(errors) / len(errors)),
        "psnr_db_per_frame": [psnr_db(error) for error in errors],
    }


def _pairs(first: SignalReader, second: SignalReader, *, length: int) -> Iterator[tuple[Samples, Samples]]:
    """Pieces of both, side by side; they must end together."""
    count = 0
    while True:
        reference, candidate = first.read(length), second.read(length)
        count += min(len(reference), len(candidate))
        if len(reference) != len(candidate):
            unit = "frames" if len(first.description.axes) > 1 else "samples"
            which = "file" if len(candidate) < len(reference) else "original"
            raise OptionError(f"the {which} ends after {count} {unit}, the other goes on; expected the same length")
        if not len(reference):
            return
        yield reference, candidate


def _compare_shapes(original: Source, file: Source, stored: StoredSignal | None, *, size_bytes: int) -> dict[str, Any]:
    from i2codec.media.shape import compare_shapes, describe_shape, read_shape

    reference, container = read_shape(original if isinstance(original, bytes) else Path(original))
    decoded = file if stored is None else decode_bytes(file, extension=".ply")
    candidate, _ = read_shape(decoded if isinstance(decoded, bytes) else Path(decoded))
    cells = describe_shape(reference, source=container).point_count
    return {"rate_bpp": 8 * size_bytes / cells, **compare_shapes(reference, candidate)}


def _same_channels(first: Signal, second: Signal) -> tuple[Signal, Signal]:
    """Both as RGB if one is, both with alpha if one is: grey repeats, opaque where there was none."""
    colour = any(ChannelRole.RED in signal.description.channels for signal in (first, second))
    alpha = any(signal.description.has_alpha for signal in (first, second))
    one, two = (_with_channels(signal, colour=colour, alpha=alpha) for signal in (first, second))
    return one, two


def _with_channels(signal: Signal, *, colour: bool, alpha: bool) -> Signal:
    description, samples = signal.description, signal.samples
    channels = description.channels
    if colour and channels[0] is ChannelRole.GREY:
        samples = np.concatenate([np.repeat(samples[..., :1], 3, axis=-1), samples[..., 1:]], axis=-1)
        channels = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE, *channels[1:])
    if alpha and not description.has_alpha:
        samples = np.concatenate([samples, np.ones_like(samples[..., :1])], axis=-1)
        channels = (*channels, ChannelRole.ALPHA)
    return Signal(replace(description, channels=channels), samples)


def _ms_ssim(reference: Signal, candidate: Signal) -> tuple[float | None, str | None]:
    """MS-SSIM over the colour channels (premultiplied), or ``None`` and the reason."""
    shortest = min(reference.description.extents)
    if shortest < _SMALLEST_MS_SSIM_SIDE:
        return None, f"the shorter side has {shortest} pixels; MS-SSIM needs {_SMALLEST_MS_SSIM_SIDE}"
    import torch
    from pytorch_msssim import ms_ssim

    def to_tensor(signal: Signal) -> torch.Tensor:
        """Colour ``[1, C, H, W]``."""
        fitted: NDArray[np.float32] = to_fitted(signal.samples, transform_for(signal.description))
        colour = fitted[..., :-1] if signal.description.has_alpha else fitted
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(colour, -1, 0)))[None]

    return float(ms_ssim(to_tensor(candidate), to_tensor(reference), data_range=1.0)), None
