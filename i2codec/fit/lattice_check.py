"""Packed units of a sound, decoded as a CPU does, against what they are meant to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from i2codec.errors import FitError
from i2codec.field.lattice_stored import stored_amplitudes
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
) -> None:
    """Decode units, and hold the squared error of their amplitudes against that of the fit.

    ``units`` and ``squared_error`` are over the root of the reference power and over it.

    Raises
    ------
    FitError
        If it is more than 0.5 % above.
    """
    synthesis, found = network.dequantised(), 0.0
    for unit, payload in zip(units, payloads, strict=True):
        channel_count, cell_count, column_count = unit.amplitudes.shape
        sections = LatticeUnits(
            {(0, 0): payload},
            segments=Segments(cell_count * column_count, cell_count * column_count),
            channel_count=channel_count,
            model=network.context_model(),
            sample_step=sample_step,
        )
        latents = sections.unit(0).latents
        places = column_places(column_count)[:, : latents.shape[2]]
        for amplitudes, channel in zip(unit.amplitudes, latents, strict=True):
            errors = amplitudes.copy()
            decoded = stored_amplitudes(synthesis, channel, places)
            errors[:, : latents.shape[2]] -= decoded / math.sqrt(reference_power)
            found += float(np.square(errors).sum())
    if not found <= squared_error * (1.0 + _TOLERANCE) + 1e-9:
        raise FitError(
            f"the file decodes to a squared error of {found:.6g}, the fit had {squared_error:.6g}; nothing was "
            "written: please report this"
        )
