"""The fit of a grid field to a large photo, a window in every step."""

from __future__ import annotations

from typing import Any

import torch

from i2codec.fit.grid_loop import ADAM_BETAS, LARGEST_GRADIENT, GridRun
from i2codec.fit.grid_model import GridObjective
from i2codec.fit.grid_windows import Window, windows_of_pass

_TINY = 1e-8


class WindowedGridRun(GridRun):
    """One phase of the fit of one model, of which every step sees one window.

    All nodes inside of the windows of a pass move once, by Adam; the networks move in every step.
    """

    side = 1024
    """Native samples of a window without its margin, per axis; 650 bytes of memory each."""

    _number, _place = 0, 0
    """The pass, and the windows of it that are done."""

    def _latent_groups(self, factor: float) -> list[dict[str, Any]]:
        """None: what is trained in a step is a copy."""
        whole = self._model.latents[self._phase.first_level :]
        self._factor, self._whole, self._native = factor, whole, self._objective
        self._averages = [(torch.zeros_like(latent), torch.zeros_like(latent)) for latent in whole]
        return []

    def _take_step(self, fraction: float) -> None:
        window = self._next_window()
        first_level, native = self._phase.first_level, self._native
        self._latents = [
            latent.detach()[window.nodes(level)].clone().requires_grad_()
            for level, latent in enumerate(self._whole, first_level)
        ]
        self._objective = GridObjective.of(
            native.target[(slice(None), *window.samples)],
            native.channel_weights,
            level_count=len(self._model.latents),
            first_level=first_level,
        )
        self._state = None  # of another window
        super()._take_step(fraction)
        self._move(window, rate=self._factor * self._learning_rate(fraction))

    def _next_window(self) -> Window:
        spacing = 1 << (len(self._model.latents) - 1)
        while True:
            windows = windows_of_pass(
                self._native.target.shape[1:], side=self.side, spacing=spacing, seed=self._seed, number=self._number
            )
            if self._place < len(windows):
                self._place += 1
                return windows[self._place - 1]
            self._number, self._place = self._number + 1, 0

    @torch.no_grad()
    def _move(self, window: Window, *, rate: float) -> None:
        """A step of Adam for the nodes inside the window."""
        torch.nn.utils.clip_grad_norm_(self._latents, LARGEST_GRADIENT)
        for level, (whole, averages, part) in enumerate(
            zip(self._whole, self._averages, self._latents, strict=True), self._phase.first_level
        ):
            assert part.grad is not None
            nodes, inner = window.nodes(level), window.inner_nodes(level)
            gradient = part.grad[inner]
            mean, squares = (average[nodes][inner] for average in averages)
            mean.lerp_(gradient, 1.0 - ADAM_BETAS[0])
            squares.lerp_(gradient.square(), 1.0 - ADAM_BETAS[1])
            kept = [1.0 - beta ** (self._number + 1) for beta in ADAM_BETAS]
            whole[nodes][inner].sub_(mean / kept[0] / ((squares / kept[1]).sqrt() + _TINY), alpha=rate)

    def _follow(self, fraction: float, *, network_rate: float) -> None:
        """A window says little about the whole: what a target is missed by is corrected afterwards."""

    def _snapshot(self) -> dict[str, Any]:
        return super()._snapshot() | {"window": (self._number, self._place), "averages": self._averages}

    def _restore(self, snapshot: dict[str, Any] | None) -> None:
        super()._restore(snapshot)
        if snapshot is not None:
            self._number, self._place = snapshot["window"]
            self._averages = [tuple(each) for each in snapshot["averages"]]
