"""The fit of a grid field: latents and networks together, for distortion + λ · rate.

Ladune et al., "COOL-CHIC", ICCV 2023, section 3, and Kim et al., "C3", CVPR 2024, section 3.1, with
the implicit layer of Huang, Bai, Kolter, "(Implicit)²", NeurIPS 2021: the state of step t − 1 starts
the solve of step t, and the gradient passes through the last applications of F (section 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from i2codec.errors import FitError
from i2codec.fit.checkpoint import Checkpoint, CheckpointPart
from i2codec.fit.clock import Clock
from i2codec.fit.grid_model import LATENT_SCALE, GridModel, Solve
from i2codec.fit.pricing import Pricing
from i2codec.fit.progress import Progress, Reporter
from i2codec.fit.soap import Soap
from i2codec.fit.soft_rounding import noisy
from i2codec.signal.metrics import psnr_db

_STEPS_BETWEEN_CORRECTIONS = 6
_DECODED_STEPS = 8  # towards a fixed point: enough for a look at what the fit has
LARGEST_GRADIENT = 0.1  # in the Euclidean norm; without it fits diverge


@dataclass(frozen=True)
class GridPhase:
    """A stretch of the fit.

    Parameters
    ----------
    name:
        In reports.
    share:
        Of the effort.
    steps:
        If not ``None``, in place of its share of the steps.
    rates:
        Learning rate at its start and end, along half a cosine.
    temperatures, deviations:
        Of the soft rounding and its noise, at its start and end.
    first_level:
        The finest level that is fitted, at its own resolution.
    holds_networks:
        Whether latents alone are trained.
    synthesis_factor:
        Rate of the synthesis over that of the context model. Near the original, errors are small, and a
        step that moves all samples alike must be so, too.
    adam_betas, soap_betas:
        How much the averages of Adam and SOAP keep from step to step.
    """

    name: str
    share: float
    rates: tuple[float, float]
    steps: int | None = None
    temperatures: tuple[float, float] = (0.3, 0.1)
    deviations: tuple[float, float] = (0.22, 0.15)
    first_level: int = 0
    holds_networks: bool = False
    synthesis_factor: float = 1.0
    adam_betas: tuple[float, float] = (0.9, 0.99)
    soap_betas: tuple[float, float] = (0.95, 0.95)


class Objective(Protocol):
    """What a model is fitted to, see :class:`~i2codec.fit.grid_model.GridObjective`."""

    point_count: int
    """Native grid points of the signal, over which the rate is counted."""

    def parts(self, model: Any, latents: Sequence[Tensor], solve: Solve) -> tuple[Tensor, Tensor]:
        """Distortion, and bits per native grid point, of latents whose states ``solve`` finds: two scalars."""
        ...

    def decoded(self, model: Any, *, steps: int) -> tuple[float, float]:
        """The same of the rounded latents, solved from zero in ``steps``."""
        ...


class GridRun:
    """One phase of the fit of one model.

    Parameters
    ----------
    model, objective:
        What is fitted, and to what.
    phase, clock:
        How, and for how long.
    pricing:
        λ as the fit goes on.
    seed:
        Of the noise.
    gradient_steps:
        Applications of F that carry the gradient.
    overhead_bytes:
        Bytes of the file beside the latents, for the estimated size in reports.
    latent_factor:
        What the latents' rate is times that of the phase.
    """

    def __init__(
        self,
        model: GridModel,
        objective: Objective,
        phase: GridPhase,
        clock: Clock,
        *,
        pricing: Pricing,
        seed: int,
        gradient_steps: int,
        overhead_bytes: int,
        latent_factor: float = 1.0,
    ) -> None:
        """Prepare the optimiser."""
        self._model, self._objective, self._phase, self._clock = model, objective, phase, clock
        self._pricing, self._gradient_steps, self._overhead_bytes = pricing, gradient_steps, overhead_bytes
        self._seed = seed
        self._generator = torch.Generator(device=model.device).manual_seed(seed)
        self._networks, self._point_count = model.networks(), objective.point_count
        self._latents, self._latent_factor = model.latents[phase.first_level :], latent_factor
        self._optimisers = self._make_optimisers()
        self._states: dict[int, Tensor] = {}
        self._step = 0
        self._last = (math.nan, math.nan)

    def _latent_groups(self) -> list[dict[str, Any]]:
        """Parameter groups of the latents for Adam."""
        return [{"params": self._latents, "factor": self._latent_factor}]

    def _make_optimisers(self) -> tuple[torch.optim.Optimizer, ...]:
        groups, phase = self._latent_groups(), self._phase
        optimisers: list[torch.optim.Optimizer] = []
        if not phase.holds_networks:
            matrices: list[dict[str, Any]] = []
            for networks, factor in (
                (self._model.field.tensors, phase.synthesis_factor),
                (self._model.context, 1.0),
            ):
                for of_kind, is_matrix in ((matrices, True), (groups, False)):
                    tensors = [tensor for name, tensor in networks.items() if name[0].isupper() is is_matrix]
                    of_kind.append({"params": tensors, "factor": factor})
            optimisers.append(Soap(matrices, lr=phase.rates[0], betas=phase.soap_betas))
        if groups:
            optimisers.append(torch.optim.Adam(groups, lr=phase.rates[0], betas=phase.adam_betas, fused=True))
        return tuple(optimisers)

    def run(self, *, reporter: Reporter, checkpoint: Checkpoint | CheckpointPart) -> None:
        """Take all steps of the phase, from the checkpoint's state where it has one.

        Raises
        ------
        FitError
            If the loss is not finite.
        Cancelled
            If the progress callback asks for it.
        """
        self._restore(checkpoint.load(self._phase.name))
        while (fraction := self._clock.fraction(self._step)) < 1.0:
            self._take_step(fraction)
            if reporter.due:
                self._report(reporter, fraction)
            if checkpoint.due:
                checkpoint.save(self._phase.name, self._snapshot())
        checkpoint.save(self._phase.name, self._snapshot())

    def _take_step(self, fraction: float) -> None:
        model, objective, phase = self._model, self._objective, self._phase
        distortion, rate = objective.parts(model, self._noisy(fraction), self._solve)
        self._last = float(distortion.detach()), float(rate.detach())
        if not math.isfinite(sum(self._last)):
            raise FitError("the loss is not finite: the fit diverged; try another --seed")
        network_rate = model.network_bits() / self._point_count
        if self._pricing.follows and not phase.first_level and self._step % _STEPS_BETWEEN_CORRECTIONS == 0:
            self._follow(fraction, network_rate=float(network_rate.detach()))
        lmbda = self._pricing.lmbda
        model.zero_grad()
        (distortion + lmbda * (rate + network_rate)).backward()  # type: ignore[no-untyped-call]
        step = self._learning_rate(fraction)
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                nn.utils.clip_grad_norm_(group["params"], LARGEST_GRADIENT)
                group["lr"] = group["factor"] * step
            optimiser.step()
        self._step += 1

    def _learning_rate(self, fraction: float) -> float:
        return _blend(self._phase.rates, 0.5 - 0.5 * math.cos(math.pi * fraction))

    def _follow(self, fraction: float, *, network_rate: float) -> None:
        """Move λ by what the fit would decode to."""
        steps = self._gradient_steps if self._model.field.architecture.unrolled else _DECODED_STEPS
        found, rate = self._objective.decoded(self._model, steps=steps)
        self._pricing.follow(fraction, distortion=found, rate=rate + network_rate)

    def _noisy(self, fraction: float) -> Sequence[Tensor]:
        temperature = _blend(self._phase.temperatures, fraction)
        deviation = _blend(self._phase.deviations, fraction)
        return [
            noisy(LATENT_SCALE * latent, temperature=temperature, deviation=deviation, generator=self._generator)
            for latent in self._latents
        ]

    def _solve(self, u: Tensor, key: int = 0) -> Tensor:
        """States with the gradient of the last applications of F, from the state under ``key`` of the step before."""
        field = self._model.field
        recurrence = field.recurrence()
        if recurrence is None:
            return u
        state, applications = self._states.get(key), self._gradient_steps
        if field.architecture.unrolled:
            state, applications = u, applications - 1  # the first application, from zero
        elif state is None:
            with torch.no_grad():  # as near to the fixed point as it takes, where no step before has one
                state = field.state(u, steps=_DECODED_STEPS)
        for _ in range(applications):
            state = field.layer(state, u, recurrence)
        self._states[key] = state.detach()
        return state

    def _report(self, reporter: Reporter, fraction: float) -> None:
        distortion, rate = self._last
        reporter.report(
            Progress(
                stage=self._phase.name,
                fraction=fraction,
                step=self._step,
                psnr_db=psnr_db(distortion),
                size_bytes=self._overhead_bytes + round(rate * self._point_count / 8),
                remaining_s=self._clock.remaining_s(self._step),
            )
        )

    def _snapshot(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "latents": [latent.detach().clone() for latent in self._model.latents],
            "networks": [network.detach().clone() for network in self._networks],
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "states": self._states,
            "noise": self._generator.get_state(),
            "lmbda": self._pricing.lmbda,
        }

    def _restore(self, snapshot: dict[str, Any] | None) -> None:
        if snapshot is None:
            return
        self._step = snapshot["step"]
        with torch.no_grad():
            for name, tensors in (("latents", self._model.latents), ("networks", self._networks)):
                for tensor, saved in zip(tensors, snapshot[name], strict=True):
                    tensor.copy_(saved)
        for optimiser, saved in zip(self._optimisers, snapshot["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self._states = {key: state.to(self._model.device) for key, state in snapshot["states"].items()}
        self._generator.set_state(snapshot["noise"])
        self._pricing.lmbda = snapshot["lmbda"]


def _blend(ends: tuple[float, float], fraction: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * fraction
