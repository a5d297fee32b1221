from __future__ import annotations

import torch

from i2codec.fit.rounding import ProgressiveRounding


def _rounding() -> tuple[torch.Tensor, ProgressiveRounding]:
    tensor = torch.linspace(-1.0, 1.0, 40)
    return tensor, ProgressiveRounding({"A_1": tensor}, {"A_1": 0.3})


def test_the_nearest_weights_are_frozen_first_and_stay() -> None:
    tensor, rounding = _rounding()
    original = tensor.clone()
    rounding.advance(0.0)
    frozen = ~rounding.free("A_1")
    assert 0 < int(frozen.sum()) < 10
    distance = (original - torch.round(original / 0.3) * 0.3).abs()
    assert distance[frozen].max() <= distance[~frozen].min()
    tensor[~frozen] += 0.01
    rounding.advance(0.5)
    assert torch.equal(tensor[frozen], (torch.round(original / 0.3) * 0.3)[frozen])
    assert int((~rounding.free("A_1")).sum()) > 15


def test_an_early_call_of_the_same_stage_changes_nothing() -> None:
    tensor, rounding = _rounding()
    rounding.advance(0.30)
    before = tensor.clone()
    tensor += 0.001
    rounding.advance(0.34)
    assert torch.equal(tensor, before + 0.001)


def test_settling_rounds_everything() -> None:
    tensor, rounding = _rounding()
    rounding.settle()
    assert not rounding.free("A_1").any()
    torch.testing.assert_close(tensor, torch.round(tensor / 0.3) * 0.3)


def test_a_snapshot_restores_what_is_frozen() -> None:
    tensor, rounding = _rounding()
    rounding.advance(0.4)
    other = ProgressiveRounding({"A_1": tensor.clone()}, {"A_1": 0.3})
    other.restore(rounding.snapshot())
    assert torch.equal(other.free("A_1"), rounding.free("A_1"))
