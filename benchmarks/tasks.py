"""The five tasks: fit an image, a sound, a video or a solid, and predict the pixels left out of an image.

Signals come from files or, without one, are generated; the photo is carried by the repository.
Coordinates follow the codec's own convention (``i2codec.signal.grid``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from common import HERE, psnr
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2codec.signal.description import Axis, AxisName
from i2codec.signal.grid import grid_coordinates, half_extents, nyquist_frequencies, sample_centres

CAMERA = HERE / "data" / "camera_128.png"
GENERATED = "generated"

Samples = NDArray[np.float32]


class Metric(StrEnum):
    """What a fit is judged by: PSNR in dB of the unit range, or intersection over union of solids."""

    PSNR = "psnr_db"
    IOU = "iou"

    def score(self, output: Tensor, target: Tensor) -> float:
        """Of outputs against targets, both ``[N, C]``; a solid is where a value exceeds ½."""
        if self is Metric.PSNR:
            return psnr(output, target)
        inside, wanted = output > 0.5, target > 0.5
        return float((inside & wanted).sum() / (inside | wanted).sum().clamp(min=1))


@dataclass(frozen=True)
class Points:
    """Coordinates ``[N, d]`` in float64 and samples ``[N, C]`` in float32."""

    x: Tensor
    targets: Tensor

    @property
    def count(self) -> int:
        return len(self.x)

    def at(self, indices: Tensor) -> Points:
        """Those points alone."""
        indices = indices.to(self.x.device)
        return Points(self.x[indices], self.targets[indices])

    def to(self, device: str) -> Points:
        return Points(self.x.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Task:
    """A signal to fit.

    Parameters
    ----------
    name:
        Kind of task.
    signal:
        File name of the signal.
    train, test:
        Points that are fitted, and those that the metric is measured on; one and the same where
        the task is to represent the signal.
    nyquist:
        Highest angular frequency of the fitted grid per axis, radians per coordinate unit.
    metric:
        What is measured.
    """

    name: str
    signal: str
    train: Points
    test: Points
    nyquist: tuple[float, ...]
    metric: Metric = Metric.PSNR

    @property
    def generalises(self) -> bool:
        """True where the test points are not those fitted."""
        return self.test is not self.train

    def to(self, device: str) -> Task:
        train = self.train.to(device)
        test = self.test.to(device) if self.generalises else train
        return Task(self.name, self.signal, train, test, self.nyquist, self.metric)


def coordinates(axes: Sequence[Axis], *, shift: float = 0.0) -> Tensor:
    """``[N, d]`` of the grid's samples, or of points ``shift`` samples further along every axis."""
    centres = [
        sample_centres(np.arange(axis.extent) + shift, count=axis.extent, half_extent=half)
        for axis, half in zip(axes, half_extents(axes), strict=True)
    ]
    return torch.from_numpy(grid_coordinates(centres))


def on_grid(axes: Sequence[Axis], samples: Samples) -> Points:
    """The samples ``[*grid, C]`` of a grid."""
    return Points(coordinates(axes), torch.from_numpy(samples.reshape(-1, samples.shape[-1])))


def image_axes(samples: Samples) -> list[Axis]:
    return [Axis(AxisName.Y, samples.shape[0]), Axis(AxisName.X, samples.shape[1])]


def read_image(path: Path, *, every: int) -> Samples:
    """Every so many pixels ``[H, W, C]`` in 0..1."""
    with Image.open(path) as picture:
        samples = np.asarray(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))
    samples = samples[::every, ::every] / np.float32(255.0)
    return samples[..., np.newaxis] if samples.ndim == 2 else samples


def image(path: Path | None = None, *, every: int = 1) -> Task:
    """All pixels of a photo."""
    path = path or CAMERA
    samples = read_image(path, every=every)
    points, axes = on_grid(image_axes(samples), samples), image_axes(samples)
    return Task("image", path.name, points, points, nyquist_frequencies(axes))


def generalisation(path: Path | None = None, *, every: int = 1) -> Task:
    """Fitted on every second pixel of every second row; the test is on the other three quarters."""
    path = path or CAMERA
    samples = read_image(path, every=every)
    points = on_grid(image_axes(samples), samples)
    fitted = np.zeros(samples.shape[:2], dtype=bool)
    fitted[::2, ::2] = True
    train, test = (points.at(torch.from_numpy(np.flatnonzero(chosen))) for chosen in (fitted, ~fitted))
    return Task("generalisation", path.name, train, test, nyquist_frequencies(image_axes(samples[::2, ::2])))


