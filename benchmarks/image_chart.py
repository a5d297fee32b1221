"""Draw the rows of ``image_rd.py``: rate against PSNR, means over the pictures; beside it published averages.

Dashed among measured curves: published figures of the same photos.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
from image_curves import HIGHEST_BPP, Point, front
from image_rows import Row, key_of
from image_summary import OURS, by_place
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

_COLOURS = {
    "jpeg": "#8c8c8c",
    "jpeg2000": "#b08a3e",
    "webp": "#5c8a3a",
    "jpegxl": "#8a6db1",
    "avif": "#0071bc",
    "Cool-chic 5.0": "#111111",
    "COIN": "#d98324",
    "BPG 4:4:4": "#3aa6a0",
    "VTM": "#0a4a7a",
    "Cheng 2020": "#b0539a",
}
_OUR_COLOURS = ("#c1272d", "#e8668b", "#7a1020", "#ff9a76")
_FEW = 12  # curves of no more points have a mark at each
_RATES = (0.02, HIGHEST_BPP)


def mean_curves(rows: Iterable[Row]) -> dict[str, list[Point]]:
    """By codec, of each setting that every picture was measured with, the mean rate and mean PSNR; then the front."""
    grouped = by_place(rows)
    found: dict[str, dict[str, list[Row]]] = {}
    for row in itertools.chain.from_iterable(rows for codecs in grouped.values() for rows in codecs.values()):
        if row["psnr_db"] is not None:
            found.setdefault(row["codec"], {}).setdefault(key_of(row)[-1], []).append(row)
    curves = {
        name: front(_mean(rows) for rows in settings.values() if len(rows) == len(grouped))
        for name, settings in found.items()
    }
    return {name: curve for name, curve in curves.items() if curve}


def _mean(rows: Sequence[Row]) -> Point:
    decibels = statistics.fmean(row["psnr_db"] for row in rows)
    return Point(statistics.fmean(row["rate_bpp"] for row in rows), 10.0 ** (-decibels / 10.0))


def draw(
    curves: Mapping[str, Sequence[Point]], published: Mapping[str, Sequence[Point]], destination: Path, *, title: str
) -> None:
    """Write the chart as a PNG; without published curves it has one panel."""
    with matplotlib.rc_context({"font.size": 9}):
        count = 2 if published else 1
        figure = Figure(figsize=(6.4 * count, 5.6), layout="constrained", dpi=110)
        panels = figure.subplots(1, count, squeeze=False, sharex=True, sharey=True)[0]
        draw_panel(panels[0], curves, title, dashed=published)
        if published:
            draw_panel(panels[1], published, "average of all 24 Kodak photos, published")
        destination.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(destination)


def draw_panel(axes: Axes, curves: Mapping[str, Sequence[Point]], title: str, *, dashed: Collection[str] = ()) -> None:
    """One curve for each codec."""
    ours = itertools.cycle(_OUR_COLOURS)
    for name, curve in curves.items():
        shown = [point for point in sorted(curve) if _RATES[0] <= point.rate_bpp <= _RATES[1]]
        is_ours = name.startswith(OURS)
        axes.plot(
            [point.rate_bpp for point in shown],
            [point.psnr_db for point in shown],
            label=name,
            color=next(ours) if is_ours else _COLOURS.get(name),
            linewidth=2.2 if is_ours else 1.4,
            linestyle="--" if name in dashed else "-",
            marker="o" if is_ours or len(shown) <= _FEW else None,
            markersize=5 if is_ours else 3.5,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(*_RATES)
    axes.set_xlabel("rate in bits per pixel")
    axes.set_ylabel("PSNR in dB")
    axes.yaxis.set_tick_params(labelleft=True)
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    if curves:
        axes.legend(loc="upper left", fontsize=8)
