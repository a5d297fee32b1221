"""Videos in and out: the public face of the ``video_*`` modules."""

from i2codec.media.video_folder import FrameFolder
from i2codec.media.video_formats import (
    FRAME_FOLDER,
    VIDEO_EXTENSIONS,
    check_video_output,
    holds_sound,
)
from i2codec.media.video_read import VideoReader, count_frames, open_video
from i2codec.media.video_sound_read import VideoSoundReader, open_video_sound
from i2codec.media.video_write import VideoWriter

__all__ = [
    "FRAME_FOLDER",
    "VIDEO_EXTENSIONS",
    "FrameFolder",
    "VideoReader",
    "VideoSoundReader",
    "VideoWriter",
    "check_video_output",
    "count_frames",
    "holds_sound",
    "open_video",
    "open_video_sound",
]
