"""Compiled loops of the synthesis, forward and backward: the explicit layer, the stencil, and reading latents.

Torch writes every hidden value of every sample to memory and reads it back; here they stay in the
first-level cache. The plain twins are in ``field.grid_module``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2codec.fit.compiled import compiled, inlined

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

_BLOCK = 512
"""Samples that go through the explicit layer together."""


@inlined
def _take(block: Floats, rows: Floats, start: int, count: int) -> None:
    for row in range(rows.shape[0]):
        block[row, :count] = rows[row][start : start + count]


@inlined
def _hidden(hidden: Floats, weight: Floats, bias: Floats, block: Floats) -> None:
    """Relu(weight · block + bias)."""
    np.dot(weight, block, hidden)
    for unit in range(hidden.shape[0]):
        for place in range(hidden.shape[1]):
            hidden[unit, place] = max(hidden[unit, place] + bias[unit], np.float32(0.0))


@inlined
def _add_sums(sums: Doubles, rows: Floats) -> None:
    for row in range(rows.shape[0]):
        total = np.float32(0.0)
        for place in range(rows.shape[1]):
            total += rows[row, place]
        sums[row] += total


@compiled
def explicit_layer(
    v: Floats, weights: tuple[Floats, Floats, Floats, Floats], u: Floats, samples: tuple[int, int]
) -> None:
    """u = E₂ relu(E₁ v + e₁) + e₂ at some samples.

    Parameters
    ----------
    v, u:
        ``[levels, samples]`` and ``[S, samples]``.
    weights:
        E₁, e₁, E₂, e₂.
    samples:
        First, and one after the last.
    """
    weight_1, bias_1, weight_2, bias_2 = weights
    block = np.zeros((v.shape[0], _BLOCK), np.float32)
    hidden = np.empty((weight_1.shape[0], _BLOCK), np.float32)
    result = np.empty((u.shape[0], _BLOCK), np.float32)
    for start in range(samples[0], samples[1], _BLOCK):
        count = min(_BLOCK, samples[1] - start)
        _take(block, v, start, count)
        _hidden(hidden, weight_1, bias_1, block)
        np.dot(weight_2, hidden, result)
        for channel in range(u.shape[0]):
            row = u[channel][start : start + count]
            for place in range(count):
                row[place] = result[channel, place] + bias_2[channel]


@compiled
def explicit_layer_gradients(
    v: Floats,
    by_u: Floats,
    weights: tuple[Floats, Floats, Floats, Floats],
    by_v: Floats,
    by_weights: tuple[Doubles, Doubles, Doubles, Doubles],
    samples: tuple[int, int],
) -> None:
    """The same backward: writes ``by_v``, and adds to the gradients by the weights."""
    weight_1, bias_1, weight_2, _ = weights
    by_weight_1, by_bias_1, by_weight_2, by_bias_2 = by_weights
    weight_1_t, weight_2_t = weight_1.T.copy(), weight_2.T.copy()
    block = np.zeros((v.shape[0], _BLOCK), np.float32)
    by_block = np.empty((v.shape[0], _BLOCK), np.float32)
    hidden = np.empty((weight_1.shape[0], _BLOCK), np.float32)
    by_hidden = np.empty((weight_1.shape[0], _BLOCK), np.float32)
    by_result = np.empty((by_u.shape[0], _BLOCK), np.float32)
    for start in range(samples[0], samples[1], _BLOCK):
        count = min(_BLOCK, samples[1] - start)
        by_result[:, count:] = np.float32(0.0)
        _take(block, v, start, count)
        _take(by_result, by_u, start, count)
        _hidden(hidden, weight_1, bias_1, block)
        np.dot(weight_2_t, by_result, by_hidden)
        for unit in range(hidden.shape[0]):
            for place in range(_BLOCK):
                if not hidden[unit, place] > np.float32(0.0):
                    by_hidden[unit, place] = np.float32(0.0)
        np.dot(weight_1_t, by_hidden, by_block)
        for level in range(v.shape[0]):
            by_v[level][start : start + count] = by_block[level, :count]
        by_weight_2 += np.dot(by_result, hidden.T)
        by_weight_1 += np.dot(by_hidden, block.T)
        _add_sums(by_bias_2, by_result)
        _add_sums(by_bias_1, by_hidden)


@inlined
def _clamped(place: int, count: int) -> int:
    return min(max(place, 0), count - 1)


@inlined
def _rectified(padded: Floats, row: Floats) -> None:
    """Relu of a row, with its ends repeated once on each side."""
    width = row.size
    for place in range(width):
        padded[place + 1] = max(row[place], np.float32(0.0))
    padded[0], padded[width + 1] = padded[1], padded[width]


@compiled
def stencil_layer(z: Floats, u: Floats, kernel: Floats, result: Floats, rows: tuple[int, int]) -> None:
    """F(z) = u + A ⋆ relu(z) on some rows; outside the grid the state repeats its edge.

    Parameters
    ----------
    z, u, result:
        ``[S, planes, rows, width]``.
    kernel:
        ``[S, S, 1 or 3, 1 or 3, 3]``.
    rows:
        First of all planes together, and one after the last.
    """
    channels, plane_count, row_count, width = z.shape
    reach_t, reach_y = kernel.shape[2] // 2, kernel.shape[3] // 2
    read = np.empty((channels, kernel.shape[2], kernel.shape[3], width + 2), np.float32)
    for index in range(rows[0], rows[1]):
        t, y = index // row_count, index % row_count
        for channel in range(channels):
            for dt in range(kernel.shape[2]):
                for dy in range(kernel.shape[3]):
                    source = z[channel, _clamped(t + dt - reach_t, plane_count), _clamped(y + dy - reach_y, row_count)]
                    _rectified(read[channel, dt, dy], source)
        for channel in range(channels):
            row = result[channel, t, y]
            row[:] = u[channel, t, y]
            for other in range(channels):
                for dt in range(kernel.shape[2]):
                    for dy in range(kernel.shape[3]):
                        taps, padded = kernel[channel, other, dt, dy], read[other, dt, dy]
                        before, here, after = padded[:width], padded[1 : width + 1], padded[2:]
                        left, middle, right = taps[0], taps[1], taps[2]
                        for place in range(width):
                            row[place] += left * before[place] + middle * here[place] + right * after[place]


@compiled
def stencil_gradient_by_state(
    z: Floats, by_result: Floats, kernel: Floats, by_z: Floats, rows: tuple[int, int]
) -> None:
    """The same backward: writes some rows of ``by_z``."""
    for index in range(rows[0], rows[1]):
        _by_state(z, by_result, kernel, by_z, index // z.shape[2], index % z.shape[2])


@compiled
def stencil_gradient_by_kernel(z: Floats, by_result: Floats, by_kernel: Doubles, rows: tuple[int, int]) -> None:
    """The same backward: adds to ``by_kernel`` what comes from some rows of the result."""
    for index in range(rows[0], rows[1]):
        _add_by_kernel(z, by_result, by_kernel, index // z.shape[2], index % z.shape[2])


@inlined
def _by_state(z: Floats, by_result: Floats, kernel: Floats, by_z: Floats, t: int, y: int) -> None:
    """Gradient by one row of the state: from all rows of the result that read it, once or, at edges, several times."""
    channels, plane_count, row_count, width = z.shape
    reach_t, reach_y = kernel.shape[2] // 2, kernel.shape[3] // 2
    zero = np.float32(0.0)
    gradient = np.zeros((channels, width + 2), np.float32)
    padded = np.zeros((channels, width + 4), np.float32)
    for reader_t in range(max(t - reach_t, 0), min(t + reach_t + 1, plane_count)):
        for reader_y in range(max(y - reach_y, 0), min(y + reach_y + 1, row_count)):
            for channel in range(channels):
                padded[channel, 2 : width + 2] = by_result[channel, reader_t, reader_y]
            for dt in range(kernel.shape[2]):
                for dy in range(kernel.shape[3]):
                    if _clamped(reader_t + dt - reach_t, plane_count) != t:
                        continue
                    if _clamped(reader_y + dy - reach_y, row_count) != y:
                        continue
                    for channel in range(channels):
                        sums = gradient[channel]
                        for reader in range(channels):
                            taps, row = kernel[reader, channel, dt, dy], padded[reader]
                            before, here, after = row[: width + 2], row[1 : width + 3], row[2:]
                            left, middle, right = taps[0], taps[1], taps[2]
                            for place in range(width + 2):
                                sums[place] += left * after[place] + middle * here[place] + right * before[place]
    for channel in range(channels):
        sums, state, row = gradient[channel], z[channel, t, y], by_z[channel, t, y]
        sums[1] += sums[0]
        sums[width] += sums[width + 1]
        for place in range(width):
            row[place] = sums[place + 1] if state[place] > zero else zero


@inlined
def _add_by_kernel(z: Floats, by_result: Floats, by_kernel: Doubles, t: int, y: int) -> None:
    """Gradient by the kernel from one row of the result."""
    channels, plane_count, row_count, width = z.shape
    reach_t, reach_y = by_kernel.shape[2] // 2, by_kernel.shape[3] // 2
    padded = np.empty(width + 2, np.float32)
    before, here, after = padded[:width], padded[1 : width + 1], padded[2:]
    for other in range(channels):
        for dt in range(by_kernel.shape[2]):
            for dy in range(by_kernel.shape[3]):
                source = z[other, _clamped(t + dt - reach_t, plane_count), _clamped(y + dy - reach_y, row_count)]
                _rectified(padded, source)
                for channel in range(channels):
                    row, sums = by_result[channel, t, y], by_kernel[channel, other, dt, dy]
                    left, middle, right = np.float32(0.0), np.float32(0.0), np.float32(0.0)
                    for place in range(width):
                        left += row[place] * before[place]
                        middle += row[place] * here[place]
                        right += row[place] * after[place]
                    sums[0] += left
                    sums[1] += middle
                    sums[2] += right


@compiled
def blend_rows(values: Floats, nodes: Indices, weights: Floats, result: Floats) -> None:
    """Rows read between nodes: ``values`` ``[n, nodes, width]``, ``result`` ``[n, places, width]``."""
    for index in range(values.shape[0]):
        for place in range(nodes.shape[0]):
            row = result[index, place]
            row[:] = np.float32(0.0)
            for tap in range(nodes.shape[1]):
                weight, source = weights[place, tap], values[index, nodes[place, tap]]
                for column in range(row.size):
                    row[column] += weight * source[column]


@compiled
def spread_rows(by_result: Floats, nodes: Indices, weights: Floats, by_values: Floats) -> None:
    """The same backward: adds to ``by_values``."""
    for index in range(by_values.shape[0]):
        for place in range(nodes.shape[0]):
            row = by_result[index, place]
            for tap in range(nodes.shape[1]):
                weight, sums = weights[place, tap], by_values[index, nodes[place, tap]]
                for column in range(row.size):
                    sums[column] += weight * row[column]


@compiled
def blend_columns(values: Floats, nodes: Indices, weights: Floats, result: Floats) -> None:
    """Columns read between nodes: ``values`` ``[n, nodes]``, ``result`` ``[n, places]``."""
    for index in range(values.shape[0]):
        source, row = values[index], result[index]
        for place in range(nodes.shape[0]):
            total = np.float32(0.0)
            for tap in range(nodes.shape[1]):
                total += weights[place, tap] * source[nodes[place, tap]]
            row[place] = total


@compiled
def spread_columns(by_result: Floats, nodes: Indices, weights: Floats, by_values: Floats) -> None:
    """The same backward: adds to ``by_values``."""
    for index in range(by_values.shape[0]):
        row, sums = by_result[index], by_values[index]
        for place in range(nodes.shape[0]):
            for tap in range(nodes.shape[1]):
                sums[nodes[place, tap]] += weights[place, tap] * row[place]
