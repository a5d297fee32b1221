"""The METADATA section: blocks kept verbatim, compressed with Zstandard."""

from __future__ import annotations

from collections.abc import Mapping

import zstandard

from i2codec.container.layout import Field, Layout
from i2codec.container.limits import Limits
from i2codec.errors import FormatError, LimitError, OptionError
from i2codec.signal.signal import MetadataKey

METADATA_BLOCK = Layout("METADATA_BLOCK", (Field("key", "B"), Field("length", "I")))

_LEVEL = 19  # metadata is kilobytes, so the slowest ordinary level costs milliseconds


def pack_metadata(metadata: Mapping[MetadataKey, bytes], *, limits: Limits) -> bytes:
    """Payload of the METADATA section; blocks in the order of their keys.

    Raises
    ------
    OptionError
        If the blocks are larger than a reader with the same limits accepts.
    """
    blocks = b"".join(
        METADATA_BLOCK.pack(key=key, length=len(block)) + block for key, block in sorted(metadata.items())
    )
    if len(blocks) > limits.max_metadata_bytes:
        raise OptionError(
            f"{len(blocks)} bytes of metadata; at most {limits.max_metadata_bytes} are kept: use --metadata strip"
        )
    return zstandard.ZstdCompressor(level=_LEVEL).compress(blocks)


def unpack_metadata(payload: bytes, *, limits: Limits) -> dict[MetadataKey, bytes]:
    """Blocks in a METADATA section's payload; those with unknown keys are left out.

    Raises
    ------
    FormatError
        If the compressed data or a length in it is wrong.
    LimitError
        If it decompresses to more than the limit; nothing is decompressed then.
    """
    try:
        size = zstandard.frame_content_size(payload)
        if size < 0:
            raise FormatError("metadata does not announce its decompressed size")
        if size > limits.max_metadata_bytes:
            raise LimitError(f"{size} bytes of metadata; the limit is {limits.max_metadata_bytes}")
        blocks = zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"metadata cannot be decompressed: {error}") from error
    metadata: dict[MetadataKey, bytes] = {}
    offset = 0
    while offset < len(blocks):
        record = METADATA_BLOCK.unpack(blocks, offset)
        offset += METADATA_BLOCK.size
        block = blocks[offset : offset + record["length"]]
        offset += record["length"]
        if offset > len(blocks):
            raise FormatError(f"a metadata block announces {record['length']} bytes; {len(block)} are there")
        if record["key"] in metadata:
            raise FormatError(f"metadata has two blocks of key {record['key']}")
        if record["key"] in MetadataKey.__members__.values():
            metadata[MetadataKey(record["key"])] = block
    return metadata
