"""What quantisation and coding cost: the file on disk against half floats, and the decoded file against the fit.

    python benchmarks/coding.py

Every row is one encoding of a crop of the photo that the repository carries. ``float_psnr_db``
is the fit before quantisation, ``psnr_db`` the decoded file; ``half_float_ratio`` is the size
of the file against its parameters as 16-bit floats; ``estimate_error_bytes`` the coded size
less its estimate; ``largest_change`` the most that any 8-bit sample changes when 4 · K steps
are run in place of the stored K.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import Row, command, report
from PIL import Image

from i2codec.container.section import SECTION
from i2codec.field.architecture import Filter
from i2codec.fit.goals import LossGoal
from i2codec.fit.points import TrainingPoints
from i2codec.fit.presets import get_preset
from i2codec.fit.unit_encoder import FitSettings, UnitEncoder
from i2codec.media.image import photo_from_array
from i2codec.payload.file import StoredSignal, write_file
from i2codec.payload.network_section import pack_network
from i2codec.payload.tensors import rate_bits
from i2codec.render.render import render_signal
from i2codec.signal.metrics import distortion, psnr_db

_PHOTO = Path(__file__).parents[1] / "tests" / "data" / "coffee.png"
# left, top, right, bottom; and the widths that give 25 to 35 dB there
_WHOLE, _CUP = (0, 0, 384, 256), (96, 16, 224, 144)
_CASES = (
    (_WHOLE, 96, "siren"),
    (_WHOLE, 144, "siren"),
    (_CUP, 80, "siren"),
    (_CUP, 128, "siren"),
    (_CUP, 96, "fourier"),
    (_CUP, 96, "gabor"),
)


def encode(box: tuple[int, int, int, int], width: int, filter_name: str, device: str) -> Row:
    with Image.open(_PHOTO) as photo:
        signal = photo_from_array(np.asarray(photo.convert("RGB").crop(box)))
    settings = FitSettings(
        get_preset("fast"), LossGoal(), filter=Filter[filter_name.upper()], width=width, device=device
    )
    points = TrainingPoints.of_signal(signal, device=device)
    encoder = UnitEncoder(signal.description, points, settings)
    start = time.perf_counter()
    network = encoder.encode()
    encode_s = time.perf_counter() - start
    stored = StoredSignal(signal.description, (network,))
    data = write_file([stored])
    coded_bytes = SECTION.size + len(pack_network(network))
    more = replace(stored, networks=(replace(network, steps=4 * network.steps),))
    decoded, limit = (render_signal(each, device="cpu") for each in (stored, more))
    error = distortion(target=signal.samples, decoded=decoded.samples, description=signal.description)
    estimate_bytes = rate_bits(network.integers) / 8
    return report(
        photo="coffee.png", box=list(box), filter=filter_name, width=width,
        parameters=network.architecture.parameter_count, steps=network.steps,
        size_bytes=len(data), rate_bpp=8 * len(data) / signal.description.point_count,
        half_float_ratio=len(data) / (2 * network.architecture.parameter_count),
        float_psnr_db=psnr_db(encoder.float_distortion), psnr_db=psnr_db(error),
        loss_db=psnr_db(encoder.float_distortion) - psnr_db(error),
        estimate_error_bytes=coded_bytes - encoder.overhead_bytes - estimate_bytes,
        largest_change=int(np.abs(decoded.to_source().astype(int) - limit.to_source().astype(int)).max()),
        encode_s=encode_s,
    )  # fmt: skip


@command("coding")
def main(device: str) -> list[Row]:
    return [encode(box, width, filter_name, device) for box, width, filter_name in _CASES]


if __name__ == "__main__":
    main()
