from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2codec.fit import context, context_kernel
from i2codec.fit.context import PlanesBefore, latent_bits, planes_before
from i2codec.fit.context_fast import fast_latent_bits

MakeContext = Callable[..., dict[str, Tensor]]
MakeLatents = Callable[..., list[Tensor]]
Bits = Callable[..., Tensor]


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def _value_and_gradients(
    bits: Bits,
    latents: list[Tensor],
    tensors: dict[str, Tensor],
    *,
    dtype: torch.dtype = torch.float32,
    first_level: int = 0,
    before: PlanesBefore = (),
    upstream: float = 1.0,
) -> list[Tensor]:
    """Bits, and their gradient by every latent and weight."""
    flat = [tensor.detach().to(dtype).requires_grad_() for tensor in (*latents, *tensors.values())]
    by_name = dict(zip(tensors, flat[len(latents) :], strict=True))
    value = bits(flat[: len(latents)], by_name, first_level=first_level, before=before)
    return [value.detach(), *torch.autograd.grad(value, flat, torch.tensor(upstream, dtype=dtype))]


def _assert_equal_to_the_plain_twin(
    latents: list[Tensor], tensors: dict[str, Tensor], *, first_level: int = 0, before: PlanesBefore = ()
) -> None:
    """To within 10⁻⁴ of the largest gradient of each tensor; the worst seen is 2 · 10⁻⁵."""
    options: dict[str, Any] = {"first_level": first_level, "before": before}
    found = _value_and_gradients(fast_latent_bits, latents, tensors, **options)
    wanted = _value_and_gradients(latent_bits, latents, tensors, dtype=torch.float64, **options)
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, torch.float32)
        assert float((ours - theirs).abs().max()) <= 1e-4 * max(float(theirs.abs().max()), 1e-3)


def test_the_compiled_loop_has_the_same_constants() -> None:
    for name in ("_LARGEST_FEATURE", "_LARGEST_ACTIVATION", "_LOWEST_LOG2_SCALE", "_LEAST_PROBABILITY"):
        assert getattr(context_kernel, name) == getattr(context, name)


@pytest.mark.parametrize(
    ("extents", "plane_count"),
    [
        ((1,), 1),
        ((2,), 1),
        ((200,), 1),
        ((1100,), 1),
        ((3, 1037), 1),
        ((1, 1), 1),
        ((1, 9), 1),
        ((9, 1), 1),
        ((2, 3), 1),
        ((37, 50), 1),
        ((1, 1, 1), 1),
        ((5, 1, 3), 1),
        ((1, 6, 4), 1),
        ((5, 6, 7), 1),
        ((1, 1), 3),
        ((1, 9), 2),
        ((3, 1037), 2),
        ((37, 50), 3),
        ((12, 7), 5),
    ],
)
@pytest.mark.parametrize("level_count", [1, 2, 4])
def test_bits_and_gradients_are_those_of_the_plain_twin(
    extents: tuple[int, ...], plane_count: int, level_count: int, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    sizes = {"axis_count": len(extents), "plane_count": plane_count}
    latents = make_latents(extents, plane_count=plane_count, level_count=level_count)
    tensors = make_context(**sizes, level_count=level_count)
    _assert_equal_to_the_plain_twin(latents, tensors, before=planes_before(**sizes))


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("extents", "plane_count"),
    [((3,), 1), ((150, 11), 1), ((330, 4), 1), ((9, 40, 3), 1), ((70, 2, 5), 1), ((90, 7), 3), ((3, 20), 4)],
)
def test_any_number_of_threads_gives_the_same(
    extents: tuple[int, ...],
    plane_count: int,
    threads: int,
    set_threads: Callable[[int], None],
    make_context: MakeContext,
    make_latents: MakeLatents,
) -> None:
    set_threads(threads)
    sizes = {"axis_count": len(extents), "plane_count": plane_count}
    latents = make_latents(extents, plane_count=plane_count)
    _assert_equal_to_the_plain_twin(latents, make_context(**sizes), before=planes_before(**sizes))


