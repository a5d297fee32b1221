"""What sound files can hold: limits, extensions, rates, and libsndfile's names for number formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import soundfile

from i2codec.errors import OutputError
from i2codec.signal.description import SampleFormat, SignalDescription, SourceContainer

MAX_SOUND_CHANNELS = 8
MAX_SOUND_RATE = 10_000_000  # Hz; above any sound card and most digitisers of ultrasound


INPUT_FORMATS = "WAV, FLAC, OGG (Vorbis or Opus), MP3 or AIFF"

READ_CONTAINERS = {
    "WAV": SourceContainer.WAV,
    "WAVEX": SourceContainer.WAV,
    "RF64": SourceContainer.WAV,
    "W64": SourceContainer.WAV,
    "FLAC": SourceContainer.FLAC,
    "OGG": SourceContainer.OGG,
    "MP3": SourceContainer.MP3,
    "AIFF": SourceContainer.AIFF,
    "AU": SourceContainer.OTHER,
    "CAF": SourceContainer.OTHER,
}
"""Families of files that are read. libsndfile knows more, but takes files of other kinds for some of them."""

VORBIS_ORDERS = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 4, 5, 3),
    7: (0, 2, 1, 5, 6, 4, 3),
    8: (0, 2, 1, 6, 7, 4, 5, 3),
}
"""Where the channels of Vorbis and Opus files lie in WAV and FLAC, by their number; the same where it is left out.

