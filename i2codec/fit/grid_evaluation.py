"""What finished networks make of rounded latents, window by window where the signal is large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from i2codec.field.grid_module import GridField
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import across_planes
from i2codec.fit.grid_model import GridModel, GridObjective, cell_means
from i2codec.fit.grid_windows import Window, lattice

_SIDE = 2048
_MARGIN = 3
"""Of the coarsest level's spacings: the cubic kernel reaches two, K steps of the stencil less than one."""
_SAMPLED_WINDOWS = 2
_SAMPLED_SIDE = 768


class GridEvaluation:
    """Distortion and rate of a signal's rounded latents.

    Parameters
    ----------
    objective:
        What they are held against, at the native resolution.
    latents:
        Integers ``[*nodes]`` of all levels, finest first.
    is_windowed:
        Whether the signal is looked at in windows, and by a search in a few of them.
    """

    def __init__(self, objective: GridObjective, latents: Sequence[Tensor], *, is_windowed: bool) -> None:
        """Lay out the windows."""
        self._objective, self._latents = objective, latents
        extents, spacing = objective.target.shape[1:], 1 << (len(latents) - 1)
        if not is_windowed:
            self._windows = self._sampled = lattice(extents, side=max(extents), margin=0)
            return
        self._windows = lattice(extents, side=_SIDE, margin=_MARGIN * spacing)
        parts = lattice(extents, side=_SAMPLED_SIDE, margin=_MARGIN * spacing)
        chosen = [len(parts) * (2 * number + 1) // (2 * _SAMPLED_WINDOWS) for number in range(_SAMPLED_WINDOWS)]
        self._sampled = [parts[number] for number in chosen]

    def distortion(self, network: StoredGridNetwork) -> float:
        """Of all of the signal."""
        return self._distortion(network, self._windows)

    def sampled_distortion(self, network: StoredGridNetwork) -> float:
        """About the same, for a search: of some windows of a large signal."""
        return self._distortion(network, self._sampled)

    def sampled_rate(self, context: nn.ParameterDict, field: GridField) -> float:
        """Bits per native grid point under a context model: of some windows of a large signal."""
        model = GridModel([], field, context)
        rates = [float(objective.rate(model, latents)) for objective, latents, _ in self._parts(self._sampled)]
        return sum(rates) / len(rates)

    @torch.no_grad()
    def coarse_states(self, network: StoredGridNetwork, *, first_level: int) -> Iterator[tuple[Tensor, Tensor]]:
        """States ``[S, *grid]`` where levels finer than ``first_level`` are 0, and targets ``[C, *grid]``.

        Window by window, both as means over cells of that level.
        """
        field = GridField.from_stored(network).to(self._objective.target.device)
        for objective, latents, window in self._parts(self._windows):
            coarse = [latent * (level >= first_level) for level, latent in enumerate(latents)]
            state = field.state(field.inject(objective.reader(coarse)), steps=network.steps)
            inside = (slice(None), *window.inner_samples)
            yield cell_means(state[inside], first_level), cell_means(objective.target[inside], first_level)

    @torch.no_grad()
    def _distortion(self, network: StoredGridNetwork, windows: Sequence[Window]) -> float:
        field = GridField.from_stored(network).to(self._objective.target.device)
        model, total, count = GridModel([], field, nn.ParameterDict()), 0.0, 0
        for objective, latents, window in self._parts(windows):
            inside = (slice(None), *window.inner_samples)
            errors = objective.output(model, latents, steps=network.steps)[inside] - objective.target[inside]
            total += float(errors.square().flatten(1).sum(dim=1) @ objective.channel_weights)
            count += errors[0].numel()
        return total / count

    def _parts(self, windows: Sequence[Window]) -> Iterator[tuple[GridObjective, list[Tensor], Window]]:
        whole = self._objective
        for window in windows:
            target = whole.target[(slice(None), *window.samples)]
            objective = (
                whole
                if target.shape == whole.target.shape
                else GridObjective.of(target, whole.channel_weights, level_count=len(self._latents))
            )
            yield (
                objective,
                [latent[across_planes(window.nodes(level))] for level, latent in enumerate(self._latents)],
                window,
            )
