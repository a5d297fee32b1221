"""Range coding of latent grids: one stream of bytes for one grid or several, one traversal for both directions.

A caller walks its grids once, asking a :class:`LatentCoder` for each; with a :class:`LatentEncoder`
the latents go in, with a :class:`LatentDecoder` they come out. ``docs/format.md`` specifies it step
by step; ``plain`` does the same in plain Python.
"""

from __future__ import annotations

import abc

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import FormatError
from i2codec.latents.layout import Integers, checked_shape, checked_values, kernel_grids, kernel_weights
from i2codec.latents.model import ContextModel
from i2codec.latents.tables import load_latent_tables
from i2codec.latents.template import Template

__all__ = ["LatentCoder", "LatentDecoder", "LatentEncoder", "code_lengths"]

_TABLE_SET = 1
_WHOLE = 2**64 - 1


class LatentCoder(abc.ABC):
    """One direction of coding under one context model. ``code`` is the traversal's only verb."""

    def __init__(self, model: ContextModel, state: NDArray[np.uint64]) -> None:
        """Begin with a state of the range coder, as in ``kernel``."""
        self._model = model
        self._state = state

    def code(
        self,
        values: Integers | None,
        *,
        shape: tuple[int, ...],
        coarser: Integers | None,
        coarsest: Integers | None,
        level: int,
        column_count: int | None = None,
    ) -> NDArray[np.int32]:
        """Code a grid or tile ``[T, H, W]``: an encoder takes its values and returns them, a decoder takes ``None``.

        ``coarser`` and ``coarsest`` are the grids of the next two coarser levels over the same
        area, ⌈n/2⌉ and ⌈n/4⌉ nodes along an axis of n; ``None`` stands for zeros. ``level`` says
        which of the model's biases to use. A lattice has no coarser grids; ``column_count`` is the
        number of all its columns, where only the first are coded.

        Raises
        ------
        OptionError
            If a type, a shape or the level is not as said, or a value is over the template's largest.
        FormatError
            In a decoder, if no encoder can have written the bytes. It cannot go on after that.
        """
        grid = self._grid(values, checked_shape(shape))
        self._code(grid, levels=(coarser, coarsest), level=level, column_count=column_count)
        return grid

    @abc.abstractmethod
    def _grid(self, values: Integers | None, shape: tuple[int, int, int]) -> NDArray[np.int32]:
        """The grid to code, or to decode into."""

    @abc.abstractmethod
    def _code(
        self,
        grid: NDArray[np.int32],
        *,
        levels: tuple[Integers | None, Integers | None],
        level: int,
        column_count: int | None,
    ) -> None:
        """Code a grid that was checked; a decoder fills it."""


class LatentEncoder(LatentCoder):
    """Takes latents in, gives bytes out."""

    def __init__(self, model: ContextModel) -> None:
        """Start with no bytes."""
        super().__init__(model, np.array([0, _WHOLE, 0, 0, 0], dtype=np.uint64))
        self._words = np.empty(0, dtype=np.uint32)

    def _grid(self, values: Integers | None, shape: tuple[int, int, int]) -> NDArray[np.int32]:
        assert values is not None  # an encoder is always given its values
        return checked_values(values, shape, largest=self._model.template.largest_latent)

    def _code(
        self,
        grid: NDArray[np.int32],
        *,
        levels: tuple[Integers | None, Integers | None],
        level: int,
        column_count: int | None,
    ) -> None:
        from i2codec.latents import kernel

        # A node takes at most 36 bits and a little: 16 for the escape symbol, 1 + 4 + 15 after it. One of
        # a lattice takes 16, 1 + 5 + 22, or 8 low bits in place of as many of the 22.
        room = 2 + grid.size * (6 if self._model.template is Template.LATTICE else 5) // 4
        written = self._words[: self._word_count]
        if len(self._words) < len(written) + room:
            self._words = np.concatenate([written, np.empty(len(written) + room, dtype=np.uint32)])
        _traverse(
            kernel.ENCODE,
            grid,
            self._words,
            self._state,
            levels=levels,
            model=self._model,
            level=level,
            column_count=column_count,
        )

    @property
    def _word_count(self) -> int:
        return int(self._state[3])

    @property
    def byte_count(self) -> int:
        """Number of bytes so far; ``to_bytes`` may end with up to four more, or leave out zeros."""
        return 4 * self._word_count

    def to_bytes(self) -> bytes:
        """The shortest bytes that decode to all grids so far."""
        low, span, *_ = map(int, self._state)
        written = self._words[: self._word_count].astype(">u4").tobytes()
        code = (int.from_bytes(written, "big") << 64) + _shortest(low, span)
        return code.to_bytes(len(written) + 8, "big").rstrip(b"\0")


