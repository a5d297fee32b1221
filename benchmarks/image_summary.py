"""What the rows of ``image_rd.py`` come to: least J by λ, ratios, BD-rates and fronts, and tables of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from image_curves import Point, bd_rate, best, cost, front, points
from image_rows import Row

ANCHORS = ("avif", "webp")
OURS = "i2codec"  # names of our codecs begin so

Place = tuple[str, tuple[int, ...] | None]  # a picture's name and crop
ByCodec = Mapping[str, Sequence[Row]]
Record = dict[str, Any]


def by_place(rows: Iterable[Row]) -> dict[Place, dict[str, list[Row]]]:
    """Rows by picture and codec, in their order."""
    grouped: dict[Place, dict[str, list[Row]]] = {}
    for row in rows:
        place = row["image"], None if row["crop"] is None else tuple(row["crop"])
        grouped.setdefault(place, {}).setdefault(row["codec"], []).append(row)
    return grouped


def least_costs(place: Place, codecs: ByCodec, lmbda: float) -> Record:
    """Of one picture: J of each codec's best setting, and its ratio to that of the anchors."""
    chosen = {name: row for name, rows in codecs.items() if (row := best(rows, lmbda)) is not None}
    costs = {name: cost(row, lmbda) for name, row in chosen.items()}
    shown = ("setting", "rate_bpp", "psnr_db", "ms_ssim", "mac_per_pixel", "encode_s", "decode_s")
    return {
        "image": place[0],
        "crop": place[1],
        "lmbda": lmbda,
        "j": {name: round(value, 4) for name, value in costs.items()},
        **{f"ratio_to_{anchor}": _ratios(costs, anchor) for anchor in ANCHORS},
        "best": {name: {key: row.get(key) for key in shown} for name, row in chosen.items()},
    }


def _ratios(costs: Mapping[str, float], anchor: str) -> dict[str, float]:
    if anchor not in costs:
        return {}
    return {name: round(value / costs[anchor], 4) for name, value in costs.items() if name != anchor}


def average_costs(records: Sequence[Record], lmbda: float) -> Record:
    """Over the pictures, of the codecs that have all of them: mean J, geometric mean of the ratios."""
    chosen = [record for record in records if record["lmbda"] == lmbda]
    return {
        "lmbda": lmbda,
        "pictures": len(chosen),
        "j": {name: round(statistics.fmean(values), 4) for name, values in _common(chosen, "j").items()},
        **{
            key: {name: round(statistics.geometric_mean(values), 4) for name, values in _common(chosen, key).items()}
            for key in (f"ratio_to_{anchor}" for anchor in ANCHORS)
        },
    }


def _common(records: Sequence[Record], key: str) -> dict[str, list[float]]:
    names = dict.fromkeys(name for record in records for name in record[key])
    return {
        name: [record[key][name] for record in records]
        for name in names
        if all(name in record[key] for record in records)
    }


def bd_rates(place: Place, fronts: Mapping[str, Sequence[Point]]) -> list[Record]:
    """Of one picture: every codec against the anchors; ``percent`` is None where no PSNR is common to both."""
    records = []
    for anchor in (name for name in ANCHORS if name in fronts):
        for name in (name for name in fronts if name != anchor):
            found = bd_rate(fronts[anchor], fronts[name])
            percent, range_db = (None, None) if found is None else (round(found.percent, 2), found[1:])
            values = {"percent": percent, "range_db": range_db and [round(value, 2) for value in range_db]}
            records.append({"image": place[0], "crop": place[1], "codec": name, "against": anchor, **values})
    return records


def average_bd_rates(records: Sequence[Record], pictures: int) -> list[Record]:
    """Mean BD-rate of the codecs that have one for every picture."""
    found: dict[tuple[str, str], list[float]] = {}
    for record in records:
        values = found.setdefault((record["codec"], record["against"]), [])
        if record["percent"] is not None:
            values.append(record["percent"])
    return [
        {
            "codec": codec,
            "against": anchor,
            "percent": round(statistics.fmean(values), 2) if len(values) == pictures else None,
        }
        for (codec, anchor), values in found.items()
    ]


def summarise(rows: Iterable[Row], lmbdas: Sequence[float]) -> dict[str, list[Record]]:
    """Everything that follows from the rows."""
    grouped = by_place(rows)
    fronts = {
        place: {name: front(points(found)) for name, found in codecs.items()} for place, codecs in grouped.items()
    }
    records = [least_costs(place, codecs, lmbda) for lmbda in lmbdas for place, codecs in grouped.items()]
    rates = [record for place in grouped for record in bd_rates(place, fronts[place])]
    return {
        "average": [average_costs(records, lmbda) for lmbda in lmbdas],
        "bd_rate_average": average_bd_rates(rates, len(grouped)),
        "summary": records,
        "bd_rate": rates,
        "fronts": [
            {
                "image": place[0],
                "crop": place[1],
                "codec": name,
                "rate_bpp": [round(point.rate_bpp, 5) for point in curve],
                "psnr_db": [round(point.psnr_db, 3) for point in curve],
            }
            for place, curves in fronts.items()
            for name, curve in curves.items()
        ],
    }


def as_json(result: Mapping[str, Any]) -> str:
    """JSON with a line per record."""

    def lines(value: Any) -> str:
        if not isinstance(value, list):
            return json.dumps(value, allow_nan=False)
        return "[\n" + ",\n".join("  " + json.dumps(record, allow_nan=False) for record in value) + "\n ]"

    return "{\n" + ",\n".join(f" {json.dumps(key)}: {lines(value)}" for key, value in result.items()) + "\n}\n"


def cost_table(result: Mapping[str, list[Record]]) -> str:
    """J by λ and picture in Markdown; the least of a line is bold."""
    names = list(dict.fromkeys(name for record in result["summary"] for name in record["j"]))
    ours = [name for name in names if name.startswith(OURS)]
    header = ["λ", "picture", *names, *(f"{name} / {anchor}" for name in ours for anchor in ANCHORS)]
    lines = [header, ["---"] * len(header)]
    for average in result["average"]:
        records = [record for record in result["summary"] if record["lmbda"] == average["lmbda"]]
        for record in [*records, {**average, "image": f"mean of {len(records)}", "crop": None}]:
            least = min(record["j"].values(), default=None)
            costs = [(name, record["j"].get(name)) for name in names]
            cells = [
                "" if value is None else f"**{value:.3f}**" if value == least else f"{value:.3f}" for _, value in costs
            ]
            ratios = [record[f"ratio_to_{anchor}"].get(name) for name in ours for anchor in ANCHORS]
            lines.append(
                [f"{record['lmbda']:g}", record["image"], *cells, *("" if r is None else f"{r:.3f}" for r in ratios)]
            )
    return _markdown(lines)


def bd_table(result: Mapping[str, list[Record]]) -> str:
    """Mean BD-rate in percent by codec in Markdown."""
    percents = {(record["codec"], record["against"]): record["percent"] for record in result["bd_rate_average"]}
    names = list(dict.fromkeys(record["codec"] for record in result["bd_rate_average"]))
    lines = [["codec", *(f"BD-rate against {anchor}" for anchor in ANCHORS)], ["---"] * (1 + len(ANCHORS))]
    for name in names:
        found = [percents.get((name, anchor)) for anchor in ANCHORS]
        lines.append([name, *("" if percent is None else f"{percent:+.1f} %" for percent in found)])
    return _markdown(lines)


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
