"""Bits of latents and their gradient in one compiled pass: the fast path of ``context``.

Torch writes every hidden value of every node to memory and reads it back, several times over; here
they stay in the first-level cache. The plain twin is :func:`context.latent_bits`.

All compiled code is in this file, and so are the constants it uses: numba's cache on disk notices
changes of the file that holds the outermost function, and of no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
_F = TypeVar("_F", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, function: _F, /) -> _F: ...


# All of fastmath but "no NaN" and "no infinity": a fit that diverged must not go unseen.
_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"nsz", "arcp", "contract", "afn", "reassoc"}}
_njit: Any = numba.njit  # typed by some of its versions only
_inline: _Decorator = _njit(forceinline=True, **_OPTIONS)
_part: _Decorator = _njit(**_OPTIONS)


def _compiled(function: _F) -> _F:
    """Compile on first call, or take from numba's cache on disk where there is a folder for one."""
    try:
        compiled: _F = _njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        compiled = _njit(**_OPTIONS)(function)
    return compiled


_LN2 = math.log(2.0)
_LARGEST_FEATURE, _LARGEST_ACTIVATION, _LARGEST_MEAN = 127.0, 4095.0 / 64.0, 127.0
_LOWEST_LOG2_SCALE, _HIGHEST_LOG2_SCALE = -4.0, 5.875
_LEAST_PROBABILITY = 2.0**-16


@_inline
def _laplace(distance: float, log2_scale: float) -> tuple[float, float, float]:
    """Bits of half a step to each side of ``distance`` from the mean, and by distance and by log₂ of the scale."""
    clamped = min(max(log2_scale, _LOWEST_LOG2_SCALE), _HIGHEST_LOG2_SCALE)
    rate = math.exp(-_LN2 * clamped)
    near, far = distance - 0.5, distance + 0.5
    far_tail = 0.5 * math.exp(-far * rate)
    near_tail = 0.5 * math.exp(-abs(near) * rate)
    mass = near_tail - far_tail if near > 0.0 else 1.0 - near_tail - far_tail
    if mass <= _LEAST_PROBABILITY:
        return 16.0, 0.0, 0.0
    # derivatives of the mass; they are the same on both sides of near = 0
    by_distance = rate * (far_tail - near_tail)
    by_rate = far * far_tail - near * near_tail
    scale = -1.0 / (_LN2 * mass)
    by_scale = -_LN2 * rate * by_rate * scale if clamped == log2_scale else 0.0
    return -math.log2(mass), by_distance * scale, by_scale


@_part
def _gather(
    x: Floats, values: Floats, node: int, deltas: Indices, row: int, coarser: tuple[int, int], coarsest: tuple[int, int]
) -> None:
    """Features ``[features, width]`` of a row of nodes, the first of which is at ``node``."""
    own_count, width = len(deltas), x.shape[1]
    for feature in range(own_count):
        start = node + deltas[feature]
        x[feature] = values[start : start + width]
    x[own_count:] = 0.0
    if coarser[1]:
        for feature, first in enumerate(_coarser_rows(row, coarser)):
            for column in range(width):
                place = first + (column >> 1)
                x[own_count + 2 * feature, column] = values[place]
                x[own_count + 2 * feature + 1, column] = values[place + (1 if column & 1 else -1)]
    if coarsest[1]:
        first = coarsest[0] + (row >> 2) * coarsest[1]
        for column in range(width):
            x[own_count + 4, column] = values[first + (column >> 2)]
    for feature in range(x.shape[0]):
        for column in range(width):
            x[feature, column] = min(max(x[feature, column], -_LARGEST_FEATURE), _LARGEST_FEATURE)


@_inline
def _coarser_rows(row: int, coarser: tuple[int, int]) -> tuple[int, int]:
    """Where the row above a node in the next coarser level begins, and the nearest row next to it."""
    own = coarser[0] + (row >> 1) * coarser[1]
    return own, own + (coarser[1] if row & 1 else -coarser[1])


@_part
def _scatter(
    gradient: Floats,
    g_x: Floats,
    x: Floats,
    node: int,
    deltas: Indices,
    row: int,
    coarser: tuple[int, int],
    coarsest: tuple[int, int],
) -> None:
    """Add the gradients of the features of a row where the features were read."""
    own_count, width = len(deltas), x.shape[1]
    for feature in range(x.shape[0]):
        for column in range(width):
            if abs(x[feature, column]) >= _LARGEST_FEATURE:
                g_x[feature, column] = 0.0
    for feature in range(own_count):
        start = node + deltas[feature]
        for column in range(width):
            gradient[start + column] += g_x[feature, column]
    if coarser[1]:
        for feature, first in enumerate(_coarser_rows(row, coarser)):
            for column in range(width):
                place = first + (column >> 1)
                gradient[place] += g_x[own_count + 2 * feature, column]
                gradient[place + (1 if column & 1 else -1)] += g_x[own_count + 2 * feature + 1, column]
    if coarsest[1]:
        first = coarsest[0] + (row >> 2) * coarsest[1]
        for column in range(width):
            gradient[first + (column >> 2)] += g_x[own_count + 4, column]


