import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.entropy.tables import LARGEST_MAGNITUDE
from i2codec.errors import FormatError, LimitError, TruncatedError, VersionError
from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.payload.network_header import NETWORK_HEADER
from i2codec.payload.network_section import pack_network, unpack_network
from i2codec.payload.tensors import TENSOR, rate_bits
from i2codec.signal.colour import ColourTransform


def unpack(payload, *, axis_count=2, channel_count=3, limits=DEFAULT_LIMITS):
    return unpack_network(payload, axis_count=axis_count, channel_count=channel_count, limits=limits)


def assert_equal(found, expected):
    assert found.architecture == expected.architecture
    assert list(found.integers) == list(expected.architecture.tensor_shapes)
    for name, integers in expected.integers.items():
        np.testing.assert_array_equal(found.integers[name], integers)
        assert found.integers[name].dtype == np.int64
    for name in ("quantisation_steps", "state_scale", "steps", "colour_transform"):
        assert getattr(found, name) == getattr(expected, name)


@given(
    st.fixed_dictionaries(
        {
            "filter": st.sampled_from(Filter),
            "width": st.integers(1, 6),
            "depth": st.integers(1, 3),
            "axis_count": st.integers(1, 3),
            "channel_count": st.integers(1, 4),
            "norm": st.sampled_from([Norm.SPECTRAL, Norm.SUP]),
            "contraction": st.floats(0.0, 0.9990234375, width=32),
            "steps": st.integers(1, 64),
            "transform": st.sampled_from(ColourTransform),
            "largest": st.sampled_from([0, 1, 50, 5000, LARGEST_MAGNITUDE]),
            "seed": st.integers(0, 1000),
        }
    )
)
def test_round_trip(make_quantised, options):
    network = make_quantised(**options)
    payload = pack_network(network)
    found = unpack(payload, axis_count=options["axis_count"], channel_count=options["channel_count"])
    assert_equal(found, network)
    assert pack_network(found) == payload


def test_the_decoder_runs_integers_times_steps(make_quantised):
    network = make_quantised()
    stored = network.dequantised()
    assert (stored.state_scale, stored.steps) == (0.375, 12)
    for name, tensor in stored.tensors.items():
        assert tensor.dtype == np.float32
        expected = network.integers[name] * network.quantisation_steps[name]
        np.testing.assert_array_equal(tensor, expected.astype(np.float32))


def test_the_rate_is_the_coded_size(make_quantised):
    network = make_quantised(width=60, largest=300)
    header_bytes = NETWORK_HEADER.size + TENSOR.size * len(network.integers)
    assert rate_bits(network.integers, table_set=1) / 8 == pytest.approx(
        len(pack_network(network)) - header_bytes, rel=0.01, abs=8
    )


def changed(network, **values):
    payload = pack_network(network)
    return NETWORK_HEADER.pack(**NETWORK_HEADER.unpack(payload) | values) + payload[NETWORK_HEADER.size :]


def changed_tensor(network, number, **values):
    payload = pack_network(network)
    start = NETWORK_HEADER.size + number * TENSOR.size
    record = TENSOR.pack(**TENSOR.unpack(payload, start) | values)
    return payload[:start] + record + payload[start + TENSOR.size :]


IDS = [name for name in NETWORK_HEADER.names if name not in ("steps", "depth", "width", "contraction", "state_scale")]


def test_every_id_is_tested():
    assert len(IDS) == 13


@pytest.mark.parametrize("field", IDS)
def test_unknown_ids_need_a_newer_reader(make_quantised, field):
    with pytest.raises(VersionError, match="update i2codec"):
        unpack(changed(make_quantised(), **{field: 200}))


