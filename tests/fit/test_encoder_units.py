"""How the samples of a signal are cut into units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2codec.fit.encoder import segment_length
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.segments import Segments
from i2codec.signal.signal import Signal
from i2codec.signal.stream import SignalMemory, segments_of

_AXES = {
    Kind.SOUND: (AxisName.TIME,),
    Kind.VIDEO: (AxisName.TIME, AxisName.Y, AxisName.X),
    Kind.PHOTO: (AxisName.Y, AxisName.X),
    Kind.SHAPE: (AxisName.Z, AxisName.Y, AxisName.X),
}


def _described(kind: Kind, *extents: int) -> SignalDescription:
    axes = tuple(Axis(name, extent) for name, extent in zip(_AXES[kind], extents, strict=True))
    return SignalDescription(kind, axes, (ChannelRole.SOUND,), SampleFormat.FLOAT32)


@pytest.mark.parametrize(
    ("kind", "extents", "expected"),
    [
        (Kind.SOUND, (300,), 300),
        (Kind.SOUND, (50_000,), 4096),
        (Kind.PHOTO, (5000, 7000), 5000),
        (Kind.SHAPE, (300, 100, 100), 300),
        (Kind.VIDEO, (90, 128, 128), 32),
        (Kind.VIDEO, (3, 128, 128), 3),
        (Kind.VIDEO, (90, 64, 128), 64),
        (Kind.VIDEO, (90, 640, 480), 8),
        (Kind.VIDEO, (90, 1080, 1920), 4),
        (Kind.VIDEO, (90, 2160, 3840), 1),
        (Kind.VIDEO, (90, 9000, 9000), 1),
    ],
)
def test_units_are_of_a_bounded_size(kind: Kind, extents: tuple[int, ...], expected: int) -> None:
    assert segment_length(_described(kind, *extents)) == expected


class _Counted(SignalMemory):
    """Keeps how much was asked for at once."""

    def __init__(self, count: int) -> None:
        super().__init__(Signal(_described(Kind.SOUND, count), np.arange(count, dtype=np.float32)[:, None]))
        self.asked: list[int] = []

    def read(self, count: int) -> NDArray[np.float32]:
        self.asked.append(count)
        return super().read(count)


@given(extent=st.integers(1, 400), length=st.integers(1, 60))
def test_samples_are_cut_as_the_file_says(extent: int, length: int) -> None:
    reader = _Counted(extent)
    pieces = list(segments_of(reader, length))
    segments = Segments(extent=extent, length=min(extent, length))
    bounds = [segments.bounds(unit) for unit in range(segments.count)]
    assert [(int(piece[0, 0]), int(piece[-1, 0]) + 1) for piece in pieces] == bounds
    np.testing.assert_array_equal(np.concatenate(pieces)[:, 0], np.arange(extent))
    assert set(reader.asked) == {length}