libsndfile does not reorder them. Vorbis I, 4.3.9, and RFC 9639 (FLAC), 9.1.3, define the orders.
"""
VORBIS_SUBTYPES = {"VORBIS", "OPUS"}

SAMPLE_BYTES = {
    "PCM_S8": 1,
    "PCM_U8": 1,
    "PCM_16": 2,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
    "ULAW": 1,
    "ALAW": 1,
}
"""Bytes of one stored sample, for the subtypes where each has as many."""

_SAMPLE_FORMATS = {
    "PCM_S8": SampleFormat.INT8,
    "PCM_U8": SampleFormat.INT8,
    "PCM_16": SampleFormat.INT16,
    "PCM_24": SampleFormat.INT24,
    "PCM_32": SampleFormat.INT32,
    "DOUBLE": SampleFormat.FLOAT64,
    "ALAC_16": SampleFormat.INT16,
    "ALAC_20": SampleFormat.INT24,
    "ALAC_24": SampleFormat.INT24,
    "ALAC_32": SampleFormat.INT32,
    # decoded to 16 bits
    "ULAW": SampleFormat.INT16,
    "ALAW": SampleFormat.INT16,
    "IMA_ADPCM": SampleFormat.INT16,
    "MS_ADPCM": SampleFormat.INT16,
    "GSM610": SampleFormat.INT16,
}


def sample_format_of(subtype: str) -> SampleFormat:
    """Number format that stands for a subtype of libsndfile; lossy codecs decode to floats."""
    return _SAMPLE_FORMATS.get(subtype, SampleFormat.FLOAT32)


@dataclass(frozen=True)
class SoundFormat:
    """What a kind of output file can hold.

    Parameters
    ----------
    name:
        Name for messages, with its article.
    container:
        libsndfile's name of the file family.
    subtypes:
        libsndfile's name of each number format that is written as it is.
    other:
        The one of them in which all other number formats are written.
    rates:
        Rates that it holds, in Hz.
    rates_text:
        The same for messages.
    largest_channel_count:
        Most channels.
    longest_tag:
        Most bytes of a tag that libsndfile reads back; beyond them AIFF and Opus files become unreadable.
    largest_size:
        Most bytes of samples, or None where the format sets no limit.
    compression_level:
        Between 0 (best) and 1 (smallest), for lossy formats.
    """

    name: str
    container: str
    subtypes: Mapping[SampleFormat, str]
    other: SampleFormat
    rates: tuple[range, ...]
    rates_text: str
    largest_channel_count: int = MAX_SOUND_CHANNELS
    longest_tag: int = 2**16
    largest_size: int | None = None
    compression_level: float | None = None

    def written_format(self, sample_format: SampleFormat) -> SampleFormat:
        """The number format in which samples of ``sample_format`` are written."""
        return sample_format if sample_format in self.subtypes else self.other


_ANY_RATE = (range(1, MAX_SOUND_RATE + 1),)
_FLOATS = {SampleFormat.FLOAT32: "FLOAT", SampleFormat.FLOAT64: "DOUBLE"}
_FLAC_INTEGERS = {SampleFormat.INT8: "PCM_S8", SampleFormat.INT16: "PCM_16", SampleFormat.INT24: "PCM_24"}
_AIFF_INTEGERS = _FLAC_INTEGERS | {SampleFormat.INT32: "PCM_32"}
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_LARGEST_U32_SIZE = 2**32 - 2**20  # leaves room for headers and tags
# About 250 to 300 kbit/s for stereo: what was decoded should not lose audibly once more.
_VORBIS_LEVEL, _OPUS_LEVEL, _MP3_LEVEL = 0.2, 0.4, 0.0


def _only(rates: tuple[int, ...]) -> tuple[range, ...]:
    return tuple(range(rate, rate + 1) for rate in rates)


_AIFF = SoundFormat(
    "an AIFF file",
    "AIFF",
    _AIFF_INTEGERS | _FLOATS,
    SampleFormat.FLOAT32,
    _ANY_RATE,
    f"1 to {MAX_SOUND_RATE}",
    longest_tag=8000,
    largest_size=_LARGEST_U32_SIZE,
)
SOUND_FORMATS = {
    ".wav": SoundFormat(
        "a WAV file",
        "WAV",
        _AIFF_INTEGERS | _FLOATS | {SampleFormat.INT8: "PCM_U8"},
        SampleFormat.FLOAT32,
        _ANY_RATE,
        f"1 to {MAX_SOUND_RATE}",
        longest_tag=2000,
    ),
    ".flac": SoundFormat(
        "a FLAC file",
        "FLAC",
        _FLAC_INTEGERS,
        SampleFormat.INT24,
        (range(1, 2**16), range(65540, 655351, 10)),  # frame headers count in Hz or in tens of Hz, in 16 bits
        "1 to 65535 Hz and multiples of 10 up to 655350",
    ),
    ".ogg": SoundFormat(
        "an Ogg Vorbis file",
        "OGG",
        {SampleFormat.FLOAT32: "VORBIS"},
        SampleFormat.FLOAT32,
        (range(1, 200_001),),  # libsndfile crashes on what libvorbis refuses
        "1 to 200000",
        compression_level=_VORBIS_LEVEL,
    ),
    ".opus": SoundFormat(
        "an Opus file",
        "OGG",
        {SampleFormat.FLOAT32: "OPUS"},
        SampleFormat.FLOAT32,
        _only(_OPUS_RATES),
        ", ".join(map(str, _OPUS_RATES)),
        longest_tag=6000,
        compression_level=_OPUS_LEVEL,
    ),
    ".mp3": SoundFormat(
        "an MP3 file",
        "MP3",
        {SampleFormat.FLOAT32: "MPEG_LAYER_III"},
        SampleFormat.FLOAT32,
        _only(_MP3_RATES),
        ", ".join(map(str, _MP3_RATES)),
        largest_channel_count=2,
        compression_level=_MP3_LEVEL,
    ),
    ".aif": _AIFF,
    ".aiff": _AIFF,
}
SOUND_EXTENSIONS = tuple(SOUND_FORMATS)
"""Extensions under which sounds are written."""
SOUND_INPUT_EXTENSIONS = frozenset(SOUND_FORMATS) | {".aifc", ".au", ".caf", ".oga", ".rf64", ".snd", ".w64", ".wave"}
"""Extensions of files that are likely to be sounds; :func:`~i2codec.media.sound.open_sound` looks at content only."""


def sound_format(extension: str) -> SoundFormat:
    """The kind of file that an extension such as ``".wav"`` names; case does not matter.

    Raises
    ------
    OutputError
        If sounds cannot be written under this extension.
    """
    try:
        return SOUND_FORMATS[extension.lower()]
    except KeyError as exc:
        supported = " ".join(SOUND_FORMATS)
        raise OutputError(
            f"cannot write a sound as {extension or 'a name without extension'}; use {supported}"
        ) from exc


def sound_size(description: SignalDescription, kind: SoundFormat) -> int:
    """Bytes that the samples of a sound take in a file that does not compress them."""
    subtype = kind.subtypes[kind.written_format(description.sample_format)]
    return description.point_count * len(description.channels) * SAMPLE_BYTES.get(subtype, 0)


def check_sound_output(extension: str, description: SignalDescription) -> None:
    """Refuse an output that :class:`~i2codec.media.sound.SoundWriter` cannot write, before slow work.

    Parameters
    ----------
    extension:
        Extension of the output, with its dot.
    description:
        The sound as it would be written: its length, rate and channels.

    Raises
    ------
    OutputError
        For an extension that is not supported, or a rate, number of channels or length that the
        format does not hold.
    """
    kind = sound_format(extension)
    rate, channel_count = 1 / description.axes[0].step, len(description.channels)
    if rate.denominator != 1:
        raise OutputError(f"{kind.name} holds whole rates; the sound has {float(rate):g} Hz: use --rate")
    if not any(int(rate) in rates for rates in kind.rates):
        advice = "use --rate" if kind.rates is _ANY_RATE else "use --rate or write .wav"
        raise OutputError(f"{kind.name} holds rates of {kind.rates_text} Hz; the sound has {rate} Hz: {advice}")
    if channel_count > kind.largest_channel_count:
        advice = "mix it down" if kind.largest_channel_count == MAX_SOUND_CHANNELS else "write .wav"
        raise OutputError(
            f"{kind.name} is written with at most {kind.largest_channel_count} channels; "
            f"the sound has {channel_count}: {advice}"
        )
    if kind.largest_size is not None and sound_size(description, kind) > kind.largest_size:
        size_gib = sound_size(description, kind) / 2**30
        raise OutputError(f"{kind.name} holds less than 4 GiB; the sound takes {size_gib:.1f} GiB: write .wav")
    if not soundfile.check_format(kind.container, kind.subtypes[kind.written_format(description.sample_format)]):
        version = soundfile.__libsndfile_version__
        raise OutputError(f"libsndfile {version} cannot write {kind.name}; install a newer one or write .wav")
