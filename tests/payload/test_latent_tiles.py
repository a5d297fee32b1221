import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.payload.latent_tiles import TILE_NODES, LatentTiles, coarser_box
from i2codec.signal.description import Axis, AxisName

TILES = st.lists(st.tuples(st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 64])), min_size=1, max_size=3).flatmap(
    lambda axes: st.integers(1, 7).map(
        lambda count: LatentTiles(tuple(extent for extent, _ in axes), count, tuple(side for _, side in axes))
    )
)


def test_time_is_not_cut():
    axes = (Axis(AxisName.TIME, 5000), Axis(AxisName.Y, 2049), Axis(AxisName.X, 1024))
    tiles = LatentTiles.of(axes, 3)
    assert TILE_NODES == 1024
    assert (tiles.extents, tiles.level_count, tiles.sides) == ((5000, 2049, 1024), 3, (8192, 1024, 1024))
    assert [tiles.counts(level) for level in range(3)] == [(1, 3, 1), (1, 2, 1), (1, 1, 1)]
    assert LatentTiles.of((Axis(AxisName.TIME, 1),), 1).sides == (1,)
    assert LatentTiles.of(axes[1:], 1, side=8).counts(0) == (257, 128)


def test_planes_are_not_cut():
    axes = (Axis(AxisName.Y, 2049), Axis(AxisName.X, 1024))
    one, three = LatentTiles.of(axes, 3), LatentTiles.of(axes, 3, planes=(3,))
    assert (one.planes, three.planes) == ((), (3,))
    assert one != three
    for level in range(3):
        assert (three.shape(level), three.counts(level)) == (one.shape(level), one.counts(level))


@pytest.mark.parametrize("sides", [(3, 4), (0, 4), (-4, 4), (4,), (4, 4, 4)])
def test_sides_are_powers_of_two(sides):
    with pytest.raises(OptionError, match="powers of two"):
        LatentTiles((9, 9), 2, sides)


@given(TILES)
def test_tiles_part_every_level_row_by_row(tiles):
    for level in range(tiles.level_count):
        assert tiles.shape(level) == tuple(-(-extent // 2**level) for extent in tiles.extents)
        numbers = np.full(tiles.shape(level), -1)
        starts = []
        for unit in range(tiles.count(level)):
            box = tiles.box(level, unit)
            assert (numbers[box] == -1).all()
            assert all(1 <= part.stop - part.start <= side for part, side in zip(box, tiles.sides, strict=True))
            assert all(part.start % side == 0 for part, side in zip(box, tiles.sides, strict=True))
            numbers[box] = unit
            starts.append(tuple(part.start for part in box))
        assert numbers.min() == 0
        assert starts == sorted(starts)


@given(TILES, st.integers(1, 2), st.randoms(use_true_random=False))
def test_the_area_of_a_tile_lies_in_one_coarser_tile(tiles, steps, random):
    if tiles.level_count <= steps:
        return
    level = random.randrange(tiles.level_count - steps)
    box = tiles.box(level, random.randrange(tiles.count(level)))
    unit, inner = tiles.above(level, box, steps=steps)
    above = tiles.box(level + steps, unit)
    grids = np.meshgrid(*map(np.arange, tiles.shape(level + steps)), indexing="ij")
    for grid, part in zip(grids, box, strict=True):
        found = grid[above][inner]
        assert found.size  # each node of the tile has the node that covers it, by its place in the tile
        assert (found.min(), found.max()) == (part.start >> steps, (part.stop - 1) >> steps)
        nodes = np.arange(part.start, part.stop)
        assert ((nodes >> steps) - found.min() == (nodes - part.start) >> steps).all()
        np.testing.assert_array_equal(found, grid[coarser_box(box, steps)])


@given(TILES, st.integers(0, 3), st.data())
def test_a_region_touches_the_tiles_with_its_nodes(tiles, margin, data):
    region = []
    for extent in tiles.extents:
        start = data.draw(st.integers(0, extent - 1))
        region.append((start, data.draw(st.integers(1, extent - start))))
    for level in range(tiles.level_count):
        wanted = np.ones(tiles.shape(level), dtype=bool)
        for axis, ((start, length), extent) in enumerate(zip(region, tiles.shape(level), strict=True)):
            nodes = np.arange(extent)
            first, last = start // 2**level, (start + length - 1) // 2**level
            along = (nodes >= first - margin) & (nodes <= last + margin)
            wanted &= np.expand_dims(along, tuple(other for other in range(len(region)) if other != axis))
        box = tiles.covering(level, region, margin=margin)
        assert wanted[box].all()
        assert wanted.sum() == wanted[box].size
        touched = [unit for unit in range(tiles.count(level)) if wanted[tiles.box(level, unit)].any()]
        assert list(tiles.touching(level, box)) == touched
