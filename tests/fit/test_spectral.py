from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from i2codec.field.architecture import Norm
from i2codec.field.module import ImplicitField
from i2codec.fit.field_fit import FieldFit
from i2codec.fit.spectral import FollowedScale


def _field(fitted: ImplicitField, **changes: object) -> ImplicitField:
    tensors = {name: tensor.detach().clone() for name, tensor in fitted.tensors.items()}
    return ImplicitField(replace(fitted.architecture, **changes), tensors, steps=1)


@pytest.mark.parametrize("norm", list(Norm))
def test_it_is_the_exact_scale_forward_and_backward(fitted: ImplicitField, norm: Norm) -> None:
    field = _field(fitted, norm=norm)
    exact, followed = field.state_scale(), FollowedScale(field)()
    torch.testing.assert_close(followed, exact, rtol=1e-5, atol=0.0)
    if norm is Norm.NONE:
        return
    wanted, found = (torch.autograd.grad(scale, field.tensors["A_1"])[0] for scale in (exact, followed))
    assert torch.nn.functional.cosine_similarity(wanted.flatten(), found.flatten(), dim=0) > 0.999


def test_it_keeps_up_with_weights_that_move(fitted: ImplicitField) -> None:
    field = _field(fitted)
    scale = FollowedScale(field)
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    with torch.no_grad():
        for _ in range(100):
            field.tensors["A_1"] += 0.02 * torch.randn(32, 32, generator=generator)
            worst = max(worst, abs(float(scale() / field.state_scale()) - 1.0))
        assert worst < 0.02
        still = FollowedScale(field)
        still.vectors = {"A_1": torch.nn.functional.one_hot(torch.tensor(0), 32).float()}
        assert abs(float(still() / field.state_scale()) - 1.0) > worst


def test_weights_of_zero_give_one_without_gradients_that_are_not_finite(
    fitted: ImplicitField, field_fit: FieldFit
) -> None:
    field = copy.deepcopy(_field(fitted))
    with torch.no_grad():
        field.tensors["A_1"].zero_()
    scale = FollowedScale(field)()
    assert scale == 1.0
    (gradient,) = torch.autograd.grad(scale, field.tensors["A_1"])
    assert torch.isfinite(gradient).all()
