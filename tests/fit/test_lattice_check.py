"""What is packed is held against what it is meant to be."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from i2codec.errors import FitError
from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.stencil import Stencil
from i2codec.fit.lattice_analysis import AnalysedUnit
from i2codec.fit.lattice_check import check_units
from i2codec.latents.template import Template
from i2codec.payload.grid_section import QuantisedGridNetwork
from i2codec.payload.lattice_section import LatticeUnit, pack_lattice_unit


def test_a_unit_that_decodes_to_something_else_is_refused() -> None:
    features = Template.LATTICE.feature_count
    architecture = GridArchitecture(
        1, 1, 1, context_features=features, stencil=Stencil.POINTWISE, basis=Basis.LATTICE, context_width=4
    )
    integers = {name: np.zeros(shape, dtype=np.int64) for name, shape in architecture.tensor_shapes.items()}
    integers["gains"][0] = -2  # steps of a quarter
    network = QuantisedGridNetwork(architecture, integers, dict.fromkeys(integers, 1.0), contraction=0.0, steps=1)
    latents = np.random.default_rng(0).integers(-5, 6, (1, 3, 64)).astype(np.int32)
    unit = AnalysedUnit(6, (), 0.5 * 0.25 * latents.astype(np.float64) + 0.01, 192)  # over a power of 4

    def check(stored: np.ndarray) -> float:
        payload = pack_lattice_unit(LatticeUnit(6, (), stored), network.context_model())
        return check_units(
            [payload],
            [unit],
            network,
            squared_error=192 * 0.01**2,
            reference_power=4.0,
            sample_step=Fraction(1, 8000),
        )

    assert check(latents) == pytest.approx(192 * 0.01**2)
    changed = latents.copy()
    changed[0, 1, 5] += 1
    with pytest.raises(FitError, match="the file decodes to a squared error"):
        check(changed)
