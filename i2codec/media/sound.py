"""Sounds in and out: the public face of the ``sound_*`` modules."""

from i2codec.media.sound_formats import (
    MAX_SOUND_CHANNELS,
    MAX_SOUND_RATE,
    SOUND_EXTENSIONS,
    SOUND_INPUT_EXTENSIONS,
    check_sound_output,
)
from i2codec.media.sound_read import SoundReader, open_sound
from i2codec.media.sound_write import SoundWriter

__all__ = [
    "MAX_SOUND_CHANNELS",
    "MAX_SOUND_RATE",
    "SOUND_EXTENSIONS",
    "SOUND_INPUT_EXTENSIONS",
    "SoundReader",
    "SoundWriter",
    "check_sound_output",
    "open_sound",
]
