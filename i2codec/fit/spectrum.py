"""The spectrum of a signal: where a field's frequencies start, and how many waves it takes.

A cosine transform of the samples on their grid. Of a long signal a block in the middle stands for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from i2codec.fit.points import TrainingPoints

_MOST_POINTS = 2**21  # bounds time and memory of the transform


@dataclass(frozen=True)
class Spectrum:
    """Cosine coefficients of a signal.

    Parameters
    ----------
    power:
        ``[*extents]`` squared orthonormal coefficients, mean over the channels, of the signal less
        its mean.
    half_extents:
        Half length of each axis of the block in coordinate units.
    point_share:
        Points of the block over all points.
    """

    power: NDArray[np.float32]
    half_extents: tuple[float, ...]
    point_share: float

    @classmethod
    def of_points(cls, points: TrainingPoints) -> Spectrum:
        """The spectrum of a signal's points."""
        samples = _on_grid(points) if points.positions is None else _in_cells(points)
        extents = samples.shape[:-1]
        cells = math.prod(extents)
        shrink = min(1.0, (_MOST_POINTS / cells) ** (1.0 / len(extents)))
        block = [max(1, math.floor(extent * shrink)) for extent in extents]
        starts = [(extent - size) // 2 for extent, size in zip(extents, block, strict=True)]
        middle = samples[tuple(slice(start, start + size) for start, size in zip(starts, block, strict=True))]
        power = np.zeros(block, dtype=np.float32)
        for channel in range(middle.shape[-1]):
            centred = middle[..., channel] - middle[..., channel].mean()
            power += dctn(centred, norm="ortho") ** 2 / middle.shape[-1]
        halves = [half * size / extent for half, size, extent in zip(points.half_extents, block, extents, strict=True)]
        return cls(power, tuple(halves), power.size / cells)

    def draw(self, count: int, *, parameter_count: int, generator: np.random.Generator) -> NDArray[np.float32]:
        """Angular frequencies ``[count, d]`` in radians per coordinate unit, as the signal has them.

        Drawn by amplitude among the largest coefficients, a quarter as many as the field has
        parameters: noise fills a spectrum, and a field cannot hold noise. (docs/fitting.md)
        """
        kept = int(min(self.power.size, max(count, 0.25 * parameter_count * self.point_share)))
        flat = self.power.ravel()
        largest = np.argpartition(flat, flat.size - kept)[flat.size - kept :]
        largest.sort()  # the partition's order is not defined
        amplitude = np.sqrt(flat[largest].astype(np.float64)) + np.finfo(np.float64).tiny
        chosen = generator.choice(largest, size=count, p=amplitude / amplitude.sum())
        index = np.stack(np.unravel_index(chosen, self.power.shape), axis=-1)
        jittered = index + generator.uniform(-0.5, 0.5, index.shape)  # between the lines of the transform
        signs = generator.choice((-1.0, 1.0), index.shape)
        # coefficient k of n samples is cos(π k (j + ½)/n), and 2 e coordinate units are n samples
        frequencies = signs * jittered * math.pi / (2.0 * np.array(self.half_extents))
        return frequencies.astype(np.float32)

    def waves_for(self, distortion: float) -> int:
        """Coefficients of the whole signal that must be kept for a mean squared error of ``distortion``."""
        ascending = np.cumsum(np.sort(self.power, axis=None), dtype=np.float64)
        dropped = int(np.searchsorted(ascending, distortion * self.power.size, side="right"))
        return math.ceil((self.power.size - dropped) / self.point_share)


def _on_grid(points: TrainingPoints) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = points.targets.reshape(*points.extents, -1).cpu().numpy()
    return samples


def _in_cells(points: TrainingPoints) -> NDArray[np.float32]:
    """Means ``[*cells, C]`` of scattered points in cells of about eight; the mean of all in an empty cell."""
    assert points.positions is not None
    coarser = (8.0 * math.prod(points.extents) / points.count) ** (1.0 / len(points.extents))
    extents = [max(1, round(extent / max(1.0, coarser))) for extent in points.extents]
    cells = np.zeros(points.count, dtype=np.int64)
    for axis, (extent, half) in enumerate(zip(extents, points.half_extents, strict=True)):
        place = (points.positions[:, axis].cpu().numpy() / half + 1.0) * (0.5 * extent)
        cells = cells * extent + np.clip(place.astype(np.int64), 0, extent - 1)
    targets = points.targets.cpu().numpy()
    number = np.bincount(cells, minlength=math.prod(extents))
    means = [
        np.where(
            number > 0,
            np.bincount(cells, weights=channel, minlength=len(number)) / np.maximum(number, 1),
            channel.mean(),
        )
        for channel in targets.T
    ]
    return np.stack(means, axis=-1).reshape(*extents, -1).astype(np.float32)
