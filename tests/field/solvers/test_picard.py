import torch

from i2codec.field.solvers import Picard


def test_states_are_the_images_of_the_states_before(problems):
    problem = problems.siren()
    solution = Picard()(problem, problem.start, max_steps=6, tolerance=0.0)
    z = problem.start
    for state in problem.states[:6]:
        torch.testing.assert_close(state, z, rtol=0.0, atol=0.0)
        z = torch.sin(z @ problem.matrix.T + problem.shift)
    torch.testing.assert_close(solution.state, z, rtol=0.0, atol=0.0)


def test_residuals_fall_with_every_step_of_a_contraction(problems):
    problem = problems.slow()
    residuals = Picard()(problem, problem.start, max_steps=60, tolerance=0.0).residuals
    assert torch.all(residuals[1:] < residuals[:-1])
    assert 0.85 < residuals[-1] / residuals[-2] <= 0.9  # the largest eigenvalue, at last


def test_a_step_shrinks_the_error_of_every_row_by_the_factor(problems):
    problem = problems.siren(factor=0.8)
    target = problem.fixed_point()
    Picard()(problem, problem.start + 3.0, max_steps=30, tolerance=0.0)
    errors = torch.stack([torch.linalg.vector_norm(state - target, dim=-1) for state in problem.states])
    assert torch.all(errors[1:] <= 0.8 * errors[:-1] + 1e-13)
