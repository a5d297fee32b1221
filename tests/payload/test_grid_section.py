import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.entropy.tables import LARGEST_MAGNITUDE
from i2codec.errors import FormatError, LimitError, OptionError, TruncatedError, VersionError
from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.stencil import Stencil, sup_norm
from i2codec.latents.template import Template
from i2codec.payload.grid_section import (
    GRID_HEADER,
    pack_grid_network,
    proved_contraction,
    read_grid_architecture,
    unpack_grid_network,
)
from i2codec.payload.network_header import NETWORK_HEADER, basis_of
from i2codec.payload.network_section import pack_network, unpack_network
from i2codec.payload.tensors import TENSOR
from i2codec.signal.colour import ColourTransform

HEADERS = NETWORK_HEADER.size + GRID_HEADER.size


def unpack(payload, *, axis_count=2, channel_count=3, limits=DEFAULT_LIMITS):
    return unpack_grid_network(payload, axis_count=axis_count, channel_count=channel_count, limits=limits)


def changed(network, **values):
    """The network's payload with other numbers in its headers."""
    payload = pack_grid_network(network)
    sizes = NETWORK_HEADER.unpack(payload) | GRID_HEADER.unpack(payload, NETWORK_HEADER.size)
    assert values.keys() <= sizes.keys()
    headers = [
        layout.pack(**{name: (sizes | values)[name] for name in layout.names})
        for layout in (NETWORK_HEADER, GRID_HEADER)
    ]
    return b"".join(headers) + payload[HEADERS:]


def assert_equal(found, expected):
    assert found.architecture == expected.architecture
    assert list(found.integers) == list(expected.architecture.tensor_shapes)
    for name, integers in expected.integers.items():
        np.testing.assert_array_equal(found.integers[name], integers)
        assert found.integers[name].dtype == np.int64
    for name in ("quantisation_steps", "contraction", "steps", "prior", "colour_transform"):
        assert getattr(found, name) == getattr(expected, name)


NAMES = list(GridArchitecture(1, 1, 1).tensor_shapes)


@given(
    st.fixed_dictionaries(
        {
            "axis_count": st.integers(1, 3),
            "stencil": st.sampled_from(Stencil),
            "unrolled": st.booleans(),
            "level_count": st.integers(1, 16),
            "hidden_width": st.integers(1, 9),
            "width": st.integers(1, 4),
            "context_width": st.integers(1, 32),
            "context_count": st.integers(1, 16),
            "channel_count": st.integers(1, 4),
            "template": st.sampled_from([Template.PLANE, Template.VOLUME, Template.COLOUR]),
            "steps": st.integers(1, 64),
            "transform": st.sampled_from(ColourTransform),
            "largest": st.sampled_from([0, 1, 50, 5000, LARGEST_MAGNITUDE]),
            "zeros": st.lists(st.sampled_from(NAMES)).map(tuple),
            "seed": st.integers(0, 1000),
        }
    )
    .filter(lambda options: not (options["unrolled"] and options["stencil"] is Stencil.POINTWISE))
    .filter(
        lambda options: (
            options["template"] is not Template.COLOUR or (options["axis_count"] == 2 and options["channel_count"] > 1)
        )
    )
)
def test_round_trip(make_grid, options):
    network = make_grid(**options)
    payload = pack_grid_network(network)
    assert basis_of(payload) is Basis.PYRAMID
    sizes = {name: options[name] for name in ("axis_count", "channel_count")}
    found = unpack(payload, **sizes)
    assert_equal(found, network)
    assert found.template is options["template"]
    assert pack_grid_network(found) == payload
    assert read_grid_architecture(payload, limits=DEFAULT_LIMITS, **sizes) == network.architecture


def test_a_pointwise_layer_is_not_unrolled(make_grid):
    with pytest.raises(OptionError, match="no steps to unroll"):
        make_grid(stencil=Stencil.POINTWISE, unrolled=True)


def test_tensors_must_fit(make_grid):
    network = make_grid()
    with pytest.raises(OptionError, match="do not fit"):
        replace(network, integers={**network.integers, "C_1": network.integers["C_1"].mT})
    with pytest.raises(OptionError, match="do not fit"):
        replace(network, architecture=replace(network.architecture, context_count=3))


def test_context_features_are_those_of_a_template(make_grid):
    architecture = replace(make_grid().architecture, context_features=18)
    integers = {name: np.zeros(shape, np.int64) for name, shape in architecture.tensor_shapes.items()}
    with pytest.raises(OptionError, match="no context template has 18 features"):
        pack_grid_network(replace(make_grid(), architecture=architecture, integers=integers))


