from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.contraction import proved_state_scale
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.stencil import Stencil, sup_norm
from i2codec.latents.template import Template
from i2codec.payload.file import StoredSignal
from i2codec.payload.grid_section import QuantisedGridNetwork, proved_contraction
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.latents_section import LatentPyramid
from i2codec.payload.network_section import QuantisedNetwork
from i2codec.payload.stored_grid import StoredGrid
from i2codec.signal.colour import ColourTransform
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.segments import Segments
from i2codec.signal.timestamps import TimeStamps

MakeStored = Callable[..., StoredSignal]

_ROLES = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE, ChannelRole.ALPHA)


def _network(
    architecture: Architecture,
    *,
    steps: int,
    seed: int,
    transform: ColourTransform = ColourTransform.NONE,
    frequency_step: float = 2.0**-3,
) -> QuantisedNetwork:
    """A random field with frequencies of up to 60 steps."""
    generator = np.random.default_rng(seed)
    integers = {name: generator.integers(-60, 61, shape) for name, shape in architecture.tensor_shapes.items()}
    sizes = {name: frequency_step if name.startswith("U") else 2.0**-6 for name in integers}
    network = QuantisedNetwork(architecture, integers, sizes, 1.0, steps, transform)
    return replace(network, state_scale=proved_state_scale(architecture, network.dequantised().tensors))


def _in_time(extents: tuple[int, ...], *, rate: int, timestamps: TimeStamps | None) -> SignalDescription:
    """A sound ``(samples,)`` or a video ``(frames, height, width)``."""
    is_sound = len(extents) == 1
    step = Fraction(1, rate) if timestamps is None else timestamps.duration / timestamps.frame_count
    time = Axis(AxisName.TIME, extents[0], step)
    space = tuple(Axis(name, extent) for name, extent in zip((AxisName.Y, AxisName.X), extents[1:], strict=False))
    return SignalDescription(
        Kind.SOUND if is_sound else Kind.VIDEO,
        (time, *space),
        (ChannelRole.SOUND,) if is_sound else _ROLES[:3],
        SampleFormat.INT16 if is_sound else SampleFormat.UINT8,
    )


def _photo(height: int, width: int, *, channel_count: int) -> SignalDescription:
    axes = (Axis(AxisName.Y, height), Axis(AxisName.X, width))
    return SignalDescription(Kind.PHOTO, axes, _ROLES[:channel_count], SampleFormat.UINT8)


@pytest.fixture(scope="session")
def make_stored() -> MakeStored:
    """Photos of random fields of low frequencies, ready to be rendered."""

    def make(
        height: int = 30,
        width: int = 40,
        *,
        filter: Filter = Filter.SIREN,
        channel_count: int = 3,
        transform: ColourTransform = ColourTransform.NONE,
        state: int = 6,
        depth: int = 1,
        steps: int = 30,
        seed: int = 0,
    ) -> StoredSignal:
        architecture = Architecture(filter, state, depth, 2, channel_count, contraction=0.5)
        network = _network(architecture, steps=steps, seed=seed, transform=transform)
        return StoredSignal(_photo(height, width, channel_count=channel_count), (network,))

    return make


@pytest.fixture(scope="session")
def make_units() -> MakeStored:
    """Sounds ``(samples,)`` and videos ``(frames, height, width)`` whose units are random fields of their own."""

    def make(
        *extents: int,
        length: int,
        rate: int = 100,
        timestamps: TimeStamps | None = None,
        filter: Filter = Filter.SIREN,
        steps: int = 4,
        frequency_step: float = 2.0**-3,
    ) -> StoredSignal:
        description = _in_time(extents, rate=rate, timestamps=timestamps)
        architecture = Architecture(filter, 5, 1, len(extents), len(description.channels), contraction=0.5)
        count = Segments(extent=extents[0], length=length).count
        networks = tuple(
            _network(architecture, steps=steps, seed=unit, frequency_step=frequency_step) for unit in range(count)
        )
        return StoredSignal(description, networks, segment_length=length if count > 1 else None, timestamps=timestamps)

    return make


@pytest.fixture(scope="session")
def make_grid_stored() -> MakeStored:
    """Sounds, photos and videos that are random grid fields; the levels in ``zeros`` are 0.

    With ``planes`` a photo has a latent for each channel at every node.
    """

    def make(
        *extents: int,
        channel_count: int = 3,
        stencil: Stencil = Stencil.FULL,
        level_count: int = 3,
        steps: int = 5,
        contraction: float = 0.8,
        planes: bool = False,
        transform: ColourTransform = ColourTransform.NONE,
        rate: int = 100,
        timestamps: TimeStamps | None = None,
        zeros: tuple[int, ...] = (),
        seed: int = 0,
    ) -> StoredSignal:
        if len(extents) == 2:
            description = _photo(*extents, channel_count=channel_count)
        else:
            description = _in_time(extents, rate=rate, timestamps=timestamps)
        template = Template.COLOUR if planes else Template.PLANE if len(extents) < 3 else Template.VOLUME
        plane_count = channel_count if planes else 1
        architecture = GridArchitecture(
            level_count,
            len(extents),
            len(description.channels),
            hidden_width=6,
            width=3,
            context_width=4,
            context_features=template.feature_count,
            stencil=stencil,
            plane_count=plane_count,
        )
        generator = np.random.default_rng(seed)
        tensors = {name: _normal(generator, shape) for name, shape in architecture.tensor_shapes.items()}
        tensors["gains"] = generator.uniform(0.3, 0.6, level_count * plane_count)
        tensors["W"] /= 4.0
        if "A" in tensors:
            tensors["A"] *= contraction / sup_norm(tensors["A"].astype(np.float32))
        integers = {name: np.rint(tensor * 2**10).astype(np.int64) for name, tensor in tensors.items()}
        network = QuantisedGridNetwork(
            architecture, integers, dict.fromkeys(tensors, 2.0**-10), 0.0, steps, colour_transform=transform
        )
        network = replace(network, contraction=proved_contraction(network.dequantised()))
        tiles = LatentTiles.of(description.axes, level_count, planes=architecture.planes)
        shapes = [(*architecture.planes, *tiles.shape(level)) for level in range(level_count)]
        levels = [generator.integers(-3, 4, shape) * (level not in zeros) for level, shape in enumerate(shapes)]
        pyramid = LatentPyramid.of(
            [level.astype(np.int32) for level in levels], tiles=tiles, model=network.context_model()
        )
        return StoredSignal(description, (), timestamps=timestamps, grid=StoredGrid(network, pyramid))

    return make


def _normal(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return 1.5 * generator.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
