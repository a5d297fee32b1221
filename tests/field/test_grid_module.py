import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.field.grid_module import GridField, LatentReader, bounded
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import level_extents
from i2codec.field.stencil import Stencil, apply_stencil, sup_norm

NETWORKS = st.fixed_dictionaries(
    {
        "axis_count": st.integers(1, 3),
        "level_count": st.integers(1, 4),
        "channel_count": st.integers(1, 4),
        "hidden_width": st.integers(1, 6),
        "width": st.integers(1, 5),
        "stencil": st.sampled_from(list(Stencil)),
        "unrolled": st.booleans(),
        "contraction": st.floats(0.1, 0.95),
        "steps": st.integers(1, 7),
        "seed": st.integers(0, 2**32 - 1),
    }
)
MORE_PLANES = st.booleans()
"""Whether a photo has a latent for each output at every node."""
SHIFTS = st.sampled_from([0.0, 0.25, 0.5, 0.8125])
EXTENTS = {1: (7,), 2: (4, 3), 3: (2, 3, 2)}


def native_positions(extents, shift=0.5):
    return [np.arange(extent) + shift for extent in extents]


def tensors_of(latents, dtype=torch.float32):
    return [torch.from_numpy(latent).to(dtype) for latent in latents]


def rendered(field, v, *, steps):
    return field.read_out(field.state(field.inject(v), steps=steps))


def assert_same(found, expected):
    """Channels first, as torch has them, and last."""
    expected = np.moveaxis(expected, -1, 0)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5 * max(1.0, np.abs(expected).max()))  # 6e-7 seen


@settings(max_examples=80)
@given(NETWORKS, MORE_PLANES, st.data())
def test_it_computes_what_is_stored(make_grid_network, make_pyramid, options, more_planes, data):
    if options["unrolled"]:
        options["contraction"] *= 2.0  # nothing bounds it
    plane_count = options["channel_count"] if more_planes and options["axis_count"] == 2 else 1
    network = make_grid_network(**options, plane_count=plane_count)
    extents = tuple(data.draw(st.integers(1, 6)) for _ in range(options["axis_count"]))
    positions = [np.arange(extent) + data.draw(SHIFTS) for extent in extents]
    latents = make_pyramid(extents, options["level_count"], plane_count=plane_count, seed=options["seed"])
    reader = LatentReader(extents, positions, levels=range(options["level_count"]))
    v = reader(tensors_of(latents))
    gains = network.tensors["gains"].reshape(-1, *[1] * len(extents))
    np.testing.assert_allclose(gains * v.numpy(), network.read(latents, positions), atol=1e-5)
    assert_same(rendered(GridField.from_stored(network), v, steps=network.steps), network.evaluate(latents, positions))


@pytest.mark.parametrize("axis_count", [1, 2, 3])
@pytest.mark.parametrize("stencil", [Stencil.CROSS, Stencil.FULL])
def test_the_recurrence_is_the_stencil(make_grid_network, axis_count, stencil):
    """Tap by tap, so that no two can be exchanged."""
    network = make_grid_network(axis_count=axis_count, stencil=stencil, width=2)
    field, generator = GridField.from_stored(network), np.random.default_rng(0)
    z, u = generator.normal(size=(2, 2, *[4] * axis_count)).astype(np.float32)
    for tap in range(len(network.architecture.offsets)):
        taps = np.zeros_like(network.tensors["A"])
        taps[..., tap] = network.tensors["A"][..., tap]
        field.tensors["A"] = torch.nn.Parameter(torch.from_numpy(taps), requires_grad=False)
        kernel = field.recurrence()
        assert kernel.shape == (2, 2, *[3] * axis_count)
        found = field.layer(torch.from_numpy(z), torch.from_numpy(u), kernel)
        expected = u + apply_stencil(taps, np.maximum(z, 0.0), network.architecture.offsets)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_a_pointwise_layer_has_no_recurrence(make_grid_network):
    field = GridField.from_stored(make_grid_network(stencil=Stencil.POINTWISE))
    u = torch.ones(3, 4, 5)
    assert field.recurrence() is None
    assert field.state(u, steps=9) is u


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_steps_are_counted_exactly(make_grid_network, steps):
    network = make_grid_network(steps=steps)
    field, u = GridField.from_stored(network), torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    z = torch.zeros_like(u)
    for _ in range(steps):
        z = field.layer(z, u, field.recurrence())
    assert torch.equal(field.state(u, steps=steps), z)


def test_levels_read_at_their_nodes_need_no_matrix():
    extents = (6, 5)
    native = LatentReader(extents, native_positions(extents), levels=range(3))
    names = {f"matrix_{level}_{axis}" for level in (1, 2) for axis in (0, 1)}
    assert {name for name, _ in native.named_buffers()} == names
    assert not native.state_dict()
    moved = LatentReader(extents, [np.arange(6) + 0.25, np.arange(5) + 0.5], levels=range(1))
    assert {name for name, _ in moved.named_buffers()} == {"matrix_0_0"}
    coarse = LatentReader((8, 4), [np.array([2.0, 6.0]), np.array([2.0])], levels=range(2, 3))
    latent = torch.tensor([[3.0], [-2.0]])
    assert not dict(coarse.named_buffers())
    assert torch.equal(coarse([latent]), latent[None])


