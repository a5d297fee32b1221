"""Rate and distortion of photos: i2codec beside JPEG, JPEG 2000, WebP, JPEG XL and AVIF.

    python benchmarks/image_rd.py --suite smoke --photos kodak --peers-only --quality-step 4
    python benchmarks/image_rd.py --suite kodak --photos kodak
    python benchmarks/image_rd.py --suite kodak --photos kodak --codec i2codec-medium

Suites: ``ci`` (a crop of a photo of the repository, seconds), ``smoke`` (three crops of 256 × 256,
minutes) and ``kodak`` (all photos of the folder, whole; hours, most of them AVIF's).

Every picture is encoded into a file and decoded to 8 bits; size is that of the file on disk, all on
one thread but for i2codec's ``--threads``. Peers are run with all their qualities; i2codec once for
every λ. J = 1000 · (MSE + λ · bits per pixel), MSE over RGB in 0..1; peers count with the best of
their settings at each λ, AVIF and JPEG with the better of 4:4:4 and 4:2:0.

Each row is added to a file of JSON lines as soon as it is measured, and rows found there are not
measured again, unless ``--again`` says so: any choice of codecs and qualities completes the others.
All rows of the suite then make the result beside it: least J, ratios, BD-rates on the convex hulls
up to 4 bits per pixel, and a chart. Published figures of Cool-chic join where whole Kodak photos are measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import click
import torch
from common import HERE, report
from image_chart import draw, mean_curves
from image_curves import cost, published_averages, published_rows
from image_ours import DEFAULT, VARIANTS, variants
from image_peers import PEERS, Codec, Peer
from image_rows import Row, RowFile, key_of, measure, unmeasured
from image_suites import SUITES, Picture, pictures_of
from image_summary import as_json, bd_table, by_place, cost_table, summarise

LMBDAS = (0.0004, 0.001, 0.004, 0.02)
_PEER_NAMES = tuple(peer.name for peer in PEERS)


def measure_missing(
    file: RowFile, pictures: Sequence[Picture], codecs: Sequence[Codec], *, step: int, again: bool
) -> None:
    """Measure what the file does not have, or everything."""
    for picture in pictures:
        for codec in codecs:
            for setting in codec.settings(step):
                if again or key_of(unmeasured(picture, codec.name, setting)) not in file.rows:
                    row = measure(picture, codec, setting)
                    file.append(row)
                    shown = ("size_bytes", "rate_bpp", "psnr_db", "encode_s", "decode_s")
                    values = {key: row[key] for key in shown}
                    report(picture=picture.title, codec=codec.name, **setting, **values)


def measure_near_best(
    file: RowFile, pictures: Sequence[Picture], codecs: Sequence[Codec], *, count: int, lmbdas: Sequence[float]
) -> None:
    """Measure ``count`` qualities on both sides of the best measured one of every sweep, for every λ."""
    for picture, codec in itertools.product(pictures, codecs):
        for sweep in codec.sweeps if isinstance(codec, Peer) else ():
            keys = [key_of(unmeasured(picture, codec.name, setting)) for setting in sweep]
            for lmbda in lmbdas:
                costs = [cost(file.rows[key], lmbda) if key in file.rows else math.inf for key in keys]
                best = costs.index(min(costs))
                for setting in sweep[max(0, best - count) : best + count + 1]:
                    if key_of(unmeasured(picture, codec.name, setting)) not in file.rows:
                        file.append(measure(picture, codec, setting))


def rows_of(file: RowFile, pictures: Sequence[Picture], codecs: Sequence[Codec]) -> list[Row]:
    """What the file has of these pictures with today's settings, picture by picture, and published rows of them."""
    keys = [
        key_of(unmeasured(picture, codec.name, setting))
        for picture in pictures
        for codec in codecs
        for setting in codec.settings()
    ]
    return [file.rows[key] for key in keys if key in file.rows] + published_rows(pictures)


def write_result(out: Path, chart: Path, *, suite: str, rows: Sequence[Row], lmbdas: Sequence[float]) -> None:
    """The result, its chart and, on the screen, its tables."""
    result = summarise(rows, lmbdas)
    measured = [row for row in rows if "device" in row]
    measured_on = sorted({(row["codec"], row["versions"], row["device"]) for row in measured})
    head = {"suite": suite, "lmbda": list(lmbdas)}
    on = [dict(zip(("codec", "versions", "device"), each, strict=True)) for each in measured_on]
    out.write_text(as_json({**head, "measured_on": on, **result}))
    count = len(by_place(rows))
    title = f"suite {suite}, {'one picture' if count == 1 else f'mean of {count} pictures'}"
    draw(mean_curves(rows), published_averages() if len(rows) > len(measured) else {}, chart, title=title)
    click.echo(f"\n{cost_table(result)}\n\n{bd_table(result)}\n\n{len(rows)} rows in {out} and {chart}")


@click.command(help=__doc__)
@click.option("--suite", type=click.Choice(list(SUITES)), default="smoke", show_default=True)
@click.option("--photos", type=click.Path(path_type=Path), metavar="FOLDER", help="Photos as PNG files.")
@click.option("--codec", "names", multiple=True, type=click.Choice([*_PEER_NAMES, *VARIANTS]), help="Only these.")
@click.option("--peers-only", is_flag=True, help="Without i2codec.")
@click.option("--lmbda", "lmbdas", multiple=True, type=click.FloatRange(min=0.0, min_open=True), default=LMBDAS)
@click.option(
    "--quality-step",
    type=click.IntRange(min=1),
    default=1,
    help="Every so many of the peers' qualities.",
)
@click.option(
    "--near-best", type=click.IntRange(min=0), default=0, help="And so many on both sides of the best for every λ."
)
@click.option("--again", is_flag=True, help="Measure what was measured before as well.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of i2codec.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON file to write; rows go to .jsonl.")
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), help="PNG to draw; by default beside --out.")
def main(
    suite: str,
    photos: Path | None,
    names: Sequence[str],
    peers_only: bool,
    lmbdas: Sequence[float],
    quality_step: int,
    near_best: int,
    again: bool,
    threads: int,
    out: Path | None,
    chart: Path | None,
) -> None:
    torch.set_num_threads(threads)
    pictures = pictures_of(suite, photos)
    out = out or HERE / "results" / f"image_rd_{suite}.json"
    file = RowFile(out.with_suffix(".jsonl"))
    codecs: list[Codec] = [*PEERS, *variants(lmbdas)]
    chosen = [codec for codec in codecs if codec.name in (names or (*_PEER_NAMES, DEFAULT))]
    if peers_only:
        chosen = [codec for codec in chosen if codec.name in _PEER_NAMES]
    if not chosen:
        raise click.ClickException("--peers-only leaves none of the codecs that --codec names")
    measure_missing(file, pictures, chosen, step=quality_step, again=again)
    measure_near_best(file, pictures, chosen, count=near_best, lmbdas=lmbdas)
    rows = rows_of(file, pictures, codecs)
    write_result(out, chart or out.with_suffix(".png"), suite=suite, rows=rows, lmbdas=lmbdas)


if __name__ == "__main__":
    main()
