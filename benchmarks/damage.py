"""Every truncation and every flipped byte of the golden files: what comes of it, and how long it takes.

python benchmarks/damage.py
"""

from __future__ import annotations

import time
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
from common import Row, command, report

import i2codec

_GOLDEN = Path(__file__).parents[1] / "tests" / "golden"


def damaged(data: bytes) -> list[bytes]:
    """Every truncation, and every byte with each of its bits flipped."""
    cuts = [data[:length] for length in range(len(data))]
    flips = [
        data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]
        for position in range(len(data))
        for bit in range(8)
    ]
    return cuts + flips


def damage(path: Path) -> Row:
    data = path.read_bytes()
    expected = i2codec.decode(data, device="cpu").samples
    outcomes: Counter[str] = Counter()
    slowest_s = 0.0
    tracemalloc.start()
    for broken in damaged(data):
        start = time.perf_counter()
        try:
            same = np.array_equal(i2codec.decode(broken, device="cpu").samples, expected)
            outcome = "identical" if same else "DIFFERENT"
        except i2codec.I2Error as error:
            outcome = type(error).__name__
        slowest_s = max(slowest_s, time.perf_counter() - start)
        outcomes[outcome] += 1
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return report(
        file=path.name, size_bytes=len(data), outcomes=dict(outcomes), slowest_s=slowest_s, peak_bytes=peak_bytes
    )


@command("damage")
def main(device: str) -> list[Row]:
    return [damage(path) for path in sorted(_GOLDEN.glob("*.i2"))]


if __name__ == "__main__":
    main()
