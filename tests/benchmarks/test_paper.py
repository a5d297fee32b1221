from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from click.testing import CliRunner, Result
from paper import SCALES, Files, fits, main, tasks_at
from paper_table import table
from PIL import Image
from tasks import CAMERA, Metric, Task, generalisation, image, shape, sound, video

from i2codec.field.architecture import Filter

Rows = list[dict[str, Any]]
FILTERS, FAMILIES = ("siren", "fourier", "gabor"), ("implicit", "no recurrence", "explicit", "unrolled")


@pytest.fixture(autouse=True)
def _threads() -> Any:
    """The command sets the number of threads of the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(
        main, ["--scale", "subset", "--threads", "1", *map(str, arguments)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def subset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of the whole subset; the chart lies beside them."""
    out = tmp_path_factory.mktemp("paper") / "subset.json"
    run("--out", out)
    return out


@pytest.fixture(scope="module")
def rows(subset: Path) -> Rows:
    found: Rows = json.loads(subset.read_text())
    return found


def task_by_name() -> dict[str, Task]:
    return {task.name: task for task in tasks_at(SCALES["subset"], Files())}


def constant_score(task: Task) -> float:
    """Of the best constant: the mean, or, for a solid, everything inside."""
    if task.metric is Metric.IOU:
        return task.metric.score(torch.ones_like(task.test.targets), task.test.targets)
    return task.metric.score(task.test.targets.mean(dim=0).expand_as(task.test.targets), task.test.targets)


def test_every_network_is_measured_on_every_task(rows: Rows) -> None:
    found = {(row["task"], row["filter"], row["family"]) for row in rows}
    assert found == {(task, filter, family) for task in task_by_name() for filter in FILTERS for family in FAMILIES}
    assert len(rows) == len(found)


def test_rows_are_complete_and_finite(rows: Rows) -> None:
    named = {"signal", "layers", "width", "seed", "steps", "device", "threads", "torch"}
    measured = ["parameters", "seconds_per_step", "peak_bytes"]
    for row in rows:
        assert named <= row.keys()
        metric = "iou" if row["task"] == "shape" else "psnr_db"
        values = [row[name] for name in [*measured, metric, f"training_{metric}"]]
        assert all(np.isfinite(value) and value > 0 for value in values)
        has_state = row["family"] in ("implicit", "unrolled")
        assert (row["measured_ratio"] is not None) == has_state
        assert not has_state or 0.0 < row["measured_ratio"] < 0.9


def test_every_fit_beats_the_best_constant(rows: Rows) -> None:
    constants = {name: constant_score(task) for name, task in task_by_name().items()}
    for row in rows:
        score, constant = row["iou" if row["task"] == "shape" else "psnr_db"], constants[row["task"]]
        assert score > constant + (0.1 if row["task"] == "shape" else 1.0), row


def test_only_generalisation_and_shape_are_judged_elsewhere_than_they_are_fitted(rows: Rows) -> None:
    for row in rows:
        metric = "iou" if row["task"] == "shape" else "psnr_db"
        same = row[metric] == row[f"training_{metric}"]
        assert same == (row["task"] not in ("generalisation", "shape"))


def test_compared_networks_have_as_many_parameters(rows: Rows) -> None:
    counts = {(row["task"], row["filter"], row["family"]): row["parameters"] for row in rows}
    for (task, filter, family), count in counts.items():
        implicit = counts[task, filter, "implicit"]
        # Twins of this size are 9 wide, so that one unit is a fifth of their parameters.
        assert count == (pytest.approx(implicit, rel=1 / 9) if family == "explicit" else implicit)


def test_chart_is_drawn_beside_the_rows(subset: Path) -> None:
    with Image.open(subset.with_suffix(".png")) as chart:
        assert chart.format == "PNG"
        assert min(chart.size) > 600
        assert len(chart.convert("RGB").getcolors(2**24)) > 50


