"""The tasks of the paper, fitted by the implicit layer and by its explicit twins.

Huang, Bai, Kolter, "(Implicit)²: Implicit Layers for Implicit Representations", NeurIPS 2021,
section 4: image, sound, video, solid, and the prediction of pixels left out of an image, each
with three filters and three sizes. Families:

- implicit: the codec's field, spectral norm, c = 0.9, one-step gradient, solved from zero to be
  measured;
- no recurrence: the same tensors, F applied once to zero. This is the explicit network of the
  authors' code (github.com/locuslab/ImpSq, ``one_pass``), but for its bound on the weights;
- explicit: the networks of Sitzmann et al. 2020 and Fathony et al. 2021, of three hidden layers
  and as many parameters, see ``twins.py``;
- unrolled: the implicit layer applied three times to zero and stopped there.

All fits of a task take the same steps on the same batches with the same loss and optimiser. The
reach of the initial frequencies matters more than anything else, and the best differs by signal
and size. So with the first seed every network is fitted with all ``bands``, and the best goes on
with the other seeds: best by the figure that is reported, for all networks alike.

``peak_bytes`` is, on an accelerator, the most memory allocated during the fit; on the CPU what
autograd keeps for the backward pass of one step, which no other process can disturb.

Rows are written as they come; ``--resume`` keeps those that the file has. Without files the
signals are generated. ``paper_table.py`` and ``paper_chart.py`` show the rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import tasks
import torch
from common import HERE, Row, device_name, measured_ratio, report
from learners import Explicit, FixedPoint, Learner, Training, Unrolled, decode, fit, saved_bytes, width_of
from paper_chart import draw
from paper_settings import Family, Setting, initial_band, setting_of
from tasks import Task
from twins import SinglePass, explicit_twin

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.module import ImplicitField, initial_tensors

CONTRACTION = 0.9
DECODER_STEPS = 64
TASKS = ("image", "generalisation", "sound", "video", "shape")
UNROLLED_STEPS = 3
_RATIO_POINTS = 1024


@dataclass(frozen=True)
class Scale:
    """How large the networks and the signals are.

    Parameters
    ----------
    sizes:
        Layers and width of the implicit fields.
    families:
        Networks that are fitted.
    bands:
        Initial frequencies that are tried, as multiples of what ``setting_of`` has.
    seeds, steps, batch_points:
        Fits of each network, optimiser steps of each, points per step.
    image_every, sound_s, video_frames, video_every, shape_cells:
        Extent of the signals: every so many pixels, seconds from the first one on, frames, every
        so many pixels of a frame, cells along the longest axis.
    """

    sizes: tuple[tuple[int, int], ...]
    families: tuple[Family, ...]
    bands: tuple[float, ...]
    seeds: int
    steps: int
    batch_points: int
    image_every: int
    sound_s: float
    video_frames: int
    video_every: int
    shape_cells: int


SCALES = {
    "subset": Scale(((1, 16),), tuple(Family), (1.0,), 1, 60, 512, 4, 0.05, 4, 4, 16),
    "small": Scale(
        ((1, 64), (1, 128), (4, 64)),
        (Family.IMPLICIT, Family.NO_RECURRENCE, Family.EXPLICIT),
        (0.5, 1.0, 2.0),
        2,
        300,
        2048,
        1,
        0.5,
        8,
        2,
        64,
    ),
    "paper": Scale(((1, 256), (1, 512), (4, 256)), tuple(Family), (0.5, 1.0, 2.0), 3, 2000, 65536, 1, 2.0, 100, 1, 128),
}


@dataclass(frozen=True)
class Files:
    """Signals to fit; None is the repository's photo, or a generated signal."""

    image: Path | None = None
    sound: Path | None = None
    video: Path | None = None
    shape: Path | None = None


def tasks_at(scale: Scale, files: Files) -> list[Task]:
    """The five tasks, in the order of the paper."""
    return [
        tasks.image(files.image, every=scale.image_every),
        tasks.generalisation(files.image, every=scale.image_every),
        tasks.sound(files.sound, length_s=scale.sound_s),
        tasks.video(files.video, frames=scale.video_frames, every=scale.video_every),
        tasks.shape(files.shape, cells=scale.shape_cells),
    ]


def learner_for(family: Family, architecture: Architecture, *, frequencies: Sequence[float], seed: int) -> Learner:
    """A fresh network; those with the tensors of the implicit field start from the same ones."""
    generator = torch.Generator().manual_seed(seed)
    if family is Family.EXPLICIT:
        return Explicit(explicit_twin(architecture, frequencies=frequencies, generator=generator))
    tensors = initial_tensors(architecture, frequencies=frequencies, generator=generator)
    match family:
        case Family.NO_RECURRENCE:
            return Explicit(SinglePass(architecture, tensors))
        case Family.UNROLLED:
            return Unrolled(ImplicitField(architecture, tensors, steps=UNROLLED_STEPS), steps=UNROLLED_STEPS)
        case _:
            return FixedPoint(ImplicitField(architecture, tensors, steps=DECODER_STEPS))


