"""The context model in floats, for fitting: what a latent costs, with gradients.

The same features and layers as the integer model that codes the latents (docs/format.md), without
its rounding. What is fitted here is rounded once, when the file is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from i2codec.field.grid_architecture import CONTEXT_TENSORS

Array = TypeVar("Array", Tensor, NDArray[np.float32], NDArray[np.float64])

# Offsets in the plane of a node, then in the planes before; the order is that of the weights.
CAUSAL = ((0, -1), (0, -2), *((-1, dx) for dx in range(-2, 3)), *((-2, dx) for dx in range(-2, 3)))
BEFORE = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
# Offsets in each plane before a node's own, the nearest first.
PlanesBefore = tuple[tuple[tuple[int, int], ...], ...]
PLANES_OF_TIME: PlanesBefore = (BEFORE,)
PLANES_OF_COLOUR: PlanesBefore = (BEFORE, ((0, 0),))
_REACH = 2
_LARGEST_FEATURE = 127.0
_LARGEST_ACTIVATION = 4095.0 / 64.0  # in the integer model they have 12 bits, 6 of them fractional
LARGEST_MEAN = 127.0
_LOWEST_LOG2_SCALE, HIGHEST_LOG2_SCALE = -4.0, 5.875  # of the tables' Laplace distributions
_LEAST_PROBABILITY = 2.0**-16


def planes_before(*, axis_count: int, plane_count: int = 1) -> PlanesBefore:
    """Offsets of the neighbours in the planes before a node's own: those of time, or of colours."""
    if axis_count == 3:
        return PLANES_OF_TIME
    return PLANES_OF_COLOUR if plane_count > 1 else ()


def feature_count(axis_count: int, plane_count: int = 1) -> int:
    """Integers that the context model reads for a node."""
    return len(CAUSAL) + 4 + 1 + sum(map(len, planes_before(axis_count=axis_count, plane_count=plane_count)))


def latent_bits(
    latents: Sequence[Tensor], tensors: Mapping[str, Tensor], *, first_level: int = 0, before: PlanesBefore = ()
) -> Tensor:
    """Bits of latents, a scalar with gradient.

    Parameters
    ----------
    latents:
        Levels from ``first_level`` on, finest first, each ``[*planes, *nodes]``; noisy or
        soft-rounded ones count as densities.
    tensors:
        ``C_1`` to ``d_3``, see :class:`~i2codec.field.grid_architecture.GridArchitecture`.
    before:
        What :func:`planes_before` gives.
    """
    planes = [latent[(None,) * (3 - latent.dim())] for latent in latents]
    total = latents[0].new_zeros(())
    for index, plane in enumerate(planes):
        x = features(planes, index, before=before)
        mean, log2_scale = predicted(x, level_tensors(tensors, first_level + index))
        mean = mean.clamp(-LARGEST_MEAN, LARGEST_MEAN)
        total = total + laplace_bits(plane.reshape(-1), mean=mean, log2_scale=log2_scale).sum()
    return total


def predicted(x: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """Means and log₂ of scales ``[2, nodes]`` from features ``[features, nodes]`` and C_1 to d_3 of a level."""
    weights_1, biases_1, weights_2, biases_2, weights_3, biases_3 = tensors
    hidden = _activation(torch.addmm(biases_1[:, None], weights_1, x))
    hidden = _activation(hidden + torch.addmm(biases_2[:, None], weights_2, hidden))
    return torch.addmm(biases_3[:, None], weights_3, hidden)


def level_tensors(tensors: Mapping[str, Array], level: int) -> tuple[Array, Array, Array, Array, Array, Array]:
    """C_1 to d_3 of a level: those of its network, and biases of its own."""
    network = min(level, len(tensors["C_1"]) - 1)
    c_1, d_1, c_2, d_2, c_3, d_3 = (tensors[name] for name in CONTEXT_TENSORS)
    return c_1[network], d_1[level], c_2[network], d_2[network], c_3[network], d_3[level]


def features(planes: Sequence[Tensor], level: int, *, before: PlanesBefore = ()) -> Tensor:
    """What the context model reads for every node of a level: ``[features, nodes]``.

    ``planes`` are all levels as ``[planes, rows, columns]``, ``before`` what :func:`planes_before` gives.
    """
    plane = planes[level]
    height, width = plane.shape[1:]
    padded = functional.pad(plane, (_REACH, _REACH, _REACH, _REACH))

    def shifted(values: Tensor, dy: int, dx: int) -> Tensor:
        return values[:, _REACH + dy : _REACH + dy + height, _REACH + dx : _REACH + dx + width]

    read = [shifted(padded, dy, dx) for dy, dx in CAUSAL]
    earlier = padded
    for offsets in before:
        earlier = torch.cat([torch.zeros_like(padded[:1]), earlier[:-1]])
        read += [shifted(earlier, dy, dx) for dy, dx in offsets]
    halving = int(before != PLANES_OF_COLOUR)
    if level + 1 < len(planes):
        read += _nearest(planes[level + 1], plane.shape, plane_factor=2**halving)
    else:
        read += [torch.zeros_like(plane)] * 4
    if level + 2 < len(planes):
        read.append(_colocated(planes[level + 2], plane.shape, factors=(4**halving, 4, 4)))
    else:
        read.append(torch.zeros_like(plane))
    return torch.stack(read).reshape(len(read), -1).clamp(-_LARGEST_FEATURE, _LARGEST_FEATURE)


def laplace_bits(values: Tensor, *, mean: Tensor, log2_scale: Tensor, highest: float = HIGHEST_LOG2_SCALE) -> Tensor:
    """−log₂ of the mass of a Laplace distribution within half a step of ``values``."""
    rate = torch.exp(-math.log(2.0) * log2_scale.clamp(_LOWEST_LOG2_SCALE, highest))  # 1 / scale
    distance = (values - mean).abs()
    near = distance - 0.5
    far_tail = 0.5 * torch.exp(-(distance + 0.5) * rate)
    near_tail = 0.5 * torch.exp(-near.abs() * rate)
    mass = torch.where(near > 0.0, near_tail - far_tail, 1.0 - near_tail - far_tail)
    return -torch.log2(mass.clamp(min=_LEAST_PROBABILITY))


def _activation(values: Tensor) -> Tensor:
    return torch.relu(values).clamp(max=_LARGEST_ACTIVATION)


def _nearest(coarser: Tensor, shape: Sequence[int], *, plane_factor: int) -> list[Tensor]:
    """Values of the next coarser level next to every node: its own, the nearest across, down, and diagonal."""
    planes = coarser.repeat_interleave(plane_factor, 0)[: shape[0]]
    padded = functional.pad(planes, (1, 1, 1, 1))
    columns = [
        (row[..., 1:-1].repeat_interleave(2, -1), torch.stack([row[..., :-2], row[..., 2:]], -1).flatten(-2))
        for row in (padded[:, :-2], padded[:, 1:-1], padded[:, 2:])
    ]
    (up, up_side), (own, own_side), (down, down_side) = columns
    wanted = [
        own.repeat_interleave(2, 1),
        own_side.repeat_interleave(2, 1),
        torch.stack([up, down], 2).flatten(1, 2),
        torch.stack([up_side, down_side], 2).flatten(1, 2),
    ]
    return [values[:, : shape[1], : shape[2]] for values in wanted]


def _colocated(coarser: Tensor, shape: Sequence[int], *, factors: Sequence[int]) -> Tensor:
    for axis, (extent, factor) in enumerate(zip(shape, factors, strict=True)):
        coarser = coarser.repeat_interleave(factor, axis).narrow(axis, 0, extent)
    return coarser
