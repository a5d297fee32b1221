"""Which decoded nodes the context model reads: numbered templates, and the sizes of what they are read from."""

from __future__ import annotations

import enum

__all__ = [
    "LARGEST_FEATURE",
    "LARGEST_LATENT",
    "POSITION_FEATURES",
    "Template",
    "companded",
    "positions",
]

LARGEST_LATENT = 2**15 - 1
"""Largest magnitude of a latent of a pyramid; what the encoder rounds to more is an :class:`OptionError`."""
LARGEST_FEATURE = 127
"""Neighbours are clamped to this magnitude before the context model reads them."""

_SAME_PLANE = (
    *((0, 0, -1), (0, 0, -2)),
    *((0, -1, -2), (0, -1, -1), (0, -1, 0), (0, -1, 1), (0, -1, 2)),
    *((0, -2, -2), (0, -2, -1), (0, -2, 0), (0, -2, 1), (0, -2, 2)),
)
_PREVIOUS_PLANE = ((-1, 0, 0), (-1, -1, 0), (-1, 1, 0), (-1, 0, -1), (-1, 0, 1))
_PLANE_BEFORE_THAT = ((-2, 0, 0),)
POSITION_FEATURES = 6
_POSITION_UNIT = 4
"""Height of the hats that tell where a column is."""


class Template(enum.IntEnum):
    """The neighbours that are features, under their ids in a file.

    A node's features are, in this order: its neighbours in the same grid at ``offsets``; then, but
    for a lattice, four nodes of the next coarser grid and one node of the grid two levels coarser.
    A lattice has planes for channels, rows for frames and columns for frequencies; its features are
    :func:`companded` magnitudes, :func:`positions`, and last one that waits for later use: 0.
    """

    PLANE = 1
    """Twelve neighbours in the same plane; for photos."""
    VOLUME = 2
    """Those, and five in the plane before; for video."""
    LATTICE = 3
    """The same neighbours, as magnitudes, and the frequency; for sound."""
    COLOUR = 4
    """Those of a volume and one in the plane before that; planes are those of a photo's colours, in every level."""

    @property
    def offsets(self) -> tuple[tuple[int, int, int], ...]:
        """Offsets (t, y, x) of the neighbours in the same grid, all before the node in raster order."""
        if self is Template.PLANE:
            return _SAME_PLANE
        return _SAME_PLANE + _PREVIOUS_PLANE + (_PLANE_BEFORE_THAT if self is Template.COLOUR else ())

    @property
    def plane_reach(self) -> int:
        """How many planes back the farthest neighbour is."""
        return -min(t for t, _, _ in self.offsets)

    @property
    def halves_planes(self) -> bool:
        """Whether a coarser grid has half as many planes: those of time, but not those of colours."""
        return self is not Template.COLOUR

    def coarser_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Extents of the next coarser grid over the same area.

        >>> Template.VOLUME.coarser_shape((3, 5, 8)), Template.COLOUR.coarser_shape((3, 5, 8))
        ((2, 3, 4), (3, 3, 4))
        """
        planes, *extents = ((extent + 1) // 2 for extent in shape)
        return (planes if self.halves_planes else shape[0], *extents)

    @property
    def feature_count(self) -> int:
        """Number F of features."""
        return len(self.offsets) + (POSITION_FEATURES + 1 if self is Template.LATTICE else 5)

    @property
    def largest_latent(self) -> int:
        """Largest magnitude of a latent."""
        return 2**22 - 1 if self is Template.LATTICE else LARGEST_LATENT

    @property
    def scale_count(self) -> int:
        """Number of scales 2^(k/8 − 4); those from 80 on code the lowest bits of a latent apart."""
        return 144 if self is Template.LATTICE else 80


def companded(value: int) -> int:
    """A magnitude as a lattice's feature: four steps an octave, straight lines between powers of two.

    >>> [companded(value) for value in (0, 1, -2, 3, 7, 100000)]
    [0, 4, 6, 8, 12, 66]
    """
    n = abs(value) + 1
    octave = n.bit_length() - 1
    return 4 * octave + ((n << 2) >> octave) - 4


def positions(columns: int) -> list[list[int]]:
    """Where each column of a lattice of so many is: six hats, an octave and a half apart, from the top down.

    >>> positions(4)[0], positions(4)[3]
    ([0, 0, 4, 0, 0, 0], [3, 1, 0, 0, 0, 0])
    """
    # the middle of a column in units of the 2¹⁷th part of the top, and its octave in sixteenths
    middles = [((2 * column + 1) << 16) // columns for column in range(columns)]
    octaves = [middle.bit_length() - 1 for middle in middles]
    places = [16 * octave + ((middle << 4) >> octave) - 16 for octave, middle in zip(octaves, middles, strict=True)]
    centres = [272 - 24 * number for number in range(POSITION_FEATURES)]
    return [
        [max(0, (_POSITION_UNIT * (24 - abs(centre - place)) + 12) // 24) for centre in centres] for place in places
    ]
