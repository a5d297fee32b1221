import pytest
import torch

from i2codec.field.solvers import Anderson, Picard


def test_a_window_of_one_is_picard(problems):
    problem = problems.siren()
    ours = Anderson(window=1)(problem, problem.start, max_steps=9, tolerance=0.0)
    plain = Picard()(problem, problem.start, max_steps=9, tolerance=0.0)
    torch.testing.assert_close(ours.state, plain.state, rtol=0.0, atol=1e-14)
    torch.testing.assert_close(ours.residuals, plain.residuals, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_needs_fewer_steps_than_picard_on_a_slow_contraction(problems, dtype):
    problem = problems.slow(dtype=dtype)
    steps = {
        solver: solver(problem, problem.start, max_steps=300, tolerance=1e-6).steps for solver in (Anderson(), Picard())
    }
    assert steps[Anderson()] < 0.4 * steps[Picard()] < 120


def test_it_solves_one_unknown_by_the_secant():
    # two images of a line determine it: the third evaluation is at the solution
    solution = Anderson(ridge=1e-14)(
        lambda z: 0.9 * z + 1.0, torch.zeros(1, 1, dtype=torch.float64), max_steps=3, tolerance=0.0
    )
    assert float(solution.state) == pytest.approx(10.0, rel=1e-6)
