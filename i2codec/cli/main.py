"""The ``i2codec`` command: its group, and how errors reach the user."""

from __future__ import annotations

import sys

import click

import i2codec
from i2codec.cli.decode import decode
from i2codec.cli.encode import encode
from i2codec.cli.inspect import compare, info, verify
from i2codec.errors import I2Error

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class _Group(click.Group):
    """Turns expected errors into one line on standard error and exit status 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; exits with 1 where it raised an error of ours, with 130 where it was interrupted."""
        try:
            return super().invoke(ctx)
        except I2Error as error:
            message = " ".join(str(error).split())
            click.echo(f"i2codec: {message}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("i2codec: interrupted; nothing was written", err=True)
            ctx.exit(_INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our output left; Python would complain again at exit
            ctx.exit(1)
        except MemoryError:
            click.echo("i2codec: out of memory; use a smaller source, region or scale", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(i2codec.__version__, prog_name="i2codec")
def main() -> None:
    """Store photos, sounds, videos and 3D shapes as (Implicit)² networks.

    \b
    i2codec encode photo.png                    makes photo.i2
    i2codec decode photo.i2 -o photo.png        and back
    i2codec decode photo.i2 -o large.png --scale 2
    i2codec decode sound.i2 -o sound.wav --rate 96000
    """


main.add_command(encode)
main.add_command(decode)
main.add_command(info)
main.add_command(compare)
main.add_command(verify)
