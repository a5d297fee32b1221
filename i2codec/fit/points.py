"""The points a field is fitted to: coordinates made on demand, and random batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from i2codec.signal.colour import channel_weights, to_fitted, transform_for
from i2codec.signal.grid import half_extents
from i2codec.signal.signal import Signal

# Up to here float32 phases are within 10⁻³ rad at the edge: 4096 samples · π/2 rad · 2⁻²⁴.
_LARGEST_FLOAT32_EXTENT = 4096


@dataclass(frozen=True)
class TrainingPoints:
    """Grid points of a signal as tensors on a device.

    Parameters
    ----------
    extents:
        Samples per axis.
    half_extents:
        Half length of each axis in coordinate units.
    targets:
        ``[N, C]`` fitted channels.
    channel_weights:
        ``[C]`` weights of the channels' squared errors.
    """

    extents: tuple[int, ...]
    half_extents: tuple[float, ...]
    targets: Tensor
    channel_weights: Tensor

    @classmethod
    def of_signal(cls, signal: Signal, *, device: str) -> TrainingPoints:
        """All points of a signal."""
        description = signal.description
        fitted = to_fitted(signal.samples, transform_for(description))
        targets = torch.from_numpy(np.ascontiguousarray(fitted)).reshape(-1, fitted.shape[-1])
        weights = torch.from_numpy(channel_weights(description.channels))
        return cls(description.extents, half_extents(description.axes), targets.to(device), weights.to(device))

    @property
    def count(self) -> int:
        """Number of points N."""
        return len(self.targets)

    def coordinates(self, indices: Tensor, *, shift: tuple[float, ...] | None = None) -> Tensor:
        """Coordinates ``[n, d]`` of flat grid indices ``[n]``, moved by ``shift`` samples per axis."""
        exact = max(self.extents) > _LARGEST_FLOAT32_EXTENT
        dtype = torch.float64 if exact else torch.float32
        components = []
        remaining = indices
        for axis in reversed(range(len(self.extents))):
            extent = self.extents[axis]
            position = (remaining % extent).to(torch.float64) + (shift[axis] if shift else 0.0)
            remaining = remaining // extent
            components.append((self.half_extents[axis] * ((2.0 * position + 1.0) / extent - 1.0)).to(dtype))
        return torch.stack(components[::-1], dim=-1)

    def batch_indices(self, size: int, *, seed: int, number: int) -> Tensor:
        """Flat indices of random batch ``number``, one from each of ``size`` equal stretches.

        A function of its arguments alone, so that a continued fit sees the same batches.
        """
        generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
        offsets = torch.rand(size, generator=generator, dtype=torch.float64)
        indices = ((torch.arange(size) + offsets) * (self.count / size)).long()
        return indices.clamp(max=self.count - 1).to(self.targets.device)

    def lattice_indices(self, size: int) -> Tensor:
        """Flat indices of at most ``size`` points spread evenly, all points where they fit."""
        if size >= self.count:
            return torch.arange(self.count, device=self.targets.device)
        indices = ((torch.arange(size, dtype=torch.float64) + 0.5) * (self.count / size)).long()
        return indices.to(self.targets.device)
