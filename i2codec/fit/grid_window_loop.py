"""The fit of a grid field to a large photo, a window in every step."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from i2codec.field.interpolation import across_planes
from i2codec.fit.grid_loop import LARGEST_GRADIENT, GridRun
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.grid_windows import Window, windows_of_pass

_TINY = 1e-8


class WindowedGridRun(GridRun):
    """One phase of the fit of one model, of which every step sees one window.

    The objective is that of the whole at its native resolution. All nodes inside of the windows of a
    pass move once, by Adam; the networks move in every step.
    """

    side = 1024
    """Native samples of a window without its margin, per axis; 650 bytes of memory each."""

    def __init__(self, model: GridModel, objective: GridObjective, *arguments: Any, **options: Any) -> None:
        """See :class:`~i2codec.fit.grid_loop.GridRun`."""
        super().__init__(model, objective, *arguments, **options)
        self._whole, self._whole_latents = objective, self._latents
        self._averages = [(torch.zeros_like(latent), torch.zeros_like(latent)) for latent in self._latents]
        self._pass, self._done = 0, 0  # number of the pass, and of its windows that are done

    def _latent_groups(self) -> list[dict[str, Any]]:
        """None: what a step trains is a copy."""
        return []

    def _take_step(self, fraction: float) -> None:
        window = self._next_window()
        first_level, whole = self._phase.first_level, self._whole
        self._latents = [
            latent.detach()[across_planes(window.nodes(level))].clone().requires_grad_()
            for level, latent in enumerate(self._whole_latents, first_level)
        ]
        self._objective = GridObjective.of(
            whole.target[(slice(None), *window.samples)],
            whole.channel_weights,
            level_count=len(self._model.latents),
            first_level=first_level,
        )
        self._states = {}  # those of another window do not help
        super()._take_step(fraction)
        self._move(window, rate=self._latent_factor * self._learning_rate(fraction))

    def _next_window(self) -> Window:
        extents, spacing = self._whole.target.shape[1:], 1 << (len(self._model.latents) - 1)
        while True:
            windows = windows_of_pass(extents, side=self.side, spacing=spacing, seed=self._seed, number=self._pass)
            if self._done < len(windows):
                self._done += 1
                return windows[self._done - 1]
            self._pass, self._done = self._pass + 1, 0

    @torch.no_grad()
    def _move(self, window: Window, *, rate: float) -> None:
        """A step of Adam for the nodes inside the window."""
        nn.utils.clip_grad_norm_(self._latents, LARGEST_GRADIENT)
        betas = self._phase.adam_betas
        corrections = [1.0 - beta ** (self._pass + 1) for beta in betas]
        for level, part in enumerate(self._latents, self._phase.first_level):
            assert part.grad is not None
            nodes, inside = across_planes(window.nodes(level)), across_planes(window.inner_nodes(level))
            number, gradient = level - self._phase.first_level, part.grad[inside]
            mean, squares = (average[nodes][inside] for average in self._averages[number])
            mean.lerp_(gradient, 1.0 - betas[0])
            squares.lerp_(gradient.square(), 1.0 - betas[1])
            step = mean / corrections[0] / ((squares / corrections[1]).sqrt() + _TINY)
            self._whole_latents[number][nodes][inside].sub_(step, alpha=rate)

    def _follow(self, fraction: float, *, network_rate: float) -> None:
        """A window says little about the whole: what a target is missed by is corrected afterwards."""

    def _snapshot(self) -> dict[str, Any]:
        return super()._snapshot() | {"window": (self._pass, self._done), "averages": self._averages}

    def _restore(self, snapshot: dict[str, Any] | None) -> None:
        super()._restore(snapshot)
        if snapshot is not None:
            self._pass, self._done = snapshot["window"]
            self._averages = [tuple(each) for each in snapshot["averages"]]
