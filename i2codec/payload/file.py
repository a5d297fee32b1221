"""A whole ``.i2`` file: its signals with their networks and metadata, to bytes and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.container.reader import Container, read_container
from i2codec.container.section import Section, SectionType
from i2codec.container.writer import write_container
from i2codec.errors import FormatError, VersionError
from i2codec.payload.metadata_section import pack_metadata, unpack_metadata
from i2codec.payload.network_section import QuantisedNetwork, pack_network, unpack_network
from i2codec.payload.signal_section import pack_signal, unpack_signal
from i2codec.signal.description import SignalDescription
from i2codec.signal.signal import MetadataKey


@dataclass(frozen=True)
class StoredSignal:
    """One signal as a file holds it."""

    description: SignalDescription
    network: QuantisedNetwork
    metadata: Mapping[MetadataKey, bytes] = field(default_factory=dict)


def write_signal(signal: StoredSignal, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Bytes of a file that holds one signal, number 0."""
    sections = [
        _section(SectionType.SIGNAL, pack_signal(signal.description)),
        _section(SectionType.NETWORK, pack_network(signal.network)),
    ]
    if signal.metadata:
        sections.append(_section(SectionType.METADATA, pack_metadata(signal.metadata, limits=limits)))
    return write_container(signal.description.kind, sections, limits=limits)


def read_signal(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> StoredSignal:
    """The signal in a file's bytes.

    Raises
    ------
    FormatError
        One of its kinds, if the bytes are not a valid file or need a newer reader.
    """
    return parse_container(read_container(data, limits=limits), limits=limits)


def parse_container(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> StoredSignal:
    """The signal in a container whose checksums were checked; raises as :func:`read_signal`."""
    sections = {section.type: section for section in container.sections}
    if len(sections) < len(container.sections) or any(any(section.address[1:]) for section in container.sections):
        raise VersionError("the file holds several signals, networks or units; this release reads one: update i2codec")
    for needed in (SectionType.SIGNAL, SectionType.NETWORK):
        if needed not in sections:
            raise FormatError(f"the file has no {needed.name} section")
    if unread := set(sections) - {SectionType.SIGNAL, SectionType.NETWORK, SectionType.METADATA}:
        names = ", ".join(SectionType(number).name for number in sorted(unread))
        raise VersionError(f"the file has {names} sections, which this release cannot read: update i2codec")
    description = unpack_signal(sections[SectionType.SIGNAL].payload, limits=limits)
    if description.kind != container.kind:
        raise FormatError(f"the head says kind {container.kind}, the signal header {description.kind.value}")
    network = unpack_network(
        sections[SectionType.NETWORK].payload,
        axis_count=len(description.axes),
        channel_count=len(description.channels),
        limits=limits,
    )
    metadata = sections.get(SectionType.METADATA)
    blocks = unpack_metadata(metadata.payload, limits=limits) if metadata else {}
    return StoredSignal(description, network, blocks)


def _section(section_type: SectionType, payload: bytes) -> Section:
    return Section(section_type, section_type.required, payload)
