"""Title, artist and the like: as a metadata block, and in sound files."""

from __future__ import annotations

import json
from collections.abc import Mapping

import soundfile

from i2codec.signal.signal import MetadataKey

TAG_NAMES = (
    "title",
    "copyright",
    "software",
    "artist",
    "comment",
    "date",
    "album",
    "license",
    "tracknumber",
    "genre",
)
"""What libsndfile knows; a file format holds some of them."""

_LONGEST_TAG = 2**16  # bytes kept; ten such tags are far below the container's limit
_ID3_FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "date": b"TDRC",
    "tracknumber": b"TRCK",
    "genre": b"TCON",
    "copyright": b"TCOP",
    "software": b"TSSE",
    "comment": b"COMM",
}


def read_tags(file: soundfile.SoundFile) -> dict[MetadataKey, bytes]:
    """The tags of an open file as a metadata block: a JSON object with sorted keys; empty without tags."""
    tags = {name: shortened(getattr(file, name), _LONGEST_TAG) for name in TAG_NAMES}
    tags = {name: text for name, text in tags.items() if text}
    if not tags:
        return {}
    return {MetadataKey.TAGS: json.dumps(tags, ensure_ascii=False, sort_keys=True).encode()}


def stored_tags(metadata: Mapping[MetadataKey, bytes]) -> dict[str, str]:
    """The tags of a metadata block that sound files know; what is no JSON object of strings counts as none."""
    try:
        tags = json.loads(metadata.get(MetadataKey.TAGS, b"{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(tags, dict):
        return {}
    return {name: tags[name] for name in TAG_NAMES if isinstance(tags.get(name), str)}


def shortened(text: str, longest: int) -> str:
    """Text of at most ``longest`` bytes in UTF-8, without what a C string cannot hold."""
    data = text.replace("\0", " ").encode("utf-8", "replace")[:longest]
    return data.decode("utf-8", "ignore")


def id3_block(tags: Mapping[str, str]) -> bytes:
    """An ID3v2.4 tag, for the front of an MP3. The one that libsndfile writes mislabels UTF-8 as Latin-1."""
    frames = b""
    for name, text in tags.items():
        if name in _ID3_FRAMES:
            language = b"und\0" if name == "comment" else b""  # and an empty heading
            body = b"\x03" + language + text.encode()  # 3 is UTF-8
            frames += _ID3_FRAMES[name] + _seven_bits(len(body)) + b"\0\0" + body
    return b"ID3\4\0\0" + _seven_bits(len(frames)) + frames if frames else b""


def _seven_bits(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
