"""RGB from the luma and chroma codes of video, and back: the matrices and ranges of ITU-T H.273."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IDENTITY, BT709, UNSPECIFIED, BT601, YCGCO = 0, 1, 2, 6, 8
_RESERVED = 3
# Luma weights of red and blue for each matrix code; green has the rest.
_WEIGHTS = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    BT601: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_HIGH_DEFINITION_LINES = 720


def known_matrix(matrix: int) -> bool:
    """Whether :class:`LumaChroma` can follow a matrix code, be it by the rule for untagged video."""
    return matrix in (*_WEIGHTS, YCGCO, IDENTITY, UNSPECIFIED, _RESERVED)


def effective_matrix(matrix: int, *, height: int) -> int:
    """The matrix that luma and chroma follow: for untagged video BT.709 from 720 lines on, else BT.601."""
    if matrix in _WEIGHTS or matrix == YCGCO:
        return matrix
    return BT709 if height >= _HIGH_DEFINITION_LINES else BT601


@dataclass(frozen=True)
class LumaChroma:
    """How integers of three planes of equal size stand for RGB.

    Parameters
    ----------
    matrix:
        H.273 code: 1, 4 to 9.
    full_range:
        Whether all integers are used, or 219 steps of luma and 224 of chroma (at 8 bits).
    bits:
        Bits per sample, 8 to 16.
    """

    matrix: int
    full_range: bool
    bits: int

    def to_rgb(self, planes: Sequence[NDArray[np.unsignedinteger]]) -> NDArray[np.float32]:
        """RGB ``[H, W, 3]`` in 0..1, clipped, of luma, blue and red chroma ``[H, W]``."""
        black, luma_steps, neutral, chroma_steps = self._levels()
        luma = (planes[0].astype(np.float32) - np.float32(black)) / np.float32(luma_steps)
        chroma = [(plane.astype(np.float32) - np.float32(neutral)) / np.float32(chroma_steps) for plane in planes[1:]]
        rgb = np.empty((*luma.shape, 3), np.float32)
        for channel, (_, blue, red) in enumerate(np.linalg.inv(_forward(self.matrix)).astype(np.float32)):
            rgb[..., channel] = luma + blue * chroma[0] + red * chroma[1]
        return np.clip(rgb, 0.0, 1.0, out=rgb)

    def from_rgb(self, rgb: NDArray[np.float32]) -> list[NDArray[np.unsignedinteger]]:
        """Luma, blue and red chroma ``[H, W]`` of RGB ``[H, W, 3]`` in 0..1; uint8, or uint16 over 8 bits."""
        black, luma_steps, neutral, chroma_steps = self._levels()
        codes = np.clip(rgb, 0.0, 1.0) @ _forward(self.matrix).T.astype(np.float32)
        codes = codes * np.array([luma_steps, chroma_steps, chroma_steps], np.float32)
        codes += np.array([black, neutral, neutral], np.float32)
        values = np.rint(np.clip(codes, 0, 2**self.bits - 1)).astype(sample_dtype(self.bits))
        return [values[..., index] for index in range(3)]

    def grey(self, plane: NDArray[np.unsignedinteger]) -> NDArray[np.float32]:
        """Grey ``[H, W, 1]`` in 0..1, clipped, of luma ``[H, W]``."""
        black, luma_steps, _, _ = self._levels()
        luma = (plane.astype(np.float32) - np.float32(black)) / np.float32(luma_steps)
        return np.clip(luma, 0.0, 1.0, out=luma)[..., np.newaxis]

    def from_grey(self, grey: NDArray[np.float32]) -> NDArray[np.unsignedinteger]:
        """Luma ``[H, W]`` of grey ``[H, W, 1]`` in 0..1."""
        black, luma_steps, _, _ = self._levels()
        codes = np.clip(grey[..., 0], 0.0, 1.0) * np.float32(luma_steps) + np.float32(black)
        luma: NDArray[np.unsignedinteger] = np.rint(codes).astype(sample_dtype(self.bits))
        return luma

    def _levels(self) -> tuple[int, int, int, int]:
        """Code of black, steps from it to white, code of no colour, steps of a chroma range of 1."""
        neutral = 1 << (self.bits - 1)
        if self.full_range:
            return 0, (1 << self.bits) - 1, neutral, (1 << self.bits) - 1
        unit = 1 << (self.bits - 8)
        return 16 * unit, 219 * unit, neutral, 224 * unit


def sample_dtype(bits: int) -> type[np.unsignedinteger]:
    """Number type of samples of ``bits`` bits in a frame."""
    return np.uint8 if bits <= 8 else np.uint16


def _forward(matrix: int) -> NDArray[np.float64]:
    """Rows luma, blue chroma, red chroma as sums of R, G and B."""
    if matrix == YCGCO:
        return np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
    red, blue = _WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    blue_chroma = (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    red_chroma = (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    return np.stack([luma, blue_chroma, red_chroma])
