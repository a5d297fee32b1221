"""Where the networks of a grid fit start: at a prior, or at random. Fits of high quality: ``grid_picture_start``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.prior.priors import prior_for, released_priors

Arrays = dict[str, NDArray[np.float64]]


def starting_tensors(architecture: GridArchitecture, *, lmbda: float, seed: int) -> tuple[int, Arrays]:
    """Number of the prior that suits architecture and λ best, 0 for none, and the tensors to start from.

    Where λ is another than the prior's, the latents start finer or coarser: their step goes with
    √λ, as of a uniform quantiser (its distortion is a twelfth of the squared step).
    """
    prior = nearest_prior(architecture, lmbda=lmbda)
    return (0, _random(architecture, np.random.default_rng(seed))) if prior is None else prior


def nearest_prior(architecture: GridArchitecture, *, lmbda: float) -> tuple[int, Arrays] | None:
    """The same from a prior, or ``None`` where there is none for the architecture."""
    released = released_priors(architecture)
    if not released:
        return None
    number = min(released, key=lambda number: abs(math.log(lmbda / released[number])))
    tensors = {name: np.array(tensor) for name, tensor in prior_for(number, architecture).items()}
    step = math.sqrt(lmbda / released[number])
    tensors["gains"] *= step
    tensors["d_3"][:, 1] -= math.log2(step)  # the scale of the latents, as a logarithm
    return number, tensors


def _random(architecture: GridArchitecture, generator: np.random.Generator) -> Arrays:
    """Layers that keep the variance, a weak recurrence, and a mid-grey."""
    deviations = {"E_1": 1.0, "E_2": 0.3, "A": 0.35, "W": 0.7, "C_1": 1.0, "C_2": 0.1, "C_3": 0.1}
    constants = {"gains": 0.1, "b": 0.5}
    tensors: Arrays = {}
    for name, shape in architecture.tensor_shapes.items():
        if name in deviations:
            fan_in = math.prod(shape[1:]) if name == "A" else shape[-1]
            scale = deviations[name] / math.sqrt(fan_in)
            tensors[name] = scale * generator.standard_normal(shape)
        else:
            tensors[name] = np.full(shape, constants.get(name, 0.0))
    return tensors
