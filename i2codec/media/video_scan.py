"""What the packets of a video file say, read without decoding."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av

from i2codec.errors import InputError
from i2codec.media.video_formats import INPUT_FORMATS
from i2codec.media.video_source import VideoSource, picture_stream, sound_stream
from i2codec.media.video_timing import Timing, timing_of

_NONE = -(2**63)  # a time that a packet does not have
_VP8_SHOWN = 0x10  # of the first byte of a frame
_SLACK_S = Fraction(1, 20)  # by which a file may end before the duration in its header


@dataclass(frozen=True)
class Scan:
    """What there is to decode.

    Parameters
    ----------
    frame_count:
        Frames that the file holds.
    announced_count:
        Frames that its header announces, where it holds fewer; else ``frame_count``.
    timing:
        When the frames are shown.
    intact:
        Whether all packets could be read and decoding can begin with the first.
    sound_span:
        Seconds at which the sound track begins and ends, where there is one.
    """

    frame_count: int
    announced_count: int
    timing: Timing
    intact: bool
    sound_span: tuple[Fraction, Fraction] | None


@dataclass
class _Track:
    """Times of one stream's packets."""

    starts: array[int] = field(default_factory=lambda: array("q"))
    stored: int = 0
    begins_with_key: bool = True
    last: tuple[int, int] = (_NONE, 0)  # start and duration of the packet that begins last

    def add(self, packet: Any) -> None:
        """Take account of the next packet."""
        self.stored += 1
        if self.stored == 1:
            self.begins_with_key = packet.is_keyframe
        if packet.is_discard:
            return
        start = _NONE if packet.pts is None else packet.pts
        self.starts.append(start)
        if start != _NONE:
            self.last = max(self.last, (start, packet.duration or 0))

    def span(self, stream: Any) -> tuple[Fraction, Fraction] | None:
        """Seconds at which the stream begins and ends."""
        known = [start for start in self.starts if start != _NONE]
        if not known or not stream.time_base:
            return None
        return min(known) * stream.time_base, sum(self.last) * stream.time_base


def scan_video(source: VideoSource) -> Scan:
    """Read all packets of a video once; header numbers are not to be relied on.

    Raises
    ------
    InputError
        If the source is not a video or holds no frames.
    """
    container = source.open()
    video = picture_stream(container, name=source.name)
    sound = sound_stream(container)
    tracks = {stream.index: _Track() for stream in (video, sound) if stream is not None}
    whole = _read_packets(container, [video, *([sound] if sound else [])], tracks)
    pictures = tracks[video.index]
    if not pictures.starts:
        raise InputError(f"{source.name} holds no frames; expected {INPUT_FORMATS}")
    timing = timing_of(
        [None if start == _NONE else start for start in pictures.starts],
        last_duration=pictures.last[1],
        time_base=video.time_base,
        rates=[video.average_rate, video.base_rate, video.guessed_rate],
    )
    spans = [tracks[stream.index].span(stream) for stream in (video, sound) if stream is not None]
    missing = _missing_frames(container, video, pictures, spans, timing)
    return Scan(
        frame_count=len(pictures.starts),
        announced_count=len(pictures.starts) + missing,
        timing=timing,
        intact=whole and pictures.begins_with_key,
        sound_span=spans[1] if sound is not None else None,
    )


def _read_packets(container: Any, streams: list[Any], tracks: dict[int, _Track]) -> bool:
    try:
        for packet in container.demux(streams):
            if packet.size and not _is_hidden(packet):
                tracks[packet.stream.index].add(packet)
    except av.FFmpegError:  # what came before it can be decoded
        return False
    return True


def _is_hidden(packet: Any) -> bool:
    """Whether a packet only prepares other frames, as VP8 has them."""
    return packet.stream.codec_context.name in ("vp8", "libvpx") and not memoryview(packet)[0] & _VP8_SHOWN


def _missing_frames(
    container: Any, video: Any, pictures: _Track, spans: list[tuple[Fraction, Fraction] | None], timing: Timing
) -> int:
    """Frames that the header promises and the file does not hold."""
    uncounted: int = max(video.frames - pictures.stored, 0)
    if "matroska" in container.format.name:  # counts no frames
        return _frames_beyond(
            spans, (container.start_time or 0) + (container.duration or 0), Fraction(1, av.time_base), timing
        )
    if "mov" in container.format.name:  # counts frames too that an edit list leaves out
        end = (video.start_time or 0) + (video.duration or 0)
        return min(uncounted, _frames_beyond(spans[:1], end, video.time_base, timing))
    return uncounted


def _frames_beyond(
    spans: list[tuple[Fraction, Fraction] | None], end: int, time_base: Fraction | None, timing: Timing
) -> int:
    """Frames between the last packet of a track and the end, in ticks, that the header promises."""
    ends = [span[1] for span in spans if span is not None]
    if spans[0] is None or not time_base or end * time_base - max(ends) <= timing.step * 2 + _SLACK_S:
        return 0
    return round((end * time_base - spans[0][1]) / timing.step)
