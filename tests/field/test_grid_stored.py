import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import level_extents
from i2codec.field.stencil import Stencil

EVERY_LAYER = pytest.mark.parametrize(
    ("axis_count", "stencil", "unrolled"),
    [(axes, stencil, False) for axes in (1, 2, 3) for stencil in Stencil] + [(2, Stencil.FULL, True)],
)
EXTENTS = {1: (9,), 2: (5, 4), 3: (3, 4, 2)}
EVERY_PLANE_COUNT = pytest.mark.parametrize("plane_count", [2, 3, 4])


def native_positions(extents, shift=0.5):
    return [np.arange(extent) + shift for extent in extents]


def cubic_by_hand(t):
    return 1 - 5 / 2 * t**2 + 3 / 2 * t**3 if t <= 1 else 2 - 4 * t + 5 / 2 * t**2 - 1 / 2 * t**3


def lanczos_by_hand(t):
    return 1.0 if t == 0 else 3 * math.sin(math.pi * t) * math.sin(math.pi * t / 3) / (math.pi * t) ** 2


def read_by_hand(latent, level, point):
    """One latent grid at one native point, as the format page has it."""
    choices = []
    for place, count in zip(point, latent.shape, strict=True):
        n = place / 2**level - 0.5
        reach = 2 if level else 3
        nodes = range(math.floor(n) - reach + 1, math.floor(n) + reach + 1)
        weights = [(cubic_by_hand if level else lanczos_by_hand)(abs(n - node)) for node in nodes]
        total = 1 if level else sum(weights)
        choices.append([(min(max(node, 0), count - 1), w / total) for node, w in zip(nodes, weights, strict=True)])
    return sum(
        math.prod(weight for _, weight in taps) * float(latent[tuple(node for node, _ in taps)])
        for taps in itertools.product(*choices)
    )


def evaluate_by_hand(network, latents, extents, shift):
    """Φ point by point in float64, with states of a dictionary of points."""
    tensors = {name: tensor.astype(np.float64) for name, tensor in network.tensors.items()}
    points = list(itertools.product(*map(range, extents)))
    u = {}
    for point in points:
        place = [at + part for at, part in zip(point, shift, strict=True)]
        v = tensors["gains"] * [
            read_by_hand(plane, level, place)
            for level, latent in enumerate(latents)
            for plane in latent.reshape(-1, *latent.shape[-len(extents) :])
        ]
        u[point] = tensors["E_2"] @ np.maximum(tensors["E_1"] @ v + tensors["e_1"], 0.0) + tensors["e_2"]
    z = {point: np.zeros(network.architecture.width) for point in points}
    for _ in range(network.steps):
        following = {}
        for point in points:
            total = u[point].copy()
            for tap, offset in enumerate(network.architecture.offsets if "A" in tensors else ()):
                neighbour = tuple(
                    min(max(at + step, 0), extent - 1) for at, step, extent in zip(point, offset, extents, strict=True)
                )
                total += tensors["A"][:, :, tap] @ np.maximum(z[neighbour], 0.0)
            following[point] = total
        z = following
    values = [tensors["W"] @ z[point] + tensors["b"] for point in points]
    return np.array(values).reshape(*extents, -1)


@EVERY_LAYER
def test_it_is_the_format_page(make_grid_network, make_pyramid, axis_count, stencil, unrolled):
    network = make_grid_network(axis_count=axis_count, stencil=stencil, unrolled=unrolled, steps=4)
    extents, shift = EXTENTS[axis_count], (0.0, 0.75, 0.3)[:axis_count]
    latents = make_pyramid(extents, 3)
    positions = [np.arange(extent) + part for extent, part in zip(extents, shift, strict=True)]
    found = network.evaluate(latents, positions)
    expected = evaluate_by_hand(network, latents, extents, shift)
    assert found.dtype == np.float32
    assert expected.std() > 0.02
    np.testing.assert_allclose(found, expected, atol=1e-5)  # 8e-7 seen


@EVERY_PLANE_COUNT
def test_planes_are_the_format_page(make_grid_network, make_pyramid, plane_count):
    network = make_grid_network(channel_count=plane_count, plane_count=plane_count, steps=4)
    extents, shift = EXTENTS[2], (0.25, 0.5)
    latents = make_pyramid(extents, 3, plane_count=plane_count)
    positions = [np.arange(extent) + part for extent, part in zip(extents, shift, strict=True)]
    expected = evaluate_by_hand(network, latents, extents, shift)
    assert expected.std() > 0.02
    np.testing.assert_allclose(network.evaluate(latents, positions), expected, atol=1e-5)


@EVERY_PLANE_COUNT
def test_each_plane_has_a_gain_of_its_own(make_grid_network, make_pyramid, plane_count):
    """Those of a level are next to each other, and levels come finest first."""
    network = make_grid_network(channel_count=plane_count, plane_count=plane_count)
    latents = make_pyramid((5, 4), 3, plane_count=plane_count)
    before = network.read(latents, native_positions((5, 4)))
    assert before.shape == (3 * plane_count, 5, 4)
    for level, plane in np.ndindex(3, plane_count):
        moved = [latent.copy() for latent in latents]
        moved[level][plane] += 1
        difference = network.read(moved, native_positions((5, 4))) - before
        expected = np.zeros_like(before)
        number = level * plane_count + plane
        expected[number] = network.tensors["gains"][number]
        np.testing.assert_allclose(difference, expected, atol=1e-5)


