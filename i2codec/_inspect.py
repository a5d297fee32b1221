"""The public verbs that look at files: info and verify."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from i2codec._api import bytes_of
from i2codec.container.reader import read_container
from i2codec.container.section import SECTION, SectionType
from i2codec.errors import FormatError
from i2codec.field.contraction import contraction_factor, readout_gain
from i2codec.payload.file import PackedNetworks, StoredSignal, parse_container, read_file
from i2codec.payload.grid_section import layer_of, proved_contraction
from i2codec.payload.network_header import Layer
from i2codec.payload.stored_grid import StoredGrid, StoredLattice
from i2codec.render.render import Rendering
from i2codec.signal.description import Kind
from i2codec.sources import Source

_LAYERS = {Layer.STENCIL: "implicit", Layer.STENCIL_UNROLLED: "unrolled", Layer.EXPLICIT: "explicit"}


def info(source: Source) -> dict[str, Any]:
    """What an ``.i2`` file holds, without rendering it.

    ``kind``, ``version``, ``shape`` ``[*grid, C]``, ``size_bytes``, ``rate_bpp`` (all bytes, per
    grid point of the first signal), ``sections`` (bytes of each type, headers included), ``field``,
    ``units`` (networks) and ``parameters`` (of all of them); of the widest network ``filter``,
    ``width``, ``depth``, ``steps`` (K), ``contraction`` (proved from the weights), ``gain``
    (‖W‖/(1 − c)) and ``macs_per_point`` (multiplications at one point, all K steps). A grid field
    has ``levels``, ``prior``, ``hidden_width``, ``stencil`` and ``layer`` in place of ``units``,
    ``filter`` and ``depth``; its norms are sup norms, which an unrolled layer does without.

    Sound and video add ``duration_s`` and ``bitrate_bps`` (all bytes); sound ``rate_hz``; video
    ``frames``, ``fps`` and, where there is a sound track, ``sound``, with the same keys.

    Raises
    ------
    FormatError
        If the file is damaged or needs a newer reader.
    """
    data = bytes_of(source)
    container = read_container(data)
    signals = parse_container(container)
    main = signals[0]
    sections: Counter[str] = Counter()
    for section in container.sections:
        sections[SectionType(section.type).name.lower()] += SECTION.size + len(section.payload)
    result = {
        "kind": main.description.kind.name.lower(),
        "version": f"1.{container.minor}",
        "shape": [*main.description.extents, len(main.description.channels)],
        "size_bytes": len(data),
        "rate_bpp": 8 * len(data) / main.description.point_count,
        **_times(main, size_bytes=len(data)),
        "sections": dict(sections),
        **_field(main),
    }
    if len(signals) > 1:
        track = signals[1]
        size_bytes = sum(SECTION.size + len(part.payload) for part in container.sections if part.signal == 1)
        result["sound"] = {
            "shape": [*track.description.extents, len(track.description.channels)],
            **_times(track, size_bytes=size_bytes),
            **_field(track),
        }
    return result


def verify(source: Source) -> None:
    """Check every checksum, decode the whole file and prove its contraction again.

    Raises
    ------
    FormatError
        If anything is wrong.
    """
    for stored in read_file(bytes_of(source)):
        for quantised in stored.networks:
            network = quantised.dequantised()
            factor = contraction_factor(network.architecture, network.tensors, network.state_scale)
            if not factor <= network.architecture.contraction:
                raise FormatError(
                    f"a layer contracts by {factor:.6f} only; the file promises {network.architecture.contraction:.6f}"
                )
        for _ in Rendering(stored, device="cpu").pieces():
            pass


def _times(stored: StoredSignal, *, size_bytes: int) -> dict[str, Any]:
    """What only signals with a time axis have."""
    description = stored.description
    if description.kind not in (Kind.SOUND, Kind.VIDEO):
        return {}
    duration_s = description.duration_s if stored.timestamps is None else float(stored.timestamps.duration)
    times = {"duration_s": duration_s, "bitrate_bps": 8 * size_bytes / duration_s}
    per_second = float(1 / description.axes[0].step)
    if description.kind is Kind.SOUND:
        return times | {"rate_hz": per_second}
    return times | {"frames": description.extents[0], "fps": per_second}


def _field(stored: StoredSignal) -> dict[str, Any]:
    return _coordinate_field(stored) if stored.grid is None else _grid_field(stored.grid)


def _grid_field(grid: StoredGrid | StoredLattice) -> dict[str, Any]:
    network, architecture = grid.network.dequantised(), grid.network.architecture
    bounds = {}
    if not architecture.unrolled:
        factor, readout = proved_contraction(network), float(np.abs(network.tensors["W"]).sum(axis=1).max())
        bounds = {"contraction": factor, "gain": readout / (1.0 - factor)}
    latents = {"units": len(grid.latent_payloads)}
    if isinstance(grid, StoredGrid):
        latents = {"levels": architecture.level_count}
    return {
        "field": "grid",
        "basis": architecture.basis.name.lower(),
        **latents,
        "prior": grid.network.prior,
        "parameters": architecture.parameter_count,
        "hidden_width": architecture.hidden_width,
        "width": architecture.width,
        "stencil": architecture.stencil.name.lower(),
        "layer": _LAYERS[layer_of(architecture)],
        "steps": network.steps,
        **bounds,
        "macs_per_point": architecture.macs_per_point(network.steps),
    }


def _coordinate_field(stored: StoredSignal) -> dict[str, Any]:
    networks = stored.networks
    assert isinstance(networks, PackedNetworks)  # as it was read
    architectures = networks.architectures()
    widest = max(range(len(networks)), key=lambda unit: architectures[unit].width)
    network = networks[widest].dequantised()
    architecture = network.architecture
    parts = (architecture, network.tensors, network.state_scale)
    return {
        "field": "coordinate",
        "units": len(networks),
        "parameters": sum(each.parameter_count for each in architectures),
        "filter": architecture.filter.name.lower(),
        "width": architecture.width,
        "depth": architecture.depth,
        "steps": network.steps,
        "contraction": contraction_factor(*parts),
        "gain": readout_gain(*parts),
        "macs_per_point": architecture.macs_per_point(network.steps),
    }
