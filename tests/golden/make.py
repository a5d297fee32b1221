"""Make the golden files of the current version: a deliberate act, once per format version.

    python tests/golden/make.py

Files of released versions are never made again; tests decode them forever.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import i2codec
from i2codec.media.image import photo_from_array
from i2codec.signal.signal import MetadataKey

HERE = Path(__file__).parent


def main() -> None:
    with Image.open(HERE.parent / "data" / "coffee.png") as photo:
        crop = np.asarray(photo.convert("RGB").reduce(8))
    alpha = np.zeros((*crop.shape[:2], 1), dtype=np.uint8)
    alpha[8:24, 12:36] = 255
    transparent = photo_from_array(
        np.concatenate([crop, alpha], axis=-1),
        metadata={MetadataKey.ICC_PROFILE: bytes(range(200)), MetadataKey.EXIF: b"MM\x00*\x00\x00\x00\x08\x00\x00"},
    )
    heights = np.linspace(-3.0, 8000.0, 30 * 20, dtype=np.float32).reshape(30, 20)
    cases = {
        "photo_v1": (crop, {"filter": "siren", "width": 16}),
        "transparent_v1": (transparent, {"filter": "fourier", "width": 10}),
        "heights_v1": (heights, {"filter": "gabor", "width": 6}),
    }
    for name, (source, options) in cases.items():
        data = i2codec.encode(source, preset="draft", steps=150, device="cpu", **options)
        (HERE / f"{name}.i2").write_bytes(data)
        np.save(HERE / f"{name}.npy", i2codec.decode(data, device="cpu").samples)


if __name__ == "__main__":
    main()
