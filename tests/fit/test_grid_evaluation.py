from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_module import GridField
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import level_extents
from i2codec.fit import grid_evaluation
from i2codec.fit.context import feature_count
from i2codec.fit.grid_evaluation import GridEvaluation
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.grid_start import starting_tensors

_LEVELS, _EXTENTS = 4, (150, 190)
Make = Callable[..., GridEvaluation]


@pytest.fixture(params=[1, 3], ids=["one latent at a node", "three"])
def architecture(request: Any) -> GridArchitecture:
    features = feature_count(2, request.param)
    return GridArchitecture(
        _LEVELS, 2, 3, context_count=2, context_features=features, unrolled=True, plane_count=request.param
    )


@pytest.fixture
def latents(architecture: GridArchitecture) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((*architecture.planes, *level_extents(_EXTENTS, level)) for level in range(_LEVELS))
    return [torch.randint(-3, 4, shape, generator=generator).float() for shape in shapes]


@pytest.fixture
def objective() -> GridObjective:
    target = torch.rand(3, *_EXTENTS, generator=torch.Generator().manual_seed(1))
    return GridObjective.of(target, torch.tensor([0.5, 0.3, 0.2]), level_count=_LEVELS)


@pytest.fixture
def make(latents: list[Tensor], objective: GridObjective, monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(*, is_windowed: bool, side: int = 64) -> GridEvaluation:
        monkeypatch.setattr(grid_evaluation, "_SIDE", side)
        monkeypatch.setattr(grid_evaluation, "_SAMPLED_SIDE", side)
        return GridEvaluation(objective, latents, is_windowed=is_windowed)

    return make


@pytest.fixture
def network(architecture: GridArchitecture) -> StoredGridNetwork:
    _, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
    synthesis = {name: tensors[name].astype(np.float32) for name in architecture.synthesis_shapes}
    return StoredGridNetwork(architecture, synthesis, 3)


def test_the_distortion_of_a_whole_signal_is_that_of_the_objective(
    network: StoredGridNetwork, latents: list[Tensor], objective: GridObjective, make: Make
) -> None:
    model = GridModel([], GridField.from_stored(network), nn.ParameterDict())
    wanted = float(objective.distortion(objective.output(model, latents, steps=3)))
    evaluation = make(is_windowed=False)
    assert evaluation.distortion(network) == pytest.approx(wanted, rel=1e-6)
    assert evaluation.sampled_distortion(network) == evaluation.distortion(network)


@pytest.mark.parametrize("side", [8, 40, 64, 512])
def test_windows_give_the_same_distortion(side: int, network: StoredGridNetwork, make: Make) -> None:
    """Their margins reach as far as the kernels and the stencil do: nothing is lost at their edges."""
    wanted = make(is_windowed=False).distortion(network)
    assert make(is_windowed=True, side=side).distortion(network) == pytest.approx(wanted, rel=1e-6)


def test_a_search_looks_at_some_windows(network: StoredGridNetwork, latents: list[Tensor], make: Make) -> None:
    evaluation = make(is_windowed=True)
    whole, sampled = evaluation.distortion(network), evaluation.sampled_distortion(network)
    assert sampled != whole
    assert sampled == pytest.approx(whole, rel=0.1)  # the signal is alike everywhere
    latents[0][..., :40, :40] *= 9.0  # in no window that is looked at, nor in its margin
    assert evaluation.sampled_distortion(network) == sampled
    assert evaluation.distortion(network) != whole


@pytest.mark.parametrize(("is_windowed", "tolerance"), [(False, 1e-6), (True, 0.1)])
def test_the_rate_of_windows_is_near_that_of_the_whole(
    is_windowed: bool,
    tolerance: float,
    architecture: GridArchitecture,
    network: StoredGridNetwork,
    latents: list[Tensor],
    objective: GridObjective,
    make: Make,
) -> None:
    _, tensors = starting_tensors(architecture, lmbda=0.01, seed=0)
    context = nn.ParameterDict({name: torch.from_numpy(tensors[name]).float() for name in architecture.context_shapes})
    context.requires_grad_(False)
    field = GridField.from_stored(network)
    wanted = float(objective.rate(GridModel([], field, context), latents))
    assert make(is_windowed=is_windowed).sampled_rate(context, field) == pytest.approx(wanted, rel=tolerance)
