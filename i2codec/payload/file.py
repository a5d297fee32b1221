"""A whole ``.i2`` file: its signals with their networks, time stamps and metadata, to bytes and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.container.reader import Container, read_container
from i2codec.container.section import Section, SectionType
from i2codec.container.writer import write_container
from i2codec.errors import FormatError, LimitError, OptionError, TruncatedError, VersionError
from i2codec.field.architecture import Architecture
from i2codec.field.grid_architecture import Basis
from i2codec.latents.template import Template
from i2codec.payload.grid_section import pack_grid_network, unpack_grid_network
from i2codec.payload.latent_tiles import LatentTiles
from i2codec.payload.latents_section import LatentPyramid
from i2codec.payload.lattice_section import LatticeUnits
from i2codec.payload.metadata_section import pack_metadata, unpack_metadata
from i2codec.payload.network_header import basis_of
from i2codec.payload.network_section import QuantisedNetwork, pack_network, read_architecture, unpack_network
from i2codec.payload.readouts_section import pack_readouts, unpack_readouts
from i2codec.payload.signal_section import SignalHeader, pack_signal, unpack_signal
from i2codec.payload.stored_grid import StoredGrid, StoredLattice
from i2codec.payload.timestamps_section import pack_timestamps, unpack_timestamps
from i2codec.signal.description import Kind, SignalDescription
from i2codec.signal.segments import Segments
from i2codec.signal.signal import MetadataKey
from i2codec.signal.timestamps import TimeStamps

_MINOR_OF_PHOTOS, _MINOR_OF_COORDINATE_FIELDS, _MINOR_OF_PYRAMIDS, _MINOR_OF_LATTICES_AND_PLANES = 0, 1, 2, 3


class PackedNetworks(Sequence[QuantisedNetwork]):
    """The networks of a signal's units as packed bytes; one at a time is unpacked."""

    def __init__(self, payloads: Sequence[bytes], *, axis_count: int, channel_count: int, limits: Limits) -> None:
        """Hold payloads of NETWORK sections, in the order of the units."""
        self.payloads = tuple(payloads)
        self._sizes = {"axis_count": axis_count, "channel_count": channel_count}
        self._limits = limits
        self._last: tuple[int, QuantisedNetwork] | None = None

    @classmethod
    def of(cls, networks: Iterable[QuantisedNetwork]) -> PackedNetworks:
        """Pack networks one after the other."""
        payloads, sizes = [], (0, 0)
        for network in networks:
            sizes = network.architecture.axis_count, network.architecture.channel_count
            payloads.append(pack_network(network))
        return cls(payloads, axis_count=sizes[0], channel_count=sizes[1], limits=DEFAULT_LIMITS)

    def architectures(self) -> list[Architecture]:
        """What the networks are made of, without their parameters."""
        return [read_architecture(payload, limits=self._limits, **self._sizes) for payload in self.payloads]

    def __len__(self) -> int:
        return len(self.payloads)

    @overload
    def __getitem__(self, unit: int) -> QuantisedNetwork: ...
    @overload
    def __getitem__(self, unit: slice) -> Sequence[QuantisedNetwork]: ...
    def __getitem__(self, unit: int | slice) -> QuantisedNetwork | Sequence[QuantisedNetwork]:
        """The network of a unit; raises as :func:`unpack_network`."""
        if isinstance(unit, slice):
            return [self[index] for index in range(len(self))[unit]]
        if self._last is None or self._last[0] != unit:
            self._last = unit, unpack_network(self.payloads[unit], limits=self._limits, **self._sizes)
        return self._last[1]


@dataclass(frozen=True)
class StoredSignal:
    """One signal as a file holds it.

    Parameters
    ----------
    description:
        Axes, channels, formats.
    networks:
        Of a coordinate field, one for each unit; none of a grid field.
    segment_length:
        Samples of a unit along the first axis; ``None`` where one unit is all.
    metadata, timestamps:
        As in :class:`~i2codec.signal.signal.Signal`.
    grid:
        The grid field, in place of networks; a lattice has latents for each unit.
    """

    description: SignalDescription
    networks: Sequence[QuantisedNetwork]
    segment_length: int | None = None
    metadata: Mapping[MetadataKey, bytes] = field(default_factory=dict)
    timestamps: TimeStamps | None = None
    grid: StoredGrid | StoredLattice | None = None

    def __post_init__(self) -> None:
        if self.grid is not None:
            if self.networks:
                raise OptionError(f"a grid field beside {len(self.networks)} networks")
            self.grid.check(self.description, unit_count=self.segments.count)
        elif len(self.networks) != self.segments.count:
            raise OptionError(f"{len(self.networks)} networks for {self.segments.count} units; expected one for each")
        if self.timestamps is not None and self.timestamps.frame_count != self.description.extents[0]:
            raise OptionError(f"{self.timestamps.frame_count} time stamps for {self.description.extents[0]} frames")

    def payloads(self) -> tuple[bytes, ...]:
        """Payloads of the NETWORK, READOUTS and LATENTS sections, in the order of the file."""
        if self.grid is not None:
            return self.grid.payloads()
        packed = self.networks if isinstance(self.networks, PackedNetworks) else PackedNetworks.of(self.networks)
        return packed.payloads

    @property
    def segments(self) -> Segments:
        """How the first axis is cut into units."""
        extent = self.description.extents[0]
        return Segments(extent=extent, length=self.segment_length or extent)

    def unit_description(self, unit: int) -> SignalDescription:
        """What the samples of one unit are: its own first extent, all else alike."""
        first, last = self.segments.bounds(unit)
        return self.description.with_length(last - first)


