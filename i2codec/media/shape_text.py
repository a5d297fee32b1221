"""Text of mesh files brought into the form that trimesh reads rightly."""

from __future__ import annotations

import re

from i2codec.errors import InputError
from i2codec.media.shape_formats import is_binary_stl
from i2codec.signal.description import SourceContainer

_TO_ASCII = bytes(range(128)) + b"?" * 128
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLY_HEADER_END = b"end_header"
_RELATIVE = re.compile(rb"^[ \t]*f\b[^\n]*[ \t]-\d", re.MULTILINE)


def readable_text(data: bytes, container: SourceContainer) -> bytes:
    """File content whose text is ASCII and, in OBJ, whose faces count from the start of the file.

    Only names and comments can hold other letters, in encodings that nothing announces.

    Raises
    ------
    InputError
        If a face counts back to before the first vertex.
    """
    match container:
        case SourceContainer.OBJ:
            return _with_absolute_indices(data.removeprefix(_BYTE_ORDER_MARK).translate(_TO_ASCII))
        case SourceContainer.STL if not is_binary_stl(data):
            return data.translate(_TO_ASCII)
        case SourceContainer.PLY:
            header, end, body = data.partition(_PLY_HEADER_END)
            return header.translate(_TO_ASCII) + end + body
        case _:
            return data


def _with_absolute_indices(text: bytes) -> bytes:
    """An OBJ file whose faces name vertices by number from the start of the file.

    A face may count backwards from the last vertex *before it*; trimesh counts from the last of
    the file. Files without such faces are returned as they are, others without the texture and
    normal indices of their faces.
    """
    text = text.replace(b"\r\n", b"\n").replace(b"\\\n", b" ")
    if not _RELATIVE.search(text):
        return text
    lines = []
    vertex_count = 0
    for line in text.split(b"\n"):
        words = line.split()
        if words[:1] == [b"v"]:
            vertex_count += 1
        elif words[:1] == [b"f"]:
            indices = [int(word.partition(b"/")[0]) for word in words[1:]]
            absolute = [index if index > 0 else vertex_count + 1 + index for index in indices]
            if min(absolute, default=1) < 1:
                back = vertex_count + 1 - min(absolute)
                raise InputError(f"a face counts {back} vertices back and there are {vertex_count}: check the file")
            line = b"f " + b" ".join(b"%d" % index for index in absolute)
        lines.append(line)
    return b"\n".join(lines)
