import numpy as np

from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.signal import Signal
from i2codec.signal.stream import SignalMemory


def test_a_signal_in_memory_is_read_from_front_to_back():
    description = SignalDescription(Kind.SOUND, (Axis(AxisName.TIME, 5),), (ChannelRole.SOUND,), SampleFormat.INT16)
    samples = np.arange(5, dtype=np.float32)[:, None]
    reader = SignalMemory(Signal(description, samples))
    assert [reader.read(2)[:, 0].tolist() for _ in range(4)] == [[0, 1], [2, 3], [4], []]
    assert (reader.timestamps(), reader.lost(), reader.metadata) == (None, None, {})
