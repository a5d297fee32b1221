from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from i2codec.fit import context
from i2codec.fit.context import PlanesBefore, feature_count, features, laplace_bits, latent_bits, planes_before
from i2codec.latents import model as integer_model
from i2codec.latents import template
from i2codec.latents.coder import code_lengths
from i2codec.latents.model import ContextModel
from i2codec.latents.plain import features as integer_features
from i2codec.latents.template import Template

MakeContext = Callable[..., dict[str, Tensor]]
MakeLatents = Callable[..., list[Tensor]]

_ARGUMENTS = {"C_1": "w1", "d_1": "b1", "C_2": "w2", "d_2": "b2", "C_3": "w3", "d_3": "b3"}


def _coded(tensors: dict[str, Tensor], before: PlanesBefore) -> ContextModel:
    which = {0: Template.PLANE, 1: Template.VOLUME, 2: Template.COLOUR}[len(before)]
    return ContextModel.from_float(which, **{_ARGUMENTS[name]: tensor.numpy() for name, tensor in tensors.items()})


def _grids(latents: Sequence[Tensor]) -> list[NDArray[np.int32] | None]:
    """As the integer model reads them, and the two levels that there are not."""
    grids = [latent[(None,) * (3 - latent.dim())].numpy().astype(np.int32) for latent in latents]
    return [*grids, None, None]


def _level_bits(latents: Sequence[Tensor], tensors: dict[str, Tensor], level: int, before: PlanesBefore = ()) -> float:
    """Of one level: what all levels from it on cost, but for those after it."""
    rest = latents[level + 1 :]
    after = float(latent_bits(rest, tensors, first_level=level + 1, before=before)) if rest else 0.0
    return float(latent_bits(latents[level:], tensors, first_level=level, before=before)) - after


def _assert_bits_agree(
    latents: Sequence[Tensor], tensors: dict[str, Tensor], *, rtol: float, before: PlanesBefore = ()
) -> None:
    grids, model = _grids(latents), _coded(tensors, before)
    for level in range(len(latents)):
        coarser, coarsest = grids[level + 1 : level + 3]
        coded = code_lengths(grids[level], coarser=coarser, coarsest=coarsest, model=model, level=level).sum()
        assert _level_bits(latents, tensors, level, before) == pytest.approx(coded, rel=rtol)


def test_constants_are_those_of_the_integer_model() -> None:
    assert context._LARGEST_FEATURE == template.LARGEST_FEATURE
    assert context._LARGEST_ACTIVATION == integer_model.LARGEST_ACTIVATION / 2.0**6
    assert context.LARGEST_MEAN == 2032 / 16
    assert (context._LOWEST_LOG2_SCALE, context.HIGHEST_LOG2_SCALE) == (-4.0, 79 / 8 - 4.0)


@pytest.mark.parametrize(
    ("axis_count", "plane_count", "which"),
    [
        (1, 1, Template.PLANE),
        (2, 1, Template.PLANE),
        (3, 1, Template.VOLUME),
        (2, 2, Template.COLOUR),
        (2, 4, Template.COLOUR),
    ],
)
def test_there_are_as_many_features_as_the_template_has(axis_count: int, plane_count: int, which: Template) -> None:
    assert feature_count(axis_count, plane_count) == which.feature_count
    assert feature_count(axis_count) == (which if plane_count == 1 else Template.PLANE).feature_count
    before = planes_before(axis_count=axis_count, plane_count=plane_count)
    assert len(before) == which.plane_reach


