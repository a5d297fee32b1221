"""Options of an encoding, with their defaults; the one place where these are written.

Standard library only: the command line reads its defaults here without loading the encoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypedDict

from i2codec.errors import OptionError
from i2codec.fit.goals import (
    DEFAULT_SNR_DB,
    AskedGoal,
    LossGoal,
    PriceGoal,
    PsnrGoal,
    RelativePriceGoal,
    SizeGoal,
    lmbda_of_quality,
    sound_lmbda_of_quality,
)
from i2codec.fit.presets import DEFAULT_PRESET, PRESETS, Preset, get_preset

FIELDS = ("coordinate", "grid")
LAYERS = ("explicit", "unrolled", "implicit")
FILTERS = ("siren", "fourier", "gabor")
TUNES = ("mse", "ear")
METADATA = ("keep", "strip")

_LARGEST_WIDTH = 1024  # a layer of this width stays below Limits.max_parameters


@dataclass(frozen=True)
class EncodeOptions:
    """How to encode.

    At most one of ``lmbda``, ``quality`` and the targets may be given. Without any, a sound is the
    smallest of 25.5 dB signal-to-noise ratio, another grid field has quality 75, and a coordinate field
    is the smallest within 0.3 dB of the fit at the default width.

    Parameters
    ----------
    preset:
        How long to fit: ``draft``, ``fast``, ``medium`` or ``slow``.
    lmbda:
        λ in distortion + λ · rate.
    quality:
        0 to 100, a scale of λ: about that of JPEG, for photos; of sounds λ is relative to their power.
    target_bpp:
        Size in bits per pixel (frame of samples, pixel and frame, cell), all bytes counted.
    target_size:
        Size in bytes, all bytes counted.
    target_bitrate:
        Size in bits per second of a sound or video, all bytes counted.
    target_psnr:
        PSNR in dB; of a sound the signal-to-noise ratio.
    target_snr:
        Signal-to-noise ratio of a sound in dB.
    field:
        ``coordinate``: all information in the weights. ``grid``, for photos, sounds and short videos:
        latents under a small network, far fewer bits. ``None``: a grid for photos and sounds
        unless a width or filter is given.
    layer:
        Of the grid field: ``implicit``, a fixed point; ``unrolled``, its first few steps; or
        ``explicit``, without neighbours. ``None`` is what costs least (docs): unrolled, for sounds explicit.
    tune:
        Of a sound in a grid field: ``mse``, as near as possible, or ``ear``, which fills what is left out with
        noise of its loudness.
    filter:
        Filters of the coordinate field: ``siren`` (also ``None``), ``fourier`` or ``gabor``.
    width:
        Size of the state; ``None`` chooses it.
    steps:
        Optimiser steps of each network; ``None`` is the preset's.
    device:
        ``auto``, ``cpu`` or ``cuda``.
    seed:
        Seed of all random numbers.
    time_limit:
        Seconds to lay the whole encoding over; ``None`` is no limit.
    checkpoint:
        File that an interrupted encoding continues from.
    metadata:
        ``keep`` or ``strip`` the ICC profile, EXIF and tags.
    """

    preset: str = DEFAULT_PRESET
    lmbda: float | None = None
    quality: int | None = None
    target_bpp: float | None = None
    target_size: int | None = None
    target_bitrate: float | None = None
    target_psnr: float | None = None
    target_snr: float | None = None
    field: str | None = None
    layer: str | None = None
    tune: str = TUNES[0]
    filter: str | None = None
    width: int | None = None
    steps: int | None = None
    device: str = "auto"
    seed: int = 0
    time_limit: float | None = None
    checkpoint: Path | None = None
    metadata: str = "keep"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("preset", self.preset, tuple(PRESETS)),
            ("field", self.field, (None, *FIELDS)),
            ("layer", self.layer, (None, *LAYERS)),
            ("filter", self.filter, (None, *FILTERS)),
            ("tune", self.tune, TUNES),
            ("metadata", self.metadata, METADATA),
        ):
            if value not in known:
                raise OptionError(f"unknown {name} {value!r}; expected one of {', '.join(filter(None, known))}")
        for name in ("width", "filter"):
            if self.field == "grid" and getattr(self, name) is not None:
                raise OptionError(f"a {name} is of the coordinate field; leave --{name} out or use --field coordinate")
        if len(self._rates) > 1:
            raise OptionError(f"{' and '.join(self._rates)} were given; expected at most one of them")
        if self.width is not None and not 1 <= self.width <= _LARGEST_WIDTH:
            raise OptionError(f"width {self.width}; expected 1 to {_LARGEST_WIDTH}")
        if self.target_bpp is not None and not (math.isfinite(self.target_bpp) and self.target_bpp > 0):
            raise OptionError(f"target of {self.target_bpp} bits per pixel; expected a finite number above 0")
        if self.target_bitrate is not None and not (math.isfinite(self.target_bitrate) and self.target_bitrate > 0):
            raise OptionError(f"target of {self.target_bitrate} bits per second; expected a finite number above 0")
        if self.time_limit is not None and not (math.isfinite(self.time_limit) and self.time_limit > 0):
            raise OptionError(f"time limit of {self.time_limit} s; expected a finite number above 0")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed}; expected 0 or more")
        self.chosen_preset()
        self.goal(point_count=1, duration_s=1.0, is_sound=self.target_snr is not None)

    @property
    def _rates(self) -> list[str]:
        targets = ("target_bpp", "target_size", "target_bitrate", "target_psnr", "target_snr")
        names = ("lmbda", "quality", *targets)
        return [name for name in names if getattr(self, name) is not None]

    def chosen_field(self, *, suits_grid: bool) -> str:
        """``coordinate`` or ``grid``, which is the default of media that have one."""
        if self.field is not None:
            return self.field
        return "grid" if suits_grid and self.width is None and self.filter is None else "coordinate"

    def chosen_preset(self) -> Preset:
        """The preset with its steps overridden."""
        if self.steps is None:
            return get_preset(self.preset)
        return get_preset(self.preset, steps=self.steps, segment_steps=self.steps)

    def goal(self, *, point_count: int, duration_s: float | None, is_sound: bool) -> AskedGoal:
        """What is asked of rate and distortion, for a signal of so many grid points that lasts so long.

        Raises
        ------
        OptionError
            If it is asked of sounds only, or of what has a duration.
        """
        if self.target_snr is not None and not is_sound:
            raise OptionError("a signal-to-noise ratio is of sounds; for others use --target-psnr")
        if self.target_bitrate is not None and duration_s is None:
            raise OptionError("a bit rate is of sounds and videos; for others use --target-size or --target-bpp")
        if self.lmbda is not None:
            return PriceGoal(self.lmbda)
        if self.quality is not None:
            if is_sound:
                return RelativePriceGoal(sound_lmbda_of_quality(self.quality))
            return PriceGoal(lmbda_of_quality(self.quality))
        if self.target_bpp is not None:
            return SizeGoal(max(1, round(self.target_bpp * point_count / 8)))
        if self.target_size is not None:
            return SizeGoal(self.target_size)
        if self.target_bitrate is not None:
            assert duration_s is not None  # refused above
            return SizeGoal(max(1, int(self.target_bitrate * duration_s / 8)))
        wanted_db = self.target_psnr if self.target_snr is None else self.target_snr
        if wanted_db is not None:
            return PsnrGoal(wanted_db)
        return PsnrGoal(DEFAULT_SNR_DB) if is_sound and self.width is None else LossGoal()


class EncodeKeywords(TypedDict, total=False):
    """Options of :class:`EncodeOptions` as keywords, for type checkers."""

    preset: str
    lmbda: float | None
    quality: int | None
    target_bpp: float | None
    target_size: int | None
    target_bitrate: float | None
    target_psnr: float | None
    target_snr: float | None
    field: str | None
    layer: str | None
    tune: str
    filter: str | None
    width: int | None
    steps: int | None
    device: str
    seed: int
    time_limit: float | None
    checkpoint: Path | None
    metadata: str


def options_from(keywords: EncodeKeywords) -> EncodeOptions:
    """Options from keywords.

    Raises
    ------
    OptionError
        If a name is unknown or a value out of range.
    """
    known = {field.name for field in fields(EncodeOptions)}
    if unknown := keywords.keys() - known:
        raise OptionError(f"unknown option {', '.join(sorted(unknown))}; expected {', '.join(sorted(known))}")
    return EncodeOptions(**keywords)
