"""A grid field while it is fitted, and what it is fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_module import GridField, LatentReader
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import level_extents
from i2codec.fit.context import latent_bits, planes_before
from i2codec.fit.context_fast import fast_latent_bits
from i2codec.fit.synthesis_fast import FastGridField, FastLatentReader

LATENT_SCALE = 16.0
"""Latents are trained at a sixteenth of their size, so that one learning rate suits all parameters."""

Reader = LatentReader | FastLatentReader

Solve = Callable[..., Tensor]
"""u ``[S, *grid]``, and a number of its own where there are several → states of the same shape."""

_TYPICAL_STEP = 2.0**-5
"""Of the order of what the search chose for networks in the fits looked at, 2⁻³ to 2⁻⁹."""


@dataclass
class GridModel:
    """What is fitted to one signal; all of it is trained in place.

    Parameters
    ----------
    latents:
        Levels ``[*planes, *nodes]``, finest first, divided by :data:`LATENT_SCALE`.
    field:
        The synthesis.
    context:
        The context model's tensors.
    """

    latents: list[Tensor]
    field: GridField
    context: nn.ParameterDict
    priors: list[Tensor] = field(default_factory=list)
    """What the networks' coded parameters are counted from, in the order of :meth:`networks`."""

    @classmethod
    def start(
        cls,
        architecture: GridArchitecture,
        tensors: Mapping[str, np.ndarray],
        *,
        extents: tuple[int, ...],
        contraction: float | None,
        device: str,
        priors: Mapping[str, np.ndarray] | None = None,
    ) -> GridModel:
        """Latents of 0 and networks of the given parameters; their own ``priors`` if none are given."""
        parameters = {
            name: torch.tensor(np.asarray(tensor), dtype=torch.float32, device=device)
            for name, tensor in tensors.items()
        }
        synthesis = {name: parameters[name] for name in architecture.synthesis_shapes}
        context = {name: nn.Parameter(parameters[name]) for name in architecture.context_shapes}
        latents = [
            torch.zeros((*architecture.planes, *level_extents(extents, level)), device=device, requires_grad=True)
            for level in range(architecture.level_count)
        ]
        field = _kind(device)(architecture, synthesis, contraction=contraction)
        model = cls(latents, field, nn.ParameterDict(context))
        counted_from = tensors if priors is None else priors
        model.priors = [
            torch.tensor(np.asarray(counted_from[name]), dtype=torch.float32, device=device)
            for name in model.named_networks()
        ]
        return model

    @torch.no_grad()
    def start_latents(self, latents: Mapping[int, Tensor]) -> None:
        """Let some levels start at ``latents``, as they are coded but for rounding."""
        for level, latent in latents.items():
            self.latents[level].copy_(latent / LATENT_SCALE)

    @classmethod
    def finished(
        cls, network: StoredGridNetwork, context: Mapping[str, NDArray[np.float64]], *, device: str
    ) -> GridModel:
        """Networks as a file has them, that are not trained any more, and no latents."""
        tensors = {name: torch.tensor(tensor, dtype=torch.float32, device=device) for name, tensor in context.items()}
        field = _kind(device).from_stored(network).to(device)
        return cls([], field, nn.ParameterDict(tensors).requires_grad_(False))

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.networks()[0].device

    def networks(self) -> list[nn.Parameter]:
        """Parameters of the synthesis and of the context model."""
        return list(self.named_networks().values())

    def named_networks(self) -> dict[str, nn.Parameter]:
        """:meth:`networks` by name, in their order."""
        return {**dict(self.field.tensors.items()), **dict(self.context.items())}

    def stored_networks(self) -> dict[str, Tensor]:
        """Parameters of all networks by name as a file would hold them, but for rounding."""
        return {**self.field.stored_tensors(), **dict(self.context.items())}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in (*self.latents, *self.networks()):
            parameter.grad = None

    def network_bits(self) -> Tensor:
        """About what the networks cost beyond their priors, a scalar with gradient.

        A smooth stand-in for the coded size, which is found by a search at the end. Finished networks
        are not counted.
        """
        if not self.priors:
            return torch.zeros((), device=self.device)
        costs = [
            torch.log2(1.0 + (parameter - prior).abs() / _TYPICAL_STEP).sum()
            for parameter, prior in zip(self.networks(), self.priors, strict=True)
        ]
        return 2.0 * torch.stack(costs).sum()

    def rounded(self) -> list[Tensor]:
        """The latents as they would be coded."""
        return [torch.round(LATENT_SCALE * latent.detach()) for latent in self.latents]


