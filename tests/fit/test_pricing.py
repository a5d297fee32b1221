from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from i2codec.fit.goals import DEFAULT_QUALITY, Goal, LossGoal, PriceGoal, PsnrGoal, SizeGoal, lmbda_of_quality
from i2codec.fit.pricing import Pricing

_POINTS = 393216
_OVERHEAD = 160


def _pricing(goal: Goal, *, point_count: int = _POINTS) -> Pricing:
    return Pricing(goal, point_count=point_count, overhead_bytes=_OVERHEAD)


@dataclass
class _Curve:
    """A made-up fit whose distortion is D = a exp(−b R) at rate R, where λ = −dD/dR: so D = λ / b.

    From one correction to the next it goes half the way, in logarithms, to what λ asks for.
    """

    a: float
    b: float
    distortion: float = 0.02

    def step(self, lmbda: float) -> None:
        self.distortion *= math.sqrt(lmbda / self.b / self.distortion)

    @property
    def rate(self) -> float:
        return max(math.log(self.a / self.distortion) / self.b, 0.0)

    @property
    def size_bytes(self) -> float:
        return _OVERHEAD + self.rate * _POINTS / 8


def _follow(pricing: Pricing, curve: _Curve, *, corrections: int = 33) -> None:
    """As often as in the shortest fits."""
    for number in range(corrections):
        pricing.follow(number / corrections, distortion=curve.distortion, rate=curve.rate)
        curve.step(pricing.lmbda)


_CURVES = [(0.02, 3.0), (0.005, 2.0), (0.06, 5.0)]


@pytest.mark.parametrize(("a", "b"), _CURVES)
@pytest.mark.parametrize("size_bytes", [8_000, 25_000, 80_000])
def test_sizes_are_met(a: float, b: float, size_bytes: int) -> None:
    curve = _Curve(a, b)
    _follow(_pricing(SizeGoal(size_bytes)), curve)
    assert curve.size_bytes == pytest.approx(size_bytes, rel=0.05)


@pytest.mark.parametrize(("a", "b"), _CURVES)
@pytest.mark.parametrize("psnr_db", [24.0, 31.0, 40.0])
def test_distortions_are_met(a: float, b: float, psnr_db: float) -> None:
    curve = _Curve(a, b)
    _follow(_pricing(PsnrGoal(psnr_db)), curve)
    assert curve.distortion == pytest.approx(10.0 ** (-psnr_db / 10.0), rel=0.05)


@pytest.mark.parametrize(
    ("goal", "lmbda"),
    [
        (PriceGoal(0.004), 0.004),
        (PriceGoal(1e-9), 1e-9),
        (PriceGoal(50.0), 50.0),
        (LossGoal(), lmbda_of_quality(DEFAULT_QUALITY)),
    ],
)
def test_a_given_lambda_stays_whatever_the_fit_has(goal: Goal, lmbda: float) -> None:
    pricing = _pricing(goal)
    assert not pricing.follows
    for fraction in (0.0, 0.5, 1.0):
        pricing.follow(fraction, distortion=0.5, rate=9.0)
        assert pricing.lmbda == lmbda


@pytest.mark.parametrize("goal", [SizeGoal(20_000), PsnrGoal(30.0)])
def test_what_the_fit_has_at_its_start_says_nothing(goal: Goal) -> None:
    pricing = _pricing(goal)
    assert pricing.follows
    before = pricing.lmbda
    pricing.follow(0.0, distortion=0.5, rate=9.0)
    pricing.follow(0.1, distortion=0.5, rate=9.0)
    assert pricing.lmbda == before
    pricing.follow(0.2, distortion=0.5, rate=9.0)
    assert pricing.lmbda != before


def test_lambda_rises_with_a_file_too_large_and_falls_with_one_too_small() -> None:
    too_large, too_small, right = (_pricing(SizeGoal(20_000)) for _ in range(3))
    before = right.lmbda
    too_large.follow(0.5, distortion=0.001, rate=8 * 40_000 / _POINTS)
    too_small.follow(0.5, distortion=0.001, rate=8 * 10_000 / _POINTS)
    right.follow(0.5, distortion=0.001, rate=8 * (20_000 - _OVERHEAD) / _POINTS)
    assert too_small.lmbda < right.lmbda < too_large.lmbda
    assert right.lmbda == pytest.approx(before)


