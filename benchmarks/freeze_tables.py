"""How the frozen frequency tables were made. Run once per numbered set; never for an old one.

    python benchmarks/freeze_tables.py 2 i2codec/entropy/tables/set_2.npz

Set 1 holds three families of symmetric distributions over integers, each over a range of
scales in quantisation steps: Laplace, Gaussian and flat. Set 2 holds them too, and a fourth for
tensors most of which stay where they are: zero with a probability of its own, and else a sign and
a geometric magnitude. Every table covers −R..R and one escape symbol. Frequencies are 16-bit
integers that sum to 2¹⁶, at least 1 each.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOTAL = 2**16
LARGEST_RADIUS = 1023
ZERO_PROBABILITIES = (0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.78, 0.86, 0.92, 0.96)
FloatArray = NDArray[np.float64]


def laplace_density(scale: float, magnitudes: FloatArray) -> FloatArray:
    edge = lambda x: 0.5 * np.exp(-np.abs(x) / scale)  # noqa: E731
    tail = edge(magnitudes - 0.5) - edge(magnitudes + 0.5)
    tail[0] = 1.0 - 2.0 * edge(np.array(0.5))
    return tail


def gaussian_density(scale: float, magnitudes: FloatArray) -> FloatArray:
    above = np.array(
        [0.5 * math.erfc(x / (scale * math.sqrt(2.0))) for x in np.append(magnitudes, magnitudes[-1] + 1) - 0.5]
    )
    density = above[:-1] - above[1:]
    density[0] = 1.0 - 2.0 * above[1]
    return density


def inflated_density(zero: float, scale: float, magnitudes: FloatArray) -> FloatArray:
    """0 with probability ``zero``, and a geometric magnitude that falls by e over ``scale``."""
    density = np.exp(-magnitudes / scale)
    density *= 0.5 * (1.0 - zero) / density[1:].sum()
    density[0] = zero
    return density


def integer_table(density: FloatArray, escape_probability: float) -> tuple[NDArray[np.uint16], int]:
    """Frequencies of 0..R (each counted on both sides but 0) and of the escape; they sum to 2¹⁶."""
    escape = max(1, round(escape_probability * TOTAL))
    inner = density / (density[0] + 2.0 * density[1:].sum()) * (TOTAL - escape)
    frequencies = np.maximum(1, np.floor(inner)).astype(np.int64)
    frequencies[0] = TOTAL - escape - 2 * int(frequencies[1:].sum())
    while frequencies[0] < 1:  # too many raised to 1: take from the largest
        frequencies[1 + int(np.argmax(frequencies[1:]))] -= 1
        frequencies[0] += 2
    return frequencies.astype(np.uint16), escape


def tables_of_set_1() -> list[tuple[NDArray[np.uint16], int]]:
    tables = []
    for density, tail_scales in ((laplace_density, 9.0), (gaussian_density, 4.0)):
        for index in range(34):
            scale = 0.15 * 2.0 ** (index / 3.0)
            radius = min(LARGEST_RADIUS, max(1, math.ceil(tail_scales * scale)))
            magnitudes = np.arange(radius + 1, dtype=np.float64)
            tables.append(integer_table(density(scale, magnitudes), 1e-4))
    for index in range(21):
        radius = max(index, min(LARGEST_RADIUS, round(2.0 ** (index / 2.0))))
        tables.append(integer_table(np.ones(radius + 1), 1e-4))
    tables.append(integer_table(np.array([1.0, 1e-9]), 1e-4))  # a tensor of zeros
    return tables


def tables_of_set_2() -> list[tuple[NDArray[np.uint16], int]]:
    tables = tables_of_set_1()
    for zero in ZERO_PROBABILITIES:
        for index in range(12):
            scale = 0.5 * 2.0 ** (0.75 * index)
            radius = min(LARGEST_RADIUS, max(2, math.ceil(9.0 * scale)))
            magnitudes = np.arange(radius + 1, dtype=np.float64)
            tables.append(integer_table(inflated_density(zero, scale, magnitudes), 1e-4))
    return tables


def main(number: int, destination: Path) -> None:
    tables = {1: tables_of_set_1, 2: tables_of_set_2}[number]()
    np.savez(
        destination,
        radius=np.array([len(frequencies) - 1 for frequencies, _ in tables], dtype=np.uint16),
        escape=np.array([escape for _, escape in tables], dtype=np.uint16),
        frequencies=np.concatenate([frequencies for frequencies, _ in tables]),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
