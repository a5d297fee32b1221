"""Which device does the work; torch is loaded only where a GPU may be there."""

from __future__ import annotations

import ctypes
import sys

from i2codec.errors import DeviceError, OptionError

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
