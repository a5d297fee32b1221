"""Sounds as lattices end to end, through the public functions and the command line."""

from __future__ import annotations

import io
import json
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from numpy.typing import NDArray

import i2codec
from i2codec.cli.main import main
from i2codec.fit import clock
from i2codec.fit.grid_loop import GridRun
from i2codec.options import EncodeKeywords
from i2codec.payload.file import read_file

RATE = 8000
_DRAFT: EncodeKeywords = {"preset": "draft", "device": "cpu"}
_TINY: EncodeKeywords = {"preset": "draft", "steps": 5, "device": "cpu", "lmbda": 1e-3}


def music(seconds: float, *, seed: int = 0, channels: int = 1) -> NDArray[np.float64]:
    """Plucked notes over soft noise ``[count, channels]``: tones that begin at once and die away."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    time = np.arange(count) / RATE
    sound = 0.003 * rng.standard_normal((count, channels))
    for start in np.arange(0.0, seconds, 0.25):
        pitch, place = 110 * 2 ** (rng.integers(0, 36) / 12), rng.random(channels)
        since = np.maximum(time - start, 0.0)
        note = sum(0.12 / n * np.sin(2 * np.pi * n * pitch * since) for n in (1, 2, 3)) * np.exp(-4 * since)
        sound += (note * (time >= start))[:, None] * place
    return sound


def file_of(samples: NDArray[Any], *, rate: int = RATE, container: str = "WAV", subtype: str = "PCM_16") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=container, subtype=subtype)
    return stream.getvalue()


def snr_db(original: NDArray[Any], decoded: NDArray[Any]) -> float:
    reference, found = original.astype(np.float64), decoded.astype(np.float64)
    return 10 * math.log10(np.sum(reference**2) / np.sum((reference - found) ** 2))


@pytest.fixture(scope="module")
def wav() -> bytes:
    """Six seconds: two units."""
    return file_of(music(6.5))


@pytest.fixture(scope="module")
def packed(wav: bytes) -> bytes:
    return i2codec.encode(wav, target_snr=20, **_DRAFT)


def test_a_sound_comes_back(wav: bytes, packed: bytes) -> None:
    """With a floor on quality and a ceiling on size; half of what the samples take in FLAC is far above it."""
    original, _ = soundfile.read(io.BytesIO(wav), always_2d=True)
    decoded = i2codec.decode(packed)
    assert decoded.samples.shape == original.shape
    assert snr_db(original, decoded.samples) > 19.9
    assert len(packed) < 4500
    assert i2codec.info(packed)["basis"] == "lattice"


def test_without_its_latents_it_is_silent(packed: bytes, zeroed: Callable[[bytes], bytes]) -> None:
    assert not i2codec.decode(zeroed(packed)).samples.any()


def test_nothing_clicks_where_units_meet(wav: bytes, packed: bytes) -> None:
    """Errors beside the border are no larger than elsewhere."""
    original, _ = soundfile.read(io.BytesIO(wav), always_2d=True)
    error = i2codec.decode(packed).samples - original
    border = 32768
    assert i2codec.info(packed)["units"] == 2
    assert np.abs(error[border - 64 : border + 64]).max() < 1.2 * np.abs(error).max()


def test_parts_are_those_of_the_whole(packed: bytes) -> None:
    whole = i2codec.decode(packed).samples
    part = i2codec.decode(packed, start=3.9, duration=0.5).samples
    np.testing.assert_array_equal(part, whole[31200:35200])
    at_16k = i2codec.decode(packed, rate=16000).samples
    halves = [i2codec.decode(packed, rate=16000, start=start, duration=3.25).samples for start in (0.0, 3.25)]
    np.testing.assert_array_equal(np.concatenate(halves), at_16k)


def test_stereo_costs_little_more_than_one_channel_where_both_are_alike() -> None:
    """One channel is the other at 0.6 of its strength: a turn leaves the second empty."""
    mono = music(2.0)
    both = file_of(np.concatenate([mono, 0.6 * mono], axis=1))
    one, two = (i2codec.encode(source, target_snr=18, **_DRAFT) for source in (file_of(mono), both))
    assert len(two) < 1.25 * len(one)
    original, _ = soundfile.read(io.BytesIO(both), always_2d=True)
    assert snr_db(original, i2codec.decode(two).samples) > 17.9


@pytest.mark.parametrize("channels", [3, 8])
def test_more_channels(channels: int) -> None:
    source = music(0.5, channels=channels)
    data = i2codec.encode(file_of(source), target_snr=12, **_DRAFT)
    assert snr_db(source, i2codec.decode(data).samples) > 11.9


@pytest.mark.parametrize("count", [1, 2, 63, 300, 4097])
def test_short_sounds(count: int) -> None:
    source = file_of(music(1.0)[:count])
    assert i2codec.decode(i2codec.encode(source, **_TINY)).samples.shape == (count, 1)


def test_silence_costs_nearly_nothing() -> None:
    data = i2codec.encode(file_of(np.zeros((5 * RATE, 1))), preset="draft", device="cpu")
    assert len(data) < 400
    assert not i2codec.decode(data).samples.any()


def test_silence_within_a_sound_costs_nearly_nothing() -> None:
    sound = music(4.0)
    padded = np.concatenate([sound, np.zeros((32 * RATE, 1))])
    price: EncodeKeywords = {"lmbda": 1e-3, "preset": "draft", "steps": 20, "device": "cpu"}
    data = i2codec.encode(file_of(padded), **price)
    (stored,) = read_file(data)
    assert stored.grid is not None
    silent = [payload for (_, unit), payload in stored.grid.latent_payloads.items() if unit > 1]
    assert len(silent) == 7
    assert max(map(len, silent)) == 3  # and 37 bytes for where each is; networks differ by some dozens
    assert len(data) < len(i2codec.encode(file_of(sound), **price)) + 40 * 8 + 350


def test_a_target_bitrate_is_met() -> None:
    source = file_of(music(6.5, seed=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = i2codec.encode(source, target_bitrate=6000, metadata="strip", **_DRAFT)
    assert 0.94 * 6000 <= 8 * len(data) / 6.5 <= 6000


def test_a_higher_rate_needs_no_resampler_up_to_20_khz() -> None:
    """Noise of that band against a long windowed sinc between the native samples, 60 dB down as is promised."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(44100))
    spectrum[np.fft.rfftfreq(44100, 1 / 44100) > 20000] = 0.0
    source = np.fft.irfft(spectrum, 44100)
    data = i2codec.encode(file_of(0.2 * source / source.std(), rate=44100), quality=90, steps=5, **_DRAFT)
    native, found = (i2codec.decode(data, rate=rate).samples[:, 0].astype(np.float64) for rate in (None, 96000))
    assert len(found) == 96000
    chosen, reach = np.arange(2000, 94000, 97), 400
    places = chosen * 44100 / 96000
    taps = np.rint(places).astype(int)[:, None] + np.arange(-reach, reach + 1)
    wanted = (np.sinc(places[:, None] - taps) * np.kaiser(2 * reach + 1, 12.0) * native[taps]).sum(axis=1)
    assert snr_db(wanted, found[chosen]) > 60.0
    assert snr_db(wanted, native[np.rint(places).astype(int)]) < 20.0  # the nearest sample is far off