def test_an_identity_needs_all_of_the_nodes():
    """Positions at the first nodes only are as many as the nodes of no level."""
    reader = LatentReader((6,), [np.arange(3) + 0.5], levels=range(1))
    assert torch.equal(reader([torch.arange(6.0)]), torch.arange(3.0)[None])


@pytest.mark.parametrize(("axis_count", "plane_count"), [(1, 1), (2, 1), (3, 1), (2, 2)])
@pytest.mark.parametrize("first_level", [1, 2])
def test_finest_levels_that_are_left_out_are_zero(
    make_grid_network, make_pyramid, axis_count, plane_count, first_level
):
    network, extents = make_grid_network(axis_count=axis_count, plane_count=plane_count), EXTENTS[axis_count]
    latents = make_pyramid(extents, 3, plane_count=plane_count)
    left = [latent if level >= first_level else 0 * latent for level, latent in enumerate(latents)]
    field, positions = GridField.from_stored(network), native_positions(extents, 0.25)
    every = LatentReader(extents, positions, levels=range(3))
    part = LatentReader(extents, positions, levels=range(first_level, 3))
    values = part(tensors_of(latents[first_level:]))
    np.testing.assert_allclose(values, every(tensors_of(left))[first_level * plane_count :], atol=1e-6)
    assert_same(rendered(field, values, steps=network.steps), network.evaluate(left, positions))
    assert np.abs(network.evaluate(left, positions) - network.evaluate(latents, positions)).max() > 1e-2


def test_the_levels_read_are_those_given():
    reader = LatentReader((4,), native_positions((4,)), levels=range(2))
    with pytest.raises(ValueError, match="zip"):
        reader([torch.zeros(4)])


def parameters_of(field):
    return {f"tensors.{name}": tensor.detach().clone().requires_grad_() for name, tensor in field.tensors.items()}


@pytest.mark.parametrize("contraction", [None, 0.3, 5.0], ids=["as it is", "bound binds", "bound does not"])
@pytest.mark.parametrize(
    ("axis_count", "plane_count", "stencil"),
    [
        (1, 1, Stencil.FULL),
        (2, 1, Stencil.FULL),
        (3, 1, Stencil.CROSS),
        (2, 1, Stencil.POINTWISE),
        (2, 2, Stencil.POINTWISE),
    ],
)
def test_gradients_are_those_of_finite_differences(
    make_grid_network, make_pyramid, axis_count, plane_count, stencil, contraction
):
    sizes = {"axis_count": axis_count, "plane_count": plane_count, "hidden_width": 4, "width": 2, "level_count": 2}
    network = make_grid_network(**sizes, stencil=stencil, seed=3)
    extents = EXTENTS[axis_count]
    field = GridField(network.architecture, GridField.from_stored(network).tensors, contraction=contraction).double()
    reader = LatentReader(extents, native_positions(extents, 0.25), levels=range(2)).double()
    parameters = parameters_of(field)
    pyramid = make_pyramid(extents, 2, plane_count=plane_count)
    latents = [latent.requires_grad_() for latent in tensors_of(pyramid, torch.float64)]

    def output(first, second, *values):
        changed = {f"field.{name}": value for name, value in zip(parameters, values, strict=True)}
        return torch.func.functional_call(Solved(field, reader), changed, (first, second))

    assert torch.autograd.gradcheck(output, (*latents, *parameters.values()))


class Solved(torch.nn.Module):
    """Φ of two levels of latents after four steps."""

    def __init__(self, field, reader):
        super().__init__()
        self.field, self.reader = field, reader

    def forward(self, *latents):
        return rendered(self.field, self.reader(latents), steps=4)


def test_every_parameter_has_a_gradient(make_grid_network, make_pyramid):
    network = make_grid_network(contraction=2.0)
    field = GridField(network.architecture, GridField.from_stored(network).tensors, contraction=0.9).requires_grad_()
    reader = LatentReader((4, 5), native_positions((4, 5), 0.25), levels=range(3))
    latents = [latent.requires_grad_() for latent in tensors_of(make_pyramid((4, 5), 3))]
    rendered(field, reader(latents), steps=3).square().sum().backward()
    for part in [*latents, *field.parameters()]:
        assert part.grad.abs().max() > 0.0


@given(st.integers(1, 4), st.integers(1, 27), st.floats(0.05, 0.99), st.floats(0.01, 100.0), st.integers(0, 2**32 - 1))
def test_rows_are_bounded(width, tap_count, contraction, scale, seed):
    generator = np.random.default_rng(seed)
    taps = torch.from_numpy(generator.normal(size=(width, width, tap_count)) * scale)
    taps[0] *= 1e-3
    found, sums = bounded(taps, contraction), taps.abs().sum(dim=(1, 2))
    for before, after, total in zip(taps, found, sums, strict=True):
        if total <= contraction:
            torch.testing.assert_close(after, before, rtol=1e-12, atol=0.0)
        else:
            torch.testing.assert_close(after, before * contraction / total)
            assert float(after.abs().sum()) == pytest.approx(contraction)
    assert sup_norm(found.float().numpy()) <= contraction * (1.0 + 1e-6)


