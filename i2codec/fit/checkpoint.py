"""A file that an interrupted fit continues from."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from i2codec.errors import InputError, OutputError

_INTERVAL_S = 5.0
_FORMAT = 1


@dataclass
class Checkpoint:
    """States of the stages of one fit, by stage, kept in a file.

    Without a path it keeps nothing. Saving never changes the fit, so a continued one gives
    the same bytes as one that was never interrupted.

    Parameters
    ----------
    path:
        The file, or ``None``.
    fingerprint:
        Identifies source and options; a file with another one is refused.
    """

    path: Path | None = None
    fingerprint: str = ""
    _stages: dict[str, Any] = field(default_factory=dict)
    _last_save: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.path is None:
            return
        if not self.path.parent.is_dir() or not os.access(self.path.parent, os.W_OK):
            raise OutputError(f"checkpoint {self.path} cannot be written; choose a folder that is there and writable")
        if not self.path.exists():
            return
        try:
            # weights_only: tensors and plain containers, never code
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            found, version, stages = content["fingerprint"], content["format"], content["stages"]
        except Exception as error:
            raise InputError(f"{self.path} is not an i2codec checkpoint; delete it or name another file") from error
        if version != _FORMAT or found != self.fingerprint:
            raise InputError(
                f"checkpoint {self.path} belongs to another source, options or release; delete it or name another file"
            )
        self._stages = stages

    def part(self, name: str) -> CheckpointPart:
        """The stages of a part of the fit."""
        return CheckpointPart(self, f"{name}/")

    def load(self, stage: str) -> Any:
        """The state saved for a stage, or ``None``."""
        return self._stages.get(stage)

    @property
    def due(self) -> bool:
        """True if the last save is some seconds ago."""
        return self.path is not None and time.monotonic() - self._last_save >= _INTERVAL_S

    def save(self, stage: str, state: Any) -> None:
        """Keep ``state`` (tensors in plain containers) for a stage; the file is replaced in one step.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        if self.path is None:
            return
        with self._lock:
            self._stages[stage] = state
            self._write(self.path)

    def _write(self, path: Path) -> None:
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            torch.save({"format": _FORMAT, "fingerprint": self.fingerprint, "stages": self._stages}, partial)
            partial.replace(path)
        except (OSError, RuntimeError) as error:
            raise OutputError(f"checkpoint {path} cannot be written: {error}") from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        self._last_save = time.monotonic()

    def drop(self, prefix: str) -> None:
        """Forget all stages whose names begin with ``prefix``; the file does so with the next save."""
        with self._lock:
            self._stages = {stage: state for stage, state in self._stages.items() if not stage.startswith(prefix)}

    def remove(self) -> None:
        """Delete the file: the fit is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class CheckpointPart:
    """The stages of a :class:`Checkpoint` whose names begin with a prefix."""

    whole: Checkpoint
    prefix: str

    def part(self, name: str) -> CheckpointPart:
        """A part of this part."""
        return CheckpointPart(self.whole, f"{self.prefix}{name}/")

    def load(self, stage: str) -> Any:
        """See :meth:`Checkpoint.load`."""
        return self.whole.load(self.prefix + stage)

    @property
    def due(self) -> bool:
        """See :attr:`Checkpoint.due`."""
        return self.whole.due

    def save(self, stage: str, state: Any) -> None:
        """See :meth:`Checkpoint.save`."""
        self.whole.save(self.prefix + stage, state)

    def clear(self) -> None:
        """Forget all stages of this part."""
        self.whole.drop(self.prefix)
