"""Which mesh files are read and written, and how their content tells them apart."""

from __future__ import annotations

import re

from i2codec.errors import OutputError
from i2codec.signal.description import SourceContainer

SHAPE_EXTENSIONS = {
    ".obj": SourceContainer.OBJ,
    ".ply": SourceContainer.PLY,
    ".stl": SourceContainer.STL,
    ".glb": SourceContainer.GLB,
}
"""Extensions of mesh files, for input and output alike."""


SHAPE_FORMATS = "OBJ, PLY, STL or GLB"

_STL_HEADER_BYTES, _STL_FACE_BYTES = 84, 50
_TEXT_BYTES = 2**16  # as much as is looked at to tell one text format from another
_OBJ_VERTEX = re.compile(rb"^[ \t]*v[ \t]+(?:[-+]?\.?\d|[-+]?(?:nan|inf))", re.MULTILINE | re.IGNORECASE)
_STL_SOLID = re.compile(rb"\s*solid\b.*?\b(facet|endsolid)\b", re.DOTALL | re.IGNORECASE)


def is_binary_stl(data: bytes) -> bool:
    """Whether file content has the length of a binary STL with the number of faces in its header."""
    face_count = int.from_bytes(data[_STL_HEADER_BYTES - 4 : _STL_HEADER_BYTES], "little")
    return len(data) >= _STL_HEADER_BYTES and len(data) == _STL_HEADER_BYTES + face_count * _STL_FACE_BYTES


def shape_container(data: bytes) -> SourceContainer | None:
    """The mesh format that whole file content is in; ``None`` if it is none that is read here.

    >>> shape_container(b"# a triangle\\nv 0 0 0\\nv 1 0 0\\nv 0 1 0\\nf 1 2 3\\n").name
    'OBJ'
    """
    if data.startswith(b"glTF"):
        return SourceContainer.GLB
    if data.startswith((b"ply\n", b"ply\r")):
        return SourceContainer.PLY
    if is_binary_stl(data):  # before the text: headers of binary files may begin with "solid"
        return SourceContainer.STL
    text = data[:_TEXT_BYTES]
    if _STL_SOLID.match(text):
        return SourceContainer.STL
    if b"\0" not in text and _OBJ_VERTEX.search(text):
        return SourceContainer.OBJ
    return None


def check_shape_output(extension: str) -> None:
    """Refuse an extension, such as ``".png"``, under which no shape is written; case does not matter.

    Raises
    ------
    OutputError
        If it is one.
    """
    if extension.lower() not in SHAPE_EXTENSIONS:
        supported = " ".join(SHAPE_EXTENSIONS)
        raise OutputError(f"cannot write a shape as {extension or 'a name without extension'}; use {supported}")
