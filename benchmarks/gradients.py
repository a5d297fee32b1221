"""Compare the cheap gradients with the gradient through a solve that is unrolled to convergence.

Small fields are fitted to 32 × 32 grey samples with gradients through three applications of F.
Then, in float64 and through the bound s(A) of the state's scale, every gradient of the loss is
compared with the gradient of the loss through all Picard steps from zero to the fixed point:
the cosine and the relative error over all parameters, and the cosine per tensor.

How far apart they are depends on how much the residual shrinks per step at the *fitted*
field, far less than the bound c allows; it is measured before and after the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from common import Row, camera, command, fit, measured_ratio, psnr, report, transition_of, zero_state
from torch import Tensor

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.gradients import Gradient, Implicit, OneStep, Phantom
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.field.solvers import Picard

STEPS = 1000
GRADIENTS: Mapping[str, Gradient] = {
    "one_step": OneStep(),
    **{f"phantom-{terms}": Phantom(terms=terms) for terms in (1, 2, 3, 5, 8)},
    "implicit": Implicit(max_steps=2000, tolerance=1e-12),
}


@dataclass(frozen=True)
class Setting:
    """One field and the terms of the gradient that fits it."""

    filter: Filter = Filter.SIREN
    width: int = 32
    depth: int = 1
    norm: Norm = Norm.SPECTRAL
    contraction: float = 0.95
    terms: int = 3


SETTINGS = [
    Setting(),
    Setting(terms=1),
    Setting(contraction=0.99),
    Setting(contraction=0.5),
    Setting(norm=Norm.SUP),
    Setting(width=16),
    Setting(width=48),
    Setting(depth=2),
    Setting(filter=Filter.FOURIER),
    Setting(filter=Filter.GABOR),
]


def loss_gradient(
    field: ImplicitField, x: Tensor, target: Tensor, gradient: Gradient, start: Tensor
) -> dict[str, Tensor]:
    """Gradient of the mean squared error by tensor, with ``gradient`` at the state ``start``."""
    state = gradient(transition_of(field, x), start)
    loss = torch.nn.functional.mse_loss(field.read_out(state), target)
    return dict(zip(field.tensors, torch.autograd.grad(loss, list(field.tensors.values())), strict=True))


def joined(tensors: Mapping[str, Tensor]) -> Tensor:
    """All tensors as one vector."""
    return torch.cat([tensor.flatten() for tensor in tensors.values()])


def cosine(a: Tensor, b: Tensor) -> float:
    """Cosine of the angle between two tensors of one shape."""
    return float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0, eps=1e-300))


@command("gradients")
def main(device: str) -> Sequence[Row]:
    photo = camera(device, every=4)
    rows = []
    for setting in SETTINGS:
        architecture = Architecture(
            setting.filter, setting.width, setting.depth, 2, 1, norm=setting.norm, contraction=setting.contraction
        )
        generator = torch.Generator().manual_seed(0)
        tensors = initial_tensors(architecture, frequencies=photo.frequencies, generator=generator)
        field = ImplicitField(architecture, tensors, steps=64).to(device)
        first_ratio = measured_ratio(field, photo.x)
        fit(field, photo, Phantom(terms=setting.terms), steps=STEPS)
        with torch.no_grad():
            quality = psnr(field(photo.x), photo.target)
        described = {
            "filter": setting.filter.name.lower(),
            "width": setting.width,
            "depth": setting.depth,
            "norm": setting.norm.name.lower(),
            "contraction": setting.contraction,
            "fitted_through": setting.terms,
            "psnr_from_zero_db": quality,
            "measured_ratio_before": first_ratio,
            "measured_ratio": measured_ratio(field, photo.x),
        }

        field, target = field.double(), photo.target.double()
        zero = zero_state(field, photo.x)
        with torch.no_grad():
            solution = Picard()(transition_of(field, photo.x), zero, max_steps=2000, tolerance=1e-14)
        reference = loss_gradient(field, photo.x, target, Phantom(terms=solution.steps), zero)
        for name, gradient in GRADIENTS.items():
            found = loss_gradient(field, photo.x, target, gradient, solution.state)
            error = torch.linalg.vector_norm(joined(found) - joined(reference))
            rows.append(
                report(
                    **described,
                    unrolled_steps=solution.steps,
                    gradient=name,
                    cosine=cosine(joined(found), joined(reference)),
                    relative_error=float(error / torch.linalg.vector_norm(joined(reference))),
                    cosine_by_tensor={key: cosine(found[key], reference[key]) for key in reference},
                )
            )
    return rows


if __name__ == "__main__":
    main()
