"""Where a field is evaluated: NumPy on the CPU, torch on a GPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2codec.field.stored import StoredNetwork
from i2codec.render.chunks import Evaluate


def evaluator(network: StoredNetwork, *, device: str) -> Evaluate:
    """Φ of a stored network on a device from :func:`choose_device`."""
    if device == "cpu":
        return network.evaluate
    import torch

    from i2codec.field.module import ImplicitField

    module = ImplicitField.from_stored(network).to(device)

    def evaluate(x: NDArray[np.float64]) -> NDArray[np.float32]:
        """As ``StoredNetwork.evaluate``, on the device."""
        with torch.no_grad():
            values: NDArray[np.float32] = module(torch.from_numpy(x).to(device)).cpu().numpy()
        return values

    return evaluate
