"""The NETWORK section of a coordinate field: its quantised parameters as bytes and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.container.limits import Limits
from i2codec.entropy.quantiser import dequantise
from i2codec.errors import FormatError, OptionError
from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.stored import StoredNetwork
from i2codec.payload.ids import known
from i2codec.payload.network_header import (
    NETWORK_HEADER,
    Layer,
    check_absent,
    check_limits,
    check_parameters,
    check_steps,
)
from i2codec.payload.tensors import pack_tensors, unpack_tensors
from i2codec.signal.colour import ColourTransform

TABLE_SET = 1
"""Of the tensors; readers of 0.1.0 have no other."""
# Parts of the synthesis that a coordinate field does without.
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


def pack_network(network: QuantisedNetwork) -> bytes:
    """Payload of the NETWORK section."""
    architecture = network.architecture
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
    return header + pack_tensors(
        architecture.tensor_shapes, network.integers, network.quantisation_steps, table_set=TABLE_SET
    )


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
    colour_transform = known(ColourTransform, head["colour_transform"], field="colour transform")
    if not 0.0 <= head["state_scale"] <= 1.0:
        raise FormatError(f"state scale {head['state_scale']} is not in 0..1")
    integers, quantisation_steps = unpack_tensors(
        payload[NETWORK_HEADER.size :], architecture.tensor_shapes, table_set=head["tables"]
    )
    return QuantisedNetwork(
        architecture,
        integers,
        quantisation_steps,
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
    check_absent(head, _ABSENT)
    filters = known(Filter, int(head["injection"]), field="injection")
    if known(Layer, int(head["layer"]), field="layer") is not Layer.POINTWISE:
        raise FormatError(f"a coordinate field with layer {head['layer']}; expected {Layer.POINTWISE.value}")
    check_limits(head, {"width": limits.max_width, "depth": limits.max_depth})
    check_steps(head, limits)
    try:
        architecture = Architecture(
            filter=filters,
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
    check_parameters(architecture.parameter_count, limits)
    return architecture
