import numpy as np
import pytest
import torch

from i2codec.errors import OptionError
from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.lattice_module import LatticeField
from i2codec.field.lattice_stored import stored_amplitudes
from i2codec.field.stencil import Stencil


def architecture(stencil=Stencil.POINTWISE, **changes):
    sizes = {"level_count": 1, "axis_count": 1, "channel_count": 2, "hidden_width": 5, "width": 3}
    return GridArchitecture(**(sizes | {"stencil": stencil, "basis": Basis.LATTICE} | changes))


def network(stencil, seed=0):
    rng = np.random.default_rng(seed)
    shapes = architecture(stencil).synthesis_shapes
    tensors = {name: 0.3 * rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return StoredGridNetwork(architecture(stencil), tensors, 1 if stencil is Stencil.POINTWISE else 4)


LATENTS = np.array([[0, 1, -1, 3, -7], [2, 0, 0, -1, 250], [0, 0, 0, 0, 1]], dtype=np.int32)
PLACES = np.random.default_rng(1).random((6, 5)).astype(np.float32)


@pytest.mark.parametrize("stencil", Stencil)
def test_the_module_computes_what_the_definition_says(stencil):
    stored = network(stencil)
    field = LatticeField.from_stored(stored)
    q = torch.from_numpy(LATENTS.astype(np.float32))
    z = field.state(field.injection(q), steps=stored.steps)
    found = field.amplitudes(q, z, torch.from_numpy(PLACES)).numpy()
    np.testing.assert_allclose(found, stored_amplitudes(stored, LATENTS, PLACES), rtol=1e-5, atol=1e-6)


def test_amplitudes_are_the_equations_of_the_docstring():
    stored = network(Stencil.POINTWISE)
    t = stored.tensors
    for q, place in ((-7, 4), (3, 3), (1, 1), (0, 0)):
        u = t["E_2"] @ np.maximum(t["E_1"][:, 0] * min(abs(q), 4) + t["e_1"], 0) + t["e_2"]
        gain = 2.0 ** (t["gains"][0] + t["gains"][1:] @ PLACES[:, place])
        wanted = gain * (q + np.clip(q, -1, 1) * (t["W"][0] @ u + t["b"][0]))
        assert stored_amplitudes(stored, LATENTS, PLACES)[0, place] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("stencil", Stencil)
def test_what_is_silent_stays_silent(stencil):
    assert not stored_amplitudes(network(stencil), np.zeros_like(LATENTS), PLACES).any()


@pytest.mark.parametrize("stencil", [Stencil.CROSS, Stencil.FULL])
def test_neighbours_bear_on_an_amplitude(stencil):
    changed = LATENTS.copy()
    changed[1, 2] = 4
    before, after = (stored_amplitudes(network(stencil), latents, PLACES) for latents in (LATENTS, changed))
    assert abs(before[1, 1] - after[1, 1]) == 0.0  # 0 stays 0
    assert abs(before[0, 2] - after[0, 2]) > 1e-4


def test_a_lattice_has_one_axis_and_level():
    with pytest.raises(OptionError, match="expected 1 and 1 or 2"):
        architecture(axis_count=2)
    with pytest.raises(OptionError, match="expected 1 and 1 or 2"):
        architecture(level_count=3)


def test_the_stencil_lives_on_frames_and_frequencies():
    assert architecture(Stencil.FULL).synthesis_shapes["A"] == (3, 3, 9)
    assert architecture().synthesis_shapes["W"] == (1, 3)
    assert architecture().macs_per_point(1) > 1000
