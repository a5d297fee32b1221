"""Range coding of integers: one traversal for both directions.

A caller walks its data once, asking a :class:`Coder` for each group of integers; with an
:class:`Encoder` the values go in, with a :class:`Decoder` they come out. The range coder is
constriction's ``queue`` (32-bit words, 64-bit state, 24-bit frequencies). Table frequencies
n/2¹⁶ are exact in float64 and ``perfect=True`` reproduces them, which a test proves on every
table; the words are pinned by golden files.

An integer v outside −R..R is coded as the escape symbol. After all symbols of its group
follow, for each escape in order: its sign, the bit length n of |v| − R, and the n − 1 bits
below the leading one, all under uniform models.
"""

from __future__ import annotations

import abc
import functools
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from i2codec.entropy.tables import LARGEST_MAGNITUDE, LENGTH_BITS, TOTAL_BITS, Table
from i2codec.errors import FormatError, OptionError

Integers = NDArray[np.int64]


class Coder(abc.ABC):
    """One direction of coding. ``code`` is the traversal's only verb."""

    def code(self, values: Integers | None, *, count: int, table: Table) -> Integers:
        """Code ``count`` integers under ``table``.

        An encoder takes them as ``values`` and returns them; a decoder takes ``None``.
        """
        symbols = None if values is None else self._to_symbols(values, table)
        symbols = self._symbols(symbols, count=count, model=_model(table))
        result = symbols.astype(np.int64) - table.radius
        for position in np.flatnonzero(symbols == 2 * table.radius + 1):
            result[position] = self._escaped(None if values is None else int(values[position]), table.radius)
        return result

    @staticmethod
    def _to_symbols(values: Integers, table: Table) -> NDArray[np.int32]:
        if values.size and int(np.abs(values).max()) > LARGEST_MAGNITUDE:
            raise OptionError(f"an integer of magnitude over {LARGEST_MAGNITUDE} cannot be coded; use a larger step")
        symbols = np.where(np.abs(values) > table.radius, 2 * table.radius + 1, values + table.radius)
        return symbols.astype(np.int32)

    def _escaped(self, value: int | None, radius: int) -> int:
        excess = None if value is None else abs(value) - radius
        negative = self._uniform(None if value is None else int(value < 0), size=2)
        length = self._uniform(None if excess is None else excess.bit_length() - 1, size=2**LENGTH_BITS)
        if length >= LARGEST_MAGNITUDE.bit_length():
            raise FormatError(
                f"an escaped value of {length + 1} bits; at most {LARGEST_MAGNITUDE.bit_length()} are valid"
            )
        mantissa = 0
        if length:
            mantissa = self._uniform(None if excess is None else excess - (1 << length), size=1 << length)
        magnitude = radius + (1 << length) + mantissa
        if magnitude > LARGEST_MAGNITUDE:
            raise FormatError(f"an escaped value of magnitude {magnitude}; at most {LARGEST_MAGNITUDE} is valid")
        return -magnitude if negative else magnitude

    def _uniform(self, value: int | None, *, size: int) -> int:
        symbol = None if value is None else np.array([value], dtype=np.int32)
        return int(self._symbols(symbol, count=1, model=_uniform_model(size))[0])

    @abc.abstractmethod
    def _symbols(self, symbols: NDArray[np.int32] | None, *, count: int, model: Any) -> NDArray[np.int32]:
        """Code ``count`` symbols under a constriction model."""


class Encoder(Coder):
    """Takes integers in, gives bytes out."""

    def __init__(self) -> None:
        """Start with no words."""
        self._range_encoder = constriction.stream.queue.RangeEncoder()

    def _symbols(self, symbols: NDArray[np.int32] | None, *, count: int, model: Any) -> NDArray[np.int32]:
        assert symbols is not None  # an encoder is always given its values
        assert len(symbols) == count
        self._range_encoder.encode(symbols, model)
        return symbols

    def to_bytes(self) -> bytes:
        """All words so far, little-endian."""
        words: bytes = self._range_encoder.get_compressed().astype("<u4").tobytes()
        return words


class Decoder(Coder):
    """Takes bytes in, gives integers out. Whatever the bytes are, it ends and stays in bounds."""

    def __init__(self, data: bytes) -> None:
        """Read from the start of ``data``.

        Raises
        ------
        FormatError
            If the bytes are not whole words; ``code`` also raises it where no encoder can
            have written them.
        """
        if len(data) % 4:
            raise FormatError(f"{len(data)} bytes of coded integers; expected a multiple of 4")
        words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
        self._range_decoder = constriction.stream.queue.RangeDecoder(words)

    def _symbols(self, symbols: NDArray[np.int32] | None, *, count: int, model: Any) -> NDArray[np.int32]:
        try:
            decoded: NDArray[np.int32] = self._range_decoder.decode(model, count)
        except AssertionError as error:  # constriction's report of words no encoder can have written
            raise FormatError("coded integers are corrupt: no symbol matches the range coder's state") from error
        return decoded

    def finish(self) -> None:
        """Check that no words are left over.

        Raises
        ------
        FormatError
            If there are; always found from the third on, as the range coder's state holds two.
        """
        if not self._range_decoder.maybe_exhausted():
            raise FormatError("coded integers have words left over")


@functools.cache
def _model(table: Table) -> Any:
    frequencies = table.frequencies.astype(np.float64) / 2**TOTAL_BITS
    return constriction.stream.model.Categorical(frequencies, perfect=True)


@functools.cache
def _uniform_model(size: int) -> Any:
    return constriction.stream.model.Uniform(size)
