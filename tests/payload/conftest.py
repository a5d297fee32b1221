from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.payload.network_section import QuantisedNetwork
from i2codec.signal.colour import ColourTransform

MakeQuantised = Callable[..., QuantisedNetwork]


@pytest.fixture(scope="session")
def make_quantised() -> MakeQuantised:
    """Random networks on integers; numbers that the file holds as floats are representable."""

    def make(
        filter: Filter = Filter.SIREN,
        *,
        width: int = 5,
        depth: int = 1,
        axis_count: int = 2,
        channel_count: int = 3,
        norm: Norm = Norm.SPECTRAL,
        contraction: float = 0.625,
        steps: int = 12,
        transform: ColourTransform = ColourTransform.NONE,
        largest: int = 40,
        seed: int = 0,
    ) -> QuantisedNetwork:
        architecture = Architecture(filter, width, depth, axis_count, channel_count, norm, contraction)
        generator = np.random.default_rng(seed)
        shapes = architecture.tensor_shapes
        integers = {name: generator.integers(-largest, largest + 1, shape) for name, shape in shapes.items()}
        sizes = {name: float(np.float16(generator.uniform(0.01, 0.5))) for name in shapes}
        return QuantisedNetwork(architecture, integers, sizes, 0.375, steps, transform)

    return make
