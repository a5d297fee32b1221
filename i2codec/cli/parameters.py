"""Parameter types of the command line."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import click

from i2codec.errors import InputError

STANDARD_STREAM = "-"


class SizeBytes(click.ParamType[int]):
    """A number of bytes, with an optional suffix k (1000) or M (1,000,000)."""

    name = "N[k|M]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes as an integer."""
        text = str(value)
        factor = {"k": 1000, "M": 1_000_000}.get(text[-1:], 1)
        try:
            size = float(text if factor == 1 else text[:-1]) * factor
            if size < 1 or size != int(size):
                raise ValueError
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is not a size; expected whole bytes such as 5000, 12k or 1.5M", param, ctx)
        return int(size)


class BitRate(click.ParamType[float]):
    """Bits per second, with an optional suffix k (1000) or M (1,000,000)."""

    name = "N[k|M]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Bits per second."""
        text = str(value)
        factor = {"k": 1000, "M": 1_000_000}.get(text[-1:], 1)
        try:
            rate = float(text if factor == 1 else text[:-1]) * factor
        except ValueError:
            self.fail(f"{text!r} is not a bit rate; expected bits per second such as 32k or 1.5M", param, ctx)
        return rate


class PixelSize(click.ParamType[tuple[int, int]]):
    """Width and height in pixels."""

    name = "WxH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """``(width, height)``."""
        numbers = _integers(str(value), separator="x", count=2)
        if numbers is None:
            self.fail(f"{value!r} is not a size; expected width and height such as 1920x1080", param, ctx)
        return numbers[0], numbers[1]


class Region(click.ParamType[tuple[int, int, int, int]]):
    """Left, top, width and height in native pixels."""

    name = "X,Y,W,H"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        """``(left, top, width, height)``."""
        numbers = _integers(str(value), separator=",", count=4)
        if numbers is None:
            self.fail(f"{value!r} is not a region; expected left,top,width,height such as 0,0,64,64", param, ctx)
        return numbers[0], numbers[1], numbers[2], numbers[3]


def _integers(text: str, *, separator: str, count: int) -> list[int] | None:
    try:
        numbers = [int(part) for part in text.split(separator)]
    except ValueError:
        return None
    return numbers if len(numbers) == count else None


def read_input(source: str) -> Path | bytes:
    """The path of a source, or what standard input holds.

    Raises
    ------
    InputError
        If standard input is empty.
    """
    if source != STANDARD_STREAM:
        return Path(source)
    data = sys.stdin.buffer.read()
    if not data:
        raise InputError("standard input is empty; expected the bytes of a file")
    return data


class FrameRate(click.ParamType[Fraction]):
    """Frames per second, as a number or an exact fraction."""

    name = "N[/M]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """The rate, exact."""
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a frame rate; expected a number such as 25 or 30000/1001", param, ctx)


def default_destination(source: str, *, suffix: str) -> str:
    """The source's name with another suffix; standard output for standard input.

    Raises
    ------
    InputError
        If the source is a folder, whose name has no suffix to change.
    """
    if Path(source).is_dir():
        raise InputError(f"{source} is a folder; expected a file")
    return source if source == STANDARD_STREAM else str(Path(source).with_suffix(suffix))
