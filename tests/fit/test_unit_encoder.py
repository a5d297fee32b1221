from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from i2codec.container.section import SECTION
from i2codec.errors import Cancelled, FitError
from i2codec.field.architecture import Filter
from i2codec.field.contraction import contraction_factor
from i2codec.field.stored import StoredNetwork
from i2codec.fit.goals import LossGoal, PriceGoal, PsnrGoal, SizeGoal
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import PRESETS
from i2codec.fit.progress import Progress, Reporter
from i2codec.fit.unit_encoder import FitSettings, UnitEncoder
from i2codec.payload.file import StoredSignal
from i2codec.payload.network_section import pack_network
from i2codec.payload.tensors import rate_bits
from i2codec.render.render import render_signal
from i2codec.signal.metrics import distortion, psnr_db
from i2codec.signal.signal import Signal

_PRESET = replace(PRESETS["draft"], steps=150)


def _encode(signal: Signal, **settings: Any) -> tuple[UnitEncoder, StoredSignal, float]:
    arguments: dict[str, Any] = {"preset": _PRESET, "goal": LossGoal(), "width": 24}
    points = TrainingPoints.of_signal(signal, device="cpu")
    encoder = UnitEncoder(signal.description, points, FitSettings(**{**arguments, **settings}))
    network = encoder.encode()
    stored = StoredSignal(signal.description, (network,))
    decoded = render_signal(stored, device="cpu")
    error = distortion(target=signal.samples, decoded=decoded.samples, description=signal.description)
    return encoder, stored, psnr_db(error)


def _size_bytes(stored: StoredSignal) -> int:
    return SECTION.size + len(pack_network(stored.networks[0]))


@pytest.fixture(scope="module")
def encoded(signal: Signal) -> tuple[UnitEncoder, StoredSignal, float]:
    return _encode(signal, width=None)


def test_quantisation_costs_at_most_a_third_of_a_decibel(encoded: tuple[UnitEncoder, StoredSignal, float]) -> None:
    encoder, _, decoded_db = encoded
    assert psnr_db(encoder.float_distortion) > 21.0
    assert decoded_db >= psnr_db(encoder.float_distortion) - 0.3


def test_the_file_is_far_smaller_than_half_floats(encoded: tuple[UnitEncoder, StoredSignal, float]) -> None:
    _, stored, _ = encoded
    half_float_bytes = 2 * stored.networks[0].architecture.parameter_count
    assert _size_bytes(stored) <= 0.6 * half_float_bytes


def test_the_file_with_its_weights_zeroed_shows_nothing(
    signal: Signal, encoded: tuple[UnitEncoder, StoredSignal, float]
) -> None:
    _, stored, decoded_db = encoded
    zeros = {name: np.zeros_like(tensor) for name, tensor in stored.networks[0].integers.items()}
    blank = render_signal(replace(stored, networks=(replace(stored.networks[0], integers=zeros),)), device="cpu")
    error = distortion(target=signal.samples, decoded=blank.samples, description=signal.description)
    assert psnr_db(error) < 10.0 < decoded_db


def test_the_estimate_is_the_coded_size(encoded: tuple[UnitEncoder, StoredSignal, float]) -> None:
    encoder, stored, _ = encoded
    estimate = encoder.overhead_bytes + rate_bits(stored.networks[0].integers, table_set=1) / 8
    assert _size_bytes(stored) == pytest.approx(estimate, rel=0.01, abs=64)


def test_contraction_holds_for_the_dequantised_weights(encoded: tuple[UnitEncoder, StoredSignal, float]) -> None:
    network = encoded[1].networks[0].dequantised()
    factor = contraction_factor(network.architecture, network.tensors, network.state_scale)
    assert factor <= network.architecture.contraction <= 0.5


def test_four_times_the_steps_change_no_sample_by_more_than_one(
    encoded: tuple[UnitEncoder, StoredSignal, float],
) -> None:
    stored = encoded[1]
    assert stored.networks[0].steps > 1
    more = replace(stored, networks=(replace(stored.networks[0], steps=4 * stored.networks[0].steps),))
    pictures = [render_signal(each, device="cpu").to_source().astype(int) for each in (stored, more)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_what_was_packed_is_held_against_the_fit(encoded: tuple[UnitEncoder, StoredSignal, float]) -> None:
    encoder, stored, decoded_db = encoded
    network = stored.networks[0]
    assert psnr_db(encoder.check(pack_network(network))) == pytest.approx(decoded_db, abs=0.05)


def test_a_decoder_that_computes_something_else_is_found(
    encoded: tuple[UnitEncoder, StoredSignal, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, stored, _ = encoded
    evaluate = StoredNetwork.evaluate
    monkeypatch.setattr(StoredNetwork, "evaluate", lambda self, x: evaluate(self, x) + np.float32(0.02))
    with pytest.raises(FitError, match="please report this"):
        encoder.check(pack_network(stored.networks[0]))


@pytest.mark.parametrize("filter_", list(Filter))
def test_every_filter(signal: Signal, filter_: Filter) -> None:
    _, stored, decoded_db = _encode(signal, filter=filter_, depth=2)
    assert stored.networks[0].architecture.filter is filter_
    assert decoded_db > 16.0
    assert _size_bytes(stored) < 2 * stored.networks[0].architecture.parameter_count


@pytest.mark.parametrize("size_bytes", [700, 2500])
def test_a_target_size_is_met(signal: Signal, size_bytes: int) -> None:
    _, stored, decoded_db = _encode(signal, goal=SizeGoal(size_bytes), width=None)
    assert 0.95 * size_bytes <= _size_bytes(stored) <= size_bytes
    assert decoded_db > 16.0


def test_a_target_size_at_a_given_width(signal: Signal) -> None:
    _, stored, _ = _encode(signal, goal=SizeGoal(600))
    assert stored.networks[0].architecture.width == 24
    assert 570 <= _size_bytes(stored) <= 600


def test_a_target_psnr_is_met(signal: Signal) -> None:
    _, _, decoded_db = _encode(signal, goal=PsnrGoal(21.0), width=None, preset=replace(_PRESET, steps=400))
    assert decoded_db == pytest.approx(21.0, rel=0.05)


def test_a_higher_price_gives_a_smaller_file(signal: Signal) -> None:
    cheap, dear = (_encode(signal, goal=PriceGoal(lmbda), width=None)[1] for lmbda in (0.0005, 0.02))
    assert _size_bytes(dear) < 0.6 * _size_bytes(cheap)


def test_more_steps_than_allowed_lower_the_contraction(signal: Signal) -> None:
    """At c = 0.99 the fixed point may need more than 64 steps; the file must not."""
    _, stored, decoded_db = _encode(signal, contraction=0.99)
    assert stored.networks[0].steps <= 64
    assert decoded_db > 18.0


def test_the_callback_can_cancel(signal: Signal) -> None:
    stages: list[str] = []

    def cancel_at_quantisation(progress: Progress) -> bool:
        stages.append(progress.stage)
        return progress.stage != "quantise"

    points = TrainingPoints.of_signal(signal, device="cpu")
    settings = FitSettings(preset=_PRESET, goal=LossGoal(), width=8)
    encoder = UnitEncoder(signal.description, points, settings, Reporter(cancel_at_quantisation))
    with pytest.raises(Cancelled, match="nothing was written"):
        encoder.encode()
    assert stages[0] == "fit"
