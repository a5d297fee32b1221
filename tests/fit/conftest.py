"""Fits that several tests look at; each is made once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.interpolation import level_extents
from i2codec.field.module import ImplicitField
from i2codec.fit.checkpoint import Checkpoint
from i2codec.fit.context import feature_count
from i2codec.fit.effort import Effort
from i2codec.fit.field_fit import FieldFit
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import PRESETS
from i2codec.fit.progress import Reporter
from i2codec.media.image import photo_from_array
from i2codec.signal.signal import Signal


@pytest.fixture(scope="session")
def signal(crop: NDArray[np.uint8]) -> Signal:
    return photo_from_array(crop)


@pytest.fixture(scope="session")
def points(signal: Signal) -> TrainingPoints:
    return TrainingPoints.of_signal(signal, device="cpu")


@pytest.fixture(scope="session")
def field_fit(signal: Signal, points: TrainingPoints) -> FieldFit:
    """150 steps on random batches of a quarter of the points."""
    return FieldFit(
        description=signal.description,
        points=points,
        preset=replace(PRESETS["draft"], batch_points=1536),
        seed=0,
        reference_power=1.0,
        effort=Effort(150),
        overhead_bytes=100,
        reporter=Reporter(),
        checkpoint=Checkpoint(),
    )


@pytest.fixture(scope="session")
def architecture() -> Architecture:
    return Architecture(Filter.SIREN, width=32, depth=1, axis_count=2, channel_count=3)


@pytest.fixture(scope="session")
def fitted(field_fit: FieldFit, architecture: Architecture) -> ImplicitField:
    """A field of 24 dB or so; copy it before changing it."""
    field = field_fit.start(architecture)
    field_fit.fit(field, stage="main", share=1.0)
    return field


MakeContext = Callable[..., dict[str, Tensor]]
MakeLatents = Callable[..., list[Tensor]]


@pytest.fixture(scope="session")
def make_context() -> MakeContext:
    """Random context models in multiples of 1/1024; means are a few units off, scales lie around 3.

    Of two networks, but for one level of one.
    """

    def make(
        *,
        axis_count: int = 2,
        plane_count: int = 1,
        level_count: int = 3,
        context_count: int | None = None,
        width: int = 8,
        gain: float = 1.0,
        seed: int = 3,  # of 0 to 2 one network or the other is often beyond a limit, or at a kink
    ) -> dict[str, Tensor]:
        features, count = feature_count(axis_count, plane_count), context_count or min(2, level_count)
        shapes = {
            "C_1": (count, width, features), "d_1": (level_count, width), "C_2": (count, width, width),
            "d_2": (count, width), "C_3": (count, 2, width), "d_3": (level_count, 2),
        }  # fmt: skip
        generator = np.random.default_rng(seed)
        tensors = {}
        for name, shape in shapes.items():
            spread = gain / math.sqrt(shape[-1]) if name.startswith("C") else 0.3
            tensors[name] = spread * generator.normal(size=shape)
        tensors["C_3"] *= [[0.3], [0.15]]
        tensors["d_3"][:, 1] += 1.5
        return {name: torch.tensor(np.rint(1024.0 * tensor) / 1024.0).float() for name, tensor in tensors.items()}

    return make


@pytest.fixture(scope="session")
def make_latents() -> MakeLatents:
    """Random latents of all levels, finest first, on no integers unless ``rounded``."""

    def make(
        extents: tuple[int, ...],
        *,
        plane_count: int = 1,
        level_count: int = 3,
        spread: float = 2.0,
        rounded: bool = False,
        seed: int = 0,
    ) -> list[Tensor]:
        generator = np.random.default_rng(seed)
        planes = (plane_count,) if plane_count > 1 else ()
        shapes = [(*planes, *level_extents(extents, level)) for level in range(level_count)]
        levels = [torch.from_numpy(spread * generator.laplace(size=shape)).float() for shape in shapes]
        return [torch.round(level) for level in levels] if rounded else levels

    return make
