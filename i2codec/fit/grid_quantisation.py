"""Quantisation of a grid field's networks: one step per tensor, chosen by the rate–distortion cost.

The loss is measured, not modelled: every trial runs the rounded networks on the rounded latents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from i2codec.entropy.quantiser import quantise, storable_step
from i2codec.entropy.tables import cheapest_table, load_tables
from i2codec.field.stencil import sup_norm
from i2codec.payload.grid_section import TABLE_SET
from i2codec.payload.tensors import TENSOR
from i2codec.prior.priors import Priors

Arrays = Mapping[str, NDArray[np.float32]]
Integers = Mapping[str, NDArray[np.int64]]

_FIRST_STEP = 2.0**-8  # at this price in loss a bit, and finer with its root
_FIRST_STEP_PRICE = 0.004 / 65536
_LEAST_STEP, _LARGEST_STEP = 2.0**-14, 1.0
_LARGEST_NORM = 0.995
"""Of a bounded stencil once it is rounded: what the fit holds below c rounding may lift a little."""
_SHRINKING, _SHRINKINGS = 0.98, 100
_PASSES = 2


@dataclass(frozen=True)
class QuantisedTensors:
    """Integers of tensors in units of their steps, on top of their priors."""

    integers: Integers
    steps: Mapping[str, float]

    def dequantised(self, priors: Priors) -> dict[str, NDArray[np.float32]]:
        """Tensors that the decoder sees, bit for bit."""
        return {
            name: _dequantised(integers, priors[name], step=self.steps[name])
            for name, integers in self.integers.items()
        }

    @property
    def bits(self) -> float:
        """Coded size: records and integers, each tensor's under its cheapest table; none for one at its prior."""
        tables = load_tables(TABLE_SET)
        coded = [values.ravel() for values in self.integers.values() if values.any()]
        return sum(8 * TENSOR.size + cheapest_table(values, tables)[1] for values in coded)


def first_step_for(price: float) -> float:
    """A step to start the search from: where all are too coarse, a finer one for a single tensor gains nothing."""
    return float(2.0 ** min(-6, max(-12, round(math.log2(_FIRST_STEP * math.sqrt(price / _FIRST_STEP_PRICE))))))


def quantise_tensors(
    tensors: Arrays,
    priors: Priors,
    *,
    loss: Callable[[Arrays], float],
    price: float,
    first_step: float = _FIRST_STEP,
    bounded: tuple[str, ...] = (),
) -> QuantisedTensors:
    """Integers that lower ``loss`` + ``price`` · bits, tensor by tensor, from ``first_step`` on.

    Every tensor in turn tries coarser steps while they pay, then finer ones, and none at all: its
    prior. The sup norm of ``bounded`` tensors stays below 1.
    """
    chosen = QuantisedTensors({}, {})
    for name in tensors:
        chosen = _with(chosen, name, tensors, priors, step=first_step, bounded=bounded)
    cost = loss(chosen.dequantised(priors)) + price * chosen.bits

    def attempt(name: str, step: float | None) -> bool:
        """Take another step for a tensor, or none, if that lowers the cost; whether it did."""
        nonlocal chosen, cost
        trial = _with(chosen, name, tensors, priors, step=step, bounded=bounded)
        trial_cost = loss(trial.dequantised(priors)) + price * trial.bits
        if trial_cost < cost:
            chosen, cost = trial, trial_cost
            return True
        return False

    for _ in range(_PASSES):
        for name in tensors:
            if chosen.integers[name].any():
                attempt(name, None)
            for factor in (2.0, 0.5):
                moved = False
                while _LEAST_STEP < chosen.steps[name] * factor < _LARGEST_STEP and attempt(
                    name, chosen.steps[name] * factor
                ):
                    moved = True
                if moved:
                    break
    return chosen


def _with(
    chosen: QuantisedTensors,
    name: str,
    tensors: Arrays,
    priors: Priors,
    *,
    step: float | None,
    bounded: tuple[str, ...],
) -> QuantisedTensors:
    """The choice with one tensor rounded to another step; ``None`` leaves it at its prior."""
    if step is None:
        integers, step = np.zeros(tensors[name].shape, dtype=np.int64), chosen.steps[name]
    else:
        step = storable_step(step)
        integers = _rounded(tensors[name], priors[name], step=step, is_bounded=name in bounded)
    return replace(chosen, integers={**chosen.integers, name: integers}, steps={**chosen.steps, name: step})


def _rounded(
    tensor: NDArray[np.float32], prior: NDArray[np.float64], *, step: float, is_bounded: bool
) -> NDArray[np.int64]:
    for _ in range(_SHRINKINGS):
        integers = quantise(tensor - prior, step=step)
        if not is_bounded or sup_norm(_dequantised(integers, prior, step=step)) <= _LARGEST_NORM:
            return integers
        tensor = tensor * np.float32(_SHRINKING)
    return np.zeros(tensor.shape, dtype=np.int64)  # the prior keeps the bound


def _dequantised(integers: NDArray[np.int64], prior: NDArray[np.float64], *, step: float) -> NDArray[np.float32]:
    """Prior + step · integer, rounded once: as the decoder computes it, so that the bound is that of the file."""
    return (prior + integers * np.float64(step)).astype(np.float32)
