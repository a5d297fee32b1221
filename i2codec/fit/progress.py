"""What the encoder reports while it works, and how a caller stops it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from i2codec.errors import Cancelled

_INTERVAL_S = 0.1


@dataclass(frozen=True)
class Progress:
    """A report from the encoder.

    Parameters
    ----------
    stage:
        What it is doing: ``fit`` (a search for the width has several), ``quantise``, ``close``, ``tune``, ``pack``.
    fraction:
        Part of the stage that is done, 0..1.
    step:
        Optimiser steps taken in this stage.
    psnr_db:
        PSNR of the last batch (SNR of a sound), NaN before the first.
    size_bytes:
        Estimated size of the unit.
    remaining_s:
        Estimated time until the stage is done, NaN where unknown.
    unit, unit_count:
        Which part of the signal is worked on, counted from 0, and of how many.
    """

    stage: str
    fraction: float
    step: int = 0
    psnr_db: float = math.nan
    size_bytes: int = 0
    remaining_s: float = math.nan
    unit: int = 0
    unit_count: int = 1


ProgressCallback = Callable[[Progress], bool | None]
"""Called now and then; returning False cancels the encoding."""


@dataclass
class Reporter:
    """Passes reports on at most every tenth of a second, with the unit that is worked on."""

    callback: ProgressCallback | None = None
    unit: int = 0
    unit_count: int = 1
    _last: float = field(default=-math.inf)

    @property
    def due(self) -> bool:
        """True if a report now would be passed on."""
        return self.callback is not None and time.monotonic() - self._last >= _INTERVAL_S

    def report(self, progress: Progress) -> None:
        """Pass ``progress`` on.

        Raises
        ------
        Cancelled
            If the callback returns False.
        """
        if self.callback is None:
            return
        self._last = time.monotonic()
        if self.callback(replace(progress, unit=self.unit, unit_count=self.unit_count)) is False:
            raise Cancelled("encoding was cancelled by the progress callback; nothing was written")
