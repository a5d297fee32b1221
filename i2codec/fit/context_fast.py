"""The fast path of ``context``: bits of latents with their gradient, compiled, on several cores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2codec.field.grid_architecture import CONTEXT_TENSORS
from i2codec.fit.compiled import in_threads
from i2codec.fit.context import (
    CAUSAL,
    HIGHEST_LOG2_SCALE,
    LARGEST_MEAN,
    PLANES_OF_COLOUR,
    PlanesBefore,
    level_tensors,
)
from i2codec.fit.context_kernel import plane_gradients

_MARGIN = 2
_BAND_ROWS = 64  # fewer are not worth a thread
_BLOCK_COLUMNS = 512
"""What the loop holds of more columns at once is too large for the second-level cache: 5 times the time at 1750."""
_NO_POSITIONS = np.zeros((0, 0), dtype=np.float32)


def fast_latent_bits(
    latents: Sequence[Tensor], tensors: Mapping[str, Tensor], *, first_level: int = 0, before: PlanesBefore = ()
) -> Tensor:
    """Bits of latents, a scalar with gradient; the same as :func:`context.latent_bits`, on the CPU."""
    layout = Layout.of([tuple(latent.shape) for latent in latents], before=before)
    bits: Tensor = _LatentBits.apply(layout, first_level, *latents, *(tensors[name] for name in CONTEXT_TENSORS))  # type: ignore[no-untyped-call]
    return bits


class _LatentBits(torch.autograd.Function):
    """Gradients are computed with the bits and only scaled on the way back."""

    @staticmethod
    def forward(ctx: Any, layout: Layout, first_level: int, *tensors: Tensor) -> Tensor:
        """Bits, with the gradients by everything that has one."""
        latents, weights = tensors[: len(layout.shapes)], tensors[len(layout.shapes) :]
        values = layout.filled([latent.detach().numpy() for latent in latents])
        arrays = dict(zip(CONTEXT_TENSORS, (weight.detach().numpy() for weight in weights), strict=True))
        bands = layout.bands(torch.get_num_threads())
        results = in_threads(lambda part: _band_gradients(layout, values, arrays, part, first_level), bands)
        by_value = sum((gradient for _, gradient, _ in results[1:]), start=results[0][1])
        by_weight: dict[str, Any] = {
            name: sum(gradients[name] for _, _, gradients in results) for name in CONTEXT_TENSORS
        }
        ctx.gradients = [
            *(
                torch.from_numpy(part).view(latent.shape)
                for part, latent in zip(layout.inside(by_value), latents, strict=True)
            ),
            *(torch.from_numpy(by_weight[name].astype(np.float32)) for name in CONTEXT_TENSORS),
        ]
        return latents[0].new_tensor(sum(bits for bits, _, _ in results))

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(scale * gradient for gradient in ctx.gradients)


@dataclass(frozen=True)
class Band:
    """Rows of a plane of a level."""

    level: int
    plane: int
    rows: tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """All planes of all levels in margins of zeros, one after the other, and planes of zeros before each level."""

    shapes: tuple[tuple[int, int, int], ...]
    starts: tuple[int, ...]
    before: PlanesBefore
    """Offsets of neighbours in the planes before."""

    @classmethod
    def of(cls, shapes: Sequence[tuple[int, ...]], *, before: PlanesBefore) -> Layout:
        """The layout of levels of these shapes, finest first."""
        wide = tuple(((1,) * (3 - len(shape)) + shape) for shape in shapes)
        lead = _planes_of_zeros(before)
        sizes = [(planes + lead) * (rows + 2 * _MARGIN) * (width + 2 * _MARGIN) for planes, rows, width in wide]
        return cls(wide, tuple(np.cumsum([0, *sizes]).tolist()), before)  # type: ignore[arg-type]

    def stride(self, level: int) -> int:
        """Distance of rows."""
        return self.shapes[level][2] + 2 * _MARGIN

    def plane_size(self, level: int) -> int:
        """Distance of planes."""
        return (self.shapes[level][1] + 2 * _MARGIN) * self.stride(level)

    def first(self, level: int, plane: int) -> int:
        """Where node (0, 0) of a plane is."""
        planes = plane + _planes_of_zeros(self.before)
        return self.starts[level] + planes * self.plane_size(level) + _MARGIN * self.stride(level) + _MARGIN

    def coarser(self, level: int, plane: int, *, by: int, column: int = 0) -> tuple[int, int]:
        """Node over a ``column`` and stride of the plane that is co-located ``by`` levels above; zeros without one."""
        if level + by >= len(self.shapes):
            return 0, 0
        halvings = 0 if self.before == PLANES_OF_COLOUR else by
        return self.first(level + by, plane >> halvings) + (column >> by), self.stride(level + by)

    def deltas(self, level: int) -> NDArray[np.int64]:
        """Distances to the neighbours of a node on its own level."""
        stride = self.stride(level)
        own = [dy * stride + dx for dy, dx in CAUSAL]
        before = [
            dy * stride + dx - back * self.plane_size(level)
            for back, offsets in enumerate(self.before, 1)
            for dy, dx in offsets
        ]
        return np.array(own + before, dtype=np.int64)

    def filled(self, latents: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """All levels in one array, with their margins."""
        values = np.zeros(self.starts[-1], dtype=np.float32)
        for inside, latent in zip(self.inside(values), latents, strict=True):
            inside[...] = latent.reshape(inside.shape)
        return values

    def inside(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Views of the levels ``[planes, rows, width]`` without margins."""
        levels = []
        for level, (planes, rows, _) in enumerate(self.shapes):
            part = values[self.starts[level] : self.starts[level + 1]]
            whole = part.reshape(-1, rows + 2 * _MARGIN, self.stride(level))
            levels.append(whole[-planes:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
        return levels

    def blocks(self, level: int) -> list[tuple[int, int]]:
        """The columns of a level in blocks that the loop is given one after the other: first column and width."""
        width = self.shapes[level][2]
        count = -(-width // _BLOCK_COLUMNS)
        edges = [width * block // count // 16 * 16 for block in range(count)] + [width]
        return [(low, high - low) for low, high in itertools.pairwise(edges)]

    def bands(self, count: int) -> list[list[Band]]:
        """The rows of all planes, dealt out to ``count`` workers."""
        dealt: list[list[Band]] = [[] for _ in range(count)]
        for level, (planes, rows, _) in enumerate(self.shapes):
            parts = max(1, min(count, planes * rows // _BAND_ROWS))
            for plane in range(planes):
                edges = [rows * part // parts for part in range(parts + 1)]
                for part, (low, high) in enumerate(itertools.pairwise(edges)):
                    dealt[part if parts > 1 else (level + plane) % count].append(Band(level, plane, (low, high)))
        return [bands for bands in dealt if bands]


def _planes_of_zeros(before: PlanesBefore) -> int:
    """In front of each level; the first of all also stands for a coarser level that is not there."""
    return max(1, len(before))


def _band_gradients(
    layout: Layout,
    values: NDArray[np.float32],
    arrays: Mapping[str, NDArray[np.float32]],
    bands: Sequence[Band],
    first_level: int,
) -> tuple[float, NDArray[np.float32], dict[str, NDArray[np.float64]]]:
    """Bits of some rows, and their gradients by all values and weights."""
    gradient = np.zeros_like(values)
    by_weight: dict[str, NDArray[np.float64]] = {name: np.zeros(arrays[name].shape) for name in CONTEXT_TENSORS}
    bits = 0.0
    parts = [(band, block) for band in bands for block in layout.blocks(band.level)]
    for band, (column, width) in parts:
        level = band.level
        bits += plane_gradients(
            values,
            gradient,
            values,
            gradient,
            layout.first(level, band.plane) + column,
            layout.stride(level),
            band.rows,
            width,
            layout.deltas(level),
            layout.coarser(level, band.plane, by=1, column=column),
            layout.coarser(level, band.plane, by=2, column=column),
            _NO_POSITIONS,
            LARGEST_MEAN,
            HIGHEST_LOG2_SCALE,
            level_tensors(arrays, first_level + level),
            level_tensors(by_weight, first_level + level),
        )
    return bits, gradient, by_weight
