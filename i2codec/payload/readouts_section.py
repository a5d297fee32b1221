"""The READOUTS section: W and b of a grid field for a file that was cut, where only the coarsest levels are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2codec.container.layout import Field, Layout
from i2codec.errors import FormatError
from i2codec.field.grid_architecture import GridArchitecture

READOUT_HEADER = Layout("READOUT_HEADER", (Field("whole_levels", "B"),))

_HALF = np.dtype("<f2")


class Readout(NamedTuple):
    """W ``[C, S]`` and b ``[C]`` as float32, which half floats represent."""

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]

    @classmethod
    def rounded(cls, weights: NDArray[np.floating], biases: NDArray[np.floating]) -> Readout:
        """The nearest that a file can hold."""
        largest = np.finfo(_HALF).max  # beyond it a number would become infinite, which readers refuse
        arrays = (np.clip(array, -largest, largest) for array in (weights, biases))
        return cls(*(array.astype(_HALF).astype(np.float32) for array in arrays))


Readouts = Mapping[int, Readout]
"""By the number of levels, from the coarsest on, that are there with all their tiles."""


def pack_readouts(readouts: Readouts) -> bytes:
    """Payload of the READOUTS section."""
    records = []
    for whole_levels, readout in sorted(readouts.items()):
        numbers = np.concatenate([readout.weights.reshape(-1), readout.biases]).astype(_HALF)
        records.append(READOUT_HEADER.pack(whole_levels=whole_levels) + numbers.tobytes())
    return b"".join(records)


def unpack_readouts(payload: bytes, architecture: GridArchitecture) -> dict[int, Readout]:
    """The readouts in a READOUTS section's payload.

    Raises
    ------
    FormatError
        If the section is empty or truncated, a number is not finite, or levels do not rise from 1 to
        less than all.
    """
    shape = (architecture.channel_count, architecture.width)
    numbers_bytes = (shape[0] * shape[1] + shape[0]) * _HALF.itemsize
    record_bytes = READOUT_HEADER.size + numbers_bytes
    if not payload or len(payload) % record_bytes:
        raise FormatError(f"readouts of {len(payload)} bytes; expected a multiple of {record_bytes}, and at least one")
    readouts: dict[int, Readout] = {}
    least = 1
    for start in range(0, len(payload), record_bytes):
        whole_levels = READOUT_HEADER.unpack(payload, start)["whole_levels"]
        if not least <= whole_levels < architecture.level_count:
            raise FormatError(
                f"a readout for {whole_levels} of {architecture.level_count} levels; expected rising ones"
            )
        numbers = np.frombuffer(payload, _HALF, offset=start + READOUT_HEADER.size, count=numbers_bytes // 2)
        if not np.isfinite(numbers).all():
            raise FormatError(f"the readout for {whole_levels} levels has a number that is not finite")
        weights, biases = np.split(numbers.astype(np.float32), [shape[0] * shape[1]])
        readouts[whole_levels] = Readout(weights.reshape(shape), biases)
        least = whole_levels + 1
    return readouts
