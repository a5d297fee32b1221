import pytest
import torch

from i2codec.field.solvers import Broyden, Picard


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_needs_fewer_steps_than_picard_on_a_slow_contraction(problems, dtype):
    problem = problems.slow(dtype=dtype)
    steps = {
        solver: solver(problem, problem.start, max_steps=300, tolerance=1e-6).steps for solver in (Broyden(), Picard())
    }
    assert steps[Broyden()] < 0.4 * steps[Picard()] < 120


def test_it_solves_one_unknown_by_the_secant():
    solution = Broyden()(lambda z: 0.9 * z + 1.0, torch.zeros(1, 1, dtype=torch.float64), max_steps=3, tolerance=0.0)
    assert float(solution.state) == pytest.approx(10.0, rel=1e-12)


def test_a_linear_system_is_solved_in_twice_its_size(problems):
    problem = problems.slow()  # 12 unknowns: Gay 1979
    solution = Broyden()(problem, problem.start, max_steps=25, tolerance=0.0)
    assert solution.residuals[-1] < 1e-8


def test_a_short_memory_still_converges(problems):
    problem = problems.siren()
    solution = Broyden(memory=2)(problem, problem.start, max_steps=200, tolerance=1e-12)
    assert solution.residuals[-1] <= 1e-12
    torch.testing.assert_close(solution.state, problem.fixed_point(), rtol=0.0, atol=1e-10)


def kinked(z):
    """A fixed point at 1; the secant from the left of it aims far past it, to where this grows."""
    return torch.where(z < 0.5, 0.999 * z + 0.3, torch.where(z < 3.0, 0.5 * z + 0.5, 50.0 * z))


def test_a_row_that_goes_astray_takes_a_picard_step():
    solution = Broyden()(kinked, torch.zeros(1, 1, dtype=torch.float64), max_steps=40, tolerance=1e-10)
    assert solution.residuals[-1] <= 1e-10
    assert float(solution.state) == pytest.approx(1.0, abs=1e-9)


def test_a_row_goes_astray_alone():
    scale = torch.tensor([[1.0], [1e6]], dtype=torch.float64)
    together = Broyden()(lambda z: scale * kinked(z / scale), torch.zeros_like(scale), max_steps=6, tolerance=0.0)
    alone = Broyden()(kinked, torch.zeros(1, 1, dtype=torch.float64), max_steps=6, tolerance=0.0)
    torch.testing.assert_close(together.state / scale, alone.state.expand(2, 1), rtol=1e-9, atol=0.0)
