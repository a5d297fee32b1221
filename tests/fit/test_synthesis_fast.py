from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_module import GridField, LatentReader
from i2codec.field.interpolation import level_extents
from i2codec.field.stencil import Stencil
from i2codec.fit import synthesis_fast, synthesis_kernel
from i2codec.fit.compiled import bands
from i2codec.fit.synthesis_fast import FastGridField, FastLatentReader

Layer = Callable[[GridField, Sequence[Tensor]], Tensor]

_LEVELS = 3
_EXPLICIT = ("gains", "E_1", "e_1", "E_2", "e_2")
_EXTENTS = [(1,), (2,), (70,), (1, 1), (1, 9), (9, 1), (13, 22), (1, 1, 1), (5, 1, 3), (1, 6, 4), (4, 1, 1), (4, 5, 6)]
_MANY_BANDS = [(24_600,), (157, 160), (25_000, 1), (26, 31, 32), (60, 1, 420)]
"""Of as many samples and, but the first, rows as three threads need to have a band each."""


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@contextmanager
def _narrow_bands(threads: int) -> Iterator[None]:
    """So many threads, and bands of as little as three samples or one row."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthesis_fast, "_LEAST_SAMPLES", 3)
        patch.setattr(synthesis_fast, "_LEAST_ROWS", 1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _field(
    axis_count: int,
    *,
    level_count: int = _LEVELS,
    hidden_width: int = 5,
    width: int = 3,
    stencil: Stencil = Stencil.FULL,
    contraction: float | None = None,
    plane_count: int = 1,
    seed: int = 0,
) -> FastGridField:
    """Random parameters of about 1."""
    architecture = GridArchitecture(
        level_count,
        axis_count,
        channel_count=max(2, plane_count),
        hidden_width=hidden_width,
        width=width,
        stencil=stencil,
        plane_count=plane_count,
    )
    generator = np.random.default_rng(seed)
    tensors = {
        name: torch.from_numpy(generator.normal(size=shape)).float()
        for name, shape in architecture.synthesis_shapes.items()
    }
    return FastGridField(architecture, tensors, contraction=contraction)


def _plain(field: GridField) -> GridField:
    """The plain twin in float64."""
    tensors = {name: tensor.detach().double() for name, tensor in field.tensors.items()}
    return GridField(field.architecture, tensors, contraction=field.contraction)


def _random(*shape: int, seed: int = 1, least: float = 0.0) -> Tensor:
    """Normal numbers, moved away from 0: two float types may not agree on the sign of what is nearly 0."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values + least * torch.sign(values)


def _injected(field: GridField, extents: Sequence[int], *, levels: int = _LEVELS, seed: int = 1) -> Tensor:
    """Random values of levels or planes such that no hidden unit is nearly 0, for the same reason."""
    plain = _plain(field).tensors
    flat = _random(levels, int(np.prod(extents)), seed=seed)
    for attempt in range(100):
        hidden = (plain["E_1"] * plain["gains"])[:, -levels:] @ flat.double() + plain["e_1"][:, None]
        is_near = (hidden.abs() < 1e-4).any(dim=0)
        if not is_near.any():
            break
        flat[:, is_near] = _random(levels, int(is_near.sum()), seed=1000 + attempt)
    else:
        raise AssertionError("there are always units that are nearly 0")
    return flat.reshape(levels, *extents)


def _latents(
    extents: tuple[int, ...], *, levels: range = range(_LEVELS), plane_count: int = 1, seed: int = 2
) -> list[Tensor]:
    planes = (plane_count,) if plane_count > 1 else ()
    return [_random(*planes, *level_extents(extents, level), seed=seed + level) for level in levels]


def _positions(extents: Sequence[int], shift: float = 0.5) -> list[NDArray[np.floating]]:
    return [np.arange(extent) + shift for extent in extents]


