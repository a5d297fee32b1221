import torch

from i2codec.field.gradients import OneStep, Phantom


def test_it_is_the_first_term_of_the_series(problem):
    torch.testing.assert_close(
        problem.loss_gradient(OneStep()), problem.loss_gradient(Phantom(terms=1)), rtol=0.0, atol=0.0
    )


def test_it_descends_but_less_straight_than_more_terms(problem):
    cosine = problem.cosine(OneStep())
    assert 0.0 < cosine < problem.cosine(Phantom(terms=5))
    assert cosine < 0.99


def test_without_recurrence_it_is_exact(problem_of):
    problem = problem_of(contraction=0.0)
    torch.testing.assert_close(problem.loss_gradient(OneStep()), problem.unrolled_gradient(), rtol=0.0, atol=1e-15)
