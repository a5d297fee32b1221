from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import image_ours
import image_rd
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from image_curves import cost
from image_ours import Ours
from image_peers import PEERS, Peer
from image_rows import RowFile, key_of, measure, quality, unmeasured
from image_suites import Picture, pictures_of
from PIL import Image

import i2codec

Row = dict[str, Any]
PEER = {peer.name: peer for peer in PEERS}
QUICK = ("--codec", "jpeg", "--codec", "webp", "--quality-step", "25")
QUICK_ROWS = 2 * 4 + 5
TINY = {"preset": "draft", "steps": 20, "width": 6}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The command sets the number of threads of the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(out: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(image_rd.main, ["--suite", "ci", "--out", str(out), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Codecs of the rows that the command measures, as it goes on."""
    names: list[str] = []

    def counted(picture: Picture, codec: Any, setting: Any) -> Any:
        names.append(codec.name)
        return measure(picture, codec, setting)

    monkeypatch.setattr(image_rd, "measure", counted)
    return names


@pytest.fixture(scope="module")
def picture() -> Picture:
    return pictures_of("ci", None)[0]


def made_photo(folder: Path, name: str, *, height: int = 512, width: int = 768) -> None:
    """Every pixel says where it is: x, y and the parts of both above 255."""
    y, x = np.mgrid[:height, :width]
    samples = np.stack([x % 256, y % 256, 16 * (x // 256) + y // 256], axis=-1)
    Image.fromarray(samples.astype(np.uint8)).save(folder / f"{name}.png")


# Codecs


@pytest.mark.parametrize(
    ("name", "setting", "largest", "least_db"),
    [
        ("jpeg", {"quality": 75, "subsampling": "4:4:4"}, 950, 37.2),
        ("jpeg", {"quality": 75, "subsampling": "4:2:0"}, 820, 35.7),
        ("jpeg2000", {"quality_layers": [16.0]}, 620, 37.1),
        ("webp", {"quality": 75}, 380, 35.4),
        ("jpegxl", {"quality": 75}, 520, 33.4),
        ("avif", {"quality": 60, "subsampling": "4:4:4"}, 640, 38.5),
        ("avif", {"quality": 60, "subsampling": "4:2:0"}, 620, 37.7),
    ],
)
def test_peers_keep_the_picture_in_few_bytes(
    picture: Picture, name: str, setting: Row, largest: int, least_db: float
) -> None:
    row = measure(picture, PEER[name], setting)
    assert row["psnr_db"] > least_db
    assert row["size_bytes"] < largest
    assert row["rate_bpp"] == pytest.approx(8 * row["size_bytes"] / (64 * 48))
    assert (row["image"], row["crop"], row["codec"]) == ("coffee", (128, 48, 64, 48), name)
    assert row["ms_ssim"] is None
    assert row["mac_per_pixel"] is None
    assert row["device"]
    assert "None" not in row["versions"]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_both_ends_of_every_sweep_can_be_encoded(peer: Peer, picture: Picture) -> None:
    for sweep in peer.sweeps:
        low, high = (measure(picture, peer, sweep[end]) for end in (0, -1))
        assert low["size_bytes"] < high["size_bytes"]
        assert low["psnr_db"] < high["psnr_db"]


def test_sweeps_hold_every_quality_and_are_thinned_alone() -> None:
    counts = {name: len(peer.settings()) for name, peer in PEER.items()}
    assert counts == {"jpeg": 200, "jpeg2000": 101, "webp": 101, "jpegxl": 100, "avif": 202}
    thinned = PEER["avif"].settings(50)
    assert [(setting["subsampling"], setting["quality"]) for setting in thinned] == [
        (subsampling, number) for subsampling in ("4:4:4", "4:2:0") for number in (0, 50, 100)
    ]
    ratios = [setting["quality_layers"][0] for setting in PEER["jpeg2000"].settings(50)]
    assert ratios == pytest.approx([1000.0, math.sqrt(3000.0), 3.0], rel=1e-4)


def test_our_file_is_that_of_the_picture_as_png_and_decoded_as_png(picture: Picture, tmp_path: Path) -> None:
    ours, path = Ours("i2codec-tiny", {"preset": "draft", "steps": 20, "width": 6}, (0.004,)), tmp_path / "a.i2"
    (setting,) = ours.settings()
    assert setting == {**TINY, "lmbda": 0.004}
    ours.encode(picture.samples, path, setting)
    Image.fromarray(picture.samples).save(tmp_path / "source.png")
    assert path.read_bytes() == i2codec.encode(tmp_path / "source.png", preset="draft", steps=20, width=6, lmbda=0.004)
    i2codec.decode_file(path, tmp_path / "a.png")
    np.testing.assert_array_equal(ours.decode(path), np.asarray(Image.open(tmp_path / "a.png")))
    assert ours.mac_per_pixel(path) == i2codec.info(path)["macs_per_point"] > 0


def test_quality_is_that_of_compare(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    source = random.integers(0, 256, (161, 170, 3), dtype=np.uint8)
    decoded = np.clip(source + random.integers(-40, 41, source.shape), 0, 255).astype(np.uint8)
    for name, samples in (("source", source), ("decoded", decoded)):
        Image.fromarray(samples).save(tmp_path / f"{name}.png")
    expected = i2codec.compare(tmp_path / "source.png", tmp_path / "decoded.png")
    found = quality(source, decoded)
    assert found["psnr_db"] == pytest.approx(expected["psnr_db"], abs=1e-4)
    assert found["ms_ssim"] == pytest.approx(expected["ms_ssim"], abs=1e-5)
    assert found["mse"] == pytest.approx(10.0 ** (-expected["psnr_db"] / 10.0), rel=1e-6)
    assert quality(source[:160], decoded[:160])["ms_ssim"] is None
    assert quality(source, source) == {"mse": 0.0, "psnr_db": None, "ms_ssim": 1.0}


# Pictures


def test_crops_are_those_parts_of_the_photos(tmp_path: Path) -> None:
    for name in ("kodim05", "kodim15", "kodim20"):
        made_photo(tmp_path, name)
    pictures = pictures_of("smoke", tmp_path)
    assert [picture.name for picture in pictures] == ["kodim05", "kodim15", "kodim20"]
    assert all(picture.samples.shape == (256, 256, 3) for picture in pictures)
    assert pictures[0].samples[0, 0].tolist() == [0, 128, 16]
    assert pictures[0].samples[255, 255].tolist() == [255, 127, 17]
    assert pictures[0].title == "kodim05 256,128,256,256"


def test_whole_photos_are_all_of_the_folder(tmp_path: Path) -> None:
    for name, height in (("b", 20), ("a", 10)):
        made_photo(tmp_path, name, height=height, width=30)
    pictures = pictures_of("kodak", tmp_path)
    assert [(picture.title, picture.crop, picture.pixels) for picture in pictures] == [
        ("a", None, 300),
        ("b", None, 600),
    ]


def test_missing_photos_are_named_in_one_line(tmp_path: Path) -> None:
    out = str(tmp_path / "a.json")

    def complaint(*arguments: str) -> str:
        result = CliRunner().invoke(image_rd.main, [*arguments, "--out", out])
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        return result.output

    absent = tmp_path / "absent"
    assert f"no kodim05.png, kodim15.png, kodim20.png in {absent}" in complaint("--photos", str(absent))
    assert f"no *.png in {absent}" in complaint("--suite", "kodak", "--photos", str(absent))
    assert "suite kodak needs --photos FOLDER" in complaint("--suite", "kodak")
    made_photo(tmp_path, "kodim05")
    assert f"no kodim15.png, kodim20.png in {tmp_path}" in complaint("--photos", str(tmp_path))
    for name in ("kodim15", "kodim20"):
        made_photo(tmp_path, name, height=300)
    assert "does not reach" in complaint("--photos", str(tmp_path))
    assert not Path(out).exists()


# The command


def test_a_second_run_measures_nothing(tmp_path: Path, measured: list[str]) -> None:
    out = tmp_path / "a.json"
    assert f"{QUICK_ROWS} rows in {out}" in run(out, *QUICK).output
    assert len(measured) == QUICK_ROWS
    lines, result = out.with_suffix(".jsonl").read_text(), out.read_text()
    assert lines.count("\n") == QUICK_ROWS
    run(out, *QUICK)
    assert len(measured) == QUICK_ROWS
    assert (out.with_suffix(".jsonl").read_text(), out.read_text()) == (lines, result)
    run(out, "--codec", "webp", "--quality-step", "50")
    assert len(measured) == QUICK_ROWS
    assert out.read_text() == result  # of all rows, not of the chosen ones
    run(out, "--codec", "webp", "--quality-step", "50", "--again")
    assert measured[QUICK_ROWS:] == ["webp"] * 3
    assert len(RowFile(out.with_suffix(".jsonl")).rows) == QUICK_ROWS


def test_qualities_near_the_best_are_measured_too(tmp_path: Path, picture: Picture) -> None:
    out = tmp_path / "a.json"
    arguments = ("--codec", "webp", "--quality-step", "25", "--near-best", "2", "--lmbda", "0.004")
    run(out, *arguments)
    found = sorted(row["setting"]["quality"] for row in RowFile(out.with_suffix(".jsonl")).rows.values())
    near = set(found) - {0, 25, 50, 75, 100}
    best = min(PEER["webp"].settings(25), key=lambda setting: cost(measure(picture, PEER["webp"], setting), 0.004))
    assert near == {best["quality"] + offset for offset in (-2, -1, 1, 2)} & {*range(101)}


def test_a_row_that_was_cut_is_measured_again(tmp_path: Path, measured: list[str]) -> None:
    out = tmp_path / "a.json"
    run(out, *QUICK)
    path = out.with_suffix(".jsonl")
    path.write_text(path.read_text()[:-20])
    run(out, *QUICK)
    assert measured[QUICK_ROWS:] == ["webp"]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({key_of(row) for row in rows}) == len(rows) == QUICK_ROWS


def test_rows_are_kept_when_a_run_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(picture: Picture, codec: Any, setting: Any) -> Any:
        if codec.name == "webp":
            raise KeyboardInterrupt
        return measure(picture, codec, setting)

    monkeypatch.setattr(image_rd, "measure", interrupted)
    arguments = ["--suite", "ci", "--out", str(tmp_path / "a.json"), *QUICK]
    assert CliRunner().invoke(image_rd.main, arguments).exit_code == 1
    assert len(RowFile(tmp_path / "a.jsonl").rows) == 8


def test_our_codec_is_measured_beside_its_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_ours, "VARIANTS", {"i2codec-fast": TINY})
    out, chart = tmp_path / "a.json", tmp_path / "charts" / "b.png"
    output = run(out, "--codec", "i2codec-fast", "--codec", "webp", "--lmbda", "0.004", "--chart", str(chart)).output
    result = json.loads(out.read_text())
    (record,) = result["summary"]
    row = next(row for row in RowFile(out.with_suffix(".jsonl")).rows.values() if row["codec"] == "i2codec-fast")
    assert row["setting"] == {**TINY, "lmbda": 0.004}
    assert row["mac_per_pixel"] > 0
    assert record["j"]["i2codec-fast"] == pytest.approx(1000.0 * (row["mse"] + 0.004 * row["rate_bpp"]), abs=1e-4)
    assert record["ratio_to_webp"]["i2codec-fast"] == pytest.approx(
        record["j"]["i2codec-fast"] / record["j"]["webp"], rel=1e-3
    )
    assert {each["codec"] for each in result["measured_on"]} == {"i2codec-fast", "webp"}
    assert "i2codec-fast / webp" in output
    assert chart.exists()
    assert not out.with_suffix(".png").exists()


def test_rows_of_other_options_are_left_out(tmp_path: Path, picture: Picture) -> None:
    out = tmp_path / "a.json"
    file = RowFile(out.with_suffix(".jsonl"))
    stale = {**unmeasured(picture, "i2codec-fast", {"preset": "fast", "lmbda": 0.004}), "rate_bpp": 0.1, "mse": 1e-5}
    file.append({**stale, "psnr_db": 50.0, "versions": "", "device": ""})
    run(out, "--codec", "webp", "--quality-step", "50")
    assert all(list(record["j"]) == ["webp"] for record in json.loads(out.read_text())["summary"])


def test_peers_only_leaves_our_codec_out(tmp_path: Path, measured: list[str]) -> None:
    run(tmp_path / "a.json", "--codec", "i2codec-fast", "--codec", "webp", "--peers-only", "--quality-step", "50")
    assert measured == ["webp"] * 3
    arguments = ["--suite", "ci", "--peers-only", "--codec", "i2codec-fast", "--out", str(tmp_path / "b.json")]
    assert "leaves none" in CliRunner().invoke(image_rd.main, arguments).output


def test_a_run_draws_its_chart(tmp_path: Path) -> None:
    run(tmp_path / "a.json", *QUICK)
    with Image.open(tmp_path / "a.png") as chart:
        colours: Sequence[tuple[int, Any]] = chart.convert("RGB").getcolors(2**24) or []
    assert (0x5C, 0x8A, 0x3A) in {colour for _, colour in colours}  # webp
