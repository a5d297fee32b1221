"""Scattered samples."""

from __future__ import annotations

import numpy as np
import pytest

from i2codec.errors import OptionError
from i2codec.signal.samples import PointSamples


def arrays() -> dict[str, np.ndarray]:
    return {
        "coordinates": np.zeros((4, 3), np.float32),
        "values": np.zeros((4, 1), np.float32),
        "weights": np.ones(4, np.float32),
    }


def test_count() -> None:
    assert PointSamples(**arrays()).count == 4


@pytest.mark.parametrize("name", ["coordinates", "values", "weights"])
def test_wrong_arrays_are_refused(name: str) -> None:
    good = arrays()[name]
    for wrong in (good.astype(np.float64), good[..., None], good[:3] if name != "weights" else good[:, None]):
        with pytest.raises(OptionError, match=f"{name} of samples are .*; expected float32"):
            PointSamples(**(arrays() | {name: wrong}))
