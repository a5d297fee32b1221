"""Packed units of a sound, decoded as a CPU does, against what they are meant to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from i2codec.errors import FitError
from i2codec.field.lattice_stored import stored_amplitudes
from i2codec.field.noise_filling import filled
from i2codec.fit.lattice_analysis import AnalysedUnit
from i2codec.fit.lattice_model import column_places
from i2codec.payload.grid_section import QuantisedGridNetwork
from i2codec.payload.lattice_section import LatticeUnits
from i2codec.signal.segments import Segments

_TOLERANCE = 0.005


def check_units(
    payloads: Sequence[bytes],
    units: Sequence[AnalysedUnit],
    network: QuantisedGridNetwork,
    *,
    squared_error: float,
    reference_power: float,
    sample_step: Fraction,
) -> float:
    """Decode units, and hold the squared error of their amplitudes against that of the fit, which knows no noise.

    ``units`` and ``squared_error`` are over the root of the reference power and over it. Returned is
    the squared error of what is decoded, noise and all.

    Raises
    ------
    FitError
        If it is more than 0.5 % above.
    """
    synthesis, found, heard = network.dequantised(), 0.0, 0.0
    gains, scale = synthesis.tensors["gains"].astype(np.float64), math.sqrt(reference_power)
    for number, (unit, payload) in enumerate(zip(units, payloads, strict=True)):
        channel_count, cell_count, column_count = unit.amplitudes.shape
        sections = LatticeUnits(
            {(0, 0): payload},
            segments=Segments(cell_count * column_count, cell_count * column_count),
            channel_count=channel_count,
            model=network.context_model(),
            sample_step=sample_step,
        )
        stored, places = sections.unit(0), column_places(column_count)
        columns = stored.latents.shape[2]
        decoded = np.zeros(unit.amplitudes.shape)
        for channel, latents in enumerate(stored.latents):
            decoded[channel, :, :columns] = stored_amplitudes(synthesis, latents, places[:, :columns])
        found += float(np.square(unit.amplitudes - decoded / scale).sum())
        if stored.noise is not None:
            steps = np.exp2(gains[0] + gains[1:] @ places)
            decoded = filled(decoded, stored.noise, steps=steps, edges=sections.bands(0), unit=number)
        heard += float(np.square(unit.amplitudes - decoded / scale).sum())
    if not found <= squared_error * (1.0 + _TOLERANCE) + 1e-9:
        raise FitError(
            f"the file decodes to a squared error of {found:.6g}, the fit had {squared_error:.6g}; nothing was "
            "written: please report this"
        )
    return heard