def _value_and_gradients(
    function: Callable[[Sequence[Tensor]], Tensor], inputs: Sequence[Tensor], parameters: Sequence[Tensor] = ()
) -> list[Tensor]:
    """Value, and the gradients of a random sum of it by inputs and parameters."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    value = function(leaves)
    upstream = _random(*value.shape, seed=3).to(value.dtype)
    return [value.detach(), *torch.autograd.grad(value, [*leaves, *parameters], upstream)]


def _assert_close(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    """To within 2 · 10⁻⁵ of the largest number of each tensor and no less than of 1; the worst seen is 4 · 10⁻⁶."""
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, torch.float32)
        assert float((ours - theirs).abs().max()) <= 2e-5 * max(float(theirs.abs().max()), 1.0)


def _assert_equal_to_the_plain_twin(
    field: FastGridField, layer: Layer, inputs: Sequence[Tensor], *, names: Sequence[str]
) -> None:
    """Values, and gradients by the inputs and by the parameters named."""
    results = []
    for each in (field, _plain(field)):
        moved = [tensor.to(each.tensors["b"].dtype) for tensor in inputs]
        parameters = [each.tensors[name] for name in names]
        results.append(_value_and_gradients(lambda leaves, each=each: layer(each, leaves), moved, parameters))  # type: ignore[misc]
    _assert_close(*results)


def _inject(field: GridField, inputs: Sequence[Tensor]) -> Tensor:
    return field.inject(inputs[0])


def _layer(field: GridField, inputs: Sequence[Tensor]) -> Tensor:
    z, u = inputs
    recurrence = field.recurrence()
    assert recurrence is not None
    return field.layer(z, u, recurrence)


def _states(width: int, extents: Sequence[int]) -> list[Tensor]:
    return [_random(width, *extents, least=1e-3), _random(width, *extents, seed=4)]


@pytest.mark.parametrize("extents", [*_EXTENTS, (511,), (512,), (513,), (8, 128), (41, 50)])
def test_the_explicit_layer_is_that_of_the_plain_twin(extents: tuple[int, ...]) -> None:
    """Also where the samples fill the blocks that they are taken in, or are one too few or too many."""
    field = _field(len(extents))
    _assert_equal_to_the_plain_twin(field, _inject, [_injected(field, extents)], names=_EXPLICIT)


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_where_values_are_of_fewer_levels_the_finest_are_zero(levels: int) -> None:
    field = _field(2, level_count=4)
    values = _injected(field, (9, 14), levels=levels)
    _assert_equal_to_the_plain_twin(field, _inject, [values], names=_EXPLICIT)
    _, _, by_gains = _value_and_gradients(
        lambda leaves: field.inject(leaves[0]), [values], parameters=[field.tensors["gains"]]
    )
    assert not by_gains[:-levels].any()
    assert by_gains[-levels:].all()


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("plane_count", [2, 3, 4])
def test_the_explicit_layer_of_planes_is_that_of_the_plain_twin(plane_count: int, levels: int) -> None:
    """Also of fewer levels, all of whose planes are there."""
    field = _field(2, plane_count=plane_count)
    values = _injected(field, (9, 14), levels=levels * plane_count)
    _assert_equal_to_the_plain_twin(field, _inject, [values], names=_EXPLICIT)


@settings(max_examples=40)
@given(
    extents=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    level_count=st.integers(1, 5),
    left_out=st.integers(0, 4),
    hidden_width=st.integers(1, 9),
    width=st.integers(1, 5),
    threads=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_explicit_layers_of_all_sizes_in_any_number_of_bands(
    extents: list[int], level_count: int, left_out: int, hidden_width: int, width: int, threads: int, seed: int
) -> None:
    field = _field(len(extents), level_count=level_count, hidden_width=hidden_width, width=width, seed=seed)
    values = _injected(field, extents, levels=max(1, level_count - left_out), seed=seed)
    with _narrow_bands(threads):
        _assert_equal_to_the_plain_twin(field, _inject, [values], names=_EXPLICIT)


@pytest.mark.parametrize("contraction", [None, 0.5])
@pytest.mark.parametrize("stencil", [Stencil.CROSS, Stencil.FULL])
@pytest.mark.parametrize("extents", [*_EXTENTS, (2, 2, 2), (3, 3)])
def test_the_stencil_is_that_of_the_plain_twin(
    extents: tuple[int, ...], stencil: Stencil, contraction: float | None
) -> None:
    """Extents of one and two repeat more edge than there is inside."""
    field = _field(len(extents), stencil=stencil, contraction=contraction)
    _assert_equal_to_the_plain_twin(field, _layer, _states(3, extents), names=["A"])


@settings(max_examples=40)
@given(
    extents=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    width=st.integers(1, 5),
    stencil=st.sampled_from([Stencil.CROSS, Stencil.FULL]),
    contraction=st.none() | st.floats(0.1, 10.0),
    threads=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_stencils_of_all_sizes_in_any_number_of_bands(
    extents: list[int], width: int, stencil: Stencil, contraction: float | None, threads: int, seed: int
) -> None:
    field = _field(len(extents), width=width, stencil=stencil, contraction=contraction, seed=seed)
    with _narrow_bands(threads):
        _assert_equal_to_the_plain_twin(field, _layer, _states(width, extents), names=["A"])


@pytest.mark.parametrize("axis_count", [1, 2, 3])
def test_every_tap_has_its_place(axis_count: int) -> None:
    """Tap by tap, so that no two can be exchanged."""
    z, u = _states(2, [4, 3, 5][:axis_count])
    field, plain = _field(axis_count, width=2), _plain(_field(axis_count, width=2))
    for tap in torch.eye(4 * 3**axis_count).view(-1, 2, 2, *[3] * axis_count):
        found = _value_and_gradients(lambda leaves: field.layer(*leaves), [z, u, tap])
        wanted = _value_and_gradients(lambda leaves: plain.layer(*leaves), [z.double(), u.double(), tap.double()])
        _assert_close(found, wanted)


@pytest.mark.parametrize("place", [0, -1])
def test_a_state_of_zero_passes_no_gradient_on(place: int) -> None:
    """As the plain twin has it."""
    z, u = _states(3, (5, 6))
    z.view(-1)[place] = 0.0
    _assert_equal_to_the_plain_twin(_field(2), _layer, [z, u], names=["A"])


def test_where_no_state_is_above_zero_there_is_only_u() -> None:
    z, u = _states(3, (5, 6))
    field = _field(2)
    _assert_equal_to_the_plain_twin(field, _layer, [-z.abs(), u], names=["A"])
    assert torch.equal(_layer(field, [-z.abs(), u]), u)


@pytest.mark.parametrize("levels", [range(3), range(1), range(1, 3), range(2, 4)])
@pytest.mark.parametrize("shift", [0.5, 0.0, 0.8125, -3.3])
@pytest.mark.parametrize("extents", _EXTENTS)
@pytest.mark.parametrize("plane_count", [1, 3])
def test_latents_are_read_as_by_the_plain_twin(
    extents: tuple[int, ...], plane_count: int, shift: float, levels: range
) -> None:
    """At nodes, between them and outside them, with gradients."""
    positions = _positions(extents, shift)
    _assert_read_as_by_the_plain_twin(extents, positions, levels, plane_count=plane_count)


def _assert_read_as_by_the_plain_twin(
    extents: tuple[int, ...], positions: Sequence[NDArray[np.floating]], levels: range, *, plane_count: int = 1
) -> None:
    latents = _latents(extents, levels=levels, plane_count=plane_count)
    plain = LatentReader(extents, positions, levels=levels).double()
    found = _value_and_gradients(FastLatentReader(extents, positions, levels=levels), latents)
    _assert_close(found, _value_and_gradients(plain, [latent.double() for latent in latents]))


@given(
    st.data(),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 3),
)
def test_latents_are_read_anywhere(
    data: st.DataObject, extents: list[int], plane_count: int, first: int, count: int
) -> None:
    """As many positions as one likes, in any order, some of them several times."""
    positions = [
        np.array(data.draw(st.lists(st.floats(-5.0, extent + 5.0), min_size=1, max_size=12))) for extent in extents
    ]
    levels = range(first, first + count)
    _assert_read_as_by_the_plain_twin(tuple(extents), positions, levels, plane_count=plane_count)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=3), st.integers(1, 3), st.integers(0, 3))
def test_at_its_nodes_a_level_is_read_exactly(extents: list[int], plane_count: int, level: int) -> None:
    levels, counts = range(level, level + 1), level_extents(tuple(extents), level)
    nodes = [(np.arange(count) + 0.5) * 2.0**level for count in counts]
    (latent,) = _latents(tuple(extents), levels=levels, plane_count=plane_count)
    found = FastLatentReader(tuple(extents), nodes, levels=levels)([latent])
    assert torch.equal(found, latent.view(plane_count, *counts))


def test_levels_of_other_extents_are_not_read() -> None:
    """Planes are no extents: the compiled loops would read what is not there."""
    reader = FastLatentReader((5, 6), _positions((5, 6)), levels=range(1))
    assert reader([torch.zeros(7, 5, 6)]).shape == (7, 5, 6)
    for shape in ((3, 6, 5), (5, 5), (6,)):
        with pytest.raises(ValueError, match="expected"):
            reader([torch.zeros(shape)])


def _rendered(field: GridField, values: Tensor) -> Tensor:
    return field.read_out(field.state(field.inject(values), steps=4))


@pytest.mark.parametrize("contraction", [None, 0.5])
@pytest.mark.parametrize("stencil", list(Stencil))
@pytest.mark.parametrize(
    ("extents", "plane_count"),
    [((11,), 1), ((1, 7), 1), ((5, 6), 1), ((3, 1, 4), 1), ((2, 3, 3), 1), ((5, 6), 2), ((7, 4), 3)],
)
def test_fields_and_their_gradients_are_those_of_the_plain_twin(
    extents: tuple[int, ...], plane_count: int, stencil: Stencil, contraction: float | None
) -> None:
    """From two of three levels of latents to the output, by all latents and parameters."""
    field = _field(len(extents), stencil=stencil, contraction=contraction, plane_count=plane_count)
    levels = range(1, 3)
    positions = _positions(extents, 0.25)
    readers: list[Any] = [
        FastLatentReader(extents, positions, levels=levels),
        LatentReader(extents, positions, levels=levels).double(),
    ]
    latents = _latents(extents, levels=levels, plane_count=plane_count)
    results = []
    for each, reader in zip((field, _plain(field)), readers, strict=True):
        moved = [latent.to(each.tensors["b"].dtype) for latent in latents]
        function: Any = lambda leaves, each=each, reader=reader: _rendered(each, reader(leaves))  # noqa: E731
        results.append(_value_and_gradients(function, moved, list(each.parameters())))
    _assert_close(*results)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("extents", _MANY_BANDS)
def test_any_number_of_threads_gives_the_same(
    extents: tuple[int, ...], threads: int, set_threads: Callable[[int], None]
) -> None:
    set_threads(threads)
    field = _field(len(extents), hidden_width=4, width=2)
    _assert_equal_to_the_plain_twin(field, _inject, [_injected(field, extents)], names=_EXPLICIT)
    _assert_equal_to_the_plain_twin(field, _layer, _states(2, extents), names=["A"])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("levels", [range(1), range(2), range(5)])
@pytest.mark.parametrize("plane_count", [1, 3])
def test_any_number_of_threads_reads_the_same(
    levels: range, plane_count: int, threads: int, set_threads: Callable[[int], None]
) -> None:
    set_threads(threads)
    _assert_read_as_by_the_plain_twin((40, 50), _positions((40, 50), 0.25), levels, plane_count=plane_count)


@pytest.mark.parametrize("extents", _MANY_BANDS)
def test_these_extents_are_of_several_bands(extents: tuple[int, ...], set_threads: Callable[[int], None]) -> None:
    set_threads(3)
    assert len(bands(int(np.prod(extents)), least=synthesis_fast._LEAST_SAMPLES)) == 3
    rows = bands(int(np.prod(extents[:-1])), least=synthesis_fast._LEAST_ROWS)
    assert len(rows) == (3 if len(extents) > 1 else 1)


def _scattered(tensor: Tensor) -> Tensor:
    """The same numbers, its last axis first in memory."""
    return tensor.movedim(-1, 0).contiguous().movedim(0, -1)


def test_memory_may_be_in_any_order() -> None:
    """Of inputs, parameters and upstream gradients; and expanded, as the gradient of a sum is."""
    extents = (6, 7)
    reader, latents = FastLatentReader(extents, _positions(extents, 0.25), levels=range(3)), _latents(extents)
    field, values, states = _field(2), _random(3, *extents), _states(3, extents)
    moved = _field(2)
    for name, tensor in field.tensors.items():
        moved.tensors[name] = torch.nn.Parameter(_scattered(tensor.detach()))

    def recurrence_of(kind: FastGridField) -> Tensor:
        recurrence = kind.recurrence()
        assert recurrence is not None
        return recurrence if kind is field else _scattered(recurrence)

    calls: list[tuple[Callable[[FastGridField, list[Tensor]], Tensor], list[Tensor]]] = [
        (lambda _, inputs: reader(inputs), latents),
        (lambda kind, inputs: kind.inject(inputs[0]), [values]),
        (lambda kind, inputs: kind.layer(inputs[0], inputs[1], recurrence_of(kind)), states),
    ]
    for function, inputs in calls:
        for upstream in (torch.ones(()).expand(3, *extents), _random(3, *extents)):
            results = []
            for kind, move in ((field, torch.clone), (moved, _scattered)):
                leaves = [move(tensor).requires_grad_() for tensor in inputs]
                value = function(kind, leaves)
                above = upstream if upstream.stride(1) == 0 else move(upstream)
                parameters = [*leaves, *kind.parameters()]
                gradients = torch.autograd.grad(value, parameters, above, allow_unused=True)
                results.append([value, *(gradient for gradient in gradients if gradient is not None)])
            assert len(results[0]) > len(inputs)
            assert all(torch.equal(ours, theirs) for ours, theirs in zip(*results, strict=True))


@pytest.mark.parametrize("extents", [(40,), (9, 10), (3, 4, 5)])
def test_a_state_without_gradient_leaves_the_other_gradients_as_they_are(extents: tuple[int, ...]) -> None:
    field = _field(len(extents))
    z, u = _states(3, extents)
    recurrence = field.tensors["A"].detach().view(3, 3, *[3] * len(extents))
    _, _, *wanted = _value_and_gradients(lambda leaves: field.layer(*leaves), [z, u, recurrence])
    _, *found = _value_and_gradients(lambda leaves: field.layer(z, *leaves), [u, recurrence])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, wanted, strict=True))


def test_a_state_that_is_u_too_has_both_gradients() -> None:
    """As in the first step."""
    z, _ = _states(3, (5, 6))
    _assert_equal_to_the_plain_twin(
        _field(2), lambda field, inputs: _layer(field, [inputs[0], inputs[0]]), [z], names=["A"]
    )


def test_latents_that_are_not_trained_need_no_gradient() -> None:
    extents = (9, 10)
    reader = FastLatentReader(extents, _positions(extents, 0.25), levels=range(3))
    every = _latents(extents)
    _, *wanted = _value_and_gradients(reader, every)
    middle = every[1].clone().requires_grad_()
    torch.autograd.backward(reader([every[0], middle, every[2]]), _random(3, *extents, seed=3))
    assert middle.grad is not None
    assert torch.equal(middle.grad, wanted[1])
    assert every[0].grad is None
    assert every[2].grad is None
    assert not reader(every).requires_grad


def test_parameters_that_are_not_trained_need_no_gradient() -> None:
    field = _field(2).requires_grad_(False)
    values, (z, u) = _random(3, 5, 6).requires_grad_(), _states(3, (5, 6))
    torch.autograd.backward(_layer(field, [field.inject(values), u]), _random(3, 5, 6, seed=3))
    assert values.grad is not None
    assert values.grad.any()
    assert all(parameter.grad is None for parameter in field.parameters())
    assert not _layer(field, [z, u]).requires_grad


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("name", [*_EXPLICIT, "A", "values", "z", "u", "latents"])
def test_what_is_no_number_does_not_go_unseen(name: str, place: int) -> None:
    """Compiled under all of fastmath it might."""
    extents = (9, 19)
    field, (z, u), latents = _field(2), _states(3, extents), _latents(extents)
    inputs = {"values": _random(3, *extents), "z": z, "u": u, "latents": latents[1]}
    with torch.no_grad():
        (field.tensors[name] if name in field.tensors else inputs[name]).view(-1)[place] = torch.nan
        if name == "latents":
            output = FastLatentReader(extents, _positions(extents, 0.25), levels=range(3))(latents)
        elif name in ("A", "z", "u"):
            output = _layer(field, [z, u])
        else:
            output = field.inject(inputs["values"])
    assert output.isnan().any()


def test_what_is_no_number_comes_back_in_all_gradients() -> None:
    extents = (9, 19)
    field, reader = _field(2), FastLatentReader((9, 19), _positions(extents, 0.25), levels=range(3))
    latents = [latent.requires_grad_() for latent in _latents(extents)]
    output = _rendered(field, reader(latents))
    upstream = torch.zeros(2, *extents)
    upstream[0, 4, 9] = torch.nan
    gradients = torch.autograd.grad(output, [*latents, *field.parameters()], upstream)
    assert all(gradient.isnan().any() for gradient in gradients)


def _inputs(extents: tuple[int, ...]) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Parameters and latents of a field as wide as they are."""
    field = _field(2, hidden_width=24, width=6)
    return {name: tensor.detach() for name, tensor in field.tensors.items()}, _latents(extents)


