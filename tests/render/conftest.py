from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.contraction import proved_state_scale
from i2codec.payload.file import StoredSignal
from i2codec.payload.network_section import QuantisedNetwork
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
        axes = (Axis(AxisName.Y, height), Axis(AxisName.X, width))
        description = SignalDescription(Kind.PHOTO, axes, _ROLES[:channel_count], SampleFormat.UINT8)
        return StoredSignal(description, (network,))

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
        is_sound = len(extents) == 1
        step = Fraction(1, rate) if timestamps is None else timestamps.duration / timestamps.frame_count
        time = Axis(AxisName.TIME, extents[0], step)
        space = tuple(Axis(name, extent) for name, extent in zip((AxisName.Y, AxisName.X), extents[1:], strict=False))
        description = SignalDescription(
            Kind.SOUND if is_sound else Kind.VIDEO,
            (time, *space),
            (ChannelRole.SOUND,) if is_sound else _ROLES[:3],
            SampleFormat.INT16 if is_sound else SampleFormat.UINT8,
        )
        architecture = Architecture(filter, 5, 1, len(extents), len(description.channels), contraction=0.5)
        count = Segments(extent=extents[0], length=length).count
        networks = tuple(
            _network(architecture, steps=steps, seed=unit, frequency_step=frequency_step) for unit in range(count)
        )
        return StoredSignal(description, networks, segment_length=length if count > 1 else None, timestamps=timestamps)

    return make
