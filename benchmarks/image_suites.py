"""The pictures that ``image_rd.py`` measures codecs on: whole photos, or crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box = tuple[int, int, int, int]  # left, top, width, height
Samples = NDArray[np.uint8]  # [H, W, 3]

_TEST_PHOTOS = Path(__file__).parents[1] / "tests" / "data"


@dataclass(frozen=True)
class Picture:
    """A photo, or a part of it; ``name`` is the stem of its file."""

    name: str
    crop: Box | None
    samples: Samples

    @property
    def title(self) -> str:
        """Its name, and the part of the photo that it is."""
        return self.name if self.crop is None else f"{self.name} {','.join(map(str, self.crop))}"

    @property
    def pixels(self) -> int:
        height, width, _ = self.samples.shape
        return int(height * width)


@dataclass(frozen=True)
class Suite:
    """A choice of pictures.

    Parameters
    ----------
    crops:
        Stems of the photos' files and parts of them; none is every photo of the folder, whole.
    folder:
        Where the photos are, if they are in the repository.
    """

    crops: tuple[tuple[str, Box], ...] = ()
    folder: Path | None = None


SUITES = {
    "ci": Suite((("coffee", (128, 48, 64, 48)),), _TEST_PHOTOS),
    "smoke": Suite(
        (
            ("kodim05", (256, 128, 256, 256)),
            ("kodim15", (160, 224, 256, 256)),
            ("kodim20", (128, 208, 256, 256)),
        )
    ),
    "kodak": Suite(),
}


def pictures_of(name: str, photos: Path | None) -> list[Picture]:
    """The pictures of a suite; a one-line error of the command if a photo is missing."""
    suite = SUITES[name]
    folder = photos or suite.folder
    if folder is None:
        raise click.ClickException(f"suite {name} needs --photos FOLDER, with {_expected(suite)}")
    if suite.crops:
        files: Sequence[tuple[Path, Box | None]] = [(folder / f"{stem}.png", crop) for stem, crop in suite.crops]
    else:
        files = [(path, None) for path in sorted(folder.glob("*.png"))]
    missing = [path.name for path, _ in files if not path.is_file()]
    if missing or not files:
        raise click.ClickException(f"no {', '.join(missing) or '*.png'} in {folder}; expected {_expected(suite)}")
    return [_read(path, crop) for path, crop in files]


def _expected(suite: Suite) -> str:
    names = [f"{stem}.png" for stem, _ in suite.crops] or ["photos as *.png, such as the Kodak suite's kodim01.png"]
    return ", ".join(names)


def _read(path: Path, crop: Box | None) -> Picture:
    with Image.open(path) as photo:
        samples = np.asarray(photo.convert("RGB"))
    if crop is not None:
        left, top, width, height = crop
        samples = samples[top : top + height, left : left + width]
        if samples.shape[:2] != (height, width):
            raise click.ClickException(f"{path} does not reach as far as its crop {crop}")
    return Picture(path.stem, crop, np.ascontiguousarray(samples))
