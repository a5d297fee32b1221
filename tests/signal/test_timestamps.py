from fractions import Fraction

import pytest

from i2codec.errors import OptionError
from i2codec.signal.timestamps import TimeStamps


def test_they_hold_the_start_of_every_frame_and_the_end():
    stamps = TimeStamps(Fraction(1, 90000), (0, 3000, 6000, 12000))
    assert stamps.frame_count == 3
    assert stamps.duration == Fraction(2, 15)


@pytest.mark.parametrize("ticks", [(), (0,), (1, 2), (0, 0), (0, 2, 1)])
def test_ticks_rise_from_zero(ticks):
    with pytest.raises(OptionError, match="time stamps must"):
        TimeStamps(Fraction(1, 25), ticks)


@pytest.mark.parametrize("base", [Fraction(0), Fraction(-1, 25)])
def test_a_tick_takes_time(base):
    with pytest.raises(OptionError, match="time base"):
        TimeStamps(base, (0, 1))
