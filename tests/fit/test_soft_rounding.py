from __future__ import annotations

import pytest
import torch

from i2codec.fit.soft_rounding import noisy, soft_round

TEMPERATURES = [10.0, 1.0, 0.35, 0.1, 0.01]


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_integers_and_halves_stay(temperature: float) -> None:
    """To within float32's rounding: tanh is taken in float32 and its largest value in float64."""
    values = torch.arange(-20, 21) / 2.0
    torch.testing.assert_close(soft_round(values, temperature), values, rtol=0, atol=2e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_it_rises_moves_towards_the_nearest_integer_and_no_further(temperature: float) -> None:
    values = torch.linspace(-2.0, 2.0, 801, dtype=torch.float64)
    rounded = soft_round(values, temperature)
    assert (rounded.diff() >= 0).all()
    nearest = torch.round(values)
    assert ((rounded - nearest).abs() <= (values - nearest).abs() + 1e-9).all()


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_every_unit_is_like_every_other(temperature: float) -> None:
    values = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    rounded = soft_round(values, temperature)
    torch.testing.assert_close(soft_round(values - 7.0, temperature), rounded - 7.0)
    torch.testing.assert_close(soft_round(1.0 - values, temperature), 1.0 - rounded)


def test_high_temperatures_leave_values_and_low_ones_round_them() -> None:
    values = torch.tensor([-1.3, -0.49, 0.2, 0.51, 7.8])
    torch.testing.assert_close(soft_round(values, 30.0), values, rtol=0, atol=1e-3)
    torch.testing.assert_close(soft_round(values, 1e-3), torch.round(values), rtol=0, atol=1e-6)


def test_a_known_value() -> None:
    """½ + tanh(−0.3 / 0.2) · ½ / tanh(½ / 0.2)."""
    assert float(soft_round(torch.tensor(3.2), 0.2)) == pytest.approx(3.0 + 0.0412857, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_gradients_pass(temperature: float) -> None:
    values = torch.tensor([-1.3, -0.4, 0.2, 0.6, 7.8], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: soft_round(v, temperature), values)


def test_noise_is_that_of_the_generator() -> None:
    values = torch.linspace(-3.0, 3.0, 100)
    arguments = {"temperature": 0.3, "deviation": 0.2}
    first, second, other = (noisy(values, **arguments, generator=_generator(seed)) for seed in (4, 4, 5))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    generator = _generator(4)
    noisy(values, **arguments, generator=generator)
    assert not torch.equal(noisy(values, **arguments, generator=generator), first)


def test_noise_has_the_deviation_in_steps() -> None:
    values = torch.linspace(-3.0, 3.0, 40000)
    noise = noisy(values, temperature=1000.0, deviation=0.2, generator=_generator()) - values
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.005)
    assert float(noise.std()) == pytest.approx(0.2, rel=0.02)


def test_values_are_rounded_before_the_noise_and_after_it() -> None:
    values = torch.full((10000,), 2.3)
    without = noisy(values, temperature=0.2, deviation=0.0, generator=_generator())
    torch.testing.assert_close(without, soft_round(soft_round(values, 0.2), 0.2))
    hard = noisy(values, temperature=1e-3, deviation=0.1, generator=_generator())
    assert torch.equal(torch.round(hard), torch.full_like(hard, 2.0))  # five deviations from 2 to 2.5
    torch.testing.assert_close(hard, torch.round(hard), rtol=0, atol=1e-5)


def test_gradients_pass_the_noise() -> None:
    values = torch.linspace(-3.0, 3.0, 50, requires_grad=True)
    noisy(values, temperature=0.5, deviation=0.2, generator=_generator()).sum().backward()
    assert (values.grad > 0.0).all()
