"""The progress bar: PSNR, estimated size, time left."""

from __future__ import annotations

import math
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from i2codec.fit.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class ProgressBar:
    """A progress callback that draws on standard error if that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        """Draw nothing if ``quiet``."""
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> ProgressBar:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0, figures="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Draw a report."""
        if self._bar is None or self._task is None:
            return
        figures = []
        if not math.isnan(progress.psnr_db):
            figures += [f"{progress.psnr_db:.2f} dB", f"{progress.size_bytes:,} bytes"]
        if not math.isnan(progress.remaining_s):
            figures.append(f"{progress.remaining_s:.0f} s left")
        units = f"{progress.unit + 1}/{progress.unit_count} " if progress.unit_count > 1 else ""
        self._bar.update(
            self._task, description=f"{units}{progress.stage}", completed=progress.fraction, figures=", ".join(figures)
        )
