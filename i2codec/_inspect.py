"""The public verbs that look at files: info, compare, verify."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2codec._api import Source, bytes_of, read_source
from i2codec.container.head import MAGIC
from i2codec.container.reader import read_container
from i2codec.container.section import SECTION, SectionType
from i2codec.errors import FormatError, OptionError
from i2codec.field.contraction import contraction_factor, readout_gain
from i2codec.payload.file import StoredSignal, parse_container, read_signal
from i2codec.render.render import render_signal
from i2codec.signal.colour import to_fitted, transform_for
from i2codec.signal.description import ChannelRole
from i2codec.signal.metrics import distortion, psnr_db
from i2codec.signal.signal import Signal, from_source_samples

_SMALLEST_MS_SSIM_SIDE = 161  # five scales of an 11-pixel window: 10 · 2⁴ + 1


def info(source: Source) -> dict[str, Any]:
    """What an ``.i2`` file holds, without rendering it.

    ``kind``, ``version``, ``shape`` ``[*grid, C]``, ``size_bytes``, ``rate_bpp`` (all bytes, per
    grid point), ``sections`` (bytes each, headers included), ``field``, ``filter``, ``width``,
    ``depth``, ``parameters``, ``steps`` (K), ``contraction`` (proved from the weights), ``gain``
    (‖W‖/(1 − c)), ``macs_per_point`` (multiplications at one point, all K steps).

    Raises
    ------
    FormatError
        If the file is damaged or needs a newer reader.
    """
    data = bytes_of(source)
    container = read_container(data)
    stored = parse_container(container)
    network = stored.network.dequantised()
    architecture = network.architecture
    parts = (architecture, network.tensors, network.state_scale)
    return {
        "kind": stored.description.kind.name.lower(),
        "version": f"1.{container.minor}",
        "shape": [*stored.description.extents, len(stored.description.channels)],
        "size_bytes": len(data),
        "rate_bpp": 8 * len(data) / stored.description.point_count,
        "sections": {
            SectionType(section.type).name.lower(): SECTION.size + len(section.payload)
            for section in container.sections
        },
        "field": "coordinate",
        "filter": architecture.filter.name.lower(),
        "width": architecture.width,
        "depth": architecture.depth,
        "parameters": architecture.parameter_count,
        "steps": network.steps,
        "contraction": contraction_factor(*parts),
        "gain": readout_gain(*parts),
        "macs_per_point": architecture.macs_per_point(network.steps),
    }


def compare(original: Source, file: Source) -> dict[str, Any]:
    """How close a file comes to its original.

    ``size_bytes``, ``rate_bpp``, ``psnr_db`` and ``ms_ssim`` of ``file`` (an ``.i2`` file or any
    photo), decoded to its own sample format. MS-SSIM is pytorch-msssim's; under 161 pixels a
    side it is ``None`` and ``ms_ssim_reason`` says why.

    Raises
    ------
    OptionError
        If the two differ in size.
    """
    reference = read_source(original, keep_metadata=False)
    data = bytes_of(file)
    if data.startswith(MAGIC):
        candidate = _as_written(render_signal(read_signal(data)))
    else:
        candidate = read_source(file, keep_metadata=False)
    if reference.description.extents != candidate.description.extents:
        sizes = " and ".join("x".join(map(str, signal.description.extents[::-1])) for signal in (reference, candidate))
        raise OptionError(f"the photos are {sizes} pixels; expected the same size: decode without --scale")
    reference, candidate = _same_channels(reference, candidate)
    error = distortion(target=reference.samples, decoded=candidate.samples, description=reference.description)
    ms_ssim, reason = _ms_ssim(reference, candidate)
    result = {
        "size_bytes": len(data),
        "rate_bpp": 8 * len(data) / reference.description.point_count,
        "psnr_db": psnr_db(error),
        "ms_ssim": ms_ssim,
    }
    return result if reason is None else {**result, "ms_ssim_reason": reason}


def verify(source: Source) -> None:
    """Check every checksum, decode the whole file and prove its contraction again.

    Raises
    ------
    FormatError
        If anything is wrong.
    """
    stored: StoredSignal = read_signal(bytes_of(source))
    network = stored.network.dequantised()
    factor = contraction_factor(network.architecture, network.tensors, network.state_scale)
    if not factor <= network.architecture.contraction:
        raise FormatError(
            f"the layer contracts by {factor:.6f} only; the file promises {network.architecture.contraction:.6f}"
        )
    render_signal(stored, device="cpu")


def _as_written(decoded: Signal) -> Signal:
    """The samples as a file of the source's format holds them: rounded and clipped."""
    if decoded.description.sample_format.is_float:
        return decoded
    samples, _ = from_source_samples(decoded.to_source(), decoded.description)
    return replace(decoded, samples=samples)


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
        fitted: NDArray[np.float32] = to_fitted(signal.samples, transform_for(signal.description))
        colour = fitted[..., :-1] if signal.description.has_alpha else fitted
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(colour, -1, 0)))[None]

    return float(ms_ssim(to_tensor(candidate), to_tensor(reference), data_range=1.0)), None