def write_file(signals: Sequence[StoredSignal], *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Bytes of a file that holds ``signals``; its kind is that of the first.

    Raises
    ------
    OptionError
        If a reader with the same limits would refuse the file.
    """
    sections = [
        section for number, signal in enumerate(signals) for section in _sections(signal, number=number, limits=limits)
    ]
    return write_container(signals[0].description.kind, sections, minor=_minor(signals), limits=limits)


def _minor(signals: Sequence[StoredSignal]) -> int:
    """The oldest version that has all ids of a file: 1 added units, several signals and other kinds than photos."""
    grids = [signal.grid for signal in signals if signal.grid is not None]
    if any(isinstance(grid, StoredLattice) or grid.network.template is Template.COLOUR for grid in grids):
        return _MINOR_OF_LATTICES_AND_PLANES
    if grids:
        return _MINOR_OF_PYRAMIDS
    is_photo = signals[0].description.kind is Kind.PHOTO and len(signals) == 1
    return _MINOR_OF_PHOTOS if is_photo else _MINOR_OF_COORDINATE_FIELDS


def read_file(
    data: bytes, *, limits: Limits = DEFAULT_LIMITS, allow_truncated: bool = False
) -> tuple[StoredSignal, ...]:
    """The signals in a file's bytes, at least one.

    Networks and latents are decoded when they are used, so a fault inside latents, or inside the
    network of a second or later unit, is found then. With ``allow_truncated`` a cut file is read
    as the sections in front of the cut: all networks, and of latents at least the coarsest.

    Raises
    ------
    FormatError
        One of its kinds, if the bytes are not a valid file or need a newer reader.
    """
    return parse_container(read_container(data, limits=limits, allow_truncated=allow_truncated), limits=limits)


def parse_container(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> tuple[StoredSignal, ...]:
    """The signals in a container whose checksums were checked; raises as :func:`read_file`."""
    grouped: dict[int, list[Section]] = {}
    for section in container.sections:
        if section.group or (section.level and section.type != SectionType.LATENTS):
            raise _unknown(section)
        grouped.setdefault(section.signal, []).append(section)
    if sorted(grouped) != list(range(len(grouped))) or not grouped:
        raise _missing(container, f"the file has signals numbered {sorted(grouped)}; expected 0 and on without gaps")
    signals = tuple(_parse_signal(grouped[number], container, limits=limits) for number in range(len(grouped)))
    if (kind := signals[0].description.kind) != container.kind:
        raise FormatError(f"the head says kind {container.kind}, the signal header {kind.value}")
    return signals


def _missing(container: Container, message: str) -> FormatError:
    """What to raise where a section is not there."""
    if container.is_whole:
        return FormatError(message)
    return TruncatedError(f"{message}: the file is cut too early; get a complete copy")


def _unknown(section: Section) -> VersionError:
    return VersionError(
        f"the file has a {SectionType(section.type).name} section of level {section.level} and group {section.group}, "
        "which this release cannot read: update i2codec"
    )


def _parse_signal(sections: Sequence[Section], container: Container, *, limits: Limits) -> StoredSignal:
    payloads = {section.type: section.payload for section in sections}  # but for networks and latents one of each
    number = sections[0].signal
    for needed in (SectionType.SIGNAL, SectionType.NETWORK):
        if needed not in payloads:
            raise _missing(container, f"signal {number} has no {needed.name} section")
    header = unpack_signal(payloads[SectionType.SIGNAL], limits=limits)
    description, segments = header.description, header.segments
    packed = sorted((section.unit, section.payload) for section in sections if section.type == SectionType.NETWORK)
    basis = basis_of(packed[0][1])
    if [unit for unit, _ in packed] != list(range(segments.count if basis is None else 1)):
        raise _missing(container, f"signal {number} has {len(packed)} networks for {segments.count} units")
    latents = [section for section in sections if section.type == SectionType.LATENTS]
    networks: Sequence[QuantisedNetwork] = ()
    grid = None
    if basis is not None:
        readouts = payloads.get(SectionType.READOUTS)
        grid = _parse_grid(header, packed[0][1], latents, container, readouts=readouts, limits=limits)
    elif latents:
        raise _unknown(latents[0])
    elif SectionType.READOUTS in payloads:
        raise FormatError("the file has readouts of a grid field beside a coordinate field")
    else:
        networks = PackedNetworks(
            [payload for _, payload in packed],
            axis_count=len(description.axes),
            channel_count=len(description.channels),
            limits=limits,
        )
        networks[0]  # most faults show here, before any work is done
    metadata = payloads.get(SectionType.METADATA)
    return StoredSignal(
        description,
        networks,
        segment_length=segments.length if segments.count > 1 else None,
        metadata=unpack_metadata(metadata, limits=limits) if metadata else {},
        timestamps=_parse_timestamps(header, payloads.get(SectionType.TIMESTAMPS), limits=limits),
        grid=grid,
    )


def _parse_grid(
    header: SignalHeader,
    payload: bytes,
    latents: Sequence[Section],
    container: Container,
    *,
    readouts: bytes | None,
    limits: Limits,
) -> StoredGrid | StoredLattice:
    description = header.description
    network = unpack_grid_network(
        payload, axis_count=len(description.axes), channel_count=len(description.channels), limits=limits
    )
    if not latents:
        raise _missing(container, "a grid field has no LATENTS section")
    coded = {(section.level, section.unit): section.payload for section in latents}
    if network.architecture.basis is Basis.LATTICE:
        if readouts is not None:
            raise FormatError("the file has readouts beside a lattice; expected none")
        units = LatticeUnits(
            coded,
            segments=header.segments,
            channel_count=len(description.channels),
            model=network.context_model(),
            sample_step=description.axes[0].step,
            is_whole=container.is_whole,
        )
        return StoredLattice(network, units)
    if header.segments.count > 1:
        raise VersionError("the file has a pyramid in segments, which this release cannot read: update i2codec")
    pyramid = LatentPyramid(
        coded,
        tiles=LatentTiles.of(description.axes, network.architecture.level_count, planes=network.architecture.planes),
        model=network.context_model(),
        is_whole=container.is_whole,
    )
    return StoredGrid(network, pyramid, {} if readouts is None else unpack_readouts(readouts, network.architecture))


def _parse_timestamps(header: SignalHeader, payload: bytes | None, *, limits: Limits) -> TimeStamps | None:
    if header.has_timestamps != (payload is not None):
        raise FormatError("the signal header and the sections disagree on whether there are time stamps")
    if payload is None:
        return None
    frame_count = header.description.extents[0]
    if frame_count > limits.max_points:
        raise LimitError(f"{frame_count} time stamps; the limit is {limits.max_points}")
    return unpack_timestamps(payload, frame_count=frame_count)


def _sections(signal: StoredSignal, *, number: int, limits: Limits) -> Iterable[Section]:
    header = SignalHeader(signal.description, signal.segments, signal.timestamps is not None)
    yield _section(SectionType.SIGNAL, pack_signal(header), signal=number)
    if signal.timestamps is not None:
        yield _section(SectionType.TIMESTAMPS, pack_timestamps(signal.timestamps), signal=number)
    if signal.grid is not None:
        if not signal.grid.is_whole:
            raise OptionError("the latents of a cut file cannot be written; get a complete copy")
        yield _section(SectionType.NETWORK, pack_grid_network(signal.grid.network), signal=number)
        if isinstance(signal.grid, StoredGrid) and signal.grid.readouts:
            yield _section(SectionType.READOUTS, pack_readouts(signal.grid.readouts), signal=number)
        for (level, unit), payload in signal.grid.latent_payloads.items():
            yield _section(SectionType.LATENTS, payload, signal=number, level=level, unit=unit)
    else:
        packed = signal.networks if isinstance(signal.networks, PackedNetworks) else PackedNetworks.of(signal.networks)
        for unit, payload in enumerate(packed.payloads):
            yield _section(SectionType.NETWORK, payload, signal=number, unit=unit)
    if signal.metadata:
        yield _section(SectionType.METADATA, pack_metadata(signal.metadata, limits=limits), signal=number)


def _section(section_type: SectionType, payload: bytes, *, signal: int, level: int = 0, unit: int = 0) -> Section:
    return Section(section_type, section_type.required, payload, signal=signal, level=level, unit=unit)
