"""Priors by number.

Prior 0 is 0 for every parameter. Prior n ≥ 1 is the package's file ``prior_n.npz``: for each tensor
of its architecture an array of that name and shape, of int16 or int32, in units of 2⁻¹⁰. A released
prior never changes. Priors are fitted over photographs in colour; those with one latent at every node
serve other channels by a rule: see :func:`prior_for`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import FormatError, VersionError
from i2codec.field.grid_architecture import GridArchitecture

FRACTION_BITS = 10

Priors = Mapping[str, NDArray[np.float64]]

_PHOTO = GridArchitecture(level_count=7, axis_count=2, channel_count=3, context_count=3)
_LARGE_PHOTO = replace(_PHOTO, hidden_width=48, width=10)
_ARCHITECTURES: dict[int, GridArchitecture] = {
    **dict.fromkeys((1, 2, 3), _PHOTO),
    **dict.fromkeys((4, 5, 6), _LARGE_PHOTO),
    7: replace(_PHOTO, context_features=23, plane_count=3),
    8: replace(_LARGE_PHOTO, context_features=23, plane_count=3),
}
"""What each released prior was fitted for."""
_LMBDAS = {1: 0.004, 2: 0.0007, 3: 0.02, 4: 0.004, 5: 0.0007, 6: 0.02, 7: 0.00002, 8: 0.00002}
"""λ that each released prior was fitted at."""
_BY_CHANNEL = ("W", "b")
"""Tensors with a row for each channel."""
_FOLDER: Traversable = resources.files("i2codec.prior")


def prior_architecture(number: int) -> GridArchitecture:
    """What prior ``number``, at least 1, was fitted for.

    Raises
    ------
    VersionError
        If this release does not carry it.
    """
    if number not in _ARCHITECTURES:
        carried = ", ".join(map(str, _ARCHITECTURES)) or "none"
        raise VersionError(f"prior {number}; this release carries {carried}: update i2codec")
    return _ARCHITECTURES[number]


@functools.cache
def load_prior(number: int) -> Priors:
    """Parameters by name of prior ``number``, at least 1; raises as :func:`prior_architecture`."""
    architecture = prior_architecture(number)
    with _FOLDER.joinpath(f"prior_{number}.npz").open("rb") as stream:
        stored = np.load(stream, allow_pickle=False)
        tensors = {name: stored[name] / 2.0**FRACTION_BITS for name in architecture.tensor_shapes}
    for tensor in tensors.values():
        tensor.flags.writeable = False
    return tensors


def prior_for(number: int, architecture: GridArchitecture) -> Priors:
    """Parameters by name that those of a network of this architecture are counted from.

    The last of two or four channels counts as alpha: it starts from 1 everywhere (a row of 0 in W,
    and 1 in b). What is left is grey if it is one channel: the mean of the rows of red, green and
    blue.

    Raises
    ------
    VersionError
        If this release does not carry the prior.
    FormatError
        If its tensors have other shapes.
    """
    if number == 0:
        return {name: np.broadcast_to(0.0, shape) for name, shape in architecture.tensor_shapes.items()}
    fitted_for = prior_architecture(number)
    if not _serves(fitted_for, architecture):
        raise FormatError(f"prior {number} is for {fitted_for}; the network is {architecture}")
    tensors = dict(load_prior(number))
    if architecture.channel_count < 3:
        tensors |= {name: tensors[name].mean(axis=0, keepdims=True) for name in _BY_CHANNEL}
    if architecture.channel_count in (2, 4):
        tensors["W"] = np.concatenate([tensors["W"], np.zeros_like(tensors["W"][:1])])
        tensors["b"] = np.append(tensors["b"], 1.0)
    return tensors


def released_priors(architecture: GridArchitecture) -> dict[int, float]:
    """Numbers of the priors that serve an architecture, and the λ that each was fitted at."""
    return {number: lmbda for number, lmbda in _LMBDAS.items() if _serves(_ARCHITECTURES[number], architecture)}


def _serves(fitted_for: GridArchitecture, architecture: GridArchitecture) -> bool:
    if not 1 <= architecture.channel_count <= 4 or architecture.plane_count != fitted_for.plane_count:
        return False
    of_colour = replace(architecture, channel_count=fitted_for.channel_count)
    return of_colour.tensor_shapes == fitted_for.tensor_shapes
