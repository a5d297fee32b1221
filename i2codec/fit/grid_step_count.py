"""Measure the step count K that a file with a grid field stores."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from i2codec.field.grid_module import GridField, LatentReader
from i2codec.field.stencil import Stencil

_MOST_STEPS = 64
_NEGLIGIBLE = 1e-3  # part of the tolerance that the last steps may leave out
_PATIENCE = 4  # steps that bring the state no closer to rest
_SIDES = {1: 2**18, 2: 512, 3: 64}
"""Native samples a side of the blocks that are looked at, by number of axes."""


@torch.no_grad()
def measure_grid_step_count(
    field: GridField, latents: Sequence[Tensor], *, extents: tuple[int, ...], tolerance: float
) -> int:
    """Steps from zero after which every output stays within ``tolerance`` of its limit.

    Looked at is all of the signal, block by block, at its samples and moved by half a sample along
    every combination of axes. 65 where more than 64 are needed.
    """
    if field.architecture.stencil is Stencil.POINTWISE:
        return 1
    side = _SIDES[len(extents)]
    needed = 1
    for corner in itertools.product(*(range(0, extent, side) for extent in extents)):
        for shift in itertools.product((0.5, 1.0), repeat=len(extents)):
            positions = [
                np.arange(low, min(low + side, extent)) + part
                for low, extent, part in zip(corner, extents, shift, strict=True)
            ]
            reader = LatentReader(extents, positions, levels=range(len(latents))).to(latents[0].device)
            needed = max(needed, _steps_needed(field, field.inject(reader(latents)), tolerance))
            if needed > _MOST_STEPS:
                return needed
    return needed


def _steps_needed(field: GridField, u: Tensor, tolerance: float) -> int:
    """As above, for one block."""
    recurrence = field.recurrence()
    assert recurrence is not None
    reach = float(field.tensors["W"].abs().sum(dim=1).max())
    z, output = u, field.read_out(u)
    moves: list[float] = []  # of the state, in units of the outputs
    changes: list[float] = []
    while len(moves) < _MOST_STEPS and not _settled(moves, negligible=_NEGLIGIBLE * tolerance):
        last_z, last_output = z, output
        z = field.layer(z, u, recurrence)
        output = field.read_out(z)
        moves.append(reach * float((z - last_z).abs().max()))
        changes.append(float((output - last_output).abs().max()))
    # What is left to go after a step is at most the sum of the changes that follow.
    rest = _rest(moves, changes)
    for step in reversed(range(int(np.argmin(moves)) + 1)):
        rest += changes[step]
        if rest > tolerance:
            return step + 2
    return 1


def _settled(moves: list[float], *, negligible: float) -> bool:
    """True once the state hardly moves, or by rounding noise only: what contracts moves less at every step."""
    if moves and moves[-1] <= negligible:
        return True
    return len(moves) > _PATIENCE and min(moves[-_PATIENCE:]) >= min(moves[:-_PATIENCE])


def _rest(moves: list[float], changes: list[float]) -> float:
    """What the output has left to go after the last step, a geometric series: 0 if the state has settled."""
    if np.argmin(moves) < len(moves) - 1 or moves[-1] == 0.0:
        return 0.0
    ratio = moves[-1] / moves[-2] if len(moves) > 1 else 0.0
    return changes[-1] * ratio / (1.0 - ratio)