class LatentDecoder(LatentCoder):
    """Takes bytes in, gives latents out. Whatever the bytes are, it ends and stays in bounds."""

    def __init__(self, data: bytes, model: ContextModel) -> None:
        """Read from the start of ``data``."""
        start = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
        super().__init__(model, np.array([0, _WHOLE, start, 2, 0], dtype=np.uint64))
        self._data = data
        self._words = np.frombuffer(data + bytes(-len(data) % 4), dtype=">u4").astype(np.uint32)

    def _grid(self, values: Integers | None, shape: tuple[int, int, int]) -> NDArray[np.int32]:
        assert values is None  # a decoder has none to be given
        return np.zeros(shape, dtype=np.int32)

    def _code(
        self,
        grid: NDArray[np.int32],
        *,
        levels: tuple[Integers | None, Integers | None],
        level: int,
        column_count: int | None,
    ) -> None:
        from i2codec.latents import kernel

        _traverse(
            kernel.DECODE,
            grid,
            self._words,
            self._state,
            levels=levels,
            model=self._model,
            level=level,
            column_count=column_count,
        )
        fault = int(self._state[kernel.FAULT])
        if fault == kernel.TOO_LARGE:
            raise FormatError(f"coded latents hold one of a magnitude over {self._model.template.largest_latent}")
        if fault:
            raise FormatError("coded latents are corrupt: no symbol matches the range coder's state")

    def finish(self) -> None:
        """Check that the bytes are just those that an encoder writes for all grids so far.

        Raises
        ------
        FormatError
            If they are not: cut, longer, or with a changed end.
        """
        low, span, code, word_count, _ = map(int, self._state)
        is_read = len(self._data) <= 4 * word_count and not self._data.endswith(b"\0")
        if not is_read or code != _shortest(low, span) & _WHOLE:
            raise FormatError(f"coded latents of {len(self._data)} bytes do not end where their last symbol does")


def code_lengths(
    values: Integers,
    *,
    coarser: Integers | None,
    coarsest: Integers | None,
    model: ContextModel,
    level: int,
    column_count: int | None = None,
) -> NDArray[np.float64]:
    """Bits ``[T, H, W]`` that each node costs; arguments and errors are those of ``LatentCoder.code``.

    They are the logarithms of the exact integer probabilities, and add up to the size of the code
    but for its last byte and what the range coder rounds, less than 10⁻⁴ bits a node.
    """
    from i2codec.latents import kernel

    grid = checked_values(values, checked_shape(np.shape(values)), largest=model.template.largest_latent)
    lengths = np.empty(grid.shape)
    words, state = np.empty(0, dtype=np.uint32), np.zeros(5, dtype=np.uint64)
    levels = (coarser, coarsest)
    _traverse(
        kernel.MEASURE,
        grid,
        words,
        state,
        levels=levels,
        model=model,
        level=level,
        column_count=column_count,
        lengths=lengths,
    )
    return lengths


_UNMEASURED = np.empty((0, 0, 0))


def _traverse(
    mode: int,
    grid: NDArray[np.int32],
    words: NDArray[np.uint32],
    state: NDArray[np.uint64],
    *,
    levels: tuple[Integers | None, Integers | None],
    model: ContextModel,
    level: int,
    column_count: int | None,
    lengths: NDArray[np.float64] = _UNMEASURED,
) -> None:
    from i2codec.latents import kernel  # here and above, since numba takes half a second to import

    grids = kernel_grids(
        grid, *levels, template=model.template, border=kernel.BORDER, column_count=column_count or grid.shape[2]
    )
    weights = kernel_weights(model, level)
    tables = load_latent_tables(_TABLE_SET)
    template = model.template
    traverse = kernel.traversal(
        features=template.feature_count,
        width=len(weights[1]),
        is_lattice=template is Template.LATTICE,
        halves_planes=template.halves_planes,
    )
    flat_tables = (tables.cumulative, tables.middles, tables.radii)
    traverse(mode, grid, lengths, grids, weights, flat_tables, words, state)


def _shortest(low: int, span: int) -> int:
    """The number in ``low`` ≤ n < ``low + span`` with the most zero bytes at its end, the smallest of these.

    A multiple of 2⁶⁴ is one with no byte of its own: 0, or a carry into the bytes before.
    """
    number = low
    for bits in range(64, 31, -8):
        number = -(-low >> bits) << bits
        if number < low + span:
            break  # at 2³² at the latest, as span is 2³² or more
    return number
