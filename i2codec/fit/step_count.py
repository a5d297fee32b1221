"""Measure the step count K that a file stores."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from i2codec.field.module import ImplicitField
from i2codec.fit.points import TrainingPoints

_CHUNK_POINTS = 16384
_MOST_EVALUATIONS = 2**19  # of points times shifts
# Part of the tolerance that outputs may still move per step when the limit counts as reached: at
# a ratio of 0.9 per step what is left of the way is then below a fiftieth of the tolerance.
_SETTLED = 1.0 / 500.0
_PATIENCE = 8  # steps without progress after which what is left is rounding noise
_MOST_STEPS = 256


def measure_step_count(
    field: ImplicitField, points: TrainingPoints, *, tolerance: float, most_evaluations: int = _MOST_EVALUATIONS
) -> int:
    """Steps from zero after which every output stays within ``tolerance`` of its limit.

    Looked at are all points, or an even spread of them, and the same moved by half a sample along
    every combination of axes: at most ``most_evaluations`` together. At least 1; up to 256, where
    the limit was not reached.
    """
    shifts = list(itertools.product((0.0, 0.5), repeat=len(points.extents)))
    needed = 1
    with torch.no_grad():
        scale = field.state_scale()
        for indices in torch.split(points.lattice_indices(most_evaluations // len(shifts)), _CHUNK_POINTS):
            for shift in shifts:
                x = points.coordinates(indices, shift=shift)
                needed = max(needed, _steps_needed(field, x, scale, tolerance))
                if needed >= _MOST_STEPS:
                    return needed
    return needed


def _steps_needed(field: ImplicitField, x: Tensor, scale: Tensor, tolerance: float) -> int:
    injection = field.inject(x)
    z = torch.zeros_like(injection[0])
    outputs: list[Tensor] = []
    changes: list[float] = [math.inf]
    while not _settled(changes, tolerance):
        z = field.layer(z, injection, scale)
        outputs.append(field.read_out(z))
        if len(outputs) > 1:
            changes.append(float((outputs[-1] - outputs[-2]).abs().max()))
        if len(outputs) == _MOST_STEPS:
            return _MOST_STEPS
    errors = [float((output - outputs[-1]).abs().max()) for output in outputs]
    late = [step for step, error in enumerate(errors) if error > tolerance]
    return late[-1] + 2 if late else 1


def _settled(changes: list[float], tolerance: float) -> bool:
    """True once the outputs are far closer to their limit than the tolerance, or down to rounding noise."""
    if changes[-1] <= tolerance * _SETTLED:
        return True
    earlier, late = changes[:-_PATIENCE], changes[-_PATIENCE:]
    return bool(earlier) and min(late) >= min(earlier) and math.isfinite(min(earlier))
