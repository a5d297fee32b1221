import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.contraction import contraction_factor
from i2codec.field.stored import StoredNetwork
from i2codec.signal.grid import grid_coordinates, sample_centres

EVERY_SHAPE = pytest.mark.parametrize(
    ("filter", "depth", "axis_count"),
    [(filter, depth, axes) for filter in Filter for depth in (1, 2, 3) for axes in (1, 2, 3)],
)


def points(count, axis_count, seed=0):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, size=(count, axis_count))


def explicit_network(network, x):
    """The layers with their state cut off, point by point in float64 and in scalars' order."""
    tensors = {name: tensor.astype(np.float64) for name, tensor in network.tensors.items()}
    architecture = network.architecture

    def wave(level, point):
        value = np.sin(tensors[f"U_{level}"] @ point + tensors[f"phi_{level}"])
        if architecture.filter is Filter.GABOR:
            distance = np.linalg.norm(point - tensors[f"mu_{level}"], axis=1)
            value = value * np.exp(-0.5 * (tensors[f"gamma_{level}"] * distance) ** 2)
        return value

    outputs = []
    for point in x:
        h = wave(0, point)
        for level in range(1, architecture.depth + 1):
            h = tensors[f"A_{level}"] @ h + tensors[f"b_{level}"]
            if architecture.filter is Filter.SIREN:
                h = np.sin(h + tensors[f"U_{level}"] @ point)
            else:
                h = h * wave(level, point)
        outputs.append(tensors["W"] @ h + tensors["b"])
    return np.array(outputs)


@EVERY_SHAPE
def test_without_recurrence_it_is_the_explicit_network(make_network, filter, depth, axis_count):
    network = make_network(filter, depth=depth, axis_count=axis_count, contraction=0.0, steps=3, weight_scale=0.5)
    x = points(40, axis_count)
    expected = explicit_network(network, x)
    assert np.abs(network.evaluate(x) - expected).max() <= 2e-5 * max(1.0, np.abs(expected).max())


def test_one_fourier_unit_is_the_linear_equation_solved_by_hand():
    architecture = Architecture(Filter.FOURIER, 1, 1, 1, 1, contraction=0.9)
    values = {"U_0": 3.0, "phi_0": 0.25, "A_1": 0.75, "b_1": -0.5, "U_1": -2.0, "phi_1": 1.5, "W": 2.0, "b": 0.125}
    shapes = architecture.tensor_shapes
    tensors = {name: np.full(shapes[name], value, dtype=np.float32) for name, value in values.items()}
    network = StoredNetwork(architecture, tensors, state_scale=1.0, steps=80)
    x = np.linspace(-1.0, 1.0, 33)
    g0, g1 = np.sin(3.0 * x + 0.25), np.sin(-2.0 * x + 1.5)
    state = (0.75 * g0 - 0.5) * g1 / (1.0 - 0.75 * g1)  # z = (a (z + g₀) + b) g₁
    np.testing.assert_allclose(network.state(x[:, None])[:, 0], state, atol=2e-6)
    np.testing.assert_allclose(network.evaluate(x[:, None])[:, 0], 2.0 * state + 0.125, atol=4e-6)


