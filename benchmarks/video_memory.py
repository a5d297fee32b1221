"""Peak memory of encoding a video against its number of frames.

    python benchmarks/video_memory.py

A generated H.264 clip of 1280 × 720 pixels with moving waves, encoded by the ``draft`` preset in a
process of its own. Steps of the fit are cut down, since memory does not depend on them: one
network is fitted after the other.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from common import Row, command, peak_bytes, report

import i2codec

FRAMES = (60, 240)
HEIGHT, WIDTH, FPS = 720, 1280, 30
STEPS = 20


def make_clip(path: Path, *, frames: int) -> None:
    """Write a clip of waves that move."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            waves = [np.sin(x / (40 + 9 * c) + number / 7) * np.cos(y / (31 + 5 * c) - number / 11) for c in range(3)]
            picture = (127.5 + 127.0 * np.stack(waves, axis=-1)).astype(np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def encode(path: str, threads: int) -> tuple[int, int, float]:
    """Size of the file, peak memory of this process, and seconds."""
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    data = i2codec.encode(path, preset="draft", steps=STEPS, device="cpu")
    return len(data), peak_bytes("cpu"), time.perf_counter() - begin


@command("video_memory")
def main(device: str) -> Sequence[Row]:
    rows: list[dict[str, Any]] = []
    context = multiprocessing.get_context("spawn")  # a fresh process: peaks do not go down
    with tempfile.TemporaryDirectory() as folder:
        for frames in FRAMES:
            path = Path(folder) / f"{frames}.mp4"
            make_clip(path, frames=frames)
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                size_bytes, peak, encode_s = pool.submit(encode, str(path), torch.get_num_threads()).result()
            peak_mib = peak / 2**20
            rows.append(
                dict(
                    report(
                        frames=frames,
                        width=WIDTH,
                        height=HEIGHT,
                        preset="draft",
                        steps=STEPS,
                        size_bytes=size_bytes,
                        peak_mib=peak_mib,
                        relative=peak_mib / rows[0]["peak_mib"] if rows else 1.0,
                        encode_s=encode_s,
                    )
                )
            )
    return rows


if __name__ == "__main__":
    main()
