"""Bits of latents and their gradient in one compiled pass: the fast path of ``context``.

Torch writes every hidden value of every node to memory and reads it back, several times over; here
they stay in the first-level cache. The plain twin is :func:`context.latent_bits`.

All constants it uses are in this file too: numba's cache on disk notices changes of the file that
holds the outermost function, and of no other.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from i2codec.fit.compiled import compiled, inlined

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int32]
Indices = NDArray[np.int64]

_LN2 = math.log(2.0)
_LARGEST_FEATURE, _LARGEST_ACTIVATION = 127.0, 4095.0 / 64.0
_LOWEST_LOG2_SCALE = -4.0
_LEAST_PROBABILITY = 2.0**-16


_f32 = np.float32
_LOG2_E = _f32(1.0 / _LN2)
# Chebyshev fits: 2^x on 0..1 to 3 · 10⁻⁹, and the series of atanh for log₂ of √½..√2
_EXP2 = tuple(
    _f32(c) for c in (1.0, 6.93146929e-1, 2.40230502e-1, 5.54804263e-2, 9.68458045e-3, 1.23878215e-3, 2.18775047e-4)
)
_ROOT_OF_HALF = np.int32(0x3F3504F3)  # √½ as the bits of a float32


@inlined
def _exp2(x: Floats, integers: Integers, result: Floats) -> None:
    """``result`` = 2^x for −126 ≤ x < 128; ``integers`` are the bits of ``result``, and ``x`` is lost.

    Loops over bits and polynomials take eight places at once; calls of the mathematical library do not.
    """
    for place in range(x.size):
        whole = math.floor(x[place])
        integers[place] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        x[place] -= whole
    for place in range(x.size):
        f = x[place]
        upper = _EXP2[3] + f * (_EXP2[4] + f * (_EXP2[5] + f * _EXP2[6]))
        result[place] *= _EXP2[0] + f * (_EXP2[1] + f * (_EXP2[2] + f * upper))


@inlined
def _sum_of_log2(x: Floats, integers: Integers, scratch: Floats) -> float:
    """Σ log₂ x of positive x; ``integers`` are the bits of ``x``, which is lost."""
    for place in range(x.size):
        above = integers[place] - _ROOT_OF_HALF
        scratch[place] = (above >> np.int32(23)) + _f32(0.0) * x[place]  # what is no number stays none
        integers[place] = (above & np.int32(0x7FFFFF)) + _ROOT_OF_HALF
    total = _f32(0.0)
    for place in range(x.size):
        t = (x[place] - _f32(1.0)) / (x[place] + _f32(1.0))
        s = t * t
        series = _f32(1.0) + s * (_f32(1 / 3) + s * (_f32(1 / 5) + s * (_f32(1 / 7) + s * _f32(1 / 9))))
        total += scratch[place] + _f32(2.0) * _LOG2_E * t * series
    return total  # type: ignore[return-value]  # a float32 where it is compiled


@inlined
def _laplace(
    values: Floats,
    output: Floats,
    by_value: Floats,
    by_output: Floats,
    scratch: Floats,
    integers: Integers,
    largest_mean: float,
    highest_log2_scale: float,
) -> float:
    """Bits of a row of latents under Laplace distributions.

    Parameters
    ----------
    values:
        The latents.
    output:
        Means and log₂ of scales ``[2, width]``.
    by_value, by_output:
        The gradients: added to, and written.
    scratch, integers:
        ``[7, width]``, the same memory.
    largest_mean, highest_log2_scale:
        What means and scales are held at.
    """
    distances, exponents, rates, far_tails, near_tails, masses, log2 = (
        scratch[0],
        scratch[1],
        scratch[2],
        scratch[3],
        scratch[4],
        scratch[5],
        scratch[6],
    )
    lowest, highest, largest = _f32(_LOWEST_LOG2_SCALE), _f32(highest_log2_scale), _f32(largest_mean)
    half, zero, least = _f32(0.5), _f32(0.0), _f32(_LEAST_PROBABILITY)
    means, scales = output[0], output[1]
    by_mean, by_scale = by_output[0], by_output[1]
    for place in range(values.size):
        distances[place] = values[place] - min(max(means[place], -largest), largest)
        exponents[place] = -min(max(scales[place], lowest), highest)
    _exp2(exponents, integers[2], rates)
    for place in range(values.size):
        exponents[place] = max(-(abs(distances[place]) + half) * rates[place] * _LOG2_E, _f32(-126.0))
        log2[place] = max(-abs(abs(distances[place]) - half) * rates[place] * _LOG2_E, _f32(-126.0))
    _exp2(exponents, integers[3], far_tails)
    _exp2(log2, integers[4], near_tails)
    for place in range(values.size):
        far, near = abs(distances[place]) + half, abs(distances[place]) - half
        far_tail, near_tail, rate = half * far_tails[place], half * near_tails[place], rates[place]
        mass = near_tail - far_tail if near > zero else _f32(1.0) - near_tail - far_tail
        masses[place] = max(mass, least)
        # derivatives of the mass; they are the same on both sides of near = 0
        factor = -_LOG2_E / mass if mass > least else zero
        by_distance = factor * rate * (far_tail - near_tail)
        gradient = -by_distance if distances[place] > zero else by_distance
        by_value[place] -= gradient
        by_mean[place] = gradient if abs(means[place]) < largest else zero
        is_free = scales[place] >= lowest and scales[place] <= highest
        by_scale[place] = -_f32(_LN2) * factor * rate * (far * far_tail - near * near_tail) if is_free else zero
    return -_sum_of_log2(masses, integers[5], log2)


@inlined
def _activate(hidden: Floats, biases: Floats) -> None:
    """Add biases, and hold between 0 and the largest activation."""
    zero, most = _f32(0.0), _f32(_LARGEST_ACTIVATION)
    for unit in range(hidden.shape[0]):
        for place in range(hidden.shape[1]):
            hidden[unit, place] = min(max(hidden[unit, place] + biases[unit], zero), most)


@inlined
def _hold_back(gradient: Floats, hidden: Floats) -> None:
    """No gradient where an activation is held at a bound."""
    zero, most = _f32(0.0), _f32(_LARGEST_ACTIVATION)
    for unit in range(hidden.shape[0]):
        for place in range(hidden.shape[1]):
            is_free = hidden[unit, place] > zero and hidden[unit, place] < most
            gradient[unit, place] = gradient[unit, place] if is_free else zero


@inlined
def _add_sums(sums: Doubles, rows: Floats) -> None:
    for row in range(rows.shape[0]):
        total = _f32(0.0)
        for place in range(rows.shape[1]):
            total += rows[row, place]
        sums[row] += total


@inlined
def _gather(
    x: Floats,
    values: Floats,
    node: int,
    deltas: Indices,
    row: int,
    coarser: tuple[int, int],
    coarsest: tuple[int, int],
    positions: Floats,
) -> None:
    """Features ``[features, width]`` of a row of nodes, the first of which is at ``node``."""
    own_count, width = len(deltas), x.shape[1]
    for feature in range(own_count):
        start = node + deltas[feature]
        x[feature] = values[start : start + width]
    x[own_count:] = 0.0
    for feature in range(positions.shape[0]):
        x[own_count + feature] = positions[feature]
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


@inlined
def _coarser_rows(row: int, coarser: tuple[int, int]) -> tuple[int, int]:
    """Where the row above a node in the next coarser level begins, and the nearest row next to it."""
    own = coarser[0] + (row >> 1) * coarser[1]
    return own, own + (coarser[1] if row & 1 else -coarser[1])


@inlined
def _scatter(
    gradient: Floats,
    by_x: Floats,
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
                by_x[feature, column] = 0.0
    for feature in range(own_count):
        start = node + deltas[feature]
        for column in range(width):
            gradient[start + column] += by_x[feature, column]
    if coarser[1]:
        for feature, first in enumerate(_coarser_rows(row, coarser)):
            for column in range(width):
                place = first + (column >> 1)
                gradient[place] += by_x[own_count + 2 * feature, column]
                gradient[place + (1 if column & 1 else -1)] += by_x[own_count + 2 * feature + 1, column]
    if coarsest[1]:
        first = coarsest[0] + (row >> 2) * coarsest[1]
        for column in range(width):
            gradient[first + (column >> 2)] += by_x[own_count + 4, column]


@compiled
def plane_gradients(
    values: Floats,
    gradient: Floats,
    coded: Floats,
    by_coded: Floats,
    first: int,
    stride: int,
    rows: tuple[int, int],
    width: int,
    deltas: Indices,
    coarser: tuple[int, int],
    coarsest: tuple[int, int],
    positions: Floats,
    largest_mean: float,
    highest_log2_scale: float,
    weights: tuple[Floats, Floats, Floats, Floats, Floats, Floats],
    by_weights: tuple[Doubles, Doubles, Doubles, Doubles, Doubles, Doubles],
) -> float:
    """Bits of some rows of one plane; adds the gradients.

    Parameters
    ----------
    values, gradient:
        What features are read from: all planes of all levels, each in a margin of zeros, one after the other.
    coded, by_coded:
        What is coded, in the same places; of a pyramid the same arrays.
    first, stride:
        Where the node (0, 0) of the plane is in ``values``, and how far apart its rows are.
    rows, width:
        Rows to look at, nodes in a row.
    deltas:
        Distance in ``values`` from a node to each of its neighbours on its own level.
    coarser, coarsest:
        ``first`` and ``stride`` of the planes one and two levels coarser; a stride of 0: there is none.
    positions:
        ``[features, width]`` of a lattice, in place of what is read from coarser planes; else of no features.
    largest_mean, highest_log2_scale:
        What means and scales are held at.
    weights, by_weights:
        C₁, d₁, C₂, d₂, C₃, d₃ and the gradients that are added to.
    """
    c1, d1, c2, d2, c3, d3 = weights
    by_c1, by_d1, by_c2, by_d2, by_c3, by_d3 = by_weights
    c1_t, c2_t, c3_t = c1.T.copy(), c2.T.copy(), c3.T.copy()
    x, by_x = np.empty((c1.shape[1], width), np.float32), np.empty((c1.shape[1], width), np.float32)
    h1, by_h1 = np.empty((c1.shape[0], width), np.float32), np.empty((c1.shape[0], width), np.float32)
    h2, by_h2 = np.empty((c1.shape[0], width), np.float32), np.empty((c1.shape[0], width), np.float32)
    output, by_output = np.empty((2, width), np.float32), np.empty((2, width), np.float32)
    integers = np.empty((7, width), np.int32)
    scratch = integers.view(np.float32)
    total = 0.0
    for row in range(rows[0], rows[1]):
        node = first + row * stride
        _gather(x, values, node, deltas, row, coarser, coarsest, positions)
        np.dot(c1, x, h1)
        _activate(h1, d1)
        np.dot(c2, h1, h2)
        h2 += h1
        _activate(h2, d2)
        np.dot(c3, h2, output)
        output[0] += d3[0]
        output[1] += d3[1]
        place = slice(node, node + width)
        total += _laplace(
            coded[place], output, by_coded[place], by_output, scratch, integers, largest_mean, highest_log2_scale
        )
        np.dot(c3_t, by_output, by_h2)
        _hold_back(by_h2, h2)
        np.dot(c2_t, by_h2, by_h1)
        by_h1 += by_h2
        _hold_back(by_h1, h1)
        np.dot(c1_t, by_h1, by_x)
        by_c3 += np.dot(by_output, h2.T)
        by_c2 += np.dot(by_h2, h1.T)
        by_c1 += np.dot(by_h1, x.T)
        _add_sums(by_d3, by_output)
        _add_sums(by_d2, by_h2)
        _add_sums(by_d1, by_h1)
        _scatter(gradient, by_x, x, node, deltas, row, coarser, coarsest)
    return total