@pytest.mark.parametrize("channel_count", [2, 3, 4])
def test_the_context_model_of_colours_is_that_of_a_latent_for_each_channel(make_grid, channel_count):
    """The header has no number for it: as many as there are channels."""
    network = make_grid(channel_count=channel_count, template=Template.COLOUR)
    payload = pack_grid_network(network)
    architecture = unpack(payload, channel_count=channel_count).architecture
    assert architecture.plane_count == channel_count
    assert architecture.tensor_shapes["gains"] == (4 * channel_count,)
    assert len(payload) > len(pack_grid_network(make_grid(channel_count=channel_count)))


@pytest.mark.parametrize(("axis_count", "channel_count"), [(2, 1), (1, 3), (3, 3), (1, 1)])
def test_a_file_without_planes_of_colours_does_not_have_their_context_model(make_grid, axis_count, channel_count):
    payload = changed(make_grid(axis_count=axis_count, channel_count=channel_count), context_model=Template.COLOUR)
    with pytest.raises(FormatError, match="expected"):
        unpack(payload, axis_count=axis_count, channel_count=channel_count)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (Template.PLANE, "3 latents at every node under the context model plane"),
        (Template.VOLUME, "3 latents at every node under the context model volume"),
        (Template.COLOUR, "1 latents at every node under the context model colour"),
    ],
)
def test_planes_and_the_context_model_go_together(make_grid, template, message):
    planes = 1 if template is Template.COLOUR else 3
    network = make_grid(template=template)
    architecture = replace(network.architecture, plane_count=planes)
    integers = {name: np.zeros(shape, np.int64) for name, shape in architecture.tensor_shapes.items()}
    with pytest.raises(OptionError, match=message):
        replace(network, architecture=architecture, integers=integers)


def test_the_decoder_runs_priors_plus_integers_times_steps(make_grid, a_prior):
    number, prior = a_prior(make_grid().architecture)
    network = make_grid(prior=number, zeros=("W",))
    stored = unpack(pack_grid_network(network)).dequantised()
    assert stored.steps == 9
    assert list(stored.tensors) == list(network.architecture.synthesis_shapes)
    for name, tensor in stored.tensors.items():
        assert tensor.dtype == np.float32
        expected = prior[name] / 1024.0 + network.integers[name] * network.quantisation_steps[name]
        np.testing.assert_array_equal(tensor, expected.astype(np.float32))
    np.testing.assert_array_equal(stored.tensors["W"], prior["W"] / 1024.0)


@pytest.mark.parametrize("template", [Template.PLANE, Template.VOLUME, Template.COLOUR])
def test_the_context_model_is_rounded_to_its_fixed_point(make_grid, template, a_prior):
    number, prior = a_prior(make_grid(template=template).architecture)
    network = make_grid(template=template, prior=number, seed=1)
    model = unpack(pack_grid_network(network)).context_model()
    assert model.template is template
    for name, tensor in zip(
        ("C_1", "d_1", "C_2", "d_2", "C_3", "d_3"), ("w1", "b1", "w2", "b2", "w3", "b3"), strict=True
    ):
        exact = prior[name] + 1024.0 * network.integers[name] * network.quantisation_steps[name]
        np.testing.assert_array_equal(getattr(model, tensor), np.rint(exact))


def test_tensors_at_their_prior_cost_nothing(make_grid):
    network = make_grid(zeros=tuple(NAMES))
    assert len(pack_grid_network(network)) == HEADERS == 33
    one = make_grid(zeros=tuple(name for name in NAMES if name != "b"))
    assert len(pack_grid_network(one)) == HEADERS + TENSOR.size + 4
    assert GRID_HEADER.unpack(pack_grid_network(one), NETWORK_HEADER.size)["coded_tensors"] == 1 << NAMES.index("b")


def test_the_proved_factor_bounds_the_stencil(make_grid):
    stored, generator = make_grid().dequantised(), np.random.default_rng(0)
    rounded_down = 0
    for _ in range(20):
        taps = generator.normal(size=stored.tensors["A"].shape).astype(np.float32)
        bound = proved_contraction(replace(stored, tensors={**stored.tensors, "A": taps}))
        norm = sup_norm(taps)
        assert norm <= bound == float(np.float32(bound)) <= norm * (1 + 2**-23)
        rounded_down += float(np.float32(norm)) < norm
    assert rounded_down > 5
    for twin in ({"unrolled": True}, {"stencil": Stencil.POINTWISE}):
        assert proved_contraction(make_grid(**twin).dequantised()) == 0.0