def test_one_state_is_the_equation_solved_by_hand():
    architecture = GridArchitecture(1, 1, 1, hidden_width=1, width=1)
    values = {"gains": 0.5, "E_1": 1.0, "e_1": 0.0, "E_2": 1.5, "e_2": -0.75, "A": 0.25, "W": 2.0, "b": 0.125}
    shapes = architecture.synthesis_shapes
    tensors = {name: np.full(shapes[name], value, dtype=np.float32) for name, value in values.items()}
    network = StoredGridNetwork(architecture, tensors, steps=100)
    for latent in (4, 0, -9):
        u = 1.5 * max(0.5 * latent, 0.0) - 0.75
        state = u / (1.0 - 3 * 0.25) if u > 0 else u  # all samples are equal: z = u + 3 a relu(z)
        found = network.evaluate([np.full(7, latent, dtype=np.int32)], [np.arange(7) + 0.5])
        np.testing.assert_allclose(found, 2.0 * state + 0.125, rtol=1e-6)


def test_a_recursive_filter_from_three_taps():
    """z(x) = u(x) + a z(x − 1): the answer to one latent decays over all of the axis, one sample a step."""
    architecture = GridArchitecture(1, 1, 1, hidden_width=1, width=1)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in architecture.synthesis_shapes.items()}
    for name in ("gains", "E_1", "E_2", "W"):
        tensors[name][...] = 1.0
    tensors["A"][0, 0, 0] = 0.5
    latent = np.zeros(8, dtype=np.int32)
    latent[2] = 1
    for steps, reach in ((1, 1), (3, 3), (20, 6)):
        found = StoredGridNetwork(architecture, tensors, steps).evaluate([latent], native_positions((8,)))[:, 0]
        expected = [0.5 ** (x - 2) if 2 <= x < 2 + reach else 0.0 for x in range(8)]
        np.testing.assert_array_equal(found, expected)


def test_no_step_reads_out_the_zero_state(make_grid_network, make_pyramid):
    network = make_grid_network(steps=0)
    found = network.evaluate(make_pyramid((3, 4), 3), native_positions((3, 4)))
    np.testing.assert_array_equal(found, np.broadcast_to(network.tensors["b"], (3, 4, 2)))


@pytest.mark.parametrize("stencil", Stencil)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_steps_are_counted_exactly(make_grid_network, make_pyramid, stencil, steps):
    network = make_grid_network(steps=steps, stencil=stencil)
    u = network.inject(network.read(make_pyramid((4, 5), 3), native_positions((4, 5))))
    z = np.zeros_like(u)
    for _ in range(steps):
        z = network.layer(z, u)
    np.testing.assert_array_equal(network.state(u), z)
    if stencil is Stencil.POINTWISE or steps == 1:
        np.testing.assert_array_equal(z, u)
    else:
        assert np.abs(z - u).max() > 1e-2


def test_a_pointwise_sample_depends_on_its_own_latents_only(make_grid_network, make_pyramid):
    latents = make_pyramid((5, 6), 3)
    moved = [latents[0].copy(), *latents[1:]]
    moved[0][2, 3] += 7
    for stencil, reach in ((Stencil.POINTWISE, 0), (Stencil.CROSS, 3), (Stencil.FULL, 3)):
        network = make_grid_network(stencil=stencil, steps=4)
        before, after = (network.evaluate(levels, native_positions((5, 6))) for levels in (latents, moved))
        touched = np.argwhere(np.abs(after - before).max(axis=-1) > 0)
        assert np.abs(touched - [2, 3]).max() == min(reach, 3)


@settings(max_examples=25)
@given(
    st.integers(1, 3),
    st.sampled_from([Stencil.CROSS, Stencil.FULL]),
    st.floats(0.1, 0.85),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
def test_the_fixed_point_does_not_depend_on_the_start(make_grid_network, axis_count, stencil, bound, width, seed):
    network = make_grid_network(
        axis_count=axis_count, stencil=stencil, width=width, contraction=bound, steps=100, seed=seed
    )
    generator = np.random.default_rng(seed)
    u, z = generator.normal(size=(2, width, *EXTENTS[axis_count])).astype(np.float32)
    z = 100.0 * z
    for _ in range(100):  # 0.85¹⁰⁰ is 9e-8
        z = network.layer(z, u)
    np.testing.assert_allclose(z, network.state(u), atol=1e-4)
    np.testing.assert_allclose(z, network.layer(z, u), atol=1e-4)


@pytest.mark.parametrize("stencil", Stencil)
def test_the_same_shift_is_the_same_grid(make_grid_network, make_pyramid, stencil):
    """A part of the axis far from the cuts has the values of the whole: nothing is tied to the count."""
    network = make_grid_network(stencil=stencil, steps=3)
    latents = make_pyramid((20, 6), 3)
    whole = network.evaluate(latents, [np.arange(20) + 0.25, np.arange(6) + 0.5])
    part = network.evaluate(latents, [np.arange(5, 15) + 0.25, np.arange(6) + 0.5])
    np.testing.assert_allclose(part[2:-2], whole[7:13], atol=1e-6)


def test_latents_of_nothing_are_one_colour(make_grid_network):
    network = make_grid_network(steps=30)
    latents = [np.zeros(level_extents((6, 7), level), dtype=np.int32) for level in range(3)]
    found = network.evaluate(latents, native_positions((6, 7), shift=0.125))
    np.testing.assert_allclose(found, np.broadcast_to(found[0, 0], found.shape), atol=1e-6)


@pytest.mark.parametrize("change", [{"W": (1, 3)}, {"A": (3, 3, 8)}, {"extra": (1,)}, {"b": None}, {"A": None}])
def test_tensors_that_do_not_fit_are_refused(make_grid_network, change):
    network = make_grid_network()
    tensors = {name: tensor for name, tensor in network.tensors.items() if name not in change}
    tensors |= {name: np.zeros(shape, dtype=np.float32) for name, shape in change.items() if shape}
    with pytest.raises(OptionError, match="do not fit"):
        StoredGridNetwork(network.architecture, tensors, 1)