@dataclass(frozen=True)
class Fit:
    """One fit of the benchmark; its ``key`` names it among the rows of a file."""

    task: Task
    filter: Filter
    family: Family
    layers: int
    width: int
    seed: int
    steps: int
    batch_points: int
    setting: Setting

    @property
    def key(self) -> dict[str, Any]:
        return {
            "task": self.task.name,
            "signal": self.task.signal,
            "filter": self.filter.name.lower(),
            "family": self.family.value,
            "layers": self.layers,
            "width": self.width,
            "seed": self.seed,
            "steps": self.steps,
            "rate": self.setting.rate,
            "band": self.setting.band,
        }

    def among(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Its row, if it was measured."""
        return next((row for row in rows if self.key.items() <= row.items()), None)

    def measure(self, device: str) -> Row:
        """Fit and measure."""
        task, points = self.task, self.task.train
        architecture = Architecture(
            self.filter,
            self.width,
            self.layers,
            axis_count=points.x.shape[1],
            channel_count=points.targets.shape[1],
            contraction=CONTRACTION,
        )
        band = initial_band(
            task.name, parameters_per_point=architecture.parameter_count / points.count, axes=len(task.nyquist)
        )
        frequencies = [min(1.0, self.setting.band * band) * highest for highest in task.nyquist]
        learner = learner_for(self.family, architecture, frequencies=frequencies, seed=self.seed)
        learner.tensors.to(device)
        training = Training(self.steps, self.setting.rate / math.sqrt(width_of(learner)), self.batch_points)
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = fit(learner, points, training, seed=self.seed)
        if device == "cpu":
            batch, _ = next(training.batches(points, seed=self.seed))
            memory = saved_bytes(learner, batch)
        else:
            memory = torch.cuda.max_memory_allocated(device)
        measured_on = [points, task.test] if task.generalises else [points]
        scores = [task.metric.score(decode(learner, part.x), part.targets) for part in measured_on]
        recurrent = isinstance(learner, FixedPoint)
        sample = points.x[:: max(1, points.count // _RATIO_POINTS)]
        return report(
            **self.key,
            parameters=sum(tensor.numel() for tensor in learner.tensors.values()),
            network_width=width_of(learner),
            **{task.metric.value: scores[-1], f"training_{task.metric.value}": scores[0]},
            measured_ratio=measured_ratio(learner.field, sample) if recurrent else None,
            seconds_per_step=seconds,
            peak_bytes=memory,
            highest_initial_frequency=max(frequencies),
        )


def fits(
    scale: Scale, chosen: Sequence[Task], filters: Sequence[Filter], rows: Sequence[Mapping[str, Any]]
) -> Iterator[Fit]:
    """All fits; those of later seeds follow from the ``rows`` of the first, which come in meanwhile."""
    networks = [
        (task, filter, family, layers, width)
        for task in chosen
        for layers, width in scale.sizes
        for filter in filters
        for family in scale.families
    ]
    for seed in range(scale.seeds):
        for task, filter, family, layers, width in networks:
            setting = setting_of(family, filter, layers=layers)
            candidates = [
                Fit(task, filter, family, layers, width, 0, scale.steps, scale.batch_points, setting.times(band))
                for band in scale.bands
            ]
            if seed == 0:
                yield from candidates
            else:
                yield replace(max(candidates, key=lambda one: score_of(one, rows)), seed=seed)


def score_of(one: Fit, rows: Sequence[Mapping[str, Any]]) -> float:
    """What was measured of a fit."""
    row = one.among(rows)
    assert row is not None  # seeds come in order
    return float(row[one.task.metric.value])


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a file; none if there is no file yet."""
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the file at once, so that an interruption leaves the last one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(list(rows), indent=1) + "\n")
    unfinished.replace(path)


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(help=__doc__)
@click.option("--scale", "scale_name", type=click.Choice(list(SCALES)), default="small", show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--image", type=_FILE)
@click.option("--sound", type=_FILE)
@click.option("--video", type=_FILE)
@click.option("--shape", type=_FILE)
@click.option("--task", "task_names", multiple=True, type=click.Choice(TASKS), help="Only these; else all.")
@click.option("--filter", "filter_names", multiple=True, type=click.Choice([f.name.lower() for f in Filter]))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON file to write.")
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), help="PNG to draw; by default beside --out.")
@click.option("--resume", is_flag=True, help="Keep the rows that --out has, and measure the others.")
def main(
    scale_name: str,
    device: str,
    threads: int,
    image: Path | None,
    sound: Path | None,
    video: Path | None,
    shape: Path | None,
    task_names: Sequence[str],
    filter_names: Sequence[str],
    out: Path | None,
    chart: Path | None,
    resume: bool,
) -> None:
    torch.set_num_threads(threads)
    scale, out = SCALES[scale_name], out or HERE / "results" / f"paper_{scale_name}_{device}.json"
    where = {"device": device_name(device), "threads": threads, "torch": torch.__version__}
    chosen = [
        task.to(device)
        for task in tasks_at(scale, Files(image, sound, video, shape))
        if not task_names or task.name in task_names
    ]
    filters = [Filter[name.upper()] for name in filter_names] or list(Filter)
    rows = read_rows(out) if resume else []
    for one in fits(scale, chosen, filters, rows):
        if one.among(rows) is None:
            rows.append({**one.measure(device), **where})
            write_rows(out, rows)
    draw(rows, chart or out.with_suffix(".png"))
    click.echo(f"{len(rows)} rows in {out}")


if __name__ == "__main__":
    main()
