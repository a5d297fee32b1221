from __future__ import annotations

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
