"""How a long signal is cut along its first axis into units that are coded on their own. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from i2codec.errors import OptionError


@dataclass(frozen=True)
class Segments:
    """Consecutive stretches of ``length`` samples; the last takes the rest, half to one and a half of that.

    >>> segments = Segments(extent=10, length=4)
    >>> [segments.bounds(unit) for unit in range(segments.count)]
    [(0, 4), (4, 10)]
    """

    extent: int
    length: int

    def __post_init__(self) -> None:
        if not 1 <= self.length <= self.extent:
            raise OptionError(f"segments of {self.length} samples in {self.extent}; expected 1 to {self.extent}")

    @property
    def count(self) -> int:
        """Number of segments: extent over length, rounded, halves down; at least 1."""
        return max(1, (2 * self.extent + self.length - 1) // (2 * self.length))

    def bounds(self, unit: int) -> tuple[int, int]:
        """First sample of a segment and the one after its last."""
        if not 0 <= unit < self.count:
            raise OptionError(f"segment {unit}; expected 0 to {self.count - 1}")
        return unit * self.length, self.extent if unit == self.count - 1 else (unit + 1) * self.length

    def unit_of(self, sample: int) -> int:
        """The segment that holds a sample; samples outside belong to the nearest one."""
        return min(max(sample // self.length, 0), self.count - 1)
