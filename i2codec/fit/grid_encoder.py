"""From a signal to its stored grid field: fit, quantise the networks, measure K, close, pack, verify."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2codec.container.limits import DEFAULT_LIMITS
from i2codec.container.section import SECTION
from i2codec.errors import FitError
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_module import GridField
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.stencil import Stencil
from i2codec.fit.checkpoint import Checkpoint, CheckpointPart
from i2codec.fit.context import feature_count
from i2codec.fit.effort import Effort
from i2codec.fit.goals import Goal
from i2codec.fit.grid_closing import ClosingStage
from i2codec.fit.grid_cut_readouts import readouts_of_cuts
from i2codec.fit.grid_evaluation import GridEvaluation
from i2codec.fit.grid_loop import GridPhase, GridRun
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.grid_picture_start import picture_start
from i2codec.fit.grid_presets import GridPreset
from i2codec.fit.grid_quantisation import Arrays, QuantisedTensors, first_step_for, quantise_tensors
from i2codec.fit.grid_start import starting_tensors
from i2codec.fit.grid_step_count import measure_grid_step_count
from i2codec.fit.grid_window_loop import WindowedGridRun
from i2codec.fit.pricing import Pricing
from i2codec.fit.progress import Progress, Reporter
from i2codec.payload.file import StoredSignal
from i2codec.payload.grid_section import QuantisedGridNetwork, proved_contraction
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.latents_section import LatentPyramid
from i2codec.payload.stored_grid import StoredGrid
from i2codec.prior.priors import Priors, prior_for
from i2codec.signal.colour import channel_weights, to_fitted, transform_for, with_opacity_margin
from i2codec.signal.description import Kind, SignalDescription
from i2codec.signal.metrics import psnr_db
from i2codec.signal.signal import Signal

_LEVELS = 7
_CONTEXT_COUNT = 3
_EVALUATION_STEPS = 16
"""Picard steps in which the encoder looks at its own field while it quantises."""
# Step counts are within 1/1024 of the range, or a tenth of the error where that is less.
_STEP_COUNT_TOLERANCE = 1.0 / 1024.0
_CHECK_TOLERANCE = 0.005
_MOST_CORRECTIONS = 7
_PICTURE_LMBDA = 1e-4
"""Below it fits start at the picture, and each channel has latents of its own (docs/grid.md)."""
_USUAL_LMBDA = 0.0007
"""Below it latents move faster: they are finer, and have farther to go (docs/grid.md)."""
_MOST_WHOLE_POINTS = 2**21
"""Photos of more samples are fitted in windows: memory is 650 to 800 bytes a sample of what is fitted at once."""
_OVERHEAD_BYTES = 160
"""Of a file beside its latents and networks, for what is shown while it is fitted."""


@dataclass(frozen=True)
class GridSettings:
    """What to fit and how.

    Parameters
    ----------
    preset:
        Phases and steps.
    goal:
        What is asked of rate and distortion.
    stencil:
        Neighbours of the implicit layer.
    unrolled:
        The explicit twin, which has the lower loss (docs/grid.md), or the fixed point.
    seed:
        Of the noise.
    device:
        ``cpu`` or ``cuda``.
    time_limit_s:
        If not ``None``, the time that the optimisation is laid over; a target that is missed then
        stays so.
    """

    preset: GridPreset
    goal: Goal
    stencil: Stencil = Stencil.FULL
    unrolled: bool = True
    seed: int = 0
    device: str = "cpu"
    time_limit_s: float | None = None


@dataclass
class GridEncoder:
    """Encodes one signal as a grid field.

    Parameters
    ----------
    signal:
        All of its samples.
    settings:
        What to fit and how.
    reporter, checkpoint:
        Where progress goes, and where an interrupted fit continues from.
    """

    signal: Signal
    settings: GridSettings
    reporter: Reporter = field(default_factory=Reporter)
    checkpoint: Checkpoint | CheckpointPart = field(default_factory=Checkpoint)

    distortion: float = field(default=math.nan, init=False)
    """Of the decoded latents and networks, once :meth:`encode` is done."""

    @property
    def decibels(self) -> float:
        """That distortion as PSNR."""
        return psnr_db(self.distortion)

    def encode(self) -> StoredSignal:
        """Fit, quantise, measure and check; what the file will hold.

        Raises
        ------
        FitError
            If the fit diverges, or the file decodes to something else.
        Cancelled
            If the progress callback asks for it.
        """
        description, settings = self.signal.description, self.settings
        target, weights = self._target()
        pricing = Pricing(settings.goal, point_count=description.point_count, overhead_bytes=_OVERHEAD_BYTES)
        at_picture = pricing.lmbda < _PICTURE_LMBDA and description.kind is Kind.PHOTO
        architecture = self._architecture(description, at_picture=at_picture)
        prior_number, model = self._start(architecture, target, lmbda=pricing.lmbda, at_picture=at_picture)
        objective = GridObjective.of(target, weights, level_count=architecture.level_count)
        phases = settings.preset.picture_phases if at_picture else settings.preset.phases
        correction = replace(settings.preset.correction, synthesis_factor=phases[-1].synthesis_factor)
        self._fit(model, objective, pricing, phases)
        stored = self._finished(model, objective, pricing, prior_number)
        corrections = 0 if settings.time_limit_s is not None else _MOST_CORRECTIONS
        found = [(stored, self.distortion)]
        for attempt in range(1, corrections + 1):
            if not pricing.retry(distortion=self.distortion, size_bytes=_size_bytes(stored)):
                break
            self._fit(model, objective, pricing, [correction], attempt=attempt)
            stored = self._finished(model, objective, pricing, prior_number)
            found.append((stored, self.distortion))

        def miss(candidate: tuple[StoredSignal, float]) -> float:
            return abs(pricing.excess(distortion=candidate[1], size_bytes=_size_bytes(candidate[0])))

        stored, self.distortion = min(found, key=miss)
        return stored

    def _finished(
        self, model: GridModel, objective: GridObjective, pricing: Pricing, prior_number: int
    ) -> StoredSignal:
        """Quantise the networks, pack and check."""
        description, architecture = self.signal.description, model.field.architecture
        self.reporter.report(Progress("quantise", 0.0))
        prior = prior_for(prior_number, architecture)
        latents = model.rounded()
        evaluation = GridEvaluation(objective, latents, is_windowed=self._is_windowed)
        quantised = self._quantised(model, evaluation, prior, lmbda=pricing.lmbda)
        network = self._network(architecture, quantised, prior_number, latents, evaluation)
        grids = self._closed(objective, network, latents, lmbda=pricing.lmbda)
        latents = [torch.from_numpy(grid).to(latent) for grid, latent in zip(grids, latents, strict=True)]
        evaluation = GridEvaluation(objective, latents, is_windowed=self._is_windowed)
        tiles = LatentTiles.of(description.axes, architecture.level_count, planes=architecture.planes)
        pyramid = LatentPyramid.of(grids, tiles=tiles, model=network.context_model())
        stored = StoredGrid(network, pyramid, readouts_of_cuts(evaluation, network.dequantised(), pyramid))
        self._check(stored, latents, evaluation)
        return StoredSignal(description, (), metadata=dict(self.signal.metadata), grid=stored)

    @property
    def _steps(self) -> int:
        """K while nothing is measured yet: the explicit twin's own, and enough for a fixed point."""
        return self.settings.preset.unrolled_steps if self.settings.unrolled else _EVALUATION_STEPS

    @property
    def _is_windowed(self) -> bool:
        """Whether the signal is too large to be fitted at once."""
        description = self.signal.description
        return description.kind is Kind.PHOTO and description.point_count > _MOST_WHOLE_POINTS

    @property
    def _bounded(self) -> tuple[str, ...]:
        """Tensors that must be contractions."""
        return () if self.settings.unrolled else ("A",)

    def _start(
        self, architecture: GridArchitecture, target: Tensor, *, lmbda: float, at_picture: bool
    ) -> tuple[int, GridModel]:
        """Number of the prior, and the model before the fit."""
        settings = self.settings
        latents: dict[int, Tensor] = {}
        if at_picture:
            number, tensors, latents = picture_start(architecture, target, lmbda=lmbda, seed=settings.seed)
        else:
            number, tensors = starting_tensors(architecture, lmbda=lmbda, seed=settings.seed)
        model = GridModel.start(
            architecture,
            tensors,
            extents=self.signal.description.extents,
            contraction=None if settings.unrolled else settings.preset.contraction,
            device=settings.device,
            priors=prior_for(number, architecture),
        )
        model.start_latents(latents)
        return number, model

    def _architecture(self, description: SignalDescription, *, at_picture: bool) -> GridArchitecture:
        axis_count, channel_count = len(description.axes), len(description.channels)
        plane_count = channel_count if at_picture else 1
        return GridArchitecture(
            level_count=_LEVELS,
            axis_count=axis_count,
            channel_count=channel_count,
            hidden_width=self.settings.preset.hidden_width,
            width=self.settings.preset.width,
            context_features=feature_count(axis_count, plane_count),
            context_count=_CONTEXT_COUNT,
            stencil=self.settings.stencil,
            unrolled=self.settings.unrolled,
            plane_count=plane_count,
        )

    def _target(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Fitted channels ``[C, *grid]``, and the weights of their errors."""
        description = self.signal.description
        transform = transform_for(description)
        fitted = np.moveaxis(with_opacity_margin(to_fitted(self.signal.samples, transform), transform), -1, 0)
        target = torch.from_numpy(np.ascontiguousarray(fitted)).to(self.settings.device)
        return target, torch.from_numpy(channel_weights(description.channels)).to(self.settings.device)

    def _fit(
        self,
        model: GridModel,
        native: GridObjective,
        pricing: Pricing,
        phases: Sequence[GridPhase],
        *,
        attempt: int = 0,
    ) -> None:
        """Some phases of the preset."""
        settings, preset = self.settings, self.settings.preset
        plane_count = model.field.architecture.plane_count
        effort = Effort(preset.steps(native.point_count, plane_count), seconds=settings.time_limit_s)
        window_count = native.point_count / WindowedGridRun.side**2 if self._is_windowed else 1.0
        for phase in phases:
            objective = native
            if phase.first_level and not self._is_windowed:
                level_count = len(model.latents)
                objective = GridObjective.of(
                    native.target, native.channel_weights, level_count=level_count, first_level=phase.first_level
                )
            kind = WindowedGridRun if self._is_windowed else GridRun
            run = kind(
                model,
                objective,
                replace(phase, name=f"{phase.name} {attempt}") if attempt else phase,
                effort.clock(phase.share, steps=phase.steps, repeats=window_count),
                pricing=pricing,
                seed=settings.seed,
                gradient_steps=preset.unrolled_steps if settings.unrolled else preset.gradient_steps,
                overhead_bytes=_OVERHEAD_BYTES,
                latent_factor=max(1.0, (_USUAL_LMBDA / pricing.lmbda) ** 0.25),
            )
            run.run(reporter=self.reporter, checkpoint=self.checkpoint)

    def _quantised(
        self, model: GridModel, evaluation: GridEvaluation, prior: Priors, *, lmbda: float
    ) -> QuantisedTensors:
        """The networks in units of their steps, chosen by the loss on the rounded latents.

        The synthesis bears on the distortion alone and the context model on the rate, so each is
        a search of its own.
        """
        architecture, device = model.field.architecture, self.settings.device
        price = lmbda / self.signal.description.point_count
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in model.stored_networks().items()}

        def distortion(trial: Arrays) -> float:
            network = StoredGridNetwork(architecture, {k: v.astype(np.float32) for k, v in trial.items()}, self._steps)
            return _finite(evaluation.sampled_distortion(network))

        def cost_of_rate(trial: Arrays) -> float:
            """λ times the rate under a trial's context model."""
            context = {name: torch.from_numpy(array.astype(np.float32)).to(device) for name, array in trial.items()}
            trial_context = nn.ParameterDict(context).requires_grad_(False)
            return _finite(lmbda * evaluation.sampled_rate(trial_context, model.field))

        parts = []
        for names, loss in (
            (architecture.synthesis_shapes, distortion),
            (architecture.context_shapes, cost_of_rate),
        ):
            part = quantise_tensors(
                {name: arrays[name] for name in names},
                {name: prior[name] for name in names},
                loss=loss,
                price=price,
                first_step=first_step_for(price),
                bounded=self._bounded,
            )
            parts.append(part)
        return QuantisedTensors(
            {name: integers for part in parts for name, integers in part.integers.items()},
            {name: step for part in parts for name, step in part.steps.items()},
        )

    def _network(
        self,
        architecture: GridArchitecture,
        quantised: QuantisedTensors,
        prior_number: int,
        latents: Sequence[Tensor],
        evaluation: GridEvaluation,
    ) -> QuantisedGridNetwork:
        """The network as it is stored, with its proved contraction and the step count K."""
        network = QuantisedGridNetwork(
            architecture,
            quantised.integers,
            quantised.steps,
            contraction=0.0,
            steps=self._steps,
            prior=prior_number,
            colour_transform=transform_for(self.signal.description),
        )
        if architecture.unrolled:
            return network
        exact = network.dequantised()
        rmse = math.sqrt(evaluation.distortion(exact))
        steps = measure_grid_step_count(
            GridField.from_stored(exact).to(self.settings.device),
            latents,
            extents=self.signal.description.extents,
            tolerance=min(_STEP_COUNT_TOLERANCE, max(rmse / 10.0, 2.0**-18)),
        )
        limit = evaluation.distortion(replace(exact, steps=DEFAULT_LIMITS.max_steps))
        while steps < DEFAULT_LIMITS.max_steps and (
            evaluation.distortion(replace(exact, steps=steps)) > limit * (1.0 + 0.5 * _CHECK_TOLERANCE)
        ):
            steps += 1  # many small errors that agree are more than one
        if steps > DEFAULT_LIMITS.max_steps:
            raise FitError(f"the fixed point needs {steps} steps; at most {DEFAULT_LIMITS.max_steps} are allowed")
        return replace(network, steps=steps, contraction=proved_contraction(exact))

    def _closed(
        self, objective: GridObjective, network: QuantisedGridNetwork, latents: Sequence[Tensor], *, lmbda: float
    ) -> list[NDArray[np.int32]]:
        """The latents as integers, after the closing stage where the signal is small enough to be looked at whole."""
        grids = [latent.cpu().numpy().astype(np.int32) for latent in latents]
        if self._is_windowed:
            return grids
        model = GridModel.finished(network.dequantised(), network.context_tensors(), device=self.settings.device)
        stage = ClosingStage(
            objective,
            model,
            network.context_model(),
            steps=network.steps,
            lmbda=lmbda,
            reporter=self.reporter,
        )
        return stage.run(grids, rounds=self.settings.preset.closing_rounds)

    def _check(self, stored: StoredGrid, latents: Sequence[Tensor], evaluation: GridEvaluation) -> None:
        """Decode what was packed, as the decoder does, and hold it against what it is meant to be.

        Raises
        ------
        FitError
            If the latents differ, or the distortion is more than 0.5 % over that of the fixed point.
        """
        network, tiles = stored.network, stored.latents.tiles
        decoded = LatentPyramid(stored.latents.payloads, tiles=tiles, model=network.context_model()).levels()
        wanted = [latent.cpu().numpy() for latent in latents]
        if not all(np.array_equal(found, grid) for found, grid in zip(decoded, wanted, strict=True)):
            raise FitError("the latents decode to others than were packed; nothing was written: please report this")
        exact = network.dequantised()
        self.distortion = evaluation.distortion(exact)
        if network.architecture.unrolled:  # its steps are all there is
            return
        limit = evaluation.distortion(replace(exact, steps=DEFAULT_LIMITS.max_steps))
        if not self.distortion <= limit * (1.0 + _CHECK_TOLERANCE) + 1e-9:
            raise FitError(
                f"the file decodes to {self.decibels:.2f} dB, the fit had {psnr_db(limit):.2f} dB; "
                "nothing was written: please report this"
            )


def _size_bytes(stored: StoredSignal) -> int:
    return sum(SECTION.size + len(payload) for payload in stored.payloads())


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.inf