def test_higher_quality_is_closer_and_larger() -> None:
    source = file_of(music(2.0))
    files = [i2codec.encode(source, quality=quality, **_DRAFT) for quality in (30, 60, 90)]
    assert sorted(map(len, files)) == [len(data) for data in files]
    decibels = [i2codec.compare(source, data)["snr_db"] for data in files]
    assert sorted(decibels) == decibels
    assert decibels[2] > 27.0


def test_quality_does_not_depend_on_loudness() -> None:
    sound = music(1.0)
    loud, soft = (
        i2codec.encode(file_of(scale * sound, subtype="FLOAT"), quality=60, **_DRAFT) for scale in (1.0, 2**-7)
    )
    assert abs(len(loud) - len(soft)) < 0.02 * len(loud)


def test_the_networks_of_a_long_sound_are_fitted_to_some_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven units of which four are looked at; each is as good as if it were alone."""
    source = music(28.0)
    units: list[int] = []
    data = i2codec.encode(
        file_of(source), target_snr=15, progress=lambda progress: units.append(progress.unit), **_DRAFT
    )
    assert i2codec.info(data)["units"] == 7
    assert set(units) == set(range(7))
    decoded = i2codec.decode(data).samples
    assert snr_db(source, decoded) == pytest.approx(15.0, abs=0.5)
    assert len(data) < 6000


def band_decibels(samples: NDArray[Any], low_hz: int, high_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples, axis=0)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(10 * np.log10(spectrum[(hz >= low_hz) & (hz < high_hz)].sum() + 1e-12))


def test_tuned_for_the_ear_soft_noise_is_as_loud_as_it_was() -> None:
    """Tones over noise 40 dB below: without noise filling nothing is left of it."""
    source = music(2.0) + 0.003 * np.random.default_rng(3).standard_normal((2 * RATE, 1))
    options: EncodeKeywords = {"quality": 40, **_DRAFT}
    plain, ear = i2codec.encode(file_of(source), **options), i2codec.encode(file_of(source), tune="ear", **options)
    assert len(ear) < 1.4 * len(plain)
    wanted = band_decibels(source, 3200, 3900)
    assert band_decibels(i2codec.decode(plain).samples, 3200, 3900) < wanted - 15
    assert abs(band_decibels(i2codec.decode(ear).samples, 3200, 3900) - wanted) < 6
    np.testing.assert_array_equal(i2codec.decode(ear).samples, i2codec.decode(ear).samples)
    part = i2codec.decode(ear, start=1.0, duration=0.5).samples
    np.testing.assert_array_equal(part, i2codec.decode(ear).samples[8000:12000])
    assert not np.square(i2codec.decode(ear).samples - source).mean() > 0.2 * np.square(source).mean()


def test_noise_counts_where_a_ratio_is_asked_for() -> None:
    """What is decoded has it, noise and all."""
    source = file_of(music(2.0) + 0.01 * np.random.default_rng(3).standard_normal((2 * RATE, 1)))
    data = i2codec.encode(source, tune="ear", target_snr=12, **_DRAFT)
    assert i2codec.compare(source, data)["snr_db"] == pytest.approx(12.0, abs=0.3)


def test_noise_filling_leaves_silence_silent() -> None:
    data = i2codec.encode(file_of(np.zeros((RATE, 1))), tune="ear", **_DRAFT)
    assert not i2codec.decode(data).samples.any()


def test_a_time_limit_is_for_all_units_of_a_long_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the clock is always a minute on, a fit takes one step: that of the networks, and those of five units."""
    taken: list[str] = []
    take_step = GridRun._take_step

    def counted(run: GridRun, fraction: float) -> None:
        taken.append(run._phase.name)
        take_step(run, fraction)

    monkeypatch.setattr(GridRun, "_take_step", counted)
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 60.0))
    source = file_of(music(2.6), rate=1000)  # at 1000 samples a second a unit has 4096
    data = i2codec.encode(source, quality=50, time_limit=1.0, **_DRAFT)
    assert i2codec.info(data)["units"] == 5
    assert taken == ["fit", *(f"settle unit {unit}" for unit in range(5))]


