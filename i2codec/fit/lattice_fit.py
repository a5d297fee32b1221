"""The fit of a lattice: networks on some units of a sound, then the latents of any unit under them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2codec.container.limits import DEFAULT_LIMITS
from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.lattice_module import LatticeField
from i2codec.field.noise_filling import band_edges
from i2codec.field.stencil import Stencil
from i2codec.fit.checkpoint import Checkpoint, CheckpointPart
from i2codec.fit.effort import Effort
from i2codec.fit.goals import Goal, PriceGoal, PsnrGoal, SizeGoal
from i2codec.fit.grid_loop import GridPhase, GridRun
from i2codec.fit.grid_model import GridModel
from i2codec.fit.grid_quantisation import Arrays, QuantisedTensors, first_step_for, quantise_tensors
from i2codec.fit.lattice_analysis import (
    AnalysedUnit,
    analysed_alone,
    analysed_units,
    step_for_bits,
    step_for_distortion,
)
from i2codec.fit.lattice_check import check_units
from i2codec.fit.lattice_model import (
    LatticeObjective,
    column_places,
    finished_lattice_model,
    lattice_model,
    lattice_start,
)
from i2codec.fit.lattice_noise import fit_noise_context, noise_bits, noise_levels
from i2codec.fit.lattice_settings import EncodedUnits, LatticeSettings
from i2codec.fit.pricing import Pricing
from i2codec.fit.progress import Progress, Reporter
from i2codec.latents.template import Template
from i2codec.payload.grid_section import QuantisedGridNetwork, proved_contraction
from i2codec.payload.lattice_section import LatticeUnit, noise_growth, pack_lattice_unit
from i2codec.signal.description import SignalDescription

Samples = NDArray[np.float32]

_PRICE_OF_STEP = 0.12
"""λ of an amplitude over its squared step: between 0.1 and 0.15, which differ by 0.2 % (docs/sound.md)."""
_TYPICAL_STEP = 0.3
"""Of the root mean square of a sound, by which its cells are chosen before its step is known."""
_SOLVED_STEPS = 16
_MOST_CORRECTIONS = 6
_SOFTEST_NOISE = 2.0**-17
"""Of full scale: softer noise is not heard, and not there in 16 bits."""
_SEARCHED_UNITS = 3
"""Units of which at most the steps of the networks are chosen by."""
OVERHEAD_BYTES = 120
"""Of a file beside its network and latents."""


class LatticeFit:
    """The networks of a sound and the latents of the units that they are fitted to."""

    def __init__(
        self,
        settings: LatticeSettings,
        description: SignalDescription,
        reporter: Reporter,
        checkpoint: Checkpoint | CheckpointPart,
        sampled: Sequence[Samples],
        *,
        unit_count: int,
    ) -> None:
        """Choose the step, analyse the ``sampled`` ones of all units, and start at random."""
        self._settings, self._reporter, self._checkpoint = settings, reporter, checkpoint
        self._channel_count, self._point_count = len(description.channels), description.point_count
        self._pricing = Pricing(_normalised(settings), point_count=self._point_count, overhead_bytes=OVERHEAD_BYTES)
        self.step = self._least_step = self._first_step(sampled)
        if not isinstance(self._pricing.goal, PriceGoal):
            self._pricing.lmbda = _PRICE_OF_STEP * self.step**2 / self._channel_count
        each = (
            analysed_units(sampled, step=self.step)
            if len(sampled) == unit_count
            else (analysed_alone(u, step=self.step) for u in sampled)
        )
        self._units = list(each)
        self._architecture = GridArchitecture(
            level_count=1 + settings.fills_noise,
            axis_count=1,
            channel_count=self._channel_count,
            hidden_width=settings.preset.hidden_width,
            width=settings.preset.width,
            context_features=Template.LATTICE.feature_count,
            context_count=1 + settings.fills_noise,
            stencil=settings.stencil,
            unrolled=settings.unrolled,
            basis=Basis.LATTICE,
        )
        start = lattice_start(self._architecture, step=self.step, seed=settings.seed)
        self._start, self._sample_step = start, description.axes[0].step
        self._prior = {name: np.zeros_like(tensor) for name, tensor in start.items()}
        self._objective = self._objective_of(self._units)
        self._model = lattice_model(
            self._architecture,
            start,
            contraction=None if self._is_free else settings.preset.contraction,
            device=settings.device,
            priors=self._prior,
        )
        self._model.latents = self._objective.starting_latents(self.step)
        share = settings.preset.fit_share(unit_count)
        self._effort = settings.effort(settings.preset.steps, share=share)
        self._unit_effort = settings.effort(settings.preset.unit_steps, share=(1.0 - share) / unit_count)
        self._unit_count, self._corrected = unit_count, 0

    @property
    def _is_free(self) -> bool:
        """Whether there is no recurrence to be bounded."""
        return self._settings.unrolled or self._settings.stencil is Stencil.POINTWISE

    def _first_step(self, sampled: Sequence[Samples]) -> float:
        """What amplitudes are about to be rounded to, for the goal."""
        goal, channels = self._pricing.goal, self._channel_count
        if isinstance(goal, PriceGoal):
            return math.sqrt(goal.lmbda * channels / _PRICE_OF_STEP)
        amplitudes = [analysed_alone(samples, step=_TYPICAL_STEP).amplitudes for samples in sampled]
        count = sum(map(len, sampled))
        if isinstance(goal, SizeGoal):
            return step_for_bits(amplitudes, 8.0 * goal.size_bytes * count / self._point_count)
        assert isinstance(goal, PsnrGoal)
        return step_for_distortion(amplitudes, math.pow(10.0, -goal.psnr_db / 10.0) * count * channels)

    def _objective_of(self, units: Sequence[AnalysedUnit]) -> LatticeObjective:
        return LatticeObjective.of(
            [unit.amplitudes for unit in units],
            step=self._least_step,  # the same columns all along
            point_count=sum(unit.sample_count for unit in units),
            device=self._settings.device,
        )

    def run(self, phase: GridPhase) -> None:
        """A phase of networks and latents together."""
        self._run(self._model, self._objective, phase, self._effort, self._pricing, self._checkpoint)

    def _run(
        self,
        model: GridModel,
        objective: LatticeObjective,
        phase: GridPhase,
        effort: Effort,
        pricing: Pricing,
        checkpoint: Checkpoint | CheckpointPart,
    ) -> None:
        preset = self._settings.preset
        run = GridRun(
            model,
            objective,
            phase,
            effort.clock(phase.share),
            pricing=pricing,
            seed=self._settings.seed,
            gradient_steps=preset.unrolled_steps if self._settings.unrolled else preset.gradient_steps,
            overhead_bytes=OVERHEAD_BYTES,
        )
        run.run(reporter=self._reporter, checkpoint=checkpoint)

    def finished(self, *, corrections: int = _MOST_CORRECTIONS) -> tuple[QuantisedGridNetwork, EncodedUnits]:
        """The network of the file and the units it was fitted to, corrected until they have what was asked for.

        Of all attempts it is the one that misses least, of those that have it if there is one.
        """
        found: list[tuple[bool, float, QuantisedGridNetwork, EncodedUnits]] = []
        for attempt in range(corrections + 1):
            self._reporter.report(Progress("quantise", 0.0))
            network = self._network()
            starts = [latent.detach() for latent in self._model.latents]
            encoded = self.settled(self.stored_model(network), network, self._units, name="sampled", starts=starts)
            amounts: dict[str, Any] = {
                "distortion": encoded.squared_error / (encoded.sample_count * self._channel_count),
                "size_bytes": encoded.file_bytes(network, unit_count=self._unit_count),
            }
            is_short = not self._pricing.is_met(**amounts)
            found.append((is_short, abs(self._pricing.excess(**amounts)), network, encoded))
            is_last = attempt == corrections or self._settings.time_limit_s is not None
            if is_last or not self.misses(**amounts):
                break
            self.correct()
        _, _, network, encoded = min(found, key=lambda attempt: attempt[:2])
        return network, encoded

    def misses(self, *, distortion: float, size_bytes: int) -> bool:
        """Whether a file falls short of what is asked for; λ moves by as much, and latents and gains with it."""
        before = self._pricing.lmbda
        if not self._pricing.retry(distortion=distortion, size_bytes=size_bytes):
            return False
        factor = math.sqrt(self._pricing.lmbda / before)
        self.step *= factor
        with torch.no_grad():
            self._model.field.tensors["gains"][0] += math.log2(factor)
            for latent in self._model.latents:
                latent /= factor
        return True

    def correct(self) -> None:
        """Fit again, from where the fit is."""
        phase, self._corrected = self._settings.preset.correction, self._corrected + 1
        self.run(replace(phase, name=f"{phase.name} {self._corrected}"))

    def stored_model(self, network: QuantisedGridNetwork) -> GridModel:
        """The networks of the file in floats, at the scale of the fit."""
        synthesis = network.dequantised()
        gains = synthesis.tensors["gains"] - self._shift(np.float32)
        synthesis = replace(synthesis, tensors={**synthesis.tensors, "gains": gains})
        return finished_lattice_model(synthesis, network.context_tensors(), device=self._settings.device)

    def _shift(self, kind: type[np.floating]) -> NDArray[np.floating]:
        """What gains of the file are above those of the fit: the sound's own scale."""
        shift = np.zeros(self._architecture.tensor_shapes["gains"], dtype=kind)
        shift[0] = 0.5 * math.log2(self._settings.reference_power)
        return shift

    def settled(
        self,
        model: GridModel,
        network: QuantisedGridNetwork,
        units: Sequence[AnalysedUnit],
        *,
        name: str,
        starts: Sequence[Tensor] | None = None,
    ) -> EncodedUnits:
        """Units under the networks of the file, rounded, packed and checked.

        Without latents to start from there is a fit of them alone before.
        """
        objective = self._objective_of(units)
        if starts is None:
            model.latents = objective.starting_latents(self.step)
            self._settle(model, objective, name=name)
        else:
            model.latents = list(starts)
        rounded = model.rounded()
        payloads, context = [], network.context_model()
        distortion, _ = objective.decoded(model, steps=network.steps)
        squared_error = distortion * objective.point_count * self._channel_count
        for unit, latents in zip(units, rounded, strict=True):
            grid = latents.cpu().numpy().astype(np.int32)
            levels = self._noise_levels(model, unit, grid) if self._settings.fills_noise else None
            payloads.append(pack_lattice_unit(LatticeUnit(unit.cell_bits, unit.turns, grid, levels), context))
        heard_error = check_units(
            payloads,
            units,
            network,
            squared_error=squared_error,
            reference_power=self._settings.reference_power,
            sample_step=self._sample_step,
        )
        return EncodedUnits(payloads, heard_error, objective.point_count)

    def _settle(self, model: GridModel, objective: LatticeObjective, *, name: str) -> None:
        preset = self._settings.preset
        pricing = Pricing(PriceGoal(self._pricing.lmbda), objective.point_count, OVERHEAD_BYTES)
        phase = replace(preset.settle, name=f"{preset.settle.name} {name}")
        self._run(model, objective, phase, self._unit_effort, pricing, Checkpoint())

    def _noise_levels(self, model: GridModel, unit: AnalysedUnit, latents: NDArray[np.int32]) -> NDArray[np.int32]:
        """Levels of the noise that fills a unit."""
        places = torch.from_numpy(column_places(unit.amplitudes.shape[2])).to(self._settings.device)
        field = model.field
        assert isinstance(field, LatticeField)
        with torch.no_grad():
            steps = field.gains(places).cpu().numpy().astype(np.float64)
        return noise_levels(
            unit.amplitudes,
            latents,
            steps=steps,
            edges=band_edges(unit.amplitudes.shape[2], sample_step=self._sample_step),
            least=_SOFTEST_NOISE / math.sqrt(self._settings.reference_power),
        )

    def _noise_growths(self) -> list[Tensor]:
        """What levels of noise grow by in the units that are fitted."""
        growths = []
        for unit, latents in zip(self._units, self._model.rounded(), strict=True):
            levels = self._noise_levels(self._model, unit, latents.cpu().numpy().astype(np.int32))
            growths.append(torch.from_numpy(noise_growth(levels).astype(np.float32)).to(self._settings.device))
        return growths

    def _network(self) -> QuantisedGridNetwork:
        """The networks as they are stored, with their proved contraction and the step count K."""
        growths = self._noise_growths() if self._settings.fills_noise else []
        if growths:
            fit_noise_context(self._model, growths, self._start)
        quantised = self._quantised(growths)
        network = QuantisedGridNetwork(
            self._architecture,
            quantised.integers,
            quantised.steps,
            contraction=0.0,
            steps=self._trial_steps if self._architecture.stencil is not Stencil.POINTWISE else 1,
        )
        if self._is_free:
            return network
        exact = network.dequantised()
        return replace(network, steps=self._step_count(exact), contraction=proved_contraction(exact))

    @property
    def _trial_steps(self) -> int:
        """K while nothing is measured yet."""
        return self._settings.preset.unrolled_steps if self._settings.unrolled else _SOLVED_STEPS

    @torch.no_grad()
    def _step_count(self, exact: StoredGridNetwork) -> int:
        """Steps after which no amplitude is farther from its limit than a tenth of the root mean square error."""
        searched, latents = self._searched()
        model = finished_lattice_model(exact, {}, device=self._settings.device)
        field = model.field
        assert isinstance(field, LatticeField)
        rmse = math.sqrt(
            searched.distortion(self._model, latents, lambda u, key: self._model.field.state(u, steps=_SOLVED_STEPS))
        )
        tolerance = max(0.1 * rmse * math.sqrt(self._settings.reference_power), 2.0**-18)
        needed = 1
        for unit, place in zip(latents, searched.places, strict=True):
            for q in unit:
                u = field.injection(q)
                limit = field.amplitudes(q, field.state(u, steps=DEFAULT_LIMITS.max_steps), place)
                while float((field.amplitudes(q, field.state(u, steps=needed), place) - limit).abs().max()) > tolerance:
                    needed += 1
        return needed

    def _searched(self) -> tuple[LatticeObjective, list[Tensor]]:
        """Some of the units, and their rounded latents: enough to choose by."""
        every = max(1, len(self._units) // _SEARCHED_UNITS)
        chosen = range(0, len(self._units), every)[:_SEARCHED_UNITS]
        rounded = self._model.rounded()
        return self._objective_of([self._units[unit] for unit in chosen]), [rounded[unit] for unit in chosen]

    def _quantised(self, growths: Sequence[Tensor]) -> QuantisedTensors:
        """The networks in units of their steps, chosen by the loss on rounded latents and ``growths`` of noise."""
        searched, latents = self._searched()
        price = self._pricing.lmbda / self._point_count
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in self._model.stored_networks().items()}
        arrays["gains"] = arrays["gains"] + self._shift(np.float32)
        device, shapes = self._settings.device, self._architecture

        @torch.no_grad()
        def distortion(trial: Arrays) -> float:
            """Of a trial's layers."""
            tensors = {name: array.astype(np.float32) for name, array in trial.items()}
            tensors["gains"] = tensors["gains"] - self._shift(np.float32)
            network = StoredGridNetwork(shapes, tensors, self._trial_steps)
            model = finished_lattice_model(network, {}, device=device)
            found = searched.distortion(model, latents, lambda u, key: model.field.state(u, steps=self._trial_steps))
            return _finite(float(found))

        @torch.no_grad()
        def cost_of_rate(trial: Arrays) -> float:
            """λ times the rate under a trial's context model."""
            context = {name: torch.from_numpy(array.astype(np.float32)).to(device) for name, array in trial.items()}
            model = GridModel([], self._model.field, nn.ParameterDict(context).requires_grad_(False))
            rate = float(searched.rate(model, latents))
            if growths:
                rate += float(noise_bits(growths, dict(model.context.items()))) / self._objective.point_count
            return _finite(self._pricing.lmbda * rate)

        parts = []
        for names, loss in ((shapes.synthesis_shapes, distortion), (shapes.context_shapes, cost_of_rate)):
            part = quantise_tensors(
                {name: arrays[name] for name in names},
                {name: self._prior[name] for name in names},
                loss=loss,
                price=price,
                first_step=first_step_for(price),
                bounded=() if self._is_free else ("A",),
            )
            parts.append(part)
        return QuantisedTensors(
            {name: integers for part in parts for name, integers in part.integers.items()},
            {name: step for part in parts for name, step in part.steps.items()},
        )


def _normalised(settings: LatticeSettings) -> Goal:
    """What is asked for where the distortion is counted against the reference power."""
    goal = settings.goal
    return PriceGoal(goal.lmbda / settings.reference_power) if isinstance(goal, PriceGoal) else goal


def _finite(value: float) -> float:
    """Infinite where a trial is no number, so that it is not chosen."""
    return value if math.isfinite(value) else math.inf
