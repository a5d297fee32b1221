import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.field.solvers import Anderson, Broyden, Picard, get_solver

NAMES = ("anderson", "broyden", "picard")
EVERY = pytest.mark.parametrize("name", NAMES)


def test_solvers_are_found_by_name_with_their_options():
    assert get_solver("picard") == Picard()
    assert get_solver("anderson", window=3, ridge=1e-8) == Anderson(window=3, ridge=1e-8)
    assert get_solver("broyden", memory=4) == Broyden(memory=4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("newton", {}),
        ("Picard", {}),
        ("picard", {"window": 3}),
        ("anderson", {"memory": 3}),
        ("broyden", {"window": 3}),
        ("anderson", {"window": 0}),
        ("anderson", {"ridge": 0.0}),
        ("anderson", {"ridge": float("nan")}),
        ("broyden", {"memory": 0}),
    ],
)
def test_unknown_names_and_wrong_options_are_refused(name, options):
    with pytest.raises(OptionError):
        get_solver(name, **options)


@EVERY
def test_the_fixed_point_of_a_linear_system_is_its_solution(problems, name):
    problem = problems.slow()
    solution = get_solver(name)(problem, problem.start, max_steps=400, tolerance=1e-13)
    torch.testing.assert_close(solution.state, problem.fixed_point(), rtol=0.0, atol=1e-10)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.sampled_from(NAMES), st.integers(0, 10**6), st.sampled_from([0.1, 0.5, 0.8, 0.95]))
def test_all_reach_the_same_fixed_point_from_any_start(problems, name, seed, factor):
    problem = problems.siren(seed=seed, factor=factor)
    start = 3.0 * torch.randn(problem.shift.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    solution = get_solver(name)(problem, start, max_steps=1000, tolerance=1e-13)
    torch.testing.assert_close(solution.state, problem.fixed_point(), rtol=0.0, atol=1e-10)


@EVERY
def test_it_stops_at_the_first_residual_within_the_tolerance(problems, name):
    problem = problems.siren()
    solution = get_solver(name)(problem, problem.start, max_steps=100, tolerance=1e-6)
    assert solution.steps == len(solution.residuals) == len(problem.states) < 100
    assert solution.residuals[-1] <= 1e-6
    assert torch.all(solution.residuals[:-1] > 1e-6)
    torch.testing.assert_close(solution.state, problem(problem.states[-1]), rtol=0.0, atol=0.0)


@EVERY
def test_the_residual_is_of_the_state_before_relative_to_its_image(problems, name):
    problem = problems.siren()
    start = problem.start + 2.0
    solution = get_solver(name)(problem, start, max_steps=2, tolerance=0.0)
    for state, residual in zip((start, problem(start)), solution.residuals, strict=True):  # the second is a Picard step
        image = problem(state)
        expected = torch.linalg.vector_norm(image - state) / torch.linalg.vector_norm(image)
        torch.testing.assert_close(residual, expected)


@EVERY
@pytest.mark.parametrize("steps", [1, 2, 40])
def test_tolerance_zero_runs_every_step(problems, name, steps):
    problem = problems.siren(factor=0.1)
    at_rest = problem.fixed_point()
    problem.states.clear()
    solution = get_solver(name)(problem, at_rest, max_steps=steps, tolerance=0.0)
    assert solution.steps == len(problem.states) == steps
    torch.testing.assert_close(solution.state, at_rest, rtol=0.0, atol=1e-14)


@EVERY
def test_a_start_at_the_solution_of_zero_stays_there(problems, name):
    problem = problems.siren()
    problem.shift.zero_()
    solution = get_solver(name)(problem, problem.start, max_steps=8, tolerance=0.0)
    assert not solution.state.any()
    assert not solution.residuals.any()


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["slow", "siren"])
def test_it_stays_at_the_fixed_point_once_there(problems, name, dtype, kind):
    problem = getattr(problems, kind)(dtype=dtype)
    solution = get_solver(name)(problem, problem.start, max_steps=450, tolerance=0.0)
    assert solution.residuals[400:].max() <= 20.0 * torch.finfo(dtype).eps
    assert (solution.state - problem.fixed_point()).abs().max() <= 2000.0 * torch.finfo(dtype).eps


@EVERY
@pytest.mark.parametrize("kind", ["slow", "siren"])
def test_rows_are_solved_alone(problems, name, kind):
    problem = getattr(problems, kind)()
    together = get_solver(name)(problem, problem.start, max_steps=7, tolerance=0.0)
    assert together.residuals[-1] > 1e-6  # not yet where all must agree
    for index in range(len(problem.shift)):
        row = problem.row(index)
        alone = get_solver(name)(row, row.start, max_steps=7, tolerance=0.0)
        torch.testing.assert_close(alone.state[0], together.state[index], rtol=0.0, atol=1e-9)


@EVERY
def test_the_record_holds_no_graph(problems, name):
    problem = problems.siren()
    problem.matrix.requires_grad_()
    solution = get_solver(name)(problem, problem.start, max_steps=3, tolerance=0.0)
    assert solution.state.requires_grad
    assert not solution.residuals.requires_grad


@EVERY
def test_it_ends_when_the_transition_is_not_finite(name):
    solution = get_solver(name)(lambda z: z * torch.nan, torch.ones(2, 3), max_steps=5, tolerance=1e-3)
    assert solution.steps == 5
    assert solution.residuals.isnan().all()
