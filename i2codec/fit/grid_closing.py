"""The closing stage of a grid fit: single latents move by one where that lowers the loss of the file itself.

Fits see noisy latents, networks before they are rounded, and a smooth stand-in for the code. Here the
networks are those of the file, latents are integers and their bits are the lengths of their codes.
Tiles, which are coded apart from each other, are counted as if they were one.

A move bears on few samples, so that many are tried at once: one in each block, every other
block along each axis, and each is kept or taken back by what its surroundings cost.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from i2codec.field.interpolation import across_planes
from i2codec.fit.grid_model import GridModel, GridObjective
from i2codec.fit.progress import Progress, Reporter
from i2codec.latents.model import ContextModel
from i2codec.latents.stream import code_lengths

_SIDE = 16
"""Native samples of a block: half of it is about as far as a latent of the levels that move bears on."""
_MOVED_LEVELS = 3
_WORTH_TRYING = 0.2
"""Of the mean curvature of a level: where the gradient is less, a move by one hardly ever gains."""
_LEAST_GAIN = 1e-4
"""Of the loss, by one round; with less the stage ends."""

Grid = NDArray[np.int32]
Doubles = NDArray[np.float64]
Place = tuple[int, ...]
Box = tuple[slice, ...]


@dataclass(frozen=True)
class Move:
    """A latent at ``place`` of a ``level`` changes by ``step``, 1 or −1; it lies in a ``block`` of the signal.

    A place begins with the plane where there are several. ``slope`` is the magnitude of the loss's derivative.
    """

    level: int
    place: Place
    step: int
    block: Place
    slope: float


class ClosingStage:
    """Latents on their way to a lower loss.

    Parameters
    ----------
    objective:
        What they are held against, at the native resolution.
    model:
        The networks of the file in floats.
    context:
        Those of the context model as the file has them.
    steps:
        Step count K.
    lmbda:
        Price of a bit per native grid point.
    reporter:
        Where progress goes.
    """

    def __init__(
        self,
        objective: GridObjective,
        model: GridModel,
        context: ContextModel,
        *,
        steps: int,
        lmbda: float,
        reporter: Reporter,
    ) -> None:
        """Prepare; nothing is computed yet."""
        self._objective, self._model, self._context = objective, model, context
        self._steps, self._lmbda, self._reporter = steps, lmbda, reporter
        self._curvatures = np.zeros(_MOVED_LEVELS)

    def run(self, latents: Sequence[Grid], *, rounds: int) -> list[Grid]:
        """Better latents ``[*planes, *nodes]``, finest first, after so many rounds, or fewer where they gain little.

        Each round tries one move in every block at most. What has not lowered the loss of the whole
        in the end is undone.

        Raises
        ------
        Cancelled
            If the progress callback asks for it.
        """
        costs, current = self._costs(latents, range(len(latents))), [latent.copy() for latent in latents]
        start = costs.total
        is_open = [np.ones(latent.shape, dtype=bool) for latent in latents[:_MOVED_LEVELS]]
        for number in range(rounds):
            self._reporter.report(Progress("close", number / rounds))
            before = costs.total
            moves = self._moves(current, is_open)
            for parity in itertools.product((0, 1), repeat=costs.errors.ndim):
                costs = self._try(current, costs, [move for move in moves if _parity(move.block) == parity])
            if not before - costs.total > _LEAST_GAIN * before:
                break
        end = self._costs(current, range(len(latents))).total
        return current if end < start else list(latents)

    def _try(self, latents: list[Grid], costs: _Costs, moves: Sequence[Move]) -> _Costs:
        """Take the moves that lower the loss; the costs after them."""
        if not moves:
            return costs
        for move in moves:
            latents[move.level][move.place] += move.step
        read_by = {finer for move in moves for finer in range(max(0, move.level - 2), move.level + 1)}
        trial = self._costs(latents, read_by, known=costs)
        changes = trial.halves() - costs.halves()
        for move in moves:
            window = _halves_around(move.block)
            change = float(changes[window].sum())
            self._learn(move, change)
            if change < 0.0:
                costs.take(trial, window)
            else:
                latents[move.level][move.place] -= move.step
        return costs

    def _learn(self, move: Move, change: float) -> None:
        """A move changes the loss by half its curvature less its slope."""
        found, memory = 2.0 * (change + move.slope), 0.98 if self._curvatures[move.level] else 0.0
        self._curvatures[move.level] = memory * self._curvatures[move.level] + (1.0 - memory) * found

    def _moves(self, latents: Sequence[Grid], is_open: Sequence[NDArray[np.bool_]]) -> list[Move]:
        """The most promising move of every block against the gradient; what was tried before is not again."""
        extents = self._objective.target.shape[1:]
        block_counts = [-(-extent // _SIDE) for extent in extents]
        promises, nodes, blocks = [], [], []
        gradients = self._gradients(latents)
        for level, gradient in enumerate(gradients):
            promise = np.abs(gradient) - _WORTH_TRYING * self._curvatures[level]
            places = np.argwhere((promise > 0.0) & is_open[level])
            promises.append(promise[tuple(places.T)])
            nodes.append(np.insert(places, 0, level, axis=1))
            samples = places[:, -len(extents) :] << level
            blocks.append(np.ravel_multi_index(tuple(samples.T // _SIDE), block_counts))
        best_first = np.argsort(-np.concatenate(promises), kind="stable")
        _, firsts = np.unique(np.concatenate(blocks)[best_first], return_index=True)
        moves = []
        for level, *indices in np.concatenate(nodes)[best_first[firsts]].tolist():
            place = tuple(indices)
            is_open[level][place] = False
            slope = float(gradients[level][place])
            block = tuple((index << level) // _SIDE for index in place[-len(extents) :])
            moves.append(Move(level, place, -1 if slope > 0.0 else 1, block, abs(slope)))
        return moves

    def _gradients(self, latents: Sequence[Grid]) -> list[Doubles]:
        """The loss, summed over samples, by the latents of the levels that move."""
        values = _as_floats(latents, self._objective)
        moved = [value.requires_grad_() for value in values[:_MOVED_LEVELS]]
        field, objective = self._model.field, self._objective
        output = field.read_out(field.state(field.inject(objective.reader(values)), steps=self._steps))
        loss = objective.distortion(output) + self._lmbda * objective.rate(self._model, values)
        gradients = torch.autograd.grad(loss * objective.point_count, moved)
        return [gradient.double().cpu().numpy() for gradient in gradients]

    @torch.no_grad()
    def _costs(self, latents: Sequence[Grid], levels: Collection[int], known: _Costs | None = None) -> _Costs:
        """Errors, and bits of ``levels``; those of all others are as ``known``."""
        objective = self._objective
        output = objective.output(self._model, _as_floats(latents, objective), steps=self._steps)
        squares = (output - objective.target).square()
        errors = torch.tensordot(objective.channel_weights, squares, dims=1).double().cpu().numpy()
        bits = [
            self._lmbda * _bits(latents, level, self._context)
            if known is None or level in levels
            else known.bits[level]
            for level in range(len(latents))
        ]
        return _Costs(errors, bits)


@dataclass
class _Costs:
    """The loss where it arises: errors by sample, and priced bits by node of every level ``[*planes, *nodes]``."""

    errors: Doubles
    bits: list[Doubles]

    @property
    def total(self) -> float:
        """Over all samples."""
        return float(self.errors.sum() + sum(bits.sum() for bits in self.bits))

    def halves(self) -> Doubles:
        """Sums over half blocks of the signal; only of levels with latents that move, or that read them."""
        sums = _cell_sums(self.errors, _SIDE // 2)
        axis_count = self.errors.ndim
        for level, bits in enumerate(self.bits[:_MOVED_LEVELS]):
            of_nodes = bits.reshape(-1, *bits.shape[-axis_count:]).sum(axis=0)
            sums += _cell_sums(of_nodes, (_SIDE // 2) >> level)
        return sums

    def take(self, other: _Costs, window: Box) -> None:
        """Those of another inside a window of half blocks."""
        for level, bits in enumerate(self.bits[:_MOVED_LEVELS]):
            nodes = across_planes(_scaled(window, (_SIDE // 2) >> level))
            bits[nodes] = other.bits[level][nodes]
        box = _scaled(window, _SIDE // 2)
        self.errors[box] = other.errors[box]


def _parity(block: Place) -> Place:
    return tuple(index % 2 for index in block)


def _halves_around(block: Place) -> Box:
    """A block and half of each of its neighbours; those of blocks of one parity do not overlap."""
    return tuple(slice(max(0, 2 * index - 1), 2 * index + 3) for index in block)


def _scaled(window: Box, factor: int) -> Box:
    return tuple(slice(factor * part.start, factor * part.stop) for part in window)


def _cell_sums(values: Doubles, side: int) -> Doubles:
    """Sums over cells of so many nodes a side; the last cells may be smaller."""
    for axis, extent in enumerate(values.shape):
        values = np.add.reduceat(values, range(0, extent, side), axis)
    return values


def _as_floats(latents: Sequence[Grid], objective: GridObjective) -> list[torch.Tensor]:
    return [torch.from_numpy(latent.astype(np.float32)).to(objective.target.device) for latent in latents]


def _bits(latents: Sequence[Grid], level: int, context: ContextModel) -> Doubles:
    """Length of the code of every node of a level."""
    own, coarser, coarsest = (
        latents[at].reshape((1,) * (3 - latents[at].ndim) + latents[at].shape) if at < len(latents) else None
        for at in (level, level + 1, level + 2)
    )
    assert own is not None
    lengths = code_lengths(own, coarser=coarser, coarsest=coarsest, model=context, level=level)
    return lengths.reshape(latents[level].shape)
