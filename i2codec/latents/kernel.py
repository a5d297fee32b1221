"""The compiled loop over a latent grid: contexts, probabilities and range coder in one pass.

Importing this module imports numba (half a second), so it is imported where it is first needed.
All compiled code is in this file, and so are the constants it uses: numba's cache on disk notices
changes of the file that holds the outermost function, and of no other.

Integers stay in 32 bits where the model's bounds allow it (numba widens sums to 64 bits unless
each is cast back), so that one vector register holds the whole hidden layer. The 64-bit state of
the range coder is unsigned throughout: numba turns int64 and uint64 together into a float.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["BORDER", "CODE", "DECODE", "ENCODE", "FAULT", "LOW", "MEASURE", "POSITION", "RANGE", "traversal"]

DECODE, ENCODE, MEASURE = range(3)
LOW, RANGE, CODE, POSITION, FAULT = range(5)
"""Places in the state of the range coder ``[5]``: the interval is LOW to LOW + RANGE − 1, modulo
2⁶⁴; CODE is what a decoder has read of it; POSITION counts the words written or read; FAULT is 0,
or what was wrong with the code."""
NO_SYMBOL, TOO_LARGE = 1, 2
BORDER = 2
"""Zeros around each plane of the grid that is coded; planes of the coarser grid have half as many."""
_LARGEST_LATENT = 2**15 - 1
_LARGEST_OF_LATTICE = 2**22 - 1
_LAST_SCALE, _LAST_OF_LATTICE = 79, 143
_LARGEST_FEATURE = 127

_i32, _u32, _u64 = np.int32, np.uint32, np.uint64
_OPTIONS = {"nogil": True, "error_model": "numpy"}  # no checks for division by 0: ranges are above 2³²
_F = TypeVar("_F", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, function: _F, /) -> _F: ...


_njit: Any = numba.njit  # typed by some of its versions only
_inline: _Decorator = _njit(forceinline=True, **_OPTIONS)


@_inline
def _narrow(words: Any, state: Any, encoding: bool, before: int, frequency: int, bits: int) -> None:
    """Go on to the part of the interval that one of 2^bits equal shares, or several, stand for."""
    part = state[RANGE] >> _u64(bits)
    low = state[LOW] + part * _u64(before)
    span = part * _u64(frequency)
    position = state[POSITION]
    if encoding and low < state[LOW]:  # carry into the words that were written
        carried = position - _u64(1)
        while words[carried] == _u32(0xFFFFFFFF):
            words[carried] = _u32(0)
            carried -= _u64(1)
        words[carried] += _u32(1)
    if span < _u64(1 << 32):
        if encoding:
            words[position] = _u32(low >> _u64(32))
        else:
            following = _u64(words[position]) if position < _u64(words.size) else _u64(0)
            state[CODE] = (state[CODE] << _u64(32)) | following
        low <<= _u64(32)
        span <<= _u64(32)
        state[POSITION] = position + _u64(1)
    state[LOW] = low
    state[RANGE] = span


@_inline
def _share(state: Any, bits: int) -> Any:
    """In which of 2^bits equal shares of the interval the code lies."""
    share = (state[CODE] - state[LOW]) // (state[RANGE] >> _u64(bits))
    if share >> _u64(bits):  # in the rest that the division leaves, where no encoder goes
        state[FAULT] = _u64(NO_SYMBOL)
        share = _u64(0)
    return np.int64(share)


@_inline
def _uniform(words: Any, state: Any, encoding: bool, value: int, bits: int) -> Any:
    """Code an integer of so many bits, all values alike."""
    coded: Any = np.int64(value) if encoding else _share(state, bits)
    _narrow(words, state, encoding, coded, 1, bits)
    return coded


@_inline
def _escaped(words: Any, state: Any, encoding: bool, residual: int, radius: int, length_bits: int) -> Any:
    """Code a residual beyond the radius: sign, length and mantissa of what it exceeds it by."""
    excess = abs(residual) - radius
    length = 0
    while encoding and excess >> (length + 1):
        length += 1
    negative = _uniform(words, state, encoding, residual < 0, 1)
    length = _uniform(words, state, encoding, length, length_bits)
    mantissa = _uniform(words, state, encoding, excess - (1 << length), length)
    magnitude = radius + (1 << length) + mantissa
    return -magnitude if negative else magnitude


@_inline
def _symbol(cumulative: Any, middle: int, share: int) -> int:
    """The symbol that a share of 2¹⁶ belongs to. Most are near 0: on average b steps for scale b."""
    symbol = 0
    while cumulative[middle + symbol + 1] <= share:
        symbol += 1
    while cumulative[middle + symbol] > share:
        symbol -= 1
    return symbol


@_inline
def _escape_bits(residual: int, radius: int, length_bits: int) -> float:
    excess = abs(residual) - radius
    bits = 1.0 + length_bits
    while excess > 1:
        excess >>= 1
        bits += 1.0
    return bits


@_inline
def _companded(value: int) -> int:
    """As ``template.companded``."""
    n = abs(value) + 1
    octave = 0
    while n >> (octave + 1):
        octave += 1
    return 4 * octave + ((n << 2) >> octave) - 4


@_inline
def _lattice_features(x: Any, near: Any, at: int, reach: Any, positions: Any, column: int) -> None:
    """Gather the features of a node of a lattice, given its place in the padded planes."""
    for n in range(reach.size):
        x[n] = near[_u64(at + reach[n])]
    for n in range(positions.shape[1]):
        x[reach.size + n] = positions[0, n, column]


@_inline
def _features(x: Any, near: Any, at: int, reach: Any, coarser: Any, coarsest: Any, node: Any, halving: int) -> None:
    """Gather the features of a node, given its place in the padded planes of its own grid."""
    t, i, j = node
    for n in range(reach.size):
        x[n] = near[_u64(at + reach[n])]
    n = reach.size
    row, column = _u64((i >> 1) + 1), _u64((j >> 1) + 1)
    beside_row, beside_column = _u64((i >> 1) + 2 * (i & 1)), _u64((j >> 1) + 2 * (j & 1))
    x[n] = coarser[t >> halving, row, column]
    x[n + 1] = coarser[t >> halving, row, beside_column]
    x[n + 2] = coarser[t >> halving, beside_row, column]
    x[n + 3] = coarser[t >> halving, beside_row, beside_column]
    x[n + 4] = coarsest[t >> 2 * halving, i >> 2, j >> 2]


@_inline
def _predict(x: Any, h1: Any, h2: Any, weights: Any, features: int, width: int, last_scale: int) -> tuple[int, int]:
    """Mean and scale of a node, as in ``ContextModel``.

    Features and width are constants where this is inlined, so LLVM unrolls the inner loops and
    keeps the sums in registers. They run down since the nearest neighbours come first among the
    features: the last decoded ones are needed last.
    """
    w1, b1, w2, b2, w3, b3 = weights
    for p in range(width):
        total = b1[p]
        for f in range(features - 1, -1, -1):
            total = _i32(total + w1[f, p] * x[f])
        h1[p] = _i32(min(max(_i32(total >> 4), _i32(0)), _i32(4095)))
    for p in range(width):
        total = _i32(_i32(h1[p] << 10) + b2[p])
        for q in range(width):
            total = _i32(total + w2[q, p] * h1[q])
        h2[p] = _i32(min(max(_i32(total >> 10), _i32(0)), _i32(4095)))
    mean, scale = b3[0], b3[1]
    for p in range(width):
        mean = _i32(mean + w3[0, p] * h2[p])
        scale = _i32(scale + w3[1, p] * h2[p])
    return min(max((mean + 2**11) >> 12, -2032), 2032), min(max(((scale + 2**12) >> 13) + 32, 0), last_scale)


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile on first call, or take from numba's cache on disk where there is a folder for one."""
    try:
        compiled: Callable[..., None] = _njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        compiled = _njit(**_OPTIONS)(function)
    return compiled


