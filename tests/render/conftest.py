from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.contraction import proved_state_scale
from i2codec.payload.file import StoredSignal
from i2codec.payload.network_section import QuantisedNetwork
from i2codec.signal.colour import ColourTransform
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription

MakeStored = Callable[..., StoredSignal]

_ROLES = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE, ChannelRole.ALPHA)


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
        generator = np.random.default_rng(seed)
        integers = {name: generator.integers(-60, 61, shape) for name, shape in architecture.tensor_shapes.items()}
        sizes = {name: 2.0**-3 if name.startswith("U") else 2.0**-6 for name in integers}
        network = QuantisedNetwork(architecture, integers, sizes, 1.0, steps, transform)
        scale = proved_state_scale(architecture, network.dequantised().tensors)
        axes = (Axis(AxisName.Y, height), Axis(AxisName.X, width))
        description = SignalDescription(Kind.PHOTO, axes, _ROLES[:channel_count], SampleFormat.UINT8)
        return StoredSignal(description, (replace(network, state_scale=scale),))

    return make
