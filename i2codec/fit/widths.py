"""Choose the width of the state for a goal."""

from __future__ import annotations

import math
from dataclasses import replace

from i2codec.field.architecture import Architecture
from i2codec.field.module import ImplicitField
from i2codec.fit.field_fit import FieldFit
from i2codec.fit.goals import LossGoal, PriceGoal, PsnrGoal, SizeGoal
from i2codec.fit.quantisation import StepSearch
from i2codec.signal.metrics import psnr_db

# Bits that a parameter takes after the search of steps, about 4.5 to 6 (docs/fitting.md).
_BITS_PER_PARAMETER = 5.5
# Rate of the default width. What a coordinate field reaches at λ = 0.001, the default quality.
_DEFAULT_RATE_BPP = 0.75
_SMALLEST, _LARGEST = 4, 512

_SHORT_SHARE = 0.1
PRICE_FIT_SHARE = 1.0 - 4 * _SHORT_SHARE
"""Part of the effort that is left for the final fit after a search for a price."""
# Quantisation takes about this from the fit; a doubling of parameters adds about that.
_QUANTISATION_LOSS_DB = 0.4
_TYPICAL_SLOPE_DB = 2.0
_SPARE_DB = 12.0  # over the goal that coarser steps make use of
_AIM_DB = 1.5  # over the goal, so that a corrected width is seldom short again
_PARAMETERS_PER_WAVE = 4.0  # measured on sound: 1.8 for speech after 250 steps, 4 for a cello (docs/fitting.md)
_PSNR_FITS = 2
_MOST_DOUBLINGS = 2.0
_MOST_HALVINGS = 1.0  # where parameters nearly suffice for the points, one costs 7 to 16 dB


def default_width(architecture: Architecture, fit: FieldFit, goal: LossGoal | SizeGoal) -> int:
    """The width for a goal that needs no search: it follows from the bits there are."""
    if isinstance(goal, SizeGoal):
        return _width_for_bits(architecture, 8 * (goal.size_bytes - fit.overhead_bytes))
    return min(fit.preset.largest_width, _width_for_bits(architecture, _DEFAULT_RATE_BPP * fit.description.point_count))


def _width_for_bits(architecture: Architecture, bits: float) -> int:
    """The largest width whose parameters fit into ``bits``."""
    width = _SMALLEST
    while width < _LARGEST and _bits(replace(architecture, width=width + 1)) <= bits:
        width += 1
    return width


def _bits(architecture: Architecture) -> float:
    return _BITS_PER_PARAMETER * architecture.parameter_count


def _probe(architecture: Architecture, fit: FieldFit, *, share: float) -> float:
    """Distortion that a short fit reaches."""
    field = fit.start(architecture)
    fit.fit(field, stage=f"search/width {architecture.width}, {share:.2f}", share=share)
    return StepSearch(field, fit.points).float_distortion


def width_for_price(architecture: Architecture, fit: FieldFit, goal: PriceGoal) -> int:
    """Walk by factors of √2 in width, downhill in distortion + λ · rate, at most four short fits.

    They leave :data:`PRICE_FIT_SHARE` of the effort.
    """
    rate_bpp = _DEFAULT_RATE_BPP * (goal.lmbda / 0.001) ** -0.6
    start = _width_for_bits(architecture, rate_bpp * fit.description.point_count)
    costs: dict[int, float] = {}

    def cost(width: int) -> float:
        """Distortion + λ · rate after a short fit, which is made once."""
        if width not in costs:
            probed = replace(architecture, width=width)
            rate = (_bits(probed) + 8 * fit.overhead_bytes) / fit.description.point_count
            costs[width] = _probe(probed, fit, share=_SHORT_SHARE) + goal.lmbda * rate
        return costs[width]

    best = start
    step = math.sqrt(2.0) if cost(_moved(start, math.sqrt(2.0))) < cost(start) else 1.0 / math.sqrt(2.0)
    while len(costs) < 4 and cost(_moved(best, step)) < cost(best):
        best = _moved(best, step)
    return best


def _moved(width: int, factor: float) -> int:
    return min(_LARGEST, max(_SMALLEST, round(width * factor)))


def fitted_for_psnr(architecture: Architecture, fit: FieldFit, goal: PsnrGoal, *, share: float) -> ImplicitField:
    """A fit that reaches the goal, if one of two does: the second is as wide as the first lets expect.

    Each takes ``share`` of the effort, of a time half of that; a first one that is in reach of the
    goal and not far above it is the last.
    """
    share /= _PSNR_FITS if fit.effort.seconds is not None else 1
    wanted_db = goal.psnr_db + _QUANTISATION_LOSS_DB
    distortion = fit.reference_power * math.pow(10.0, -0.1 * wanted_db)
    waves = fit.spectrum.waves_for(distortion)
    width = _width_for_bits(architecture, _BITS_PER_PARAMETER * _PARAMETERS_PER_WAVE * waves)
    first = replace(architecture, width=min(width, _LARGEST))
    field, found_db = _psnr_fit(first, fit, share=share)
    if wanted_db <= found_db <= wanted_db + _SPARE_DB or (found_db > wanted_db and first.width == _SMALLEST):
        return field
    doublings = (wanted_db + _AIM_DB - found_db) / _TYPICAL_SLOPE_DB
    second = _with_parameters(first, 2.0 ** min(max(doublings, -_MOST_HALVINGS), _MOST_DOUBLINGS))
    if second.width == first.width:
        return field
    other, other_db = _psnr_fit(second, fit, share=share)
    if min(found_db, other_db) >= wanted_db:  # the narrower one
        return field if first.width < second.width else other
    return field if found_db > other_db else other


def _psnr_fit(architecture: Architecture, fit: FieldFit, *, share: float) -> tuple[ImplicitField, float]:
    """A fit and its decibels."""
    field = fit.start(architecture)
    fit.fit(field, stage=f"psnr/width {architecture.width}", share=share)
    return field, psnr_db(StepSearch(field, fit.points).float_distortion / fit.reference_power)


def _with_parameters(architecture: Architecture, factor: float) -> Architecture:
    """The architecture with its width moved so that it has about ``factor`` times the parameters."""
    return replace(architecture, width=_width_for_bits(architecture, factor * _bits(architecture)))