@pytest.mark.parametrize(
    "field",
    [
        "injection",
        "basis",
        "layer",
        "norm",
        "start_state",
        "stencil",
        "boundary",
        "interpolation",
        "context_model",
        "tables",
        "prior",
        "colour_transform",
        "noise_filling",
        "latent_tables",
    ],
)
def test_unknown_ids_need_a_newer_reader(make_grid, field):
    with pytest.raises(VersionError, match=rf"(?s){field.split('_')[0]}.*200.*update i2codec"):
        unpack(changed(make_grid(), **{field: 200}))


@pytest.mark.parametrize(
    "field", ["injection", "basis", "layer", "stencil", "boundary", "interpolation", "context_model", "latent_tables"]
)
def test_these_ids_have_no_zero(make_grid, field):
    with pytest.raises(VersionError, match="update i2codec"):
        unpack(changed(make_grid(), **{field: 0}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"injection": 1}, "a grid field with the injection siren"),
        ({"layer": 1}, "layer pointwise and the stencil full"),
        ({"layer": 4}, "layer explicit and the stencil full"),
        ({"stencil": 1}, "layer stencil and the stencil pointwise"),
        ({"layer": 3, "stencil": 1}, "layer stencil_unrolled and the stencil pointwise"),
        ({"layer": 1, "stencil": 1}, "layer pointwise and the stencil pointwise"),
        ({"norm": 0}, "layer stencil with the norm none; expected sup"),
        ({"norm": 1}, "layer stencil with the norm spectral; expected sup"),
        ({"layer": 3}, "layer stencil_unrolled with the norm sup; expected none"),
        ({"depth": 2}, "depth 2 and state scale 1"),
        ({"depth": 0}, "depth 0 and"),
        ({"state_scale": 0.5}, "state scale 0.5"),
        ({"state_scale": math.nan}, "state scale nan"),
        ({"level_count": 0}, "sizes"),
        ({"hidden_width": 0}, "sizes"),
        ({"width": 0}, "sizes"),
        ({"context_width": 0}, "sizes"),
        ({"context_count": 0}, "0 context networks; expected 1 to 4, one a level"),
        ({"context_count": 5}, "5 context networks; expected 1 to 4, one a level"),
        ({"context_count": 255}, "255 context networks"),
        ({"level_count": 1}, "2 context networks; expected 1 to 1"),
        ({"steps": 0}, "step count 0"),
        ({"coded_tensors": 0x4000}, "coded tensors 0x4000; the network has 14 tensors"),
        ({"coded_tensors": 0x8000}, "coded tensors 0x8000"),
        ({"contraction": 1.0}, "contraction factor 1 of"),
        ({"contraction": 0.0}, "contraction factor 0 of a stencil of sup norm"),
        ({"contraction": -0.5}, "contraction factor -0.5"),
        ({"contraction": math.nan}, "contraction factor nan"),
        ({"contraction": math.inf}, "contraction factor inf"),
    ],
)
def test_a_field_that_contradicts_itself_is_refused(make_grid, values, message):
    with pytest.raises(FormatError, match=message):
        unpack(changed(make_grid(), **values))


@pytest.mark.parametrize("options", [{"unrolled": True}, {"stencil": Stencil.POINTWISE}])
def test_a_layer_without_a_bound_promises_none(make_grid, options):
    network = make_grid(**options)
    unpack(changed(network, contraction=0.0))
    with pytest.raises(FormatError, match=r"factor 0\.5 of a layer without a bound"):
        unpack(changed(network, contraction=0.5))


def steep(network, step):
    """The network with a stencil of one tap other than 0."""
    integers = np.zeros_like(network.integers["A"])
    integers[0, 0, 0] = 1
    steps = network.quantisation_steps | {"A": step}
    return replace(network, integers={**network.integers, "A": integers}, quantisation_steps=steps, contraction=0.999)


def test_a_stencil_must_contract(make_grid):
    unpack(pack_grid_network(steep(make_grid(), 0.9990234375 - 0.00048828125)))
    with pytest.raises(FormatError, match="a stencil of sup norm 1; expected below 1"):
        unpack(pack_grid_network(steep(make_grid(), 1.0)))
    with pytest.raises(FormatError, match=r"contraction factor 0\.999 of a stencil of sup norm 0\.99951"):
        unpack(pack_grid_network(steep(make_grid(), 0.99951171875)))
    free = replace(steep(make_grid(unrolled=True), 3.0), contraction=0.0)
    assert unpack(pack_grid_network(free)).dequantised().tensors["A"].max() == 3.0


def test_the_prior_counts_in_the_bound(make_grid, a_prior):
    architecture = make_grid().architecture
    number, _ = a_prior(architecture, largest=1024)
    network = make_grid(zeros=("A",))
    unpack(pack_grid_network(network))
    with pytest.raises(FormatError, match="expected below 1"):
        unpack(pack_grid_network(replace(network, prior=number)))


