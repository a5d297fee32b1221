"""Limits that a reader applies before it takes memory or time for what a file announces."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from i2codec.errors import OptionError

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True)
class Limits:
    """Largest sizes that a reader accepts; a file over one of them raises ``LimitError``.

    Raises :class:`OptionError` if a limit is not a whole number of at least 1.
    """

    max_points: int = 2**28
    """Grid points of one unit of a signal, or of what is rendered at once: a product of extents."""
    max_channels: int = 16
    """Channels of one signal."""
    max_width: int = 4096
    """Channels of the state or of any layer of a network."""
    max_depth: int = 8
    """Layers inside F."""
    max_levels: int = 16
    """Levels of a pyramid of latents."""
    max_hidden_width: int = 256
    """Channels of the explicit layer of a grid field."""
    max_context_width: int = 32
    """Channels of the hidden layers of a context model."""
    max_parameters: int = 2**22
    """Parameters of one network; a few bytes can announce them all, which costs 20 bytes each."""
    max_steps: int = 64
    """Picard steps K."""
    max_metadata_bytes: int = 16 * 2**20
    """Bytes of one metadata section after decompression."""
    max_section_bytes: int = 2**31
    """Bytes of one section's payload, as stored."""
    max_sections: int = 2**20
    """Sections of one file, END not counted."""

    def __post_init__(self) -> None:
        """Refuse a limit under which no file could be read."""
        for name, value in asdict(self).items():
            if not isinstance(value, int) or value < 1:
                raise OptionError(f"{name} must be a whole number of at least 1, not {value!r}")


DEFAULT_LIMITS = Limits()
"""The limits of a reader that was not told otherwise."""
