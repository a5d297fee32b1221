"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
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
    _check_free(destination, force=force)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{destination.name}.", suffix=".part", dir=destination.parent)
    except OSError as error:
        raise OutputError(f"{destination.parent} cannot be written: {error.strerror}; choose another folder") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 is for secrets
        _check_free(destination, force=force)
        temporary.replace(destination)
    except OSError as error:
        if isinstance(error, OutputError) or not _is_ours(error, temporary, destination):
            raise
        raise OutputError(f"{destination} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _check_free(destination: Path, *, force: bool) -> None:
    if destination.is_dir():
        raise OutputError(f"{destination} is a folder; expected a file name: add one")
    if destination.exists() and not force:
        raise OutputError(f"{destination} already exists; use --force to replace it or -o to name another file")
    if not destination.parent.is_dir():
        raise OutputError(f"folder {destination.parent} does not exist; make it or choose another")


def _is_ours(error: OSError, temporary: Path, destination: Path) -> bool:
    """True for a full disk or a fault on one of our two files, not for one inside the block."""
    return error.filename in (None, str(temporary), str(destination))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
