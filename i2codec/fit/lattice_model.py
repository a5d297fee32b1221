"""The lattice of a sound while it is fitted, and what it is fitted to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.lattice_module import LatticeField
from i2codec.fit.context import CAUSAL
from i2codec.fit.grid_model import LATENT_SCALE, GridModel, Solve
from i2codec.fit.lattice_context import lattice_bits
from i2codec.fit.synthesis_fast import FastGridField
from i2codec.latents.template import positions

_CHANNELS = 8  # of a sound, so that each channel of each unit has a number of its own

_SCALE_OF_MEAN, _LOG2_SCALE_OF_SILENCE = 0.8, -3.0
"""log₂ of the scale of a latent, by its neighbours' mean magnitude, companded: what fits come to, about."""


class FastLatticeField(LatticeField):
    """The same layers; the stencil is a compiled loop."""

    layer = FastGridField.layer


def lattice_field(
    architecture: GridArchitecture, tensors: Mapping[str, Tensor], *, contraction: float | None, device: str
) -> LatticeField:
    """The layers, as fast as the device has them."""
    kind = FastLatticeField if device == "cpu" else LatticeField
    return kind(architecture, tensors, contraction=contraction)


def lattice_model(
    architecture: GridArchitecture,
    tensors: Mapping[str, np.ndarray],
    *,
    contraction: float | None,
    device: str,
    priors: Mapping[str, np.ndarray],
) -> GridModel:
    """Networks of the given parameters, and no latents yet."""
    parameters = {name: torch.tensor(tensor, dtype=torch.float32, device=device) for name, tensor in tensors.items()}
    synthesis = {name: parameters[name] for name in architecture.synthesis_shapes}
    context = nn.ParameterDict({name: nn.Parameter(parameters[name]) for name in architecture.context_shapes})
    field = lattice_field(architecture, synthesis, contraction=contraction, device=device)
    model = GridModel([], field, context)
    model.priors = [torch.tensor(priors[name], dtype=torch.float32, device=device) for name in model.named_networks()]
    return model


def finished_lattice_model(
    network: StoredGridNetwork, context: Mapping[str, NDArray[np.float64]], *, device: str
) -> GridModel:
    """Networks as a file has them, that are not trained any more, and no latents."""
    synthesis = {name: torch.tensor(tensor, device=device) for name, tensor in network.tensors.items()}
    tensors = {name: torch.tensor(tensor, dtype=torch.float32, device=device) for name, tensor in context.items()}
    field = lattice_field(network.architecture, synthesis, contraction=None, device=device).requires_grad_(False)
    return GridModel([], field, nn.ParameterDict(tensors).requires_grad_(False))


