import pytest
import torch

from i2codec.field.architecture import Filter
from i2codec.field.gradients import Phantom


def linear(z):
    return 0.5 * z + PARAMETER


PARAMETER = torch.tensor([[1.0]], dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("terms", [1, 2, 5])
def test_it_is_the_neumann_series_cut_off(terms):
    state = Phantom(terms=terms)(linear, torch.full((1, 1), 2.0, dtype=torch.float64))
    (found,) = torch.autograd.grad(state.sum(), PARAMETER)
    assert float(found) == sum(0.5**power for power in range(terms))


@pytest.mark.parametrize("damping", [0.25, 0.5])
def test_damping_mixes_each_application_with_the_state(damping):
    state = Phantom(terms=3, damping=damping)(linear, torch.full((1, 1), 2.0, dtype=torch.float64))
    (found,) = torch.autograd.grad(state.sum(), PARAMETER)
    kept = 1.0 - damping + damping * 0.5
    assert float(found) == pytest.approx(damping * (1.0 + kept + kept**2), rel=1e-12)


@pytest.mark.parametrize("filter", Filter)
def test_five_terms_are_close(problem_of, filter):
    assert problem_of(filter).cosine(Phantom(terms=5)) >= 0.9


@pytest.mark.parametrize("filter", Filter)
def test_each_term_comes_closer_and_many_are_exact(problem_of, filter):
    problem = problem_of(filter)
    cosines = [problem.cosine(Phantom(terms=terms)) for terms in (1, 2, 5, 10)]
    assert cosines == sorted(cosines)
    assert cosines[0] < cosines[-1]
    assert problem.cosine(Phantom(terms=100)) >= 1.0 - 1e-12
    assert problem.cosine(Phantom(terms=200, damping=0.5)) >= 1.0 - 1e-12
