"""The cheap gradients at a *fitted* field whose recurrence matters, not at a random one."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch

from i2codec.field.gradients import Implicit, OneStep, Phantom
from i2codec.signal.grid import grid_coordinates, sample_centres

STEPS = 400


@pytest.fixture(scope="module")
def fitted(problem_of):
    """A siren field of 16 fitted in float32 to a small picture, through three applications of F."""
    centres = sample_centres(np.arange(16), count=16, half_extent=1.0)
    x = torch.from_numpy(grid_coordinates([centres, centres]))
    wave = torch.sin(7.0 * x[:, :1] + 3.0 * x[:, 1:]) * torch.cos(9.0 * x[:, 1:] ** 2)
    disc = (torch.linalg.vector_norm(x - 0.2, dim=1, keepdim=True) < 0.5).double()
    target = torch.cat([0.5 + 0.25 * wave, 0.2 + 0.6 * disc], dim=1)

    field = copy.deepcopy(problem_of(width=16).field).float()
    with torch.no_grad():
        field.tensors["U_0"].mul_(8.0)
        field.tensors["U_1"].mul_(8.0)
    problem = dataclasses.replace(problem_of(), field=field, x=x, target=target.float())
    optimiser = torch.optim.Adam(field.parameters(), lr=3e-3)
    state, losses = problem.start(), []
    for _ in range(STEPS):
        state = Phantom(terms=3)(problem.transition(), state)
        loss = torch.nn.functional.mse_loss(field.read_out(state), problem.target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert -10.0 * math.log10(losses[-1]) >= 20.0  # dB: it is fitted
    problem = dataclasses.replace(problem, field=field.double(), target=target)
    assert problem.measured_ratio() >= 0.5  # and its recurrence matters
    return problem


def test_implicit_is_the_unrolled_gradient(fitted):
    assert fitted.cosine(Implicit(tolerance=1e-12, max_steps=1000)) >= 0.999999


def test_five_terms_are_close_and_one_is_further(fitted):
    one, five = fitted.cosine(OneStep()), fitted.cosine(Phantom(terms=5))
    assert five >= 0.9
    assert 0.0 < one < five
    assert one < 0.98
