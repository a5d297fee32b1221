import itertools
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.errors import FormatError, OptionError, TruncatedError
from i2codec.latents.stream import LatentDecoder
from i2codec.latents.template import LARGEST_LATENT, Template
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.latents_section import LATENTS_HEADER, LatentPyramid, pack_latents


@pytest.fixture(scope="module")
def model_of(make_grid):
    def model_of(tiles, *, template=None):
        template = template or (Template.COLOUR if tiles.planes else Template.PLANE)
        network = make_grid(level_count=tiles.level_count, template=template, largest=20, seed=3)
        return network.context_model()

    return model_of


def assert_levels(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.int32
        np.testing.assert_array_equal(one, other)


def held(payloads):
    """Levels of each section, coarsest first: whether they are coded."""
    numbers = {address: LATENTS_HEADER.unpack(payload)["coded_levels"] for address, payload in payloads.items()}
    return {address: [int(bit) for bit in bin(number)[3:]][::-1] for address, number in numbers.items()}


def merged(tiles, levels, model):
    """A pyramid packed as one section, and its payload."""
    payloads = pack_latents(levels, tiles=tiles, model=model, section_bytes=10**9)
    assert list(payloads) == [(tiles.level_count - 1, 0)]
    return payloads[tiles.level_count - 1, 0]


AXES = st.tuples(st.integers(1, 30), st.sampled_from([4, 16, 64]))
TILES = st.one_of(
    st.tuples(st.lists(AXES, min_size=1, max_size=3), st.just(())),
    st.tuples(st.lists(AXES, min_size=2, max_size=2), st.integers(2, 4).map(lambda count: (count,))),
)


@given(
    TILES,
    st.integers(1, 16),
    st.sampled_from([Template.PLANE, Template.VOLUME]),
    st.sampled_from([0, 1, 40, LARGEST_LATENT]),
    st.lists(st.integers(0, 15)).map(tuple),
    st.sampled_from([0, 20, 4096]),
)
@settings(max_examples=80)
def test_round_trip(model_of, make_levels, axes_and_planes, level_count, template, largest, zeros, section_bytes):
    axes, planes = axes_and_planes
    tiles = LatentTiles(tuple(extent for extent, _ in axes), level_count, tuple(side for _, side in axes), planes)
    model = model_of(tiles, template=Template.COLOUR if planes else template)
    levels = make_levels(tiles, zeros=zeros, largest=largest)
    payloads = pack_latents(levels, tiles=tiles, model=model, section_bytes=section_bytes)
    assert list(payloads) == sorted(payloads)
    pyramid = LatentPyramid(payloads, tiles=tiles, model=model)
    assert pyramid.whole_levels == level_count
    assert_levels(pyramid.levels(), levels)
    assert LatentPyramid.of(levels, tiles=tiles, model=model).tiles == tiles


PHOTO = LatentTiles((40, 60), 6, (1024, 1024))
CUT = LatentTiles((40, 60), 6, (16, 16))
COLOURS = LatentTiles((40, 60), 6, (16, 16), (3,))
TWO_COLOURS = LatentTiles((40, 60), 6, (1024, 1024), (2,))


def test_sections_take_levels_until_they_are_large(model_of, make_levels):
    model, levels = model_of(PHOTO), make_levels(PHOTO)

    def sections(section_bytes):
        return held(pack_latents(levels, tiles=PHOTO, model=model, section_bytes=section_bytes))

    assert sections(10**6) == {(5, 0): [1] * 6}
    assert sections(0) == {(level, 0): [1] for level in range(6)}
    sizes = {address: len(payload) for address, payload in pack_latents(levels, tiles=PHOTO, model=model).items()}
    assert list(sizes) == [(5, 0)]  # a small photo is one section
    apart = [len(payload) for payload in pack_latents(levels, tiles=PHOTO, model=model, section_bytes=0).values()]
    limit = sum(apart[:3])  # room for three levels, whose headers are counted here, and not for four
    assert limit < sum(apart[:4]) - 20
    assert 4 * limit < sum(apart) - 20
    assert sections(limit) == {(2, 0): [1] * 3, (3, 0): [1], (4, 0): [1], (5, 0): [1]}
    assert sections(sum(apart) // 4) == {(5, 0): [1] * 6}  # what is not much longer than a section is not cut


def test_a_level_of_zeros_costs_a_bit(model_of, make_levels):
    model = model_of(PHOTO)
    levels = make_levels(PHOTO, zeros=(0, 3))
    payloads = pack_latents(levels, tiles=PHOTO, model=model, section_bytes=0)
    assert held(payloads) == {(0, 0): [1], (2, 0): [1, 0], (3, 0): [1], (5, 0): [1, 0]}
    nothing = pack_latents([0 * level for level in levels], tiles=PHOTO, model=model)
    assert nothing == {(5, 0): b"\x40\x00"}
    assert_levels(LatentPyramid(nothing, tiles=PHOTO, model=model).levels(), [0 * level for level in levels])
    assert set(pack_latents([0 * level for level in levels], tiles=CUT, model=model_of(CUT)).values()) == {
        b"\x02\x00",
        b"\x10\x00",
    }


def test_sixteen_levels_are_two_sections(model_of, make_levels):
    tiles = LatentTiles((40,), 16, (1024,))
    payloads = pack_latents(make_levels(tiles), tiles=tiles, model=model_of(tiles))
    assert {address: len(levels) for address, levels in held(payloads).items()} == {(14, 0): 15, (15, 0): 1}


def test_a_section_of_several_levels_is_one_stream(model_of, make_levels):
    model, levels = model_of(PHOTO), make_levels(PHOTO)
    apart = pack_latents(levels, tiles=PHOTO, model=model, section_bytes=0)
    together = merged(PHOTO, levels, model)
    assert len(together) < sum(map(len, apart.values())) - 5 * LATENTS_HEADER.size


@pytest.mark.parametrize("planes", [(), (3,)])
def test_contexts_stay_inside_the_tile(model_of, make_levels, planes):
    """A tile is coded as if the rest of the pyramid were 0, so it decodes alone."""
    tiles = LatentTiles((37, 45), 4, (8, 8), planes)
    model, levels = model_of(tiles), make_levels(tiles)
    payloads = pack_latents(levels, tiles=tiles, model=model)
    area = [(16, 8), (24, 8)]
    alone = []
    for level, grid in enumerate(levels):
        kept = np.zeros_like(grid)
        box = (..., *tiles.covering(level, area, margin=0))
        kept[box] = grid[box]
        alone.append(kept)
    unit = 2 * tiles.counts(0)[1] + 3
    assert tiles.box(0, unit) == (slice(16, 24), slice(24, 32))
    assert pack_latents(alone, tiles=tiles, model=model)[3, unit] == payloads[3, unit]
    changed = [grid.copy() for grid in levels]
    changed[1][..., 8, 12] += 1
    assert pack_latents(changed, tiles=tiles, model=model)[3, unit] != payloads[3, unit]


@pytest.mark.parametrize("planes", [(), (3,)])
def test_contexts_read_the_two_coarser_levels(model_of, make_levels, planes):
    tiles = LatentTiles((32, 32), 4, (1024, 1024), planes)
    model, levels = model_of(tiles), make_levels(tiles)
    payloads = pack_latents(levels, tiles=tiles, model=model, section_bytes=0)
    for level, reads in ((1, True), (2, True), (3, False)):
        changed = [grid.copy() for grid in levels]
        changed[level][..., 1, 1] += 1
        found = pack_latents(changed, tiles=tiles, model=model, section_bytes=0)
        assert (found[3, 0] != payloads[3, 0]) == reads


@pytest.mark.parametrize(
    "tiles",
    [PHOTO, CUT, LatentTiles((90,), 5, (8,)), LatentTiles((9, 20, 17), 3, (16, 4, 8)), COLOURS, TWO_COLOURS],
)
@pytest.mark.parametrize("margin", [0, 2])
def test_a_region_has_the_values_of_the_whole(model_of, make_levels, tiles, margin):
    model, levels = model_of(tiles), make_levels(tiles)
    payloads = pack_latents(levels, tiles=tiles, model=model)
    generator = np.random.default_rng(2)
    for _ in range(10):
        starts = [int(generator.integers(extent)) for extent in tiles.extents]
        region = [
            (start, int(generator.integers(1, extent - start + 1)))
            for start, extent in zip(starts, tiles.extents, strict=True)
        ]
        pyramid = LatentPyramid(payloads, tiles=tiles, model=model)
        for level, (found, whole) in enumerate(zip(pyramid.levels(region, margin=margin), levels, strict=True)):
            assert found.shape == whole.shape
            part = tiles.covering(level, region, margin=margin)
            box = (..., *part)
            np.testing.assert_array_equal(found[box], whole[box])
            touched = set(tiles.touching(level, part))
            for unit in range(tiles.count(level)):
                inside = (..., *tiles.box(level, unit))
                np.testing.assert_array_equal(found[inside], whole[inside] if unit in touched else 0)
            window = pyramid.window(level, [(along.start, along.stop) for along in part])
            np.testing.assert_array_equal(window, whole[box])
        assert_levels(pyramid.levels(), levels)  # what was decoded before changes nothing


def decoded_sizes(pyramid, ask):
    """Nodes of each grid that is decoded for ``ask(pyramid)``."""
    sizes = []

    class Counted(LatentDecoder):
        def code(self, values, *, shape, **rest):
            sizes.append(int(np.prod(shape)))
            return super().code(values, shape=shape, **rest)

    with mock.patch("i2codec.payload.latents_section.LatentDecoder", Counted):
        ask(pyramid)
    return sizes


def test_only_the_tiles_asked_for_are_decoded_and_once(model_of, make_levels):
    model = model_of(CUT)
    pyramid = LatentPyramid.of(make_levels(CUT), tiles=CUT, model=model)
    region = [(0, 3), (33, 10)]
    assert decoded_sizes(pyramid, lambda p: p.levels(region)) == [2 * 2, 3 * 4, 5 * 8, 10 * 15, 16 * 14, 16 * 16]
    assert decoded_sizes(pyramid, lambda p: p.levels(region)) == []
    assert decoded_sizes(pyramid, lambda p: p.levels(region, margin=2)) == [16 * 16, 16 * 16]
    assert decoded_sizes(pyramid, lambda p: p.window(0, [(31, 33), (0, 1)])) == [16 * 16, 4 * 16, 8 * 16]
    rest = [16 * 16] * 3 + [16 * 12] * 2 + [8 * 16] * 2 + [8 * 12] + [4 * 14]
    assert sorted(decoded_sizes(pyramid, lambda p: p.levels())) == sorted(rest)


def test_whole_levels_may_not_be_written_to(model_of, make_levels):
    pyramid = LatentPyramid.of(make_levels(PHOTO, zeros=(1,)), tiles=PHOTO, model=model_of(PHOTO))
    for level in (*pyramid.levels(), pyramid.window(0, [(1, 3), (2, 4)])):
        with pytest.raises(ValueError, match="read-only"):
            level[0, 0] = 1


def test_a_tile_has_all_planes(model_of, make_levels):
    pyramid = LatentPyramid.of(make_levels(COLOURS), tiles=COLOURS, model=model_of(COLOURS))
    one = LatentPyramid.of(make_levels(CUT), tiles=CUT, model=model_of(CUT))
    assert list(pyramid.payloads) == list(one.payloads)
    sizes = decoded_sizes(pyramid, lambda p: p.window(0, [(31, 33), (0, 1)]))
    assert sizes == [3 * size for size in decoded_sizes(one, lambda p: p.window(0, [(31, 33), (0, 1)]))]


@pytest.mark.parametrize("tiles", [PHOTO, CUT, COLOURS])
def test_a_cut_file_has_its_coarser_levels(model_of, make_levels, tiles):
    model, levels = model_of(tiles), make_levels(tiles)
    payloads = pack_latents(levels, tiles=tiles, model=model, section_bytes=0)
    for count in range(len(payloads)):
        left = dict(itertools.islice(payloads.items(), count))
        with pytest.raises(FormatError, match="is not there, or not all of its tiles"):
            LatentPyramid(left, tiles=tiles, model=model)
        pyramid = LatentPyramid(left, tiles=tiles, model=model, is_whole=False)
        assert not pyramid.is_whole
        for level, (found, whole) in enumerate(zip(pyramid.levels(), levels, strict=True)):
            place = tiles.level_count - 1 - level
            units = [unit for unit in range(tiles.count(level)) if (place, unit) in left]
            if len(units) == tiles.count(level):
                assert place < pyramid.whole_levels
            else:
                assert place >= pyramid.whole_levels
            np.testing.assert_array_equal(found, whole * (place < pyramid.whole_levels))
    assert LatentPyramid(payloads, tiles=tiles, model=model, is_whole=False).is_whole


def test_what_is_finer_than_a_missing_tile_is_zero(model_of, make_levels):
    """As from a cut file in another order than ours."""
    model, levels = model_of(CUT), make_levels(CUT)
    payloads = pack_latents(levels, tiles=CUT, model=model)
    del payloads[4, 1]
    pyramid = LatentPyramid(payloads, tiles=CUT, model=model, is_whole=False)
    found = pyramid.levels()
    assert pyramid.whole_levels == 4
    assert_levels(found[2:], levels[2:])
    assert not found[1].any()
    assert not found[0].any()


def test_a_gap_between_sections_is_seen(model_of, make_levels):
    """The levels that a section holds do not depend on which others are there."""
    model, levels = model_of(PHOTO), make_levels(PHOTO)
    payloads = pack_latents(levels, tiles=PHOTO, model=model, section_bytes=0)
    del payloads[2, 0]
    with pytest.raises(FormatError, match="latent level 2 is not there"):
        LatentPyramid(payloads, tiles=PHOTO, model=model)
    found = LatentPyramid(payloads, tiles=PHOTO, model=model, is_whole=False).levels()
    assert_levels(found[4:], levels[4:])
    assert not any(level.any() for level in found[:4])


WRONG = {
    "a level that is not there": ({(6, 0): b"\x02\x00"}, "level 6 and unit 0: the network has 6 levels"),
    "a level far away": ({(255, 0): b"\x02\x00"}, "the network has 6 levels"),
    "a tile that is not there": ({(5, 12): b"\x02\x00"}, "level 5 and unit 12: the level has 12 tiles"),
    "a tile far away": ({(0, 2**32 - 1): b"\x02\x00"}, "the level has 1 tiles"),
    "no header": ({(0, 0): b"\x02"}, "LATENTS_HEADER"),
    "no level": ({(0, 0): b"\x01\x00"}, "level 0 and unit 0 holds 0 levels"),
    "nothing set": ({(0, 0): b"\x00\x00"}, "holds 0 levels"),
    "levels before the coarsest": ({(1, 0): b"\x08\x00"}, "level 1 and unit 0 holds 3 levels"),
    "several levels of several tiles": ({(4, 0): b"\x04\x00"}, "level 4 and unit 0 holds 2 levels"),
    "bytes of no level": ({(0, 0): b"\x02\x00\x01"}, "codes no level in 1 bytes"),
    "a level twice": ({(0, 0): b"\x02\x00", (1, 0): b"\x04\x00"}, "tile 0 of latent level 0 comes twice"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("is_whole", [False, True])
def test_sections_that_are_wrong_or_contradict_each_other(model_of, name, is_whole):
    payloads, message = WRONG[name]
    with pytest.raises(FormatError, match=message) as caught:
        LatentPyramid(payloads, tiles=CUT, model=model_of(CUT), is_whole=is_whole)
    assert isinstance(caught.value, TruncatedError) == (name == "no header")


def test_a_fault_in_the_code_is_found_when_it_is_used(model_of, make_levels):
    model, levels = model_of(PHOTO), make_levels(PHOTO)
    payload = merged(PHOTO, levels, model)
    for wrong in (payload + b"\x01", payload + b"\x00", payload[:2] + 200 * b"\xff"):
        pyramid = LatentPyramid({(5, 0): wrong}, tiles=PHOTO, model=model)
        for _ in range(2):  # what was decoded in front of the fault is not kept
            with pytest.raises(FormatError):
                pyramid.levels()


@given(st.binary(max_size=60), st.integers(0, 2**16 - 1))
def test_noise_gives_latents_or_a_format_error(model_of, noise, coded):
    tiles = LatentTiles((9, 12), 4, (1024, 1024))
    try:
        levels = LatentPyramid(
            {(3, 0): coded.to_bytes(2, "little") + noise}, tiles=tiles, model=model_of(tiles)
        ).levels()
    except FormatError:
        return
    assert [level.shape for level in levels] == [tiles.shape(level) for level in range(4)]
    assert all(np.abs(level).max() <= LARGEST_LATENT for level in levels)


def test_levels_must_fit(model_of, make_levels):
    model, levels = model_of(PHOTO), make_levels(PHOTO)
    for wrong in (levels[1:], levels[::-1], [level[None] for level in levels]):
        with pytest.raises(OptionError, match="do not fit"):
            pack_latents(wrong, tiles=PHOTO, model=model)
    for planes in (1, 3):
        with pytest.raises(OptionError, match="do not fit"):
            pack_latents([np.stack([level] * planes) for level in levels], tiles=TWO_COLOURS, model=model)
    levels[2][1, 1] = LARGEST_LATENT + 1
    with pytest.raises(OptionError, match="at most ±32767"):
        pack_latents(levels, tiles=PHOTO, model=model)


def test_a_huge_pyramid_takes_no_memory_for_what_is_not_asked(model_of):
    tiles = LatentTiles((2**14, 2**14), 3, (1024, 1024))
    payloads = {(0, unit): b"\x02\x00" for unit in range(16)}
    payloads |= {(1, unit): b"\x02\x00" for unit in range(64)} | {(2, unit): b"\x02\x00" for unit in range(256)}
    model = model_of(tiles)
    tracemalloc.start()
    try:
        pyramid = LatentPyramid(payloads, tiles=tiles, model=model)
        assert not pyramid.window(0, [(5000, 5010), (1020, 1030)]).any()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24
