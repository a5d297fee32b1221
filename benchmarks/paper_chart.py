"""Draw the rows of ``paper.py``: a panel per task, a group per filter and size, a mark per network.

Marks are means over seeds, bars their range.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from paper_settings import Family
from paper_table import Line, Summary, summaries
from tasks import Metric

_LABELS = {Metric.PSNR: "PSNR in dB", Metric.IOU: "IoU"}
_MARKS = {
    Family.IMPLICIT: ("o", "#c1272d"),
    Family.NO_RECURRENCE: ("s", "#0071bc"),
    Family.EXPLICIT: ("D", "#5c8a3a"),
    Family.UNROLLED: ("^", "#8a6db1"),
}
_SPREAD = 0.18  # between the networks of a group, of the distance between groups


def draw_panel(axes: Axes, found: Mapping[Line, Mapping[Family, Summary]], families: Sequence[Family]) -> None:
    """One task: its lines along x."""
    lines = sorted(found, key=lambda line: (["siren", "fourier", "gabor"].index(line.filter), line.layers, line.width))
    for number, family in enumerate(families):
        shift = (number - (len(families) - 1) / 2.0) * _SPREAD
        chosen = [(place, found[line][family]) for place, line in enumerate(lines) if family in found[line]]
        means = [summary.mean for _, summary in chosen]
        below = [summary.mean - min(summary.scores) for _, summary in chosen]
        above = [max(summary.scores) - summary.mean for _, summary in chosen]
        mark, colour = _MARKS[family]
        places = [place + shift for place, _ in chosen]
        axes.errorbar(
            places, means, yerr=[below, above], fmt=mark, color=colour, markersize=5, capsize=3, label=family.value
        )
    axes.set_xticks(range(len(lines)), [f"{line.filter}\n{line.layers} × {line.width}" for line in lines], fontsize=8)
    for place in range(1, len(lines)):
        axes.axvline(place - 0.5, color="#d0d0d0", linewidth=0.8)
    axes.set_xlim(-0.5, len(lines) - 0.5)
    axes.set_title(f"{lines[0].task} ({lines[0].signal})", fontsize=10)
    axes.set_ylabel(_LABELS[lines[0].metric])
    axes.grid(axis="y", alpha=0.3)


def draw(rows: Sequence[Mapping[str, Any]], destination: Path) -> None:
    """Write the chart as a PNG."""
    found = summaries(rows)
    tasks = list(dict.fromkeys(line.task for line in found))
    families = [family for family in Family if any(family in networks for networks in found.values())]
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(11.0, 2.6 * len(tasks)), layout="constrained", dpi=110)
        panels = figure.subplots(len(tasks), 1, squeeze=False)[:, 0]
        for axes, task in zip(panels, tasks, strict=True):
            draw_panel(axes, {line: networks for line, networks in found.items() if line.task == task}, families)
        figure.legend(*panels[0].get_legend_handles_labels(), ncols=len(families), loc="outside upper center")
        destination.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(destination)


@click.command(help=__doc__)
@click.argument("rows", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="PNG; by default beside the rows.")
def main(rows: Path, out: Path | None) -> None:
    draw(json.loads(rows.read_text()), out or rows.with_suffix(".png"))


if __name__ == "__main__":
    main()
