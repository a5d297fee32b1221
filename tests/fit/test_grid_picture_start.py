from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.fit import grid_picture_start
from i2codec.fit.context import feature_count, features, level_tensors, planes_before, predicted
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.grid_picture_start import picture_start
from i2codec.fit.grid_presets import GRID_PRESETS

APrior = Callable[..., tuple[int, dict[str, NDArray[np.int16]]]]

_LEVELS, _EXTENTS = 4, (60, 75)
_LMBDA = 3e-5
_EVERY_CHANNEL_COUNT = pytest.mark.parametrize("channel_count", [1, 2, 3, 4])


def _architecture(channel_count: int) -> GridArchitecture:
    return GridArchitecture(
        _LEVELS,
        2,
        channel_count,
        context_features=feature_count(2, channel_count),
        context_count=2,
        unrolled=True,
        plane_count=channel_count,
    )


def _smooth(channel_count: int) -> Tensor:
    """Waves of 20 samples and more ``[C, *grid]`` in 0..1, and a little noise."""
    y, x = np.meshgrid(*map(np.arange, _EXTENTS), indexing="ij")
    generator = np.random.default_rng(1)
    channels = [
        0.5 + 0.4 * np.sin(0.3 * y + 0.1 * number) * np.cos(0.2 * x + number) + 0.002 * generator.normal(size=_EXTENTS)
        for number in range(channel_count)
    ]
    return torch.from_numpy(np.stack(channels)).float()


def _started(target: Tensor, *, lmbda: float = _LMBDA, seed: int = 0) -> GridModel:
    architecture = _architecture(len(target))
    _, tensors, latents = picture_start(architecture, target, lmbda=lmbda, seed=seed)
    assert {name: tensor.shape for name, tensor in tensors.items()} == architecture.tensor_shapes
    model = GridModel.start(architecture, tensors, extents=_EXTENTS, contraction=None, device="cpu")
    model.start_latents(latents)
    return model


def _objective(target: Tensor) -> GridObjective:
    return GridObjective.of(target, torch.full((len(target),), 1.0 / len(target)), level_count=_LEVELS)


def _output(target: Tensor, model: GridModel, latents: list[Tensor]) -> Tensor:
    return _objective(target).output(model, latents, steps=3)


@_EVERY_CHANNEL_COUNT
@pytest.mark.parametrize("lmbda", [_LMBDA, 1e-6, 1e-8])
def test_the_picture_is_there_but_for_the_error_that_lambda_asks_for(channel_count: int, lmbda: float) -> None:
    """A bit for each sample of a pixel lowers D by 2 ln 2 · D / C, and costs λ: both are alike."""
    target = _smooth(channel_count)
    model = _started(target, lmbda=lmbda)
    wanted = lmbda * channel_count / (2.0 * math.log(2.0))
    errors = (_output(target, model, model.rounded()) - target).square().mean(dim=(1, 2))
    np.testing.assert_allclose(errors, wanted, rtol=0.1)
    assert float(errors.mean()) == pytest.approx(wanted, rel=0.05)
    assert float(_objective(target).decoded(model, steps=3)[0]) == pytest.approx(wanted, rel=0.05)


@_EVERY_CHANNEL_COUNT
@pytest.mark.parametrize("lmbda", [0.1, 10.0])
def test_steps_are_an_eighth_at_most(channel_count: int, lmbda: float) -> None:
    target = _smooth(channel_count)
    model = _started(target, lmbda=lmbda)
    errors = (_output(target, model, model.rounded()) - target).square().mean(dim=(1, 2))
    np.testing.assert_allclose(errors, 0.125**2 / 12.0, rtol=0.2)


@_EVERY_CHANNEL_COUNT
def test_latents_before_they_are_rounded_are_the_picture(channel_count: int) -> None:
    """Only the finest of few levels has any, one for each channel at every node."""
    target = _smooth(channel_count)
    number, tensors, latents = picture_start(_architecture(channel_count), target, lmbda=_LMBDA, seed=0)
    assert number == 0
    assert {level: tuple(latent.shape) for level, latent in latents.items()} == {
        0: (channel_count, *_EXTENTS) if channel_count > 1 else _EXTENTS
    }
    model = _started(target)
    assert not any(latent.any() for latent in model.latents[1:])
    output = _output(target, model, [latents[0], *model.latents[1:]]).detach()
    torch.testing.assert_close(output, target, atol=2e-6, rtol=0.0)
    assert np.unique(tensors["gains"]).size == 1


