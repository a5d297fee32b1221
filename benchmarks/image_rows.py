"""Rows of ``image_rd.py``: one measures one picture, codec and setting. They are kept line by line in a file."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import device_name
from image_peers import Codec, Setting
from image_suites import Picture, Samples
from pytorch_msssim import ms_ssim

from i2codec.signal.metrics import psnr_db

Row = Mapping[str, Any]
Key = tuple[str, tuple[int, ...] | None, str, str]

_SMALLEST_MS_SSIM_SIDE = 161  # five scales of an 11-pixel window: 10 · 2⁴ + 1


def key_of(row: Row) -> Key:
    """What was measured: picture, codec and setting."""
    crop = None if row["crop"] is None else tuple(row["crop"])
    return row["image"], crop, row["codec"], json.dumps(row["setting"], sort_keys=True)


def unmeasured(picture: Picture, codec: str, setting: Setting) -> Row:
    """A row that says only what is to be measured."""
    return {"image": picture.name, "crop": picture.crop, "codec": codec, "setting": dict(setting)}


def quality(source: Samples, decoded: Samples) -> dict[str, float | None]:
    """Of decoded 8-bit samples; a picture without error has no PSNR, and a small one no MS-SSIM."""
    mse = float(np.mean((decoded / 255.0 - source / 255.0) ** 2))
    large = min(source.shape[:2]) >= _SMALLEST_MS_SSIM_SIDE
    tensors = [torch.from_numpy(np.moveaxis(samples, -1, 0)[None] / np.float32(255.0)) for samples in (decoded, source)]
    return {
        "mse": float(f"{mse:.7g}"),
        "psnr_db": round(psnr_db(mse), 4) if mse > 0.0 else None,
        "ms_ssim": round(float(ms_ssim(*tensors, data_range=1.0)), 6) if large else None,
    }


def measure(picture: Picture, codec: Codec, setting: Setting) -> Row:
    """Encode into a file, decode it, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture{codec.suffix}"
        begin = time.perf_counter()
        codec.encode(picture.samples, path, setting)
        encoded = time.perf_counter()
        decoded = codec.decode(path)
        end = time.perf_counter()
        size_bytes, macs = path.stat().st_size, codec.mac_per_pixel(path)
    return {
        **unmeasured(picture, codec.name, setting),
        "size_bytes": size_bytes,
        "rate_bpp": round(8 * size_bytes / picture.pixels, 7),
        **quality(picture.samples, decoded),
        "encode_s": round(encoded - begin, 4),
        "decode_s": round(end - encoded, 4),
        "mac_per_pixel": macs,
        "device": device_name("cpu"),
        "versions": codec.versions,
    }


class RowFile:
    """JSON lines that grow row by row; of rows with the same key the last counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a row that an interruption cut is measured again
        if whole != text:
            os.truncate(path, len(whole.encode()))
        self.rows: dict[Key, Row] = {key_of(row): row for row in map(json.loads, whole.splitlines())}

    def append(self, row: Row) -> None:
        line = json.dumps(row, allow_nan=False)
        with self._path.open("a") as stream:
            stream.write(line + "\n")
        self.rows[key_of(row)] = row
