from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from i2codec.fit.soap import Soap

Make = Callable[[list[Tensor]], torch.optim.Optimizer]
Gradient = Callable[[Tensor], Tensor]

_RATE, _BETAS = 0.03, (0.95, 0.95)


def _soap(parameters: list[Tensor]) -> Soap:
    return Soap(parameters, lr=_RATE, betas=_BETAS)


def _adam(parameters: list[Tensor]) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=_RATE, betas=_BETAS, eps=1e-8)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _orthogonal(side: int, *, seed: int) -> Tensor:
    return torch.linalg.qr(_random(side, side, seed=seed)).Q


def _ill_conditioned(side: int, *, seed: int) -> Tensor:
    """Singular values from 1 to 1/1000, in bases of their own."""
    values = torch.logspace(0.0, -3.0, side, dtype=torch.float64)
    return _orthogonal(side, seed=seed) @ values.diag() @ _orthogonal(side, seed=seed + 1)


def _start(value: Tensor) -> Tensor:
    return value.clone().requires_grad_()


def _path(make: Make, start: Tensor, gradient: Gradient, *, steps: int) -> Tensor:
    """Where every step leads, the first of SOAP's to where it started: ``[steps, *shape]``."""
    x = _start(start)
    optimiser, places = make([x]), []
    for _ in range(steps):
        x.grad = gradient(x.detach())
        optimiser.step()
        places.append(x.detach().clone())
    return torch.stack(places)


def _follow(gradients: Sequence[Tensor], make: Make) -> Tensor:
    """The path from 0 where the gradients are known beforehand."""
    coming = iter(gradients)
    return _path(make, torch.zeros_like(gradients[0]), lambda _: next(coming), steps=len(gradients))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_ill_conditioned_matrix_is_found_in_steps_that_do_not_suffice_adam(seed: int) -> None:
    """Each with the learning rate that suits it; 150 to 4000 times less is left."""
    left, right = _ill_conditioned(6, seed=seed), _ill_conditioned(8, seed=seed + 10)
    target = left @ _random(6, 8, seed=seed + 20) @ right
    steps = 300

    def remains(make: Callable[..., torch.optim.Optimizer], rate: float, betas: tuple[float, float]) -> float:
        x = torch.zeros(6, 8, dtype=torch.float64, requires_grad=True)
        optimiser = make([x], lr=rate, betas=betas)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = rate * (1.0 - step / steps)
            x.grad = left.T @ (left @ x.detach() @ right - target) @ right.T
            optimiser.step()
        return float((left @ x.detach() @ right - target).square().sum() / target.square().sum())

    rates = (1.0, 0.3, 0.1, 0.03)
    by_adam = min(remains(torch.optim.Adam, rate, betas) for rate in rates for betas in (_BETAS, (0.9, 0.999)))
    assert 10.0 * min(remains(Soap, rate, _BETAS) for rate in rates) < by_adam


