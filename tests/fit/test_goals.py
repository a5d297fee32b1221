from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from i2codec.errors import OptionError
from i2codec.fit.goals import PriceGoal, PsnrGoal, SizeGoal, lmbda_of_quality


def test_lmbda_falls_with_quality_over_the_whole_scale() -> None:
    prices = [lmbda_of_quality(quality) for quality in range(101)]
    assert prices == sorted(set(prices), reverse=True)
    assert [round(math.log10(prices[quality]), 6) for quality in (0, 10, 75, 100)] == [-1.2, -1.82, -3.33, -6.0]
    assert math.log10(prices[15]) == pytest.approx(-2.04)  # half way between two that were measured


@pytest.mark.parametrize("quality", [-1, 101])
def test_quality_out_of_range(quality: int) -> None:
    with pytest.raises(OptionError, match="expected 0 to 100"):
        lmbda_of_quality(quality)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PriceGoal(0.0),
        lambda: PriceGoal(math.nan),
        lambda: PriceGoal(math.inf),
        lambda: SizeGoal(0),
        lambda: PsnrGoal(0.0),
        lambda: PsnrGoal(math.nan),
        lambda: PsnrGoal(201.0),
    ],
)
def test_goals_out_of_range(make: Callable[[], object]) -> None:
    with pytest.raises(OptionError, match="expected"):
        make()
