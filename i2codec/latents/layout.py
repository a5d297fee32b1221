"""What the compiled loop reads, laid out as it wants it: padded planes, transposed weights, flat tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.latents.model import ContextModel
from i2codec.latents.template import LARGEST_FEATURE, Template, positions

__all__ = ["Integers", "checked_shape", "checked_values", "kernel_grids", "kernel_weights"]

Integers = NDArray[np.integer[Any]]
_LANES = 16
"""Hidden layers are filled up with zeros to a multiple of this, so that they fill vector registers."""


def checked_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Three extents of at least 1, or an :class:`OptionError`."""
    if len(shape) != 3 or min(shape) < 1:
        raise OptionError(f"latents of shape {list(shape)}; expected three extents of at least 1")
    planes, rows, columns = map(int, shape)
    return planes, rows, columns


def checked_values(values: Integers, shape: tuple[int, int, int], *, largest: int) -> NDArray[np.int32]:
    """A copy of a grid of this shape whose values can be coded, or an :class:`OptionError`."""
    array = _integers("latents", values)
    if array.shape != shape:
        raise OptionError(f"latents of shape {list(array.shape)}; expected {list(shape)}")
    if array.min() < -largest or array.max() > largest:
        raise OptionError(f"latents of {array.min()} to {array.max()}; at most ±{largest} can be coded")
    return np.array(array, dtype=np.int32, order="C")


def kernel_grids(
    values: NDArray[np.int32],
    coarser: Integers | None,
    coarsest: Integers | None,
    template: Template,
    border: int,
    column_count: int,
) -> tuple[NDArray[np.int8], int, NDArray[np.int64], NDArray[np.int8], NDArray[np.int8]]:
    """The grids that features are read from, clamped to a byte.

    They are: the grid itself, flat, with planes of zeros before it and ``border`` zeros around
    each plane; the place of its first node; how far from a node its neighbours lie; the next
    coarser grid with one zero around each plane; the one after. In place of these two a lattice has
    the features of its columns, ``[1, features, columns]``.
    """
    is_lattice = template is Template.LATTICE
    half = template.coarser_shape(values.shape)
    own = _companded(values) if is_lattice else _clamped(values)
    lead = max(1, template.plane_reach)
    near = np.pad(own, ((lead, 0), (border, border), (border, border)))
    _, rows, columns = near.shape
    start = (lead * rows + border) * columns + border
    reach = np.array([(t * rows + y) * columns + x for t, y, x in template.offsets], dtype=np.int64)
    if is_lattice:
        if coarser is not None or coarsest is not None or column_count < values.shape[2]:
            raise OptionError(f"a lattice of {values.shape[2]} of {column_count} columns beside coarser grids")
        of_columns = np.array(positions(column_count), dtype=np.int8).T[:, : values.shape[2]]
        of_columns = np.pad(of_columns, ((0, 1), (0, 0)))  # and the feature that waits
        return near.ravel(), start, reach, np.ascontiguousarray(of_columns[None]), np.zeros((1, 1, 1), dtype=np.int8)
    beside = np.pad(_neighbour("coarser", coarser, half), ((0, 0), (1, 1), (1, 1)))
    return near.ravel(), start, reach, beside, _neighbour("coarsest", coarsest, template.coarser_shape(half))


def kernel_weights(model: ContextModel, level: int) -> tuple[NDArray[np.int32], ...]:
    """w1 ``[F, width]``, b1, w2 ``[width, width]`` transposed, b2, w3, b3 of one level.

    The width is a multiple of 16; b2 and b3 have the fractional bits of the sums they are added to.
    """
    if not 0 <= level < model.levels:
        raise OptionError(f"level {level} of a context model of {model.levels} levels")
    width, network = -(-model.width // _LANES) * _LANES, model.network_of(level)
    return (
        _filled(model.w1[network].T, model.template.feature_count, width),
        _filled(model.b1[level], width),
        _filled(model.w2[network].T, width, width),
        _filled(model.b2[network] << 6, width),
        _filled(model.w3[network], 2, width),
        _filled(model.b3[level] << 6, 2),
    )


def _filled(array: NDArray[np.int32], *shape: int) -> NDArray[np.int32]:
    """In rows whatever the order of ``array`` in memory, since numba compiles anew for another."""
    filled = np.zeros(shape, dtype=np.int32)
    filled[tuple(map(slice, array.shape))] = array
    return filled


def _integers(name: str, values: Integers) -> Integers:
    array = np.asarray(values)
    if array.dtype.kind != "i":
        raise OptionError(f"{name} of type {array.dtype}; expected signed integers")
    return array


def _clamped(values: Integers) -> NDArray[np.int8]:
    return np.clip(values, -LARGEST_FEATURE, LARGEST_FEATURE).astype(np.int8)


def _companded(values: NDArray[np.int32]) -> NDArray[np.int8]:
    """As :func:`~i2codec.latents.template.companded`, element by element."""
    n = np.abs(values.astype(np.int64)) + 1
    octave = np.frexp(n.astype(np.float64))[1] - 1  # exact: n is far below 2⁵³
    steps: NDArray[np.int64] = 4 * octave + ((n << 2) >> octave) - 4
    return steps.astype(np.int8)


def _neighbour(name: str, values: Integers | None, shape: tuple[int, ...]) -> NDArray[np.int8]:
    if values is None:
        return np.zeros(shape, dtype=np.int8)
    array = _integers(name, values)
    if array.shape != shape:
        raise OptionError(f"{name} latents of shape {list(array.shape)}; expected {list(shape)} over the same area")
    return np.ascontiguousarray(_clamped(array))
