"""From the points of one unit to its stored network: width, fit, steps, rounding, contraction, step count."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from i2codec.container.limits import DEFAULT_LIMITS
from i2codec.container.section import SECTION
from i2codec.entropy.quantiser import dequantise, quantise
from i2codec.errors import FitError
from i2codec.field.architecture import Architecture, Filter
from i2codec.field.contraction import proved_state_scale
from i2codec.field.module import ImplicitField, to_arrays
from i2codec.fit.checkpoint import Checkpoint, CheckpointPart
from i2codec.fit.effort import Effort
from i2codec.fit.field_fit import EVALUATION_STEPS, FieldFit, with_contraction
from i2codec.fit.goals import Goal, LossGoal, PriceGoal, PsnrGoal, SizeGoal
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import Preset
from i2codec.fit.progress import Progress, Reporter
from i2codec.fit.quantisation import StepSearch, Trial
from i2codec.fit.step_count import measure_step_count
from i2codec.fit.widths import PRICE_FIT_SHARE, default_width, fitted_for_psnr, width_for_price
from i2codec.payload.network_section import QuantisedNetwork, pack_network, unpack_network
from i2codec.signal.colour import transform_for
from i2codec.signal.description import SignalDescription
from i2codec.signal.metrics import psnr_db

# Step counts are within 1/1024 of the range, or a tenth of the error where that is less.
_STEP_COUNT_TOLERANCE = 1.0 / 1024.0
# Rounding little by little wins back about 40 % of the loss (docs/fitting.md), so 0.3 dB asked
# for is 0.5 dB before it.
_RECOVERY = 0.6
# More steps win back more, so the first attempt has most of them; the second only mends a miss.
_ATTEMPT_SHARES = (0.7, 0.3)
_LEAST_ROOM_DB = 0.1
_PSNR_TOLERANCE_DB = 0.05
_SEARCH_POINTS = 8192
_CHECKED_POINTS = 8192
_CHECK_TOLERANCE = 0.005


@dataclass(frozen=True)
class FitSettings:
    """What to fit and how.

    Parameters
    ----------
    preset:
        Phases and steps.
    goal:
        What is asked of rate and distortion.
    reference_power:
        Power that decibels are counted against: 1, or the mean square of a sound.
    filter:
        Filters of the field.
    width:
        Size of the state; ``None`` chooses it for the goal.
    depth:
        Layers inside F.
    contraction:
        Contraction factor c, in the spectral norm.
    seed:
        Start of the field and choice of batches.
    device:
        ``cpu`` or ``cuda``.
    time_limit_s:
        If not ``None``, the time that the encoding of the unit is laid over.
    """

    preset: Preset
    goal: Goal
    reference_power: float = 1.0
    filter: Filter = Filter.SIREN
    width: int | None = None
    depth: int = 1
    contraction: float = 0.5
    seed: int = 0
    device: str = "cpu"
    time_limit_s: float | None = None


@dataclass
class UnitEncoder:
    """Encodes one unit of a signal.

    Parameters
    ----------
    description:
        What the samples of the unit are.
    points:
        Its samples.
    settings:
        What to fit and how.
    reporter, checkpoint:
        Where progress goes, and where an interrupted fit continues from.
    """

    description: SignalDescription
    points: TrainingPoints
    settings: FitSettings
    reporter: Reporter = field(default_factory=Reporter)
    checkpoint: Checkpoint | CheckpointPart = field(default_factory=Checkpoint)

    float_distortion: float = field(default=math.nan, init=False)
    """Distortion of the fit before quantisation, once :meth:`encode` got there."""
    overhead_bytes: int = field(default=0, init=False)
    """Bytes of the unit's section beside the coded weights."""

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    def encode(self) -> QuantisedNetwork:
        """Fit, quantise and measure; what the file will hold.

        Raises
        ------
        FitError
            If the fit diverges or its fixed point cannot be bounded.
        Cancelled
            If the progress callback asks for it.
        """
        settings = self.settings
        architecture = Architecture(
            filter=settings.filter,
            width=settings.width or 1,
            depth=settings.depth,
            axis_count=len(self.description.axes),
            channel_count=len(self.description.channels),
            contraction=float(np.nextafter(np.float32(settings.contraction), np.float32(0.0))),
        )
        self.overhead_bytes = self._overhead_bytes(architecture)
        fit = FieldFit(
            description=self.description,
            points=self.points,
            preset=settings.preset,
            seed=settings.seed,
            reference_power=settings.reference_power,
            effort=Effort(settings.preset.steps),
            overhead_bytes=self.overhead_bytes,
            reporter=self.reporter,
            checkpoint=self.checkpoint,
        )
        fit = replace(fit, effort=self._effort(fit, architecture))
        fitted_share = sum(phase.share for phase in settings.preset.phases if not phase.quantised)
        fitted, share = self._fitted(fit, architecture, share=fitted_share)
        rounded, steps = self._rounded(fit, fitted, share=share * (1.0 - fitted_share))
        return self._stored(fit, rounded, steps)

    def _fitted(self, fit: FieldFit, architecture: Architecture, *, share: float) -> tuple[ImplicitField, float]:
        """A fitted field of the width given or chosen, and the share of the effort that rounding may count on."""
        goal, left = self.settings.goal, 1.0
        if self.settings.width is None and isinstance(goal, PsnrGoal):
            return fitted_for_psnr(architecture, fit, goal, share=share), 1.0
        if self.settings.width is None:
            if isinstance(goal, PriceGoal):
                architecture, left = (
                    replace(architecture, width=width_for_price(architecture, fit, goal)),
                    PRICE_FIT_SHARE,
                )
            elif isinstance(goal, LossGoal | SizeGoal):
                architecture = replace(architecture, width=default_width(architecture, fit, goal))
        fitted = fit.start(architecture)
        fit.fit(fitted, stage="main", share=left * share)
        return fitted, left

    def _rounded(
        self, fit: FieldFit, fitted: ImplicitField, *, share: float
    ) -> tuple[ImplicitField, Mapping[str, float]]:
        """A copy of ``fitted`` on multiples of the steps that the goal asks for, and those steps.

        An attempt rounds little by little while training. While it misses the goal and there is
        effort left, the next one starts over with steps moved as far as it missed.
        """
        self.reporter.report(Progress("quantise", 0.0))
        self.float_distortion = StepSearch(fitted, self.points).float_distortion
        tolerance = max(math.sqrt(self.float_distortion) / 30.0, 2.0**-20)
        needed = measure_step_count(fitted, self.points, tolerance=tolerance, most_evaluations=_SEARCH_POINTS)
        fitted.steps = min(EVALUATION_STEPS, needed + 1)  # most steps of the search would change nothing
        search = StepSearch(fitted, self.points, sample_points=min(_SEARCH_POINTS, max(2048, self.points.count // 4)))
        shares: tuple[float, ...] = (1.0,) if self.settings.time_limit_s is not None else _ATTEMPT_SHARES
        if all(not phase.quantised for phase in self.settings.preset.phases):
            return self._plainly_rounded(search, fitted)
        trial = self._first_trial(search)
        best: tuple[float, ImplicitField, Mapping[str, float]] | None = None
        for attempt, part in enumerate(shares):
            rounded = copy.deepcopy(fitted)
            fit.tune(rounded, trial.steps, stage=f"attempt {attempt}", share=share * part)
            result = StepSearch(rounded, self.points).trial(trial.steps)
            met, factor = self._correction(search, result)
            cost = result.distortion if isinstance(self.settings.goal, SizeGoal) else result.bits
            if met and (best is None or cost < best[0]):
                best = cost, rounded, trial.steps
            if factor == 1.0:
                break
            trial = search.trial({name: step * factor for name, step in trial.steps.items()})
        if best is not None:
            return best[1:]
        if isinstance(self.settings.goal, LossGoal | PsnrGoal):
            return self._plainly_rounded(search, fitted)
        return rounded, result.steps

    def _plainly_rounded(self, search: StepSearch, fitted: ImplicitField) -> tuple[ImplicitField, Mapping[str, float]]:
        """The field as it is and steps that meet the goal without more training, if the fit does."""
        goal = self.settings.goal
        if isinstance(goal, LossGoal | PsnrGoal):
            return fitted, search.for_distortion(self._largest_distortion(search)).steps
        return fitted, self._first_trial(search).steps

    def _decibels(self, distortion: float) -> float:
        return psnr_db(distortion / self.settings.reference_power)

    def _largest_distortion(self, search: StepSearch) -> float:
        """The most that the goal allows: of a fit that falls short of a PSNR a little more than its own."""
        goal, floor = self.settings.goal, search.float_distortion
        if isinstance(goal, PsnrGoal):  # also of silence, whose fit is perfect
            wanted = self.settings.reference_power * math.pow(10.0, -goal.psnr_db / 10.0)
            return max(wanted, floor * math.pow(10.0, _LEAST_ROOM_DB / 10.0))
        assert isinstance(goal, LossGoal)
        return floor * math.pow(10.0, goal.max_loss_db / 10.0)

    def _first_trial(self, search: StepSearch) -> Trial:
        goal, floor = self.settings.goal, search.float_distortion
        match goal:
            case PriceGoal():
                return search.for_price(goal.lmbda / self.description.point_count)
            case SizeGoal():
                # rounding moves the size by some tenths of a percent
                return search.for_bits(0.985 * 8.0 * (goal.size_bytes - self.overhead_bytes))
            case LossGoal():
                return search.for_distortion(floor * 10.0 ** (goal.max_loss_db / _RECOVERY / 10.0))
            case PsnrGoal():
                # a fit that falls short is rounded finely; one with room to spare gives it up
                allowed = self._largest_distortion(search)
                lost_db = 0.0 if floor == 0.0 else 10.0 * math.log10(allowed / floor)
                return search.for_distortion(allowed * 10.0 ** (lost_db * (1.0 / _RECOVERY - 1.0) / 10.0))

    def _correction(self, search: StepSearch, result: Trial) -> tuple[bool, float]:
        """Whether an attempt met the goal, and the factor on the steps for the next; 1 where none is needed."""
        goal = self.settings.goal
        match goal:
            case PriceGoal():
                return True, 1.0
            case SizeGoal():
                excess_bits = result.bits - 8.0 * (goal.size_bytes - self.overhead_bytes)
                met = excess_bits <= 0
                if met and -excess_bits < 8.0 * 0.04 * goal.size_bytes:
                    return True, 1.0
                parameters = search.field.architecture.parameter_count
                return met, math.pow(2.0, (excess_bits + 8.0 * 0.01 * goal.size_bytes) / parameters)
            case LossGoal():
                if result.distortion <= self._largest_distortion(search):
                    return True, 1.0
                # the rise of the distortion goes with the square of the steps
                loss_db = psnr_db(search.float_distortion) - psnr_db(result.distortion)
                return False, math.sqrt(0.7 * goal.max_loss_db / loss_db)
            case PsnrGoal():
                short_db = self._decibels(self._largest_distortion(search)) - self._decibels(result.distortion)
                met = short_db <= _PSNR_TOLERANCE_DB
                return met, 1.0 if met else max(0.5, 0.9 - 0.2 * short_db)

    def _stored(self, fit: FieldFit, rounded: ImplicitField, steps: Mapping[str, float]) -> QuantisedNetwork:
        """Prove the contraction on the dequantised weights and measure K; lower c where K is too large."""
        self.reporter.report(Progress("pack", 0.0))
        arrays = to_arrays(dict(rounded.tensors.items()))
        integers = {name: quantise(array, step=steps[name]) for name, array in arrays.items()}
        dequantised = {name: dequantise(integers[name], step=steps[name]) for name in integers}
        architecture = rounded.architecture
        state_scale = proved_state_scale(architecture, dequantised)
        tensors = {name: torch.from_numpy(array).to(self.settings.device) for name, array in dequantised.items()}
        exact = ImplicitField(architecture, tensors, steps=EVALUATION_STEPS, fixed_state_scale=state_scale)
        exact.requires_grad_(False)
        error = math.sqrt(StepSearch(exact, self.points).float_distortion)
        tolerance = min(_STEP_COUNT_TOLERANCE, max(error / 10.0, 2.0**-18))
        step_count = measure_step_count(exact, self.points, tolerance=tolerance)
        if step_count > DEFAULT_LIMITS.max_steps:
            if architecture.contraction < 0.1:
                raise FitError(f"the fixed point needs {step_count} steps; at most 64 are allowed: lower --width")
            lower = with_contraction(rounded, 0.7 * architecture.contraction)
            fit.tune(lower, steps, stage=f"contraction {lower.architecture.contraction:.3f}", share=0.1)
            return self._stored(fit, lower, steps)
        return QuantisedNetwork(architecture, integers, steps, state_scale, step_count, transform_for(self.description))

    def check(self, payload: bytes) -> float:
        """Hold a packed network, unpacked and run as the decoder does on a CPU, against what it is meant to be.

        Returns its distortion at points spread over the unit.

        Raises
        ------
        FitError
            If its distortion is more than 0.5 % over that of the encoder's own field.
        """
        network = unpack_network(
            payload,
            axis_count=len(self.description.axes),
            channel_count=len(self.description.channels),
            limits=DEFAULT_LIMITS,
        ).dequantised()
        indices = self.points.lattice_indices(_CHECKED_POINTS)
        x = self.points.coordinates(indices)
        module = ImplicitField.from_stored(network).to(self.settings.device)
        with torch.no_grad():
            wanted = float(self.points.distortion(module(x), indices))
            decoded = torch.from_numpy(network.evaluate(x.cpu().numpy().astype(np.float64)))
            found = float(self.points.distortion(decoded.to(x.device), indices))
        if not found <= wanted * (1.0 + _CHECK_TOLERANCE) + 1e-9:
            raise FitError(
                f"the file decodes to {self._decibels(found):.2f} dB, the fit had {self._decibels(wanted):.2f} dB; "
                "nothing was written: please report this"
            )
        return found

    def _overhead_bytes(self, architecture: Architecture) -> int:
        """Bytes of the unit's section beside the coded weights, which do not depend on the width."""
        zeros = {name: np.zeros(shape, dtype=np.int64) for name, shape in architecture.tensor_shapes.items()}
        network = QuantisedNetwork(
            architecture, zeros, dict.fromkeys(zeros, 1.0), 1.0, 1, transform_for(self.description)
        )
        return SECTION.size + len(pack_network(network))

    def _effort(self, fit: FieldFit, architecture: Architecture) -> Effort:
        """All steps, or the time that is left after what choosing steps and K and verifying will take."""
        steps, limit = self.settings.preset.steps, self.settings.time_limit_s
        if limit is None:
            return Effort(steps)
        width = self.settings.width or default_width(architecture, fit, LossGoal())
        sampled = StepSearch(fit.start(replace(architecture, width=width)), self.points)
        start = time.monotonic()
        sampled.trial(dict.fromkeys(architecture.tensor_shapes, 0.01))
        seconds_per_trial = time.monotonic() - start
        shifts = 2 ** len(self.description.axes)
        trials = 70 + (shifts + 1) * self.points.count / sampled.sample_points * 8 / EVALUATION_STEPS
        reserve = seconds_per_trial * trials + (time.monotonic() - self._started)
        return Effort(steps, seconds=max(limit - reserve, 0.05 * limit))
