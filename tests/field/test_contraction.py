import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.errors import FitError, OptionError
from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.contraction import (
    contraction_factor,
    layer_gain,
    operator_norm,
    proved_state_scale,
    readout_gain,
)

BOUNDED = (Norm.SPECTRAL, Norm.SUP)

networks = st.fixed_dictionaries(
    {
        "filter": st.sampled_from(list(Filter)),
        "depth": st.integers(1, 3),
        "axis_count": st.integers(1, 3),
        "width": st.integers(1, 9),
        "norm": st.sampled_from(BOUNDED),
        "contraction": st.one_of(st.just(0.0), st.floats(1e-3, 0.999)),
        "seed": st.integers(0, 2**32 - 1),
        "weight_scale": st.sampled_from([1e-3, 0.1, 1.0, 30.0]),
        "grid_step": st.sampled_from([0.3, 2.0**-6, 1e-4]),
    }
)


def vector_norms(states, norm):
    return np.linalg.norm(states, 2 if norm is Norm.SPECTRAL else np.inf, axis=-1)


def test_norms_of_matrices_worked_by_hand():
    matrix = np.array([[1.0, -2.0], [3.0, 4.0]], dtype=np.float32)
    assert operator_norm(matrix, Norm.SUP) == 7.0
    trace, determinant = 30.0, 10.0  # of AᵀA: the squares of the singular values are its eigenvalues
    largest = math.sqrt((trace + math.sqrt(trace**2 - 4.0 * determinant**2)) / 2.0)
    assert operator_norm(matrix, Norm.SPECTRAL) == pytest.approx(largest, rel=1e-12)


def test_the_gain_of_a_deeper_layer_is_the_product():
    architecture = Architecture(Filter.SIREN, 1, 3, 1, 1)
    tensors = {f"A_{level}": np.array([[value]], dtype=np.float32) for level, value in ((1, 2.0), (2, -3.0), (3, 0.5))}
    assert layer_gain(architecture, tensors) == 3.0


def test_the_unbounded_layer_proves_nothing():
    with pytest.raises(OptionError, match="unbounded"):
        operator_norm(np.eye(2, dtype=np.float32), Norm.NONE)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(networks)
def test_the_bound_holds_for_dequantised_weights(make_network, options):
    network = make_network(**options)
    architecture, scale = network.architecture, network.state_scale
    factor = contraction_factor(architecture, network.tensors, scale)
    assert factor <= architecture.contraction * (1.0 - 9e-6)  # room for float32 in the decoder
    assert 0.0 <= scale <= 1.0
    assert float(np.float32(scale)) == scale
    assert scale == 1.0 or factor >= architecture.contraction * (1.0 - 1e-4)  # nothing given away


@settings(deadline=None, derandomize=True, max_examples=150)
@given(networks)
def test_the_layer_shrinks_differences_by_the_bound(make_network, options):
    network = make_network(**options)
    norm, generator = network.architecture.norm, np.random.default_rng(1)
    count = 16
    x = generator.uniform(-1.0, 1.0, size=(count, network.architecture.axis_count))
    first, second = generator.normal(size=(2, count, network.architecture.width)) * 10.0 ** generator.uniform(-2, 2)
    injection = network.inject(x)
    after = vector_norms(network.layer(first, injection) - network.layer(second, injection), norm)
    before = vector_norms(first - second, norm)
    factor = contraction_factor(network.architecture, network.tensors, network.state_scale)
    assert np.all(after <= factor * before * (1.0 + 1e-9) + 1e-11)  # float64 states: rounding only


