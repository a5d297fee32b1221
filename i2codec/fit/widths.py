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
_TYPICAL_SLOPE_DB = 3.0
_SPARE_DB = 5.0  # over the goal: coarser steps make use of it
_PARAMETERS_PER_WAVE = 3.5  # measured on sound: 1.8 for speech after 250 steps, 4 for a cello (docs/fitting.md)
_PSNR_FITS = 3


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
    """A fit that reaches the goal, if one of three does: each is as wide as the ones before let expect.

    Each takes ``share`` of the effort, of a time a third of that; the first that is in reach of the
    goal and not far above it is the last.
    """
    share /= _PSNR_FITS if fit.effort.seconds is not None else 1
    wanted_db = goal.psnr_db + _QUANTISATION_LOSS_DB
    slope = _TYPICAL_SLOPE_DB
    distortion = fit.reference_power * math.pow(10.0, -0.1 * wanted_db)
    waves = fit.spectrum.waves_for(distortion)
    width = _width_for_bits(architecture, _BITS_PER_PARAMETER * _PARAMETERS_PER_WAVE * waves)
    best: tuple[bool, float, ImplicitField] | None = None
    tried: list[tuple[float, float]] = []  # doublings of parameters, dB
    for attempt in range(_PSNR_FITS):
        candidate = replace(architecture, width=min(width, _LARGEST))
        field = fit.start(candidate)
        fit.fit(field, stage=f"psnr {attempt}, width {candidate.width}", share=share)
        found_db = psnr_db(StepSearch(field, fit.points).float_distortion / fit.reference_power)
        met = found_db >= wanted_db
        if best is None or (met, -candidate.width if met else found_db) > best[:2]:
            best = met, -candidate.width if met else found_db, field
        tried.append((math.log2(candidate.parameter_count), found_db))
        if met and (found_db <= wanted_db + _SPARE_DB or candidate.width == _SMALLEST):
            break
        if len(tried) > 1 and tried[-1][0] != tried[-2][0]:
            measured = (tried[-1][1] - tried[-2][1]) / (tried[-1][0] - tried[-2][0])
            slope = min(2.0 * _TYPICAL_SLOPE_DB, max(0.5 * _TYPICAL_SLOPE_DB, measured))
        doublings = (wanted_db + 0.5 * _SPARE_DB - found_db) / slope
        width = _with_parameters(candidate, 2.0 ** min(max(doublings, -2.0), 2.0)).width
        if width == candidate.width:
            break
    assert best is not None  # there was an attempt
    return best[2]


def _with_parameters(architecture: Architecture, factor: float) -> Architecture:
    """The architecture with its width moved so that it has about ``factor`` times the parameters."""
    return replace(architecture, width=_width_for_bits(architecture, factor * _bits(architecture)))
