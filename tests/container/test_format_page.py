"""docs/format.md says what the code does, number by number."""

import hashlib
import io
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from i2codec.container.head import HEAD, MAGIC
from i2codec.container.limits import DEFAULT_LIMITS
from i2codec.container.reader import read_container
from i2codec.container.section import END, INDEX_ENTRY, SECTION, Section, SectionType
from i2codec.container.writer import write_container
from i2codec.entropy.tables import load_tables
from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.grid_architecture import Basis, GridArchitecture
from i2codec.field.interpolation import Kernel
from i2codec.field.stencil import Stencil
from i2codec.latents.template import Template
from i2codec.payload.grid_section import GRID_HEADER
from i2codec.payload.latent_tiles import TILE_NODES
from i2codec.payload.latents_section import LATENTS_HEADER, SECTION_BYTES
from i2codec.payload.lattice_section import LATTICE_HEADER
from i2codec.payload.metadata_section import METADATA_BLOCK
from i2codec.payload.network_header import NETWORK_HEADER, Boundary, Injection, Layer, NoiseFilling
from i2codec.payload.readouts_section import READOUT_HEADER
from i2codec.payload.signal_section import AFFINE, AXIS, CHANNEL, SEGMENTS, SIGNAL_HEADER, VALUE_RANGE, Spacing
from i2codec.payload.tensors import TENSOR
from i2codec.payload.timestamps_section import TIME_BASE
from i2codec.signal.colour import ColourTransform
from i2codec.signal.description import AxisName, ChannelRole, Kind, SampleFormat, SourceContainer
from i2codec.signal.signal import MetadataKey

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
_FRAMING = (HEAD, SECTION, INDEX_ENTRY, END)
_PAYLOADS = (
    SIGNAL_HEADER,
    AXIS,
    CHANNEL,
    VALUE_RANGE,
    AFFINE,
    SEGMENTS,
    NETWORK_HEADER,
    GRID_HEADER,
    TENSOR,
    LATENTS_HEADER,
    LATTICE_HEADER,
    READOUT_HEADER,
    METADATA_BLOCK,
    TIME_BASE,
)
LAYOUTS = {layout.name: layout for layout in (*_FRAMING, *_PAYLOADS)}
_SIGNAL_IDS = (Kind, AxisName, Spacing, ChannelRole, SampleFormat, SourceContainer)
_NETWORK_IDS = (Injection, Basis, Layer, NoiseFilling, Norm, Stencil, Boundary, Kernel, Template, ColourTransform)
ENUMS = {enum.__name__: enum for enum in (*_SIGNAL_IDS, *_NETWORK_IDS, MetadataKey)}


def after(marker):
    """The block of lines right after the one place where the page has this marker."""
    _, rest = PAGE.split(f"<!-- {marker} -->\n")
    return rest.split("\n\n")[0].splitlines()


def rows(marker):
    """Header cells, and the cells of each row, of the table after a marker."""
    header, rule, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in after(marker)]
    assert set("".join(rule)) == {"-"}
    return header, body


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_tables(name):
    header, body = rows(f"layout: {name}")
    assert header == ["offset", "size", "type", "name", "meaning"]
    expected, offset = [], 0
    for field in LAYOUTS[name].fields:
        expected.append([str(offset), str(field.size), field.type_name, field.name])
        offset += field.size
    assert [row[:4] for row in body] == expected
    assert offset == LAYOUTS[name].size


def test_section_types():
    header, body = rows("enum: SectionType")
    assert header == ["id", "name", "required", "payload"]
    expected = [[str(int(member)), member.name, "yes" if member.required else "no"] for member in SectionType]
    assert sorted(row[:3] for row in body) == sorted(expected)


@pytest.mark.parametrize("name", ENUMS)
def test_ids(name):
    header, body = rows(f"enum: {name}")
    assert header[:2] == ["id", "name"]
    assert [row[:2] for row in body] == [[str(int(member)), member.name] for member in sorted(ENUMS[name])]


def test_every_table_of_the_page_is_checked():
    assert set(re.findall(r"<!-- layout: (\w+) -->", PAGE)) == set(LAYOUTS)
    assert set(re.findall(r"<!-- enum: (\w+) -->", PAGE)) == set(ENUMS) | {"SectionType"}