@pytest.mark.parametrize(
    ("extents", "plane_count"),
    [
        *[(extents, 1) for extents in ((9,), (8, 11), (1, 1), (5, 1), (3, 6, 5), (6, 1, 3))],
        *[((8, 11), 2), ((7, 6), 3), ((1, 1), 3), ((5, 1), 4), ((6, 9), 5)],
    ],
)
@pytest.mark.parametrize("level_count", [1, 2, 3])
def test_the_features_are_those_of_the_integer_model_in_its_order(
    extents: tuple[int, ...], plane_count: int, level_count: int, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    sizes = {"axis_count": len(extents), "plane_count": plane_count}
    latents = make_latents(extents, plane_count=plane_count, level_count=level_count, spread=60.0, rounded=True)
    grids, before = _grids(latents), planes_before(**sizes)
    model = _coded(make_context(**sizes), before)
    planes = [torch.from_numpy(grid).float() for grid in grids[:level_count]]
    for level, plane in enumerate(planes):
        found = features(planes, level, before=before).T
        coarser, coarsest = grids[level + 1 : level + 3]
        wanted = [integer_features(grids[level], (coarser, coarsest), model, node) for node in np.ndindex(*plane.shape)]
        torch.testing.assert_close(found, torch.tensor(wanted).float(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("extents", "plane_count", "level_count"),
    [
        ((6000,), 1, 3),
        ((80, 96), 1, 1),
        ((80, 96), 1, 2),
        ((150, 131), 1, 4),
        ((12, 40, 37), 1, 3),
        ((80, 96), 3, 3),
        ((81, 95), 2, 2),
        ((70, 61), 4, 1),
    ],
)
def test_bits_are_those_of_the_integer_model(
    extents: tuple[int, ...], plane_count: int, level_count: int, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    """But for what the integer model rounds: activations to 1/64, means to 1/16, scales to an eighth of an octave.

    Over a level that averages out: the worst seen is 0.17 %.
    """
    sizes = {"axis_count": len(extents), "plane_count": plane_count}
    tensors = make_context(**sizes, level_count=level_count)
    latents = make_latents(extents, plane_count=plane_count, level_count=level_count, rounded=True)
    _assert_bits_agree(latents, tensors, rtol=0.003, before=planes_before(**sizes))


@pytest.mark.parametrize(("extents", "plane_count"), [((9,), 1), ((3, 4), 1), ((2, 2, 3), 1), ((2, 2), 3)])
def test_bits_of_a_few_nodes_are_those_of_the_integer_model(
    extents: tuple[int, ...], plane_count: int, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    """Where a wrong prediction does not average out either; the worst of these seen is 1.0 %."""
    sizes = {"axis_count": len(extents), "plane_count": plane_count}
    for seed in range(40):
        tensors = make_context(**sizes, level_count=1, seed=seed)
        latents = make_latents(extents, plane_count=plane_count, level_count=1, rounded=True, seed=seed)
        _assert_bits_agree(latents, tensors, rtol=0.015, before=planes_before(**sizes))


def test_bits_are_those_of_the_integer_model_at_the_limits_of_activations_and_means(
    make_context: MakeContext, make_latents: MakeLatents
) -> None:
    """Of wide distributions: the least frequency that each symbol has makes them 0.9 % off."""
    latents = [level.clamp(-126.0, 126.0) for level in make_latents((100, 96), spread=90.0, rounded=True)]
    tensors = make_context(gain=2.0)
    tensors["C_3"] = torch.tensor([[3.0], [0.001]]) * torch.sign(tensors["C_3"])
    tensors["d_3"][:, 1] = 5.5
    _assert_bits_agree(latents, tensors, rtol=0.01)


@pytest.mark.parametrize("context_count", [1, 2, 4, 5])
def test_bits_of_a_level_use_the_biases_and_the_network_of_its_number(
    context_count: int, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    tensors = make_context(level_count=5, context_count=context_count)
    latents = make_latents((20, 24), level_count=2)
    first = {"d_1": 3, "d_3": 3, **dict.fromkeys(("C_1", "C_2", "d_2", "C_3"), min(3, context_count - 1))}
    chosen = {name: tensor[first[name] :] for name, tensor in tensors.items()}
    assert latent_bits(latents, tensors, first_level=3) == latent_bits(latents, chosen)
    assert latent_bits(latents, tensors, first_level=3) != latent_bits(latents, tensors)


@pytest.mark.parametrize("name", ["C_1", "C_2", "d_2", "C_3"])
def test_bits_see_which_network_is_which(name: str, make_context: MakeContext, make_latents: MakeLatents) -> None:
    tensors, latents = make_context(), make_latents((20, 24))
    mixed_up = tensors | {name: tensors[name].flip(0)}
    for level in range(3):
        assert _level_bits(latents, mixed_up, level) != pytest.approx(_level_bits(latents, tensors, level), rel=1e-3)


@pytest.mark.parametrize("log2_scale", [-4.0, -1.3, 0.0, 2.0, 5.875])
def test_laplace_bits_are_those_of_the_distribution(log2_scale: float) -> None:
    distance = np.concatenate([np.linspace(-6.0, 6.0, 97), [-30.0, 30.0]])
    # of the side away from the mean, which has no 1 to cancel against
    near, far = (stats.laplace.sf(np.abs(distance) + half, scale=2.0**log2_scale) for half in (-0.5, 0.5))
    wanted = -np.log2(np.maximum(near - far, 2.0**-16))
    for dtype, rtol in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
        mean, scale = torch.tensor(3.0, dtype=dtype), torch.tensor(log2_scale, dtype=dtype)
        found = laplace_bits(torch.tensor(distance, dtype=dtype) + mean, mean=mean, log2_scale=scale)
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("beyond", "limit"), [(-9.0, -4.0), (11.0, 5.875)])
def test_scales_end_where_those_of_the_tables_do(beyond: float, limit: float) -> None:
    values, mean = torch.linspace(-0.7, 0.7, 9), torch.tensor(0.1)
    found, wanted = (laplace_bits(values, mean=mean, log2_scale=torch.tensor(s)) for s in (beyond, limit))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_what_is_least_likely_costs_16_bits_and_has_no_gradient() -> None:
    values = torch.tensor([40.0, -1e6], requires_grad=True)
    bits = laplace_bits(values, mean=torch.tensor(0.0), log2_scale=torch.tensor(0.0))
    assert bits.tolist() == [16.0, 16.0]
    assert torch.autograd.grad(bits.sum(), values)[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("extents", "plane_count"), [((7,), 1), ((4, 5), 1), ((2, 3, 4), 1), ((3, 4), 3)])
@pytest.mark.parametrize("context_count", [1, 2, 3])
def test_gradients_are_exact(
    extents: tuple[int, ...], plane_count: int, context_count: int, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    sizes = {"axis_count": len(extents), "plane_count": plane_count}
    latents = make_latents(extents, plane_count=plane_count)
    tensors = make_context(**sizes, width=3, context_count=context_count)
    inputs = [tensor.double().requires_grad_() for tensor in (*latents, *tensors.values())]

    def bits(*flat: Tensor) -> Tensor:
        by_name = dict(zip(tensors, flat[len(latents) :], strict=True))
        return latent_bits(flat[: len(latents)], by_name, before=planes_before(**sizes))

    assert torch.autograd.gradcheck(bits, inputs, eps=1e-7, atol=1e-5)


def test_a_typical_latent_costs_its_entropy(make_latents: MakeLatents) -> None:
    """Of a Laplace distribution of scale b in steps of 1: log₂(2 e b) where b is large."""
    scale = 16.0
    values = make_latents((300, 300), level_count=1, spread=scale)[0]
    bits = laplace_bits(values, mean=torch.tensor(0.0), log2_scale=torch.tensor(math.log2(scale))).mean()
    assert float(bits) == pytest.approx(math.log2(2.0 * math.e * scale), abs=0.02)
