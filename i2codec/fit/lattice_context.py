"""What the latents of a lattice cost under its context model in floats, with gradients.

As ``context`` does for pyramids: features are companded magnitudes of neighbours and the places of
columns, and the mean is 0. On the CPU it is the compiled loop of ``context_fast``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from i2codec.field.grid_architecture import CONTEXT_TENSORS
from i2codec.fit.compiled import in_threads
from i2codec.fit.context import BEFORE, CAUSAL, PLANES_OF_TIME, laplace_bits, level_tensors, predicted
from i2codec.fit.context_fast import Band, Layout
from i2codec.fit.context_kernel import plane_gradients

HIGHEST_LOG2_SCALE = 143 / 8 - 4
_NO_MEAN = 0.0
_REACH = 2


def lattice_bits(latents: Tensor, positions: Tensor, tensors: Mapping[str, Tensor], *, level: int = 0) -> Tensor:
    """Bits of latents ``[C, frames, columns]``, a scalar with gradient; ``positions`` ``[features, columns]``.

    ``level`` says which of the model's biases and networks to use.
    """
    if latents.device.type == "cpu":
        bits: Tensor = _LatticeBits.apply(  # type: ignore[no-untyped-call]
            level, latents, companded(latents), positions, *(tensors[name] for name in CONTEXT_TENSORS)
        )
        return bits
    return plain_lattice_bits(latents, positions, tensors, level=level)


def plain_lattice_bits(latents: Tensor, positions: Tensor, tensors: Mapping[str, Tensor], *, level: int = 0) -> Tensor:
    """The same in torch, the plain twin of the compiled loop."""
    x = lattice_features(latents, positions)
    _, log2_scale = predicted(x, level_tensors(tensors, level))
    values = latents.reshape(-1)
    zeros = torch.zeros_like(values)
    return laplace_bits(values, mean=zeros, log2_scale=log2_scale, highest=HIGHEST_LOG2_SCALE).sum()


def companded(values: Tensor) -> Tensor:
    """Magnitudes as features, see :func:`~i2codec.latents.template.companded`."""
    n = values.abs() + 1.0
    octave = torch.frexp(n.detach())[1] - 1.0
    return 4.0 * (octave + n * torch.exp2(-octave) - 1.0)


def lattice_features(latents: Tensor, positions: Tensor) -> Tensor:
    """What the context model reads for every node: ``[features, nodes]``."""
    _, frames, columns = latents.shape
    padded = functional.pad(companded(latents), (_REACH, _REACH, _REACH, _REACH))
    before = torch.cat([torch.zeros_like(padded[:1]), padded[:-1]])
    read = [
        plane[:, _REACH + dt : _REACH + dt + frames, _REACH + dk : _REACH + dk + columns]
        for plane, offsets in ((padded, CAUSAL), (before, BEFORE))
        for dt, dk in offsets
    ]
    of_columns = [row.expand(latents.shape) for row in (*positions, torch.zeros_like(positions[0]))]
    return torch.stack([*read, *of_columns]).reshape(len(read) + len(of_columns), -1)


class _LatticeBits(torch.autograd.Function):
    """Gradients are computed with the bits and only scaled on the way back."""

    @staticmethod
    def forward(ctx: Any, level: int, latents: Tensor, features: Tensor, positions: Tensor, *weights: Tensor) -> Tensor:
        """Bits, with the gradients by everything that has one."""
        layout = Layout.of([tuple(latents.shape)], before=PLANES_OF_TIME)
        read, coded = (layout.filled([tensor.detach().numpy()]) for tensor in (features, latents))
        of_columns = np.pad(positions.numpy().astype(np.float32), ((0, 1), (0, 0)))  # and the feature that waits
        arrays = dict(zip(CONTEXT_TENSORS, (weight.detach().numpy() for weight in weights), strict=True))

        def task(bands: list[Band]) -> tuple[float, list[Any]]:
            """Bits of some rows, and their gradients by latents, features and weights."""
            by_coded, by_read = np.zeros_like(coded), np.zeros_like(read)
            by_weight = {name: np.zeros(array.shape) for name, array in arrays.items()}
            bits = 0.0
            for band in bands:
                for column, width in layout.blocks(0):
                    bits += plane_gradients(
                        read,
                        by_read,
                        coded,
                        by_coded,
                        layout.first(0, band.plane) + column,
                        layout.stride(0),
                        band.rows,
                        width,
                        layout.deltas(0),
                        (0, 0),
                        (0, 0),
                        np.ascontiguousarray(of_columns[:, column : column + width]),
                        _NO_MEAN,
                        HIGHEST_LOG2_SCALE,
                        level_tensors(arrays, level),
                        level_tensors(by_weight, level),
                    )
            return bits, [by_coded, by_read, *by_weight.values()]

        results = in_threads(task, layout.bands(torch.get_num_threads()))
        gradients = [sum(parts[1:], start=parts[0]) for parts in zip(*(parts for _, parts in results), strict=True)]
        ctx.gradients = [
            None,
            *(torch.from_numpy(layout.inside(part)[0]).reshape(latents.shape) for part in gradients[:2]),
            None,
            *(torch.from_numpy(part.astype(np.float32)) for part in gradients[2:]),
        ]
        return latents.new_tensor(sum(bits for bits, _ in results))

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        """See above."""
        return tuple(None if gradient is None else scale * gradient for gradient in ctx.gradients)
