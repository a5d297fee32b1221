"""What opens every NETWORK section: the ids and sizes that say how a field is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from i2codec.container.layout import Field, Layout
from i2codec.container.limits import Limits
from i2codec.errors import FormatError, LimitError, VersionError
from i2codec.field.architecture import Filter
from i2codec.field.grid_architecture import Basis
from i2codec.payload.ids import known

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


class Injection(IntEnum):
    """What the coordinates bring into the layer. Numbers 1 to 3 are the filters of a coordinate field."""

    SIREN = Filter.SIREN
    FOURIER = Filter.FOURIER
    GABOR = Filter.GABOR
    LATENTS = 4


class Layer(IntEnum):
    """The shared layer F. Number 1 is that of a coordinate field, the others are those of a grid field."""

    POINTWISE = 1
    STENCIL = 2
    STENCIL_UNROLLED = 3
    EXPLICIT = 4


class NoiseFilling(IntEnum):
    """What takes the place of latents that are 0 in a lattice."""

    NONE = 0
    BANDS = 1


class Boundary(IntEnum):
    """What F reads outside the grid."""

    EDGE = 1


def basis_of(payload: bytes) -> Basis | None:
    """Where the latents lie of the field in a NETWORK section's payload; ``None`` for a coordinate field.

    Raises
    ------
    TruncatedError
        If it is too short.
    VersionError
        If the basis is unknown.
    """
    head = NETWORK_HEADER.unpack(payload)
    return known(Basis, int(head["basis"]), field="basis") if head["injection"] == Injection.LATENTS else None


def check_absent(head: Mapping[str, int | float], parts: Iterable[str]) -> None:
    """Refuse parts of the synthesis that a field does without; later fields add ids."""
    for part in parts:
        if head[part]:
            raise VersionError(f"{part} has the unknown id {head[part]}; this release knows 0 (none): update i2codec")


def check_limits(sizes: Mapping[str, int | float], limits: Mapping[str, int]) -> None:
    """Refuse ``sizes`` over the ``limits`` of the same names."""
    for quantity, limit in limits.items():
        if sizes[quantity] > limit:
            raise LimitError(f"network {quantity.replace('_', ' ')} {sizes[quantity]}; the limit is {limit}")


def check_steps(head: Mapping[str, int | float], limits: Limits) -> None:
    """Refuse a step count that is 0 or over its limit."""
    check_limits(head, {"steps": limits.max_steps})
    if head["steps"] < 1:
        raise FormatError("step count 0; expected at least 1")


def check_parameters(count: int, limits: Limits) -> None:
    """Refuse more parameters than the limit."""
    if count > limits.max_parameters:
        raise LimitError(f"{count} parameters; the limit is {limits.max_parameters}")
