import pytest

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.errors import OptionError


def test_one_limit_can_be_changed():
    assert Limits(max_steps=3).max_steps == 3
    assert Limits(max_steps=3) != DEFAULT_LIMITS == Limits()


@pytest.mark.parametrize("value", [0, -1, 1.5, None, "8"])
def test_a_limit_is_a_whole_number_of_at_least_one(value):
    with pytest.raises(OptionError, match="max_channels"):
        Limits(max_channels=value)
