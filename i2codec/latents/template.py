"""Which decoded nodes the context model reads: numbered templates, and the sizes of what they are read from."""

from __future__ import annotations

import enum

__all__ = ["LARGEST_FEATURE", "LARGEST_LATENT", "Template", "coarser_shape"]

LARGEST_LATENT = 2**15 - 1
"""Largest magnitude of a latent; what the encoder rounds to more is an :class:`OptionError`."""
LARGEST_FEATURE = 127
"""Neighbours are clamped to this magnitude before the context model reads them."""

_SAME_PLANE = (
    *((0, 0, -1), (0, 0, -2)),
    *((0, -1, -2), (0, -1, -1), (0, -1, 0), (0, -1, 1), (0, -1, 2)),
    *((0, -2, -2), (0, -2, -1), (0, -2, 0), (0, -2, 1), (0, -2, 2)),
)
_PREVIOUS_PLANE = ((-1, 0, 0), (-1, -1, 0), (-1, 1, 0), (-1, 0, -1), (-1, 0, 1))


class Template(enum.IntEnum):
    """The neighbours that are features, under their ids in a file.

    A node's features are, in this order: its neighbours in the same grid at ``offsets``, four
    nodes of the next coarser grid, one node of the grid two levels coarser.
    """

    PLANE = 1
    """Twelve neighbours in the same plane; for photos."""
    VOLUME = 2
    """Those, and five in the plane before; for video."""

    @property
    def offsets(self) -> tuple[tuple[int, int, int], ...]:
        """Offsets (t, y, x) of the neighbours in the same grid, all before the node in raster order."""
        return _SAME_PLANE + (_PREVIOUS_PLANE if self is Template.VOLUME else ())

    @property
    def feature_count(self) -> int:
        """Number F of features."""
        return len(self.offsets) + 5


def coarser_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Extents of the next coarser grid over the same area.

    >>> coarser_shape((1, 5, 8))
    (1, 3, 4)
    """
    return tuple((extent + 1) // 2 for extent in shape)
