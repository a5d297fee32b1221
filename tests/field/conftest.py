from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.contraction import proved_state_scale
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import level_extents
from i2codec.field.stencil import Stencil, sup_norm
from i2codec.field.stored import StoredNetwork

MakeNetwork = Callable[..., StoredNetwork]
MakeGridNetwork = Callable[..., StoredGridNetwork]
MakePyramid = Callable[..., list[NDArray[np.int32]]]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def make_network() -> MakeNetwork:
    """Random networks; ``grid_step`` rounds every parameter to its multiples, as a file does."""

    def make(
        filter: Filter = Filter.SIREN,
        *,
        width: int = 7,
        depth: int = 1,
        axis_count: int = 2,
        channel_count: int = 3,
        norm: Norm = Norm.SPECTRAL,
        contraction: float = 0.6,
        steps: int = 64,
        seed: int = 0,
        weight_scale: float = 1.0,
        grid_step: float = 2.0**-6,
    ) -> StoredNetwork:
        architecture = Architecture(filter, width, depth, axis_count, channel_count, norm, contraction)
        generator = np.random.default_rng(seed)
        tensors = {}
        for name, shape in architecture.tensor_shapes.items():
            scale = weight_scale if name.startswith("A") else 1.0
            symbols = np.rint(generator.normal(size=shape) * scale / grid_step)
            tensors[name] = symbols.astype(np.float32) * np.float32(grid_step)
        state_scale = 1.0 if norm is Norm.NONE else proved_state_scale(architecture, tensors)
        return StoredNetwork(architecture, tensors, state_scale, steps)

    return make


@pytest.fixture(scope="session")
def make_grid_network() -> MakeGridNetwork:
    """Random grid fields whose outputs are about 1; the stencil's sup norm is ``contraction``."""

    def make(
        *,
        axis_count: int = 2,
        level_count: int = 3,
        channel_count: int = 2,
        plane_count: int = 1,
        hidden_width: int = 5,
        width: int = 3,
        stencil: Stencil = Stencil.FULL,
        unrolled: bool = False,
        contraction: float = 0.8,
        steps: int = 12,
        seed: int = 0,
    ) -> StoredGridNetwork:
        architecture = GridArchitecture(
            level_count,
            axis_count,
            channel_count,
            hidden_width=hidden_width,
            width=width,
            stencil=stencil,
            unrolled=unrolled,
            plane_count=plane_count,
        )
        generator = np.random.default_rng(seed)
        tensors = {
            name: (1.5 * generator.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
            for name, shape in architecture.synthesis_shapes.items()
        }
        tensors["gains"] = generator.uniform(0.3, 0.6, level_count * plane_count).astype(np.float32)
        tensors["W"] /= 4.0
        if "A" in tensors:
            tensors["A"] *= np.float32(contraction / sup_norm(tensors["A"]))
        return StoredGridNetwork(architecture, tensors, steps)

    return make


@pytest.fixture(scope="session")
def make_pyramid() -> MakePyramid:
    """Random latents of all levels, finest first."""

    def make(
        extents: tuple[int, ...], level_count: int, *, plane_count: int = 1, seed: int = 0
    ) -> list[NDArray[np.int32]]:
        generator = np.random.default_rng(seed)
        planes = (plane_count,) if plane_count > 1 else ()
        shapes = ((*planes, *level_extents(extents, level)) for level in range(level_count))
        return [generator.integers(-3, 4, shape).astype(np.int32) for shape in shapes]

    return make
