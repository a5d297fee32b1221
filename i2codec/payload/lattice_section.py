"""LATENTS sections of a lattice: the units of a sound as bytes and back.

A section holds one unit: how its time is cut into cells, how its channels were turned, and the
latents of all channels, one stream. ``_code_unit`` is the single traversal for both directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from i2codec.container.layout import Field, Layout
from i2codec.errors import FormatError
from i2codec.field.lapped_cosines import CellRow
from i2codec.field.noise_filling import LARGEST_LEVEL, band_edges
from i2codec.latents.model import ContextModel
from i2codec.latents.stream import LatentCoder, LatentDecoder, LatentEncoder
from i2codec.payload.latents_section import Address, Grid
from i2codec.signal.channel_turns import TURN_COUNT
from i2codec.signal.segments import Segments

LATTICE_HEADER = Layout("LATTICE_HEADER", (Field("cell_bits", "B"), Field("coded_columns", "H")))

LEAST_CELL_BITS, MOST_CELL_BITS = 6, 15


@dataclass(frozen=True)
class LatticeUnit:
    """The latents of one unit.

    Parameters
    ----------
    cell_bits:
        Binary logarithm of the samples M of a cell.
    turns:
        How far each pair of channels was turned, in 32nds of π.
    latents:
        Integers ``[C, cells, columns]`` of the first columns; those after them are 0.
    noise:
        Levels of noise ``[C, cells, bands]``, for networks with noise filling.
    """

    cell_bits: int
    turns: tuple[int, ...]
    latents: Grid
    noise: Grid | None = None

    @property
    def cell_length(self) -> int:
        """Samples M of a cell."""
        return 1 << self.cell_bits


def pack_lattice_unit(unit: LatticeUnit, model: ContextModel) -> bytes:
    """Payload of a LATENTS section. Raises :class:`OptionError` if a latent is too large to be coded."""
    columns = np.nonzero(unit.latents.any(axis=(0, 1)))[0]
    coded = int(columns[-1]) + 1 if len(columns) else 0
    header = LATTICE_HEADER.pack(cell_bits=unit.cell_bits, coded_columns=coded)
    encoder = LatentEncoder(model)
    shape = (*unit.latents.shape[:2], coded)
    _code_unit(encoder, unit.latents[..., :coded], shape, column_count=unit.cell_length)
    if unit.noise is not None:
        _code_noise(encoder, unit.noise, unit.noise.shape)
    return header + bytes(unit.turns) + encoder.to_bytes()


def _code_unit(coder: LatentCoder, values: Grid | None, shape: tuple[int, int, int], *, column_count: int) -> Grid:
    """Code a unit ``[C, cells, columns]``; an encoder is given its ``values``. Without columns nothing is coded."""
    if not shape[2]:
        return np.zeros(shape, dtype=np.int32)
    return coder.code(values, shape=shape, coarser=None, coarsest=None, level=0, column_count=column_count)


def _code_noise(coder: LatentCoder, levels: Grid | None, shape: tuple[int, ...]) -> Grid:
    """Code levels of noise ``[C, cells, bands]`` as what each has grown by since the cell before."""
    growth = None if levels is None else noise_growth(levels)
    coded = coder.code(growth, shape=shape, coarser=None, coarsest=None, level=1)
    return np.cumsum(coded, axis=1, dtype=np.int32)


def noise_growth(levels: Grid) -> Grid:
    """Differences of levels ``[C, cells, bands]`` from those of the cell before; from 0 in the first."""
    return np.diff(levels, axis=1, prepend=0).astype(np.int32)


class LatticeUnits:
    """The units of a sound as packed sections; those that are asked for are decoded."""

    def __init__(
        self,
        payloads: Mapping[Address, bytes],
        *,
        segments: Segments,
        channel_count: int,
        model: ContextModel,
        sample_step: Fraction,
        is_whole: bool = True,
    ) -> None:
        """Hold the payloads of LATENTS sections by level, which is 0, and unit.

        ``sample_step`` is the distance of samples in seconds, from which the bands of noise follow.
        ``is_whole`` is False for what is left of a cut file: units that are missing are silent.

        Raises
        ------
        FormatError
            If a section's header is wrong, or a unit is missing or there are too many.
        """
        self.payloads, self._segments, self._model = dict(payloads), segments, model
        self._channel_count, self._sample_step = channel_count, sample_step
        self._heads: dict[int, tuple[int, int]] = {}
        for (level, unit), payload in self.payloads.items():
            if level or unit >= segments.count:
                raise FormatError(f"latents of level {level} and unit {unit} in a lattice of {segments.count} units")
            self._heads[unit] = self._checked(unit, payload)
        if is_whole and not self.is_whole:
            raise FormatError(f"{len(self._heads)} units of latents; expected {segments.count}")

    @property
    def unit_count(self) -> int:
        """Units of the whole sound."""
        return self._segments.count

    @property
    def is_whole(self) -> bool:
        """Whether all units are there."""
        return len(self._heads) == self.unit_count

    def cells(self, unit: int) -> CellRow | None:
        """How the time of a unit is cut, in samples from its start; ``None`` for one that is missing."""
        if unit not in self._heads:
            return None
        start, stop = self._segments.bounds(unit)
        length = self._cell_length(unit)
        overlaps = [min(length, self._cell_length(other)) // 2 for other in (unit - 1, unit + 1)]
        return CellRow(0, -(-(stop - start) // length), length, *overlaps)

    def unit(self, unit: int) -> LatticeUnit:
        """The latents of a unit that is there.

        Raises
        ------
        FormatError
            If they are corrupt.
        """
        cells, (bits, columns), payload = self.cells(unit), self._heads[unit], self.payloads[0, unit]
        assert cells is not None
        first = LATTICE_HEADER.size + self._channel_count // 2
        decoder = LatentDecoder(payload[first:], self._model)
        shape = (self._channel_count, cells.count, columns)
        latents, noise = _code_unit(decoder, None, shape, column_count=cells.length), None
        if self._model.levels > 1:
            noise = _code_noise(decoder, None, (*shape[:2], len(self.bands(unit)) - 1))
            if noise.min() < 0 or noise.max() > LARGEST_LEVEL:
                raise FormatError(f"levels of noise of {noise.min()} to {noise.max()}; expected 0 to {LARGEST_LEVEL}")
        decoder.finish()
        return LatticeUnit(bits, tuple(payload[LATTICE_HEADER.size : first]), latents, noise)

    def bands(self, unit: int) -> NDArray[np.int64]:
        """Edges of the bands of noise of a unit, in columns."""
        return band_edges(self._cell_length(unit), sample_step=self._sample_step)

    def _cell_length(self, unit: int) -> int:
        """Samples of a cell; 0 for a unit that is missing, or before the first or after the last."""
        return 1 << self._heads[unit][0] if unit in self._heads else 0

    def _checked(self, unit: int, payload: bytes) -> tuple[int, int]:
        head = LATTICE_HEADER.unpack(payload)
        bits, columns = int(head["cell_bits"]), int(head["coded_columns"])
        where = f"the latents section of unit {unit}"
        if not LEAST_CELL_BITS <= bits <= MOST_CELL_BITS or columns > 1 << bits:
            raise FormatError(
                f"{where}: {columns} columns in cells of 2^{bits} samples; expected exponents of {LEAST_CELL_BITS} to "
                f"{MOST_CELL_BITS} and at most as many columns as samples"
            )
        if unit < self._segments.count - 1 and self._segments.length % (1 << bits):
            raise FormatError(f"{where}: cells of 2^{bits} samples do not fill a unit of {self._segments.length}")
        turns = payload[LATTICE_HEADER.size : LATTICE_HEADER.size + self._channel_count // 2]
        if len(turns) < self._channel_count // 2 or any(turn >= TURN_COUNT for turn in turns):
            raise FormatError(f"{where}: turns of channels {list(turns)}; expected {self._channel_count // 2} below 32")
        return bits, columns
