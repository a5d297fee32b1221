"""Super-resolution: half of a photo is encoded, decoded at twice its size, and held against the photo.

    python benchmarks/super_resolution.py PHOTO.png ...

Beside it is what a resampler makes of the same file decoded at its own size. Photos are reduced by
means over 2 × 2 pixels, and by Lanczos. PSNR over RGB of 8 bits, in dB.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import torch
from common import HERE, device_name, report
from PIL import Image

import i2codec
from i2codec.signal.metrics import psnr_db

_REDUCTIONS = {"means": Image.Resampling.BOX, "lanczos": Image.Resampling.LANCZOS}
_RESAMPLERS = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}


def rows_of(path: Path, *, preset: str, lmbda: float) -> Iterator[dict[str, object]]:
    """One row for each way to reduce a photo."""
    photo = Image.open(path).convert("RGB")
    photo = photo.crop((0, 0, photo.width // 2 * 2, photo.height // 2 * 2))
    for reduction, method in _REDUCTIONS.items():
        half = photo.resize((photo.width // 2, photo.height // 2), method)
        data = i2codec.encode(np.asarray(half), preset=preset, lmbda=lmbda)
        decoded, doubled = (_image(i2codec.decode(data, scale=scale)) for scale in (1, 2))
        resampled = {name: decoded.resize(photo.size, method) for name, method in _RESAMPLERS.items()}
        yield {
            "photo": path.stem,
            "reduction": reduction,
            "preset": preset,
            "lmbda": lmbda,
            "size_bytes": len(data),
            "decoded_db": _psnr_db(decoded, half),
            "doubled_db": _psnr_db(doubled, photo),
            **{f"{name}_db": _psnr_db(image, photo) for name, image in resampled.items()},
            "device": device_name("cpu"),
        }


def _image(decoded: i2codec.Signal) -> Image.Image:
    samples = np.floor(np.clip(np.asarray(decoded.samples), 0.0, 1.0) * 255.0 + 0.5)
    return Image.fromarray(samples.astype(np.uint8))


def _psnr_db(found: Image.Image, wanted: Image.Image) -> float:
    difference = (np.asarray(found, np.float64) - np.asarray(wanted, np.float64)) / 255.0
    return round(psnr_db(float(np.mean(difference**2))), 3)


@click.command(help=__doc__)
@click.argument("photos", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--preset", default="draft", show_default=True)
@click.option("--lmbda", default=1e-4, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results" / "super_resolution.json")
def main(photos: Sequence[Path], preset: str, lmbda: float, threads: int, out: Path) -> None:
    torch.set_num_threads(threads)
    rows = []
    for path in photos:
        for row in rows_of(path, preset=preset, lmbda=lmbda):
            report(**row)
            rows.append(row)
    mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key.endswith("_db")}
    report(photo="mean", **mean)
    out.write_text(json.dumps({"rows": rows, "mean": mean}, indent=1) + "\n")


if __name__ == "__main__":
    main()
