import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from i2codec.errors import OutputError
from i2codec.output import replacing, replacing_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, content, *, force=False, then=lambda: None):
    with replacing(path, force=force) as stream:
        stream.write(content)
        then()


def failing(error):
    def fail():
        raise error

    return fail


def test_the_name_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "photo.i2"
    with replacing(path, force=False) as stream:
        stream.write(b"half")
        stream.flush()
        (temporary,) = names(tmp_path)
        assert temporary.startswith(".photo.i2.")
        assert temporary.endswith(".part")
        stream.seek(0)
        assert stream.read() == b"half"
    assert names(tmp_path) == ["photo.i2"]
    assert path.read_bytes() == b"half"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_the_file_has_ordinary_permissions(tmp_path):
    write(tmp_path / "ours", b"")
    (tmp_path / "theirs").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_an_existing_file_is_kept_unless_forced(tmp_path):
    path = tmp_path / "photo.i2"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="already exists; use --force"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    write(path, b"new", force=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["photo.i2"]


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path):
    path = tmp_path / "photo.i2"
    with pytest.raises(OutputError, match="already exists"):
        write(path, b"ours", then=lambda: path.write_bytes(b"theirs"))
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["photo.i2"]


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), ValueError(), OutputError("of the block"), FileNotFoundError(errno.ENOENT, "gone", "source")],
)
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "photo.i2"
    path.write_bytes(b"old")
    with pytest.raises(type(error)) as caught:
        write(path, b"new", force=True, then=failing(error))
    assert caught.value is error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["photo.i2"]


def test_a_full_disk_is_an_output_error(tmp_path):
    path = tmp_path / "photo.i2"
    with pytest.raises(OutputError, match="cannot be written: No space left"), replacing(path, force=False):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


def test_errors_about_other_files_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "photo.i2", force=False):
        (tmp_path / "source").read_bytes()
    assert names(tmp_path) == []


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a folder"),
        ("folder", "is a folder"),
        ("missing/photo.i2", "does not exist; make it"),
        ("file/photo.i2", "does not exist; make it"),
        ("n" * 300, "cannot be written"),
    ],
)
def test_destinations_that_cannot_be(tmp_path, name, message, force):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=message), replacing(tmp_path / name, force=force):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices_are_never_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OutputError, match="device or pipe"), replacing(path, force=True):
        pytest.fail("the block must not run")
    assert path.is_fifo()


def test_a_folder_that_cannot_be_written_is_found_before_the_block(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write into every folder")
    with pytest.raises(OutputError, match="cannot be written"), replacing(folder / "photo.i2", force=False):
        pytest.fail("the block must not run")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "photo.i2"
    path.write_bytes(b"old")
    code = (
        "import os, signal, sys; from pathlib import Path; from i2codec.output import replacing\n"
        "with replacing(Path(sys.argv[1]), force=True) as stream:\n"
        "    stream.write(b'new')\n"
        "    stream.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    left = [name for name in names(tmp_path) if name != "photo.i2"]
    assert len(left) == 1
    assert Path(left[0]).suffix == ".part"


def fill(folder, *files, then=lambda: None):
    with replacing_folder(folder) as temporary:
        for name in files:
            (temporary / name).write_bytes(name.encode())
        then()


def test_a_folder_appears_when_it_is_whole(tmp_path):
    folder = tmp_path / "frames"
    with replacing_folder(folder) as temporary:
        (temporary / "0001.png").write_bytes(b"picture")
        assert names(tmp_path) == [temporary.name]
        assert temporary.name.startswith(".frames.")
        assert temporary.suffix == ".part"
    assert names(tmp_path) == ["frames"]
    assert (folder / "0001.png").read_bytes() == b"picture"


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_exists_is_never_replaced_by_a_folder(tmp_path, make):
    make(tmp_path / "frames")
    with (
        pytest.raises(OutputError, match="already exists; use -o to name a folder"),
        replacing_folder(tmp_path / "frames"),
    ):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["frames"]


def test_a_folder_that_appeared_meanwhile_is_kept(tmp_path):
    folder = tmp_path / "frames"

    def appear():
        folder.mkdir()
        (folder / "theirs").write_bytes(b"")

    with pytest.raises(OutputError, match="cannot be made"):
        fill(folder, "ours", then=appear)
    assert names(tmp_path) == ["frames"]
    assert names(folder) == ["theirs"]


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), ValueError(), OutputError("of the block"), FileNotFoundError(errno.ENOENT, "gone", "source")],
)
def test_a_failure_removes_the_folder_with_all_that_is_in_it(tmp_path, error):
    with pytest.raises(type(error)) as caught:
        fill(tmp_path / "frames", "0001.png", "0002.png", then=failing(error))
    assert caught.value is error
    assert names(tmp_path) == []


def test_a_disk_that_is_full_of_frames_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be made: No space left"):
        fill(tmp_path / "frames", "0001.png", then=failing(OSError(errno.ENOSPC, "No space left on device")))
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["missing/frames", "file/frames", "n" * 300])
def test_folders_that_cannot_be_made(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"), replacing_folder(tmp_path / name):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["file"]