@pytest.mark.parametrize(("extents", "plane_count"), [((40,), 1), ((9, 10), 1), ((3, 4, 5), 1), ((5, 6), 3)])
@pytest.mark.parametrize("context_count", [1, 2, 4, 5])
def test_biases_and_networks_are_those_of_the_levels_from_the_first(
    extents: tuple[int, ...], plane_count: int, context_count: int, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    """What no level in use has gets a gradient of 0."""
    sizes = {"axis_count": len(extents), "plane_count": plane_count}
    tensors, before = make_context(**sizes, level_count=5, context_count=context_count), planes_before(**sizes)
    latents = make_latents(extents, plane_count=plane_count, level_count=2)
    _assert_equal_to_the_plain_twin(latents, tensors, first_level=2, before=before)
    networks = {min(level, context_count - 1) for level in (2, 3)}
    for bits in (fast_latent_bits, latent_bits):
        _, *gradients = _value_and_gradients(bits, latents, tensors, first_level=2, before=before)
        for name, gradient in zip(tensors, gradients[len(latents) :], strict=True):
            used = {2, 3} if name in ("d_1", "d_3") else networks
            assert [bool(part.any()) for part in gradient] == [number in used for number in range(len(gradient))]


@pytest.mark.parametrize("context_count", [1, 2, 3, 4])
def test_any_number_of_networks_gives_the_same(
    context_count: int, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    tensors = make_context(level_count=4, context_count=context_count)
    _assert_equal_to_the_plain_twin(make_latents((37, 50), level_count=4), tensors)


@pytest.mark.parametrize("upstream", [-2.5, 0.0, 1e-6])
def test_gradients_scale_with_what_comes_from_above(
    upstream: float, make_context: MakeContext, make_latents: MakeLatents
) -> None:
    latents, tensors = make_latents((12, 17)), make_context()
    _, *once = _value_and_gradients(fast_latent_bits, latents, tensors)
    _, *scaled = _value_and_gradients(fast_latent_bits, latents, tensors, upstream=upstream)
    for single, found in zip(once, scaled, strict=True):
        torch.testing.assert_close(found, upstream * single, rtol=1e-6, atol=0.0)


def test_limits_of_features_activations_means_and_scales_are_those_of_the_plain_twin(
    make_context: MakeContext, make_latents: MakeLatents
) -> None:
    """What is beyond a limit passes no gradient on."""
    latents = make_latents((40, 30), spread=90.0)
    assert max(float(level.abs().max()) for level in latents) > 200.0
    tensors = make_context(gain=2.0)
    tensors["C_3"] = torch.tensor([[3.0], [0.05]]) * torch.sign(tensors["C_3"])
    tensors["d_3"][:, 1] = 4.0
    _assert_equal_to_the_plain_twin(latents, tensors)


def test_latents_that_are_not_trained_need_no_gradient(make_context: MakeContext, make_latents: MakeLatents) -> None:
    latents = make_latents((12, 17), rounded=True)
    tensors = {name: tensor.requires_grad_() for name, tensor in make_context().items()}
    torch.autograd.backward(fast_latent_bits(latents, tensors))
    assert all(latent.grad is None for latent in latents)
    assert all(tensor.grad is not None and tensor.grad.any() for tensor in tensors.values())


@pytest.mark.parametrize("name", ["C_1", "d_1", "C_2", "d_2", "C_3", "d_3", "latents"])
def test_what_is_no_number_does_not_go_unseen(name: str, make_context: MakeContext, make_latents: MakeLatents) -> None:
    """Compiled under all of fastmath the bits were finite."""
    latents, tensors = make_latents((12, 17)), make_context()
    (latents[0] if name == "latents" else tensors[name]).view(-1)[0] = torch.nan
    assert fast_latent_bits(latents, tensors).isnan()


def _digest(latents: list[Tensor], tensors: dict[str, Tensor]) -> str:
    found = _value_and_gradients(fast_latent_bits, latents, tensors)
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in found)).hexdigest()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("extents", [(150, 83), (20, 1500)])
def test_the_same_input_gives_the_same_bytes(
    extents: tuple[int, int],
    threads: int,
    set_threads: Callable[[int], None],
    make_context: MakeContext,
    make_latents: MakeLatents,
) -> None:
    """The second time in memory that lies elsewhere; rows of 1500 are long enough for products on several cores."""
    set_threads(threads)
    latents, tensors = make_latents(extents), make_context(width=16)
    first = _digest(latents, tensors)
    moved = [torch.cat([torch.zeros(3), latent.flatten()])[3:].view(latent.shape) for latent in latents]
    assert _digest(moved, tensors) == first
    assert _digest(latents, tensors) == first


_ELSEWHERE = """
import hashlib, torch
from i2codec.fit.context_fast import fast_latent_bits
torch.set_num_threads(2)
latents, tensors = torch.load({path!r})
flat = [tensor.requires_grad_() for tensor in (*latents, *tensors.values())]
value = fast_latent_bits(latents, tensors)
found = [value.detach(), *torch.autograd.grad(value, flat)]
print(hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in found)).hexdigest())
"""


def test_another_process_gives_the_same_bytes(
    tmp_path: Path, set_threads: Callable[[int], None], make_context: MakeContext, make_latents: MakeLatents
) -> None:
    """One process takes the loop from numba's cache, the other compiles it: the machine code has to be the same.

    A process that compiles may call another copy of a function that is not inlined than the one in the cache.
    """
    set_threads(2)
    latents, tensors = make_latents((150, 83)), make_context(width=16)
    path = tmp_path / "input.pt"
    torch.save((latents, tensors), path)
    here = _digest(latents, tensors)
    loop: Any = context_kernel.plane_gradients
    is_from_cache = any(loop.stats.cache_hits.values())
    run = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE.format(path=str(path))],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)} if is_from_cache else None,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert run.stdout.strip() == here