def test_no_step_reads_out_the_zero_state(make_network):
    network = make_network(steps=0)
    x = points(5, 2)
    np.testing.assert_array_equal(network.state(x), np.zeros((5, 7)))
    np.testing.assert_array_equal(network.evaluate(x), np.tile(network.tensors["b"], (5, 1)))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_steps_are_counted_exactly(make_network, steps):
    network = make_network(steps=steps)
    x = points(5, 2)
    injection, z = network.inject(x), np.zeros((5, 7), dtype=np.float32)
    for _ in range(steps):
        z = network.layer(z, injection)
    np.testing.assert_array_equal(network.state(x), z)
    np.testing.assert_array_equal(
        network.residual(x), np.linalg.norm(network.layer(z, injection) - z, axis=-1).astype(np.float32)
    )


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.sampled_from(list(Filter)),
    st.integers(1, 3),
    st.sampled_from([Norm.SPECTRAL, Norm.SUP]),
    st.integers(0, 2**32 - 1),
)
def test_the_fixed_point_does_not_depend_on_the_start(make_network, filter, depth, norm, seed):
    network = make_network(filter, depth=depth, norm=norm, contraction=0.8, steps=100, seed=seed, weight_scale=0.5)
    x = points(8, 2, seed)
    injection, z = network.inject(x), np.random.default_rng(seed).normal(size=(8, 7)).astype(np.float32) * 10.0
    for _ in range(100):
        z = network.layer(z, injection)
    solved = network.state(x)
    assert np.abs(z - solved).max() <= 1e-5 * max(1.0, np.abs(solved).max())


def test_residuals_fall_with_the_step_count(make_network):
    x = points(50, 2)
    factor = None
    residuals = []
    for steps in (1, 5, 9):
        network = make_network(steps=steps, contraction=0.8)
        factor = contraction_factor(network.architecture, network.tensors, network.state_scale)
        residuals.append(network.residual(x))
    assert np.all(residuals[1] <= factor**4 * residuals[0] + 1e-6)
    assert np.all(residuals[2] <= factor**4 * residuals[1] + 1e-6)
    assert residuals[0].max() > 1e-2


@pytest.mark.parametrize("filter", Filter)
def test_a_coordinate_has_one_value_on_every_grid(make_network, filter):
    network = make_network(filter, weight_scale=0.5, contraction=0.8)
    halves = (1.0, 0.625)

    def rendered(shape):
        centres = [
            sample_centres(np.arange(m), count=m, half_extent=half) for m, half in zip(shape, halves, strict=True)
        ]
        return network.evaluate(grid_coordinates(centres)).reshape(*shape, -1)

    native = rendered((8, 5))
    np.testing.assert_allclose(rendered((24, 15))[1::3, 1::3], native, atol=1e-5)
    np.testing.assert_allclose(rendered((8, 35))[:, 3::7], native, atol=1e-5)


def test_a_sample_does_not_depend_on_its_neighbours(make_network):
    network = make_network(weight_scale=0.5, contraction=0.8)
    x = points(64, 2)
    together = network.evaluate(x)
    np.testing.assert_allclose(np.concatenate([network.evaluate(row[None]) for row in x]), together, atol=1e-5)


@pytest.mark.parametrize("filter", Filter)
def test_phases_of_long_signals_are_exact(make_network, filter):
    network = make_network(filter, axis_count=1)
    nyquist = math.pi * 88_200 / 2.0
    network.tensors["U_0"][:] *= np.float32(nyquist)
    if filter is Filter.GABOR:
        network.tensors["gamma_0"][:] *= np.float32(100.0)
    x = sample_centres(np.arange(0, 88_200, 7), count=88_200, half_extent=1.0)[:, None]
    tensors = {name: tensor.astype(np.float64) for name, tensor in network.tensors.items()}
    wave = np.sin(x @ tensors["U_0"].T + tensors["phi_0"])
    if filter is Filter.GABOR:
        wave = wave * np.exp(-0.5 * (tensors["gamma_0"] * (x - tensors["mu_0"].T)) ** 2)
    np.testing.assert_allclose(network.inject(x)[0], wave, atol=5e-7)  # 2⁻²² of rounding the phase


@pytest.mark.parametrize("change", [{"W": (1, 7)}, {"A_1": (7, 6)}, {"extra": (1,)}, {"b": None}])
def test_tensors_that_do_not_fit_are_refused(make_network, change):
    network = make_network()
    tensors = {name: tensor for name, tensor in network.tensors.items() if name not in change}
    tensors |= {name: np.zeros(shape, dtype=np.float32) for name, shape in change.items() if shape}
    with pytest.raises(OptionError, match="do not fit"):
        StoredNetwork(network.architecture, tensors, 1.0, 1)
