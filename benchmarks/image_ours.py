"""i2codec as a codec of ``image_rd.py``: a preset at some λ, through the public verbs."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from image_peers import Setting
from image_suites import Samples
from PIL import Image

import i2codec
import i2codec.fit.encoder  # else the first time measured is that of this import too
from i2codec.fit.presets import PRESETS
from i2codec.options import EncodeKeywords

# All that the encoder is given but for λ: another field or device is one more entry here.
VARIANTS: Mapping[str, EncodeKeywords] = {
    f"i2codec-{preset}": {"preset": preset, "device": "cpu", "seed": 0} for preset in PRESETS
}
DEFAULT = "i2codec-fast"


@dataclass(frozen=True)
class Ours:
    """i2codec with the options of a variant, once for every λ."""

    name: str
    options: EncodeKeywords
    lmbdas: Sequence[float]
    suffix: str = ".i2"

    @property
    def versions(self) -> str:
        return f"i2codec {i2codec.__version__}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)"

    def settings(self, step: int = 1) -> list[Setting]:
        """λ has no qualities to leave out."""
        return [{**self.options, "lmbda": lmbda} for lmbda in self.lmbdas]

    def encode(self, samples: Samples, path: Path, setting: Setting) -> None:
        picture = io.BytesIO()
        Image.fromarray(samples).save(picture, "PNG")
        i2codec.encode_file(picture.getvalue(), path, **setting)

    def decode(self, path: Path) -> Samples:
        samples = i2codec.decode(path, device="cpu").to_source()
        assert samples.dtype == np.uint8  # as the source was
        return samples.astype(np.uint8, copy=False)

    def mac_per_pixel(self, path: Path) -> float | None:
        macs = i2codec.info(path).get("macs_per_point")
        return None if macs is None else float(macs)


def variants(lmbdas: Sequence[float]) -> list[Ours]:
    return [Ours(name, options, lmbdas) for name, options in VARIANTS.items()]
