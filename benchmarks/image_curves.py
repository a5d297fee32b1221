"""Rate–distortion curves of ``image_rd.py``: J, the front, the BD-rate, and published figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import bjontegaard
from common import HERE
from image_rows import Row
from image_suites import Picture

from i2codec.signal.metrics import psnr_db

PUBLISHED = HERE / "data" / "kodak_published.json"
HIGHEST_BPP = 4.0  # beyond it, curves compare files that nobody stores photos in


class Point(NamedTuple):
    """One file: bits per pixel, and the mean squared error of samples in 0..1."""

    rate_bpp: float
    mse: float

    @property
    def psnr_db(self) -> float:
        return psnr_db(self.mse)


class BdRate(NamedTuple):
    """Mean difference in rate over the PSNR that both curves have."""

    percent: float
    low_db: float
    high_db: float


def cost(row: Row, lmbda: float) -> float:
    """J = 1000 · (MSE + λ · bits per pixel)."""
    return 1000.0 * (float(row["mse"]) + lmbda * float(row["rate_bpp"]))


def best(rows: Iterable[Row], lmbda: float) -> Row | None:
    """The row of least J; rows that were made for some λ count at that λ only."""
    fitting = [row for row in rows if row["setting"].get("lmbda", lmbda) == lmbda]
    return min(fitting, key=lambda row: cost(row, lmbda), default=None)


def points(rows: Iterable[Row]) -> list[Point]:
    """Of the rows that belong on a curve of PSNR: not above ``HIGHEST_BPP``, and not without error."""
    return [Point(row["rate_bpp"], row["mse"]) for row in rows if row["rate_bpp"] <= HIGHEST_BPP and row["mse"] > 0.0]


def front(found: Iterable[Point]) -> list[Point]:
    """The points of least J for some λ, by rising rate: the lower hull of rate and error."""
    hull: list[Point] = []
    for point in sorted(set(found)):
        if hull and point.mse >= hull[-1].mse:
            continue
        while len(hull) > 1 and not _is_below(hull[-1], hull[-2], point):
            hull.pop()
        hull.append(point)
    return hull


def _is_below(middle: Point, left: Point, right: Point) -> bool:
    share = (middle.rate_bpp - left.rate_bpp) / (right.rate_bpp - left.rate_bpp)
    return middle.mse < left.mse + share * (right.mse - left.mse)


def bd_rate(anchor: Sequence[Point], other: Sequence[Point]) -> BdRate | None:
    """How much more rate ``other`` takes than ``anchor``, both fronts; None where no PSNR is common to both."""
    if min(len(anchor), len(other)) < 2:
        return None
    low = max(anchor[0].psnr_db, other[0].psnr_db)
    high = min(anchor[-1].psnr_db, other[-1].psnr_db)
    if low >= high:
        return None
    percent = bjontegaard.bd_rate(
        [point.rate_bpp for point in anchor],
        [point.psnr_db for point in anchor],
        [point.rate_bpp for point in other],
        [point.psnr_db for point in other],
        method="pchip",
        require_matching_points=False,
        min_overlap=0,  # a share of the longer curve: our own is short beside a sweep of all qualities
    )
    return BdRate(float(percent), low, high)


def published_rows(pictures: Sequence[Picture]) -> list[Row]:
    """Published figures of those pictures that are whole Kodak photos, as rows."""
    rows: list[Row] = []
    for codec in _published()["photos"]:
        for picture in pictures:
            curve = codec["curves"].get(picture.name)
            if curve is None or picture.crop is not None or picture.pixels != codec["pixels"]:
                continue
            for lmbda, rate_bpp, decibels in zip(codec["lmbda"], curve["rate_bpp"], curve["psnr_db"], strict=True):
                row = {"image": picture.name, "crop": None, "codec": codec["name"], "setting": {"lmbda": lmbda}}
                rows.append({**row, "rate_bpp": rate_bpp, "mse": 10.0 ** (-decibels / 10.0), "psnr_db": decibels})
    return rows


def published_averages() -> Mapping[str, list[Point]]:
    """Curves of published codecs, averaged over all 24 photos: mean rate and mean PSNR."""
    return {
        codec["name"]: [
            Point(rate_bpp, 10.0 ** (-decibels / 10.0))
            for rate_bpp, decibels in zip(codec["rate_bpp"], codec["psnr_db"], strict=True)
        ]
        for codec in _published()["averages"]
    }


def _published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PUBLISHED.read_text())
    return found
