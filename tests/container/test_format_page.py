"""docs/format.md says what the code does, number by number."""

import re
from pathlib import Path

import pytest

from i2codec.container.head import HEAD, MAGIC
from i2codec.container.limits import DEFAULT_LIMITS
from i2codec.container.reader import read_container
from i2codec.container.section import END, INDEX_ENTRY, SECTION, Section, SectionType
from i2codec.container.writer import write_container

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
LAYOUTS = {layout.name: layout for layout in (HEAD, SECTION, INDEX_ENTRY, END)}


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
