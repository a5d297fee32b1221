import numpy as np
import pytest

from i2codec.errors import OptionError
from i2codec.signal.channel_turns import TURN_COUNT, channels_turned


@pytest.mark.parametrize("channel_count", range(1, 9))
def test_turning_back_gives_the_channels_back(channel_count):
    rng = np.random.default_rng(channel_count)
    channels = rng.normal(size=(channel_count, 4, 5))
    turns = rng.integers(0, TURN_COUNT, channel_count // 2).tolist()
    turned = channels_turned(channels, turns)
    np.testing.assert_allclose(channels_turned(turned, turns, back=True), channels)
    assert np.square(turned).sum() == pytest.approx(np.square(channels).sum())


def test_a_quarter_of_the_turns_is_the_sum_and_the_difference():
    left, right = np.arange(3.0), np.arange(3.0) ** 2
    middle, side = channels_turned(np.stack([left, right]), [TURN_COUNT // 4])
    np.testing.assert_allclose(middle, (left + right) / np.sqrt(2))
    np.testing.assert_allclose(side, (right - left) / np.sqrt(2), atol=1e-12)


def test_there_is_a_turn_for_each_pair():
    with pytest.raises(OptionError, match="1 turns for 4 channels"):
        channels_turned(np.zeros((4, 2)), [3])
