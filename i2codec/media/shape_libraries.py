"""The libraries of the optional extra for shapes, loaded on first use."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from i2codec.errors import MissingExtraError

_QUIET = logging.NullHandler()  # without a handler, Python prints a library's warnings to the terminal


def shape_library(name: str) -> Any:
    """The module ``igl``, ``skimage.measure`` or ``trimesh``.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        module = importlib.import_module(name)
    except ImportError as exc:
        missing = exc.name or name
        raise MissingExtraError(
            f"shapes need {missing}, which is not installed; run: pip install 'i2codec[shape]'"
        ) from exc
    logging.getLogger(name).addHandler(_QUIET)
    return module
