"""Pictures and sounds that tests share, and a small budget of threads for stable figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.payload.file import StoredSignal, read_file, write_file
from i2codec.payload.lattice_section import LatticeUnits, pack_lattice_unit
from i2codec.payload.stored_grid import StoredLattice
from i2codec.prior import priors

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


def _zeroed(data: bytes) -> bytes:
    signals = [
        _silent(stored)
        if isinstance(stored.grid, StoredLattice)
        else replace(
            stored,
            networks=[
                replace(network, integers={name: np.zeros_like(part) for name, part in network.integers.items()})
                for network in stored.networks
            ],
        )
        for stored in read_file(data)
    ]
    return write_file(signals)


def _silent(stored: StoredSignal) -> StoredSignal:
    """A lattice whose latents are all 0."""
    assert isinstance(stored.grid, StoredLattice)
    units, model = stored.grid.units, stored.grid.network.context_model()
    payloads = {}
    for number in range(units.unit_count):
        unit = units.unit(number)
        payloads[0, number] = pack_lattice_unit(
            replace(unit, latents=np.zeros_like(unit.latents), noise=None if unit.noise is None else 0 * unit.noise),
            model,
        )
    channel_count = len(stored.description.channels)
    silent = LatticeUnits(
        payloads,
        segments=stored.segments,
        channel_count=channel_count,
        model=model,
        sample_step=stored.description.axes[0].step,
    )
    return replace(stored, grid=replace(stored.grid, units=silent))


@pytest.fixture(scope="session")
def zeroed() -> Callable[[bytes], bytes]:
    """An ``.i2`` file with all parameters 0: what no test of quality may take for a decoded one."""
    return _zeroed


def _tones(count: int, *, rate: int = 8000, pitches_hz: tuple[float, float] = (110.0, 165.0)) -> NDArray[np.float64]:
    time = np.arange(count) / rate
    return 0.5 * np.sin(2 * np.pi * pitches_hz[0] * time) + 0.3 * np.sin(2 * np.pi * pitches_hz[1] * time + 1.0)


@pytest.fixture(scope="session")
def tones() -> Callable[..., NDArray[np.float64]]:
    """A sound of two tones ``[count]`` in −1..1."""
    return _tones


@pytest.fixture
def a_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[int, dict[str, NDArray[np.int16]]]]]:
    """Releases a random prior for an architecture; its number, and its integers in units of 2⁻¹⁰."""

    def release(architecture: GridArchitecture, *, largest: int = 20) -> tuple[int, dict[str, NDArray[np.int16]]]:
        generator = np.random.default_rng(5)
        shapes = architecture.tensor_shapes
        tensors = {
            name: generator.integers(-largest, largest + 1, shape).astype(np.int16) for name, shape in shapes.items()
        }
        np.savez_compressed(tmp_path / "prior_250.npz", **tensors)
        priors.load_prior.cache_clear()
        monkeypatch.setattr(priors, "_FOLDER", tmp_path)
        monkeypatch.setattr(priors, "_ARCHITECTURES", {250: architecture})
        monkeypatch.setattr(priors, "_LMBDAS", {250: 0.01})
        return 250, tensors

    yield release
    priors.load_prior.cache_clear()