@pytest.mark.parametrize("norm", BOUNDED)
@pytest.mark.parametrize("filter", [Filter.SIREN, Filter.FOURIER])
def test_the_bound_is_attained(make_network, filter, norm):
    network = make_network(filter, norm=norm, weight_scale=2.0, contraction=0.9)
    for name, tensor in network.tensors.items():
        if name[0] in "Upb":
            tensor[:] = np.float32(math.pi / 2.0) if name == "phi_1" else 0.0  # every slope of sin and filter is 1
    matrix = network.tensors["A_1"].astype(np.float64)
    if norm is Norm.SPECTRAL:
        direction = np.linalg.svd(matrix)[2][0]
    else:
        direction = np.sign(matrix[np.argmax(np.abs(matrix).sum(axis=1))])
    state = 1e-4 * direction[None]
    injection = network.inject(np.zeros((1, 2)))
    image = network.layer(state, injection) - network.layer(0.0 * state, injection)
    ratio = vector_norms(image, norm) / vector_norms(state, norm)
    assert ratio == pytest.approx(0.9, rel=1e-4)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(networks)
def test_residuals_shrink_at_least_by_the_bound_per_step(make_network, options):
    network = make_network(**options)
    architecture = network.architecture
    factor = contraction_factor(architecture, network.tensors, network.state_scale)
    x = np.random.default_rng(2).uniform(-1.0, 1.0, size=(16, architecture.axis_count))
    injection, z = network.inject(x), np.zeros((16, architecture.width))
    residual = np.inf
    for _ in range(12):
        image = network.layer(z, injection)
        previous, residual = residual, vector_norms(image - z, architecture.norm)
        assert np.all((residual <= factor * previous * (1.0 + 1e-9) + 1e-11) | np.isinf(previous))
        z = image


def test_recurrence_off_needs_no_margin(make_network):
    network = make_network(contraction=0.0)
    assert network.state_scale == 0.0
    assert contraction_factor(network.architecture, network.tensors, 0.0) == 0.0


def test_small_weights_keep_their_full_scale(make_network):
    network = make_network(weight_scale=1e-3, grid_step=1e-5, contraction=0.5)
    assert network.state_scale == 1.0


@pytest.mark.parametrize("norm", BOUNDED)
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_weights_that_are_not_finite_prove_nothing(make_network, norm, value, scale):
    network = make_network(norm=norm)
    network.tensors["A_1"][0, 0] = value
    assert contraction_factor(network.architecture, network.tensors, scale) == math.inf
    with pytest.raises(FitError, match="not finite"):
        proved_state_scale(network.architecture, network.tensors)


def test_readout_gain_by_hand():
    architecture = Architecture(Filter.SIREN, 2, 1, 1, 1, Norm.SUP, 0.5)
    tensors = {"A_1": np.eye(2, dtype=np.float32), "W": np.array([[3.0, -1.0]], dtype=np.float32)}
    assert readout_gain(architecture, tensors, 0.75) == pytest.approx(4.0 / (1.0 - 0.75))
    assert readout_gain(architecture, tensors, 1.0) == math.inf
    assert readout_gain(architecture, tensors | {"A_1": 2.0 * tensors["A_1"]}, 1.0) == math.inf


@settings(deadline=None, derandomize=True, max_examples=50)
@given(networks)
def test_errors_of_the_injection_are_amplified_by_at_most_the_readout_gain(make_network, options):
    options |= {"filter": Filter.FOURIER, "depth": 1, "contraction": min(options["contraction"], 0.8)}
    network = make_network(**options)
    architecture, generator = network.architecture, np.random.default_rng(3)
    x = generator.uniform(-1.0, 1.0, size=(8, architecture.axis_count))
    error = generator.normal(size=(8, architecture.width))  # added to F at every step
    injection = network.inject(x)
    clean = disturbed = np.zeros((8, architecture.width))
    for _ in range(200):
        clean, disturbed = network.layer(clean, injection), network.layer(disturbed, injection) + error
    change = vector_norms((disturbed - clean) @ network.tensors["W"].T.astype(np.float64), architecture.norm)
    bound = readout_gain(architecture, network.tensors, network.state_scale) * vector_norms(error, architecture.norm)
    assert np.all(change <= bound * (1.0 + 1e-9))
