"""One fit for networks with a state and without: the same batches, optimiser and loss for all.

The settings are those of the codec's own loop (docs/fitting.md): Adam, half a cosine of the
learning rate, batches of one point from each equal stretch of the grid that are kept for a few
steps. A network with a state solves from zero on a fresh batch and goes on from its last state
while the batch is kept (Huang, Bai, Kolter 2021, section 3.3).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import click
import torch
from common import transition_of, zero_state
from tasks import Points
from torch import Tensor, nn
from twins import ExplicitSiren, SinglePass

from i2codec.field.gradients import Phantom
from i2codec.field.module import ImplicitField
from i2codec.field.solvers import Picard
from i2codec.fit.spectral import FollowedScale

_RATE_FACTORS = {"U": 10.0, "phi": 3.0}
_ADAM_BETAS = (0.9, 0.99)
_LAST_RATE = 0.02
_DECODED_POINTS = 2**15  # bounds the states of a decode, whatever the size of the signal


class Learner(Protocol):
    """A network and how it finds its state while it is fitted."""

    tensors: nn.ParameterDict

    def train(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Outputs ``[N, C]`` with their graph, and the state that the next step on these points starts at."""

    def decode(self, x: Tensor) -> Tensor:
        """Outputs ``[N, C]`` of the fitted network."""


def width_of(learner: Learner) -> int:
    """Size of the state that is read out."""
    return int(learner.tensors["W"].shape[1])


class Explicit:
    """A network without a state."""

    def __init__(self, network: ExplicitSiren | SinglePass) -> None:
        self.network, self.tensors = network, network.tensors

    def train(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self.network(x), None

    def decode(self, x: Tensor) -> Tensor:
        output: Tensor = self.network(x)
        return output


class FixedPoint:
    """An implicit field: the gradient passes ``terms`` applications of F; decoded by Picard from zero."""

    def __init__(self, field: ImplicitField, *, terms: int = 1, start_steps: int = 4) -> None:
        self.field, self.tensors = field, field.tensors
        self._gradient, self._start_steps = Phantom(terms=terms), start_steps
        self._scale = FollowedScale(field)

    def train(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        injection, scale = self.field.inject(x), self._scale()

        def transition(z: Tensor) -> Tensor:
            return self.field.layer(z, injection, scale)

        if state is None:
            state = zero_state(self.field, x)
            if self._start_steps:
                with torch.no_grad():
                    state = Picard()(transition, state, max_steps=self._start_steps, tolerance=0.0).state
        state = self._gradient(transition, state)
        return self.field.read_out(state), state.detach()

    def decode(self, x: Tensor) -> Tensor:
        """Solved from zero to a relative residual of 10⁻⁵, in at most 64 steps."""
        solution = Picard()(transition_of(self.field, x), zero_state(self.field, x), max_steps=64, tolerance=1e-5)
        return self.field.read_out(solution.state)


class Unrolled(FixedPoint):
    """The same layer, applied ``steps`` times from zero and stopped there, in the fit and in the decoder."""

    def __init__(self, field: ImplicitField, *, steps: int) -> None:
        super().__init__(field, terms=steps, start_steps=0)
        field.steps = steps

    def train(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        output, _ = super().train(x, None)
        return output, None

    def decode(self, x: Tensor) -> Tensor:
        output: Tensor = self.field(x)
        return output


@dataclass(frozen=True)
class Training:
    """How long a network is fitted, and how fast.

    Parameters
    ----------
    steps:
        Optimiser steps.
    rate:
        Adam's learning rate.
    batch_points:
        Points per step; fewer are taken all at once, every time.
    batch_reuse:
        Steps that a random batch is kept for.
    """

    steps: int
    rate: float
    batch_points: int = 4096
    batch_reuse: int = 4

    def batches(self, points: Points, *, seed: int) -> Iterator[tuple[Points, bool]]:
        """The batch of every step, and whether it is a fresh one."""
        generator = torch.Generator().manual_seed(seed)
        batch, whole = points, points.count <= self.batch_points
        stretch = points.count / self.batch_points
        for step in range(self.steps):
            fresh = step == 0 if whole else step % self.batch_reuse == 0
            if fresh and not whole:
                place = torch.arange(self.batch_points) + torch.rand(self.batch_points, generator=generator)
                batch = points.at((place.double() * stretch).long().clamp(max=points.count - 1))
            yield batch, fresh


def fit(learner: Learner, points: Points, training: Training, *, seed: int) -> float:
    """Fit in place; seconds per step. The loss is the mean squared error.

    Seconds are those of the clock on an accelerator. On the CPU they are the process's own, summed
    over threads, which other processes on the same cores stretch less.
    """
    now = time.perf_counter if points.x.is_cuda else time.process_time
    groups = [
        {"params": [tensor], "rate": training.rate * _RATE_FACTORS.get(name.partition("_")[0], 1.0)}
        for name, tensor in learner.tensors.items()
    ]
    optimiser = torch.optim.Adam(groups, lr=training.rate, betas=_ADAM_BETAS)
    state: Tensor | None = None
    begin = now()
    for step, (batch, fresh) in enumerate(training.batches(points, seed=seed)):
        output, state = learner.train(batch.x, None if fresh else state)
        loss = nn.functional.mse_loss(output, batch.targets)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        blend = 0.5 * (1.0 + math.cos(math.pi * step / training.steps))
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * (_LAST_RATE + (1.0 - _LAST_RATE) * blend)
        optimiser.step()
    final = float(loss.detach())  # waits for the device
    if not math.isfinite(final):
        raise click.ClickException(f"the fit diverged to a loss of {final}")
    return (now() - begin) / training.steps


@torch.no_grad()
def decode(learner: Learner, x: Tensor) -> Tensor:
    """Outputs ``[N, C]`` at ``[N, d]``, so many points at a time."""
    return torch.cat([learner.decode(part) for part in x.split(_DECODED_POINTS)])


def saved_bytes(learner: Learner, points: Points) -> int:
    """Bytes that autograd keeps for the backward pass of a step on ``points``, parameters left out."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output, _ = learner.train(points.x, None)
        nn.functional.mse_loss(output, points.targets)
    before = {tensor.untyped_storage().data_ptr() for tensor in learner.tensors.values()}
    return sum(size for pointer, size in sizes.items() if pointer not in before)
