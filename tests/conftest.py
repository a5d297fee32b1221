"""Pictures that tests share, and a small budget of threads for stable figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

# The same examples every time, on machines of any speed.
settings.register_profile("i2codec", deadline=None, derandomize=True)
settings.load_profile("i2codec")

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def photo_path() -> Path:
    """The photo that the repository carries; see tests/data/README.md."""
    return DATA / "coffee.png"


@pytest.fixture(scope="session")
def crop(photo_path: Path) -> NDArray[np.uint8]:
    """``[64, 96, 3]`` of the photo, at a quarter of its size: edges, shading and texture."""
    with Image.open(photo_path) as photo:
        return np.asarray(photo.convert("RGB").reduce(4))
