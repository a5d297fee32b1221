"""How a pyramid of latent grids is cut into tiles that are coded on their own.

Levels are numbered from the finest, 0. A tile is a box of nodes with the same sides in every level
but for what the grid's end leaves, so that tile i along an axis of level l covers the native
samples from i · side · 2ˡ on. Sides are powers of two: the area of a tile lies in one tile of each
coarser level, and begins at a node of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from i2codec.errors import OptionError
from i2codec.field.interpolation import level_extents
from i2codec.signal.description import Axis, AxisName

TILE_NODES = 1024
"""Side of a tile along space. Time is cut into segments, not into tiles."""

Box = tuple[slice, ...]
"""Nodes of a level: one slice for each axis."""


@dataclass(frozen=True)
class LatentTiles:
    """The tiles of every level of a pyramid.

    Parameters
    ----------
    extents:
        Native samples per axis.
    level_count:
        Levels of the pyramid.
    sides:
        Nodes of a tile per axis, powers of two.
    planes:
        Leading extents of what a tile holds: none, or how many latents are at every node.

    >>> tiles = LatentTiles((9, 5), 2, (4, 4))
    >>> tiles.count(0), tiles.box(0, 3), tiles.count(1)
    (6, (slice(4, 8, None), slice(4, 5, None)), 2)
    """

    extents: tuple[int, ...]
    level_count: int
    sides: tuple[int, ...]
    planes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(side < 1 or side & (side - 1) for side in self.sides) or len(self.sides) != len(self.extents):
            raise OptionError(f"tiles of {self.sides} nodes in {len(self.extents)} axes; expected powers of two")

    @classmethod
    def of(
        cls, axes: Sequence[Axis], level_count: int, *, side: int = TILE_NODES, planes: tuple[int, ...] = ()
    ) -> LatentTiles:
        """The tiles of a signal: ``side`` nodes along space, all of them along time."""
        return cls(
            tuple(axis.extent for axis in axes),
            level_count,
            tuple(1 << (axis.extent - 1).bit_length() if axis.name is AxisName.TIME else side for axis in axes),
            planes,
        )

    def shape(self, level: int) -> tuple[int, ...]:
        """Nodes per axis of a level."""
        return level_extents(self.extents, level)

    def counts(self, level: int) -> tuple[int, ...]:
        """Tiles per axis of a level."""
        return tuple(-(-extent // side) for extent, side in zip(self.shape(level), self.sides, strict=True))

    def count(self, level: int) -> int:
        """Tiles of a level."""
        return math.prod(self.counts(level))

    def box(self, level: int, unit: int) -> Box:
        """Nodes of a tile; tiles are numbered row by row, last axis fastest."""
        places = []
        for count in reversed(self.counts(level)):
            unit, place = divmod(unit, count)
            places.append(place)
        return tuple(
            slice(place * side, min((place + 1) * side, extent))
            for place, side, extent in zip(reversed(places), self.sides, self.shape(level), strict=True)
        )

    def above(self, level: int, box: Box, *, steps: int) -> tuple[int, Box]:
        """The tile ``steps`` levels coarser that the area of a tile's ``box`` lies in.

        Its unit, and the nodes of the area counted from the tile's first.
        """
        area = coarser_box(box, steps)
        places = [part.start // side for part, side in zip(area, self.sides, strict=True)]
        inner = tuple(
            slice(part.start - place * side, part.stop - place * side)
            for part, place, side in zip(area, places, self.sides, strict=True)
        )
        return _unit(places, self.counts(level + steps)), inner

    def touching(self, level: int, nodes: Box) -> Iterator[int]:
        """Tiles that hold some of the ``nodes``, which lie inside the level."""
        ranges = [
            range(part.start // side, -(-part.stop // side)) for part, side in zip(nodes, self.sides, strict=True)
        ]
        counts = self.counts(level)
        for places in itertools.product(*ranges):
            yield _unit(places, counts)

    def covering(self, level: int, region: Sequence[tuple[int, int]], *, margin: int) -> Box:
        """Nodes that cover native samples of a region, and up to ``margin`` nodes beside those.

        ``region`` is start and length per axis.
        """
        covers = coarser_box(tuple(slice(start, start + length) for start, length in region), level)
        return tuple(
            slice(max(0, part.start - margin), min(extent, part.stop + margin))
            for part, extent in zip(covers, self.shape(level), strict=True)
        )


def coarser_box(box: Box, steps: int) -> Box:
    """Nodes ``steps`` levels coarser over the area of a box of nodes."""
    return tuple(slice(part.start >> steps, -(-part.stop >> steps)) for part in box)


def _unit(places: Sequence[int], counts: Sequence[int]) -> int:
    """Number of the tile at ``places``, row by row."""
    unit = 0
    for place, count in zip(places, counts, strict=True):
        unit = unit * count + place
    return unit
