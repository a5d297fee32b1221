import math

import numpy as np
import pytest
import torch

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.contraction import layer_gain
from i2codec.field.module import ImplicitField, initial_tensors, to_arrays
from i2codec.field.stored import StoredNetwork
from i2codec.signal.grid import sample_centres

BOUNDED = pytest.mark.parametrize("norm", [Norm.SPECTRAL, Norm.SUP])
SAMPLES = 88_200  # two seconds of sound on one axis
NYQUIST = math.pi * SAMPLES / 2.0
TOLERANCE = 2e-6  # of the largest output; worst seen 3.5e-7, float32 rounding in another order


def initial_field(filter=Filter.SIREN, *, frequencies=(20.0, 20.0), seed=0, steps=20, **sizes):
    sizes = {"width": 8, "depth": 1, "channel_count": 3, "contraction": 0.8} | sizes
    architecture = Architecture(filter, axis_count=len(frequencies), **sizes)
    tensors = initial_tensors(architecture, frequencies=frequencies, generator=torch.Generator().manual_seed(seed))
    return ImplicitField(architecture, tensors, steps=steps)


@pytest.mark.parametrize("axis_count", [1, 2, 3])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("filter", Filter)
def test_it_computes_what_the_stored_network_decodes_to(make_network, filter, depth, axis_count):
    network = make_network(filter, depth=depth, axis_count=axis_count, width=24, contraction=0.9, weight_scale=0.3)
    x = np.random.default_rng(1).uniform(-1.0, 1.0, size=(200, axis_count))
    with torch.no_grad():
        found = ImplicitField.from_stored(network)(torch.from_numpy(x)).numpy()
    expected = network.evaluate(x)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= TOLERANCE * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("filter", Filter)
def test_it_agrees_on_long_signals_where_float32_coordinates_do_not(make_network, filter):
    network = make_network(filter, axis_count=1, steps=20)
    network.tensors["U_0"][:] *= np.float32(NYQUIST / 4.0)
    network.tensors["U_1"][:] *= np.float32(NYQUIST / 4.0)
    field = ImplicitField.from_stored(network)
    x = torch.from_numpy(sample_centres(np.arange(0, SAMPLES, 43), count=SAMPLES, half_extent=1.0)[:, None])
    with torch.no_grad():
        exact = ImplicitField.from_stored(network).double()(x)
        assert (field(x) - exact).abs().max() < 2e-5
        assert (field(x.float()) - exact).abs().max() > 1e-2


def test_narrow_envelopes_keep_the_precision_of_the_coordinates(make_network):
    network = make_network(Filter.GABOR, axis_count=1)
    for level in (0, 1):
        network.tensors[f"gamma_{level}"][:] = 300.0
        network.tensors[f"mu_{level}"][:] /= 4.0
    x = sample_centres(np.arange(0, SAMPLES, 43), count=SAMPLES, half_extent=1.0)[:, None]
    with torch.no_grad():
        found = ImplicitField.from_stored(network).inject(torch.from_numpy(x))
    for ours, theirs in zip(found, network.inject(x), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


@pytest.mark.parametrize("filter", Filter)
def test_gradients_pass_the_wrapped_phases(filter):
    field = initial_field(filter, frequencies=(2e4,))
    x = torch.linspace(-1.0, 1.0, 50, dtype=torch.float64)[:, None]
    narrow = torch.autograd.grad(field(x).square().sum(), list(field.tensors.values()))
    field.double()
    wide = torch.autograd.grad(field(x).square().sum(), list(field.tensors.values()))
    for name, ours, exact in zip(field.tensors, narrow, wide, strict=True):
        assert exact.abs().max() > 0.0, name
        assert torch.linalg.vector_norm(ours - exact) <= 1e-4 * torch.linalg.vector_norm(exact), name


@BOUNDED
def test_the_state_scale_is_the_bound(norm):
    field = initial_field(norm=norm, depth=2, contraction=0.7)
    gain = layer_gain(field.architecture, to_arrays(dict(field.tensors)))
    assert gain > 0.7
    assert float(field.state_scale().detach()) == pytest.approx(0.7 / gain, rel=1e-6)


@BOUNDED
def test_the_state_scale_is_differentiated(norm):
    field = initial_field(norm=norm, depth=2, width=5).double()
    matrices = [field.tensors["A_1"].detach().requires_grad_(), field.tensors["A_2"].detach().requires_grad_()]

    def scale(*values):
        return torch.func.functional_call(
            ScaleOf(field), {"field.tensors.A_1": values[0], "field.tensors.A_2": values[1]}
        )

    assert float(scale(*matrices).detach()) < 1.0
    assert torch.autograd.gradcheck(scale, matrices)


class ScaleOf(torch.nn.Module):
    def __init__(self, field):
        super().__init__()
        self.field = field

    def forward(self):
        return self.field.state_scale()


@BOUNDED
@pytest.mark.parametrize("contraction", [0.0, 0.5])
@pytest.mark.parametrize("size", [0.0, 1e-6])
def test_small_weights_have_a_finite_scale_and_gradient(norm, contraction, size):
    field = initial_field(norm=norm, contraction=contraction)
    with torch.no_grad():
        field.tensors["A_1"].mul_(size)
    scale = field.state_scale()
    (gradient,) = torch.autograd.grad(scale, field.tensors["A_1"])
    assert float(scale.detach()) == (1.0 if contraction else 0.0)
    assert not gradient.any()


def test_the_unbounded_layer_takes_the_state_as_it_is():
    assert initial_field(norm=Norm.NONE).state_scale() == 1.0


def test_a_stored_scale_is_used_as_it_is(make_network):
    network = make_network()
    field = ImplicitField.from_stored(network)
    assert float(field.state_scale()) == network.state_scale
    assert not field.state_scale().requires_grad
    assert field.steps == network.steps


def test_a_fitted_field_is_stored_and_read_back():
    field = initial_field(Filter.GABOR)
    scale = float(np.float32(0.25))
    network = StoredNetwork(field.architecture, to_arrays(dict(field.tensors)), scale, steps=3)
    back = ImplicitField.from_stored(network)
    for name, tensor in field.tensors.items():
        assert torch.equal(tensor, back.tensors[name])
    with torch.no_grad():  # a copy: fitting on does not change what was stored
        back.tensors["W"].add_(1.0)
    assert np.array_equal(network.tensors["W"], field.tensors["W"].detach().numpy())


@pytest.mark.parametrize("filter", Filter)
@pytest.mark.parametrize("width", [3, 8])
def test_initial_tensors_are_drawn_from_the_seed(filter, width):
    frequencies = (2.0, 300.0)
    sizes = {"width": width, "depth": 2, "channel_count": 3}
    first, same, other = (
        initial_field(filter, frequencies=frequencies, seed=seed, **sizes).tensors for seed in (0, 0, 1)
    )
    architecture = Architecture(filter, axis_count=2, **sizes)
    assert {name: tuple(tensor.shape) for name, tensor in first.items()} == architecture.tensor_shapes
    for name, tensor in first.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, same[name])
        assert not tensor.any() if name == "b" else not torch.equal(tensor, other[name])


def test_initial_frequencies_fill_the_band_of_each_axis():
    tensors = initial_field(width=512, frequencies=(2.0, 300.0), depth=2).tensors
    for level in range(3):
        highest = tensors[f"U_{level}"].detach().abs().amax(dim=0)
        assert torch.all(highest <= torch.tensor([2.0, 300.0]))
        assert torch.all(highest >= 0.95 * torch.tensor([2.0, 300.0]))
