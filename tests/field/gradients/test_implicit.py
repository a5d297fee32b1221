import pytest
import torch

from i2codec.field.architecture import Filter
from i2codec.field.gradients import Implicit

EXACT = Implicit(tolerance=1e-13, max_steps=1000)


def relative_error(found, exact):
    return float(torch.linalg.vector_norm(found - exact) / torch.linalg.vector_norm(exact))


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("filter", Filter)
def test_it_is_the_gradient_through_the_unrolled_solve(problem_of, filter, depth):
    problem = problem_of(filter, depth=depth)
    assert problem.cosine(EXACT) >= 0.999999
    assert relative_error(problem.loss_gradient(EXACT), problem.unrolled_gradient()) <= 1e-9


def test_it_passes_the_bound_of_the_state_scale(problem):
    """Treating s(A) as a constant must be visible, or the comparison above proves less than it says."""
    exact = problem.loss_gradient(EXACT)
    scale = float(problem.field.state_scale().detach())
    problem.field.fixed_state_scale = scale
    try:
        without = problem.loss_gradient(EXACT)
    finally:
        problem.field.fixed_state_scale = None
    assert scale < 1.0
    assert relative_error(without, exact) > 1e-2


@pytest.mark.parametrize("solver", ["picard", "anderson", "broyden"])
def test_every_solver_solves_the_adjoint(problem, solver):
    found = problem.loss_gradient(Implicit(solver=solver, tolerance=1e-12, max_steps=500))
    assert relative_error(found, problem.unrolled_gradient()) <= 1e-8


def test_the_tolerance_bounds_the_error(problem):
    exact = problem.unrolled_gradient()
    errors = [relative_error(problem.loss_gradient(Implicit(tolerance=t)), exact) for t in (1e-1, 1e-3, 1e-6)]
    assert errors[0] > 1e-3 > errors[1] > 1e-5 > errors[2]


def test_steps_stop_the_adjoint(problem):
    exact = problem.unrolled_gradient()
    errors = [relative_error(problem.loss_gradient(Implicit(max_steps=k, tolerance=0.0)), exact) for k in (1, 4, 16)]
    assert errors[0] > 2.0 * errors[1] > 4.0 * errors[2] > 0.0