@_EVERY_CHANNEL_COUNT
def test_a_coarse_level_has_the_means_of_its_cells(channel_count: int) -> None:
    """What a cut file shows; the finest level has the rest."""
    ramp = torch.linspace(0.0, 0.6, _EXTENTS[1]).expand(channel_count, *_EXTENTS)
    target, architecture = ramp + 0.3 * _smooth(channel_count), replace(_architecture(channel_count), level_count=7)
    _, tensors, latents = picture_start(architecture, target, lmbda=_LMBDA, seed=0)
    assert set(latents) == {0, 4}
    model = GridModel.start(architecture, tensors, extents=_EXTENTS, contraction=None, device="cpu")
    model.start_latents(latents)
    weights = torch.full((channel_count,), 1.0 / channel_count)
    whole = GridObjective.of(target, weights, level_count=7)
    wanted = _LMBDA * channel_count / (2.0 * math.log(2.0))
    assert whole.decoded(model, steps=3)[0] == pytest.approx(wanted, rel=0.1)
    cut = GridObjective.of(target, weights, level_count=7, first_level=4)
    assert cut.decoded(model, steps=3)[0] < 2.0 * wanted  # between nodes the kernel is not exact
    assert float(cut.target.var()) > 100.0 * wanted
    assert float(latents[0].var()) * float(tensors["gains"][0]) ** 2 < 0.5 * float(target.var())


def test_colours_that_are_alike_are_one_plane() -> None:
    """Lightness is the first, and alpha keeps to itself."""
    grey, alpha = _smooth(2)
    target = torch.stack([grey, grey, grey, alpha])
    latents = picture_start(_architecture(4), target, lmbda=_LMBDA, seed=0)[2][0]
    spread = latents.flatten(1).std(dim=1)
    assert float(spread[1:3].max()) < 1e-4 * float(spread[0])
    torch.testing.assert_close(latents[0] / latents[3], math.sqrt(3.0) * (grey - 0.5) / (alpha - 0.5))


def _mean_bits(model: GridModel, target: Tensor) -> float:
    """Per latent of the finest level; the others are 0."""
    return float(_objective(target).rate(model, model.rounded()).detach()) / len(target)


def _cheapest_without_context(model: GridModel, target: Tensor) -> float:
    """Of all scales under a mean of 0."""
    found = []
    with torch.no_grad():
        for name in ("C_1", "C_2", "C_3"):
            model.context[name].zero_()
        for log2_scale in np.arange(-4.0, 6.0, 0.125):
            model.context["d_3"][0, 1] = log2_scale
            found.append(_mean_bits(model, target))
    return min(found)


@_EVERY_CHANNEL_COUNT
def test_smooth_pictures_are_predicted(channel_count: int) -> None:
    target = _smooth(channel_count)
    model = _started(target)
    assert _mean_bits(model, target) < 0.75 * _cheapest_without_context(model, target)


@_EVERY_CHANNEL_COUNT
def test_no_linear_prediction_is_nearer(channel_count: int) -> None:
    """Of the rounded latents, by what the context model reads."""
    target = _smooth(channel_count)
    model = _started(target)
    grids = [latent[(None,) * (3 - latent.dim())] for latent in model.rounded()]
    x = features(grids[:1], 0, before=planes_before(axis_count=2, plane_count=channel_count))
    y = grids[0].reshape(-1)
    mean, log2_scale = predicted(x, level_tensors(dict(model.context.items()), 0)).detach()
    residual = y - mean
    best = np.linalg.lstsq(x.T.double().numpy(), y.double().numpy(), rcond=None)[0]
    least = np.square(y.double().numpy() - best @ x.double().numpy()).sum()
    assert float(residual.square().sum()) == pytest.approx(least, rel=0.01)
    assert len(log2_scale.unique()) == 1
    assert float(2.0 ** log2_scale[0]) == pytest.approx(float(residual.abs().mean()), rel=0.01)


def test_a_plane_is_predicted_from_the_one_before() -> None:
    """Two planes of the same noise have half the error of two that differ: a bit less for each latent."""
    noise = 0.5 + 0.2 * torch.randn(2, *_EXTENTS, generator=torch.Generator().manual_seed(0))
    bits = [_mean_bits(_started(target), target) for target in (noise, noise[:1].expand(2, -1, -1))]
    assert bits[0] - bits[1] == pytest.approx(1.0, abs=0.2)


