"""What ``coder`` does, in plain Python: slow, for tests, and to be read beside ``docs/format.md``.

Nothing is padded, transposed or kept in 32 or 64 bits. The code is one long fraction 0.b₁b₂b₃…
of bytes, and coding narrows an interval of such fractions symbol by symbol.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import FormatError
from i2codec.latents.model import ContextModel
from i2codec.latents.tables import load_latent_tables
from i2codec.latents.template import Template, companded, positions

__all__ = ["RangeCoder", "decode_plain", "encode_plain", "features", "predict", "traverse"]

Integers = NDArray[np.integer[Any]]
Coarser = tuple[Integers | None, Integers | None]
"""The grids one and two levels coarser."""


def encode_plain(
    values: Integers, *, coarser: Coarser, model: ContextModel, level: int, column_count: int | None = None
) -> bytes:
    """Bytes of a grid ``[T, H, W]``."""
    coder = RangeCoder(None)
    traverse(values, coder, coarser=coarser, model=model, level=level, column_count=column_count)
    return coder.shortest()


def decode_plain(
    data: bytes,
    *,
    shape: tuple[int, int, int],
    coarser: Coarser,
    model: ContextModel,
    level: int,
    column_count: int | None = None,
) -> NDArray[np.int32]:
    """The grid that ``data`` codes, or a :class:`FormatError`."""
    coder = RangeCoder(data)
    grid = np.zeros(shape, dtype=np.int32)
    traverse(grid, coder, coarser=coarser, model=model, level=level, column_count=column_count)
    if coder.shortest() != data:
        raise FormatError("these bytes are not the shortest code of what they hold")
    return grid


def features(
    grid: Integers, coarser: Coarser, model: ContextModel, node: tuple[int, ...], *, column_count: int | None = None
) -> list[int]:
    """The features of a node (t, i, j), in order."""
    t, i, j = node
    if model.template is Template.LATTICE:
        near = [companded(_read(grid, t + dt, i + dy, j + dx)) for dt, dy, dx in model.template.offsets]
        return near + positions(column_count or grid.shape[2])[j] + [0]
    halving = int(model.template.halves_planes)
    s, r = (1 if i % 2 else -1), (1 if j % 2 else -1)
    values = [_read(grid, t + dt, i + dy, j + dx) for dt, dy, dx in model.template.offsets]
    for dy, dx in ((0, 0), (0, r), (s, 0), (s, r)):
        values.append(_read(coarser[0], t >> halving, (i >> 1) + dy, (j >> 1) + dx))
    values.append(_read(coarser[1], t >> 2 * halving, i >> 2, j >> 2))
    return [min(max(value, -127), 127) for value in values]


def _read(grid: Integers | None, *place: int) -> int:
    if grid is None or not all(0 <= at < extent for at, extent in zip(place, grid.shape, strict=True)):
        return 0
    return int(grid[place])


def predict(x: list[int], model: ContextModel, level: int) -> tuple[int, int]:
    """Mean in sixteenths, and scale number."""
    n = model.network_of(level)
    h1 = [_clamp((_dot(w, x) + int(b)) >> 4) for w, b in zip(model.w1[n], model.b1[level], strict=True)]
    h2 = [
        _clamp(((h << 10) + _dot(w, h1) + (int(b) << 6)) >> 10)
        for h, w, b in zip(h1, model.w2[n], model.b2[n], strict=True)
    ]
    mean, scale = (_dot(w, h2) + (int(b) << 6) for w, b in zip(model.w3[n], model.b3[level], strict=True))
    if model.template is Template.LATTICE:
        mean = 0
    last = model.template.scale_count - 1
    return min(max((mean + 2**11) >> 12, -2032), 2032), min(max(((scale + 2**12) >> 13) + 32, 0), last)


def _dot(weights: NDArray[np.int32], x: list[int]) -> int:
    return sum(int(weight) * value for weight, value in zip(weights, x, strict=True))


def _clamp(activation: int) -> int:
    return min(max(activation, 0), 4095)


class RangeCoder:
    """An interval of fractions, low ≤ x < low + span in units of 2⁻⁸ⁿ, n = ``size``. It starts with eight bytes."""

    def __init__(self, data: bytes | None) -> None:
        """Decode ``data``, or encode if there is none."""
        self.data = data
        self.low, self.span, self.size = 0, 2**64 - 1, 8

    def narrow(self, before: int, frequency: int, bits: int) -> None:
        """Go on to so many of 2^bits equal parts of the interval, after the ones before."""
        part = self.span >> bits
        self.low, self.span = self.low + part * before, part * frequency
        if self.span < 2**32:
            self.low, self.span, self.size = self.low << 32, self.span << 32, self.size + 4

    def share(self, bits: int) -> int:
        """Which of 2^bits equal parts the code is in."""
        assert self.data is not None
        code = int.from_bytes(self.data[: self.size].ljust(self.size, b"\0"), "big")
        share = (code - self.low) // (self.span >> bits)
        if share >= 1 << bits:
            raise FormatError("in no part")
        return share

    def uniform(self, value: int, bits: int) -> int:
        """Code an integer 0 ≤ value < 2^bits."""
        coded = value if self.data is None else self.share(bits)
        self.narrow(coded, 1, bits)
        return coded

    def shortest(self) -> bytes:
        """The smallest of the shortest codes in the interval, with zeros after its end."""
        for length in range(self.size + 1):
            unit = 1 << 8 * (self.size - length)
            number = -(-self.low // unit)
            if number * unit < self.low + self.span:
                return number.to_bytes(length, "big")
        raise AssertionError("an interval is never empty")


def traverse(
    grid: Integers,
    coder: RangeCoder,
    *,
    coarser: Coarser,
    model: ContextModel,
    level: int,
    column_count: int | None = None,
) -> None:
    """Code all nodes in raster order; a decoder fills ``grid`` on the way."""
    for node in np.ndindex(grid.shape):
        mean, scale = predict(features(grid, coarser, model, node, column_count=column_count), model, level)
        low_bits = max(0, (scale - 72) >> 3) if model.template is Template.LATTICE else 0
        if low_bits:  # what is left of a latent without them has a mean of −½
            mean, scale = -8, scale - 8 * low_bits
        centre = (mean + 8) >> 4
        phase, length_bits = mean - 16 * centre + 8, 5 if model.template is Template.LATTICE else 4
        residual = _residual(
            (int(grid[node]) >> low_bits) - centre, coder, scale=scale, phase=phase, length_bits=length_bits
        )
        low = coder.uniform(int(grid[node]) & ((1 << low_bits) - 1), low_bits)
        value = ((centre + residual) << low_bits) | low
        if abs(value) > model.template.largest_latent:
            raise FormatError(f"a latent of {value}")
        grid[node] = value


def _residual(residual: int, coder: RangeCoder, *, scale: int, phase: int, length_bits: int) -> int:
    tables = load_latent_tables(1)
    radius, middle = int(tables.radii[scale]), int(tables.middles[16 * scale + phase])
    row = tables.cumulative[middle - radius : middle + radius + 3].tolist()
    index = min(residual + radius, 2 * radius + 1) if residual >= -radius else 2 * radius + 1
    if coder.data is not None:
        share = coder.share(16)
        index = next(index for index, end in enumerate(row[1:]) if share < end)
    coder.narrow(row[index], row[index + 1] - row[index], 16)
    if index <= 2 * radius:
        return index - radius
    excess = abs(residual) - radius if coder.data is None else 1
    negative = coder.uniform(int(residual < 0), 1)
    length = coder.uniform(excess.bit_length() - 1, length_bits)
    mantissa = coder.uniform(excess - (1 << length), length)
    magnitude = radius + (1 << length) + mantissa
    return -magnitude if negative else magnitude