@pytest.mark.parametrize("betas", [_BETAS, (0.99, 0.5)])
@pytest.mark.parametrize("shape", [(1, 1), (300, 1), (1, 257), (2, 300, 1), (3, 1, 1), (257, 258)])
def test_what_has_no_side_to_rotate_moves_as_adam_moves_it(shape: tuple[int, ...], betas: tuple[float, float]) -> None:
    """From the second gradient on, and by no more than the rate: with equal betas Adam keeps to that itself."""
    gradients = [_random(*shape, seed=seed) * 10.0 ** -(seed // 3) for seed in range(9)]
    found = _follow(gradients, lambda parameters: Soap(parameters, lr=_RATE, betas=betas))
    adam = _follow(gradients[1:], lambda parameters: torch.optim.Adam(parameters, lr=_RATE, betas=betas, eps=1e-8))
    moves = torch.cat([adam[:1], adam.diff(dim=0)])
    assert (float(moves.abs().max()) > 1.01 * _RATE) == (betas != _BETAS)
    assert not found[0].any()
    torch.testing.assert_close(found[1:], moves.clamp(-_RATE, _RATE).cumsum(0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(256, 1), (1, 256), (2, 2, 1)])
def test_what_has_a_side_to_rotate_does_not(shape: tuple[int, ...]) -> None:
    gradients = [_random(*shape, seed=seed) for seed in range(2)]
    found, adam = _follow(gradients, _soap)[1], _follow(gradients[1:], _adam)[0]
    assert float((found - adam).abs().max()) > 0.1 * _RATE


def test_the_first_step_moves_nothing_and_the_second_has_all_singular_values_alike() -> None:
    """The mean of one gradient is that gradient, and the root of its mean square its magnitude."""
    gradient = _random(5, 5)
    left, _, right = torch.linalg.svd(gradient)
    path = _follow([gradient] * 3, _soap)
    assert not path[0].any()
    torch.testing.assert_close(path[1], -_RATE * left @ right, rtol=0, atol=1e-6)
    torch.testing.assert_close(path[2], 2.0 * path[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1.0, 1000.0])
def test_a_step_is_taken_in_the_bases_of_the_gradients_before(size: float) -> None:
    """And of the first gradient nothing but its bases counts."""
    before, gradient = _random(4, 5, seed=0), _random(4, 5, seed=1)
    left, _, right = torch.linalg.svd(before)
    wanted = -_RATE * left @ torch.sign(left.T @ gradient @ right.T) @ right
    torch.testing.assert_close(_follow([size * before, gradient], _soap)[1], wanted, rtol=0, atol=1e-6)


def test_the_bases_turn_to_those_of_later_gradients() -> None:
    before, after = _random(5, 5, seed=0), _random(5, 5, seed=1)
    left, _, right = torch.linalg.svd(after)
    path = _follow([before] * 3 + [after] * 300, _soap)
    torch.testing.assert_close(path[-1] - path[-2], -_RATE * left @ right, rtol=0, atol=1e-2 * _RATE)


@pytest.mark.parametrize("long_side", [0, 1])
def test_of_a_matrix_with_a_long_side_the_other_is_rotated(long_side: int) -> None:
    gradient = _random(300, 4)
    _, _, right = torch.linalg.svd(gradient, full_matrices=False)
    wanted = -_RATE * torch.sign(gradient @ right.T) @ right
    found = _follow([gradient.T if long_side else gradient] * 2, _soap)[1]
    torch.testing.assert_close(found.T if long_side else found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("stack", [(1,), (3,), (2, 2)])
def test_the_matrices_of_a_stack_move_as_each_alone(stack: tuple[int, ...]) -> None:
    gradients = [_random(*stack, 4, 5, seed=seed) for seed in range(7)]
    together = _follow(gradients, _soap).reshape(7, -1, 4, 5)
    assert together[1:].all()
    for number in range(together.shape[1]):
        alone = _follow([gradient.reshape(-1, 4, 5)[number] for gradient in gradients], _soap)
        torch.testing.assert_close(together[:, number], alone, rtol=0, atol=1e-8)


@pytest.mark.parametrize("shape", [(4, 4), (4, 5), (5, 4)])
def test_a_rotated_problem_has_a_rotated_path(shape: tuple[int, int]) -> None:
    """That of Adam depends on the coordinates.

    Bases are known but for signs, which do not matter, since no two singular values of the first gradient are
    close, and at most one direction is in its null space.
    """
    rows, columns = shape
    a, b, target = _random(rows, rows, seed=1), _random(columns, columns, seed=2), _random(*shape, seed=3)
    u, v = _orthogonal(rows, seed=4), _orthogonal(columns, seed=5)

    def gradient(x: Tensor) -> Tensor:
        return a.T @ (a @ x @ b - target) @ b.T

    def of_rotated(y: Tensor) -> Tensor:
        return u @ gradient(u.T @ y @ v) @ v.T

    start = torch.zeros(shape, dtype=torch.float64)
    values = torch.linalg.svdvals(gradient(start))
    assert float((values[:-1] / values[1:]).min()) > 1.2
    assert float(values[-1]) > 0.01
    differences = []
    for make in (_soap, _adam):
        path = _path(make, start, gradient, steps=20)
        rotated = _path(make, start, of_rotated, steps=20)
        differences.append(float((rotated - u @ path @ v.T).abs().max()))
    assert differences[0] < 1e-4
    assert differences[1] > 0.1


@pytest.mark.parametrize("steps_before", [1, 4])
def test_a_saved_state_continues_to_the_same_bits(steps_before: int) -> None:
    """Of matrices, stacks, what is not rotated and one that has no state yet, through a file as a checkpoint is one."""
    shapes = [(4, 6), (2, 5, 3), (300, 1), (3, 3)]
    parameters = [_start(_random(*shape).float()) for shape in shapes]

    def take_steps(optimiser: torch.optim.Optimizer, parameters: list[Tensor], seeds: range) -> None:
        for seed in seeds:
            for parameter in parameters[:3]:
                parameter.grad = _random(*parameter.shape, seed=seed).float()
            if seed >= steps_before:
                parameters[3].grad = _random(3, 3, seed=seed).float()
            optimiser.step()

    optimiser = _soap(parameters)
    take_steps(optimiser, parameters, range(steps_before))
    file = io.BytesIO()
    torch.save(optimiser.state_dict(), file)
    copies = [_start(parameter.detach()) for parameter in parameters]
    fresh = Soap(copies, lr=99.0, betas=(0.0, 0.0))
    fresh.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert fresh.param_groups[0]["lr"] == _RATE
    later = range(steps_before, steps_before + 5)
    take_steps(optimiser, parameters, later)
    take_steps(fresh, copies, later)
    assert all(map(torch.equal, parameters, copies))


@pytest.mark.parametrize("shape", [(8, 4), (4, 4, 9), (6, 1)])
def test_no_step_is_longer_than_the_rate_allows(shape: tuple[int, ...]) -> None:
    """As of Adam with equal betas: each element of a step is at most the rate, before it is rotated back.

    After the first, which moves nothing, the next is as long.
    """
    sizes = (1e-4, 5e-3, 3e-3, 1e-2, 1e-3, 1e-5, 1e-2, 1e-2)
    gradients = [size * _random(*shape, seed=seed).float() for seed, size in enumerate(sizes)]
    moves = _follow(gradients, _soap).diff(dim=0, prepend=torch.zeros(1, *shape))
    lengths = moves.flatten(1).norm(dim=1) / (_RATE * moves[0].numel() ** 0.5)
    assert lengths[0] == 0.0
    assert 0.99 < float(lengths[1]) <= float(lengths.max()) < 1.01


def test_groups_have_rates_of_their_own() -> None:
    slow, fast = (torch.zeros(3, 4, requires_grad=True) for _ in range(2))
    optimiser = Soap([{"params": [slow], "lr": 0.25}, {"params": [fast]}], lr=1.0)
    for seed in range(2):
        slow.grad = fast.grad = _random(3, 4, seed=seed).float()
        optimiser.step()
    assert torch.equal(4.0 * slow, fast)
    assert fast.any()


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_what_has_no_gradient_stays(shape: tuple[int, ...]) -> None:
    """Neither at once nor any more, though the mean of its gradients would move it on."""
    parameters = [_start(_random(*shape)) for _ in range(2)]
    optimiser = _soap(parameters)
    for seed in range(2):
        parameters[0].grad = _random(*shape, seed=seed)
        optimiser.step()
    place = parameters[0].detach().clone()
    assert not torch.equal(place, _random(*shape))
    parameters[0].grad = None
    optimiser.step()
    assert torch.equal(parameters[0], place)
    assert torch.equal(parameters[1], _random(*shape))


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (4, 3), (2, 3, 3), (2, 1, 5)])
def test_gradients_of_zero_move_nothing_and_do_not_stop_what_comes_later(shape: tuple[int, ...]) -> None:
    zeros, ones = [torch.zeros(shape)] * 4, [torch.ones(shape)] * 4
    assert not _follow(zeros, _soap).any()
    for before in (zeros, ones + zeros):
        path = _follow([*before, *ones, *zeros], _soap)
        assert path.isfinite().all()
        assert float(path[len(before) + 3].sum()) < float(path[len(before) - 1].sum()) - _RATE


def test_a_matrix_of_zeros_in_a_stack_stays_while_others_move() -> None:
    gradients = [_random(3, 4, 5, seed=seed) for seed in range(5)]
    for gradient in gradients:
        gradient[1] = 0.0
    path = _follow(gradients, _soap)
    assert not path[:, 1].any()
    assert path[1:, 0].all()
    assert path[1:, 2].all()


def test_a_closure_is_refused() -> None:
    x = _start(_random(3, 3))
    with pytest.raises(TypeError):
        _soap([x]).step(lambda: 0.0)  # type: ignore[call-arg]
    assert torch.equal(x, _random(3, 3))


@pytest.mark.parametrize("size", [1e-4, 1e-5, 1e-7, 1e-12, 1e-20])
def test_however_small_gradients_are_they_have_bases(size: float) -> None:
    """Of a picture of a few pixels, where most features are 0 everywhere: of 1e-5, unscaled, LAPACK found NaN."""
    generator = torch.Generator().manual_seed(291)
    columns = torch.randperm(17, generator=generator)[:4]
    gradient = torch.zeros(24, 17)
    gradient[:, columns] = size * torch.randn(24, 4, generator=generator) * torch.rand(1, 4, generator=generator)
    assert _follow([gradient] * 3, _soap).isfinite().all()
