import pytest
import torch

from i2codec.errors import OptionError
from i2codec.field.gradients import Implicit, OneStep, Phantom, get_gradient
from i2codec.field.solvers import Picard

EVERY = pytest.mark.parametrize(
    "gradient", [OneStep(), Phantom(terms=1), Phantom(terms=4), Implicit()], ids=lambda gradient: repr(gradient)
)


def test_gradients_are_found_by_name_with_their_options():
    assert get_gradient("one_step") == OneStep()
    assert get_gradient("phantom", terms=3, damping=0.5) == Phantom(terms=3, damping=0.5)
    assert get_gradient("implicit", solver="broyden", max_steps=9) == Implicit(solver="broyden", max_steps=9)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("exact", {}),
        ("one_step", {"terms": 1}),
        ("phantom", {"terms": 0}),
        ("phantom", {"terms": -1}),
        ("phantom", {"damping": 0.0}),
        ("phantom", {"damping": 1.1}),
        ("phantom", {"damping": float("nan")}),
        ("implicit", {"terms": 2}),
        ("implicit", {"solver": "newton"}),
        ("implicit", {"max_steps": 0}),
        ("implicit", {"tolerance": -1.0}),
    ],
)
def test_unknown_names_and_wrong_options_are_refused(name, options):
    with pytest.raises(OptionError):
        get_gradient(name, **options)


@EVERY
def test_the_state_stays_the_fixed_point(problem, gradient):
    solved = problem.solve()
    torch.testing.assert_close(gradient(problem.transition(), solved), solved, rtol=0.0, atol=1e-12)


@EVERY
def test_the_estimate_is_taken_as_a_constant(problem, gradient):
    estimate = problem.solve().requires_grad_()
    state = gradient(problem.transition(), estimate)
    assert torch.autograd.grad(state.sum(), estimate, allow_unused=True) == (None,)


@EVERY
def test_nothing_is_attached_where_nothing_is_differentiated(problem, gradient):
    with torch.no_grad():
        assert not gradient(problem.transition(), problem.solve()).requires_grad


@EVERY
def test_every_parameter_gets_a_gradient(problem, gradient):
    loss = problem.field.read_out(gradient(problem.transition(), problem.solve())).square().sum()
    for found in torch.autograd.grad(loss, list(problem.field.tensors.values())):
        assert found.any()


@EVERY
def test_memory_does_not_grow_with_the_solver_steps(problem, gradient):
    def saved_bytes(steps):
        saved = []

        def keep(tensor):
            saved.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            transition = problem.transition()
            with torch.no_grad():
                estimate = Picard()(transition, problem.start(), max_steps=steps, tolerance=0.0).state
            state = gradient(transition, estimate)
            problem.field.read_out(state).square().mean().backward()
        problem.field.zero_grad()
        return sum(saved)

    assert saved_bytes(64) == saved_bytes(1) > problem.start().nbytes