@pytest.mark.parametrize("layer", ["explicit", "unrolled", "implicit"])
def test_layers(layer: str) -> None:
    source = file_of(music(1.0))
    data = i2codec.encode(source, layer=layer, target_snr=15, **_DRAFT)
    information = i2codec.info(data)
    assert information["layer"] == layer
    assert 0.0 <= information.get("contraction", 0.0) < 1.0
    assert i2codec.compare(source, data)["snr_db"] > 14.9
    i2codec.verify(data)


@pytest.mark.parametrize("layer", ["unrolled", "implicit"])
def test_layers_of_sounds_of_many_units(layer: str) -> None:
    """More units than the steps of networks are chosen by; at 1000 samples a second a unit has 4096."""
    source = music(2.6)
    data = i2codec.encode(file_of(source, rate=1000), layer=layer, quality=50, preset="fast", steps=40, device="cpu")
    assert i2codec.info(data)["units"] == 5
    assert i2codec.compare(file_of(source, rate=1000), data)["snr_db"] > 10.0


def test_the_same_seed_gives_the_same_bytes(wav: bytes) -> None:
    first = i2codec.encode(wav, **_TINY)
    assert i2codec.encode(wav, **_TINY) == first
    assert i2codec.encode(wav, seed=1, **_TINY) != first


