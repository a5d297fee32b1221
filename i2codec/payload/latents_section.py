"""LATENTS sections: a pyramid of latent grids as bytes and back, tile by tile.

A section holds one tile of one level, or several consecutive levels of one tile each. What it codes
is one stream, the coarsest level first. ``_code_tile`` is the single traversal of a tile for both
directions. Levels are numbered from the finest, 0, but in an :data:`Address`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from i2codec.container.layout import Field, Layout
from i2codec.errors import FormatError, OptionError
from i2codec.field.interpolation import across_planes
from i2codec.latents.model import ContextModel
from i2codec.latents.stream import LatentCoder, LatentDecoder, LatentEncoder
from i2codec.payload.latent_tiles import Box, LatentTiles, coarser_box

LATENTS_HEADER = Layout("LATENTS_HEADER", (Field("coded_levels", "H"),))

SECTION_BYTES = 4096
"""Levels of one tile share a section while it is not longer; each section costs 37 bytes, its index entry included."""
_UNCUT_SECTIONS = 4
"""Latents of at most so many sections' bytes are one section: a cut would save little, sections cost."""
_MOST_LEVELS = 15  # of a section: the bits of its header but for the one that ends them

Grid = NDArray[np.int32]
Address = tuple[int, int]
"""Level of a section, counted from the coarsest, 0, and unit."""
Above = Callable[[int], Grid | None]
"""Nodes over the area of a tile of the level so many steps coarser; ``None`` where there is no such level."""


def pack_latents(
    levels: Sequence[Grid], *, tiles: LatentTiles, model: ContextModel, section_bytes: int = SECTION_BYTES
) -> dict[Address, bytes]:
    """Payloads of the LATENTS sections of a pyramid, in the order of the file.

    ``levels`` are grids of integers ``[*planes, *nodes]``, finest first.

    Raises
    ------
    OptionError
        If a shape is not that of its level, or a latent is too large to be coded.
    """
    shapes = [level.shape for level in levels]
    if shapes != [(*tiles.planes, *tiles.shape(level)) for level in range(tiles.level_count)]:
        raise OptionError(f"latents of the shapes {shapes} do not fit {tiles}")
    if max(tiles.count(level) for level in range(tiles.level_count)) == 1:
        whole = _packed(levels, tiles, model, section_bytes=_UNCUT_SECTIONS * section_bytes)
        if len(whole) == 1:
            return whole
    return _packed(levels, tiles, model, section_bytes=section_bytes)


def _packed(
    levels: Sequence[Grid], tiles: LatentTiles, model: ContextModel, *, section_bytes: int
) -> dict[Address, bytes]:
    """Payloads of sections of which only those of one level are longer than ``section_bytes``."""
    payloads: dict[Address, bytes] = {}
    section = _SectionWriter(model)
    for level in reversed(range(tiles.level_count)):
        place = tiles.level_count - 1 - level
        for unit in range(tiles.count(level)):
            box = tiles.box(level, unit)
            above = _areas(levels, level, box)
            joins = tiles.count(level) == 1 and section.is_open
            if joins:
                section.add(levels[level][across_planes(box)], level=level, above=above)
                joins = section.is_within(section_bytes)
            if joins:
                payloads.pop((place - 1, 0), None)  # the section gets this level's number
            else:
                section = _SectionWriter(model)
                section.add(levels[level][across_planes(box)], level=level, above=above)
            payloads[place, unit] = section.payload()
    return payloads


def _areas(levels: Sequence[Grid], level: int, box: Box) -> Above:
    """The areas over a tile's ``box``, from whole levels."""

    def above(steps: int) -> Grid | None:
        return levels[level + steps][across_planes(coarser_box(box, steps))] if level + steps < len(levels) else None

    return above


