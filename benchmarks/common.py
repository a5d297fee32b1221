"""What the benchmarks share: where they run, the photo they fit, a plain fit, and rows of JSON."""

from __future__ import annotations

import copy
import functools
import json
import math
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from i2codec.field.gradients import Gradient
from i2codec.field.module import ImplicitField
from i2codec.field.solvers import Picard
from i2codec.signal.description import Axis, AxisName
from i2codec.signal.grid import grid_coordinates, half_extents, nyquist_frequencies, sample_centres
from i2codec.signal.metrics import psnr_db

HERE = Path(__file__).parent
Row = Mapping[str, object]


def device_name(device: str) -> str:
    """The processor or accelerator that ``device`` runs on."""
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def command(name: str) -> Callable[[Callable[[str], Sequence[Row]]], click.Command]:
    """Make a command of a function from a device to rows: it prints them and writes them as JSON."""

    def decorate(measure: Callable[[str], Sequence[Row]]) -> click.Command:
        @click.command(help=sys.modules[measure.__module__].__doc__)
        @click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
        @click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
        @click.option(
            "--out", type=click.Path(dir_okay=False, path_type=Path), default=None, help="JSON file to write."
        )
        @functools.wraps(measure)
        def run(device: str, threads: int, out: Path | None) -> None:
            torch.set_num_threads(threads)
            where = {"device": device_name(device), "threads": threads, "torch": torch.__version__}
            rows = [{**row, **where} for row in measure(device)]
            destination = out or HERE / "results" / f"{name}_{device}.json"
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_text(json.dumps(rows, indent=1) + "\n")
            click.echo(f"{len(rows)} rows in {destination}")

        return run

    return decorate


def report(**row: Any) -> Row:
    """``row``, printed as soon as it is known."""
    click.echo(
        "  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
    )
    return row


@dataclass(frozen=True)
class Photo:
    """Coordinates ``[N, 2]`` in float64, samples ``[N, 1]`` in 0..1, and the Nyquist frequencies of the grid."""

    x: Tensor
    target: Tensor
    frequencies: tuple[float, ...]


def camera(device: str, *, every: int = 1) -> Photo:
    """The grey photo of 128 × 128 samples, or every so many of them."""
    samples = np.asarray(Image.open(HERE / "data" / "camera_128.png"))[::every, ::every]
    axes = [Axis(name, extent) for name, extent in zip((AxisName.Y, AxisName.X), samples.shape, strict=True)]
    centres = [
        sample_centres(np.arange(axis.extent), count=axis.extent, half_extent=half)
        for axis, half in zip(axes, half_extents(axes), strict=True)
    ]
    x = torch.from_numpy(grid_coordinates(centres)).to(device)
    target = torch.from_numpy(samples.reshape(-1, 1) / np.float32(255.0)).to(device)
    return Photo(x, target, nyquist_frequencies(axes))


def psnr(output: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of values in 0..1."""
    return psnr_db(float((output.double() - target.double()).square().mean()))


def transition_of(field: ImplicitField, x: Tensor) -> Callable[[Tensor], Tensor]:
    """F( · ; x) with its graph."""
    return functools.partial(field.layer, injection=field.inject(x), scale=field.state_scale())


def zero_state(field: ImplicitField, x: Tensor) -> Tensor:
    """z = 0 at coordinates ``[N, d]``."""
    weight = field.tensors["A_1"]
    return torch.zeros(len(x), field.architecture.width, dtype=weight.dtype, device=weight.device)


def fit(
    field: ImplicitField,
    photo: Photo,
    gradient: Gradient,
    *,
    steps: int,
    reuse: bool = True,
    learning_rate: float = 1e-3,
) -> tuple[Tensor, float]:
    """Full-batch Adam; the state of a step starts the next one. Gives the last state and seconds per step."""
    optimiser = torch.optim.Adam(field.parameters(), lr=learning_rate)
    zero = zero_state(field, photo.x)
    state = zero
    begin = time.perf_counter()
    for _ in range(steps):
        state = gradient(transition_of(field, photo.x), state if reuse else zero)
        loss = torch.nn.functional.mse_loss(field.read_out(state), photo.target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    final = float(loss.detach())  # waits for the device
    if not math.isfinite(final):
        raise click.ClickException(f"the fit diverged to a loss of {final}")
    return state.detach(), (time.perf_counter() - begin) / steps


@torch.no_grad()
def measured_ratio(field: ImplicitField, x: Tensor, *, max_steps: int = 64, floor: float = 1e-10) -> float:
    """How much the residual of Picard from zero shrinks per step, in float64: the geometric mean after the first.

    Residuals under ``floor`` are left out; 0 where none is left.
    """
    wide = copy.deepcopy(field).double()
    residuals = Picard()(transition_of(wide, x), zero_state(wide, x), max_steps=max_steps, tolerance=0.0).residuals
    above = residuals[1:][residuals[1:] > floor]
    return float((above[-1] / above[0]) ** (1.0 / (len(above) - 1))) if len(above) > 1 else 0.0


def peak_bytes(device: str) -> int:
    """Most memory that this process has held, on the device it computes on."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
