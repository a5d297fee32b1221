"""Measure the step count K that a file stores."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from i2codec.field.module import ImplicitField
from i2codec.fit.points import TrainingPoints

_CHUNK_POINTS = 16384
_SETTLED = 2.0**-20  # change of any output per step at which the limit counts as reached
_MOST_STEPS = 256


def measure_step_count(field: ImplicitField, points: TrainingPoints, *, tolerance: float) -> int:
    """Steps from zero after which every output stays within ``tolerance`` of its limit.

    Looked at are all points of the signal's grid and of the grids moved by half a sample along
    every combination of axes. At least 1; up to 256, where the limit was not reached.
    """
    shifts = list(itertools.product((0.0, 0.5), repeat=len(points.extents)))
    needed = 1
    with torch.no_grad():
        scale = field.state_scale()
        for first in range(0, points.count, _CHUNK_POINTS):
            indices = torch.arange(first, min(first + _CHUNK_POINTS, points.count), device=points.targets.device)
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
    for _ in range(_MOST_STEPS):
        z = field.layer(z, injection, scale)
        outputs.append(field.read_out(z))
        if len(outputs) > 1 and float((outputs[-1] - outputs[-2]).abs().max()) <= _SETTLED:
            break
    else:
        return _MOST_STEPS
    errors = [float((output - outputs[-1]).abs().max()) for output in outputs]
    late = [step for step, error in enumerate(errors) if error > tolerance]
    return late[-1] + 2 if late else 1