def test_tensors():
    _, body = rows("tensors")
    orders = {name: tensors.split(", ") for name, tensors in body}
    shapes = {name: Architecture(Filter[name], 5, 2, 3, 4).tensor_shapes for name in orders}
    assert orders == {name: list(tensors) for name, tensors in shapes.items()}
    assert set(orders) == {member.name for member in Injection} - {"LATENTS"}


@pytest.mark.parametrize("axis_count", [1, 2, 3])
def test_grid_tensors(axis_count):
    which, planes = (Template.COLOUR, 4) if axis_count == 2 else (Template.PLANE, 1)
    features = which.feature_count
    sizes = {"P": 3, "J": 7, "H": 23, "S": 5, "C": 4, "M": 11, "F": features, "T": 3**axis_count, "2": 2}
    sizes["J · D"] = 7 * planes
    architecture = GridArchitecture(
        7,
        axis_count,
        4,
        hidden_width=23,
        width=5,
        context_width=11,
        context_features=features,
        context_count=3,
        plane_count=planes,
    )
    _, body = rows("grid tensors")
    expected = {row[1]: tuple(sizes[size] for size in row[2].strip("[]").split(", ")) for row in body}
    assert [int(row[0]) for row in body] == list(range(len(architecture.tensor_shapes)))
    assert list(expected.items()) == list(architecture.tensor_shapes.items())


def test_tensors_of_a_lattice():
    """As the page says: those of a pyramid of one level and channel, but for the gains."""
    sizes = {"channel_count": 2, "context_features": Template.LATTICE.feature_count}
    lattice = GridArchitecture(1, 1, **sizes, basis=Basis.LATTICE)
    pyramid = GridArchitecture(1, 2, **(sizes | {"channel_count": 1}))
    assert lattice.tensor_shapes == pyramid.tensor_shapes | {"gains": (7,)}


def test_numbers_of_latents():
    assert f"{TILE_NODES} nodes" in PAGE
    assert f"less than {SECTION_BYTES} bytes" in PAGE
    _, body = rows("enum: Template")
    assert [row[2].split(" ")[0] for row in body] == [str(member.feature_count) for member in Template]


def test_frequency_tables():
    header, body = rows("tables")
    assert header == ["array", "shape in set 1", "shape in set 2", "meaning"]
    folder = resources.files("i2codec.entropy").joinpath("tables")
    stored = [np.load(io.BytesIO(folder.joinpath(f"set_{number}.npz").read_bytes())) for number in (1, 2)]
    assert {row[0]: row[1:3] for row in body} == {name: [str([*s[name].shape]) for s in stored] for name in stored[0]}
    assert {array.dtype for arrays in stored for array in arrays.values()} == {np.dtype("<u2")}
    for number, arrays in enumerate(stored, 1):
        tables = load_tables(number)
        entries = sum(table.radius + 1 for table in tables)
        assert [len(array) for array in arrays.values()] == [len(tables), len(tables), entries]


def test_sets_of_frequency_tables():
    header, body = rows("table sets")
    assert header == ["set", "file", "tables", "SHA-256"]
    folder = resources.files("i2codec.entropy").joinpath("tables")
    expected = []
    for number in (1, 2):
        digest = hashlib.sha256(folder.joinpath(f"set_{number}.npz").read_bytes()).hexdigest()
        expected.append([str(number), f"`set_{number}.npz`", str(len(load_tables(number))), f"`{digest}`"])
    assert body == expected
    assert sorted(entry.name for entry in folder.iterdir()) == ["set_1.npz", "set_2.npz"]
    assert f"adds {len(load_tables(2)) - len(load_tables(1))};" in PAGE


def test_limits():
    header, body = rows("limits")
    assert header == ["name", "default", "what is limited"]
    assert {row[0]: int(row[1]) for row in body} == vars(DEFAULT_LIMITS)


def test_magic_and_crc():
    assert f"`{MAGIC.hex(' ')}`" in PAGE
    assert "it is `cbf43926`" in PAGE  # the published check value of this CRC, not computed here


def test_example():
    assert after("example")[0].startswith("```")
    hexadecimal = [re.match(r"(?:[0-9a-f]{2} ?)+(?= |$)", line) for line in after("example") if "```" not in line]
    data = bytes.fromhex("".join(match[0] for match in hexadecimal))
    section = Section(SectionType.SIGNAL, True, b"hi")
    assert read_container(data).sections == (section,)
    assert data == write_container(7, [section])