def test_a_large_picture_is_predicted_as_its_middle_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_picture_start, "_SIDE", 20)
    target, architecture = _smooth(3), _architecture(3)
    whole, middle, corner = (
        picture_start(architecture, part, lmbda=_LMBDA, seed=0)[1]
        for part in (target, target[:, 20:40, 27:47], target[:, :20, :20])
    )
    for name in ("C_1", "d_3"):
        np.testing.assert_allclose(whole[name], middle[name])
        assert np.abs(whole[name] - corner[name]).max() > 1e-3


def test_the_seed_alone_decides_what_is_idle() -> None:
    target, architecture = _smooth(3), _architecture(3)
    first, again, other = (picture_start(architecture, target, lmbda=_LMBDA, seed=seed) for seed in (1, 1, 2))
    for name, tensor in first[1].items():
        np.testing.assert_array_equal(tensor, again[1][name])
        assert np.array_equal(tensor, other[1][name]) is (name not in {"E_1", "E_2", "C_1"})
    assert torch.equal(first[2][0], again[2][0])
    assert torch.equal(first[2][0], other[2][0])
    outputs = [_output(target, model, model.rounded()) for model in (_started(target, seed=seed) for seed in (1, 2))]
    torch.testing.assert_close(*outputs, atol=1e-6, rtol=0.0)


def test_networks_are_those_of_a_prior_but_for_the_step(a_prior: APrior) -> None:
    """The scales of its latents are for its own λ, 0.01: a smaller step makes them larger."""
    target, architecture = _smooth(3), _architecture(3)
    _, own, wanted = picture_start(architecture, target, lmbda=_LMBDA, seed=0)
    number, integers = a_prior(architecture)
    found, tensors, latents = picture_start(architecture, target, lmbda=_LMBDA, seed=0)
    assert found == number
    assert torch.equal(latents[0], wanted[0])
    np.testing.assert_array_equal(tensors["gains"], own["gains"])
    prior = {name: array / 1024.0 for name, array in integers.items()}
    prior["d_3"][:, 1] += 0.5 * np.log2(0.01 / _LMBDA)
    for name in tensors.keys() - {"gains"}:
        np.testing.assert_allclose(tensors[name], prior[name])


@pytest.mark.parametrize("lmbda", [5e-5, 5e-6])
@pytest.mark.parametrize("preset", GRID_PRESETS)
def test_a_released_prior_makes_the_picture_too(preset: str, lmbda: float) -> None:
    sizes = {"hidden_width": GRID_PRESETS[preset].hidden_width, "width": GRID_PRESETS[preset].width}
    architecture = replace(_architecture(3), level_count=7, context_count=3, **sizes)
    target = _smooth(3)
    number, tensors, latents = picture_start(architecture, target, lmbda=lmbda, seed=0)
    assert number > 0
    model = GridModel.start(architecture, tensors, extents=_EXTENTS, contraction=None, device="cpu")
    model.start_latents(latents)
    objective = GridObjective.of(target, torch.full((3,), 1.0 / 3.0), level_count=7)
    assert objective.decoded(model, steps=3)[0] < 1.5 * lmbda * 3 / (2.0 * math.log(2.0))


def test_priors_of_one_latent_at_every_node_are_for_low_rates(a_prior: APrior) -> None:
    a_prior(_architecture(1))
    number, tensors, _ = picture_start(_architecture(1), _smooth(1), lmbda=_LMBDA, seed=0)
    assert number == 0
    np.testing.assert_array_equal(tensors["W"][:, 0], 1.0)


def test_what_is_idle_can_be_learned() -> None:
    """Units and channels that do nothing yet have an effect as soon as what reads them moves."""
    target = _smooth(3)
    model, objective = _started(target), _objective(target)
    distortion, rate = objective.parts(model, model.rounded(), lambda u: model.field.state(u, steps=3))
    networks = model.named_networks()
    names = ("A", "W", "C_2", "C_3")
    gradients = torch.autograd.grad(distortion + rate, [networks[name] for name in names], allow_unused=True)
    by_name = dict(zip(names, gradients, strict=True))
    assert by_name["W"][:, 3:].all()
    assert by_name["A"][:3, 3:].any()
    assert by_name["C_3"][0, :, 2:].any()
    assert by_name["C_2"][0, :2, 2:].any()
