"""Where a fit of high quality starts: at the picture itself, rounded, and a prediction from its neighbours.

At low rates most latents are 0 and a prior's networks say how to make a picture of few of them. At
high rates nearly all latents count, and what is to be done is known: planes of colours that do not
correlate, rounded to the step that λ asks for, under a context model that a prior has, or that predicts
each node linearly.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_module import LatentReader
from i2codec.field.interpolation import across_planes, level_extents
from i2codec.fit.context import features, planes_before
from i2codec.fit.grid_model import cell_means
from i2codec.fit.grid_start import nearest_prior

Arrays = dict[str, NDArray[np.float64]]

_MIDDLE = 0.5
_LARGEST_STEP = 0.125
_OPPONENTS = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]]) / np.sqrt([[3.0], [2.0], [6.0]])
"""Lightness, red against blue, and green against both: orthonormal."""
_REACH_OF_ACTIVATIONS = 4.0
"""Predictions are halved twice on their way through the context model, whose activations end below 64."""
_COARSE_LEVEL = 4
"""A sixteenth of the size; it costs nothing (docs/grid.md)."""
_LEAST_SCALE = 2.0**-4
_SIDE = 512
"""Nodes along each axis that the prediction is fitted to."""


def picture_start(
    architecture: GridArchitecture, target: Tensor, *, lmbda: float, seed: int
) -> tuple[int, Arrays, dict[int, Tensor]]:
    """Number of a prior or 0, networks by name, and latents ``[*planes, *nodes]`` by level; all other levels are 0.

    They make ``target`` ``[C, *grid]`` as it is but for rounding.

    Rounded to steps Δ, orthonormal planes have an error of D = Δ²/12, and at high rates each bit for a
    sample lowers D of its C channels' mean by 2 ln 2 · D / C, which λ is held against: Gish and Pierce,
    "Asymptotically Efficient Quantizing", 1968.
    """
    step = min(math.sqrt(12.0 * lmbda * architecture.plane_count / (2.0 * math.log(2.0))), _LARGEST_STEP)
    turn = _turn(architecture.channel_count)[: architecture.plane_count]
    planes = torch.tensordot(torch.from_numpy(turn).to(target), target - _MIDDLE, dims=1) / step
    latents = _latents(architecture, planes.reshape(*architecture.planes, *target.shape[1:]))
    # those for one latent at every node are for low rates
    prior = nearest_prior(architecture, lmbda=lmbda) if architecture.plane_count > 1 else None
    if prior is None:
        generator = np.random.default_rng(seed)
        number, tensors = 0, _synthesis(architecture, turn, generator=generator)
        tensors |= _context(architecture, latents[0], generator=generator)
    else:
        number, tensors = prior
    tensors |= {"gains": np.full(architecture.synthesis_shapes["gains"], step)}
    for level in set(latents) - {0}:
        tensors["d_3"][level, 1] = math.log2(_scale(latents[level]))
    return number, tensors, latents


def _latents(architecture: GridArchitecture, finest: Tensor) -> dict[int, Tensor]:
    """Means of large cells, which are what a cut file has left, and what they leave to the finest level."""
    if architecture.level_count <= _COARSE_LEVEL:
        return {0: finest}
    extents = tuple(finest.shape[-architecture.axis_count :])
    leading = finest.reshape(-1, *extents)
    coarse = torch.round(cell_means(leading, _COARSE_LEVEL)).reshape(
        *architecture.planes, *level_extents(extents, _COARSE_LEVEL)
    )
    positions = [np.arange(extent) + 0.5 for extent in extents]
    reader = LatentReader(extents, positions, levels=range(_COARSE_LEVEL, _COARSE_LEVEL + 1)).to(finest.device)
    return {0: finest - reader([coarse]).reshape(finest.shape), _COARSE_LEVEL: coarse}


def _scale(values: Tensor) -> float:
    """Mean distance from the mean, which is a Laplace distribution's scale."""
    return max(float((values - values.mean()).abs().mean()), _LEAST_SCALE)


def _turn(channel_count: int) -> NDArray[np.float64]:
    """Rows of an orthonormal turn of the channels, lightness first; alpha keeps to itself."""
    turn = np.eye(channel_count)
    if channel_count >= 3:
        turn[:3, :3] = _OPPONENTS
    return turn


def _synthesis(architecture: GridArchitecture, turn: NDArray[np.float64], *, generator: np.random.Generator) -> Arrays:
    """Φ = turnᵀ Σ v + ½ over levels: each plane passes as relu(v) − relu(−v), and other channels start at random."""
    levels, planes = architecture.level_count, architecture.plane_count
    hidden, width = architecture.hidden_width, architecture.width
    tensors = {name: np.zeros(shape) for name, shape in architecture.synthesis_shapes.items()}
    first = 0.3 * generator.standard_normal((hidden, levels, planes))
    second = 0.3 / math.sqrt(hidden) * generator.standard_normal((width, hidden))
    first[: 2 * planes], second[:planes], second[:, : 2 * planes] = 0.0, 0.0, 0.0
    for plane in range(planes):
        first[2 * plane : 2 * plane + 2, :, plane] = [[1.0], [-1.0]]
        second[plane, 2 * plane : 2 * plane + 2] = 1.0, -1.0
    tensors["E_1"], tensors["E_2"] = first.reshape(hidden, -1), second
    tensors["W"][:, :planes] = turn.T
    tensors["b"][:] = _MIDDLE
    return tensors


def _context(architecture: GridArchitecture, finest: Tensor, *, generator: np.random.Generator) -> Arrays:
    """Means are the best linear prediction on the finest level, and each plane has one scale."""
    tensors = {name: np.zeros(shape) for name, shape in architecture.context_shapes.items()}
    weights, scale = _prediction(architecture, finest)
    noise = generator.standard_normal(tensors["C_1"].shape) / (25.0 * math.sqrt(len(weights)))
    tensors["C_1"][:] = noise
    tensors["C_1"][:, 0], tensors["C_1"][:, 1] = weights / _REACH_OF_ACTIVATIONS, -weights / _REACH_OF_ACTIVATIONS
    tensors["C_3"][:, 0, 0], tensors["C_3"][:, 0, 1] = _REACH_OF_ACTIVATIONS, -_REACH_OF_ACTIVATIONS
    tensors["d_3"][:, 1] = -1.0  # coarser levels start at 0
    tensors["d_3"][0, 1] = math.log2(scale)
    return tensors


def _prediction(architecture: GridArchitecture, finest: Tensor) -> tuple[NDArray[np.float64], float]:
    """Weights of the features by least squares over the middle of the rounded picture, and the mean error."""
    extents = finest.shape[-architecture.axis_count :]
    firsts = [max(0, (extent - _SIDE) // 2) for extent in extents]
    nodes = torch.round(finest[across_planes(tuple(slice(first, first + _SIDE) for first in firsts))])
    nodes = nodes[None] if nodes.dim() == len(extents) else nodes
    before = planes_before(axis_count=architecture.axis_count, plane_count=architecture.plane_count)
    x, y = features([nodes], 0, before=before).double(), nodes.reshape(-1).double()
    ridge = 1e-3 * x.shape[1] * torch.eye(len(x), dtype=x.dtype, device=x.device)
    weights = torch.linalg.solve(x @ x.T + ridge, x @ y)
    return weights.cpu().numpy(), _scale(y - weights @ x)
