"""Make the golden files of the current version that are not there yet: a deliberate act, once per format version.

    python tests/golden/make.py

Files of released versions are never made again; tests decode them forever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Unpack

import numpy as np
from PIL import Image

import i2codec
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.stencil import Stencil
from i2codec.latents.template import Template
from i2codec.media.image import photo_from_array
from i2codec.options import EncodeKeywords
from i2codec.payload.file import StoredSignal, read_file, write_file
from i2codec.payload.grid_section import QuantisedGridNetwork, proved_contraction
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.latents_section import LatentPyramid
from i2codec.payload.stored_grid import StoredGrid, StoredLattice
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    Kind,
    SampleFormat,
    SignalDescription,
    SourceContainer,
)
from i2codec.signal.signal import MetadataKey, Signal
from i2codec.signal.timestamps import TimeStamps

HERE = Path(__file__).parent


def encoded(source: Signal | np.ndarray, **options: Unpack[EncodeKeywords]) -> bytes:
    return i2codec.encode(source, preset="draft", steps=150, device="cpu", **options)


def crop() -> np.ndarray:
    with Image.open(HERE.parent / "data" / "coffee.png") as photo:
        return np.asarray(photo.convert("RGB").reduce(8))


def transparent() -> Signal:
    colour = crop()
    alpha = np.zeros((*colour.shape[:2], 1), dtype=np.uint8)
    alpha[8:24, 12:36] = 255
    return photo_from_array(
        np.concatenate([colour, alpha], axis=-1),
        metadata={MetadataKey.ICC_PROFILE: bytes(range(200)), MetadataKey.EXIF: b"MM\x00*\x00\x00\x00\x08\x00\x00"},
    )


def heights() -> np.ndarray:
    return np.linspace(-3.0, 8000.0, 30 * 20, dtype=np.float32).reshape(30, 20)


def sound(count: int, *, channels: int, rate: int = 8000) -> Signal:
    """A tone of its own in each channel, slow enough for a few parameters; louder towards the end."""
    time = np.arange(count)[:, None] / rate
    samples = np.linspace(0.4, 0.8, count)[:, None] * np.sin(2 * np.pi * 6.0 * (1 + np.arange(channels)) * time)
    description = SignalDescription(
        Kind.SOUND,
        (Axis(AxisName.TIME, count, Fraction(1, rate)),),
        (ChannelRole.SOUND,) * channels,
        SampleFormat.INT16,
        source=SourceContainer.WAV,
    )
    return Signal(description, samples.astype(np.float32), {MetadataKey.TAGS: b'{"title":"Two tones"}'})


def film() -> Signal:
    """Four frames of a bright square on its way, shown for 1, 2, 1 and 3 twentieths of a second."""
    samples = np.full((4, 12, 16, 3), 0.2, np.float32)
    for index in range(4):
        samples[index, 3:9, 3 * index : 3 * index + 6] = (1.0, 0.9, 0.6)
    description = SignalDescription(
        Kind.VIDEO,
        (Axis(AxisName.TIME, 4, Fraction(7, 80)), Axis(AxisName.Y, 12), Axis(AxisName.X, 16)),
        (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE),
        SampleFormat.UINT8,
        source=SourceContainer.MATROSKA,
    )
    return Signal(description, samples, timestamps=TimeStamps(Fraction(1, 20), (0, 1, 3, 4, 7)))


def torus() -> Signal:
    """The occupancy of a torus of radii 0.62 and 0.3, in units of a tenth and moved."""
    axes = (Axis(AxisName.Z, 10), Axis(AxisName.Y, 24), Axis(AxisName.X, 24))
    z, y, x = np.meshgrid(*(((2 * np.arange(axis.extent) + 1) - axis.extent) / 24 for axis in axes), indexing="ij")
    inside = (np.hypot(x, y) - 0.62) ** 2 + z**2 < 0.3**2
    description = SignalDescription(
        Kind.SHAPE,
        axes,
        (ChannelRole.OCCUPANCY,),
        SampleFormat.FLOAT32,
        source=SourceContainer.OBJ,
        affine=(10.0, 0.0, 0.0, 5.0, 0.0, 10.0, 0.0, -2.0, 0.0, 0.0, 10.0, 0.5),
    )
    return Signal(description, inside[..., None].astype(np.float32))


def film_with_sound() -> bytes:
    pictures = read_file(encoded(film(), width=10))
    track = read_file(encoded(sound(2800, channels=2), width=6))
    return write_file([*pictures, *track])


def grid_photo(template: Template) -> bytes:
    """A photo of two tiles with a random grid field: sparse latents, one level of zeros, some tensors at 0."""
    axes = (Axis(AxisName.Y, 40), Axis(AxisName.X, 1100))
    colours = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
    description = SignalDescription(Kind.PHOTO, axes, colours, SampleFormat.UINT8)
    architecture = GridArchitecture(
        5,
        2,
        3,
        hidden_width=4,
        width=2,
        context_width=8,
        context_features=template.feature_count,
        context_count=2,
        stencil=Stencil.CROSS,
        plane_count=3 if template is Template.COLOUR else 1,
    )
    generator = np.random.default_rng(3)
    integers = {name: generator.integers(-9, 10, shape) for name, shape in architecture.tensor_shapes.items()}
    for name in ("e_2", "C_2"):
        integers[name][...] = 0
    integers["C_3"] //= 5
    integers["d_3"][...] = (0, -100)  # scales near 1/8
    network = QuantisedGridNetwork(architecture, integers, dict.fromkeys(integers, 2.0**-5), 0.0, 7)
    network = replace(network, quantisation_steps={**network.quantisation_steps, "A": 2.0**-8})
    network = replace(network, contraction=proved_contraction(network.dequantised()))
    tiles = LatentTiles.of(axes, 5, planes=architecture.planes)
    shapes = [(*tiles.planes, *tiles.shape(level)) for level in range(5)]
    levels = [
        (generator.integers(-40, 41, shape) * (generator.random(shape) < 0.003)).astype(np.int32) for shape in shapes
    ]
    levels[3][...] = 0
    pyramid = LatentPyramid.of(levels, tiles=tiles, model=network.context_model())
    return write_file([StoredSignal(description, (), grid=StoredGrid(network, pyramid))])


def parts_of_grid(grid: StoredGrid) -> dict[str, np.ndarray]:
    """What a grid field is decoded with: latents, synthesis and context model."""
    model = grid.network.context_model()
    latents = {f"latents_{level}": values for level, values in enumerate(grid.latents.levels())}
    context = {name: getattr(model, name) for name in ("w1", "b1", "w2", "b2", "w3", "b3")}
    return latents | dict(grid.network.dequantised().tensors) | context


def lattice() -> bytes:
    """Two channels in two units of cells of their own, and an implicit layer."""
    signal = sound(9000, channels=2)
    axis = replace(signal.axes[0], step=Fraction(1, 1000))
    signal = replace(signal, description=replace(signal.description, axes=(axis,)))
    return i2codec.encode(signal, preset="draft", layer="implicit", steps=60, target_snr=25, device="cpu")


def parts_of_lattice(data: bytes) -> dict[str, np.ndarray]:
    """Latents of its units, and its samples."""
    grid = read_file(data)[0].grid
    assert isinstance(grid, StoredLattice)
    latents = {f"latents_{unit}": grid.units.unit(unit).latents for unit in range(grid.units.unit_count)}
    return latents | {"samples": i2codec.decode(data, device="cpu").samples}


CASES: dict[str, Callable[[], bytes]] = {
    "photo_v1": lambda: encoded(crop(), filter="siren", width=16),
    "transparent_v1": lambda: encoded(transparent(), filter="fourier", width=10),
    "heights_v1": lambda: encoded(heights(), filter="gabor", width=6),
    "sound_v1": lambda: encoded(sound(9000, channels=1), width=6),  # two segments
    "video_v1": film_with_sound,
    "shape_v1": lambda: encoded(torus(), width=12),
    "grid_photo_v1": lambda: grid_photo(Template.PLANE),
    "planes_photo_v1": lambda: grid_photo(Template.COLOUR),
    "lattice_v1": lattice,
}


def main() -> None:
    for name, make in CASES.items():
        if (HERE / f"{name}.i2").exists():
            continue
        data = make()
        (HERE / f"{name}.i2").write_bytes(data)
        grid = read_file(data)[0].grid
        if grid is not None:
            parts = parts_of_grid(grid) if isinstance(grid, StoredGrid) else parts_of_lattice(data)
            np.savez_compressed(HERE / f"{name}.npz", **parts)
            continue
        np.save(HERE / f"{name}.npy", i2codec.decode(data, device="cpu").samples)
        if len(read_file(data)) > 1:
            np.save(HERE / f"{name}_sound.npy", i2codec.decode(data, signal=1, device="cpu").samples)


if __name__ == "__main__":
    main()
