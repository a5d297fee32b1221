"""Quantised tensors as bytes and back: one record for each, then the coded integers of all.

``_code_tensors`` is the single traversal of the parameters for both directions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from i2codec.container.layout import Field, Layout
from i2codec.entropy.coder import Coder, Decoder, Encoder
from i2codec.entropy.tables import Table, cheapest_table, load_tables
from i2codec.errors import FormatError

TENSOR = Layout("TENSOR", (Field("step", "e"), Field("table", "B")))

Integers = NDArray[np.int64]
Shapes = Mapping[str, tuple[int, ...]]


def rate_bits(integers: Mapping[str, Integers], *, table_set: int) -> float:
    """Estimated bits of coded tensors, each under its cheapest table; headers not counted."""
    tables = load_tables(table_set)
    return sum(cheapest_table(tensor.ravel(), tables)[1] for tensor in integers.values())


def pack_tensors(
    shapes: Shapes, integers: Mapping[str, Integers], steps: Mapping[str, float], *, table_set: int
) -> bytes:
    """TENSOR records and coded integers of the tensors in ``shapes``, in their order."""
    tables = load_tables(table_set)
    numbers = {name: cheapest_table(integers[name].ravel(), tables)[0] for name in shapes}
    records = [TENSOR.pack(step=steps[name], table=number) for name, number in numbers.items()]
    encoder = Encoder()
    _code_tensors(encoder, shapes, {name: tables[number] for name, number in numbers.items()}, integers)
    return b"".join(records) + encoder.to_bytes()


def unpack_tensors(data: bytes, shapes: Shapes, *, table_set: int) -> tuple[dict[str, Integers], dict[str, float]]:
    """Integers and quantisation steps of the tensors in ``shapes``; ``data`` ends with them.

    Raises
    ------
    FormatError
        If a record or the coded integers are truncated, corrupt, or followed by anything.
    VersionError
        If this release does not carry the set of tables.
    """
    tables = load_tables(table_set)
    offset, steps, chosen = 0, {}, {}
    for name in shapes:
        record = TENSOR.unpack(data, offset)
        offset += TENSOR.size
        if not (math.isfinite(record["step"]) and record["step"] > 0):
            raise FormatError(f"quantisation step {record['step']} of tensor {name}; expected a finite step above 0")
        if record["table"] >= len(tables):
            raise FormatError(f"entropy table {record['table']} of tensor {name}; the set has {len(tables)}")
        steps[name], chosen[name] = record["step"], tables[record["table"]]
    decoder = Decoder(data[offset:])
    integers = _code_tensors(decoder, shapes, chosen, None)
    decoder.finish()
    return integers, steps


def _code_tensors(
    coder: Coder, shapes: Shapes, tables: Mapping[str, Table], integers: Mapping[str, Integers] | None
) -> dict[str, Integers]:
    """Walk all tensors in file order, row by row; both directions of coding are this walk."""
    coded = {}
    for name, shape in shapes.items():
        values = None if integers is None else integers[name].ravel()
        flat = coder.code(values, count=math.prod(shape), table=tables[name])
        coded[name] = flat.reshape(shape)
    return coded