class _SectionWriter:
    """Gathers the levels of a section."""

    def __init__(self, model: ContextModel) -> None:
        self._encoder = LatentEncoder(model)
        self._is_coded: list[bool] = []

    @property
    def is_open(self) -> bool:
        """Whether another level may be tried."""
        return len(self._is_coded) < _MOST_LEVELS

    def is_within(self, section_bytes: int) -> bool:
        """Whether the last level may stay; one of zeros costs nothing, and the first stays in any case."""
        return not self._is_coded[-1] or sum(self._is_coded) == 1 or self._encoder.byte_count <= section_bytes

    def add(self, values: Grid, *, level: int, above: Above) -> None:
        """Code a tile of the next finer level, or note that it is 0."""
        self._is_coded.append(bool(values.any()))
        if self._is_coded[-1]:
            _code_tile(self._encoder, values, values.shape, level=level, above=above)

    def payload(self) -> bytes:
        coded = sum(1 << number for number, is_coded in enumerate([*self._is_coded, True]) if is_coded)
        return LATENTS_HEADER.pack(coded_levels=coded) + self._encoder.to_bytes()


class LatentPyramid:
    """The latents of a signal as packed sections; the tiles that are asked for are decoded, once."""

    def __init__(
        self, payloads: Mapping[Address, bytes], *, tiles: LatentTiles, model: ContextModel, is_whole: bool = True
    ) -> None:
        """Hold the payloads of LATENTS sections by level and unit.

        ``is_whole`` is False for what is left of a cut file: levels of which a tile is missing read as 0,
        and all that are finer.

        Raises
        ------
        FormatError
            If a section's header is wrong, sections contradict each other, or one is missing.
        """
        self.payloads = dict(payloads)
        self.tiles = tiles
        self._model = model
        self._sections: dict[tuple[int, int], _Section] = {}
        self._tiles: dict[tuple[int, int], Grid] = {}
        for address, payload in self.payloads.items():
            section = _Section(address, payload, tiles)
            for level in section.levels:
                if (level, section.unit) in self._sections:
                    place = tiles.level_count - 1 - level
                    raise FormatError(f"tile {section.unit} of latent level {place} comes twice")
                self._sections[level, section.unit] = section
        if is_whole and not self.is_whole:
            raise FormatError(f"latent level {self.whole_levels} is not there, or not all of its tiles")

    @classmethod
    def of(cls, levels: Sequence[Grid], *, tiles: LatentTiles, model: ContextModel) -> LatentPyramid:
        """Pack grids of integers ``[*planes, *nodes]``, finest first; raises as :func:`pack_latents`."""
        return cls(pack_latents(levels, tiles=tiles, model=model), tiles=tiles, model=model)

    @property
    def is_whole(self) -> bool:
        """Whether all levels are there."""
        return self.whole_levels == self.tiles.level_count

    @cached_property
    def whole_levels(self) -> int:
        """How many levels, from the coarsest on, are there with all their tiles."""
        count = 0
        for level in reversed(range(self.tiles.level_count)):
            if any((level, unit) not in self._sections for unit in range(self.tiles.count(level))):
                break
            count += 1
        return count

    def levels(self, region: Sequence[tuple[int, int]] | None = None, *, margin: int = 0) -> list[Grid]:
        """Whole grids ``[*planes, *nodes]`` of all levels, finest first; they may be read-only.

        Of a ``region``, start and length per axis in native samples, only tiles are decoded with
        nodes that cover it or lie at most ``margin`` nodes beside those; all other nodes are 0.

        Raises
        ------
        FormatError
            If coded latents are corrupt.
        """
        tiles = self.tiles
        if region is None:
            region = [(0, extent) for extent in tiles.extents]
        grids = []
        for level in range(tiles.level_count):
            units = tiles.touching(level, tiles.covering(level, region, margin=margin))
            grids.append(self._gather(level, tuple(slice(0, extent) for extent in tiles.shape(level)), units))
        return grids

    def window(self, level: int, nodes: Sequence[tuple[int, int]]) -> Grid:
        """Nodes ``start`` to ``stop`` of a level per axis; it may be read-only. Raises as :meth:`levels`."""
        box = tuple(slice(start, stop) for start, stop in nodes)
        return self._gather(level, box, self.tiles.touching(level, box))

    def _gather(self, level: int, box: Box, units: Iterable[int]) -> Grid:
        """The nodes of a box, those outside of the tiles 0."""
        is_whole = self.tiles.level_count - level <= self.whole_levels
        if is_whole and self.tiles.count(level) == 1:
            return self._tile(level, 0)[across_planes(box)]
        grid = np.zeros(self._shape(box), dtype=np.int32)
        for unit in units if is_whole else ():
            tile = self.tiles.box(level, unit)
            common = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, tile, strict=True)]
            target, source = (
                tuple(
                    slice(low - part.start, high - part.start) for (low, high), part in zip(common, parts, strict=True)
                )
                for parts in (box, tile)
            )
            grid[across_planes(target)] = self._tile(level, unit)[across_planes(source)]
        return grid

    def _shape(self, box: Box) -> tuple[int, ...]:
        return (*self.tiles.planes, *(part.stop - part.start for part in box))

    def _tile(self, level: int, unit: int) -> Grid:
        if (level, unit) not in self._tiles:
            self._decode(self._sections[level, unit])
        return self._tiles[level, unit]

    def _decode(self, section: _Section) -> None:
        decoder = LatentDecoder(section.code, self._model)
        try:
            for level in section.levels:
                box = self.tiles.box(level, section.unit)
                shape = self._shape(box)
                if level in section.coded:
                    tile = _code_tile(decoder, None, shape, level=level, above=self._areas(level, box))
                else:
                    tile = np.zeros(shape, dtype=np.int32)
                tile.flags.writeable = False
                self._tiles[level, section.unit] = tile
            decoder.finish()
        except FormatError:
            for level in section.levels:
                self._tiles.pop((level, section.unit), None)
            raise

    def _areas(self, level: int, box: Box) -> Above:
        def above(steps: int) -> Grid | None:
            """The area over the box, from tiles that are decoded when they are asked for."""
            if level + steps >= self.tiles.level_count:
                return None
            unit, inner = self.tiles.above(level, box, steps=steps)
            return self._tile(level + steps, unit)[across_planes(inner)]

        return above


