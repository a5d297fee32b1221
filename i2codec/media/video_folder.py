"""Videos to folders of PNG files, one for each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OutputError
from i2codec.media.image_write import write_photo
from i2codec.media.video_formats import FRAME_FOLDER, check_video_output
from i2codec.signal.description import Axis, AxisName, Kind, SampleFormat, SignalDescription
from i2codec.signal.signal import Signal


class FrameFolder:
    """Writes frames as ``frame_000001.png`` and so on: 8-bit, or 16-bit for videos of more than 8 bits.

    A folder holds neither sound nor times. Further numbers take more digits.

    Parameters
    ----------
    folder:
        An existing, empty folder.
    description:
        The video.

    Raises
    ------
    OutputError
        As :func:`~i2codec.media.video.check_video_output` does, or if the folder is missing or not empty.
    """

    def __init__(self, folder: Path, description: SignalDescription) -> None:
        """Check the folder."""
        check_video_output(FRAME_FOLDER, description, sound=None)
        try:
            first = next(folder.iterdir(), None)
        except OSError as exc:
            raise OutputError(f"{folder} is not a folder that can be written; expected an empty one: make it") from exc
        if first is not None:
            raise OutputError(f"{folder} is not empty; expected an empty folder for the frames: name another")
        height, width = description.extents[1:]
        self._folder, self._written = folder, 0
        self._picture = SignalDescription(
            kind=Kind.PHOTO,
            axes=(Axis(AxisName.Y, height), Axis(AxisName.X, width)),
            channels=description.channels,
            sample_format=(
                SampleFormat.UINT8 if description.sample_format is SampleFormat.UINT8 else SampleFormat.UINT16
            ),
        )

    def write(self, frames: NDArray[np.float32]) -> None:
        """Write the next frames ``[n, H, W, C]`` in 0..1.

        Raises
        ------
        OptionError
            If they have another shape than described.
        OutputError
            If writing fails.
        """
        for frame in frames:
            signal = Signal(self._picture, frame)
            self._written += 1
            path = self._folder / f"frame_{self._written:06}.png"
            try:
                with path.open("xb") as stream:
                    write_photo(signal, stream, extension=".png", background=None)
            except OutputError:
                raise
            except OSError as exc:
                raise OutputError(f"{path} cannot be written: {exc.strerror or exc}; check the disk") from exc

    def write_sound(self, samples: NDArray[np.float32]) -> None:
        """Do nothing: a folder holds no sound."""

    def close(self) -> None:
        """Do nothing: every file is whole as soon as it is written."""