def _digest(tensors: dict[str, Tensor], latents: Sequence[Tensor]) -> str:
    extents = (latents[0].shape[0], latents[0].shape[1])
    architecture = GridArchitecture(_LEVELS, 2, channel_count=2)
    field = FastGridField(architecture, tensors, contraction=0.9)
    reader = FastLatentReader(extents, _positions(extents, 0.25), levels=range(_LEVELS))
    found = _value_and_gradients(
        lambda leaves: _rendered(field, reader(leaves)), latents, parameters=list(field.parameters())
    )
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in found)).hexdigest()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_input_gives_the_same_bytes(threads: int, set_threads: Callable[[int], None]) -> None:
    """The second time in memory that lies elsewhere."""
    set_threads(threads)
    tensors, latents = _inputs((150, 171))
    first = _digest(tensors, latents)
    moved = [torch.cat([torch.zeros(3), latent.flatten()])[3:].view(latent.shape) for latent in latents]
    assert _digest(tensors, moved) == first
    assert _digest(tensors, latents) == first


_ELSEWHERE = """
import importlib.util, torch
spec = importlib.util.spec_from_file_location("tests_of_the_synthesis", {tests!r})
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
torch.set_num_threads(2)
print(tests._digest(*torch.load({inputs!r})))
"""


def test_another_process_gives_the_same_bytes(tmp_path: Path, set_threads: Callable[[int], None]) -> None:
    """One process takes the loops from numba's cache, the other compiles them: the machine code has to be the same.

    A process that compiles may call another copy of a function that is not inlined than the one in the cache.
    """
    set_threads(2)
    inputs = _inputs((150, 171))
    path = tmp_path / "input.pt"
    torch.save(inputs, path)
    here = _digest(*inputs)
    loop: Any = synthesis_kernel.explicit_layer_gradients
    is_from_cache = any(loop.stats.cache_hits.values())
    run = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE.format(tests=__file__, inputs=str(path))],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)} if is_from_cache else None,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert run.stdout.strip() == here
