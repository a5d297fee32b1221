"""Levels of noise, and the context model for them."""

from __future__ import annotations

import numpy as np
import torch

from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.noise_filling import noise
from i2codec.fit.lattice_model import lattice_model, lattice_start
from i2codec.fit.lattice_noise import fit_noise_context, noise_bits, noise_levels
from i2codec.latents.template import Template

_EDGES = np.array([0, 100, 300, 600])
_STEPS = np.full(600, 0.5)


def test_what_is_left_out_is_filled_a_little_softer() -> None:
    amplitudes = 0.05 * np.random.default_rng(0).standard_normal((1, 80, 600))
    amplitudes[..., 100:300] *= 4.0
    latents = np.zeros((1, 80, 300), dtype=np.int32)
    levels = noise_levels(amplitudes, latents, steps=_STEPS, edges=_EDGES, least=1e-6)
    filled = _STEPS * noise(levels[0], _EDGES, unit=0, channel=0)
    for low, high in ((0, 100), (100, 300), (300, 600)):
        ratio = filled[:, low:high].std() / amplitudes[0, :, low:high].std()
        assert 0.45 < ratio < 0.75


def test_what_is_coded_does_not_count() -> None:
    amplitudes = np.full((1, 2, 600), 0.01)
    amplitudes[..., :50] = 3.0
    latents = np.zeros((1, 2, 60), dtype=np.int32)
    latents[..., :50] = 6
    found = noise_levels(amplitudes, latents, steps=_STEPS, edges=_EDGES, least=1e-6)
    assert len(np.unique(found)) == 1
    assert found[0, 0, 0] > 0


def test_softer_than_the_softest_is_none() -> None:
    amplitudes, latents = np.full((1, 2, 600), 1e-3), np.zeros((1, 2, 0), dtype=np.int32)
    assert noise_levels(amplitudes, latents, steps=_STEPS, edges=_EDGES, least=1e-4).all()
    assert not noise_levels(amplitudes, latents, steps=_STEPS, edges=_EDGES, least=2e-3).any()
    assert not noise_levels(0 * amplitudes, latents, steps=_STEPS, edges=_EDGES, least=0.0).any()


def test_the_context_model_of_noise_is_fitted_alone() -> None:
    architecture = GridArchitecture(
        2, 1, 1, context_count=2, context_features=Template.LATTICE.feature_count, basis=Basis.LATTICE
    )
    start = lattice_start(architecture, step=0.1, seed=0)
    zeros = {name: 0.0 * tensor for name, tensor in start.items()}
    model = lattice_model(architecture, start, contraction=0.7, device="cpu", priors=zeros)
    growths = [torch.round(2.0 * torch.randn(1, 200, 20, generator=torch.Generator().manual_seed(0)))]
    before = {name: tensor.detach().clone() for name, tensor in model.named_networks().items()}
    bits = float(noise_bits(growths, dict(model.context.items())).detach())
    fit_noise_context(model, growths, start)
    assert float(noise_bits(growths, dict(model.context.items())).detach()) < 0.98 * bits
    for name, tensor in model.named_networks().items():
        is_context = name in architecture.context_shapes
        torch.testing.assert_close(
            tensor[:1] if is_context else tensor, before[name][:1] if is_context else before[name]
        )
