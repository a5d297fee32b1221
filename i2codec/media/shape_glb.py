"""A look at the header of a GLB before a parser allocates what it asks for."""

from __future__ import annotations

import json

from i2codec.errors import InputError

_HEADER_BYTES = 20  # of the file, and of its first chunk, which is JSON (glTF 2.0 specification, section 4.4)
_MOST_VIEWS = 8  # bytes seen through views per byte of file; parsers copy each view
_MOST_DRAWN = 2**28  # positions and indices of all primitives, which may share their data


def check_glb(data: bytes) -> None:
    """Refuse a GLB that asks for much more memory than its size explains.

    Whatever else is wrong with it, the parser is to say.

    Raises
    ------
    InputError
        If buffer views, accessors or primitives repeat the data too often.
    """
    header = json.loads(data[_HEADER_BYTES : _HEADER_BYTES + int.from_bytes(data[12:16], "little")])
    counts = [accessor["count"] for accessor in header.get("accessors", [])]
    viewed = sum(view["byteLength"] for view in header.get("bufferViews", []))
    drawn = sum(
        counts[index]
        for mesh in header.get("meshes", [])
        for primitive in mesh["primitives"]
        for index in (primitive["attributes"].get("POSITION"), primitive.get("indices"))
        if index is not None
    )
    if viewed > _MOST_VIEWS * len(data) or sum(counts) > len(data) or drawn > _MOST_DRAWN:
        raise InputError("the GLB asks for more data than it holds; expected a sound file: export it again")