@dataclass
class GridObjective:
    """Distortion and rate of a model on one signal, at its native resolution or a lower one.

    Parameters
    ----------
    target:
        Fitted channels ``[C, *grid]``.
    channel_weights:
        ``[C]`` weights of the channels' squared errors.
    reader:
        Reads the latents from ``first_level`` on at the samples.
    point_count:
        Native grid points of the signal, over which the rate is counted whatever the resolution.
    first_level:
        The finest level that is fitted.
    """

    target: Tensor
    channel_weights: Tensor
    reader: Reader
    point_count: int
    first_level: int = 0

    @classmethod
    def of(cls, target: Tensor, channel_weights: Tensor, *, level_count: int, first_level: int = 0) -> GridObjective:
        """On ``target`` ``[C, *grid]`` averaged over cells of 2 to the ``first_level`` samples a side."""
        extents = tuple(target.shape[1:])
        positions = [(np.arange(count) + 0.5) * 2.0**first_level for count in level_extents(extents, first_level)]
        reader = _reader(extents, positions, levels=range(first_level, level_count), device=target.device)
        point_count = int(np.prod(extents))
        return cls(cell_means(target, first_level), channel_weights, reader, point_count, first_level)

    def distortion(self, output: Tensor) -> Tensor:
        """Weighted mean squared error of ``output`` ``[C, *grid]``, a scalar."""
        return (output - self.target).square().flatten(1).mean(dim=1) @ self.channel_weights

    def rate(self, model: GridModel, latents: Sequence[Tensor]) -> Tensor:
        """Bits per native grid point of ``latents`` from ``first_level`` on, a scalar."""
        count = fast_latent_bits if self.target.device.type == "cpu" else latent_bits
        architecture = model.field.architecture
        before = planes_before(axis_count=architecture.axis_count, plane_count=architecture.plane_count)
        bits = count(latents, dict(model.context.items()), first_level=self.first_level, before=before)
        return bits / self.point_count

    def parts(self, model: GridModel, latents: Sequence[Tensor], solve: Solve) -> tuple[Tensor, Tensor]:
        """Distortion and rate of ``latents`` from ``first_level`` on, whose states ``solve`` finds."""
        state = solve(model.field.inject(self.reader(latents)))
        return self.distortion(model.field.read_out(state)), self.rate(model, latents)

    @torch.no_grad()
    def decoded(self, model: GridModel, *, steps: int) -> tuple[float, float]:
        """Distortion and rate of the rounded latents, solved from zero in ``steps``."""
        latents = model.rounded()[self.first_level :]
        return float(self.distortion(self.output(model, latents, steps=steps))), float(self.rate(model, latents))

    @torch.no_grad()
    def output(self, model: GridModel, latents: Sequence[Tensor], *, steps: int) -> Tensor:
        """Φ ``[C, *grid]`` of latents from ``first_level`` on, solved from zero in ``steps``."""
        field = model.field
        return field.read_out(field.state(field.inject(self.reader(latents)), steps=steps))


def _kind(device: str) -> type[GridField]:
    return FastGridField if device == "cpu" else GridField


def _reader(
    extents: tuple[int, ...], positions: Sequence[NDArray[np.floating]], *, levels: range, device: torch.device
) -> Reader:
    if device.type == "cpu":
        return FastLatentReader(extents, positions, levels=levels)
    return LatentReader(extents, positions, levels=levels).to(device)


def cell_means(values: Tensor, level: int) -> Tensor:
    """Means of ``[C, *grid]`` over cells of 2ˡ samples a side; cells at the end are means of what is left."""
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[values.dim() - 2]
    sides = [min(2**level, extent) for extent in values.shape[1:]]
    return pool(values[None], sides, ceil_mode=True)[0]
