from __future__ import annotations

import numpy as np
import pytest

from i2codec.entropy.quantiser import storable_step
from i2codec.field.module import ImplicitField
from i2codec.fit.points import TrainingPoints
from i2codec.fit.quantisation import StepSearch


@pytest.fixture(scope="module")
def search(fitted: ImplicitField, points: TrainingPoints) -> StepSearch:
    return StepSearch(fitted, points, sample_points=2048)


def test_a_distortion_limit_is_used_up_but_not_exceeded(search: StepSearch) -> None:
    limit = search.float_distortion * 10**0.03
    trial = search.for_distortion(limit)
    assert trial.distortion <= limit
    assert trial.distortion >= search.float_distortion * 10**0.02
    assert trial.bits < 8 * search.field.architecture.parameter_count


def test_a_bit_limit_is_used_up_but_not_exceeded(search: StepSearch) -> None:
    limit = 4.0 * search.field.architecture.parameter_count
    trial = search.for_bits(limit)
    assert 0.95 * limit <= trial.bits <= limit


def test_a_higher_price_buys_fewer_bits(search: StepSearch) -> None:
    price = search.float_distortion / search.field.architecture.parameter_count
    trials = [search.for_price(price * factor) for factor in (0.01, 0.1, 1.0)]
    assert sorted(trial.bits for trial in trials)[::-1] == [trial.bits for trial in trials]
    assert sorted(trial.distortion for trial in trials) == [trial.distortion for trial in trials]


def test_a_step_for_each_tensor_beats_one_for_all(search: StepSearch) -> None:
    chosen = search.for_distortion(search.float_distortion * 10**0.05)
    names = search.field.architecture.tensor_shapes
    uniform = [search.trial(dict.fromkeys(names, 2.0**exponent)) for exponent in np.arange(-10.0, 0.0, 0.5)]
    as_good = [trial.bits for trial in uniform if trial.distortion <= chosen.distortion]
    assert chosen.bits < 0.95 * min(as_good)


def test_steps_can_be_stored(search: StepSearch) -> None:
    steps = search.for_price(1e-6).steps
    assert all(step == storable_step(step) for step in steps.values())


def test_impossible_limits_end(search: StepSearch) -> None:
    assert search.for_distortion(0.0).distortion < 1.01 * search.float_distortion
    assert search.for_bits(0.0).bits < search.field.architecture.parameter_count
