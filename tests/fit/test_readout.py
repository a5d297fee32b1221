from __future__ import annotations

import pytest
import torch
from torch import Tensor

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.fit.readout import ReadoutSolver


def _field(seed: int = 0) -> ImplicitField:
    architecture = Architecture(Filter.SIREN, width=6, depth=1, axis_count=1, channel_count=2)
    generator = torch.Generator().manual_seed(seed)
    return ImplicitField(architecture, initial_tensors(architecture, frequencies=[9.0], generator=generator), steps=1)


def _batch(seed: int, count: int = 400) -> tuple[Tensor, Tensor]:
    """States ``[N, 6]`` in −1..1 and what a readout of the seed makes of them ``[N, 2]``."""
    generator = torch.Generator().manual_seed(seed)
    weights, bias = torch.randn(2, 6, generator=generator), torch.randn(2, generator=generator)
    states = 2.0 * torch.rand(count, 6, generator=generator) - 1.0
    return states, states @ weights.T + bias


def _readout(field: ImplicitField) -> Tensor:
    return torch.cat([field.tensors["W"].detach(), field.tensors["b"].detach()[:, None]], dim=1)


@pytest.mark.parametrize("whole", [True, False])
def test_a_known_readout_is_found(whole: bool) -> None:
    field = _field()
    states, targets = _batch(1)
    before = {name: tensor.detach().clone() for name, tensor in field.tensors.items()}
    ReadoutSolver(field).solve(states, targets, whole=whole)
    torch.testing.assert_close(field.read_out(states), targets, atol=2e-3, rtol=0.0)
    for name, tensor in field.tensors.items():
        assert torch.equal(tensor, before[name]) == (name not in ("W", "b"))


def test_it_is_the_ridge_regression() -> None:
    field = _field()
    states, targets = _batch(2, count=30)
    targets = targets + torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    ReadoutSolver(field).solve(states, targets, whole=True)
    design = torch.cat([states, torch.ones(30, 1)], dim=1).double()
    augmented = torch.cat([design, (30 * 1e-4) ** 0.5 * torch.eye(7, dtype=torch.float64)])
    expected = torch.linalg.lstsq(augmented, torch.cat([targets.double(), torch.zeros(7, 2)])).solution
    torch.testing.assert_close(_readout(field), expected.T.float(), atol=1e-4, rtol=1e-4)


def test_states_that_are_alike_get_no_huge_weights() -> None:
    field = _field()
    states, targets = _batch(3)
    states = states[:, :1].expand(-1, 6) + 1e-5 * states
    ReadoutSolver(field).solve(states, targets, whole=True)
    assert field.tensors["W"].abs().max() < 10.0


def test_all_points_at_once_forget_what_was_before() -> None:
    field, alone = _field(), _field()
    solver = ReadoutSolver(field)
    solver.solve(*_batch(4), whole=True)
    solver.solve(*_batch(5), whole=True)
    ReadoutSolver(alone).solve(*_batch(5), whole=True)
    assert torch.equal(_readout(field), _readout(alone))


def test_batches_are_averaged() -> None:
    field = _field()
    solver = ReadoutSolver(field)
    sides = []
    for seed in (6, 7):
        single = ReadoutSolver(field)
        single.solve(*_batch(seed), whole=False)  # the first has nothing to remember
        assert single.equations is not None
        sides.append(single.equations)
        solver.solve(*_batch(seed), whole=False)
    assert solver.equations is not None
    for found, first, second in zip(solver.equations, *sides, strict=True):
        torch.testing.assert_close(found, 0.9 * first + 0.1 * second)
    with torch.no_grad():
        old, new = (float((field.read_out(states) - wanted).abs().mean()) for states, wanted in map(_batch, (6, 7)))
    assert old < new  # nine parts of ten are the first batch's


@pytest.mark.parametrize("after", [0, 2])
def test_a_restored_solver_goes_on_the_same(after: int) -> None:
    field, continued = _field(), _field(1)
    solver, restored = ReadoutSolver(field), ReadoutSolver(continued)
    for seed in range(after):
        solver.solve(*_batch(seed), whole=False)
    restored.restore(solver.snapshot())
    for each in (solver, restored):
        each.solve(*_batch(9), whole=False)
    assert torch.equal(_readout(field), _readout(continued))
