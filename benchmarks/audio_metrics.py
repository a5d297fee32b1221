"""How near a decoded sound is to its source: signal-to-noise ratio, log-mel distance, PESQ."""

from __future__ import annotations

import functools

import librosa
import numpy as np
import pesq
import soxr
from audio_peers import Samples
from numpy.typing import NDArray

_SIZES = ((32, 5), (64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))
"""Window lengths and numbers of mel bands."""
_FLOOR = 1e-5
_PESQ_RATE = 16000


def snr_db(source: Samples, decoded: Samples) -> float:
    """Power of the source over that of the error, in dB."""
    error = source.astype(np.float64) - decoded
    return float(10.0 * np.log10(np.sum(source.astype(np.float64) ** 2) / np.sum(error**2)))


def log_mel_distance(source: Samples, decoded: Samples, rate_hz: int) -> float:
    """Mean magnitude of the difference of log₁₀ of mel magnitudes, over seven resolutions.

    The mel distance of Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN",
    NeurIPS 2023, section 3.4: windows of 32 to 2048 samples, 5 to 320 bands, magnitudes of at least
    10⁻⁵; without its factor for the number of resolutions.
    """
    distances = []
    for length, bands in _SIZES:
        first, second = (_mel(channels, rate_hz, length, bands) for channels in (source, decoded))
        distances.append(float(np.mean(np.abs(first - second))))
    return float(np.mean(distances))


def _mel(channels: Samples, rate_hz: int, length: int, bands: int) -> NDArray[np.float32]:
    spectrum = np.abs(librosa.stft(channels.T, n_fft=length, hop_length=length // 4, window="hann"))
    return np.log10(np.maximum(_filters(rate_hz, length, bands) @ spectrum, _FLOOR))


@functools.cache
def _filters(rate_hz: int, length: int, bands: int) -> NDArray[np.float32]:
    """More bands than a short window resolves leave some empty, which count 0 in both."""
    filters: NDArray[np.float32] = librosa.filters.mel(sr=rate_hz, n_fft=length, n_mels=bands)
    return filters


def pesq_score(source: Samples, decoded: Samples, rate_hz: int) -> float:
    """PESQ (ITU-T P.862.2, wide band) at 16 kHz, of the mean of all channels."""
    both = [soxr.resample(channels.mean(axis=1), rate_hz, _PESQ_RATE, "VHQ") for channels in (source, decoded)]
    return float(pesq.pesq(_PESQ_RATE, *both, "wb"))
