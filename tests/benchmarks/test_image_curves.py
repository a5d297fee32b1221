from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import image_curves
import numpy as np
import pytest
from image_chart import draw, mean_curves
from image_curves import Point, bd_rate, best, cost, front, points, published_averages, published_rows
from image_suites import Picture
from image_summary import as_json, bd_table, cost_table, summarise
from PIL import Image

Row = dict[str, Any]


def made_row(codec: str, rate_bpp: float, mse: float, *, image: str = "a", **setting: Any) -> Row:
    row = {"image": image, "crop": None, "codec": codec, "setting": setting, "rate_bpp": rate_bpp, "mse": mse}
    return {**row, "psnr_db": -10.0 * math.log10(mse), "ms_ssim": None}


# Curves


def test_best_is_the_least_cost_of_all_settings() -> None:
    rows = [
        made_row("avif", 1.0, 0.0010, quality=50, subsampling="4:4:4"),
        made_row("avif", 0.5, 0.0020, quality=30, subsampling="4:2:0"),
        made_row("avif", 0.6, 0.0030, quality=20, subsampling="4:4:4"),
    ]
    assert [cost(row, 0.004) for row in rows] == pytest.approx([5.0, 4.0, 5.4])
    assert best(rows, 0.004) is rows[1]
    assert best(rows, 0.0004) is rows[0]
    assert best([], 0.004) is None


def test_what_was_made_for_one_price_counts_at_that_price_only() -> None:
    rows = [made_row("i2codec-fast", 1.0, 0.001, lmbda=0.001), made_row("i2codec-fast", 9.0, 0.002, lmbda=0.004)]
    assert best(rows, 0.004) is rows[1]
    assert best(rows, 0.02) is None


def test_front_is_the_lower_hull() -> None:
    hull = [Point(0.1, 0.009), Point(0.2, 0.004), Point(0.5, 0.002), Point(1.0, 0.001)]
    others = [Point(0.1, 0.0095), Point(0.15, 0.0066), Point(0.3, 0.0035), Point(0.6, 0.0021), Point(1.2, 0.001)]
    assert front([*others, *reversed(hull), hull[1]]) == hull
    assert front([]) == []
    for lmbda in (1e-4, 1e-3, 4e-3, 2e-2, 1.0):
        assert min([*hull, *others], key=lambda point: point.mse + lmbda * point.rate_bpp) in hull


def test_nearly_lossless_files_are_on_no_curve() -> None:
    rows = [{**made_row("webp", 1.0, 0.001), "mse": 0.0}, made_row("webp", 1.0, 0.001), made_row("webp", 4.1, 0.0001)]
    assert points(rows) == [Point(1.0, 0.001)]


def curve(factor: float = 1.0, first_db: int = 26) -> list[Point]:
    return [Point(factor * 2.0 ** (db / 3.0 - 14.0), 10.0 ** (-db / 10.0)) for db in range(first_db, first_db + 13, 3)]


def test_bd_rate_of_a_scaled_curve_is_its_scale() -> None:
    found = bd_rate(curve(), curve(1.1))
    assert found is not None
    assert found == pytest.approx((10.0, 26.0, 38.0))
    partly = bd_rate(curve(), curve(0.9, first_db=32))
    assert partly is not None
    assert partly == pytest.approx((-10.0, 32.0, 38.0))


def test_bd_rate_needs_a_common_range() -> None:
    assert bd_rate(curve(), curve(first_db=39)) is None
    assert bd_rate(curve(first_db=39), curve()) is None
    assert bd_rate(curve(), curve(first_db=38)) is None
    assert bd_rate(curve(), curve()[:1]) is None
    assert bd_rate([], curve()) is None


def kodak(name: str, *, crop: tuple[int, int, int, int] | None = None, height: int = 512) -> Picture:
    return Picture(name, crop, np.zeros((height, 768, 3), dtype=np.uint8))


