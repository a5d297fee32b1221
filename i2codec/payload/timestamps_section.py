"""The TIMESTAMPS section: how long each frame of a video lasts, compressed with Zstandard."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import numpy as np
import zstandard

from i2codec.container.layout import Field, Layout
from i2codec.errors import FormatError, OptionError
from i2codec.signal.timestamps import TimeStamps

TIME_BASE = Layout("TIME_BASE", (Field("numerator", "I"), Field("denominator", "I")))

_LEVEL = 19
_TICKS = np.dtype("<u4")


def pack_timestamps(timestamps: TimeStamps) -> bytes:
    """Payload of the TIMESTAMPS section.

    Raises
    ------
    OptionError
        If a frame lasts 2³² ticks or more, or the time base does not fit its fields.
    """
    durations = np.diff(np.array(timestamps.ticks, dtype=np.int64))
    if durations.max() >= 2**32:
        raise OptionError(f"a frame lasts {durations.max()} ticks; expected fewer than 2³²")
    base = timestamps.time_base
    head = TIME_BASE.pack(numerator=base.numerator, denominator=base.denominator)
    return head + zstandard.ZstdCompressor(level=_LEVEL).compress(durations.astype(_TICKS).tobytes())


def unpack_timestamps(payload: bytes, *, frame_count: int) -> TimeStamps:
    """The time stamps in a TIMESTAMPS section's payload, for a video of ``frame_count`` frames.

    Raises
    ------
    FormatError
        If the section is damaged or holds another number of frames; nothing is decompressed then.
    """
    base = TIME_BASE.unpack(payload)
    if not (base["numerator"] and base["denominator"]):
        raise FormatError(f"time base {base['numerator']}/{base['denominator']}; expected a fraction above 0")
    try:
        compressed = payload[TIME_BASE.size :]
        size = zstandard.frame_content_size(compressed)
        if size != frame_count * _TICKS.itemsize:
            raise FormatError(f"time stamps of {size} bytes; expected {frame_count * _TICKS.itemsize}")
        raw = zstandard.ZstdDecompressor().decompress(compressed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"time stamps cannot be decompressed: {error}") from error
    durations = np.frombuffer(raw, dtype=_TICKS).tolist()
    try:
        return TimeStamps(Fraction(base["numerator"], base["denominator"]), tuple(accumulate(durations, initial=0)))
    except OptionError as error:
        raise FormatError(f"time stamps: {error}") from error
