from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from learners import Explicit, FixedPoint, Learner, Training, Unrolled, decode, fit, saved_bytes
from numpy.typing import NDArray
from paper import SCALES
from tasks import Points, coordinates, image
from torch import Tensor
from twins import HIDDEN_LAYERS, ExplicitSiren, SinglePass, explicit_twin, nearest_width

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.signal.description import Axis, AxisName

FREQUENCIES = (20.0, 30.0)
SIZES = [size for name in ("small", "paper") for size in SCALES[name].sizes]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def points(count: int = 64) -> Points:
    x = 2.0 * torch.rand(count, 2, generator=generator(), dtype=torch.float64) - 1.0
    return Points(x, torch.rand(count, 1, generator=generator()))


def implicit_field(contraction: float = 0.9, *, steps: int = 64) -> ImplicitField:
    architecture = Architecture(Filter.SIREN, 12, 1, 2, 1, contraction=contraction)
    return ImplicitField(
        architecture, initial_tensors(architecture, frequencies=FREQUENCIES, generator=generator()), steps=steps
    )


def arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
    return {name: tensor.detach().double().numpy() for name, tensor in tensors.items()}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("filter", Filter)
@pytest.mark.parametrize(("layers", "width"), SIZES)
def test_twin_has_as_many_parameters(filter: Filter, layers: int, width: int, axes: int, channels: int) -> None:
    architecture = Architecture(filter, width, layers, axes, channels)
    twin = explicit_twin(architecture, frequencies=(1.0,) * axes, generator=generator())
    count = sum(tensor.numel() for tensor in twin.tensors.values())
    assert count == pytest.approx(architecture.parameter_count, rel=0.03)


def test_nearest_width_takes_the_nearer_neighbour() -> None:
    assert nearest_width(lambda width: width**2, 12) == 3
    assert nearest_width(lambda width: width**2, 13) == 4
    assert nearest_width(lambda width: width**2, 16) == 4
    assert nearest_width(lambda width: 10 * width, 1) == 1


def test_explicit_siren_is_its_equations() -> None:
    network = ExplicitSiren.drawn(width=9, axis_count=2, channel_count=3, frequencies=(4e4, 2e4), generator=generator())
    tensors, x = arrays(network.tensors), points().x
    h = np.sin(x.numpy() @ tensors["U_0"].T + tensors["phi_0"])
    for level in range(1, HIDDEN_LAYERS + 1):
        h = np.sin(h @ tensors[f"A_{level}"].T + tensors[f"b_{level}"])
    np.testing.assert_allclose(network(x).detach().numpy(), h @ tensors["W"].T + tensors["b"], atol=3e-6)


def test_explicit_siren_starts_with_the_given_frequencies_and_unit_variance() -> None:
    network = ExplicitSiren.drawn(
        width=400, axis_count=2, channel_count=1, frequencies=FREQUENCIES, generator=generator()
    )
    highest = network.tensors["U_0"].abs().amax(dim=0)
    assert highest.tolist() == pytest.approx(FREQUENCIES, rel=0.02)
    assert float(network.tensors["A_1"].detach().std()) == pytest.approx(math.sqrt(2.0 / 400), rel=0.02)


@pytest.mark.parametrize("filter", [Filter.FOURIER, Filter.GABOR])
def test_multiplicative_twin_is_its_equations(filter: Filter) -> None:
    architecture = Architecture(filter, 12, 1, 2, 3)
    network = explicit_twin(architecture, frequencies=FREQUENCIES, generator=generator())
    tensors, x = arrays(network.tensors), points().x.numpy()

    def wave(level: int) -> NDArray[np.float64]:
        value = np.sin(x @ tensors[f"U_{level}"].T + tensors[f"phi_{level}"])
        if filter is Filter.GABOR:
            distance = np.linalg.norm(x[:, np.newaxis] - tensors[f"mu_{level}"], axis=-1)
            value = value * np.exp(-0.5 * (tensors[f"gamma_{level}"] * distance) ** 2)
        return value

    h = wave(0)
    for level in range(1, HIDDEN_LAYERS + 1):
        h = (h @ tensors[f"A_{level}"].T + tensors[f"b_{level}"]) * wave(level)
    expected = h @ tensors["W"].T + tensors["b"]
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-5)