def test_a_prior_must_be_there_and_fit(make_grid, a_prior):
    network = make_grid()
    with pytest.raises(VersionError, match=r"prior 99; this release carries [\d, ]+: update i2codec"):
        unpack(changed(network, prior=99))
    number, _ = a_prior(replace(network.architecture, hidden_width=8))
    with pytest.raises(FormatError, match=f"prior {number} is for .*hidden_width=8.*; the network is .*hidden_width=7"):
        unpack(changed(network, prior=number))


def test_a_cut_is_found_as_far_as_the_records_go(make_grid):
    network = make_grid(zeros=("W", "C_2"))
    payload = pack_grid_network(network)
    words_at = HEADERS + TENSOR.size * 12
    for length in range(words_at):
        with pytest.raises(TruncatedError):
            unpack(payload[:length])
    for length in range(words_at, len(payload)):
        if (length - words_at) % 4:
            with pytest.raises(FormatError, match="multiple of 4"):
                unpack(payload[:length])


@pytest.mark.parametrize("zeros", [(), tuple(NAMES)])
def test_words_left_over_are_refused(make_grid, zeros):
    with pytest.raises(FormatError, match="left over"):
        unpack(pack_grid_network(make_grid(zeros=zeros)) + bytes(12))


@given(st.binary(min_size=0, max_size=200))
def test_noise_in_place_of_the_words_gives_integers_or_a_format_error(make_grid, noise):
    network = make_grid(unrolled=True)
    try:
        found = unpack(pack_grid_network(network)[: HEADERS + TENSOR.size * len(NAMES)] + noise)
    except FormatError:
        return
    assert {name: tensor.shape for name, tensor in found.integers.items()} == network.architecture.tensor_shapes
    assert all(np.abs(tensor).max() <= LARGEST_MAGNITUDE for tensor in found.integers.values())
    assert np.abs(found.context_model().w1).max() < 2**13


def test_each_kind_of_field_refuses_the_other(make_grid, make_quantised):
    coordinate = pack_network(make_quantised())
    assert basis_of(coordinate) is None
    with pytest.raises(FormatError):
        unpack(coordinate)
    with pytest.raises(VersionError, match="basis has the unknown id 1"):
        unpack_network(pack_grid_network(make_grid()), axis_count=2, channel_count=3, limits=DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ({"level_count": 17}, Limits()),
        ({"level_count": 255}, Limits()),
        ({"hidden_width": 257}, Limits()),
        ({"hidden_width": 65535}, Limits()),
        ({"context_width": 33}, Limits()),
        ({"width": 4097}, Limits()),
        ({"width": 800}, Limits()),
        ({"steps": 65}, Limits()),
        ({}, Limits(max_levels=3)),
        ({}, Limits(max_hidden_width=6)),
        ({}, Limits(max_width=2)),
        ({}, Limits(max_context_width=4)),
        ({}, Limits(max_steps=8)),
        ({}, Limits(max_parameters=433)),
    ],
)
def test_limits_come_before_memory(make_grid, values, limits):
    payload = changed(make_grid(), **values)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="the limit is"):
            unpack(payload, limits=limits)
        assert tracemalloc.get_traced_memory()[1] < 2**18
    finally:
        tracemalloc.stop()


def test_at_its_limits_a_network_is_read(make_grid):
    network = make_grid()
    count = network.architecture.parameter_count
    synthesis = 4 + 7 * 4 + 7 + 3 * 7 + 3 + 3 * 3 * 9 + 3 * 3 + 3
    assert count == synthesis + 2 * (5 * 17 + 5 * 5 + 5 + 2 * 5) + 4 * 5 + 4 * 2
    limits = Limits(
        max_levels=4, max_hidden_width=7, max_width=3, max_context_width=5, max_steps=9, max_parameters=count
    )
    assert_equal(unpack(pack_grid_network(network), limits=limits), network)


@pytest.mark.parametrize("coded", [0, 1 << NAMES.index("A")])
def test_a_few_bytes_cannot_take_much_memory(make_grid, coded):
    empty = make_grid(unrolled=True, zeros=tuple(NAMES))
    payload = changed(empty, width=680, coded_tensors=coded) + TENSOR.pack(step=1.0, table=40) * bool(coded)
    assert len(payload) <= HEADERS + TENSOR.size
    architecture = read_grid_architecture(payload, axis_count=2, channel_count=3, limits=DEFAULT_LIMITS)
    assert 0.99 < architecture.parameter_count / DEFAULT_LIMITS.max_parameters < 1.0
    tracemalloc.start()
    try:
        unpack(payload).dequantised()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**27