def test_published_figures_join_whole_kodak_photos() -> None:
    rows = published_rows([kodak("kodim05"), kodak("kodim24")])
    assert [(row["image"], row["codec"]) for row in rows] == [("kodim05", "Cool-chic 5.0")] * 5 + [
        ("kodim24", "Cool-chic 5.0")
    ] * 5
    least = best(rows[:5], 0.004)
    assert least is not None
    assert cost(least, 0.004) == pytest.approx(2.99, abs=0.005)
    strangers = [kodak("kodim05", crop=(0, 0, 768, 512)), kodak("kodim05", height=256), kodak("coffee")]
    assert published_rows(strangers) == []


def test_published_curves_are_whole_and_name_their_source() -> None:
    data = json.loads(image_curves.PUBLISHED.read_text())
    assert all(codec["source"] for codec in data["photos"] + data["averages"])
    assert set(data["photos"][0]["curves"]) == {
        f"kodim{number:02}" for number in (1, 3, 4, 5, 7, 9, 11, 12, 15, 17, 20, 22, 24)
    }
    curves = published_averages()
    assert list(curves) == ["Cool-chic 5.0", "COIN", "BPG 4:4:4", "VTM", "Cheng 2020"]
    for found in curves.values():
        rising = sorted(found)
        assert rising == sorted(found, key=lambda point: point.psnr_db)
        assert all(0.0 < point.rate_bpp < 10.0 and 20.0 < point.psnr_db < 60.0 for point in found)
    assert (curves["COIN"][2].rate_bpp, curves["COIN"][2].psnr_db) == pytest.approx((0.160, 24.6), abs=0.05)
    assert curves["Cool-chic 5.0"][3].psnr_db == pytest.approx(30.86, abs=0.005)


# Summary


def two_pictures() -> list[Row]:
    """J at 0.004: avif 4 and 2, webp 8 and 2, ours 6 and 6, and a codec with one picture alone."""
    rows = [
        made_row("avif", 0.5, 0.0020, quality=1),
        made_row("avif", 0.5, 0.0090, quality=2),
        made_row("webp", 1.0, 0.0040, quality=1),
        made_row("i2codec-fast", 1.0, 0.0020, lmbda=0.004),
        made_row("jpegxl", 1.0, 0.0020, quality=1),
    ]
    others = [
        made_row("avif", 0.25, 0.0010, image="b", quality=1),
        made_row("webp", 0.25, 0.0010, image="b", quality=1),
        made_row("i2codec-fast", 1.0, 0.0020, image="b", lmbda=0.004),
    ]
    return rows + others


def test_summary_compares_picture_by_picture_and_on_average() -> None:
    result = summarise(two_pictures(), [0.004, 0.02])
    first = next(record for record in result["summary"] if (record["image"], record["lmbda"]) == ("a", 0.004))
    assert first["j"] == pytest.approx({"avif": 4.0, "webp": 8.0, "i2codec-fast": 6.0, "jpegxl": 6.0})
    assert first["best"]["avif"]["setting"] == {"quality": 1}
    assert first["ratio_to_avif"]["i2codec-fast"] == pytest.approx(1.5)
    assert first["ratio_to_webp"]["i2codec-fast"] == pytest.approx(0.75)
    average = result["average"][0]
    assert (average["lmbda"], average["pictures"]) == (0.004, 2)
    assert average["j"] == pytest.approx({"avif": 3.0, "webp": 5.0, "i2codec-fast": 6.0})
    assert average["ratio_to_avif"]["i2codec-fast"] == pytest.approx(math.sqrt(1.5 * 3.0), abs=1e-4)
    assert average["ratio_to_webp"]["i2codec-fast"] == pytest.approx(math.sqrt(0.75 * 3.0), abs=1e-4)
    assert "i2codec-fast" not in result["average"][1]["j"]  # it was not run at 0.02