def test_single_pass_is_the_field_without_recurrence() -> None:
    field, x = implicit_field(contraction=0.0), points().x
    single = SinglePass(implicit_field().architecture, dict(field.tensors))
    torch.testing.assert_close(single(x), field(x))
    assert not torch.allclose(single(x), implicit_field()(x), atol=1e-2)


def test_fixed_point_is_decoded_where_the_residual_vanishes() -> None:
    field, x = implicit_field(), points().x
    torch.testing.assert_close(decode(FixedPoint(field), x), field(x), atol=1e-4, rtol=0.0)


def test_fixed_point_goes_on_from_its_state() -> None:
    learner, x = FixedPoint(implicit_field(), start_steps=1), points().x
    state = None
    for _ in range(30):
        output, state = learner.train(x, state)
    torch.testing.assert_close(output, learner.field(x), atol=1e-4, rtol=0.0)
    assert not torch.allclose(learner.train(x, None)[0], output, atol=1e-3)


def test_unrolled_is_fitted_and_decoded_after_the_same_steps() -> None:
    learner, x = Unrolled(implicit_field(), steps=3), points().x
    output, state = learner.train(x, torch.ones(64, 12))
    assert state is None
    torch.testing.assert_close(output, implicit_field(steps=3)(x), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(learner.decode(x), implicit_field(steps=3)(x))


def test_batches_have_a_point_of_every_stretch_and_are_kept() -> None:
    everything = Points(torch.arange(1000.0).double()[:, None], torch.zeros(1000, 1))
    training = Training(steps=6, rate=1.0, batch_points=10, batch_reuse=4)
    batches = list(training.batches(everything, seed=0))
    assert [fresh for _, fresh in batches] == [True, False, False, False, True, False]
    assert all((batch.x[:, 0] // 100).tolist() == list(range(10)) for batch, _ in batches)
    assert batches[3][0] is batches[0][0]
    assert not torch.equal(batches[4][0].x, batches[0][0].x)


def test_few_points_are_taken_whole_and_keep_their_state() -> None:
    batches = list(Training(steps=6, rate=1.0, batch_points=64).batches(points(), seed=0))
    assert [fresh for _, fresh in batches] == [True] + [False] * 5
    assert all(batch.count == 64 for batch, _ in batches)


def network_of(name: str) -> Learner:
    match name:
        case "explicit":
            twin = explicit_twin(implicit_field().architecture, frequencies=FREQUENCIES, generator=generator())
            return Explicit(twin)
        case "unrolled":
            return Unrolled(implicit_field(), steps=3)
        case _:
            return FixedPoint(implicit_field())


@pytest.mark.parametrize("name", ["implicit", "explicit", "unrolled"])
def test_fit_learns_and_repeats_itself(name: str) -> None:
    task = image(every=8)
    outputs = []
    for _ in range(2):
        learner = network_of(name)
        fit(learner, task.train, Training(steps=80, rate=0.06, batch_points=128), seed=3)
        outputs.append(decode(learner, task.test.x))
    assert float((outputs[0] - task.test.targets).var() / task.test.targets.var()) < 0.5
    assert torch.equal(outputs[0], outputs[1])


def test_saved_bytes_count_the_states_of_a_step() -> None:
    def count(learner: Learner, size: int) -> int:
        return saved_bytes(learner, points(size))

    state = 12 * 4  # bytes per point
    per_point = (count(FixedPoint(implicit_field()), 512) - count(FixedPoint(implicit_field()), 256)) / 256
    unrolled = (count(Unrolled(implicit_field(), steps=3), 512) - count(Unrolled(implicit_field(), steps=3), 256)) / 256
    assert per_point >= 3 * state
    assert unrolled - per_point >= 2 * 2 * state  # two applications more, a state and a phase in each
    deeper = FixedPoint(implicit_field(), start_steps=20)
    assert count(deeper, 256) == count(FixedPoint(implicit_field()), 256)


def test_coordinates_follow_the_grid() -> None:
    axes = [Axis(AxisName.Y, 2), Axis(AxisName.X, 4)]
    x = coordinates(axes)
    assert x.dtype == torch.float64
    assert x[:, 1].tolist() == [-0.75, -0.25, 0.25, 0.75] * 2
    assert x[[0, 4], 0].tolist() == [-0.25, 0.25]
    assert coordinates(axes, shift=0.5)[0].tolist() == [0.0, -0.5]
