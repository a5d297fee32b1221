"""Levels of the noise that fills a lattice, and the context model that they are coded with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2codec.field.noise_filling import LARGEST_LEVEL
from i2codec.fit.grid_model import GridModel
from i2codec.fit.lattice_context import lattice_bits
from i2codec.fit.lattice_model import column_places

NOISE_LEVEL = 1
"""Of the context model's biases and networks."""
_STRENGTH = 0.6
"""Of the root mean square of what is left out: noise of all of it costs more PESQ than log-mel distance gains
(docs/sound.md)."""
_STEPS, _RATE = 150, 1e-2

Floats = NDArray[np.float64]
Levels = NDArray[np.int32]


def noise_levels(
    amplitudes: Floats, latents: NDArray[np.int32], *, steps: Floats, edges: NDArray[np.int64], least: float
) -> Levels:
    """Levels ``[C, cells, bands]`` for columns of ``amplitudes`` ``[C, cells, M]`` whose latents are 0.

    ``latents`` are of the first columns, ``steps`` ``[M]`` what 1 is worth in each; noise that is
    softer than ``least`` is none.
    """
    is_zero = np.ones(amplitudes.shape, dtype=bool)
    is_zero[..., : latents.shape[2]] = latents == 0
    starts = edges[:-1]
    count = np.maximum(np.add.reduceat(is_zero, starts, axis=2, dtype=np.int64), 1)
    left_out = np.where(is_zero, np.square(amplitudes / steps), 0.0)
    loudness = _STRENGTH * np.sqrt(np.add.reduceat(left_out, starts, axis=2) / count)
    levels = np.rint(LARGEST_LEVEL + 1 + 2.0 * np.log2(np.maximum(loudness, 2.0**-LARGEST_LEVEL)))
    is_heard = loudness * steps[starts] >= least
    return np.where(is_heard, np.clip(levels, 0, LARGEST_LEVEL), 0).astype(np.int32)


def noise_bits(growths: Sequence[Tensor], context: Mapping[str, Tensor]) -> Tensor:
    """Bits of what levels ``[C, cells, bands]`` have grown by, of all units, a scalar with gradient."""
    bits = [
        lattice_bits(
            growth, torch.from_numpy(column_places(growth.shape[2])).to(growth.device), context, level=NOISE_LEVEL
        )
        for growth in growths
    ]
    return torch.stack(bits).sum()


def fit_noise_context(model: GridModel, growths: Sequence[Tensor], start: Mapping[str, NDArray[np.float64]]) -> None:
    """Fit the context model's network for noise, from where ``start`` has it; all else of the model stays."""
    context = dict(model.context.items())
    with torch.no_grad():
        for name, tensor in context.items():
            tensor[NOISE_LEVEL] = torch.from_numpy(start[name][NOISE_LEVEL]).to(tensor)
    optimiser = torch.optim.Adam(context.values(), lr=_RATE)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        (noise_bits(growths, context) + model.network_bits()).backward()  # type: ignore[no-untyped-call]
        for tensor in context.values():
            assert tensor.grad is not None
            tensor.grad[:NOISE_LEVEL] = 0.0  # the network of the latents
        optimiser.step()
    optimiser.zero_grad()