def curve_rows(codec: str, factor: float, *, image: str = "a", first_db: int = 26) -> list[Row]:
    return [
        made_row(codec, point.rate_bpp, point.mse, image=image, quality=number)
        for number, point in enumerate(curve(factor, first_db))
    ]


def test_bd_rates_are_against_both_anchors_and_averaged_where_all_pictures_have_one() -> None:
    rows = curve_rows("avif", 1.0) + curve_rows("webp", 1.5) + curve_rows("jpeg", 2.0)
    rows += curve_rows("avif", 1.0, image="b") + curve_rows("webp", 1.1, image="b")
    rows += curve_rows("jpeg", 2.0, image="b", first_db=39)
    result = summarise(rows, [0.004])
    found = {(record["image"], record["codec"], record["against"]): record for record in result["bd_rate"]}
    assert found["a", "webp", "avif"]["percent"] == pytest.approx(50.0)
    assert found["a", "avif", "webp"]["percent"] == pytest.approx(-33.33, abs=0.01)
    assert found["a", "jpeg", "webp"]["range_db"] == [26.0, 38.0]
    assert (found["b", "jpeg", "avif"]["percent"], found["b", "jpeg", "avif"]["range_db"]) == (None, None)
    averages = {(record["codec"], record["against"]): record["percent"] for record in result["bd_rate_average"]}
    assert averages["webp", "avif"] == pytest.approx(30.0)
    assert averages["jpeg", "avif"] is None
    assert "| webp | +30.0 % |  |" in bd_table(result)
    assert "| jpeg |  |  |" in bd_table(result)
    assert json.loads(as_json(result)) == json.loads(json.dumps(result))


def test_table_shows_costs_and_our_ratios() -> None:
    lines = cost_table(summarise(two_pictures(), [0.004])).splitlines()
    assert lines[0] == (
        "| λ | picture | avif | webp | i2codec-fast | jpegxl | i2codec-fast / avif | i2codec-fast / webp |"
    )
    assert lines[2] == "| 0.004 | a | **4.000** | 8.000 | 6.000 | 6.000 | 1.500 | 0.750 |"
    assert lines[4] == "| 0.004 | mean of 2 | **3.000** | 5.000 | 6.000 |  | 2.121 | 1.500 |"


# The chart


def test_mean_curves_have_the_settings_of_every_picture() -> None:
    rows = [
        made_row("avif", 1.0, 1e-3, quality=1),
        made_row("avif", 3.0, 1e-5, image="b", quality=1),
        made_row("avif", 4.0, 1e-6, quality=2),
        made_row("jpeg", 4.0, 1e-6, quality=1),
    ]
    curves = mean_curves(rows)
    assert list(curves) == ["avif"]
    ((rate_bpp, mse),) = curves["avif"]
    assert (rate_bpp, mse) == pytest.approx((2.0, 1e-4))


def sizes_and_colours(path: Path) -> tuple[tuple[int, int], set[tuple[int, ...]]]:
    with Image.open(path) as chart:
        assert chart.format == "PNG"
        chart.load()
        colours: Sequence[tuple[int, Any]] = chart.convert("RGB").getcolors(2**24) or []
        return chart.size, {colour for _, colour in colours}


def test_chart_is_drawn(tmp_path: Path) -> None:
    curves = {"avif": curve(), "i2codec-fast": curve(1.5)}
    draw(curves, {}, tmp_path / "one.png", title="t")
    draw(curves, published_averages(), tmp_path / "two.png", title="t")
    (width, height), colours = sizes_and_colours(tmp_path / "one.png")
    assert min(width, height) > 500
    assert {(0x00, 0x71, 0xBC), (0xC1, 0x27, 0x2D)} <= colours
    (wider, same), more = sizes_and_colours(tmp_path / "two.png")
    assert (wider, same) == (2 * width, height)
    assert (0xD9, 0x83, 0x24) in more - colours  # COIN
