from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.errors import FormatError, OptionError
from i2codec.latents import plain
from i2codec.latents.coder import code_lengths, decode_latents, encode_latents
from i2codec.latents.model import LARGEST_BIAS, LARGEST_WEIGHT, ContextModel
from i2codec.latents.template import LARGEST_LATENT, Template


def model_shapes(template, *, width, levels, networks=1):
    """Of w1 to b3."""
    return (
        (networks, width, template.feature_count),
        (levels, width),
        (networks, width, width),
        (networks, width),
        (networks, 2, width),
        (levels, 2),
    )


def random_model(rng, template, *, weight, bias, **sizes):
    limits = (weight, bias, weight, bias, weight, bias)
    shapes = model_shapes(template, **sizes)
    return ContextModel(
        template,
        *(rng.integers(-limit, limit, shape, endpoint=True) for limit, shape in zip(limits, shapes, strict=True)),
    )


def random_grid(rng, shape, spread):
    values = np.rint(rng.laplace(size=shape) * spread).clip(-LARGEST_LATENT, LARGEST_LATENT)
    return values.astype(np.int32)


def random_job(
    rng,
    *,
    template,
    shape,
    width=4,
    levels=2,
    networks=2,
    weight=300,
    bias=1000,
    spread=3.0,
    nothing_coarser=False,
):
    """A grid, and the keyword arguments to code it with."""
    is_lattice = template is Template.LATTICE
    nothing_coarser = nothing_coarser or is_lattice
    half = template.coarser_shape(shape)
    coarser = None if nothing_coarser else random_grid(rng, half, spread)
    coarsest = None if nothing_coarser else random_grid(rng, template.coarser_shape(half), spread)
    sizes = {"width": width, "levels": levels, "networks": networks}
    model = random_model(rng, template, weight=weight, bias=bias, **sizes)
    level = int(rng.integers(levels))
    arguments = {"coarser": coarser, "coarsest": coarsest, "model": model, "level": level}
    if is_lattice:
        arguments["column_count"] = shape[2] + int(rng.integers(4))
    return random_grid(rng, shape, spread), arguments


def plainly(arguments):
    """The same arguments for the plain twin."""
    return {
        "coarser": (arguments["coarser"], arguments["coarsest"]),
        "model": arguments["model"],
        "level": arguments["level"],
        "column_count": arguments.get("column_count"),
    }


EXTENT = st.integers(1, 7)
TEMPLATE = st.sampled_from(Template)
LEVELS_AND_NETWORKS = st.integers(1, 16).flatmap(lambda levels: st.tuples(st.just(levels), st.integers(1, levels)))
JOBS = st.builds(
    lambda seed, counts, **sizes: random_job(
        np.random.default_rng(seed), levels=counts[0], networks=counts[1], **sizes
    ),
    seed=st.integers(0, 2**32),
    template=TEMPLATE,
    shape=st.tuples(st.integers(1, 5), EXTENT, EXTENT),
    width=st.integers(1, 32),
    counts=LEVELS_AND_NETWORKS,
    weight=st.sampled_from([0, 60, 500, LARGEST_WEIGHT]),
    bias=st.sampled_from([0, 1000, LARGEST_BIAS]),
    spread=st.sampled_from([0.2, 2.0, 60.0, 5000.0, 1e6]),
    nothing_coarser=st.booleans(),
)


@settings(max_examples=150)
@given(JOBS)
def test_latents_come_back_and_the_plain_twin_writes_the_same_bytes(job):
    values, arguments = job
    data = encode_latents(values, **arguments)
    assert data == plain.encode_plain(values, **plainly(arguments))
    decoded = decode_latents(data, shape=values.shape, **arguments)
    assert decoded.dtype == np.int32
    np.testing.assert_array_equal(decoded, values)
    np.testing.assert_array_equal(plain.decode_plain(data, shape=values.shape, **plainly(arguments)), values)


