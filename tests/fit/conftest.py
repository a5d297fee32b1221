"""Fits that several tests look at; each is made once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.module import ImplicitField
from i2codec.fit.checkpoint import Checkpoint
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
