"""Descriptive tags of a video file: the title and the like, without what programs put there."""

from __future__ import annotations

import json
from collections.abc import Mapping

from i2codec.signal.signal import MetadataKey

# fmt: off
_DESCRIPTIVE = {
    "album", "album_artist", "artist", "author", "comment", "composer", "copyright", "creation_time", "date",
    "description", "episode_id", "genre", "grouping", "keywords", "location", "lyrics", "network",
    "performer", "publisher", "rating", "season_number", "show", "subtitle", "summary", "synopsis", "title",
    "track", "year",
}
# fmt: on
_LONGEST = 2**16  # characters of one tag; longer ones are no description


def tags_block(tags: Mapping[str, str]) -> bytes | None:
    """The descriptive ones of a container's tags as a JSON object, or ``None`` where there are none."""
    kept = {
        key.lower(): value for key, value in tags.items() if key.lower() in _DESCRIPTIVE and 0 < len(value) <= _LONGEST
    }
    return json.dumps(kept, ensure_ascii=False, sort_keys=True).encode() if kept else None


def container_tags(metadata: Mapping[MetadataKey, bytes]) -> dict[str, str]:
    """Tags for a container; a block that is not a JSON object of strings is as good as none."""
    try:
        tags = json.loads(metadata.get(MetadataKey.TAGS, b"{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(tags, dict):
        return {}
    return {key: value for key, value in tags.items() if isinstance(value, str) and key and "\0" not in key + value}
