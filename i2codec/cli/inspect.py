"""``i2codec info``, ``compare`` and ``verify``."""

from __future__ import annotations

import json
import math
from typing import Any

import click

from i2codec.cli.parameters import read_input

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.command()
@click.argument("file", metavar="FILE")
@_JSON
def info(file: str, as_json: bool) -> None:
    """Say what the .i2 file FILE holds."""
    import i2codec

    _show(i2codec.info(read_input(file)), as_json=as_json)


@click.command()
@click.argument("original", metavar="ORIGINAL")
@click.argument("file", metavar="FILE")
@_JSON
def compare(original: str, file: str, as_json: bool) -> None:
    """Say how close FILE comes to ORIGINAL: a photo, sound, video or shape, and FILE of the same kind or .i2."""
    import i2codec

    _show(i2codec.compare(read_input(original), read_input(file)), as_json=as_json)


@click.command()
@click.argument("file", metavar="FILE")
def verify(file: str) -> None:
    """Check all checksums of the .i2 file FILE and decode it whole; exit status 0 or 1."""
    import i2codec

    i2codec.verify(read_input(file))
    click.echo(f"{file}: ok")


def _show(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_finite(values)))
        return
    width = max(map(len, values))
    for key, value in values.items():
        click.echo(f"{key:{width}}  {_text(value)}")


def _finite(value: Any) -> Any:
    """JSON has no infinity: identical pictures have no PSNR."""
    match value:
        case dict():
            return {key: _finite(part) for key, part in value.items()}
        case list():
            return [_finite(part) for part in value]
        case float() if math.isinf(value):
            return None
    return value


def _text(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
        case list():
            is_shape = all(isinstance(part, int) for part in value)
            return " x ".join(map(str, value)) if is_shape else ", ".join(map(_text, value))
        case float():
            return f"{value:.4f}"
        case None:
            return "none"
    return str(value)