@pytest.mark.parametrize("template", Template)
@pytest.mark.parametrize("networks", [1, 2, 3, 4])
def test_a_level_is_coded_by_its_own_network(template, networks):
    """Which level of four each tensor of each network changes, and that both coders say so."""
    rng = np.random.default_rng(4)
    model = random_model(rng, template, width=6, levels=4, networks=networks, weight=300, bias=1000)
    values = random_grid(rng, (2, 9, 10), 3.0)

    def codes(model):
        every = [{"coarser": None, "coarsest": None, "model": model, "level": level} for level in range(4)]
        data = [encode_latents(values, **arguments) for arguments in every]
        assert data == [plain.encode_plain(values, **plainly(arguments)) for arguments in every]
        return data

    before = codes(model)
    for name in ("w1", "w2", "b2", "w3"):
        for network in range(networks):
            tensor = getattr(model, name).copy()
            tensor[network] = -tensor[network]
            after = codes(replace(model, **{name: tensor}))
            changed = [level for level in range(4) if after[level] != before[level]]
            assert changed == [level for level in range(4) if min(level, networks - 1) == network]


@pytest.mark.parametrize("name", ["w1", "w2", "b2", "w3"])
def test_networks_that_are_mixed_up_are_noticed(name):
    values, arguments = random_job(np.random.default_rng(5), template=Template.PLANE, shape=(1, 9, 10), levels=3)
    model = arguments["model"]
    mixed_up = replace(model, **{name: getattr(model, name)[::-1]})
    for level in range(3):
        data = encode_latents(values, **(arguments | {"level": level}))
        other = arguments | {"level": level, "model": mixed_up}
        assert encode_latents(values, **other) != data
        decoded = outcome(lambda data=data, other=other: decode_latents(data, shape=values.shape, **other))
        assert decoded is None or (decoded != values).any()


