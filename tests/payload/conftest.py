from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.stencil import Stencil
from i2codec.latents.template import Template
from i2codec.payload.grid_section import QuantisedGridNetwork, proved_contraction
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.network_section import QuantisedNetwork
from i2codec.payload.readouts_section import Readout
from i2codec.signal.colour import ColourTransform

MakeQuantised = Callable[..., QuantisedNetwork]
MakeGrid = Callable[..., QuantisedGridNetwork]
MakeLevels = Callable[..., list[NDArray[np.int32]]]
MakeReadouts = Callable[..., dict[int, Readout]]


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


@pytest.fixture(scope="session")
def make_grid() -> MakeGrid:
    """Random grid networks on integers whose stencil contracts; ``zeros`` are tensors left at 0.

    Those of the template for colours have a latent for each channel at every node.
    """

    def make(
        *,
        axis_count: int = 2,
        stencil: Stencil = Stencil.FULL,
        unrolled: bool = False,
        level_count: int = 4,
        hidden_width: int = 7,
        width: int = 3,
        context_width: int = 5,
        context_count: int = 2,
        channel_count: int = 3,
        template: Template = Template.PLANE,
        steps: int = 9,
        prior: int = 0,
        transform: ColourTransform = ColourTransform.NONE,
        largest: int = 40,
        zeros: tuple[str, ...] = (),
        seed: int = 0,
    ) -> QuantisedGridNetwork:
        architecture = GridArchitecture(
            level_count,
            axis_count,
            channel_count,
            hidden_width=hidden_width,
            width=width,
            context_width=context_width,
            context_features=template.feature_count,
            context_count=min(context_count, level_count),
            stencil=stencil,
            unrolled=unrolled,
            plane_count=channel_count if template is Template.COLOUR else 1,
        )
        generator = np.random.default_rng(seed)
        shapes = architecture.tensor_shapes
        integers = {name: generator.integers(-largest, largest + 1, shape) for name, shape in shapes.items()}
        sizes = {name: float(np.float16(generator.uniform(0.01, 0.1))) for name in shapes}
        if "A" in shapes:
            integers["A"] = generator.integers(-3, 4, shapes["A"])
            sizes["A"] = 0.75 / (3 * width * 3**axis_count)
            sizes["A"] = float(np.float16(sizes["A"]))
        for name in {*zeros} & {*shapes}:
            integers[name][...] = 0
        sizes |= {name: 1.0 for name in shapes if not integers[name].any()}
        network = QuantisedGridNetwork(architecture, integers, sizes, 0.0, steps, prior, transform)
        return replace(network, contraction=proved_contraction(network.dequantised()))

    return make


@pytest.fixture(scope="session")
def make_levels() -> MakeLevels:
    """Random latents of all levels, finest first; those of the levels in ``zeros`` are 0."""

    def make(
        tiles: LatentTiles, *, zeros: tuple[int, ...] = (), largest: int = 3, seed: int = 0
    ) -> list[NDArray[np.int32]]:
        generator = np.random.default_rng(seed)
        levels = [
            generator.integers(-largest, largest + 1, (*tiles.planes, *tiles.shape(level))).astype(np.int32)
            for level in range(tiles.level_count)
        ]
        return [level * (number not in zeros) for number, level in enumerate(levels)]

    return make


@pytest.fixture(scope="session")
def make_readouts() -> MakeReadouts:
    """Random readouts for so many whole levels."""

    def make(*whole_levels: int, width: int = 3, channel_count: int = 3, seed: int = 0) -> dict[int, Readout]:
        generator = np.random.default_rng(seed)
        shapes = (channel_count, width), (channel_count,)
        return {count: Readout.rounded(*map(generator.standard_normal, shapes)) for count in whole_levels}

    return make
