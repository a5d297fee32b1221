from dataclasses import replace

import numpy as np
import pytest
import torch

from i2codec.errors import OptionError
from i2codec.field.architecture import Filter
from i2codec.render import field as field_module
from i2codec.render.field import Field
from i2codec.render.render import render_signal

FILTERS = pytest.mark.parametrize("filter", Filter)
CALLS = ("__call__", "state", "residual", "gradient", "hessian")


def points(count, seed=0):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, size=(count, 2))


def test_coordinates_are_the_sample_centres(make_stored):
    field = Field(make_stored(3, 4))
    assert field.half_extents == (0.75, 1.0)
    assert field.description.extents == (3, 4)
    x = field.coordinates().reshape(3, 4, 2)
    np.testing.assert_allclose(x[:, 0, 0], [-0.5, 0.0, 0.5])
    np.testing.assert_allclose(x[0, :, 1], [-0.75, -0.25, 0.25, 0.75])
    assert field.coordinates((1, 2)).tolist() == [[0.0, -0.5], [0.0, 0.5]]


@pytest.mark.parametrize("extents", [(3,), (3, 4, 5), (0, 4), (-1, 4), ()])
def test_grids_that_do_not_fit_are_refused(make_stored, extents):
    with pytest.raises(OptionError, match="expected 2 numbers"):
        Field(make_stored(3, 4)).coordinates(extents)


@pytest.mark.parametrize("x", [[0.0, 0.0], [[0.0]], [[0.0, 0.0, 0.0]], [[0.0, np.nan]], [[0.0, np.inf]]])
@pytest.mark.parametrize("call", CALLS)
def test_coordinates_that_do_not_fit_are_refused(make_stored, x, call):
    with pytest.raises(OptionError, match=r"finite numbers \[N, 2\]"):
        getattr(Field(make_stored(3, 4)), call)(x)


@pytest.mark.parametrize(("call", "shape"), list(zip(CALLS, [(3,), (6,), (), (3, 2), (3, 2, 2)], strict=True)))
@pytest.mark.parametrize("count", [0, 1, 5])
def test_shapes(make_stored, call, shape, count):
    result = getattr(Field(make_stored(3, 4)), call)(points(count))
    assert result.shape == (count, *shape)
    assert result.dtype == (np.float64 if call in ("gradient", "hessian") else np.float32)


@pytest.mark.parametrize("call", CALLS)
def test_blocks_do_not_show(make_stored, call, monkeypatch):
    field = Field(make_stored())
    x = points(23)
    whole = getattr(field, call)(x)
    monkeypatch.setattr(field_module, "_BLOCK_POINTS", 5)
    monkeypatch.setattr(field_module, "_DERIVATIVE_BLOCK_POINTS", 5)
    np.testing.assert_allclose(getattr(field, call)(x), whole, atol=1e-4)


@FILTERS
def test_the_state_solves_its_equation(make_stored, filter):
    stored = make_stored(filter=filter, depth=2)
    field = Field(stored)
    assert field.residual(points(50)).max() < 1e-5
    network = stored.networks[0].dequantised()
    np.testing.assert_allclose(network.read_out(field.state(points(50))), field(points(50)), atol=1e-5)
    assert Field(make_stored(filter=filter, depth=2, steps=1)).residual(points(50)).max() > 1e-2


@FILTERS
def test_derivatives_are_those_of_finite_differences(make_stored, filter):
    field = Field(make_stored(filter=filter, depth=2, steps=9))
    module = field.to_torch().double()
    x, step = points(20), 2e-6

    def phi(x):
        with torch.no_grad():
            return module(torch.from_numpy(x)).numpy()

    gradient, hessian = field.gradient(x), field.hessian(x)
    for axis in range(2):
        along = step * np.eye(2)[axis]
        for function, derivative in ((phi, gradient), (field.gradient, hessian)):
            expected = (function(x + along) - function(x - along)) / (2 * step)
            np.testing.assert_allclose(derivative[..., axis], expected, rtol=1e-7, atol=1e-6)
    assert np.abs(gradient).max() > 0.1
    assert np.abs(hessian).max() > 0.1


@FILTERS
def test_the_torch_module_is_the_same_function(make_stored, filter):
    field = Field(make_stored(filter=filter))
    x = points(30)
    found = field.to_torch()(torch.from_numpy(x))
    assert found.requires_grad
    np.testing.assert_allclose(found.detach().numpy(), field(x), atol=1e-5)


