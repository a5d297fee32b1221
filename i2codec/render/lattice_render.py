"""Rendering a lattice: the sum of its lapped cosines at samples of any rate, unit by unit.

Atoms are continuous functions of time, so that another rate needs no resampler. A unit overlaps
half a cell of each neighbour at most; where one is missing or out of reach its part is silent.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from i2codec.errors import FormatError
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.lapped_cosines import CellRow
from i2codec.field.lattice_module import LatticeField
from i2codec.field.noise_filling import filled
from i2codec.latents.template import positions
from i2codec.payload.stored_grid import StoredLattice
from i2codec.render.axis_grid import AxisGrid
from i2codec.render.window import Window
from i2codec.signal.channel_turns import channels_turned
from i2codec.signal.segments import Segments

Floats = NDArray[np.float64]

_KEPT_UNITS = 3
"""A unit and its neighbours: pieces follow one another."""


class LatticeRenderer:
    """Φ of a lattice at moments.

    Parameters
    ----------
    stored:
        The field.
    segments:
        How its time is cut into units.
    channel_count:
        Number C of channels.
    device:
        ``cpu`` or ``cuda``, where the layers run.
    """

    def __init__(self, stored: StoredLattice, *, segments: Segments, channel_count: int, device: str = "cpu") -> None:
        """Load the layers; latents are decoded when they are needed."""
        self._amplifier = Amplifier(stored.network.dequantised(), device=device)
        self._units, self._segments, self._channel_count = stored.units, segments, channel_count
        self._amplitudes = functools.lru_cache(_KEPT_UNITS)(self._decoded)

    def render(self, grid: AxisGrid, window: Window) -> NDArray[np.float32]:
        """Φ ``[n, C]`` at the samples of a window of ``grid``."""
        result = np.zeros((self._channel_count, window.size))
        ends = [grid.first + index * grid.ratio for index in (window.start, window.stop - 1)]
        for unit in self._touched(*ends):
            decoded = self._amplitudes(unit)
            if decoded is not None:
                self._add(result, unit, decoded, grid, window)
        return result.T.astype(np.float32)

    def at(self, moments: Floats) -> NDArray[np.float32]:
        """Φ ``[N, C]`` at ``moments`` ``[N]`` in native samples."""
        result = np.zeros((len(moments), self._channel_count))
        for index, moment in enumerate(moments):
            place = Fraction(float(moment))
            for unit in self._touched(place, place):
                decoded = self._amplitudes(unit)
                if decoded is not None:
                    cells, amplitudes = decoded
                    for cell, atoms in cells.atoms_at(float(place - self._segments.bounds(unit)[0])):
                        result[index] += amplitudes[:, cell] @ atoms
        return result.astype(np.float32)

    def _touched(self, first: Fraction, last: Fraction) -> list[int]:
        """Units with atoms between two moments."""
        nearest = [self._segments.unit_of(math.floor(moment)) for moment in (first, last)]
        touched = []
        for unit in range(max(0, nearest[0] - 1), min(self._segments.count, nearest[1] + 2)):
            cells = self._units.cells(unit)
            if cells is not None:
                low, high = (end + self._segments.bounds(unit)[0] for end in cells.reach)
                if low <= last and first <= high:
                    touched.append(unit)
        return touched

    def _add(self, result: Floats, unit: int, decoded: tuple[CellRow, Floats], grid: AxisGrid, window: Window) -> None:
        """Add the atoms of a unit where they lie in the window."""
        cells, amplitudes = decoded
        start, (low, high) = self._segments.bounds(unit)[0], cells.reach
        first = max(window.start, math.ceil((start + low - grid.first) / grid.ratio))
        stop = min(window.stop, math.floor((start + high - grid.first) / grid.ratio) + 1)
        if first >= stop:
            return
        place = grid.first + first * grid.ratio - start
        if grid.ratio == 1 and place.denominator == 2:
            begin = math.floor(place) - low
            stop = min(stop, first + high - low - begin)
            values = cells.summed(amplitudes)[:, begin : begin + stop - first]
        else:
            values = cells.summed_at(amplitudes, first=grid.first - start, step=grid.ratio, window=range(first, stop))
        result[:, first - window.start : stop - window.start] += values

    def _decoded(self, unit: int) -> tuple[CellRow, Floats] | None:
        """Cells and amplitudes ``[C, cells, M]`` of the channels of a unit; ``None`` where all are 0."""
        cells = self._units.cells(unit)
        assert cells is not None
        latents = self._units.unit(unit)
        is_silent = not latents.latents.size and (latents.noise is None or not latents.noise.any())
        if is_silent:
            return None
        amplitudes = np.zeros((self._channel_count, cells.count, cells.length))
        if latents.latents.size:
            coded = self._amplifier(latents.latents, column_count=cells.length)
            amplitudes[..., : coded.shape[2]] = coded
        if latents.noise is not None:
            edges, steps = self._units.bands(unit), self._amplifier.steps(cells.length)
            amplitudes = filled(amplitudes, latents.noise, steps=steps, edges=edges, unit=unit)
        if not np.isfinite(amplitudes).all():
            raise FormatError("the file decodes to samples that are not finite")
        return cells, channels_turned(amplitudes, latents.turns, back=True)


class Amplifier:
    """From latents to amplitudes.

    Parameters
    ----------
    network:
        The layers.
    device:
        ``cpu`` or ``cuda``.
    """

    def __init__(self, network: StoredGridNetwork, *, device: str = "cpu") -> None:
        """Load the layers."""
        self._field, self._steps = LatticeField.from_stored(network).to(device), network.steps
        self._device = device

    @torch.no_grad()
    def steps(self, column_count: int) -> Floats:
        """What a latent of 1 is worth in each column, but for what the layer adds."""
        of_columns = np.array(positions(column_count), dtype=np.float32).T
        steps: Floats = (
            self._field.gains(torch.from_numpy(of_columns).to(self._device)).cpu().numpy().astype(np.float64)
        )
        return steps

    @torch.no_grad()
    def __call__(self, latents: NDArray[np.int32], *, column_count: int) -> Floats:
        """Amplitudes ``[C, cells, columns]`` of latents of the first of so many columns."""
        of_columns = np.array(positions(column_count)[: latents.shape[2]], dtype=np.float32).T
        places = torch.from_numpy(np.ascontiguousarray(of_columns)).to(self._device)
        amplitudes = []
        for channel in latents:
            q = torch.from_numpy(channel.astype(np.float32)).to(self._device)
            z = self._field.state(self._field.injection(q), steps=self._steps)
            amplitudes.append(self._field.amplitudes(q, z, places).cpu().numpy())
        return np.stack(amplitudes).astype(np.float64)
