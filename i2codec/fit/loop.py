"""The fit: optimiser steps with fixed-point reuse and a cheap gradient.

Huang, Bai, Kolter, "(Implicit)²", NeurIPS 2021, section 3.3: the state of step t − 1 starts
the solve of step t, and the gradient passes through the last applications of F only, so the
memory of a step does not depend on how many solver steps came before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from i2codec.errors import FitError
from i2codec.field.gradients import Gradient, Phantom
from i2codec.field.module import ImplicitField
from i2codec.field.solvers import Picard
from i2codec.fit.checkpoint import Checkpoint, CheckpointPart
from i2codec.fit.clock import Clock
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import Phase, Preset
from i2codec.fit.progress import Progress, Reporter
from i2codec.fit.readout import ReadoutSolver
from i2codec.fit.rounding import ProgressiveRounding
from i2codec.fit.spectral import FollowedScale
from i2codec.payload.network_section import TABLE_SET
from i2codec.payload.tensors import rate_bits
from i2codec.signal.metrics import psnr_db

# Adam moves every weight by about its rate. Frequencies and phases are radians at the edge of
# the domain, where moves of 10 and 3 times that proved best (docs/field.md).
_RATE_FACTORS = {"U": 10.0, "phi": 3.0}
_ADAM_BETAS = (0.9, 0.99)
_DIVERGED = "the loss is not finite: the fit diverged; try another --seed or a smaller --width"


class TrainingStep(nn.Module):
    """Forward pass of one optimiser step: solve without gradient, then attach the gradient."""

    def __init__(self, field: ImplicitField, gradient: Gradient) -> None:
        """Train ``field`` with ``gradient`` through its fixed point."""
        super().__init__()
        self.field = field
        self.gradient = gradient
        self.scale = FollowedScale(field)

    def forward(self, x: Tensor, start: Tensor | None, solver_steps: int) -> tuple[Tensor, Tensor]:
        """Outputs ``[N, C]`` and state ``[N, w]`` at ``x`` ``[N, d]``.

        ``start`` is the state to go on from, ``None`` is zero; ``solver_steps`` Picard steps
        without gradient come before those of the gradient.
        """
        injection, scale = self.field.inject(x), self.scale()

        def transition(z: Tensor) -> Tensor:
            return self.field.layer(z, injection, scale)

        state = torch.zeros_like(injection[0]) if start is None else start
        if solver_steps:
            with torch.no_grad():
                state = Picard()(transition, state, max_steps=solver_steps, tolerance=0.0).state
        state = self.gradient(transition, state)
        return self.field.read_out(state), state


@dataclass
class PhaseRun:
    """One phase of the fit of one field.

    Parameters
    ----------
    stage:
        Name in reports and in the checkpoint.
    field:
        Trained in place.
    points:
        What it is fitted to.
    preset, phase:
        How.
    clock:
        Length of the phase.
    seed:
        Picks the batches.
    reference_power:
        Power that decibels are counted against.
    quantisation_steps:
        Steps that the weights are rounded to, little by little; ``None`` trains them as they are.
    overhead_bytes:
        Bytes of the file beside the weights, for the estimated size in reports.
    """

    stage: str
    field: ImplicitField
    points: TrainingPoints
    preset: Preset
    phase: Phase
    clock: Clock
    seed: int
    reference_power: float
    quantisation_steps: Mapping[str, float] | None
    overhead_bytes: int

    def __post_init__(self) -> None:
        base = self.preset.learning_rate / math.sqrt(self.field.architecture.width)
        members: dict[float, list[Tensor]] = {}
        for name, tensor in self.field.tensors.items():
            if self.quantisation_steps is not None or name not in ("W", "b"):
                members.setdefault(_RATE_FACTORS.get(name.partition("_")[0], 1.0), []).append(tensor)
        groups = [{"params": tensors, "rate": base * factor} for factor, tensors in members.items()]
        self._optimiser = torch.optim.Adam(groups, lr=base, betas=_ADAM_BETAS, fused=True)
        self._model = TrainingStep(self.field, Phantom(terms=self.preset.gradient_terms))
        self._whole_batch = self.points.count <= self.preset.batch_points
        self._rounding = None
        self._readout: ReadoutSolver | None = ReadoutSolver(self.field)
        if self.quantisation_steps is not None:
            self._rounding = ProgressiveRounding(dict(self.field.tensors.items()), self.quantisation_steps)
            self._readout = None  # a solved readout would leave its steps
        self._loaded_batch: int | None = None
        self._step = 0
        self._state: Tensor | None = None

    def run(self, *, reporter: Reporter, checkpoint: Checkpoint | CheckpointPart) -> None:
        """Take all steps of the phase, from the checkpoint's state where it has one.

        Raises
        ------
        FitError
            If the loss is not finite.
        Cancelled
            If the progress callback asks for it.
        """
        self._restore(checkpoint.load(self.stage))
        try:
            self._take_steps(reporter, checkpoint)
        except LinAlgError as error:  # the norm of a layer whose weights are not finite
            raise FitError(_DIVERGED) from error
        if not all(torch.isfinite(tensor).all() for tensor in self.field.tensors.values()):
            raise FitError(_DIVERGED)
        if self._rounding is not None:
            self._rounding.settle()
        checkpoint.save(self.stage, self._snapshot())

    def _take_steps(self, reporter: Reporter, checkpoint: Checkpoint | CheckpointPart) -> None:
        while (fraction := self.clock.fraction(self._step)) < 1.0:
            loss = self._optimise(fraction)
            self._step += 1
            if reporter.due:  # reading the loss waits for the device, so not at every step
                self._report(reporter, fraction, loss)
            if checkpoint.due:
                checkpoint.save(self.stage, self._snapshot())

    def _optimise(self, fraction: float) -> Tensor:
        """One optimiser step; the distortion of its batch, a scalar."""
        if self._rounding is not None:
            self._rounding.advance(fraction)
        number, kept_for = (0, self._step) if self._whole_batch else divmod(self._step, self.preset.batch_reuse)
        if number != self._loaded_batch:
            self._load_batch(number)
        fresh = kept_for == 0
        start, solver_steps = (None, self.preset.start_steps) if fresh else (self._state, 0)
        arguments = (self._x, start, solver_steps)
        output, state = self._model(*arguments)
        if self._readout is not None:
            self._readout.solve(state, self.points.targets[self._indices], whole=self._whole_batch)
            output = self.field.read_out(state)
        loss = self.points.training_loss(output, self._indices)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        rate = self._rate(fraction)
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * rate
        self._update()
        self._state = state.detach()
        return loss.detach()

    def _update(self) -> None:
        """Move the weights; frozen ones stay where they are."""
        if self._rounding is None:
            self._optimiser.step()
            return
        before = {name: tensor.detach().clone() for name, tensor in self.field.tensors.items()}
        self._optimiser.step()
        with torch.no_grad():
            for name, tensor in self.field.tensors.items():
                tensor.copy_(torch.where(self._rounding.free(name), tensor, before[name]))

    def _load_batch(self, number: int) -> None:
        self._loaded_batch = number
        size = self.preset.batch_points
        if self._whole_batch:
            self._indices = self.points.lattice_indices(size)
        else:
            self._indices = self.points.batch_indices(size, seed=self.seed, number=number)
        self._x = self.points.coordinates(self._indices)

    def _rate(self, fraction: float) -> float:
        """Half a cosine from the phase's first rate to its last."""
        blend = 0.5 * (1.0 + math.cos(math.pi * fraction))
        return self.phase.last_rate + (self.phase.first_rate - self.phase.last_rate) * blend

    def _report(self, reporter: Reporter, fraction: float, loss: Tensor) -> None:
        distortion = float(loss)
        if not math.isfinite(distortion):
            raise FitError(_DIVERGED)
        steps = self.quantisation_steps or typical_steps(dict(self.field.tensors.items()))
        integers = {
            name: torch.round(tensor.detach() / steps[name]).long().cpu().numpy()
            for name, tensor in self.field.tensors.items()
        }
        reporter.report(
            Progress(
                stage=self.stage.rpartition("/")[2],
                fraction=fraction,
                step=self._step,
                psnr_db=psnr_db(distortion / self.reference_power),
                size_bytes=self.overhead_bytes + round(rate_bits(integers, table_set=TABLE_SET) / 8),
                remaining_s=self.clock.remaining_s(self._step),
            )
        )

    def _snapshot(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "tensors": {name: tensor.detach().clone() for name, tensor in self.field.tensors.items()},
            "optimiser": self._optimiser.state_dict(),
            "state": self._state,
            "singular_vectors": self._model.scale.vectors,
            "rounding": self._rounding and self._rounding.snapshot(),
            "readout": self._readout and self._readout.snapshot(),
        }

    def _restore(self, snapshot: dict[str, Any] | None) -> None:
        if snapshot is None:
            return
        device = self.points.targets.device
        self._step = snapshot["step"]
        with torch.no_grad():
            for name, tensor in self.field.tensors.items():
                tensor.copy_(snapshot["tensors"][name])
        self._optimiser.load_state_dict(snapshot["optimiser"])
        self._model.scale.vectors = {name: vector.to(device) for name, vector in snapshot["singular_vectors"].items()}
        if self._rounding is not None:
            self._rounding.restore(snapshot["rounding"])
        if self._readout is not None:
            self._readout.restore(snapshot["readout"])
        self._state = None if snapshot["state"] is None else snapshot["state"].to(device)


def typical_steps(tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Steps near those that the search will choose: a 16th of each tensor's root mean square."""
    return {
        name: max(float(torch.linalg.vector_norm(tensor.detach())) / math.sqrt(tensor.numel()) / 16.0, 1e-6)
        for name, tensor in tensors.items()
    }
