"""The amplitudes of a lattice's atoms on plain arrays: the definition of what its latents decode to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2codec.field.grid_stored import FloatArray, StoredGridNetwork

LARGEST_MAGNITUDE = 4.0
"""Latents above it look alike to the layer."""


def stored_amplitudes(
    network: StoredGridNetwork, latents: NDArray[np.int32], positions: NDArray[np.float32]
) -> FloatArray:
    """Amplitudes ``[frames, frequencies]`` of one channel's latents q; ``positions`` ``[features, frequencies]``.

    The equations are those of :class:`~i2codec.field.grid_architecture.GridArchitecture`.
    """
    tensors, q = network.tensors, latents.astype(np.float32)
    z = network.state(network.inject(np.minimum(np.abs(q), LARGEST_MAGNITUDE)[None]))
    change = np.tensordot(tensors["W"], z, axes=1)[0] + tensors["b"][0]
    gains = np.exp2(tensors["gains"][0] + tensors["gains"][1:] @ positions)
    amplitudes: FloatArray = gains * (q + np.clip(q, -1.0, 1.0) * change)
    return amplitudes