def sound(path: Path | None = None, *, start_s: float = 1.0, length_s: float) -> Task:
    """A stretch of the first channel, scaled so that it spans a range of 1 around zero."""
    if path is None:
        rate = 44100
        t = np.arange(round(length_s * rate)) / rate
        samples = sum(
            np.sin(2.0 * np.pi * pitch * t) * np.exp(-fade * t) for pitch, fade in ((220, 1), (550, 3), (1210, 9))
        )
    else:
        import soundfile

        information = soundfile.info(path)
        rate = information.samplerate
        first, count = round(start_s * rate), round(length_s * rate)
        samples = soundfile.read(path, start=first, frames=count, always_2d=True)[0][:, 0]
    scaled = (0.5 * samples / np.abs(samples).max()).astype(np.float32)[:, np.newaxis]
    axes = [Axis(AxisName.TIME, len(scaled), Fraction(1, rate))]
    points = on_grid(axes, scaled)
    return Task("sound", path.name if path else GENERATED, points, points, nyquist_frequencies(axes))


def video(path: Path | None = None, *, frames: int, every: int = 1) -> Task:
    """The first frames ``[T, H, W, 3]``, every so many pixels of each."""
    if path is None:
        t, y, x = np.meshgrid(np.arange(frames), np.arange(0, 48, every), np.arange(0, 64, every), indexing="ij")
        waves = [np.sin(0.21 * x - 0.5 * t), np.sin(0.17 * y + 0.3 * t), np.sin(0.1 * (x + y) + 0.4 * t)]
        samples = (0.5 + 0.5 * np.stack(waves, axis=-1)).astype(np.float32)
    else:
        import av

        with av.open(str(path)) as container:
            decoded = itertools.islice(container.decode(video=0), frames)
            pictures = [frame.to_ndarray(format="rgb24")[::every, ::every] for frame in decoded]
        samples = np.stack(pictures) / np.float32(255.0)
    axes = [
        Axis(name, extent) for name, extent in zip((AxisName.TIME, AxisName.Y, AxisName.X), samples.shape, strict=False)
    ]
    points = on_grid(axes, samples)
    return Task("video", path.name if path else GENERATED, points, points, nyquist_frequencies(axes))


def torus(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True inside a torus around the first axis, at ``[N, 3]``."""
    around = np.hypot(points[:, 1], points[:, 2]) - 0.65
    return around**2 + points[:, 0] ** 2 < 0.3**2


def mesh_solid(path: Path) -> tuple[Callable[[NDArray[np.float64]], NDArray[np.bool_]], NDArray[np.float64]]:
    """True inside a mesh at points ``[N, 3]`` (z, y, x; longest axis −1..1), and the mesh's size per axis.

    Inside is where the winding number exceeds ½ (Barill et al., "Fast Winding Numbers for Soups
    and Clouds", 2018).
    """
    import igl
    import trimesh

    mesh = trimesh.load(path, force="mesh", process=False)
    low, high = mesh.bounds[:, ::-1]
    centre, radius = (low + high) / 2.0, (high - low).max() / 2.0
    vertices = np.ascontiguousarray((np.asarray(mesh.vertices)[:, ::-1] - centre) / radius)
    faces = np.ascontiguousarray(mesh.faces)[:, ::-1].copy()  # reversing the axes turns the surface inside out

    def inside(points: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(igl.fast_winding_number(vertices, faces, points)) > 0.5

    return inside, (high - low) / radius


def shape(path: Path | None = None, *, cells: int) -> Task:
    """Occupancy at the cell centres of a grid around a solid; the test is at the corners between cells.

    The longest axis has so many cells, and the grid a twentieth of room around the solid.
    """
    inside, size = (torus, np.array([0.6, 1.9, 1.9])) if path is None else mesh_solid(path)
    room = 1.05
    extents = np.maximum(2, np.ceil(cells * size / size.max())).astype(int)
    axes = [Axis(name, int(extent)) for name, extent in zip((AxisName.Z, AxisName.Y, AxisName.X), extents, strict=True)]

    def points(shift: float) -> Points:
        x = coordinates(axes, shift=shift)
        occupied = inside(x.numpy() * room * size.max() / 2.0)
        return Points(x, torch.from_numpy(occupied.astype(np.float32)[:, np.newaxis]))

    name = path.name if path else GENERATED
    return Task("shape", name, points(0.0), points(0.5), nyquist_frequencies(axes), Metric.IOU)
