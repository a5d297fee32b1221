"""Where does the recurrence of a pointwise layer pay? One layer, with and without, in different places.

A place is a signal, a filter, a size, a length of the fit and a start; in each the same tensors
are fitted with no recurrence (c = 0), with growing bounds on it, in two norms, with gradients
through one and three applications of F, and unrolled: three applications from zero, in the fit
and in the decoder, bounded and not. Beside them stands the explicit network of three hidden
layers and as many parameters (``twins.py``).

Rows hold PSNR solved from zero, how much a residual shrinks per step, and the multiplications
per point to decode: in one pass where there is no recurrence, in so many as are needed for a
relative residual of 10⁻³ else. ``--table FILE`` prints rows measured before.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import tasks
import torch
from common import HERE, Row, device_name, measured_ratio, report, transition_of, zero_state
from learners import Explicit, FixedPoint, Learner, Training, Unrolled, decode, fit, width_of
from paper import write_rows
from paper_settings import Family, Setting, initial_band, setting_of
from tasks import Task
from torch import Tensor
from twins import SinglePass, explicit_twin

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.field.solvers import Picard

SEEDS = 2
BATCH_POINTS = 2048
UNROLLED_STEPS = 3
DECODER_RESIDUAL = 1e-3
PHOTO_EVERY = 2
SOUND_S = 0.05


@dataclass(frozen=True)
class Place:
    """What is fitted, with how large a network, from which start and for how long.

    ``band`` is the reach of the initial frequencies, as a part of what ``paper.py`` starts with.
    """

    task: str = "image"
    filter: Filter = Filter.SIREN
    width: int = 64
    depth: int = 1
    steps: int = 300
    band: float = 1.0


@dataclass(frozen=True)
class Recurrence:
    """How the state returns; ``unrolled`` counts applications from zero, 0 is the fixed point."""

    name: str
    contraction: float = 0.0
    norm: Norm = Norm.SPECTRAL
    terms: int = 1
    unrolled: int = 0


PLACES = [
    Place(width=16),
    Place(width=32),
    Place(width=64),
    Place(width=128),
    Place(width=32, depth=2),
    Place(width=32, depth=4),
    Place(width=32, steps=3000),
    Place(band=0.25),
    Place(filter=Filter.FOURIER),
    Place("sound", width=16),
    Place("sound", width=64),
    Place("sound", width=32, steps=3000),
]
NONE = Recurrence("c = 0")
RECURRENCES = [
    NONE,
    Recurrence("c = 0.5", 0.5),
    Recurrence("c = 0.9", 0.9),
    Recurrence("c = 0.97", 0.97),
    Recurrence("sup, c = 0.97", 0.97, norm=Norm.SUP),
    Recurrence("c = 0.9, 3 terms", 0.9, terms=3),
    Recurrence("c = 0.97, 3 terms", 0.97, terms=3),
    Recurrence("c = 0.97, unrolled", 0.97, unrolled=UNROLLED_STEPS),
    Recurrence("unbounded, unrolled", norm=Norm.NONE, unrolled=UNROLLED_STEPS),
]
EXPLICIT = "explicit"


@dataclass(frozen=True)
class Study:
    """One place with one seed: the fits that start from the same tensors."""

    place: Place
    task: Task
    seed: int

    def setting(self, recurrence: Recurrence | None) -> Setting:
        """Rate and band: those of the implicit field, or of explicit layers where nothing bounds them."""
        explicit = recurrence is None or recurrence.norm is Norm.NONE
        family = Family.EXPLICIT if explicit else Family.IMPLICIT
        return setting_of(family, self.place.filter, layers=self.place.depth)

    def frequencies(self, recurrence: Recurrence | None) -> list[float]:
        """Highest initial frequency per axis."""
        share = self.architecture(NONE).parameter_count / self.task.train.count
        band = initial_band(self.place.task, parameters_per_point=share, axes=len(self.task.nyquist))
        band *= self.setting(recurrence).band * self.place.band
        return [min(1.0, band) * highest for highest in self.task.nyquist]

    def architecture(self, recurrence: Recurrence) -> Architecture:
        place, points = self.place, self.task.train
        sizes = place.width, place.depth, points.x.shape[1], points.targets.shape[1]
        return Architecture(place.filter, *sizes, norm=recurrence.norm, contraction=recurrence.contraction)

    def learner(self, recurrence: Recurrence | None) -> Learner:
        """A fresh network; ``None`` is the explicit one."""
        generator, frequencies = torch.Generator().manual_seed(self.seed), self.frequencies(recurrence)
        if recurrence is None:
            return Explicit(explicit_twin(self.architecture(NONE), frequencies=frequencies, generator=generator))
        architecture = self.architecture(recurrence)
        tensors = initial_tensors(architecture, frequencies=frequencies, generator=generator)
        if recurrence is NONE:
            return Explicit(SinglePass(architecture, tensors))
        network = ImplicitField(architecture, tensors, steps=64)
        if recurrence.unrolled:
            return Unrolled(network, steps=recurrence.unrolled)
        return FixedPoint(network, terms=recurrence.terms)

    def measure(self, recurrence: Recurrence | None, device: str) -> Row:
        """Fit a network and measure it."""
        place, points, learner = self.place, self.task.train, self.learner(recurrence)
        learner.tensors.to(device)
        rate = self.setting(recurrence).rate / math.sqrt(width_of(learner))
        seconds = fit(learner, points, Training(place.steps, rate, BATCH_POINTS), seed=self.seed)
        applications = 1
        if recurrence is not None and isinstance(learner, FixedPoint):
            applications = recurrence.unrolled or decoder_steps(learner.field, points.x)
        return report(
            task=place.task,
            signal=self.task.signal,
            filter=place.filter.name.lower(),
            width=place.width,
            depth=place.depth,
            steps=place.steps,
            band=place.band,
            seed=self.seed,
            network=recurrence.name if recurrence else EXPLICIT,
            parameters=sum(tensor.numel() for tensor in learner.tensors.values()),
            psnr_db=self.task.metric.score(decode(learner, points.x), points.targets),
            measured_ratio=measured_ratio(learner.field, points.x) if isinstance(learner, FixedPoint) else 0.0,
            applications=applications,
            macs_per_point=macs(learner.tensors, applications),
            seconds_per_step=seconds,
        )


def macs(tensors: Mapping[str, Tensor], applications: int) -> int:
    """Multiplications of matrices with vectors per point, as ``Architecture.macs_per_point``."""
    once = sum(tensor.numel() for name, tensor in tensors.items() if name.startswith(("U_", "mu_", "W")))
    return once + applications * sum(tensor.numel() for name, tensor in tensors.items() if name.startswith("A_"))


@torch.no_grad()
def decoder_steps(network: ImplicitField, x: Tensor) -> int:
    """Picard steps from zero to the decoder's residual, at most 64."""
    zero = zero_state(network, x)
    return Picard()(transition_of(network, x), zero, max_steps=64, tolerance=DECODER_RESIDUAL).steps


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: PSNR in dB, mean over seeds ± half the range, below it ratio and decoder's multiplications."""
    names = [recurrence.name for recurrence in RECURRENCES] + [EXPLICIT]
    header = ["place", *names]
    lines = [header, ["---"] * len(header)]
    for place in PLACES:
        cells = []
        for name in names:
            found = [row for row in rows if row["network"] == name and place_of(row) == place]
            if not found:
                cells.append("")
                continue
            scores = [row["psnr_db"] for row in found]
            spread = (max(scores) - min(scores)) / 2.0
            ratio = statistics.fmean(row["measured_ratio"] for row in found)
            cost = statistics.fmean(row["macs_per_point"] for row in found) / 1000.0
            cells.append(f"{statistics.fmean(scores):.2f} ± {spread:.2f}; {ratio:.2f}; {cost:.1f}k")
        lines.append([describe(place), *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def place_of(row: Mapping[str, Any]) -> Place:
    return Place(row["task"], Filter[row["filter"].upper()], row["width"], row["depth"], row["steps"], row["band"])


def describe(place: Place) -> str:
    start = "" if place.band == 1.0 else f", start at {place.band:g}"
    return f"{place.task}, {place.filter.name.lower()} {place.depth} × {place.width}, {place.steps} steps{start}"


@click.command(help=__doc__)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--sound", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON file to write.")
@click.option("--table", "measured", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(device: str, threads: int, sound: Path | None, out: Path | None, measured: Path | None) -> None:
    if measured is not None:
        click.echo(table(json.loads(measured.read_text())))
        return
    torch.set_num_threads(threads)
    where = {"device": device_name(device), "threads": threads, "torch": torch.__version__}
    out = out or HERE / "results" / f"recurrence_{device}.json"
    signals = {
        task.name: task.to(device) for task in (tasks.image(every=PHOTO_EVERY), tasks.sound(sound, length_s=SOUND_S))
    }
    rows: list[dict[str, Any]] = []
    for place, seed in itertools.product(PLACES, range(SEEDS)):
        study = Study(place, signals[place.task], seed)
        for recurrence in [*RECURRENCES, None]:
            rows.append({**study.measure(recurrence, device), **where})
            write_rows(out, rows)
    click.echo(table(rows))


if __name__ == "__main__":
    main()