@pytest.mark.parametrize("contraction", [0.0, 0.5])
@pytest.mark.parametrize("size", [0.0, 1e-6])
def test_small_weights_have_a_finite_gradient(contraction, size):
    taps = torch.full((2, 2, 3), size, requires_grad=True)
    found = bounded(taps, contraction)
    found.sum().backward()
    assert torch.equal(found, taps if contraction else torch.zeros_like(taps))
    assert torch.equal(taps.grad, torch.full_like(taps, 1.0 if contraction else 0.0))


@settings(max_examples=25)
@given(NETWORKS, st.floats(0.2, 0.9))
def test_a_fitted_field_is_stored_and_read_back(make_grid_network, make_pyramid, options, contraction):
    start = make_grid_network(**(options | {"contraction": 1.7}))
    field = GridField(start.architecture, GridField.from_stored(start).tensors, contraction=contraction)
    stored = {name: tensor.detach().numpy() for name, tensor in field.stored_tensors().items()}
    network = StoredGridNetwork(start.architecture, stored, options["steps"])
    if "A" in stored:
        assert sup_norm(stored["A"]) == pytest.approx(contraction, rel=1e-6)
        assert sup_norm(field.tensors["A"].detach().numpy()) == pytest.approx(1.7, rel=1e-6)  # what is fitted stays
    back = GridField.from_stored(network)
    assert back.contraction is None
    extents = EXTENTS[options["axis_count"]]
    latents, positions = make_pyramid(extents, options["level_count"]), native_positions(extents)
    v = LatentReader(extents, positions, levels=range(options["level_count"]))(tensors_of(latents))
    with torch.no_grad():
        ours, theirs = (rendered(module, v, steps=network.steps) for module in (field, back))
    assert torch.equal(ours, theirs)
    assert_same(theirs, network.evaluate(latents, positions))


def test_what_was_stored_does_not_change_with_the_module(make_grid_network):
    network = make_grid_network()
    field = GridField.from_stored(network)
    assert not any(parameter.requires_grad for parameter in field.parameters())
    before = {name: tensor.copy() for name, tensor in network.tensors.items()}
    for name, tensor in field.tensors.items():
        assert torch.equal(field.stored_tensors()[name], tensor)
        tensor.add_(1.0)
        np.testing.assert_array_equal(network.tensors[name], before[name])


def test_parameters_are_those_given(make_grid_network):
    tensors = {name: torch.from_numpy(tensor.copy()) for name, tensor in make_grid_network().tensors.items()}
    field = GridField(make_grid_network().architecture, tensors)
    assert {name for name, _ in field.named_parameters()} == {f"tensors.{name}" for name in tensors}
    for name, tensor in tensors.items():
        assert field.tensors[name].data_ptr() == tensor.data_ptr()
        assert field.tensors[name].requires_grad


@settings(max_examples=25)
@given(
    st.integers(1, 3), st.sampled_from([Stencil.CROSS, Stencil.FULL]), st.floats(0.1, 0.85), st.integers(0, 2**32 - 1)
)
def test_the_fixed_point_does_not_depend_on_the_start(make_grid_network, axis_count, stencil, contraction, seed):
    network = make_grid_network(axis_count=axis_count, stencil=stencil, contraction=3.0, seed=seed)
    field = GridField(network.architecture, GridField.from_stored(network).tensors, contraction=contraction)
    generator = torch.Generator().manual_seed(seed)
    u, z = torch.randn(2, 3, *EXTENTS[axis_count], generator=generator)
    with torch.no_grad():
        recurrence, zero = field.recurrence(), field.state(u, steps=100)
        z, other = 100.0 * z, torch.zeros_like(z)
        for _ in range(100):  # 0.85¹⁰⁰ is 9e-8
            before = (z - other).abs().max()
            z, other = field.layer(z, u, recurrence), field.layer(other, u, recurrence)
            assert (z - other).abs().max() <= contraction * before * (1.0 + 1e-5) + 1e-5
    torch.testing.assert_close(z, zero, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(field.layer(z, u, recurrence).detach(), z, atol=1e-4, rtol=0.0)


def test_latents_that_are_all_one_read_as_one_everywhere():
    extents = (5, 9)
    reader = LatentReader(extents, native_positions(extents, 0.8125), levels=range(4))
    latents = [torch.ones(level_extents(extents, level)) for level in range(4)]
    torch.testing.assert_close(reader(latents), torch.ones(4, 5, 9))


def test_planes_are_read_as_if_each_were_alone(make_pyramid):
    extents = (5, 9)
    reader = LatentReader(extents, native_positions(extents, 0.8125), levels=range(3))
    latents = tensors_of(make_pyramid(extents, 3, plane_count=2))
    first, second = (reader([latent[plane] for latent in latents]) for plane in (0, 1))
    torch.testing.assert_close(reader(latents), torch.stack([first, second], dim=1).flatten(0, 1))
