"""Latents that round little by little, so that gradients pass.

Agustsson, Theis, "Universally Quantized Neural Compression", NeurIPS 2020, section 4: a soft
rounding before and after the noise; the temperature falls during the fit as in Kim et al., "C3",
CVPR 2024, section 3.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def soft_round(values: Tensor, temperature: float) -> Tensor:
    """Identity for high temperatures, rounding for low ones; exact at integers and halves."""
    middle = torch.floor(values) + 0.5
    return middle + torch.tanh((values - middle) / temperature) * (0.5 / math.tanh(0.5 / temperature))


def noisy(values: Tensor, *, temperature: float, deviation: float, generator: torch.Generator) -> Tensor:
    """Soft rounding, Gaussian noise of ``deviation`` steps, soft rounding again."""
    rounded = soft_round(values, temperature)
    noise = torch.empty_like(rounded).normal_(0.0, deviation, generator=generator)
    return soft_round(rounded + noise, temperature)
