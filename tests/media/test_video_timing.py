"""Frame rates and time stamps from the times of packets."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.media.video_timing import Timing, risen, stamps_of, storable, timing_of

RATES = [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(15)]
MILLISECOND = Fraction(1, 1000)


def timing(
    starts: list[int | None], *, base: Fraction = MILLISECOND, last: int = 0, rate: Fraction | None = None
) -> Timing:
    return timing_of(starts, last_duration=last, time_base=base, rates=[rate])


@given(
    st.sampled_from(RATES), st.sampled_from([1000, 600, 90000, 30000]), st.integers(2, 400), st.integers(-9000, 9000)
)
def test_rounded_times_of_a_constant_rate_are_told(rate: Fraction, ticks: int, count: int, offset: int) -> None:
    starts = [offset + round(index * ticks / rate) for index in range(count)]
    found = timing(starts[::-1], base=Fraction(1, ticks), last=round(ticks / rate), rate=rate)
    assert found.rate == rate
    assert found.step == 1 / rate
    assert found.start == Fraction(offset, ticks)
    assert stamps_of(starts, found) is None


def test_common_rate_wins_over_what_was_estimated_from_rounded_times() -> None:
    starts = [round(index * 100 / 30) for index in range(12)]
    assert timing(starts, base=Fraction(1, 100), last=4, rate=Fraction(179, 6)).rate == 30


def test_uncommon_rate_of_the_header() -> None:
    rate = Fraction(317, 13)
    assert (
        timing([round(index * 90000 / rate) for index in range(200)], base=Fraction(1, 90000), rate=rate).rate == rate
    )


def test_nearly_equal_rates_are_told_apart_over_many_frames() -> None:
    starts = [round(index * 1001 / 30) for index in range(200)]
    assert timing(starts, rate=Fraction(30)).rate == Fraction(30000, 1001)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=30).filter(lambda gaps: max(gaps) > 2 * min(gaps) + 3))
def test_uneven_times_become_time_stamps(gaps: list[int]) -> None:
    starts = [100 + sum(gaps[:index]) for index in range(len(gaps))]
    found = timing(list(starts), last=gaps[-1])
    if found.rate is not None:  # a short list may be even but for its last gap
        return
    stamps = stamps_of(starts, found)
    assert stamps is not None
    assert stamps.time_base == MILLISECOND
    assert stamps.ticks == tuple(sum(gaps[:index]) for index in range(len(gaps) + 1))
    assert found.step == Fraction(sum(gaps), 1000 * len(gaps))


def test_picture_that_stays_on_is_no_constant_rate() -> None:
    found = timing([0, 100, 200, 300], last=2000)
    assert found.rate is None
    stamps = stamps_of([0, 100, 200, 300], found)
    assert stamps is not None
    assert stamps.ticks == (0, 100, 200, 300, 2300)


def test_frame_left_out_of_whole_ticks_is_no_rounding() -> None:
    assert timing([0, 1, 2, 3], base=Fraction(1, 25), last=1).rate == 25
    assert timing([0, 1, 3, 4], base=Fraction(1, 25), last=1).rate is None


def test_unknown_last_duration_is_the_median() -> None:
    found = timing([0, 10, 110, 210, 500])
    assert found.last_duration == 100


def test_lost_frames_leave_time_stamps() -> None:
    found = timing([0, 40, 80, 120, 160, 200], last=40, rate=Fraction(25))
    assert found.rate == 25
    stamps = stamps_of([0, 40, 120, 160], found)
    assert stamps is not None
    assert stamps.ticks == (0, 40, 120, 160, 200)
    assert stamps_of([0, 40, 80], found) is None


@pytest.mark.parametrize("starts", [[None, None, None], [0, None, 80], [7, 7, 7, 7, 7, 8]])
def test_without_usable_times_the_header_counts(starts: list[int | None]) -> None:
    found = timing(starts, rate=Fraction(50))
    assert (found.rate, found.start) == (50, 0)
    assert stamps_of([1, 2, 9], found) is None


def test_without_any_hint_the_rate_is_25() -> None:
    assert timing([None, None]).rate == 25
    assert timing([5]).rate == 25
    assert timing([5], last=500).rate == 2


@given(st.lists(st.integers(-5, 5), min_size=1))
def test_risen_times_rise(starts: list[int]) -> None:
    rising = risen(starts)
    assert all(later > earlier for earlier, later in pairwise(rising))
    assert all(new >= old for new, old in zip(rising, starts, strict=True))


def test_equal_times_are_put_apart() -> None:
    found = timing([0, 40, 40, 300, 300], last=40)
    stamps = stamps_of([0, 40, 40, 300, 300], found)
    assert stamps is not None
    assert stamps.ticks == (0, 40, 41, 300, 301, 341)


@given(st.fractions(min_value=Fraction(1, 10**14), max_value=10**14))
def test_steps_fit_32_bits(step: Fraction) -> None:
    fitted = storable(step)
    assert 1 <= fitted.numerator < 2**32
    assert 1 <= fitted.denominator < 2**32
    if Fraction(1, 10**6) < step < 10**6:
        assert abs(fitted / step - 1) < Fraction(1, 1000)


def test_exact_steps_stay() -> None:
    assert storable(Fraction(1001, 30000)) == Fraction(1001, 30000)
