import struct
from fractions import Fraction
from itertools import accumulate

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import FormatError, OptionError, TruncatedError
from i2codec.payload.timestamps_section import pack_timestamps, unpack_timestamps
from i2codec.signal.timestamps import TimeStamps

U32 = st.integers(1, 2**32 - 1)


@given(U32, U32, st.lists(U32, min_size=1, max_size=50))
def test_round_trip(numerator, denominator, durations):
    stamps = TimeStamps(Fraction(numerator, denominator), tuple(accumulate(durations, initial=0)))
    assert unpack_timestamps(pack_timestamps(stamps), frame_count=len(durations)) == stamps


def test_even_frames_take_hardly_any_bytes():
    stamps = TimeStamps(Fraction(1, 90000), tuple(range(0, 3000 * 10001, 3000)))
    assert len(pack_timestamps(stamps)) < 60


def section(*durations, base=(1, 25)):
    raw = struct.pack(f"<{len(durations)}I", *durations)
    return struct.pack("<II", *base) + zstandard.ZstdCompressor(level=19).compress(raw)


def test_golden_layout():
    stamps = TimeStamps(Fraction(1, 25), (0, 2, 3))
    assert pack_timestamps(stamps) == section(2, 1)
    assert unpack_timestamps(section(2, 1), frame_count=2) == stamps


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (section(2, 1, base=(0, 25)), "time base"),
        (section(2, 1, base=(1, 0)), "time base"),
        (section(2, 1, 1), "12 bytes; expected 8"),
        (section(2), "4 bytes; expected 8"),
        (section(2, 0), "must rise"),
        (section(2, 1) + b"more", "cannot be decompressed"),
        (section(2, 1)[:-1], "cannot be decompressed"),
        (section(2, 1)[:8] + b"rubbish", "cannot be decompressed"),
    ],
)
def test_damage_is_found(payload, message):
    with pytest.raises(FormatError, match=message):
        unpack_timestamps(payload, frame_count=2)


def test_a_cut_time_base_is_a_truncation():
    with pytest.raises(TruncatedError):
        unpack_timestamps(b"\1\0\0", frame_count=2)


def test_a_frame_that_lasts_too_long_is_refused():
    with pytest.raises(OptionError, match="2³²"):
        pack_timestamps(TimeStamps(Fraction(1), (0, 2**32)))
