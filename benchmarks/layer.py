"""Fit one implicit layer to a photo: bounds on the recurrence, none, no recurrence, and unrolled.

A siren layer of 256 on 128 × 128 grey samples, 300 steps of Adam at 1e-3 on all samples. The
state of a step starts the next one, and each step evaluates F once (one-step gradient). The
unrolled twin applies F three times from zero and stops there, in the fit and in the decoder.
Initial frequencies span the grid's own band, but for two rows that start at 30 radians per
unit, the usual ω₀ of siren.

A row holds the PSNR at the state that the fit ended with, the PSNR solved from zero by 64
Picard steps (3 where unrolled), how much the residual shrinks per step, the scale s of the
state (proved, where bounded), and the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from common import Row, camera, command, fit, measured_ratio, psnr, report, transition_of

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.contraction import proved_state_scale
from i2codec.field.gradients import OneStep, Phantom
from i2codec.field.module import ImplicitField, initial_tensors, to_arrays

STEPS = 300
DECODER_STEPS = 64
UNROLLED_STEPS = 3
USUAL_FREQUENCY = 30.0


@dataclass(frozen=True)
class Layer:
    """One row's layer; ``frequency`` None is Nyquist of the grid."""

    norm: Norm
    contraction: float = 0.0
    unrolled: bool = False
    frequency: float | None = None


LAYERS = [
    Layer(Norm.SPECTRAL, 0.9),
    Layer(Norm.SUP, 0.9),
    Layer(Norm.SPECTRAL, 0.0),
    Layer(Norm.SUP, 0.0),
    Layer(Norm.NONE),
    Layer(Norm.SPECTRAL, 0.9, unrolled=True),
    Layer(Norm.NONE, unrolled=True),
    Layer(Norm.SPECTRAL, 0.9, frequency=USUAL_FREQUENCY),
    Layer(Norm.NONE, frequency=USUAL_FREQUENCY),
]


@command("layer")
def main(device: str) -> Sequence[Row]:
    photo = camera(device)
    rows = []
    for layer in LAYERS:
        architecture = Architecture(Filter.SIREN, 256, 1, 2, 1, norm=layer.norm, contraction=layer.contraction)
        generator = torch.Generator().manual_seed(0)
        frequencies = photo.frequencies if layer.frequency is None else (layer.frequency, layer.frequency)
        tensors = initial_tensors(architecture, frequencies=frequencies, generator=generator)
        decoder_steps = UNROLLED_STEPS if layer.unrolled else DECODER_STEPS
        field = ImplicitField(architecture, tensors, steps=decoder_steps).to(device)
        gradient = Phantom(terms=UNROLLED_STEPS) if layer.unrolled else OneStep()
        state, seconds = fit(field, photo, gradient, steps=STEPS, reuse=not layer.unrolled)
        if layer.unrolled:  # it always starts from zero
            state = torch.zeros_like(state)
        with torch.no_grad():
            state = gradient(transition_of(field, photo.x), state)
            in_training = psnr(field.read_out(state), photo.target)
            if layer.norm is not Norm.NONE:
                field.fixed_state_scale = proved_state_scale(architecture, to_arrays(dict(field.tensors)))
            from_zero = psnr(field(photo.x), photo.target)
        rows.append(
            report(
                norm=layer.norm.name.lower(),
                contraction=None if layer.norm is Norm.NONE else layer.contraction,
                unrolled=layer.unrolled,
                highest_initial_frequency=max(frequencies),
                psnr_in_training_db=in_training,
                psnr_from_zero_db=from_zero,
                decoder_steps=decoder_steps,
                measured_ratio=measured_ratio(field, photo.x),
                state_scale=float(field.state_scale()),
                seconds_per_step=seconds,
                parameters=architecture.parameter_count,
            )
        )
    return rows


if __name__ == "__main__":
    main()
