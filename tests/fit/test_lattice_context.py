"""Bits of a lattice's latents: the compiled loop against its plain twin, and both against the integer coder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from i2codec.field.grid_architecture import CONTEXT_TENSORS, Basis, GridArchitecture
from i2codec.fit import lattice_context
from i2codec.fit.lattice_context import companded, lattice_bits, plain_lattice_bits
from i2codec.fit.lattice_model import column_places, lattice_start
from i2codec.latents import template
from i2codec.latents.coder import encode_latents
from i2codec.latents.model import ContextModel
from i2codec.latents.template import Template


def tensors_of(seed: int) -> dict[str, Tensor]:
    architecture = GridArchitecture(
        1, 1, channel_count=2, context_features=Template.LATTICE.feature_count, basis=Basis.LATTICE
    )
    start = lattice_start(architecture, step=0.1, seed=seed)
    return {name: torch.tensor(start[name], dtype=torch.float32).requires_grad_() for name in CONTEXT_TENSORS}


def latents_of(*shape: int, spread: float = 2.0, seed: int = 0) -> Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread).requires_grad_()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (2, 40, 30), (3, 2, 1100), (1, 140, 20)])
@pytest.mark.parametrize("spread", [0.2, 3.0, 3000.0])
def test_bits_and_gradients_are_those_of_the_plain_twin(shape: tuple[int, ...], spread: float) -> None:
    # of latents of thousands a step of 1 is little beside the scale: differences of float32 lose digits
    tensors, latents, tolerance = tensors_of(1), latents_of(*shape, spread=spread), max(2e-4, 1e-6 * spread)
    places = torch.from_numpy(column_places(2048)[:, : shape[2]].copy())
    wanted_by = [latents, *tensors.values()]
    found, wanted = (
        torch.autograd.grad(bits(latents, places, tensors), wanted_by, allow_unused=True)
        for bits in (lattice_bits, plain_lattice_bits)
    )
    value = float(lattice_bits(latents, places, tensors).detach())
    assert value == pytest.approx(float(plain_lattice_bits(latents, places, tensors).detach()), rel=1e-4)
    for ours, theirs in zip(found, wanted, strict=True):
        assert float((ours - theirs).abs().max()) <= tolerance * max(float(theirs.abs().max()), 1e-3)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_matter(threads: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        bits = float(lattice_bits(latents_of(2, 300, 20), torch.zeros(6, 20), tensors_of(2)).detach())
    finally:
        torch.set_num_threads(before)
    twin = plain_lattice_bits(latents_of(2, 300, 20), torch.zeros(6, 20), tensors_of(2))
    assert bits == pytest.approx(float(twin.detach()), rel=1e-5)


@pytest.mark.parametrize("spread", [0.3, 3.0, 200.0])
def test_bits_are_about_what_the_integer_coder_writes(spread: float) -> None:
    tensors = tensors_of(3)
    latents = torch.round(latents_of(2, 60, 50, spread=spread).detach())
    bits = float(lattice_bits(latents, torch.from_numpy(column_places(64)[:, :50].copy()), tensors).detach())
    arguments = zip(("w1", "b1", "w2", "b2", "w3", "b3"), tensors.values(), strict=True)
    model = ContextModel.from_float(Template.LATTICE, **{name: tensor.detach().numpy() for name, tensor in arguments})
    grid = latents.numpy().astype(np.int32)
    data = encode_latents(grid, coarser=None, coarsest=None, model=model, level=0, column_count=64)
    assert 8 * len(data) == pytest.approx(bits, rel=0.02)


def test_companding_is_that_of_the_integer_model() -> None:
    values = [0, 1, 2, 3, 7, 8, 100, 1000, 30000]
    found = companded(torch.tensor(values, dtype=torch.float32)).tolist()
    exact = [template.companded(value) for value in values]
    assert all(0.0 <= ours - theirs < 1.0 for ours, theirs in zip(found, exact, strict=True))
    assert found[:4] == exact[:4]


def test_constants_are_those_of_the_integer_model() -> None:
    assert (Template.LATTICE.scale_count - 1) / 8 - 4 == lattice_context.HIGHEST_LOG2_SCALE
