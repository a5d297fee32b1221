from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.contraction import proved_state_scale
from i2codec.field.stored import StoredNetwork

MakeNetwork = Callable[..., StoredNetwork]


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
