from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.fit.points import TrainingPoints
from i2codec.fit.step_count import measure_step_count


def _linear(slope: float) -> ImplicitField:
    """z ← slope · z + 1 at every x: the error after k steps is slopeᵏ / (1 − slope)."""
    architecture = Architecture(Filter.FOURIER, width=1, depth=1, axis_count=2, channel_count=3)
    zero, one = torch.zeros, torch.ones
    tensors = {
        "U_0": zero(1, 2), "phi_0": zero(1), "A_1": one(1, 1), "b_1": one(1), "U_1": zero(1, 2),
        "phi_1": torch.full((1,), torch.pi / 2), "W": one(3, 1), "b": zero(3),
    }  # fmt: skip
    return ImplicitField(architecture, tensors, steps=1, fixed_state_scale=slope)


@pytest.mark.parametrize("slope", [0.3, 0.5, 0.9])
def test_the_count_is_the_first_within_the_tolerance(slope: float, points: TrainingPoints) -> None:
    expected = int(np.ceil(np.log(1e-3 * (1 - slope)) / np.log(slope)))
    assert measure_step_count(_linear(slope), points, tolerance=1e-3) == expected


def test_without_recurrence_one_step_is_enough(points: TrainingPoints) -> None:
    assert measure_step_count(_linear(0.0), points, tolerance=1e-3) == 1


def test_what_converges_too_slowly_says_so(points: TrainingPoints) -> None:
    assert measure_step_count(_linear(0.995), points, tolerance=1e-3) == 256


def test_rounding_noise_above_the_tolerance_ends_the_measurement(points: TrainingPoints) -> None:
    """Outputs near 2²⁰ move by 0.06 in float32 whatever the steps; a tolerance of 10⁻⁶ is out of reach."""
    architecture = Architecture(Filter.SIREN, 24, 1, 2, 3, Norm.SPECTRAL, 0.9)
    tensors = initial_tensors(architecture, frequencies=[40.0, 60.0], generator=torch.Generator().manual_seed(1))
    tensors["W"] *= 2.0**20
    assert measure_step_count(ImplicitField(architecture, tensors, steps=1), points, tolerance=1e-6) < 128


def test_half_sample_shifts_count_too(points: TrainingPoints) -> None:
    """A state that only recurs strongly between the samples needs more steps than the grid shows."""
    field = _linear(0.9)
    period = 2.0 * np.pi * 96 / 2.0  # one turn per pixel of 2/96 units along x
    with torch.no_grad():
        field.tensors["U_1"][0, 1] = period / 2.0
        field.tensors["phi_1"][0] = np.pi / 2.0 * 95  # sin is 0 at every centre, ±1 halfway between
    on_grid = points.coordinates(torch.arange(points.count))
    gains = field.inject(on_grid)[1].abs().max()
    assert gains < 1e-3
    assert measure_step_count(field, points, tolerance=1e-3) > 20


def test_more_steps_than_the_count_change_nothing_visible(points: TrainingPoints) -> None:
    architecture = Architecture(Filter.SIREN, 24, 1, 2, 3, Norm.SPECTRAL, 0.9)
    tensors = initial_tensors(architecture, frequencies=[40.0, 60.0], generator=torch.Generator().manual_seed(1))
    field = ImplicitField(replace(architecture), tensors, steps=1)
    field.steps = measure_step_count(field, points, tolerance=1.0 / 1024.0)
    x = points.coordinates(torch.arange(points.count))
    with torch.no_grad():
        stored = torch.round(field(x) * 255)
        field.steps *= 4
        limit = torch.round(field(x) * 255)
        field.steps = 1
        once = torch.round(field(x) * 255)
    assert (stored - limit).abs().max() <= 1
    assert (once - limit).abs().max() > 1
