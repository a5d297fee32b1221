from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from i2codec.entropy.quantiser import storable_step
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.stencil import sup_norm
from i2codec.fit.grid_quantisation import QuantisedTensors, first_step_for, quantise_tensors
from i2codec.payload.grid_section import QuantisedGridNetwork, proved_contraction
from i2codec.payload.tensors import pack_tensors
from i2codec.prior.priors import prior_for

Arrays = Mapping[str, NDArray[np.float32]]
Loss = Callable[[Arrays], float]

_SHAPES = {"W": (3, 40), "A": (4, 4, 9), "b": (30,)}


def _tensors(seed: int = 0, *, norm: float = 0.97) -> dict[str, NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    tensors = {name: generator.normal(size=shape).astype(np.float32) for name, shape in _SHAPES.items()}
    tensors["A"] *= np.float32(norm) / np.abs(tensors["A"]).sum(axis=(1, 2), keepdims=True)
    return tensors


def _zeros() -> dict[str, NDArray[np.float64]]:
    return {name: np.zeros(shape) for name, shape in _SHAPES.items()}


def _squares(tensors: Arrays, *, weights: Mapping[str, float] | None = None) -> Loss:
    """Squared distance from ``tensors``."""

    def loss(found: Arrays) -> float:
        return sum(
            (weights or {}).get(name, 1.0) * float(np.square(found[name] - tensors[name]).sum()) for name in found
        )

    return loss


@pytest.mark.parametrize("price", [1e-6, 1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_loss_and_price_never_rise(price: float, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen in the end costs the least of all that was tried, and less than the start."""
    tensors, priors = _tensors(seed), _zeros()
    loss, losses, rates = _squares(tensors), [], []
    measured = QuantisedTensors.bits.fget

    def recorded(trial: Arrays) -> float:
        losses.append(loss(trial))
        return losses[-1]

    def recorded_bits(quantised: QuantisedTensors) -> float:
        rates.append(measured(quantised))
        return rates[-1]

    monkeypatch.setattr(QuantisedTensors, "bits", property(recorded_bits))
    chosen = quantise_tensors(tensors, priors, loss=recorded, price=price, first_step=2.0**-6, bounded=("A",))
    costs = [one + price * bits for one, bits in zip(losses, rates, strict=True)]
    assert loss(chosen.dequantised(priors)) + price * measured(chosen) == min(costs) < costs[0]


@pytest.mark.parametrize("price", [1e-6, 1e-4, 1e-3])
def test_neither_a_coarser_step_nor_a_finer_one_nor_none_pays(price: float) -> None:
    tensors, priors = {"W": _tensors()["W"]}, {"W": _zeros()["W"]}
    loss = _squares(tensors)

    def cost(step: float) -> float:
        trial = QuantisedTensors({"W": np.rint(tensors["W"] / step).astype(np.int64)}, {"W": step})
        return loss(trial.dequantised(priors)) + price * trial.bits

    chosen = quantise_tensors(tensors, priors, loss=loss, price=price)
    step = chosen.steps["W"]
    assert 2.0**-10 <= step <= 0.5
    assert all(cost(step) <= cost(step * factor) for factor in (2.0, 0.5) if 2.0**-11 < step * factor < 1.0)
    assert cost(step) <= loss(priors)


def test_steps_grow_with_the_price() -> None:
    tensors, priors = _tensors(), _zeros()
    fine, coarse = (
        quantise_tensors(tensors, priors, loss=_squares(tensors), price=price, first_step=2.0**-6).steps
        for price in (1e-6, 1e-3)
    )
    assert all(fine[name] < coarse[name] for name in _SHAPES)


@pytest.mark.parametrize("price", [0.0, 1e-5, 1e-2])
@pytest.mark.parametrize("norm", [0.5, 0.97, 0.9999, 1.3])
@pytest.mark.parametrize("largest_prior", [0.0, 0.01])
def test_bounded_tensors_contract(price: float, norm: float, largest_prior: float) -> None:
    for seed in range(3):
        tensors = _tensors(seed, norm=norm)
        priors = _zeros() | {"A": largest_prior * np.random.default_rng(9).uniform(-1.0, 1.0, _SHAPES["A"])}
        chosen = quantise_tensors(tensors, priors, loss=_squares(tensors), price=price, bounded=("A",))
        found = chosen.dequantised(priors)["A"]
        assert sup_norm(found) < 1.0
        if norm < 1.0 and price == 0.0:
            assert sup_norm(found) > norm - 0.02  # and no more than that is given away


def test_only_bounded_tensors_are_held_below_1() -> None:
    tensors, priors = _tensors(norm=1.5), _zeros()
    chosen = quantise_tensors(tensors, priors, loss=_squares(tensors), price=0.0)
    assert sup_norm(chosen.dequantised(priors)["A"]) > 1.4


def test_a_tensor_that_does_not_matter_goes_back_to_its_prior() -> None:
    tensors = _tensors()
    priors = _zeros() | {"b": np.random.default_rng(3).integers(-2000, 2000, 30) / 1024.0}
    loss = _squares(tensors, weights={"b": 0.0})
    chosen = quantise_tensors(tensors, priors, loss=loss, price=1e-5)
    assert not chosen.integers["b"].any()
    assert np.array_equal(chosen.dequantised(priors)["b"], priors["b"].astype(np.float32))
    assert chosen.integers["W"].any()


def test_a_tensor_at_its_prior_costs_nothing() -> None:
    integers = {name: np.zeros(shape, dtype=np.int64) for name, shape in _SHAPES.items()}
    assert QuantisedTensors(integers, dict.fromkeys(_SHAPES, 0.25)).bits == 0.0


def test_integers_count_from_the_prior() -> None:
    tensors = _tensors()
    priors = {name: np.rint(1024.0 * tensor) / 1024.0 for name, tensor in tensors.items()}
    chosen = quantise_tensors(tensors, priors, loss=_squares(tensors), price=1e-6)
    assert not any(integers.any() for integers in chosen.integers.values())
    moved = {name: tensor + np.float32(0.1) for name, tensor in tensors.items()}
    chosen = quantise_tensors(moved, priors, loss=_squares(moved), price=1e-5)
    for name, tensor in chosen.dequantised(priors).items():
        step = chosen.steps[name]
        assert set(np.unique(chosen.integers[name])) <= {*range(round(0.09 / step) - 1, round(0.11 / step) + 2)}
        assert float(np.abs(tensor - moved[name]).max()) <= 0.5 * step + 1e-6


def test_loss_sees_what_the_decoder_will() -> None:
    """What is chosen was tried as just these arrays, of a prior that float32 cannot hold."""
    tensors = _tensors()
    priors = {name: np.full(shape, 1.0 / 3.0) for name, shape in _SHAPES.items()}
    seen = []

    def loss(trial: Arrays) -> float:
        seen.append({name: tensor.copy() for name, tensor in trial.items()})
        return _squares(tensors)(trial)

    chosen = quantise_tensors(tensors, priors, loss=loss, price=1e-4, bounded=("A",))
    final = chosen.dequantised(priors)
    assert any(all(np.array_equal(final[name], trial[name]) for name in final) for trial in seen)
    assert all(tensor.dtype == np.float32 for trial in seen for tensor in trial.values())


@pytest.mark.parametrize("price", [1e-7, 1e-3, 10.0])
def test_steps_are_stored_as_they_are(price: float) -> None:
    tensors = _tensors()
    chosen = quantise_tensors(tensors, _zeros(), loss=_squares(tensors), price=price)
    assert all(step == storable_step(step) for step in chosen.steps.values())
    assert all(integers.dtype == np.int64 for integers in chosen.integers.values())


def test_the_estimated_size_is_that_of_the_coded_tensors() -> None:
    """To within the coder's last word."""
    tensors = _tensors()
    chosen = quantise_tensors(tensors, _zeros(), loss=_squares(tensors, weights={"b": 0.0}), price=1e-4)
    coded = {name: shape for name, shape in _SHAPES.items() if chosen.integers[name].any()}
    assert 0 < len(coded) < len(_SHAPES)
    size = len(pack_tensors(coded, chosen.integers, chosen.steps, table_set=2))
    assert chosen.bits / 8 - 1 <= size <= chosen.bits / 8 + 8


@pytest.fixture
def quantised_network(a_prior: Callable[..., tuple[int, object]]) -> QuantisedGridNetwork:
    """On a prior, with steps that are no powers of 2 and integers whose products fill more than 24 bits."""
    architecture = GridArchitecture(3, 2, 3, hidden_width=6, width=4, context_width=5)
    number, _ = a_prior(architecture, largest=900)
    generator = np.random.default_rng(1)
    shapes = architecture.tensor_shapes
    return QuantisedGridNetwork(
        architecture,
        {name: generator.integers(-(2**17), 2**17, shape) for name, shape in shapes.items()},
        {name: storable_step(float(generator.uniform(0.5e-4, 1.5e-4))) for name in shapes},
        contraction=0.0,
        steps=3,
        prior=number,
    )


def test_dequantised_tensors_are_those_of_the_decoder_bit_for_bit(quantised_network: QuantisedGridNetwork) -> None:
    network = quantised_network
    quantised = QuantisedTensors(network.integers, network.quantisation_steps)
    found = quantised.dequantised(prior_for(network.prior, network.architecture))
    wanted = network.dequantised()
    for name, tensor in wanted.tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].tobytes() == tensor.tobytes()


def test_the_bound_of_what_is_chosen_is_proved_by_the_writer() -> None:
    architecture = GridArchitecture(2, 2, 3, hidden_width=5, width=4, context_width=3)
    generator = np.random.default_rng(0)
    tensors = {name: generator.normal(size=s).astype(np.float32) for name, s in architecture.tensor_shapes.items()}
    tensors["A"] *= np.float32(1.0) / np.abs(tensors["A"]).sum(axis=(1, 2), keepdims=True)
    priors = {name: np.zeros(shape) for name, shape in architecture.tensor_shapes.items()}
    chosen = quantise_tensors(tensors, priors, loss=_squares(tensors), price=1e-6, bounded=("A",))
    network = QuantisedGridNetwork(architecture, chosen.integers, chosen.steps, contraction=0.0, steps=3)
    assert 0.9 < proved_contraction(network.dequantised()) < 1.0


def test_the_search_starts_finer_where_bits_are_cheap() -> None:
    """Whether λ is less or the photo larger; down to 2⁻¹²."""
    price = 0.004 * 16 / 65536
    assert [first_step_for(price * factor) for factor in (1e9, 4.0, 1.0)] == [2.0**-6] * 3
    assert [first_step_for(price / 4**n) for n in range(1, 7)] == [2.0**-exponent for exponent in range(7, 13)]
    assert [first_step_for(price / 4**n) for n in (7, 20)] == [2.0**-12] * 2
    assert all(math.log2(first_step_for(price * 0.9**n)).is_integer() for n in range(100))
