"""Print the rows of ``paper.py`` as a table in Markdown: one line per task, filter and size.

Figures are the mean over seeds ± half the range, with the initial frequencies that were best for
the network with the first seed. The best of a line is bold; "gain" is the
implicit field's lead over the best of the others. Then come the counts of lines won.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from paper_settings import Family
from tasks import Metric

_UNITS = {Metric.PSNR: "dB", Metric.IOU: "IoU"}
_DIGITS = {Metric.PSNR: 2, Metric.IOU: 3}


@dataclass(frozen=True)
class Line:
    """One task, filter and size."""

    task: str
    signal: str
    filter: str
    layers: int
    width: int
    metric: Metric

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Line:
        metric = next(metric for metric in Metric if metric.value in row)
        return cls(row["task"], row["signal"], row["filter"], row["layers"], row["width"], metric)


@dataclass(frozen=True)
class Summary:
    """Fits of one network with several seeds."""

    scores: tuple[float, ...]
    parameters: int
    seconds_per_step: float
    peak_bytes: float
    measured_ratio: float | None

    @classmethod
    def of(cls, fits: Sequence[Mapping[str, Any]], metric: Metric) -> Summary:
        """Of fits that differ by seed and band; only the band that was best with the first has more seeds."""
        band = max(fits, key=lambda row: row[metric.value])["band"]
        rows = [row for row in fits if row["band"] == band]
        ratios = [row["measured_ratio"] for row in rows if row["measured_ratio"] is not None]
        return cls(
            tuple(row[metric.value] for row in rows),
            rows[0]["parameters"],
            statistics.fmean(row["seconds_per_step"] for row in rows),
            statistics.fmean(row["peak_bytes"] for row in rows),
            statistics.fmean(ratios) if ratios else None,
        )

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float:
        """Half the range over seeds."""
        return (max(self.scores) - min(self.scores)) / 2.0


def summaries(rows: Iterable[Mapping[str, Any]]) -> dict[Line, dict[Family, Summary]]:
    """By line and family, in the order of the rows."""
    grouped: dict[Line, dict[Family, list[Mapping[str, Any]]]] = {}
    for row in rows:
        grouped.setdefault(Line.of(row), {}).setdefault(Family(row["family"]), []).append(row)
    return {
        line: {family: Summary.of(found, line.metric) for family, found in families.items()}
        for line, families in grouped.items()
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table, and how many lines each family wins."""
    found = summaries(rows)
    families = [family for family in Family if any(family in networks for networks in found.values())]
    header = ["task", "filter", "size", "parameters", *families, "gain", "ratio", "ms/step", "MiB"]
    lines = [header, ["---"] * len(header)]
    lines += [cells(line, networks, families) for line, networks in found.items() if Family.IMPLICIT in networks]
    winners = Counter(max(networks, key=lambda family: networks[family].mean) for networks in found.values())
    counts = ", ".join(f"{family} {winners[family]}" for family in families)
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    where = sorted({f"{row['device']}, {row['threads']} thread(s), torch {row['torch']}" for row in rows})
    return f"{text}\n\nLines won: {counts} of {len(found)}. Measured on: {'; '.join(where)}."


def cells(line: Line, networks: Mapping[Family, Summary], families: Sequence[Family]) -> list[str]:
    """One line of the table; cost is that of implicit / explicit."""
    digits, implicit = _DIGITS[line.metric], networks[Family.IMPLICIT]
    best = max(networks.values(), key=lambda summary: summary.mean)
    others = [summary.mean for family, summary in networks.items() if family is not Family.IMPLICIT]
    costs = [networks[family] for family in (Family.IMPLICIT, Family.EXPLICIT) if family in networks]

    def score(family: Family) -> str:
        if family not in networks:
            return ""
        summary = networks[family]
        text = f"{summary.mean:.{digits}f} ± {summary.spread:.{digits}f}"
        return f"**{text}**" if summary is best else text

    return [
        f"{line.task}, {_UNITS[line.metric]} ({line.signal})",
        line.filter,
        f"{line.layers} × {line.width}",
        " / ".join(f"{cost.parameters:,}" for cost in costs),
        *(score(family) for family in families),
        f"{implicit.mean - max(others):+.{digits}f}" if others else "",
        f"{implicit.measured_ratio:.2f}",
        " / ".join(f"{1e3 * cost.seconds_per_step:.0f}" for cost in costs),
        " / ".join(f"{cost.peak_bytes / 2**20:.1f}" for cost in costs),
    ]


@click.command(help=__doc__)
@click.argument("rows", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(rows: Path) -> None:
    click.echo(table(json.loads(rows.read_text())))


if __name__ == "__main__":
    main()