def test_resume_measures_only_what_is_missing(subset: Path, rows: Rows, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    kept = [row for row in rows if row["task"] == "sound" and row["filter"] == "siren"]
    out.write_text(json.dumps(kept[1:]))
    result = run("--task", "sound", "--filter", "siren", "--resume", "--out", out, "--chart", tmp_path / "chart.png")
    assert result.output.count("seconds_per_step") == 1
    again = json.loads(out.read_text())
    assert again[:-1] == kept[1:]
    assert again[-1]["psnr_db"] == kept[0]["psnr_db"]  # the same seed, so the same fit


def test_later_seeds_take_the_band_that_was_best_with_the_first() -> None:
    scale, task = SCALES["small"], image(every=8)
    rows: Rows = []
    bands: dict[tuple[object, ...], list[float]] = {}
    for number, one in enumerate(fits(scale, [task], list(Filter), rows)):
        rows.append({**one.key, "psnr_db": float(number * 7 % 5)})
        key = one.seed, one.filter, one.family, one.layers, one.width
        bands.setdefault(key, []).append(one.setting.band)
    assert len(bands) == 2 * 3 * 3 * 3
    for (seed, *network), tried in bands.items():
        first = bands[0, *network]
        if seed == 0:
            assert [band / tried[1] for band in tried] == [0.5, 1.0, 2.0]
        else:
            scores = {row["band"]: row["psnr_db"] for row in rows if is_of(row, network) and row["seed"] == 0}
            assert tried == [max(first, key=scores.__getitem__)]


def is_of(row: dict[str, Any], network: Sequence[Any]) -> bool:
    filter, family, layers, width = network
    return (row["filter"], row["family"], row["layers"], row["width"]) == (filter.name.lower(), family, layers, width)


def made_rows(scores: dict[str, Sequence[float]]) -> Rows:
    common = {"task": "image", "signal": "a.png", "filter": "siren", "layers": 1, "width": 8, "parameters": 100}
    cost = {"seconds_per_step": 0.002, "peak_bytes": 2**20, "device": "d", "threads": 1, "torch": "t"}
    return [
        {**common, **cost, "family": family, "seed": seed, "band": 1.0, "psnr_db": score, "measured_ratio": 0.5}
        for family, values in scores.items()
        for seed, score in enumerate(values)
    ]


def test_table_shows_mean_range_winner_and_losses() -> None:
    text = table(made_rows({"implicit": (20.0, 21.0), "explicit": (22.0, 22.5), "no recurrence": (20.0, 20.0)}))
    line = text.splitlines()[2]
    assert "| 20.50 ± 0.50 | 20.00 ± 0.00 | **22.25 ± 0.25** | -1.75 | 0.50 |" in line
    assert "implicit 0, no recurrence 0, explicit 1 of 1" in text


def test_table_takes_the_band_that_was_best_with_the_first_seed() -> None:
    worse = [{**row, "band": 0.5} for row in made_rows({"implicit": (19.0,)})]
    assert table(worse + made_rows({"implicit": (20.0, 16.0)})).splitlines()[2].count("18.00 ± 2.00") == 1


def test_generalisation_leaves_out_three_quarters_of_the_photo() -> None:
    whole, left = image(every=4), generalisation(every=4)
    assert (left.train.count, left.test.count) == (256, 768)
    both = torch.cat([left.train.x, left.test.x])
    assert {tuple(x) for x in both.tolist()} == {tuple(x) for x in whole.train.x.tolist()}
    assert left.nyquist == tuple(highest / 2 for highest in whole.nyquist)
    samples = dict(zip(map(tuple, whole.train.x.tolist()), whole.train.targets.tolist(), strict=True))
    assert all(samples[tuple(x)] == y for x, y in zip(left.test.x.tolist(), left.test.targets.tolist(), strict=True))


def test_a_sound_file_is_cut_and_scaled(tmp_path: Path) -> None:
    import soundfile

    samples = np.zeros((4000, 2))
    samples[1000:1500, 0] = 0.2 * np.sin(np.arange(500))
    samples[1010, 0] = -0.25
    soundfile.write(tmp_path / "a.wav", samples, 1000, subtype="FLOAT")
    task = sound(tmp_path / "a.wav", length_s=0.5)
    assert task.signal == "a.wav"
    assert task.train.count == 500
    np.testing.assert_allclose(task.train.targets[:, 0], 2.0 * samples[1000:1500, 0], atol=1e-6)


def test_a_video_file_is_cut_and_thinned(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 8, "bgr0"
        for level in (0, 51, 102):
            picture = np.full((8, 16, 3), level, dtype=np.uint8)
            picture[:, 8:, 1] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    task = video(tmp_path / "a.mkv", frames=2, every=4)
    assert task.train.targets.reshape(2, 2, 4, 3)[:, 0, 0, 0].tolist() == pytest.approx([0.0, 0.2])
    assert task.train.targets.reshape(2, 2, 4, 3)[0, 0, :, 1].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_a_solid_fills_its_volume() -> None:
    task = shape(cells=40)
    assert grid_extents(task) == [13, 40, 40]
    volume = 2.0 * np.pi**2 * 0.65 * 0.3**2 / (1.05**3 * 0.6 * 1.9**2)
    assert float(task.train.targets.mean()) == pytest.approx(volume, rel=0.06)
    assert task.generalises
    assert not {tuple(x) for x in task.train.x.tolist()} & {tuple(x) for x in task.test.x.tolist()}


def test_a_mesh_is_occupied_where_it_is_solid(tmp_path: Path) -> None:
    large, small = trimesh.creation.box((4.0, 2.0, 1.0)), trimesh.creation.box((1.0, 1.0, 1.0))
    small.apply_translation((1.5, 0.0, 1.0))
    both = trimesh.util.concatenate([large, small]).apply_translation((9.0, 0.0, -0.5))
    both.export(tmp_path / "boxes.obj")
    task = shape(tmp_path / "boxes.obj", cells=40)
    assert grid_extents(task) == [20, 20, 40]
    z, y, x = (task.train.x.numpy() * 1.05 * 2.0).T  # the longest half is 2, with room of a twentieth
    in_large = (abs(x) < 2.0) & (abs(y) < 1.0) & (z > -1.0) & (z < 0.0)
    in_small = (x > 1.0) & (x < 2.0) & (abs(y) < 0.5) & (z > 0.0) & (z < 1.0)
    np.testing.assert_array_equal(task.train.targets[:, 0].numpy() > 0.5, in_large | in_small)


def grid_extents(task: Task) -> list[int]:
    return [len(set(task.train.x[:, axis].tolist())) for axis in range(task.train.x.shape[1])]


def test_the_photo_is_the_one_of_the_repository() -> None:
    assert image().signal == CAMERA.name
    assert image().train.count == 128 * 128
