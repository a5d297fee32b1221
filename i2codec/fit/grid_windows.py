"""Windows of a large photo or video: what is fitted at a time, so that memory does not grow with it.

A window is a box of the signal with a margin around it. It is fitted as if it were a signal of its
own, and what moves are the nodes inside the margin: of them all neighbours are there, so that what
they change is all in the window but for what the widest kernels reach beyond the margin. The lattice
of windows is moved at random from pass to pass, so that no node is always next to an edge.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Window:
    """A part of a signal.

    Parameters
    ----------
    inside:
        Start and stop in native samples along every axis; starts are multiples of the coarsest node.
    bounds:
        The same with the margin, no farther than the signal.
    """

    inside: tuple[tuple[int, int], ...]
    bounds: tuple[tuple[int, int], ...]

    @property
    def samples(self) -> Box:
        """Native samples of the signal, margin included."""
        return tuple(slice(low, high) for low, high in self.bounds)

    @property
    def inner_samples(self) -> Box:
        """Those of :attr:`samples` that are inside, counted from the first."""
        return self.inner_nodes(0)

    def nodes(self, level: int) -> Box:
        """Nodes of a level over :attr:`samples`."""
        return tuple(slice(low >> level, -(-high >> level)) for low, high in self.bounds)

    def inner_nodes(self, level: int) -> Box:
        """Those of :meth:`nodes` that are inside, counted from the first."""
        return tuple(
            slice((start - low) >> level, -(-(stop - low) >> level))
            for (start, stop), (low, _) in zip(self.inside, self.bounds, strict=True)
        )


def lattice(extents: Sequence[int], *, side: int, margin: int, offsets: Sequence[int] | None = None) -> list[Window]:
    """Windows that cover a signal, each sample once, cut ``offsets`` before every multiple of ``side``.

    ``side``, ``margin`` and ``offsets`` are multiples of the coarsest level's spacing.
    """
    axes = []
    for extent, offset in zip(extents, offsets or [0] * len(extents), strict=True):
        cuts = [0, *range(side - offset, extent, side), extent] if offset < side else [0, extent]
        axes.append([(low, high) for low, high in itertools.pairwise(cuts) if low < high])
    return [
        Window(
            inside,
            tuple(
                (max(0, low - margin), min(extent, high + margin))
                for (low, high), extent in zip(inside, extents, strict=True)
            ),
        )
        for inside in itertools.product(*axes)
    ]


def windows_of_pass(extents: Sequence[int], *, side: int, spacing: int, seed: int, number: int) -> list[Window]:
    """The lattice of one pass in the order of its steps, moved by multiples of ``spacing``."""
    generator = np.random.default_rng((seed, number))
    offsets = [spacing * int(generator.integers(side // spacing)) for _ in extents]
    windows = lattice(extents, side=side, margin=spacing, offsets=offsets)
    return [windows[place] for place in generator.permutation(len(windows))]