@pytest.mark.parametrize("field", ["injection", "layer", "tables"])
def test_these_ids_have_no_zero(make_quantised, field):
    with pytest.raises(VersionError, match="update i2codec"):
        unpack(changed(make_quantised(), **{field: 0}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"contraction": 1.0}, "contraction factor 1.0"),
        ({"contraction": -0.5}, "contraction factor"),
        ({"contraction": math.nan}, "contraction factor nan"),
        ({"contraction": math.inf}, "contraction factor inf"),
        ({"state_scale": -0.5}, "state scale"),
        ({"state_scale": 1.0000001192092896}, "state scale"),
        ({"state_scale": math.nan}, "state scale nan"),
        ({"state_scale": math.inf}, "state scale inf"),
        ({"width": 0}, "width 0"),
        ({"depth": 0}, "depth 0"),
        ({"steps": 0}, "step count 0"),
        ({"norm": 0}, "without a contraction bound"),
    ],
)
def test_a_field_that_cannot_be_solved_is_refused(make_quantised, values, message):
    with pytest.raises(FormatError, match=message):
        unpack(changed(make_quantised(), **values))


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"step": 0.0}, "quantisation step 0.0"),
        ({"step": -1.0}, "quantisation step -1.0"),
        ({"step": math.inf}, "quantisation step inf"),
        ({"step": math.nan}, "quantisation step nan"),
        ({"table": 90}, "entropy table 90"),
        ({"table": 255}, "entropy table 255"),
    ],
)
def test_a_tensor_needs_a_step_and_a_table(make_quantised, number, values, message):
    name = list(make_quantised().integers)[number]
    with pytest.raises(FormatError, match=f"{message} of tensor {name}"):
        unpack(changed_tensor(make_quantised(), number, **values))


def test_a_cut_is_found_as_far_as_the_records_go(make_quantised):
    network = make_quantised()
    payload = pack_network(network)
    words_at = NETWORK_HEADER.size + TENSOR.size * len(network.integers)
    for length in range(words_at):
        with pytest.raises(TruncatedError):
            unpack(payload[:length])
    for length in range(words_at, len(payload)):
        if (length - words_at) % 4:
            with pytest.raises(FormatError, match="multiple of 4"):
                unpack(payload[:length])


def test_words_left_over_are_refused(make_quantised):
    with pytest.raises(FormatError, match="left over"):
        unpack(pack_network(make_quantised()) + bytes(12))


@given(st.binary(min_size=0, max_size=200))
def test_noise_in_place_of_the_words_gives_integers_or_a_format_error(make_quantised, noise):
    network = make_quantised()
    payload = pack_network(network)
    words_at = NETWORK_HEADER.size + TENSOR.size * len(network.integers)
    try:
        found = unpack(payload[:words_at] + noise)
    except FormatError:
        return
    assert {name: tensor.shape for name, tensor in found.integers.items()} == network.architecture.tensor_shapes
    assert all(np.abs(tensor).max() <= LARGEST_MAGNITUDE for tensor in found.integers.values())


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ({"width": 4097}, Limits()),
        ({"width": 65535}, Limits()),
        ({"depth": 9}, Limits()),
        ({"steps": 65}, Limits()),
        ({"width": 2048}, Limits()),
        ({"width": 800, "depth": 8}, Limits()),
        ({}, Limits(max_width=4)),
        ({}, Limits(max_steps=11)),
        ({}, Limits(max_parameters=72)),
    ],
)
def test_limits_come_before_memory(make_quantised, values, limits):
    payload = changed(make_quantised(), **values)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="the limit is"):
            unpack(payload, limits=limits)
        assert tracemalloc.get_traced_memory()[1] < 2**18
    finally:
        tracemalloc.stop()


def test_at_its_limits_a_network_is_read(make_quantised):
    network = make_quantised()
    count = network.architecture.parameter_count
    assert count == 5 * 2 + 5 + 25 + 5 + 5 * 2 + 3 * 5 + 3
    limits = Limits(max_width=5, max_depth=1, max_steps=12, max_parameters=count)
    assert_equal(unpack(pack_network(network), limits=limits), network)


def test_a_few_bytes_cannot_take_much_memory():
    width = 2043
    architecture = Architecture(Filter.SIREN, width, 1, 2, 3)
    assert 0.999 < architecture.parameter_count / DEFAULT_LIMITS.max_parameters < 1.0
    numbers = dict.fromkeys(NETWORK_HEADER.names, 0) | {"injection": 1, "layer": 1, "norm": 1, "tables": 1}
    header = NETWORK_HEADER.pack(**numbers | {"steps": 64, "depth": 1, "width": width, "state_scale": 0.5})
    payload = header + TENSOR.pack(step=1.0, table=40) * len(architecture.tensor_shapes)
    assert len(payload) < 64
    tracemalloc.start()
    try:
        unpack(payload).dequantised()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**27