def test_an_interrupted_encoding_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    source, path = file_of(music(28.0)), tmp_path / "sound.checkpoint"
    expected = i2codec.encode(source, **_TINY)

    def stop_in_the_third_unit(progress: i2codec.Progress) -> bool:
        return progress.unit < 2

    with pytest.raises(i2codec.Cancelled):
        i2codec.encode(source, checkpoint=path, progress=stop_in_the_third_unit, **_TINY)
    assert path.exists()
    assert i2codec.encode(source, checkpoint=path, **_TINY) == expected


def test_a_cut_file_plays_up_to_the_cut(packed: bytes) -> None:
    whole = i2codec.decode(packed).samples
    with pytest.raises(i2codec.FormatError):
        i2codec.decode(packed[: len(packed) * 3 // 4])
    with pytest.warns(i2codec.DamagedSourceWarning, match="1 of 2 units of the sound are there"):
        part = i2codec.decode(packed[: len(packed) * 3 // 4], allow_truncated=True).samples
    assert part.shape == whole.shape
    np.testing.assert_array_equal(part[:30000], whole[:30000])
    assert not part[40000:].any()


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wav: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.wav").write_bytes(wav)
    run = CliRunner().invoke
    options = ["--preset", "draft", "--device", "cpu", "--quiet"]
    result = run(main, ["encode", "s.wav", "--target-bitrate", "8k", *options])
    assert result.exit_code == 0, result.output
    assert 8 * Path("s.i2").stat().st_size / 6.5 <= 8000
    assert run(main, ["decode", "s.i2", "-o", "t.wav", "--rate", "16000"]).exit_code == 0
    assert soundfile.info("t.wav").frames == 2 * 52000
    values = json.loads(run(main, ["info", "s.i2", "--json"]).output)
    assert (values["field"], values["basis"], values["layer"]) == ("grid", "lattice", "explicit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s.wav", "--target-snr", "20", "--target-bitrate", "8k"], "expected at most one of them"),
        (["s.wav", "--target-bitrate", "0"], "target of 0.0 bits per second"),
        (["s.wav", "--target-bitrate", "fast"], "is not a bit rate"),
        (["s.wav", "--layer", "implicit", "--field", "coordinate"], "a layer is of the grid field"),
        (["s.wav", "--tune", "ear", "--field", "coordinate"], "of sounds in a grid field"),
        (["p.png", "--tune", "ear"], "of sounds in a grid field"),
        (["p.png", "--target-snr", "20"], "of sounds"),
        (["p.png", "--target-bitrate", "8k"], "of sounds and videos"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wav: bytes, photo_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.wav").write_bytes(wav)
    Path("p.png").write_bytes(photo_path.read_bytes())
    result = CliRunner().invoke(main, ["encode", *arguments, "--quiet"])
    assert result.exit_code != 0
    assert message in result.output
    assert sorted(path.name for path in Path().iterdir()) == ["p.png", "s.wav"]