class _Section:
    """What the header of a section says: its levels, coarsest first, and which of them are coded."""

    def __init__(self, address: Address, payload: bytes, tiles: LatentTiles) -> None:
        place, self.unit = address
        coded = LATENTS_HEADER.unpack(payload)["coded_levels"]
        self.code = payload[LATENTS_HEADER.size :]
        count = coded.bit_length() - 1
        finest = tiles.level_count - 1 - place
        where = f"the latents section of level {place} and unit {self.unit}"
        if finest < 0:
            raise FormatError(f"{where}: the network has {tiles.level_count} levels")
        if self.unit >= tiles.count(finest):
            raise FormatError(f"{where}: the level has {tiles.count(finest)} tiles")
        if not 1 <= count <= (place + 1 if tiles.count(finest) == 1 else 1):
            raise FormatError(f"{where} holds {max(0, count)} levels; expected 1, or more where each is one tile")
        self.levels = range(finest + count - 1, finest - 1, -1)
        self.coded = {level for number, level in enumerate(self.levels) if coded >> number & 1}
        if self.code and not self.coded:
            raise FormatError(f"{where} codes no level in {len(self.code)} bytes; expected none")


def _code_tile(coder: LatentCoder, values: Grid | None, shape: tuple[int, ...], *, level: int, above: Above) -> Grid:
    """Code a tile ``[*planes, *nodes]``; an encoder is given its ``values``."""
    grids = [None if grid is None else _planes(grid) for grid in (values, above(1), above(2))]
    lead = (1,) * (3 - len(shape))
    coded = coder.code(grids[0], shape=(*lead, *shape), coarser=grids[1], coarsest=grids[2], level=level)
    return coded.reshape(shape)


def _planes(grid: Grid) -> Grid:
    """A grid of one to three axes, planes among them, as ``[T, H, W]``."""
    return grid.reshape((1,) * (3 - grid.ndim) + grid.shape)