def test_long_axes_are_resolved(make_stored):
    field = Field(make_stored(1, 2**20, steps=3))
    ends = field.coordinates()[[0, -1]]
    np.testing.assert_array_equal(ends[:, 1], [-1.0 + 2.0**-20, 1.0 - 2.0**-20])
    assert field(ends).shape == (2, 3)


def test_render_is_that_of_the_file(make_stored):
    stored = make_stored()
    found = Field(stored).render((20, 30), region=[(3, 10), (4, 8)])
    expected = render_signal(stored, extents=(20, 30), region=[(3, 10), (4, 8)], device="cpu")
    np.testing.assert_array_equal(found.samples, expected.samples)
    assert found.description == expected.description


UNITS = pytest.mark.parametrize(("extents", "length"), [((230,), 50), ((11, 6, 8), 5)])


def points_of_units(stored, count, seed=0):
    """At least 1/1000 of the time axis away from where units meet, so that differences stay inside one."""
    found = np.random.default_rng(seed).uniform(-1.0, 1.0, size=(count, len(stored.description.axes)))
    starts = [
        2.0 * stored.segments.bounds(unit)[0] / stored.segments.extent - 1.0 for unit in range(len(stored.networks))
    ]
    return found[np.abs(found[:, :1] - starts).min(axis=1) > 1e-3]


@UNITS
def test_derivatives_know_the_length_of_each_unit(make_units, extents, length):
    stored = make_units(*extents, length=length)
    field = Field(stored)
    x, step = points_of_units(stored, 60), 1e-5
    gradient, hessian = field.gradient(x), field.hessian(x)

    def phi(x):
        """In float64, by each unit's own module and coordinates."""
        result = np.empty((len(x), len(stored.description.channels)))
        for unit in range(stored.segments.count):
            start, stop = stored.segments.bounds(unit)
            place = 0.5 * (x[:, 0] + 1.0) * stored.segments.extent
            inside = (start <= place) & (place < stop)
            local = x[inside]
            local[:, 0] = 2.0 * (place[inside] - start) / (stop - start) - 1.0
            with torch.no_grad():
                result[inside] = field.to_torch(unit=unit).double()(torch.from_numpy(local)).numpy()
        return result

    np.testing.assert_allclose(field(x), phi(x), atol=1e-5)
    for axis in range(len(extents)):
        along = step * np.eye(len(extents))[axis]
        for function, derivative in ((phi, gradient), (field.gradient, hessian)):
            expected = (function(x + along) - function(x - along)) / (2 * step)
            np.testing.assert_allclose(derivative[..., axis], expected, rtol=1e-5, atol=1e-3)
    assert np.abs(gradient).max() > 1.0
    assert np.abs(hessian).max() > 1.0


@UNITS
@pytest.mark.parametrize("call", CALLS)
def test_the_order_of_points_does_not_matter(make_units, extents, length, call):
    stored = make_units(*extents, length=length)
    x = points_of_units(stored, 40)
    order = np.random.default_rng(1).permutation(len(x))
    whole, shuffled = (getattr(Field(stored), call)(points) for points in (x, x[order]))
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-4)


def test_points_outside_the_time_belong_to_the_nearest_unit(make_units):
    stored = make_units(230, length=50)
    field = Field(stored)
    for unit, x, local in ((0, -1.2, -1.0 - 0.2 * 230 / 50), (4, 1.2, 1.0 + 0.2 * 230 / 30)):
        expected = stored.networks[unit].dequantised().evaluate(np.array([[local]]))
        np.testing.assert_allclose(field([[x]]), expected, atol=1e-5)


def test_each_unit_is_a_torch_module(make_units):
    stored = make_units(230, length=50)
    x = np.linspace(-1.0, 1.0, 9)[:, None]
    for unit, network in enumerate(stored.networks):
        found = Field(stored).to_torch(unit=unit)(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(found, network.dequantised().evaluate(x), atol=1e-5)


def test_states_of_units_of_different_widths_are_asked_for_one_by_one(make_units):
    stored = make_units(20, length=10)
    narrow = stored.networks[0]
    architecture = replace(narrow.architecture, width=3)
    integers = {name: np.zeros(shape, dtype=np.int64) for name, shape in architecture.tensor_shapes.items()}
    stored = replace(
        stored, networks=(replace(narrow, architecture=architecture, integers=integers), stored.networks[1])
    )
    field = Field(stored)
    assert field([[-0.5], [0.5]]).shape == (2, 1)
    assert [field.state([[x]]).shape for x in (-0.5, 0.5)] == [(1, 3), (1, 5)]
    with pytest.raises(OptionError, match="units of different widths; ask for one unit"):
        field.state([[-0.5], [0.5]])