def test_lambda_falls_with_a_distortion_too_large_and_rises_with_one_too_small() -> None:
    too_large, too_small, right = (_pricing(PsnrGoal(30.0)) for _ in range(3))
    before = right.lmbda
    too_large.follow(0.5, distortion=0.01, rate=0.5)
    too_small.follow(0.5, distortion=1e-4, rate=0.5)
    right.follow(0.5, distortion=1e-3, rate=0.5)
    assert too_large.lmbda < right.lmbda < too_small.lmbda
    assert right.lmbda == pytest.approx(before)


def test_the_start_follows_from_the_goal() -> None:
    """Of a usual photo: 0.35 bits a pixel and 29 dB at λ = 0.004."""
    assert _pricing(SizeGoal(round(0.35 * _POINTS / 8))).lmbda == pytest.approx(0.004, rel=1e-3)
    assert _pricing(PsnrGoal(29.0)).lmbda == pytest.approx(0.004)
    assert _pricing(SizeGoal(40_000)).lmbda < _pricing(SizeGoal(10_000)).lmbda
    assert _pricing(PsnrGoal(38.5)).lmbda == pytest.approx(0.004 * 10.0**-0.95)
    assert _pricing(PsnrGoal(46.5)).lmbda == pytest.approx(0.00001)  # where fits start at the picture


@pytest.mark.parametrize("goal", [SizeGoal(1), SizeGoal(10**9), PsnrGoal(0.1), PsnrGoal(200.0)])
@pytest.mark.parametrize(("distortion", "rate"), [(0.0, 0.0), (1.0, 0.0), (1e-9, 30.0)])
def test_lambda_stays_within_bounds(goal: Goal, distortion: float, rate: float) -> None:
    pricing = _pricing(goal)
    assert 1e-7 <= pricing.lmbda <= 10.0
    for number in range(300):
        pricing.follow(number / 300, distortion=distortion, rate=rate)
        assert 1e-7 <= pricing.lmbda <= 10.0


def test_goals_out_of_reach_end_at_the_bounds() -> None:
    smallest, best = _pricing(SizeGoal(100)), _pricing(PsnrGoal(150.0))
    for _ in range(300):
        smallest.follow(0.5, distortion=0.01, rate=0.1)
        best.follow(0.5, distortion=0.01, rate=0.1)
    assert (smallest.lmbda, best.lmbda) == (10.0, 1e-7)


@pytest.mark.parametrize("fraction", [0.3, 0.8, 1.4, 2.0])
def test_a_size_that_was_missed_is_met_by_a_few_retries(fraction: float) -> None:
    """A finished file that is what λ asks for: D = λ / b."""
    curve = _Curve(a=0.02, b=3.0)
    start = 0.003
    wanted = round(_OVERHEAD + math.log(curve.a * curve.b / start) / curve.b * _POINTS / 8 * fraction)
    pricing = _pricing(SizeGoal(wanted))
    pricing.lmbda = start
    for _ in range(5):
        curve.distortion = pricing.lmbda / curve.b
        if not pricing.retry(distortion=curve.distortion, size_bytes=round(curve.size_bytes)):
            break
    assert 0.96 * wanted <= curve.size_bytes <= wanted
    assert not pricing.follows  # from here on λ stays


@pytest.mark.parametrize("decibels", [25.0, 31.0, 38.0])
def test_a_psnr_that_was_missed_is_met_by_a_few_retries(decibels: float) -> None:
    pricing = _pricing(PsnrGoal(decibels))
    pricing.lmbda = 0.003
    found = 0.0
    for _ in range(5):
        distortion = (pricing.lmbda / 4.0) ** 0.8
        found = -10.0 * math.log10(distortion)
        if not pricing.retry(distortion=distortion, size_bytes=1000):
            break
    assert decibels <= found <= decibels + 0.13


@pytest.mark.parametrize("goal", [PriceGoal(0.01), LossGoal()])
def test_without_a_target_there_is_nothing_to_retry(goal: Goal) -> None:
    pricing = _pricing(goal)
    before = pricing.lmbda
    assert not pricing.retry(distortion=1.0, size_bytes=1)
    assert pricing.lmbda == before


def test_what_is_met() -> None:
    size, psnr, price = (
        Pricing(goal, point_count=100, overhead_bytes=0) for goal in (SizeGoal(50), PsnrGoal(20.0), PriceGoal(0.1))
    )
    assert size.is_met(distortion=1.0, size_bytes=50)
    assert not size.is_met(distortion=0.0, size_bytes=51)
    assert psnr.is_met(distortion=0.0099, size_bytes=10**6)
    assert not psnr.is_met(distortion=0.0101, size_bytes=1)
    assert price.is_met(distortion=1.0, size_bytes=10**6)