@functools.cache
def _traversal(features: int, width: int, is_lattice: bool, halving: int) -> Callable[..., None]:
    largest = _LARGEST_OF_LATTICE if is_lattice else _LARGEST_LATENT
    last_scale = _LAST_OF_LATTICE if is_lattice else _LAST_SCALE
    length_bits = 5 if is_lattice else 4

    def traverse(
        mode: int,
        values: NDArray[np.int32],
        lengths: NDArray[np.float64],
        grids: Any,
        weights: Any,
        tables: Any,
        words: NDArray[np.uint32],
        state: NDArray[np.uint64],
    ) -> None:
        near, start, reach, coarser, coarsest = grids
        cumulative, middles, radii = tables
        planes, rows, columns = values.shape
        encoding = mode == ENCODE
        x = np.zeros(features, np.int32)
        h1, h2 = np.zeros(width, np.int32), np.zeros(width, np.int32)
        for t in range(planes):
            for i in range(rows):
                at = start + (t * (rows + 2 * BORDER) + i) * (columns + 2 * BORDER)
                for j in range(columns):
                    if is_lattice:
                        _lattice_features(x, near, at, reach, coarser, j)
                    else:
                        _features(x, near, at, reach, coarser, coarsest, (t, i, j), halving)
                    mean, scale = _predict(x, h1, h2, weights, features, width, last_scale)
                    low_bits, low = 0, 0
                    if is_lattice:  # large latents are cut: what is left of them has a mean of −½
                        low_bits = max(0, (scale - 72) >> 3)
                        mean = -8 if low_bits else 0
                        scale -= 8 * low_bits
                    centre = (mean + 8) >> 4
                    radius = radii[scale]
                    middle = middles[16 * scale + mean - 16 * centre + 8]
                    residual = 0
                    if mode == DECODE:
                        symbol = _symbol(cumulative, middle, _share(state, 16))
                    else:
                        residual = (values[t, i, j] >> low_bits) - centre
                        symbol = residual if abs(residual) <= radius else radius + 1
                    before, after = cumulative[middle + symbol], cumulative[middle + symbol + 1]
                    if mode == MEASURE:
                        lengths[t, i, j] = 16 + low_bits - np.log2(after - before)
                        if symbol > radius:
                            lengths[t, i, j] += _escape_bits(residual, radius, length_bits)
                    else:
                        _narrow(words, state, encoding, before, after - before, 16)
                        if symbol > radius:
                            symbol = _escaped(words, state, encoding, residual, radius, length_bits)
                        if low_bits:
                            low = values[t, i, j] & ((1 << low_bits) - 1)
                            low = _uniform(words, state, encoding, low, low_bits)
                    if mode == DECODE:
                        value = ((centre + symbol) << low_bits) | low
                        if abs(value) > largest:
                            state[FAULT] = _u64(TOO_LARGE)
                        if state[FAULT]:
                            return
                        values[t, i, j] = value
                        if is_lattice:
                            near[at] = _companded(value)
                        else:
                            near[at] = min(max(value, -_LARGEST_FEATURE), _LARGEST_FEATURE)
                    at += 1

    return _compiled(traverse)


_lock = threading.Lock()


def traversal(
    *, features: int, width: int, is_lattice: bool = False, halves_planes: bool = True
) -> Callable[..., None]:
    """The loop for models of so many features and hidden units, a multiple of 16; a lattice has one of its own.

    Its arguments are what to do (DECODE, ENCODE or MEASURE); the grid ``[T, H, W]`` int32, which
    DECODE fills; where MEASURE writes bits, float64 of the same shape; the tuples of neighbouring
    grids, weights and tables that ``coder`` lays out; words of the code, uint32; and the state
    ``[5]`` uint64. Every combination of numbers is compiled once.
    """
    with _lock:  # threads that come first together would each compile their own
        return _traversal(features, width, is_lattice, int(halves_planes))
