"""One network for two seconds of sound: signal-to-noise ratio before quantisation, and lengths at other rates.

    python benchmarks/sound.py cello.wav --start 1

The coordinate field with siren filters and one layer of 256, fitted on random batches of 8192
samples, without segments and without quantisation. ``lengths`` are the samples that a decode of
that field has at each rate; all must last as long as the source to within one sample.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import click
import numpy as np
import torch
from common import HERE, device_name, report

from i2codec.entropy.quantiser import quantise, storable_step
from i2codec.field.architecture import Architecture, Filter
from i2codec.field.contraction import proved_state_scale
from i2codec.field.module import to_arrays
from i2codec.fit.checkpoint import Checkpoint
from i2codec.fit.effort import Effort
from i2codec.fit.field_fit import FieldFit
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import Phase, Preset
from i2codec.fit.progress import Progress, Reporter
from i2codec.fit.quantisation import StepSearch
from i2codec.media.sound import open_sound
from i2codec.payload.file import StoredSignal
from i2codec.payload.network_section import QuantisedNetwork
from i2codec.render.render import render_signal
from i2codec.signal.colour import ColourTransform
from i2codec.signal.metrics import psnr_db
from i2codec.signal.signal import Signal

RATES = (22050, 44100, 96000)
_FINE = 2.0**-22  # quantisation step over a tensor's largest value, so that the stored field is the fitted one
_LEAST_STEP = 2.0**-20


@click.command(help=__doc__)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--start", default=0.0, show_default=True, help="Second to begin at.")
@click.option("--duration", default=2.0, show_default=True, help="Seconds to fit.")
@click.option("--steps", default=2000, show_default=True)
@click.option("--width", default=256, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=HERE / "results" / "sound_cpu.json")
def main(
    file: Path, start: float, duration: float, steps: int, width: int, device: str, threads: int, out: Path
) -> None:
    torch.set_num_threads(threads)
    signal = excerpt(file, start=start, duration=duration)
    points = TrainingPoints.of_signal(signal, device=device)
    power = float(np.mean(signal.samples.astype(np.float64) ** 2))
    fit = FieldFit(
        description=signal.description,
        points=points,
        preset=Preset("fit", steps=steps, phases=(Phase("fit", 1.0, 1.0, 0.02, quantised=False),)),
        seed=0,
        reference_power=power,
        effort=Effort(steps),
        overhead_bytes=0,
        reporter=Reporter(_show),
        checkpoint=Checkpoint(),
    )
    architecture = Architecture(Filter.SIREN, width, 1, 1, len(signal.description.channels))
    field = fit.start(architecture)
    begin = time.perf_counter()
    fit.fit(field, stage="main", share=1.0)
    fit_s = time.perf_counter() - begin
    distortion = StepSearch(field, points, sample_points=points.count).float_distortion
    stored = as_stored(signal, field)
    lengths = {rate: len(render_signal(stored, rate=Fraction(rate), device="cpu").samples) for rate in RATES}
    decoded = render_signal(stored, device="cpu").samples
    error = float(np.mean((decoded.astype(np.float64) - signal.samples) ** 2))
    row = report(
        signal=file.name,
        start_s=start,
        duration_s=signal.description.duration_s,
        samples=points.count,
        width=width,
        parameters=architecture.parameter_count,
        steps=steps,
        batch_points=fit.preset.batch_points,
        snr_db=psnr_db(distortion / power),
        decoded_snr_db=psnr_db(error / power),
        lengths=lengths,
        duration_error_samples={
            rate: abs(length - signal.description.duration_s * rate) for rate, length in lengths.items()
        },
        fit_s=fit_s,
        device=device_name(device),
        threads=threads,
        torch=torch.__version__,
    )
    out.write_text(json.dumps([row], indent=1) + "\n")


def excerpt(file: Path, *, start: float, duration: float) -> Signal:
    """A part of a sound file."""
    reader = open_sound(file, keep_metadata=False)
    rate = 1 / reader.description.axes[0].step
    reader.read(round(start * rate))
    samples = reader.read(round(duration * rate))
    reader.close()
    return Signal(reader.description.with_length(len(samples)), samples)


def as_stored(signal: Signal, field: torch.nn.Module) -> StoredSignal:
    """The fitted field on steps too fine to matter, so that the decoder's own path renders it."""
    arrays = to_arrays(dict(field.tensors.items()))
    largest = {name: float(np.abs(array).max()) for name, array in arrays.items()}
    sizes = {name: storable_step(max(value * _FINE, _LEAST_STEP)) for name, value in largest.items()}
    integers = {name: quantise(array, step=sizes[name]) for name, array in arrays.items()}
    network = QuantisedNetwork(field.architecture, integers, sizes, 0.0, 8, ColourTransform.NONE)
    scale = proved_state_scale(field.architecture, network.dequantised().tensors)
    return StoredSignal(signal.description, (replace(network, state_scale=scale),))


def _show(progress: Progress) -> None:
    if progress.step % 100 < 3:
        click.echo(f"step {progress.step}: {progress.psnr_db:.2f} dB in the batch", err=True)


if __name__ == "__main__":
    main()
