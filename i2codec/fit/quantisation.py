"""Choose the quantisation step of every tensor by distortion and real coded size.

A step δ of tensor t raises the distortion by about κ_t δ² and costs n_t log2(1/δ) bits, so at
a price μ per bit the best step is δ_t² = μ n_t / (2 κ_t ln 2) (reverse water-filling; Cover,
Thomas, "Elements of Information Theory", section 10.3). κ is measured on the field, μ is found
by bisection on the measured distortion or the coded bits, and the steps are then moved one by
one wherever that lowers distortion + μ · bits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from i2codec.entropy.quantiser import dequantise, quantise, storable_step
from i2codec.entropy.tables import LARGEST_MAGNITUDE
from i2codec.field.module import ImplicitField, to_arrays
from i2codec.fit.points import TrainingPoints
from i2codec.payload.network_section import TABLE_SET
from i2codec.payload.tensors import rate_bits

Arrays = Mapping[str, NDArray[np.float32]]

_PROBE = 1.0 / 32.0  # of a tensor's root mean square: small enough for the quadratic model
_REFINEMENT = 2.0**0.25
_REFINEMENT_PASSES = 2
_BISECTIONS = 10


@dataclass(frozen=True)
class Trial:
    """What a set of steps gives."""

    steps: Mapping[str, float]
    distortion: float
    bits: float


@dataclass
class StepSearch:
    """Trials of quantisation steps for one fitted field.

    Parameters
    ----------
    field:
        The fitted field; its weights are not changed.
    points:
        What it is fitted to; an evenly spread part of at most ``sample_points`` is looked at.
    """

    field: ImplicitField
    points: TrainingPoints
    sample_points: int = 8192

    def __post_init__(self) -> None:
        self._indices = self.points.lattice_indices(self.sample_points)
        self._x = self.points.coordinates(self._indices)
        self._tensors = to_arrays(dict(self.field.tensors.items()))
        self.float_distortion = self._distortion(self._tensors)

    def for_price(self, price: float) -> Trial:
        """Steps that minimise distortion + ``price`` · bits."""
        return self._refined(self._filled(price), price)

    def for_distortion(self, limit: float) -> Trial:
        """Steps with the fewest bits whose distortion is at most ``limit``."""
        return self._bisected(lambda trial: trial.distortion <= limit)

    def for_bits(self, limit: float) -> Trial:
        """Steps with the least distortion whose coded tensors take at most ``limit`` bits."""
        return self._bisected(lambda trial: trial.bits > limit, finest=False)

    def _bisected(self, may_coarsen: Callable[[Trial], bool], *, finest: bool = True) -> Trial:
        """Raise the price while ``may_coarsen``, refine at that price, then settle the common scale.

        ``finest`` returns the last trial that may coarsen, otherwise the first that may not.
        """
        low, high = -200.0, 20.0  # log2 of the price
        for _ in range(_BISECTIONS + 2):
            middle = 0.5 * (low + high)
            if may_coarsen(self._filled(2.0**middle)):
                low = middle
            else:
                high = middle
        price = 2.0**low
        refined = self._refined(self._filled(price), price)
        low, high = -2.0, 2.0  # log2 of a common factor on the refined steps
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            if may_coarsen(self._scaled(refined, middle)):
                low = middle
            else:
                high = middle
        return self._scaled(refined, low if finest else high)

    def _scaled(self, trial: Trial, exponent: float) -> Trial:
        return self.trial({name: step * 2.0**exponent for name, step in trial.steps.items()})

    def trial(self, steps: Mapping[str, float]) -> Trial:
        """What ``steps`` give, rounded to storable ones that leave every integer in the coder's range."""
        storable = {
            name: storable_step(max(step, 1.001 * float(np.abs(self._tensors[name]).max()) / LARGEST_MAGNITUDE))
            for name, step in steps.items()
        }
        integers = {name: quantise(tensor, step=storable[name]) for name, tensor in self._tensors.items()}
        arrays = {name: dequantise(integers[name], step=storable[name]) for name in integers}
        return Trial(storable, self._distortion(arrays), rate_bits(integers, table_set=TABLE_SET))

    def _filled(self, price: float) -> Trial:
        """Reverse water-filling at a price per bit."""
        return self.trial(
            {
                name: math.sqrt(price * self._tensors[name].size / (2.0 * curvature * math.log(2.0)))
                for name, curvature in self._curvatures.items()
            }
        )

    def _refined(self, trial: Trial, price: float) -> Trial:
        """Move single steps up or down while distortion + price · bits falls."""
        for _ in range(_REFINEMENT_PASSES):
            for name in self._tensors:
                for factor in (_REFINEMENT, 1.0 / _REFINEMENT):
                    moved = self.trial({**trial.steps, name: trial.steps[name] * factor})
                    if moved.distortion + price * moved.bits < trial.distortion + price * trial.bits:
                        trial = moved
                        break
        return trial

    @functools.cached_property
    def _curvatures(self) -> dict[str, float]:
        """κ of each tensor: rise of the distortion per squared step, measured at a small step."""
        return {name: self._curvature(name, tensor) for name, tensor in self._tensors.items()}

    def _curvature(self, name: str, tensor: NDArray[np.float32]) -> float:
        step = max(float(np.sqrt(np.mean(tensor.astype(np.float64) ** 2))), 1e-6) * _PROBE
        rounded = dequantise(quantise(tensor, step=step), step=step)
        rise = self._distortion({**self._tensors, name: rounded}) - self.float_distortion
        least = 1e-6 * max(self.float_distortion, 1e-12)  # a tensor that does not matter still gets a step
        return max(rise, least) / step**2

    def _distortion(self, arrays: Arrays) -> float:
        device = self._x.device
        tensors = {f"tensors.{name}": torch.from_numpy(array).to(device) for name, array in arrays.items()}
        with torch.no_grad():
            output = functional_call(self.field, tensors, (self._x,))
            value = float(self.points.distortion(output, self._indices))
        return value if math.isfinite(value) else math.inf
