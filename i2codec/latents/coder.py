"""Coding of one latent grid, or one tile of it, as bytes of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2codec.latents.layout import Integers
from i2codec.latents.model import ContextModel
from i2codec.latents.stream import LatentDecoder, LatentEncoder, code_lengths

__all__ = ["code_lengths", "decode_latents", "encode_latents"]


def encode_latents(
    values: Integers,
    *,
    coarser: Integers | None,
    coarsest: Integers | None,
    model: ContextModel,
    level: int,
    column_count: int | None = None,
) -> bytes:
    """Code a grid or tile ``[T, H, W]``; arguments and errors are those of :meth:`LatentCoder.code`."""
    encoder = LatentEncoder(model)
    grids = {"coarser": coarser, "coarsest": coarsest}
    encoder.code(values, shape=np.shape(values), **grids, level=level, column_count=column_count)
    return encoder.to_bytes()


def decode_latents(
    data: bytes,
    *,
    shape: tuple[int, ...],
    coarser: Integers | None,
    coarsest: Integers | None,
    model: ContextModel,
    level: int,
    column_count: int | None = None,
) -> NDArray[np.int32]:
    """Latents ``[T, H, W]`` of the given shape from what :func:`encode_latents` made of them.

    Whatever the bytes are, it ends, in a time that follows from the sizes of ``shape`` and
    ``data``. What it returns is at most the template's largest in magnitude, and encodes to ``data`` and nothing
    else. It takes some six bytes of memory a node: the caller holds ``shape`` against its limits.

    Raises
    ------
    FormatError
        If no grid of this shape is coded by these bytes.
    OptionError
        If another argument is not as :meth:`LatentCoder.code` says.
    """
    decoder = LatentDecoder(data, model)
    grids = {"coarser": coarser, "coarsest": coarsest}
    grid = decoder.code(None, shape=shape, **grids, level=level, column_count=column_count)
    decoder.finish()
    return grid
