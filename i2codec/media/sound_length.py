"""What sound files say about their length, where libsndfile does not pass it on."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO

# Programs that write to a pipe announce 4 GiB, 2 GiB or a little less; they do not know.
_UNKNOWN_SIZE = 0x7FFF0000
_MAX_CHUNKS = 4096  # a hostile file may consist of empty chunks
_LONGEST_OGG_PAGE = 27 + 255 + 255 * 255
_OGG_END_OF_STREAM = 4
_ID3_HEADER_BYTES = 10


def announced_samples(stream: BinaryIO, *, bytes_per_step: int) -> int | None:
    """Samples per channel that the header of an uncompressed WAV, RF64 or AIFF announces.

    libsndfile believes the end of the file instead, and thus sees no loss. None for other files and
    where the length is unknown. ``bytes_per_step`` is the size of one sample of all channels.
    """
    stream.seek(0)
    form, _, kind = struct.unpack("<4sI4s", stream.read(12).ljust(12, b"\0"))
    if form == b"FORM" and kind in (b"AIFF", b"AIFC"):
        for name, _ in _chunks(stream, ">"):
            if name == b"COMM":
                body = stream.read(6).ljust(6, b"\0")
                return int(struct.unpack(">HI", body)[1])
    if form in (b"RIFF", b"RF64") and kind == b"WAVE":
        size_64 = 0
        for name, size in _chunks(stream, "<"):
            if name == b"ds64":
                size_64 = struct.unpack("<QQ", stream.read(16).ljust(16, b"\0"))[1]
            if name == b"data":
                if form == b"RIFF" and size >= _UNKNOWN_SIZE:
                    return None
                return (size_64 if form == b"RF64" else size) // bytes_per_step or None
    return None


def set_aiff_length(stream: BinaryIO, sample_count: int, *, bytes_per_step: int) -> None:
    """Correct an AIFF that starts where ``stream`` stands: libsndfile counts the byte after an odd length too."""
    stream.seek(12, SEEK_CUR)
    for name, size in _chunks(stream, ">"):
        if name == b"COMM":
            stream.seek(2, SEEK_CUR)
            stream.write(struct.pack(">I", sample_count))
        if name == b"SSND" and size % 2 == 0:
            stream.seek(-4, SEEK_CUR)
            stream.write(struct.pack(">I", 8 + sample_count * bytes_per_step))


def _chunks(stream: BinaryIO, byte_order: str) -> Iterator[tuple[bytes, int]]:
    """Name and size of each chunk; the stream stands at its body."""
    for _ in range(_MAX_CHUNKS):
        header = stream.read(8)
        if len(header) < 8:
            return
        name, size = struct.unpack(f"{byte_order}4sI", header)
        position = stream.tell()
        yield name, size
        stream.seek(position + size + size % 2)


def mp3_announces_length(stream: BinaryIO) -> bool:
    """Whether an MP3 begins with a frame that holds its length; else libsndfile makes an estimate."""
    start = 0
    while True:
        stream.seek(start)
        head = stream.read(4096)
        if not head.startswith(b"ID3") or len(head) < _ID3_HEADER_BYTES:
            break
        a, b, c, d = head[6:10]  # seven bits each
        start += _ID3_HEADER_BYTES + (a << 21 | b << 14 | c << 7 | d)
    for name in (b"Xing", b"Info"):
        position = head.find(name)
        if position >= 0:
            return head[position + 7 : position + 8] > b"\0" and bool(head[position + 7] & 1)
    return b"VBRI" in head


def ogg_breaks_off(stream: BinaryIO) -> bool:
    """Whether an Ogg file lacks the page that marks its end."""
    length = stream.seek(0, SEEK_END)
    stream.seek(max(0, length - 2 * _LONGEST_OGG_PAGE))
    tail = stream.read()
    position = tail.rfind(b"OggS")
    page = tail[position:] if position >= 0 else b""
    if len(page) < 27 or not page[5] & _OGG_END_OF_STREAM:
        return True
    lengths = page[27 : 27 + page[26]]
    return len(page) < 27 + page[26] + sum(lengths)
