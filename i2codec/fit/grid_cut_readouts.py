"""Readouts for a file that was cut: without the finest latents colours lose contrast, which W and b can give back."""

from __future__ import annotations

import torch

from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.fit.grid_evaluation import GridEvaluation
from i2codec.payload.latents_section import LatentPyramid
from i2codec.payload.readouts_section import Readout

_LEAST_LATENTS_BYTES = 45_000
"""Of smaller latents a cut leaves little to look at, and readouts, some 150 bytes, would weigh on them."""
_NEGLIGIBLE = 1e-9
"""Of the largest eigenvalue: what states do in directions below it is not told from rounding."""


def readouts_of_cuts(
    evaluation: GridEvaluation, network: StoredGridNetwork, latents: LatentPyramid
) -> dict[int, Readout]:
    """The readout of least squared error behind every section of large latents, by the number of whole levels.

    The error is that of means over cells of the finest level that is left.
    """
    if sum(map(len, latents.payloads.values())) < _LEAST_LATENTS_BYTES:
        return {}
    level_count = network.architecture.level_count
    cuts = {place + 1 for place, _ in latents.payloads} - {level_count}
    return {cut: _best_readout(evaluation, network, first_level=level_count - cut) for cut in sorted(cuts)}


def _best_readout(evaluation: GridEvaluation, network: StoredGridNetwork, *, first_level: int) -> Readout:
    """Least squares by the normal equations, from the network's own readout as far as states tell."""
    weights = torch.from_numpy(network.tensors["W"]).double()
    biases = torch.from_numpy(network.tensors["b"]).double()
    left, right = torch.zeros(1), torch.zeros(1)
    for state, target in evaluation.coarse_states(network, first_level=first_level):
        flat = state.flatten(1).double().cpu()
        design = torch.cat([flat, torch.ones_like(flat[:1])])
        error = target.flatten(1).double().cpu() - weights @ flat - biases[:, None]
        left, right = left + design @ design.T, right + design @ error.T
    change = torch.linalg.pinv(left, rtol=_NEGLIGIBLE, hermitian=True) @ right
    return Readout.rounded((weights + change[:-1].T).numpy(), (biases + change[-1]).numpy())
