"""``i2codec encode``."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import click

from i2codec.cli.parameters import STANDARD_STREAM, BitRate, SizeBytes, default_destination, read_input
from i2codec.cli.progress_bar import ProgressBar
from i2codec.devices import DEVICES
from i2codec.fit.goals import DEFAULT_QUALITY, DEFAULT_SNR_DB
from i2codec.fit.presets import PRESETS
from i2codec.options import FIELDS, FILTERS, LAYERS, METADATA, TUNES, EncodeOptions


@click.command()
@click.argument("source", metavar="SRC")
@click.option(
    "-o", "destination", metavar="DST.i2", help="Output; default is SRC with the suffix .i2, - is standard output."
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default=EncodeOptions.preset,
    show_default=True,
    help="How long to fit.",
)
@click.option(
    "--lmbda", type=float, metavar="F", help="Minimise distortion + F · bits per point (pixel, sample, cell)."
)
@click.option(
    "--quality",
    type=click.IntRange(0, 100),
    metavar="0-100",
    help="A scale of lmbda. Without a rate option the width is where the search for "
    f"quality {DEFAULT_QUALITY} starts, bounded by the preset, and quantisation costs at most 0.3 dB; "
    f"sounds get {DEFAULT_SNR_DB:g} dB signal-to-noise ratio.",
)
@click.option("--target-bpp", type=float, metavar="F", help="Bits per point (pixel, sample, cell), all bytes counted.")
@click.option("--target-size", type=SizeBytes(), metavar="N[k|M]", help="Size in bytes, all bytes counted.")
@click.option(
    "--target-bitrate",
    type=BitRate(),
    metavar="N[k|M]",
    help="Bits per second of a sound or video, all bytes counted.",
)
@click.option("--target-snr", type=float, metavar="F", help="Signal-to-noise ratio of a sound in dB.")
@click.option("--target-psnr", type=float, metavar="F", help="PSNR in dB; of sounds the signal-to-noise ratio.")
@click.option(
    "--field",
    type=click.Choice(FIELDS),
    help="All in the weights, or latents (photos, sounds and short videos), far fewer bits: the default for photos "
    "and sounds.",
)
@click.option(
    "--layer",
    type=click.Choice(LAYERS),
    help="Of a grid: no neighbours, the first few steps of a fixed point, or that point; what costs least by default.",
)
@click.option(
    "--tune",
    type=click.Choice(TUNES),
    default=EncodeOptions.tune,
    show_default=True,
    help="Of a sound: as near as possible, or filled with noise where nothing is coded, which sounds better.",
)
@click.option(
    "--filter",
    type=click.Choice(FILTERS),
    help="Filters of the coordinate field; siren by default.",
)
@click.option("--width", type=int, metavar="N", help="Size of the state; chosen by default.")
@click.option("--steps", type=int, metavar="N", help="Optimiser steps for each network; the preset's by default.")
@click.option(
    "--device", type=click.Choice(DEVICES), default=EncodeOptions.device, show_default=True, help="Where to fit."
)
@click.option(
    "--seed", type=int, default=EncodeOptions.seed, show_default=True, metavar="N", help="Seed of all random numbers."
)
@click.option("--time-limit", type=float, metavar="S", help="Lay the whole encoding over S seconds.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Continue from FILE after an interruption.",
)
@click.option(
    "--metadata",
    type=click.Choice(METADATA),
    default=EncodeOptions.metadata,
    show_default=True,
    help="ICC profile, EXIF and tags.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def encode(source: str, destination: str | None, force: bool, quiet: bool, **options: Any) -> None:
    """Fit a network to the photo, sound, video or 3D shape SRC and store it as DST.i2.

    SRC is a photo (PNG, JPEG, WebP, TIFF, .npy), a sound (WAV, FLAC, OGG, MP3, AIFF), a video (whatever FFmpeg
    opens; its sound track too) or a closed mesh (OBJ, PLY, STL, GLB); - is standard input. Long sounds and videos
    are cut into segments with a network each.

    \b
    i2codec encode photo.png
    i2codec encode photo.png -o small.i2 --target-size 12k --preset medium
    i2codec encode sound.wav --target-snr 30
    i2codec encode sound.wav --target-bitrate 32k
    i2codec encode video.mp4 --preset draft --time-limit 600
    """
    output = destination or default_destination(source, suffix=".i2")
    EncodeOptions(**options)  # refuse wrong options before anything is loaded or read
    import i2codec

    data = read_input(source)
    with warnings.catch_warnings(record=True) as caught, ProgressBar(quiet=quiet) as progress:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", i2codec.I2Warning)
        if output == STANDARD_STREAM:
            sys.stdout.buffer.write(i2codec.encode(data, progress=progress, **options))
        else:
            i2codec.encode_file(data, output, force=force, progress=progress, **options)
    for warning in caught:
        click.echo(f"i2codec: {warning.message}", err=True)
