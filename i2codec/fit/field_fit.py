"""Start a field for a signal and train it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from i2codec.field.architecture import Architecture
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.fit.checkpoint import Checkpoint
from i2codec.fit.clock import Clock
from i2codec.fit.effort import Effort
from i2codec.fit.loop import PhaseRun
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import Phase, Preset
from i2codec.fit.progress import Reporter
from i2codec.signal.description import SignalDescription
from i2codec.signal.grid import nyquist_frequencies

# Picard steps in which the encoder looks at its own field: at c = 0.5 the rest is below 2⁻¹⁶.
EVALUATION_STEPS = 16


@dataclass(frozen=True)
class FieldFit:
    """What every fit of a field to one signal shares."""

    description: SignalDescription
    points: TrainingPoints
    preset: Preset
    seed: int
    effort: Effort
    overhead_bytes: int
    reporter: Reporter
    checkpoint: Checkpoint

    def start(self, architecture: Architecture) -> ImplicitField:
        """A random field whose readout starts at the signal's mean."""
        tensors = initial_tensors(
            architecture,
            frequencies=self.initial_frequencies(architecture),
            generator=torch.Generator().manual_seed(self.seed),
        )
        tensors["b"] = self.points.targets.mean(dim=0)
        field = ImplicitField(architecture, tensors, steps=EVALUATION_STEPS)
        return field.to(self.points.targets.device)

    def initial_frequencies(self, architecture: Architecture) -> list[float]:
        """Highest initial frequency per axis: Nyquist, less where parameters are few for the points.

        A field with P parameters resolves about P of N points, so its frequencies start within
        √(P/N) of Nyquist; a quarter of that fitted best (docs/fitting.md).
        """
        part = min(1.0, 0.25 * math.sqrt(architecture.parameter_count / self.points.count))
        return [part * frequency for frequency in nyquist_frequencies(self.description.axes)]

    def fit(self, field: ImplicitField, *, stage: str, share: float) -> None:
        """Train ``field`` in place with the preset's unquantised phases, in ``share`` of the effort."""
        phases = [phase for phase in self.preset.phases if not phase.quantised]
        whole = sum(phase.share for phase in phases)
        for phase in phases:
            clock = self.effort.clock(share * phase.share / whole)
            self._run(field, phase, clock, stage=f"{stage}/{phase.name}", quantisation_steps=None)

    def tune(self, field: ImplicitField, quantisation_steps: Mapping[str, float], *, stage: str, share: float) -> None:
        """Round ``field`` in place to ``quantisation_steps`` with the quantised phases, in ``share`` of the effort."""
        phases = [phase for phase in self.preset.phases if phase.quantised]
        whole = sum(phase.share for phase in phases)
        for phase in phases:
            clock = self.effort.clock(share * phase.share / whole)
            self._run(field, phase, clock, stage=f"{stage}/{phase.name}", quantisation_steps=quantisation_steps)

    def _run(
        self,
        field: ImplicitField,
        phase: Phase,
        clock: Clock,
        *,
        stage: str,
        quantisation_steps: Mapping[str, float] | None,
    ) -> None:
        run = PhaseRun(
            stage=stage,
            field=field,
            points=self.points,
            preset=self.preset,
            phase=phase,
            clock=clock,
            seed=self.seed,
            quantisation_steps=quantisation_steps,
            overhead_bytes=self.overhead_bytes,
        )
        run.run(reporter=self.reporter, checkpoint=self.checkpoint)


def with_contraction(field: ImplicitField, contraction: float) -> ImplicitField:
    """The same weights under a smaller contraction factor."""
    architecture = replace(field.architecture, contraction=contraction)
    tensors = {name: tensor.detach().clone() for name, tensor in field.tensors.items()}
    return ImplicitField(architecture, tensors, steps=field.steps)
