from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.field.interpolation import level_extents
from i2codec.fit.grid_windows import Window, lattice, windows_of_pass

_LEVELS = 4
_SPACING = 2 ** (_LEVELS - 1)

_extents = st.lists(st.integers(1, 90), min_size=1, max_size=3)
_sides = st.integers(1, 5).map(lambda count: count * _SPACING)
_margins = st.integers(0, 3).map(lambda count: count * _SPACING)


def _assert_each_node_is_inside_once(windows: list[Window], extents: list[int]) -> None:
    for level in range(_LEVELS):
        counts = np.zeros(level_extents(tuple(extents), level), dtype=np.int64)
        for window in windows:
            counts[window.nodes(level)][window.inner_nodes(level)] += 1
        assert (counts == 1).all()


@given(_extents, _sides, _margins, st.data())
def test_every_node_of_every_level_is_inside_of_one_window(
    extents: list[int], side: int, margin: int, data: st.DataObject
) -> None:
    offsets = [_SPACING * data.draw(st.integers(0, side // _SPACING - 1)) for _ in extents]
    windows = lattice(extents, side=side, margin=margin, offsets=offsets)
    _assert_each_node_is_inside_once(windows, extents)
    for window in windows:
        for (start, stop), (low, high), extent in zip(window.inside, window.bounds, extents, strict=True):
            assert (low, high) == (max(0, start - margin), min(extent, stop + margin))
            assert 0 < stop - start <= side
            assert start % _SPACING == low % _SPACING == 0


@given(_extents, _sides, st.integers(0, 3), st.integers(0, 5))
def test_a_pass_has_all_nodes_and_is_the_same_again(extents: list[int], side: int, seed: int, number: int) -> None:
    windows = windows_of_pass(extents, side=side, spacing=_SPACING, seed=seed, number=number)
    _assert_each_node_is_inside_once(windows, extents)
    assert windows == windows_of_pass(extents, side=side, spacing=_SPACING, seed=seed, number=number)


@pytest.mark.parametrize(("seed", "number"), [(1, 0), (0, 1)])
def test_passes_and_seeds_have_lattices_and_orders_of_their_own(seed: int, number: int) -> None:
    first, other = (
        windows_of_pass((400, 400), side=64, spacing=_SPACING, seed=s, number=n) for s, n in ((0, 0), (seed, number))
    )
    assert set(first) != set(other)
    assert [window.inside for window in first] != sorted(window.inside for window in first)


def test_the_samples_inside_are_those_without_the_margin() -> None:
    (window,) = [w for w in lattice((100, 40), side=32, margin=8) if w.inside == ((32, 64), (0, 32))]
    assert window.samples == (slice(24, 72), slice(0, 40))
    assert window.inner_samples == (slice(8, 40), slice(0, 32))
