"""The peers of ``image_rd.py``: JPEG, WebP, AVIF, JPEG 2000 and JPEG XL through Pillow, on one thread.

One thread because the bytes of an AVIF depend on their number (its J on one and on two is the same to
half a percent). JPEG 2000 is written as a bare codestream and JPEG XL without a container, which
saves bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL
from image_suites import Samples
from PIL import AvifImagePlugin, Image, features
from pillow_jxl import JpegXLImagePlugin

Setting = Mapping[str, Any]

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the decoders take no other argument
JpegXLImagePlugin.DECODE_THREADS = 1


class Codec(Protocol):
    """What ``image_rd.py`` measures."""

    @property
    def name(self) -> str: ...

    @property
    def suffix(self) -> str:
        """Of its files."""

    @property
    def versions(self) -> str:
        """Of the libraries that it runs on."""

    def settings(self, step: int = 1) -> list[Setting]:
        """Everything that it is run with, or every so many of its qualities."""

    def encode(self, samples: Samples, path: Path, setting: Setting) -> None: ...

    def decode(self, path: Path) -> Samples: ...

    def mac_per_pixel(self, path: Path) -> float | None:
        """Multiplications of decoding one pixel, if the codec counts them."""


@dataclass(frozen=True)
class Peer:
    """A format that Pillow writes.

    Parameters
    ----------
    name, suffix:
        Its name here, and the suffix that tells Pillow the format.
    libraries:
        What Pillow writes it with.
    fixed:
        Arguments of Pillow's ``save``.
    sweeps:
        More arguments, in order of quality; each sweep is thinned alone.
    """

    name: str
    suffix: str
    libraries: Mapping[str, str | None]
    fixed: Setting
    sweeps: tuple[Sequence[Setting], ...]

    @property
    def versions(self) -> str:
        numbers = {"pillow": PIL.__version__, **self.libraries}
        return ", ".join(f"{name} {number}" for name, number in numbers.items())

    def settings(self, step: int = 1) -> list[Setting]:
        return [setting for sweep in self.sweeps for setting in sweep[::step]]

    def encode(self, samples: Samples, path: Path, setting: Setting) -> None:
        Image.fromarray(samples).save(path, **self.fixed, **setting)

    def decode(self, path: Path) -> Samples:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))

    def mac_per_pixel(self, path: Path) -> None:
        return None


def _qualities(first: int, last: int, **others: Any) -> list[Setting]:
    return [{"quality": quality, **others} for quality in range(first, last + 1)]


# Compression from 1000:1 down to 3:1, or 0.024 to 8 bits per pixel, in equal ratios.
_RATES = [{"quality_layers": [round(1000.0 * 0.003 ** (number / 100), 2)]} for number in range(101)]
_SUBSAMPLINGS = ("4:4:4", "4:2:0")

PEERS: tuple[Peer, ...] = (
    Peer(
        "jpeg",
        ".jpg",
        {"libjpeg-turbo": features.version("libjpeg_turbo")},
        {"optimize": True},
        tuple(_qualities(1, 100, subsampling=subsampling) for subsampling in _SUBSAMPLINGS),
    ),
    Peer(
        "jpeg2000",
        ".j2k",
        {"openjpeg": features.version("jpg_2000")},
        {"irreversible": True, "quality_mode": "rates", "mct": 1},
        (_RATES,),
    ),
    Peer("webp", ".webp", {"libwebp": features.version("webp")}, {"method": 6}, (_qualities(0, 100),)),
    Peer(
        "jpegxl",
        ".jxl",
        {"pillow-jxl-plugin": metadata.version("pillow-jxl-plugin")},
        {"effort": 9, "num_threads": 1},
        (_qualities(0, 99),),  # 100 is lossless
    ),
    Peer(
        "avif",
        ".avif",
        {"libavif": features.version("avif"), "aom": AvifImagePlugin.get_codec_version("aom")},
        {"speed": 2, "max_threads": 1},
        tuple(_qualities(0, 100, subsampling=subsampling) for subsampling in _SUBSAMPLINGS),
    ),
)
