"""``i2codec decode``."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import click

from i2codec.cli.parameters import (
    STANDARD_STREAM,
    FrameRate,
    PixelSize,
    Region,
    default_destination,
    read_input,
)
from i2codec.devices import DEVICES
from i2codec.notices import I2Warning


@click.command()
@click.argument("source", metavar="SRC.i2")
@click.option(
    "-o",
    "destination",
    metavar="DST",
    help="Output, its name gives the format: photos .png .jpg .webp .tiff .npy, sounds .wav .flac .ogg .mp3 .aiff, "
    "videos .mp4 .mkv .gif or a folder (no suffix) for PNG files, shapes .obj .ply .stl .glb. "
    "Default is SRC with the first suffix of its kind; - is standard output.",
)
@click.option("--scale", type=float, metavar="F", help="Times the native size, of photos, videos and shapes.")
@click.option("--size", type=PixelSize(), metavar="WxH", help="Pixels of the whole picture; need not keep the aspect.")
@click.option("--region", type=Region(), help="Part of the picture to decode, in native pixels.")
@click.option("--rate", type=int, metavar="HZ", help="Samples of sound per second.")
@click.option("--fps", type=FrameRate(), help="Frames of video per second.")
@click.option("--start", type=float, metavar="S", help="Second to begin at, of sounds and videos.")
@click.option("--duration", type=float, metavar="S", help="Seconds to decode, of sounds and videos.")
@click.option("--resolution", type=int, metavar="N", help="Cells along the longest axis of a shape; 128 by default.")
@click.option("--background", metavar="C", help="Colour under a transparent photo, such as white or #ff8800.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where to decode.")
@click.option("--allow-truncated", is_flag=True, help="Decode what a cut file of a grid field has.")
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
def decode(source: str, destination: str | None, force: bool, **options: Any) -> None:
    """Decode the photo, sound, video or shape SRC.i2 at any resolution.

    \b
    i2codec decode photo.i2
    i2codec decode photo.i2 -o part.jpg --region 100,50,64,64 --scale 4
    i2codec decode sound.i2 -o sound.flac --rate 96000 --start 10 --duration 5
    i2codec decode video.i2 -o video.mp4 --scale 2 --fps 60
    i2codec decode shape.i2 -o shape.glb --resolution 256
    """
    import i2codec
    from i2codec._api import bytes_of, decode_bytes
    from i2codec.container.head import read_head
    from i2codec.payload.ids import known
    from i2codec.signal.description import Kind
    from i2codec.sinks import default_extension

    if Path(source).is_dir():
        default_destination(source, suffix="")  # says that it is a folder
    data = bytes_of(read_input(source))
    suffix = default_extension(known(Kind, read_head(data).kind, field="kind of signal"))
    output = destination or default_destination(source, suffix=suffix)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", I2Warning)
        if output == STANDARD_STREAM:
            sys.stdout.buffer.write(decode_bytes(data, extension=suffix, **options))
        else:
            i2codec.decode_file(data, output, force=force, **options)
    if options["size"] is not None:
        _say_if_aspect_changes(data, options["size"])
    for warning in caught:
        click.echo(f"i2codec: {warning.message}", err=True)


def _say_if_aspect_changes(data: bytes, size: tuple[int, int]) -> None:
    import i2codec

    *_, height, width, _channels = i2codec.info(data)["shape"]
    # half a pixel of rounding is not a change of aspect
    if abs(size[0] * height - size[1] * width) > 0.5 * max(width, height):
        click.echo(f"i2codec: size {size[0]}x{size[1]} does not keep the aspect of {width}x{height}", err=True)
