"""The NETWORK section: a quantised coordinate field as bytes and back.

``_code_tensors`` is the single traversal of the parameters for both directions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from i2codec.container.layout import Field, Layout
from i2codec.container.limits import Limits
from i2codec.entropy.coder import Coder, Decoder, Encoder
from i2codec.entropy.quantiser import dequantise
from i2codec.entropy.tables import Table, cheapest_table, load_tables
from i2codec.errors import FormatError, LimitError, OptionError, VersionError
from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.stored import StoredNetwork
from i2codec.payload.ids import known
from i2codec.signal.colour import ColourTransform

NETWORK_HEADER = Layout(
    "NETWORK_HEADER",
    (
        Field("injection", "B"),
        Field("basis", "B"),
        Field("layer", "B"),
        Field("norm", "B"),
        Field("start_state", "B"),
        Field("stencil", "B"),
        Field("boundary", "B"),
        Field("interpolation", "B"),
        Field("context_model", "B"),
        Field("tables", "B"),
        Field("prior", "B"),
        Field("colour_transform", "B"),
        Field("noise_filling", "B"),
        Field("steps", "B"),
        Field("depth", "B"),
        Field("width", "H"),
        Field("contraction", "f"),
        Field("state_scale", "f"),
    ),
)
TENSOR = Layout("TENSOR", (Field("step", "e"), Field("table", "B")))

TABLE_SET = 1


class Injection(IntEnum):
    """What the coordinates bring into the layer. Numbers 1 to 3 are the filters of a coordinate field."""

    SIREN = Filter.SIREN
    FOURIER = Filter.FOURIER
    GABOR = Filter.GABOR


class Layer(IntEnum):
    """The shared layer F."""

    POINTWISE = 1


# Parts of the synthesis that a coordinate field does without; later fields add ids.
_ABSENT = ("basis", "start_state", "stencil", "boundary", "interpolation", "context_model", "prior", "noise_filling")


@dataclass(frozen=True)
class QuantisedNetwork:
    """A coordinate field on integers, ready to be coded.

    Parameters
    ----------
    architecture:
        Filters, sizes, norm and proved contraction factor c.
    integers:
        Parameter tensors in units of their steps, by name.
    quantisation_steps:
        Step of each tensor, representable as half floats.
    state_scale:
        Scale s of the state, representable as float32, for which c is proved.
    steps:
        Step count K.
    colour_transform:
        What the outputs are.
    """

    architecture: Architecture
    integers: Mapping[str, NDArray[np.int64]]
    quantisation_steps: Mapping[str, float]
    state_scale: float
    steps: int
    colour_transform: ColourTransform

    def dequantised(self) -> StoredNetwork:
        """The network that the decoder runs."""
        tensors = {
            name: dequantise(self.integers[name], step=self.quantisation_steps[name])
            for name in self.architecture.tensor_shapes
        }
        return StoredNetwork(self.architecture, tensors, self.state_scale, self.steps)


def rate_bits(integers: Mapping[str, NDArray[np.int64]]) -> float:
    """Estimated bits of coded tensors, each under its cheapest table; headers not counted."""
    tables = load_tables(TABLE_SET)
    return sum(cheapest_table(tensor.ravel(), tables)[1] for tensor in integers.values())


def pack_network(network: QuantisedNetwork) -> bytes:
    """Payload of the NETWORK section."""
    architecture = network.architecture
    tables = load_tables(TABLE_SET)
    table_numbers = {
        name: cheapest_table(network.integers[name].ravel(), tables)[0] for name in architecture.tensor_shapes
    }
    header = NETWORK_HEADER.pack(
        injection=architecture.filter,
        layer=Layer.POINTWISE,
        norm=architecture.norm,
        tables=TABLE_SET,
        colour_transform=network.colour_transform,
        steps=network.steps,
        depth=architecture.depth,
        width=architecture.width,
        contraction=architecture.contraction,
        state_scale=network.state_scale,
        **dict.fromkeys(_ABSENT, 0),
    )
    records = [
        TENSOR.pack(step=network.quantisation_steps[name], table=table_numbers[name])
        for name in architecture.tensor_shapes
    ]
    encoder = Encoder()
    chosen = {name: tables[number] for name, number in table_numbers.items()}
    _code_tensors(encoder, architecture, chosen, network.integers)
    return header + b"".join(records) + encoder.to_bytes()


def unpack_network(payload: bytes, *, axis_count: int, channel_count: int, limits: Limits) -> QuantisedNetwork:
    """The network in a NETWORK section's payload, for a signal of these axes and channels.

    Raises
    ------
    FormatError
        If it is truncated, corrupt, or its contraction factor is not below 1.
    VersionError
        If an id is unknown.
    LimitError
        If a size or the step count is over its limit; checked before memory is taken.
    """
    head = NETWORK_HEADER.unpack(payload)
    architecture = _unpack_architecture(head, axis_count=axis_count, channel_count=channel_count, limits=limits)
    tables = load_tables(head["tables"])
    colour_transform = known(ColourTransform, head["colour_transform"], field="colour transform")
    if not 0.0 <= head["state_scale"] <= 1.0:
        raise FormatError(f"state scale {head['state_scale']} is not in 0..1")
    offset = NETWORK_HEADER.size
    steps, table_numbers = {}, {}
    for name in architecture.tensor_shapes:
        record = TENSOR.unpack(payload, offset)
        offset += TENSOR.size
        if not (math.isfinite(record["step"]) and record["step"] > 0):
            raise FormatError(f"quantisation step {record['step']} of tensor {name}; expected a finite step above 0")
        if record["table"] >= len(tables):
            raise FormatError(f"entropy table {record['table']} of tensor {name}; the set has {len(tables)}")
        steps[name], table_numbers[name] = record["step"], record["table"]
    decoder = Decoder(payload[offset:])
    integers = _code_tensors(decoder, architecture, {name: tables[table_numbers[name]] for name in steps}, None)
    decoder.finish()
    return QuantisedNetwork(
        architecture,
        integers,
        steps,
        state_scale=head["state_scale"],
        steps=head["steps"],
        colour_transform=colour_transform,
    )


def read_architecture(payload: bytes, *, axis_count: int, channel_count: int, limits: Limits) -> Architecture:
    """What the network in a payload is made of; raises as :func:`unpack_network`."""
    head = NETWORK_HEADER.unpack(payload)
    return _unpack_architecture(head, axis_count=axis_count, channel_count=channel_count, limits=limits)


def _unpack_architecture(
    head: Mapping[str, int | float], *, axis_count: int, channel_count: int, limits: Limits
) -> Architecture:
    for part in _ABSENT:
        if head[part]:
            raise VersionError(f"{part} has the unknown id {head[part]}; this release knows 0 (none): update i2codec")
    known(Layer, int(head["layer"]), field="layer")
    injection = known(Injection, int(head["injection"]), field="injection")
    for quantity, limit in (("width", limits.max_width), ("depth", limits.max_depth), ("steps", limits.max_steps)):
        if head[quantity] > limit:
            raise LimitError(f"network {quantity} {head[quantity]}; the limit is {limit}")
    if head["steps"] < 1:
        raise FormatError("step count 0; expected at least 1")
    try:
        architecture = Architecture(
            filter=Filter(injection),
            width=int(head["width"]),
            depth=int(head["depth"]),
            axis_count=axis_count,
            channel_count=channel_count,
            norm=known(Norm, int(head["norm"]), field="norm"),
            contraction=head["contraction"],
        )
    except OptionError as error:
        raise FormatError(f"network header: {error}") from error
    if architecture.norm is Norm.NONE:
        raise FormatError("network without a contraction bound; expected the spectral or the sup norm")
    if architecture.parameter_count > limits.max_parameters:
        raise LimitError(f"{architecture.parameter_count} parameters; the limit is {limits.max_parameters}")
    return architecture


def _code_tensors(
    coder: Coder,
    architecture: Architecture,
    tables: Mapping[str, Table],
    integers: Mapping[str, NDArray[np.int64]] | None,
) -> dict[str, NDArray[np.int64]]:
    """Walk all tensors in file order, row by row; both directions of coding are this walk."""
    coded = {}
    for name, shape in architecture.tensor_shapes.items():
        values = None if integers is None else integers[name].ravel()
        flat = coder.code(values, count=math.prod(shape), table=tables[name])
        coded[name] = flat.reshape(shape)
    return coded
