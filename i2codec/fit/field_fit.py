"""Start a field for a signal and train it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from i2codec.field.architecture import Architecture
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.fit.checkpoint import Checkpoint, CheckpointPart
from i2codec.fit.clock import Clock
from i2codec.fit.effort import Effort
from i2codec.fit.loop import PhaseRun
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import Phase, Preset
from i2codec.fit.progress import Reporter
from i2codec.fit.spectrum import Spectrum
from i2codec.signal.description import SignalDescription
from i2codec.signal.grid import nyquist_frequencies

# Picard steps in which the encoder looks at its own field: at c = 0.5 the rest is below 2⁻¹⁶.
EVALUATION_STEPS = 16
_LATER_FREQUENCIES = np.float32(0.3)


@dataclass(frozen=True)
class FieldFit:
    """What every fit of a field to one signal shares."""

    description: SignalDescription
    points: TrainingPoints
    preset: Preset
    seed: int
    reference_power: float
    effort: Effort
    overhead_bytes: int
    reporter: Reporter
    checkpoint: Checkpoint | CheckpointPart

    def start(self, architecture: Architecture) -> ImplicitField:
        """A random field whose frequencies are those of the signal and whose readout is its mean."""
        tensors = initial_tensors(
            architecture,
            frequencies=nyquist_frequencies(self.description.axes),
            generator=torch.Generator().manual_seed(self.seed),
        )
        tensors |= self._frequencies(architecture)
        tensors["b"] = self.points.targets.mean(dim=0)
        field = ImplicitField(architecture, tensors, steps=EVALUATION_STEPS)
        return field.to(self.points.targets.device)

    def _frequencies(self, architecture: Architecture) -> dict[str, torch.Tensor]:
        """Every U: the first filter has the signal's frequencies, the later ones add lower ones to them."""
        generator = np.random.default_rng(self.seed)
        count, parameters = architecture.width, architecture.parameter_count
        return {
            f"U_{level}": torch.from_numpy(
                (_LATER_FREQUENCIES if level else 1.0)
                * self.spectrum.draw(count, parameter_count=parameters, generator=generator)
            )
            for level in range(architecture.depth + 1)
        }

    @functools.cached_property
    def spectrum(self) -> Spectrum:
        """Of the points."""
        return Spectrum.of_points(self.points)

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
            reference_power=self.reference_power,
            quantisation_steps=quantisation_steps,
            overhead_bytes=self.overhead_bytes,
        )
        run.run(reporter=self.reporter, checkpoint=self.checkpoint)


def with_contraction(field: ImplicitField, contraction: float) -> ImplicitField:
    """The same weights under a smaller contraction factor."""
    architecture = replace(field.architecture, contraction=contraction)
    tensors = {name: tensor.detach().clone() for name, tensor in field.tensors.items()}
    return ImplicitField(architecture, tensors, steps=field.steps)