@pytest.mark.parametrize("template", Template)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_sums_do_not_overflow(template, sign):
    width = 32
    model = ContextModel(
        template,
        np.full((1, width, template.feature_count), LARGEST_WEIGHT),
        np.full((1, width), LARGEST_BIAS),
        np.full((1, width, width), sign * LARGEST_WEIGHT),
        np.full((1, width), sign * LARGEST_BIAS),
        np.full((1, 2, width), sign * LARGEST_WEIGHT),
        np.full((1, 2), sign * LARGEST_BIAS),
    )
    is_lattice = template is Template.LATTICE
    values = np.full((2, 4, 4), template.largest_latent if is_lattice else 127)
    half = template.coarser_shape(values.shape)
    coarser, coarsest = (np.full(shape, 127) for shape in (half, template.coarser_shape(half)))
    grids = {"coarser": None, "coarsest": None} if is_lattice else {"coarser": coarser, "coarsest": coarsest}
    arguments = {**grids, "model": model, "level": 0}
    data = encode_latents(values, **arguments)
    assert data == plain.encode_plain(values, **plainly(arguments))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 6), (1, 6, 1), (6, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("template", Template)
def test_the_largest_latents_come_back(shape, template):
    values, arguments = random_job(np.random.default_rng(0), template=template, shape=shape)
    values[:] = np.resize([template.largest_latent, -template.largest_latent, 0], shape)
    data = encode_latents(values, **arguments)
    assert data == plain.encode_plain(values, **plainly(arguments))
    np.testing.assert_array_equal(decode_latents(data, shape=shape, **arguments), values)


@pytest.mark.parametrize(("log2_scale", "bits"), [(-8, 16 + 1 + 5 + 21), (14, 8 + 6.3 + 1 + 5 + 13)])
def test_there_is_room_for_the_costliest_latents_of_a_lattice(log2_scale, bits):
    """Under the smallest scale and, with eight bits apart, under the largest one."""
    zeros = {name: np.zeros(shape) for name, shape in zip(
        ("w1", "b1", "w2", "b2", "w3"), model_shapes(Template.LATTICE, width=1, levels=1), strict=False
    )}  # fmt: skip
    model = ContextModel.from_float(Template.LATTICE, **zeros, b3=[[0, log2_scale]])
    arguments = {"coarser": None, "coarsest": None, "model": model, "level": 0}
    values = np.full((1, 50, 50), Template.LATTICE.largest_latent)
    data = encode_latents(values, **arguments)
    assert code_lengths(values, **arguments).sum() == pytest.approx(values.size * bits, rel=0.02)
    assert len(data) == pytest.approx(values.size * bits / 8, rel=0.02)
    np.testing.assert_array_equal(decode_latents(data, shape=values.shape, **arguments), values)


def test_large_latents_of_a_lattice_cost_little_more_than_their_entropy():
    """Laplace of scale 1000, whose rows of tables are those of smaller scales."""
    shapes = model_shapes(Template.LATTICE, width=1, levels=1)
    zeros = dict(zip(("w1", "b1", "w2", "b2", "w3"), map(np.zeros, shapes), strict=False))
    model = ContextModel.from_float(Template.LATTICE, **zeros, b3=[[0, np.log2(1000)]])
    values = np.rint(np.random.default_rng(0).laplace(scale=1000, size=(1, 100, 100))).astype(np.int32)
    entropy = np.log2(2 * np.e * 1000)
    data = encode_latents(values, coarser=None, coarsest=None, model=model, level=0)
    assert len(data) * 8 / values.size == pytest.approx(entropy, rel=0.01)


def test_there_is_room_for_the_costliest_latents():
    zeros = {"w1": (1, 1, 17), "b1": (1, 1), "w2": (1, 1, 1), "b2": (1, 1), "w3": (1, 2, 1)}
    model = ContextModel.from_float(
        Template.PLANE, **{name: np.zeros(shape) for name, shape in zeros.items()}, b3=[[-127, -8]]
    )
    arguments = {"coarser": None, "coarsest": None, "model": model, "level": 0}
    values = np.full((1, 50, 50), LARGEST_LATENT)  # as far from the mean as can be, under the smallest scale
    data = encode_latents(values, **arguments)
    assert len(data) == values.size * 36 // 8  # 16 bits for the escape and 20 for what follows it
    assert code_lengths(values, **arguments).sum() == values.size * 36
    np.testing.assert_array_equal(decode_latents(data, shape=values.shape, **arguments), values)


def golden_model(template):
    """Tensor s = 0 to 5, element n in row order: (n + 1)² (2 s + 7919) mod 1009 − 404."""
    shapes = model_shapes(template, width=5, levels=2)
    elements = [np.arange(1, np.prod(shape) + 1).reshape(shape) ** 2 for shape in shapes]
    return ContextModel(template, *(n * (2 * s + 7919) % 1009 - 404 for s, n in enumerate(elements)))


def golden_grid(*shape):
    """Node n in raster order: (n + 3)³ mod 13 − 6."""
    return (np.arange(3, np.prod(shape) + 3).reshape(shape) ** 3) % 13 - 6


GOLDEN = {
    Template.PLANE: "fffefe9a867d3c192728957fd10336e1b2c030d31325a7ebe3635aa56a781134a948e5",
    Template.VOLUME: "ffff018e6ca14fd2b51b7975b067e5326d5dd52ce2ef79a4c1bffca5df02511ce376f202",
    Template.COLOUR: "fffefbda925ad34038a2367e507f8a44754f3eccce0d3db62c6c7422fbe9f01bbe3ec311",
}


@pytest.mark.parametrize("template", GOLDEN)
def test_golden_bytes(template, format_page):
    values = golden_grid(2, 4, 5)
    values[0, 0, 0], values[-1, -1, -1] = -300, 1000
    model = golden_model(template)
    planes = 2 if template is Template.COLOUR else 1
    coarser, coarsest = golden_grid(planes, 2, 3), golden_grid(planes, 1, 2)
    arguments = {"coarser": coarser, "coarsest": coarsest, "model": model, "level": 1}
    assert encode_latents(values, **arguments).hex() == GOLDEN[template]
    decoded = decode_latents(bytes.fromhex(GOLDEN[template]), shape=values.shape, **arguments)
    np.testing.assert_array_equal(decoded, values)
    assert GOLDEN[template] in "".join(format_page.split())


@pytest.mark.parametrize(
    ("template", "spread", "count"),
    [(Template.PLANE, 0.1, 300), (Template.PLANE, 3.0, 200), (Template.VOLUME, 60.0, 99)],
)
def test_the_coded_size_is_the_sum_of_the_code_lengths(template, spread, count):
    values, arguments = random_job(
        np.random.default_rng(1), template=template, shape=(2, count, count), width=16, weight=60, spread=spread
    )
    lengths = code_lengths(values, **arguments)
    assert lengths.shape == values.shape
    assert lengths.dtype == np.float64
    size_bytes, ideal_bytes = len(encode_latents(values, **arguments)), lengths.sum() / 8
    assert abs(size_bytes - ideal_bytes) < 0.001 * ideal_bytes + 16
    assert size_bytes <= ideal_bytes + 1 + values.size * 1e-4 / 8


def test_a_code_length_is_the_logarithm_of_its_probability():
    shapes = model_shapes(Template.PLANE, width=1, levels=1)
    model = ContextModel(Template.PLANE, *(np.zeros(shape, int) for shape in shapes))
    values = np.array([[[0, 3, 10, 11, -11, 12, -300]]])
    # The row of scale 1 around 0 in docs/format.md, of radius 10; an escape costs 5 bits and its mantissa.
    frequencies = np.array([45655 - 19877, 64537 - 62837, 3, 3, 3, 3, 3])
    extra = np.array([0, 0, 0, 5, 5, 5 + 1, 5 + 8])
    lengths = code_lengths(values, coarser=None, coarsest=None, model=model, level=0)
    np.testing.assert_allclose(lengths[0, 0], 16 - np.log2(frequencies) + extra, rtol=1e-12)


@given(JOBS.filter(lambda job: job[1]["model"].template is not Template.LATTICE))
def test_no_grid_is_a_grid_of_zeros(job):
    values, arguments = job
    template = arguments["model"].template
    half = template.coarser_shape(values.shape)
    zeros = {"coarser": np.zeros(half, np.int32), "coarsest": np.zeros(template.coarser_shape(half), np.int32)}
    none = {"coarser": None, "coarsest": None}
    assert encode_latents(values, **(arguments | zeros)) == encode_latents(values, **(arguments | none))


@pytest.mark.parametrize(
    ("template", "grid", "reads"),
    [
        (Template.VOLUME, "coarser", [[0, 1], [2, 3], [4]]),
        (Template.VOLUME, "coarsest", [[0, 1, 2, 3], [4]]),
        (Template.COLOUR, "coarser", [[0], [1], [2], [3], [4]]),
        (Template.COLOUR, "coarsest", [[0], [1], [2], [3], [4]]),
    ],
)
def test_planes_of_a_coarser_grid_are_read_by_those_over_them(template, grid, reads):
    """Which planes each plane of the coarser grids has a say in, and that both coders say so."""
    values, arguments = random_job(np.random.default_rng(6), template=template, shape=(5, 9, 10))
    before = code_lengths(values, **arguments)
    assert len(arguments[grid]) == len(reads)
    for plane, readers in enumerate(reads):
        changed = arguments[grid].copy()
        changed[plane] += 5
        other = arguments | {grid: changed}
        differs = (code_lengths(values, **other) != before).any(axis=(1, 2))
        assert np.flatnonzero(differs).tolist() == readers
        assert encode_latents(values, **other) == plain.encode_plain(values, **plainly(other))


def test_coarser_grids_of_colours_have_as_many_planes():
    values, arguments = random_job(np.random.default_rng(6), template=Template.COLOUR, shape=(3, 6, 7))
    with pytest.raises(OptionError, match=r"coarser latents of shape \[2, 3, 4\]; expected \[3, 3, 4\]"):
        encode_latents(values, **(arguments | {"coarser": arguments["coarser"][:2]}))
    with pytest.raises(OptionError, match=r"coarsest latents of shape \[1, 2, 2\]; expected \[3, 2, 2\]"):
        encode_latents(values, **(arguments | {"coarsest": arguments["coarsest"][:1]}))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_arrays_of_any_signed_type_and_layout_are_the_same_and_stay_as_they_are(dtype):
    values, arguments = random_job(np.random.default_rng(2), template=Template.VOLUME, shape=(3, 5, 6), spread=20.0)
    expected = encode_latents(values, **arguments)
    turned = values.astype(dtype).transpose().copy().transpose()
    turned.flags.writeable = False
    grids = {name: arguments[name].astype(dtype)[::-1].copy()[::-1] for name in ("coarser", "coarsest")}
    assert encode_latents(turned, **(arguments | grids)) == expected


LATTICE_MODEL = random_job(np.random.default_rng(3), template=Template.LATTICE, shape=(1, 6, 7), levels=3)[1]["model"]
VALUES, ARGUMENTS = random_job(np.random.default_rng(3), template=Template.PLANE, shape=(1, 6, 7), levels=3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"values": np.zeros((6, 7), np.int32)}, r"shape \[6, 7\]; expected three extents"),
        ({"values": np.zeros((1, 0, 7), np.int32)}, "expected three extents of at least 1"),
        ({"values": np.zeros((1, 6, 7))}, "latents of type float64; expected signed integers"),
        ({"values": np.full((1, 6, 7), LARGEST_LATENT + 1)}, "32768 to 32768; at most ±32767"),
        ({"values": np.full((1, 6, 7), -LARGEST_LATENT - 1, np.int16)}, "at most ±32767"),
        ({"coarser": np.zeros((1, 3, 3), np.int32)}, r"coarser latents of shape \[1, 3, 3\]; expected \[1, 3, 4\]"),
        ({"coarser": np.zeros((1, 3, 4), np.uint8)}, "coarser of type uint8"),
        ({"coarsest": np.zeros((1, 3, 4), np.int32)}, r"coarsest latents .*expected \[1, 2, 2\]"),
        ({"model": LATTICE_MODEL}, "of 7 columns beside coarser grids"),
        ({"level": 3}, "level 3 of a context model of 3 levels"),
        ({"level": -1}, "level -1"),
    ],
)
def test_wrong_arguments_are_refused(changed, message):
    arguments = {"values": VALUES} | ARGUMENTS | changed
    with pytest.raises(OptionError, match=message):
        encode_latents(**arguments)
    with pytest.raises(OptionError, match=message):
        code_lengths(**arguments)
    if "values" not in changed:
        del arguments["values"]
        with pytest.raises(OptionError, match=message):
            decode_latents(b"", shape=VALUES.shape, **arguments)


