"""Where a field is evaluated: NumPy on the CPU, torch on a GPU."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import DeviceError, OptionError
from i2codec.field.stored import StoredNetwork
from i2codec.render.chunks import Evaluate

DEVICES = ("auto", "cpu", "cuda")


def choose_device(device: str) -> str:
    """``cpu`` or ``cuda`` for a device option.

    Raises
    ------
    OptionError
        If the name is unknown.
    DeviceError
        If ``cuda`` is asked for and there is none; nothing falls back silently.
    """
    if device not in DEVICES:
        raise OptionError(f"unknown device {device!r}; expected one of {', '.join(DEVICES)}")
    if device == "cpu" or (device == "auto" and not _has_driver()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise DeviceError("no CUDA device was found; expected one for --device cuda: use --device cpu or auto")
    return "cpu"


def _has_driver() -> bool:
    """True where NVIDIA's driver library loads: far cheaper than importing torch to ask."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def evaluator(network: StoredNetwork, *, device: str) -> Evaluate:
    """Φ of a stored network on a device from :func:`choose_device`."""
    if device == "cpu":
        return network.evaluate
    import torch

    from i2codec.field.module import ImplicitField

    module = ImplicitField.from_stored(network).to(device)

    def evaluate(x: NDArray[np.float64]) -> NDArray[np.float32]:
        with torch.no_grad():
            values: NDArray[np.float32] = module(torch.from_numpy(x).to(device)).cpu().numpy()
        return values

    return evaluate
