from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from i2codec.errors import InputError, OutputError
from i2codec.fit.checkpoint import Checkpoint


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "c"
    Checkpoint(path, "print").save("fit", {"step": 3, "z": torch.arange(4)})
    Checkpoint(path, "print").save("tune", {"step": 1})
    loaded = Checkpoint(path, "print")
    assert loaded.load("fit")["step"] == 3
    assert torch.equal(loaded.load("fit")["z"], torch.arange(4))
    assert loaded.load("tune") == {"step": 1}
    assert loaded.load("other") is None
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
    loaded.remove()
    assert list(tmp_path.iterdir()) == []


def test_without_a_path_nothing_is_kept() -> None:
    checkpoint = Checkpoint()
    checkpoint.save("fit", 1)
    assert not checkpoint.due
    assert checkpoint.load("fit") is None


def test_another_source_is_refused(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", "one").save("fit", 1)
    with pytest.raises(InputError, match="belongs to another source"):
        Checkpoint(tmp_path / "c", "two")


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04."])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(InputError, match="is not an i2codec checkpoint"):
        Checkpoint(tmp_path / "c", "one")


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 1, "fingerprint": "one", "stages": pytest.fail}, tmp_path / "c")
    with pytest.raises(InputError, match="is not an i2codec checkpoint"):
        Checkpoint(tmp_path / "c", "one")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        Checkpoint(tmp_path / "missing" / "c", "one")


def test_a_folder_that_went_away(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    checkpoint = Checkpoint(folder / "c", "one")
    folder.rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoint.save("fit", 1)


def test_parts_keep_stages_of_the_same_name_apart(tmp_path: Path) -> None:
    whole = Checkpoint(tmp_path / "c", "print")
    first, second = whole.part("signal 0").part("unit 1"), whole.part("signal 0").part("unit 10")
    first.save("fit", 1)
    second.save("fit", 10)
    whole.save("fit", 0)
    loaded = Checkpoint(tmp_path / "c", "print")
    assert loaded.part("signal 0").part("unit 1").load("fit") == 1
    assert loaded.part("signal 0").part("unit 10").load("fit") == 10
    assert loaded.part("signal 0").load("unit 1/fit") == 1
    assert loaded.load("fit") == 0
    assert loaded.part("signal 1").part("unit 1").load("fit") is None


def test_a_part_forgets_its_own_stages_only(tmp_path: Path) -> None:
    whole = Checkpoint(tmp_path / "c", "print")
    for name in ("unit 1", "unit 10"):
        for stage in ("fit", "tune"):
            whole.part(name).save(stage, name)
    whole.part("unit 1").clear()
    assert whole.part("unit 1").load("fit") is None
    assert whole.part("unit 10").load("tune") == "unit 10"
    assert Checkpoint(tmp_path / "c", "print").part("unit 1").load("fit") == "unit 1"  # nothing was saved since
    whole.part("unit 1").save("packed", torch.arange(3))
    loaded = Checkpoint(tmp_path / "c", "print")
    assert loaded.part("unit 1").load("fit") is None
    assert torch.equal(loaded.part("unit 1").load("packed"), torch.arange(3))


def test_stages_are_dropped_by_the_beginning_of_their_name(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "print")
    stages = ("main/fit", "main/tune", "search", "search/main/fit")
    for stage in stages:
        checkpoint.save(stage, 1)
    checkpoint.drop("main/")
    assert [checkpoint.load(stage) for stage in stages] == [None, None, 1, 1]
    checkpoint.drop("")
    assert checkpoint.load("search") is None


def test_a_part_is_due_when_the_whole_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Checkpoint(tmp_path / "c", "print")
    assert not whole.part("unit 0").due
    monkeypatch.setattr("i2codec.fit.checkpoint._INTERVAL_S", 0.0)
    assert whole.part("unit 0").due
    assert not Checkpoint().part("unit 0").due


def test_parts_save_side_by_side(tmp_path: Path) -> None:
    whole = Checkpoint(tmp_path / "c", "print")
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(
            lambda unit: whole.part(f"unit {unit}").save("fit", {"z": torch.full((100,), unit)}), range(24)
        ):
            pass
    loaded = Checkpoint(tmp_path / "c", "print")
    assert all(loaded.part(f"unit {unit}").load("fit")["z"].unique() == unit for unit in range(24))
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
