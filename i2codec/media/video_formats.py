"""What video files can hold: extensions, sides, rates, sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from i2codec.errors import InputError, OutputError
from i2codec.media.image_formats import MAX_PIXELS
from i2codec.signal.description import ChannelRole, Kind, SignalDescription

FRAME_FOLDER = ""  # a destination without extension is a folder of PNG files

INPUT_FORMATS = "a video such as MP4, MKV, WebM, MOV, AVI or GIF"
MAX_SOUND_CHANNELS = 8

_CHANNELS = ((ChannelRole.GREY,), (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE))


@dataclass(frozen=True)
class OutputFormat:
    """What a kind of output can hold.

    Parameters
    ----------
    name:
        Name for messages.
    muxer:
        FFmpeg's name of the container.
    largest_side:
        Most pixels along one side.
    tick:
        Seconds that all times are rounded to, ``None`` where any time base is exact.
    holds_sound:
        Whether a sound track is written; one is left out where not.
    """

    name: str
    muxer: str
    largest_side: int
    tick: Fraction | None = None
    holds_sound: bool = True


OUTPUT_FORMATS = {
    ".mp4": OutputFormat("MP4", "mp4", 16384),  # libx264's own limit
    ".mkv": OutputFormat("MKV", "matroska", 65535, tick=Fraction(1, 1000)),
    ".gif": OutputFormat("GIF", "gif", 65535, tick=Fraction(1, 100), holds_sound=False),
    FRAME_FOLDER: OutputFormat("a folder of PNG files", "", 65535, holds_sound=False),
}
VIDEO_EXTENSIONS = tuple(extension for extension in OUTPUT_FORMATS if extension)


def output_format(extension: str) -> OutputFormat:
    """The kind of output that an extension such as ``".mp4"`` names; case does not matter.

    Raises
    ------
    OutputError
        If videos cannot be written under this extension.
    """
    try:
        return OUTPUT_FORMATS[extension.lower()]
    except KeyError as exc:
        supported = " ".join(VIDEO_EXTENSIONS)
        raise OutputError(
            f"cannot write a video as {extension}; use {supported}, or no extension for a folder of PNG files"
        ) from exc


def holds_sound(extension: str) -> bool:
    """Whether an output keeps a sound track; GIF and folders of PNG files leave it out.

    Raises
    ------
    OutputError
        If videos cannot be written under this extension.
    """
    return output_format(extension).holds_sound


def check_video_output(extension: str, description: SignalDescription, *, sound: SignalDescription | None) -> None:
    """Refuse an output that :class:`~i2codec.media.video.VideoWriter` cannot write, before slow work.

    Sound beside a GIF or a folder is not refused: it is left out there.

    Parameters
    ----------
    extension:
        Extension of the output with its dot, ``""`` for a folder of PNG files.
    description:
        The video.
    sound:
        Its sound track, if it has one.

    Raises
    ------
    OutputError
        For an extension that is not supported, channels other than RGB or grey, a side or a
        frame rate over what the format allows, or sound of too many channels.
    """
    kind = output_format(extension)
    if description.kind is not Kind.VIDEO or description.channels not in _CHANNELS:
        roles = ", ".join(role.name.lower() for role in description.channels)
        raise OutputError(f"a {description.kind.name.lower()} of channels {roles}; expected a video in RGB or grey")
    if max(description.extents[1:]) > kind.largest_side:
        side = max(description.extents[1:])
        raise OutputError(f"the video has a side of {side} pixels; {kind.name} holds at most {kind.largest_side}")
    if kind.tick is not None and description.axes[0].step < kind.tick:
        rate, most = float(1 / description.axes[0].step), 1 / kind.tick
        raise OutputError(f"the video has {rate:g} frames per second; {kind.name} holds at most {most}: write .mp4")
    if sound is not None and kind.holds_sound:
        _check_sound(sound, name=kind.name)


def _check_sound(sound: SignalDescription, *, name: str) -> None:
    if sound.kind is not Kind.SOUND or len(sound.channels) > MAX_SOUND_CHANNELS:
        raise OutputError(
            f"the sound track has {len(sound.channels)} channels; {name} holds at most {MAX_SOUND_CHANNELS}"
        )
    if (1 / sound.axes[0].step).denominator != 1:
        raise OutputError(f"the sound track has {1 / sound.axes[0].step} samples per second; expected a whole number")


def check_frame_size(height: int, width: int, *, name: str) -> None:
    """Refuse frames of ``height`` by ``width`` pixels that are empty or over the limit of a photo.

    Raises
    ------
    InputError
        If they are; ``name`` says which source.
    """
    if not 1 <= height * width <= MAX_PIXELS:
        raise InputError(
            f"{name} has frames of {width} x {height} pixels; expected 1 to {MAX_PIXELS} pixels: crop or scale it first"
        )