@dataclass
class LatticeObjective:
    """Distortion and rate of a model on some units of a sound.

    The atoms are orthonormal, so that squared errors of amplitudes are those of samples.

    Parameters
    ----------
    targets:
        Amplitudes ``[C, cells, columns]`` of each unit.
    places:
        ``[features, columns]`` of each unit: where its columns are.
    silent_power:
        Sum of the squared amplitudes of the columns that are left out.
    point_count:
        Samples of all units in time.
    """

    targets: Sequence[Tensor]
    places: Sequence[Tensor]
    silent_power: float
    point_count: int

    @classmethod
    def of(
        cls, amplitudes: Sequence[NDArray[np.float64]], *, step: float, point_count: int, device: str
    ) -> LatticeObjective:
        """Of amplitudes ``[C, cells, M]`` of units, up to the last column that a latent of this step is not 0 in."""
        targets, places, silent_power = [], [], 0.0
        for unit in amplitudes:
            loud = np.nonzero(np.abs(unit).max(axis=(0, 1)) > 0.5 * step)[0]
            columns = int(loud[-1]) + 1 if len(loud) else 1
            silent_power += float(np.square(unit[..., columns:]).sum())
            targets.append(torch.tensor(unit[..., :columns], dtype=torch.float32, device=device))
            places.append(torch.from_numpy(column_places(unit.shape[2])[:, :columns].copy()).to(device))
        return cls(targets, places, silent_power, point_count)

    @property
    def channel_count(self) -> int:
        """Channels of the sound."""
        return len(self.targets[0])

    def parts(self, model: GridModel, latents: Sequence[Tensor], solve: Solve) -> tuple[Tensor, Tensor]:
        """Distortion and rate of latents whose states ``solve`` finds: two scalars."""
        return self.distortion(model, latents, solve), self.rate(model, latents)

    def distortion(self, model: GridModel, latents: Sequence[Tensor], solve: Solve) -> Tensor:
        """Squared error of a sample and channel, a scalar."""
        squared = self.targets[0].new_tensor(self.silent_power)
        for unit, (target, place) in enumerate(zip(self.targets, self.places, strict=True)):
            for channel, amplitudes in enumerate(target):
                q = latents[unit][channel]
                field = cast(LatticeField, model.field)
                z = solve(field.injection(q), _CHANNELS * unit + channel)
                squared = squared + (field.amplitudes(q, z, place) - amplitudes).square().sum()
        return squared / (self.point_count * self.channel_count)

    def rate(self, model: GridModel, latents: Sequence[Tensor]) -> Tensor:
        """Bits per sample in time, a scalar."""
        tensors = dict(model.context.items())
        bits = [lattice_bits(unit, place, tensors) for unit, place in zip(latents, self.places, strict=True)]
        return torch.stack(bits).sum() / self.point_count

    @torch.no_grad()
    def decoded(self, model: GridModel, *, steps: int) -> tuple[float, float]:
        """Distortion and rate of the rounded latents, solved from zero in ``steps``."""
        distortion, rate = self.parts(model, model.rounded(), lambda u, key: model.field.state(u, steps=steps))
        return float(distortion), float(rate)

    def starting_latents(self, step: float) -> list[Tensor]:
        """Amplitudes in units of ``step``, as a model holds them: those that would round to 0 are 0 already."""
        latents = []
        for target in self.targets:
            q = target / step
            latents.append(torch.where(q.abs() < 0.5, 0.0, q).div(LATENT_SCALE).requires_grad_())
        return latents


def column_places(column_count: int) -> NDArray[np.float32]:
    """``[features, columns]``: where the columns of a lattice are."""
    return np.ascontiguousarray(np.array(positions(column_count), dtype=np.float32).T)


def lattice_start(architecture: GridArchitecture, *, step: float, seed: int) -> dict[str, NDArray[np.float64]]:
    """Layers that change nothing yet, gains of ``step``, and a context model to begin with.

    Its first unit is a mean of the neighbours' magnitudes, nearer ones counting more, which the scale
    follows; all others are random.
    """
    generator = np.random.default_rng(seed)
    deviations = {"E_1": 1.0, "E_2": 0.3, "A": 0.1, "C_1": 0.3, "C_2": 0.1, "C_3": 0.1}
    tensors = {}
    for name, shape in architecture.tensor_shapes.items():
        fan_in = math.prod(shape[1:]) if name == "A" else shape[-1]
        tensors[name] = deviations.get(name, 0.0) / math.sqrt(fan_in) * generator.standard_normal(shape)
    tensors["gains"][0] = math.log2(step)
    nearness = np.array([1.0 / (dt**2 + dk**2) for dt, dk in CAUSAL])
    tensors["C_1"][:, 0] = 0.0
    tensors["C_1"][:, 0, : len(CAUSAL)] = nearness / nearness.sum()
    tensors["C_2"][:, 0] = 0.0
    tensors["C_3"][:, 1, 0] = _SCALE_OF_MEAN
    tensors["C_3"][:, 0] = 0.0  # there is no mean
    tensors["d_3"][:, 1] = _LOG2_SCALE_OF_SILENCE
    return tensors