@pytest.mark.parametrize("shape", [(3, 4), (0, 3, 4), (1, -3, 4)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(OptionError, match="three extents of at least 1"):
        decode_latents(b"", shape=shape, **ARGUMENTS)


def outcome(decode):
    try:
        return decode()
    except FormatError:
        return None


NOISE = st.one_of(
    st.binary(max_size=48),
    # Long runs of one byte: carries through many words, and states that no symbol matches.
    st.lists(st.tuples(st.sampled_from([0, 255, 128, 1]), st.integers(1, 20)), max_size=6).map(
        lambda runs: b"".join(bytes([byte]) * count for byte, count in runs)
    ),
)


@settings(max_examples=300)
@given(NOISE, JOBS)
def test_noise_decodes_to_latents_in_range_or_not_at_all(noise, job):
    values, arguments = job
    decoded = outcome(lambda: decode_latents(noise, shape=values.shape, **arguments))
    expected = outcome(lambda: plain.decode_plain(noise, shape=values.shape, **plainly(arguments)))
    assert (decoded is None) == (expected is None)
    if decoded is not None:
        np.testing.assert_array_equal(decoded, expected)
        assert np.abs(decoded).max() <= arguments["model"].template.largest_latent
        assert encode_latents(decoded, **arguments) == noise


@given(JOBS)
def test_a_changed_stream_never_gives_the_same_latents(job):
    values, arguments = job
    data = encode_latents(values, **arguments)
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :] if data else b"\1"
    for changed in (data[:-1] if data else b"\2", data[:middle] if data else b"\3", flipped):
        decoded = outcome(lambda changed=changed: decode_latents(changed, shape=values.shape, **arguments))
        assert decoded is None or (decoded != values).any()


@pytest.mark.parametrize("extra", [b"\0", b"\1", b"\0\0\0\0", b"\xff" * 9, bytes(40)])
def test_bytes_left_over_are_refused(extra):
    data = encode_latents(VALUES, **ARGUMENTS)
    with pytest.raises(FormatError, match="do not end where their last symbol does"):
        decode_latents(data + extra, shape=VALUES.shape, **ARGUMENTS)


def test_no_data_decodes_or_fails_but_ends():
    decoded = outcome(
        lambda: decode_latents(b"", shape=(1, 300, 400), **(ARGUMENTS | {"coarser": None, "coarsest": None}))
    )
    assert decoded is None or decoded.shape == (1, 300, 400)
