"""``i2codec decode``."""

from __future__ import annotations

import sys

import click

from i2codec.cli.parameters import STANDARD_STREAM, PixelSize, Region, default_destination, read_input
from i2codec.devices import DEVICES

_SUFFIX = ".png"


@click.command()
@click.argument("source", metavar="SRC.i2")
@click.option(
    "-o",
    "destination",
    metavar="DST",
    help=f"Output, its name gives the format; default is SRC with the suffix {_SUFFIX}, - is standard output.",
)
@click.option("--scale", type=float, metavar="F", help="Times the native size.")
@click.option("--size", type=PixelSize(), metavar="WxH", help="Pixels of the whole photo; need not keep the aspect.")
@click.option("--region", type=Region(), help="Part to decode, in native pixels.")
@click.option("--background", metavar="C", help="Colour under a transparent photo, such as white or #ff8800.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where to decode.")
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
def decode(
    source: str,
    destination: str | None,
    scale: float | None,
    size: tuple[int, int] | None,
    region: tuple[int, int, int, int] | None,
    background: str | None,
    device: str,
    force: bool,
) -> None:
    """Decode the photo SRC.i2 at any size.

    \b
    i2codec decode photo.i2
    i2codec decode photo.i2 -o large.png --scale 2
    i2codec decode photo.i2 -o part.jpg --region 100,50,64,64 --scale 4
    """
    import i2codec

    output = destination or default_destination(source, suffix=_SUFFIX)
    data = read_input(source)
    if size is not None:
        _say_if_aspect_changes(data, size)
    if output == STANDARD_STREAM:
        from i2codec._api import decode_bytes

        picture = decode_bytes(data, extension=_SUFFIX, scale=scale, size=size, region=region, device=device)
        sys.stdout.buffer.write(picture)
        return
    i2codec.decode_file(
        data,
        output,
        scale=scale,
        size=size,
        region=region,
        background=background,
        device=device,
        force=force,
    )


def _say_if_aspect_changes(data: object, size: tuple[int, int]) -> None:
    import i2codec

    height, width = i2codec.info(data)["shape"][:2]  # type: ignore[arg-type]
    # half a pixel of rounding is not a change of aspect
    if abs(size[0] * height - size[1] * width) > 0.5 * max(width, height):
        click.echo(f"i2codec: size {size[0]}x{size[1]} does not keep the aspect of {width}x{height}", err=True)
