"""A whole ``.i2`` file: its signals with their networks, time stamps and metadata, to bytes and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from i2codec.container.head import MINOR
from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.container.reader import Container, read_container
from i2codec.container.section import Section, SectionType
from i2codec.container.writer import write_container
from i2codec.errors import FormatError, LimitError, OptionError, VersionError
from i2codec.field.architecture import Architecture
from i2codec.payload.metadata_section import pack_metadata, unpack_metadata
from i2codec.payload.network_section import QuantisedNetwork, pack_network, read_architecture, unpack_network
from i2codec.payload.signal_section import SignalHeader, pack_signal, unpack_signal
from i2codec.payload.timestamps_section import pack_timestamps, unpack_timestamps
from i2codec.signal.description import Kind, SignalDescription
from i2codec.signal.segments import Segments
from i2codec.signal.signal import MetadataKey
from i2codec.signal.timestamps import TimeStamps

_READ = {SectionType.SIGNAL, SectionType.NETWORK, SectionType.METADATA, SectionType.TIMESTAMPS}


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
        One for each unit.
    segment_length:
        Samples of a unit along the first axis; ``None`` where one unit is all.
    metadata, timestamps:
        As in :class:`~i2codec.signal.signal.Signal`.
    """

    description: SignalDescription
    networks: Sequence[QuantisedNetwork]
    segment_length: int | None = None
    metadata: Mapping[MetadataKey, bytes] = field(default_factory=dict)
    timestamps: TimeStamps | None = None

    def __post_init__(self) -> None:
        if len(self.networks) != self.segments.count:
            raise OptionError(f"{len(self.networks)} networks for {self.segments.count} units; expected one for each")
        if self.timestamps is not None and self.timestamps.frame_count != self.description.extents[0]:
            raise OptionError(f"{self.timestamps.frame_count} time stamps for {self.description.extents[0]} frames")

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
    kind = signals[0].description.kind
    # version 0 has all that a photo needs; units, several signals and the other kinds came with version 1
    minor = 0 if kind is Kind.PHOTO and len(signals) == 1 else MINOR
    return write_container(kind, sections, minor=minor, limits=limits)


def read_file(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> tuple[StoredSignal, ...]:
    """The signals in a file's bytes, at least one.

    Networks are unpacked when they are used, so a fault inside the second or a later unit of a
    signal is found then.

    Raises
    ------
    FormatError
        One of its kinds, if the bytes are not a valid file or need a newer reader.
    """
    return parse_container(read_container(data, limits=limits), limits=limits)


def parse_container(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> tuple[StoredSignal, ...]:
    """The signals in a container whose checksums were checked; raises as :func:`read_file`."""
    grouped: dict[int, list[Section]] = {}
    for section in container.sections:
        if section.type not in _READ or section.level or section.group:
            name = SectionType(section.type).name
            raise VersionError(
                f"the file has a {name} section of level {section.level} and group {section.group}, "
                "which this release cannot read: update i2codec"
            )
        grouped.setdefault(section.signal, []).append(section)
    if sorted(grouped) != list(range(len(grouped))) or not grouped:
        raise FormatError(f"the file has signals numbered {sorted(grouped)}; expected 0 and on without gaps")
    signals = tuple(_parse_signal(grouped[number], limits=limits) for number in range(len(grouped)))
    if (kind := signals[0].description.kind) != container.kind:
        raise FormatError(f"the head says kind {container.kind}, the signal header {kind.value}")
    return signals


def _parse_signal(sections: Sequence[Section], *, limits: Limits) -> StoredSignal:
    payloads = {section.type: section.payload for section in sections}  # but for networks one of each type
    for needed in (SectionType.SIGNAL, SectionType.NETWORK):
        if needed not in payloads:
            raise FormatError(f"signal {sections[0].signal} has no {needed.name} section")
    header = unpack_signal(payloads[SectionType.SIGNAL], limits=limits)
    description, segments = header.description, header.segments
    packed = sorted((section.unit, section.payload) for section in sections if section.type == SectionType.NETWORK)
    if [unit for unit, _ in packed] != list(range(segments.count)):
        raise FormatError(f"signal {sections[0].signal} has {len(packed)} networks for {segments.count} units")
    networks = PackedNetworks(
        [payload for _, payload in packed],
        axis_count=len(description.axes),
        channel_count=len(description.channels),
        limits=limits,
    )
    networks[0]  # most faults show here, before any work is done
    timestamps = None
    if header.has_timestamps != (SectionType.TIMESTAMPS in payloads):
        raise FormatError("the signal header and the sections disagree on whether there are time stamps")
    if header.has_timestamps:
        if description.extents[0] > limits.max_points:
            raise LimitError(f"{description.extents[0]} time stamps; the limit is {limits.max_points}")
        timestamps = unpack_timestamps(payloads[SectionType.TIMESTAMPS], frame_count=description.extents[0])
    metadata = payloads.get(SectionType.METADATA)
    return StoredSignal(
        description,
        networks,
        segment_length=segments.length if segments.count > 1 else None,
        metadata=unpack_metadata(metadata, limits=limits) if metadata else {},
        timestamps=timestamps,
    )


def _sections(signal: StoredSignal, *, number: int, limits: Limits) -> Iterable[Section]:
    header = SignalHeader(signal.description, signal.segments, signal.timestamps is not None)
    yield _section(SectionType.SIGNAL, pack_signal(header), signal=number)
    if signal.timestamps is not None:
        yield _section(SectionType.TIMESTAMPS, pack_timestamps(signal.timestamps), signal=number)
    packed = signal.networks if isinstance(signal.networks, PackedNetworks) else PackedNetworks.of(signal.networks)
    for unit, payload in enumerate(packed.payloads):
        yield _section(SectionType.NETWORK, payload, signal=number, unit=unit)
    if signal.metadata:
        yield _section(SectionType.METADATA, pack_metadata(signal.metadata, limits=limits), signal=number)


def _section(section_type: SectionType, payload: bytes, *, signal: int, unit: int = 0) -> Section:
    return Section(section_type, section_type.required, payload, signal=signal, unit=unit)
