"""Find the learning rate and the initial frequencies of the networks of ``paper.py``.

A photo and a sound are fitted with every rate and band of a grid, by every family and filter that
is asked for, at one size. Rates and bands are as in ``paper_settings.py``, which has the best mean
PSNR over both signals. With ``--resume`` the rows of one file collect several sizes.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import tasks
import torch
from common import HERE, device_name
from paper import Fit, read_rows, write_rows
from paper_settings import Family, Setting

from i2codec.field.architecture import Filter

_FAMILIES = [family.value for family in Family]
STEPS, BATCH_POINTS, SOUND_S = 200, 2048, 0.5


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Mean PSNR in dB by network, rate and band, in Markdown; the best of a network is bold."""
    scores: dict[str, dict[tuple[float, float], list[float]]] = {}
    for row in rows:
        network = f"{row['family']}, {row['filter']}, {row['layers']} × {row['width']}"
        scores.setdefault(network, {}).setdefault((row["rate"], row["band"]), []).append(row["psnr_db"])
    columns = sorted({column for found in scores.values() for column in found})
    lines = [["network", *(f"{rate:g}, {band:g}" for rate, band in columns)], ["---"] * (len(columns) + 1)]
    for network, found in scores.items():
        means = {column: statistics.fmean(values) for column, values in found.items()}
        best = max(means.values())
        cells = ["" if column not in means else f"{means[column]:.2f}" for column in columns]
        lines.append([network, *(f"**{cell}**" if cell == f"{best:.2f}" else cell for cell in cells)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@click.command(help=__doc__)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--sound", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--layers", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--width", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--family", "families", multiple=True, type=click.Choice(_FAMILIES), default=_FAMILIES[:3])
@click.option("--filter", "filters", multiple=True, type=click.Choice([f.name.lower() for f in Filter]), required=True)
@click.option("--rate", "rates", multiple=True, type=float, default=(0.12, 0.24, 0.48, 0.96), show_default=True)
@click.option("--band", "bands", multiple=True, type=float, default=(0.5, 0.71, 1.0, 1.41, 2.0), show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON file to write.")
@click.option("--resume", is_flag=True, help="Keep the rows that --out has, and measure the others.")
def main(
    device: str,
    threads: int,
    sound: Path | None,
    layers: int,
    width: int,
    families: Sequence[str],
    filters: Sequence[str],
    rates: Sequence[float],
    bands: Sequence[float],
    out: Path | None,
    resume: bool,
) -> None:
    torch.set_num_threads(threads)
    where = {"device": device_name(device), "threads": threads, "torch": torch.__version__}
    out = out or HERE / "results" / f"paper_sweep_{device}.json"
    signals = [task.to(device) for task in (tasks.image(), tasks.sound(sound, length_s=SOUND_S))]
    rows = read_rows(out) if resume else []
    for task, family, name, rate, band in itertools.product(signals, families, filters, rates, bands):
        setting = Setting(rate, band)
        one = Fit(task, Filter[name.upper()], Family(family), layers, width, 0, STEPS, BATCH_POINTS, setting)
        if one.among(rows) is None:
            rows.append({**one.measure(device), **where})
            write_rows(out, rows)
    click.echo(sweep_table(rows))


if __name__ == "__main__":
    main()