@_compiled
def plane_gradients(
    values: Floats,
    gradient: Floats,
    first: int,
    stride: int,
    rows: tuple[int, int],
    width: int,
    deltas: Indices,
    coarser: tuple[int, int],
    coarsest: tuple[int, int],
    weights: tuple[Floats, Floats, Floats, Floats, Floats, Floats],
    weight_gradients: tuple[Floats, Floats, Floats, Floats, Floats, Floats],
) -> float:
    """Bits of some rows of one plane; adds the gradients.

    Parameters
    ----------
    values, gradient:
        All planes of all levels, each in a margin of zeros, one after the other.
    first, stride:
        Where the node (0, 0) of the plane is in ``values``, and how far apart its rows are.
    rows, width:
        Rows to look at, nodes in a row.
    deltas:
        Distance in ``values`` from a node to each of its neighbours on its own level.
    coarser, coarsest:
        ``first`` and ``stride`` of the planes one and two levels coarser; a stride of 0: there is none.
    weights, weight_gradients:
        C₁, d₁, C₂, d₂, C₃, d₃ and the gradients that are added to.
    """
    c1, d1, c2, d2, c3, d3 = weights
    g_c1, g_d1, g_c2, g_d2, g_c3, g_d3 = weight_gradients
    hidden, features = c1.shape
    zero, most = np.float32(0.0), np.float32(_LARGEST_ACTIVATION)
    c1_t, c2_t, c3_t = c1.T.copy(), c2.T.copy(), c3.T.copy()
    x, g_x = np.empty((features, width), np.float32), np.empty((features, width), np.float32)
    h1, h2, g1, g2 = (
        np.empty((hidden, width), np.float32),
        np.empty((hidden, width), np.float32),
        np.empty((hidden, width), np.float32),
        np.empty((hidden, width), np.float32),
    )
    out, g_out = np.empty((2, width), np.float32), np.empty((2, width), np.float32)
    total = 0.0
    for row in range(rows[0], rows[1]):
        node = first + row * stride
        _gather(x, values, node, deltas, row, coarser, coarsest)
        np.dot(c1, x, h1)
        for unit in range(hidden):
            for column in range(width):
                h1[unit, column] = min(max(h1[unit, column] + d1[unit], zero), most)
        np.dot(c2, h1, h2)
        for unit in range(hidden):
            for column in range(width):
                h2[unit, column] = min(max(h2[unit, column] + h1[unit, column] + d2[unit], zero), most)
        np.dot(c3, h2, out)
        for column in range(width):
            mean = out[0, column] + d3[0]
            difference = values[node + column] - min(max(mean, -_LARGEST_MEAN), _LARGEST_MEAN)
            bits, by_distance, by_scale = _laplace(abs(difference), out[1, column] + d3[1])
            total += bits
            by_mean = -by_distance if difference > 0.0 else by_distance
            gradient[node + column] -= np.float32(by_mean)
            g_out[0, column] = by_mean if abs(mean) <= _LARGEST_MEAN else 0.0
            g_out[1, column] = by_scale
        np.dot(c3_t, g_out, g2)
        for unit in range(hidden):
            for column in range(width):
                if not zero < h2[unit, column] < most:
                    g2[unit, column] = zero
        np.dot(c2_t, g2, g1)
        for unit in range(hidden):
            for column in range(width):
                is_free = zero < h1[unit, column] < most
                g1[unit, column] = g1[unit, column] + g2[unit, column] if is_free else zero
        np.dot(c1_t, g1, g_x)
        g_c3 += np.dot(g_out, h2.T)
        g_c2 += np.dot(g2, h1.T)
        g_c1 += np.dot(g1, x.T)
        for unit in range(hidden):
            for column in range(width):
                g_d1[unit] += g1[unit, column]
                g_d2[unit] += g2[unit, column]
        for column in range(width):
            g_d3[0] += g_out[0, column]
            g_d3[1] += g_out[1, column]
        _scatter(gradient, g_x, x, node, deltas, row, coarser, coarsest)
    return total
