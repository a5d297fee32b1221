"""The NETWORK section of a grid field: its quantised parameters, without the latents, as bytes and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2codec.container.layout import Field, Layout
from i2codec.container.limits import Limits
from i2codec.errors import FormatError, OptionError
from i2codec.field.architecture import Norm
from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import Kernel
from i2codec.field.stencil import Stencil, sup_norm
from i2codec.latents.model import ContextModel
from i2codec.latents.tables import load_latent_tables
from i2codec.latents.template import Template
from i2codec.payload.ids import known
from i2codec.payload.network_header import (
    NETWORK_HEADER,
    Boundary,
    Injection,
    Layer,
    NoiseFilling,
    check_absent,
    check_limits,
    check_parameters,
    check_steps,
)
from i2codec.payload.tensors import pack_tensors, unpack_tensors
from i2codec.prior.priors import prior_for
from i2codec.signal.colour import ColourTransform

GRID_HEADER = Layout(
    "GRID_HEADER",
    (
        Field("level_count", "B"),
        Field("hidden_width", "H"),
        Field("context_width", "B"),
        Field("context_count", "B"),
        Field("latent_tables", "B"),
        Field("coded_tensors", "H"),
    ),
)

TABLE_SET = 2
"""Of the tensors."""
LATENT_TABLE_SET = 1

# Parts of the synthesis that a grid field does without, and what a pyramid or a lattice does without.
_ABSENT = ("start_state",)
_ABSENT_OF = {Basis.PYRAMID: ("noise_filling",), Basis.LATTICE: ("interpolation", "prior")}
_CONTEXT_ARGUMENTS = {"C_1": "w1", "d_1": "b1", "C_2": "w2", "d_2": "b2", "C_3": "w3", "d_3": "b3"}


@dataclass(frozen=True)
class QuantisedGridNetwork:
    """A grid field's synthesis and context model on integers, ready to be coded.

    Parameters
    ----------
    architecture:
        Sizes; ``context_features`` are those of one of the templates.
    integers:
        Parameter tensors by name: what they differ from the prior by, in units of their steps.
    quantisation_steps:
        Step of each tensor, representable as half floats. Those of tensors without an integer
        other than 0 are not stored, and read as 1.
    contraction:
        Proved bound on the sup norm of A, as :func:`proved_contraction` gives it.
    steps:
        Step count K.
    prior:
        Number of the prior.
    colour_transform:
        What the outputs are.
    """

    architecture: GridArchitecture
    integers: Mapping[str, NDArray[np.int64]]
    quantisation_steps: Mapping[str, float]
    contraction: float
    steps: int
    prior: int = 0
    colour_transform: ColourTransform = ColourTransform.NONE

    def __post_init__(self) -> None:
        found = {name: integers.shape for name, integers in self.integers.items()}
        if found != self.architecture.tensor_shapes:
            raise OptionError(f"tensors {found} do not fit {self.architecture.tensor_shapes}")
        if self.architecture.unrolled and self.architecture.stencil is Stencil.POINTWISE:
            raise OptionError("a pointwise layer has no steps to unroll; expected unrolled=False")
        if (self.template is Template.COLOUR) != (self.architecture.plane_count > 1):
            raise OptionError(
                f"{self.architecture.plane_count} latents at every node under the context model "
                f"{self.template.name.lower()}"
            )

    @property
    def template(self) -> Template:
        """Neighbours that the context model reads."""
        for template in _templates(self.architecture.basis):
            if template.feature_count == self.architecture.context_features:
                return template
        raise OptionError(f"no context template has {self.architecture.context_features} features")

    def dequantised(self) -> StoredGridNetwork:
        """The synthesis that the decoder runs."""
        tensors = self._parameters(self.architecture.synthesis_shapes)
        return StoredGridNetwork(
            self.architecture, {name: tensor.astype(np.float32) for name, tensor in tensors.items()}, self.steps
        )

    def context_tensors(self) -> dict[str, NDArray[np.float64]]:
        """Parameters of the context model by name, before they are rounded to its fixed point."""
        return self._parameters(self.architecture.context_shapes)

    def context_model(self) -> ContextModel:
        """The context model that the decoder runs, rounded to its fixed point."""
        tensors = self.context_tensors()
        return ContextModel.from_float(
            self.template, **{argument: tensors[name] for name, argument in _CONTEXT_ARGUMENTS.items()}
        )

    def _parameters(self, names: Mapping[str, object]) -> dict[str, NDArray[np.float64]]:
        """Prior + step · integer in float64: the product is exact and the sum rounded once, on all machines alike."""
        prior = prior_for(self.prior, self.architecture)
        return {name: prior[name] + self.integers[name] * np.float64(self.quantisation_steps[name]) for name in names}


def proved_contraction(network: StoredGridNetwork) -> float:
    """Bound c on the sup norm of A, exactly representable as float32; 0 for layers that are not bounded by it."""
    if layer_of(network.architecture) is not Layer.STENCIL:
        return 0.0
    norm = sup_norm(network.tensors["A"])
    nearest = np.float32(norm)
    is_bound = float(nearest) >= norm  # not in float32, where the two are equal
    return float(nearest if is_bound else np.nextafter(nearest, np.float32(np.inf)))


def pack_grid_network(network: QuantisedGridNetwork) -> bytes:
    """Payload of the NETWORK section."""
    architecture, layer = network.architecture, layer_of(network.architecture)
    shapes = architecture.tensor_shapes
    coded = {name: shape for name, shape in shapes.items() if network.integers[name].any()}
    header = NETWORK_HEADER.pack(
        injection=Injection.LATENTS,
        basis=architecture.basis,
        layer=layer,
        norm=_norm(layer),
        stencil=architecture.stencil,
        boundary=Boundary.EDGE,
        interpolation=architecture.kernel if architecture.basis is Basis.PYRAMID else 0,
        context_model=network.template,
        tables=TABLE_SET,
        prior=network.prior,
        colour_transform=network.colour_transform,
        steps=network.steps,
        depth=1,
        width=architecture.width,
        contraction=network.contraction,
        state_scale=1.0,
        noise_filling=NoiseFilling.BANDS if architecture.has_noise else NoiseFilling.NONE,
        **dict.fromkeys(_ABSENT, 0),
    )
    grid_header = GRID_HEADER.pack(
        level_count=architecture.level_count,
        hidden_width=architecture.hidden_width,
        context_width=architecture.context_width,
        context_count=architecture.context_count,
        latent_tables=LATENT_TABLE_SET,
        coded_tensors=sum(1 << number for number, name in enumerate(shapes) if name in coded),
    )
    return header + grid_header + pack_tensors(coded, network.integers, network.quantisation_steps, table_set=TABLE_SET)


def unpack_grid_network(payload: bytes, *, axis_count: int, channel_count: int, limits: Limits) -> QuantisedGridNetwork:
    """The network in a NETWORK section's payload, for a signal of these axes and channels.

    Raises
    ------
    FormatError
        If it is truncated, corrupt, contradicts itself, does not fit its prior, or its layer is not
        proved to contract.
    VersionError
        If an id is unknown.
    LimitError
        If a size or the step count is over its limit; checked before memory is taken.
    """
    head = NETWORK_HEADER.unpack(payload)
    grid_head = GRID_HEADER.unpack(payload, NETWORK_HEADER.size)
    sizes = head | grid_head
    architecture = _unpack_architecture(sizes, axis_count=axis_count, channel_count=channel_count, limits=limits)
    colour_transform = known(ColourTransform, head["colour_transform"], field="colour transform")
    load_latent_tables(grid_head["latent_tables"])
    shapes, coded = architecture.tensor_shapes, grid_head["coded_tensors"]
    if coded >> len(shapes):
        raise FormatError(f"coded tensors {coded:#06x}; the network has {len(shapes)} tensors")
    integers, quantisation_steps = unpack_tensors(
        payload[NETWORK_HEADER.size + GRID_HEADER.size :],
        {name: shape for number, (name, shape) in enumerate(shapes.items()) if coded >> number & 1},
        table_set=head["tables"],
    )
    network = QuantisedGridNetwork(
        architecture,
        {name: integers[name] if name in integers else np.zeros(shape, np.int64) for name, shape in shapes.items()},
        {name: quantisation_steps.get(name, 1.0) for name in shapes},
        contraction=head["contraction"],
        steps=head["steps"],
        prior=head["prior"],
        colour_transform=colour_transform,
    )
    _check_contraction(network)  # its prior is looked up here, too
    return network


def read_grid_architecture(payload: bytes, *, axis_count: int, channel_count: int, limits: Limits) -> GridArchitecture:
    """What the network in a payload is made of; raises as :func:`unpack_grid_network`."""
    sizes = NETWORK_HEADER.unpack(payload) | GRID_HEADER.unpack(payload, NETWORK_HEADER.size)
    return _unpack_architecture(sizes, axis_count=axis_count, channel_count=channel_count, limits=limits)


def _unpack_architecture(
    sizes: Mapping[str, Any], *, axis_count: int, channel_count: int, limits: Limits
) -> GridArchitecture:
    """What both headers, as one mapping, say that the network is made of."""
    check_absent(sizes, _ABSENT)
    if (injection := known(Injection, sizes["injection"], field="injection")) is not Injection.LATENTS:
        raise FormatError(f"a grid field with the injection {injection.name.lower()}; expected latents")
    basis = known(Basis, sizes["basis"], field="basis")
    check_absent(sizes, _ABSENT_OF[basis])
    noise_filling = known(NoiseFilling, sizes["noise_filling"], field="noise filling")
    if basis is Basis.LATTICE and sizes["level_count"] != 1 + noise_filling:
        raise FormatError(
            f"a lattice of {sizes['level_count']} levels with the noise filling {noise_filling.name.lower()}"
        )
    known(Boundary, sizes["boundary"], field="boundary")
    layer = known(Layer, sizes["layer"], field="layer")
    stencil = known(Stencil, sizes["stencil"], field="stencil")
    norm = known(Norm, sizes["norm"], field="norm")
    kernel = Kernel.LANCZOS_CUBIC
    if basis is Basis.PYRAMID:
        kernel = known(Kernel, sizes["interpolation"], field="interpolation")
    template = known(Template, sizes["context_model"], field="context model")
    if template not in _templates(basis):
        raise FormatError(f"a {basis.name.lower()} of latents with the context model {template.name.lower()}")
    if template is Template.COLOUR and channel_count == 1:
        raise FormatError("one channel with the context model colour; expected 2 to 4")
    check_steps(sizes, limits)
    check_limits(
        sizes,
        {
            "level_count": limits.max_levels,
            "hidden_width": limits.max_hidden_width,
            "context_width": limits.max_context_width,
            "width": limits.max_width,
        },
    )
    if (sizes["depth"], sizes["state_scale"]) != (1, 1.0):
        raise FormatError(
            f"a grid field of depth {sizes['depth']} and state scale {sizes['state_scale']}; expected 1, 1"
        )
    try:
        architecture = GridArchitecture(
            level_count=sizes["level_count"],
            axis_count=axis_count,
            channel_count=channel_count,
            hidden_width=sizes["hidden_width"],
            width=sizes["width"],
            context_width=sizes["context_width"],
            context_features=template.feature_count,
            context_count=sizes["context_count"],
            stencil=stencil,
            unrolled=layer is Layer.STENCIL_UNROLLED,
            kernel=kernel,
            basis=basis,
            plane_count=channel_count if template is Template.COLOUR else 1,
        )
    except OptionError as error:
        raise FormatError(f"network header: {error}") from error
    if (layer is Layer.EXPLICIT) != (stencil is Stencil.POINTWISE) or layer is Layer.POINTWISE:
        raise FormatError(f"a grid field with the layer {layer.name.lower()} and the stencil {stencil.name.lower()}")
    if norm is not _norm(layer):
        raise FormatError(
            f"the layer {layer.name.lower()} with the norm {norm.name.lower()}; expected {_norm(layer).name.lower()}"
        )
    check_parameters(architecture.parameter_count, limits)
    return architecture


def _check_contraction(network: QuantisedGridNetwork) -> None:
    """Refuse a layer that is not proved to contract, or not by what the file promises."""
    promised, found = network.contraction, proved_contraction(network.dequantised())
    if not found < 1.0:
        raise FormatError(f"a stencil of sup norm {found:.6g}; expected below 1")
    if not found <= promised < 1.0:
        raise FormatError(f"contraction factor {promised:.6g} of a stencil of sup norm {found:.6g}; expected that to 1")
    if promised and layer_of(network.architecture) is not Layer.STENCIL:
        raise FormatError(f"contraction factor {promised:.6g} of a layer without a bound; expected 0")


def layer_of(architecture: GridArchitecture) -> Layer:
    """The id of the layer F."""
    if architecture.stencil is Stencil.POINTWISE:
        return Layer.EXPLICIT
    return Layer.STENCIL_UNROLLED if architecture.unrolled else Layer.STENCIL


def _templates(basis: Basis) -> tuple[Template, ...]:
    return (Template.LATTICE,) if basis is Basis.LATTICE else (Template.PLANE, Template.VOLUME, Template.COLOUR)


def _norm(layer: Layer) -> Norm:
    """The norm that a grid field's layer is bounded in."""
    return Norm.NONE if layer is Layer.STENCIL_UNROLLED else Norm.SUP
