"""Grid fields as a file holds them: a pyramid of latents, or a lattice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from i2codec.errors import OptionError
from i2codec.field.grid_architecture import Basis
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.payload.grid_section import QuantisedGridNetwork, pack_grid_network
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.latents_section import Address, LatentPyramid
from i2codec.payload.lattice_section import LatticeUnits
from i2codec.payload.readouts_section import Readouts, pack_readouts
from i2codec.signal.description import SignalDescription


@dataclass(frozen=True)
class StoredGrid:
    """A grid field on a pyramid.

    Parameters
    ----------
    network:
        Synthesis and context model.
    latents:
        The pyramid that they belong to.
    readouts:
        What takes the place of the network's readout where only so many levels of the latents are whole.
    """

    network: QuantisedGridNetwork
    latents: LatentPyramid
    readouts: Readouts = field(default_factory=dict)

    def synthesis(self) -> StoredGridNetwork:
        """The synthesis that the decoder runs on the levels that are whole."""
        network = self.network.dequantised()
        readout = self.readouts.get(self.latents.whole_levels)
        if readout is None:
            return network
        return replace(network, tensors={**network.tensors, "W": readout.weights, "b": readout.biases})

    @property
    def is_whole(self) -> bool:
        """Whether all latents are there."""
        return self.latents.is_whole

    def what_is_whole(self) -> str:
        """How much of the latents is there, in words."""
        return f"{self.latents.whole_levels} of {self.latents.tiles.level_count} levels are whole"

    @property
    def latent_payloads(self) -> Mapping[Address, bytes]:
        """Payloads of the LATENTS sections by level and unit, in the order of the file."""
        return self.latents.payloads

    def payloads(self) -> tuple[bytes, ...]:
        """Payloads of the NETWORK, READOUTS and LATENTS sections, in the order of the file."""
        readouts = [pack_readouts(self.readouts)] if self.readouts else []
        return pack_grid_network(self.network), *readouts, *self.latent_payloads.values()

    def check(self, description: SignalDescription, *, unit_count: int) -> None:
        """Raise :class:`OptionError` where it does not belong to a signal of this description and so many units."""
        tiles = self.latents.tiles
        if unit_count > 1:
            raise OptionError(f"a pyramid of latents in {unit_count} units; expected one")
        _check_sizes(self.network, description, basis=Basis.PYRAMID, level_count=tiles.level_count)
        if tiles != LatentTiles.of(description.axes, tiles.level_count, planes=self.network.architecture.planes):
            raise OptionError(f"latents in {tiles} do not fit the signal's extents {description.extents}")


@dataclass(frozen=True)
class StoredLattice:
    """A grid field on a lattice.

    Parameters
    ----------
    network:
        Layers and context model.
    units:
        Their latents.
    """

    network: QuantisedGridNetwork
    units: LatticeUnits

    @property
    def is_whole(self) -> bool:
        """Whether all latents are there."""
        return self.units.is_whole

    def what_is_whole(self) -> str:
        """How much of the latents is there, in words."""
        return f"{len(self.units.payloads)} of {self.units.unit_count} units of the sound are there"

    @property
    def latent_payloads(self) -> Mapping[Address, bytes]:
        """Payloads of the LATENTS sections by level and unit, in the order of the file."""
        return self.units.payloads

    def payloads(self) -> tuple[bytes, ...]:
        """Payloads of the NETWORK and LATENTS sections, in the order of the file."""
        return pack_grid_network(self.network), *self.latent_payloads.values()

    def check(self, description: SignalDescription, *, unit_count: int) -> None:
        """Raise :class:`OptionError` where it does not belong to a signal of this description and so many units."""
        level_count = 2 if self.network.architecture.has_noise else 1
        _check_sizes(self.network, description, basis=Basis.LATTICE, level_count=level_count)
        if self.is_whole and len(self.latent_payloads) != unit_count:
            raise OptionError(f"latents of {len(self.latent_payloads)} units for {unit_count} units")


def _check_sizes(
    network: QuantisedGridNetwork, description: SignalDescription, *, basis: Basis, level_count: int
) -> None:
    architecture = network.architecture
    sizes = (architecture.basis, architecture.axis_count, architecture.channel_count, architecture.level_count)
    wanted = (basis, len(description.axes), len(description.channels), level_count)
    if sizes != wanted:
        raise OptionError(f"a grid field of {sizes[1:]} axes, channels and levels; expected {wanted[1:]}")
