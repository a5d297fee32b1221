"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from i2codec.errors import OutputError


@contextlib.contextmanager
def replacing(destination: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A temporary file beside ``destination`` that takes its name when the block ends well.

    It is made at once, so a folder that cannot be written is found before any slow work. It
    is named ``.NAME.….part`` and removed if the block raises.

    Raises
    ------
    OutputError
        If the destination exists and ``force`` is not set, or cannot be written.
    """
    temporary = destination.parent / f".{destination.name}.{secrets.token_hex(4)}.part"
    try:
        _check_free(destination, force=force)
        with temporary.open("x+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _check_free(destination, force=force)
        temporary.replace(destination)
    except OSError as error:
        if isinstance(error, OutputError) or not _is_ours(error, temporary, destination):
            raise
        reason = error.strerror or error
        raise OutputError(f"{destination} cannot be written: {reason}; choose another place") from error
    finally:
        with contextlib.suppress(OSError):  # what went wrong was reported above
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(destination: Path) -> Iterator[Path]:
    """A temporary folder beside ``destination`` that takes its name when the block ends well.

    An existing folder is never replaced. The temporary one is removed if the block raises.

    Raises
    ------
    OutputError
        If the destination exists or cannot be made.
    """
    temporary = destination.parent / f".{destination.name}.{secrets.token_hex(4)}.part"
    try:
        if destination.exists():
            raise OutputError(f"{destination} already exists; use -o to name a folder that does not")
        temporary.mkdir()
        yield temporary
        temporary.rename(destination)
    except OSError as error:
        if isinstance(error, OutputError) or error.filename not in (None, str(temporary), str(destination)):
            raise
        reason = error.strerror or error
        raise OutputError(f"{destination} cannot be made: {reason}; choose another place") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # what went wrong was reported above


def _check_free(destination: Path, *, force: bool) -> None:
    if destination.is_dir():
        raise OutputError(f"{destination} is a folder; expected a file name: add one")
    if destination.exists() and not destination.is_file():
        raise OutputError(f"{destination} is a device or pipe; expected a file name, or - for standard output")
    if destination.exists() and not force:
        raise OutputError(f"{destination} already exists; use --force to replace it or -o to name another file")
    if not destination.parent.is_dir():
        raise OutputError(f"folder {destination.parent} does not exist; make it or choose another")


def _is_ours(error: OSError, temporary: Path, destination: Path) -> bool:
    """True for a full disk or a fault on one of our two files, not for one inside the block."""
    return error.filename in (None, str(temporary), str(destination))
