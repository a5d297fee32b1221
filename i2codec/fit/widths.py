"""Choose the width of the state for a goal."""

from __future__ import annotations

import math
from dataclasses import replace

from i2codec.field.architecture import Architecture
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
PSNR_FIT_SHARE = 1.0 / 3.0
"""Part of the effort that is left for the final fit after a search for a PSNR."""
# Quantisation takes about this from the fit; a doubling of parameters adds about that.
_QUANTISATION_LOSS_DB = 0.4
_TYPICAL_SLOPE_DB = 1.5


def default_width(architecture: Architecture, fit: FieldFit, goal: LossGoal | SizeGoal) -> int:
    """The width for a goal that needs no search: it follows from the bits there are."""
    if isinstance(goal, SizeGoal):
        return _width_for_bits(architecture, 8 * (goal.size_bytes - fit.overhead_bytes))
    return min(fit.preset.largest_width, _width_for_bits(architecture, _DEFAULT_RATE_BPP * fit.points.count))


def searched_width(architecture: Architecture, fit: FieldFit, goal: PriceGoal | PsnrGoal) -> int:
    """The width for a goal, found with other fits; they leave the goal's share of the effort."""
    return (
        _width_for_psnr(architecture, fit, goal)
        if isinstance(goal, PsnrGoal)
        else _width_for_price(architecture, fit, goal)
    )


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


def _width_for_price(architecture: Architecture, fit: FieldFit, goal: PriceGoal) -> int:
    """Walk by factors of √2 in width, downhill in distortion + λ · rate, at most four short fits."""
    rate_bpp = _DEFAULT_RATE_BPP * (goal.lmbda / 0.001) ** -0.6
    start = _width_for_bits(architecture, rate_bpp * fit.points.count)
    costs: dict[int, float] = {}

    def cost(width: int) -> float:
        if width not in costs:
            probed = replace(architecture, width=width)
            rate = (_bits(probed) + 8 * fit.overhead_bytes) / fit.points.count
            costs[width] = _probe(probed, fit, share=_SHORT_SHARE) + goal.lmbda * rate
        return costs[width]

    best = start
    step = math.sqrt(2.0) if cost(_moved(start, math.sqrt(2.0))) < cost(start) else 1.0 / math.sqrt(2.0)
    while len(costs) < 4 and cost(_moved(best, step)) < cost(best):
        best = _moved(best, step)
    return best


def _moved(width: int, factor: float) -> int:
    return min(_LARGEST, max(_SMALLEST, round(width * factor)))


def _width_for_psnr(architecture: Architecture, fit: FieldFit, goal: PsnrGoal) -> int:
    """Regula falsi on PSNR over the logarithm of parameters, with fits as long as the final one."""
    wanted_db = goal.psnr_db + _QUANTISATION_LOSS_DB
    slope = _TYPICAL_SLOPE_DB
    tried = replace(architecture, width=_width_for_bits(architecture, _DEFAULT_RATE_BPP * fit.points.count))
    tried_db = psnr_db(_probe(tried, fit, share=PSNR_FIT_SHARE))
    corrected = _with_parameters(tried, 2.0 ** ((wanted_db - tried_db) / slope))
    corrected_db = psnr_db(_probe(corrected, fit, share=PSNR_FIT_SHARE))
    if corrected.width != tried.width:
        doublings = math.log2(corrected.parameter_count / tried.parameter_count)
        slope = min(2.0 * slope, max(0.5 * slope, (corrected_db - tried_db) / doublings))
    return _with_parameters(corrected, 2.0 ** ((wanted_db - corrected_db) / slope)).width


def _with_parameters(architecture: Architecture, factor: float) -> Architecture:
    """The architecture with its width moved so that it has about ``factor`` times the parameters."""
    return replace(architecture, width=_width_for_bits(architecture, factor * _bits(architecture)))
