from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from i2codec.container.section import SECTION
from i2codec.errors import Cancelled, InputError
from i2codec.fit import encoder as encoder_module
from i2codec.fit.checkpoint import Checkpoint
from i2codec.fit.encoder import SignalEncoder
from i2codec.fit.goals import PsnrGoal, SizeGoal
from i2codec.fit.presets import PRESETS
from i2codec.fit.progress import Progress, Reporter
from i2codec.fit.unit_encoder import FitSettings, UnitEncoder
from i2codec.payload.file import PackedNetworks, StoredSignal
from i2codec.render.render import render_signal
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.metrics import distortion, psnr_db
from i2codec.signal.samples import PointSamples, ScatteredSignal
from i2codec.signal.signal import MetadataKey, Signal
from i2codec.signal.stream import SignalMemory
from i2codec.signal.timestamps import TimeStamps

_RATE, _LENGTH = 8000, 512
_PRESET = replace(PRESETS["draft"], steps=60, segment_steps=60)


@pytest.fixture(autouse=True)
def _small_units(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Segments of 512 samples of sound and of 4 frames of 256 pixels, on one thread."""
    monkeypatch.setattr(encoder_module, "_SOUND_SEGMENT_SAMPLES", _LENGTH)
    monkeypatch.setattr(encoder_module, "_VIDEO_SEGMENT_POINTS", 4 * 256)
    monkeypatch.setattr(encoder_module, "_LEAST_VIDEO_SEGMENT_FRAMES", 2)
    thread_count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(thread_count)


def _described(kind: Kind, *extents: int) -> SignalDescription:
    names = {
        Kind.SOUND: [AxisName.TIME],
        Kind.VIDEO: [AxisName.TIME, AxisName.Y, AxisName.X],
        Kind.PHOTO: [AxisName.Y, AxisName.X],
        Kind.SHAPE: [AxisName.Z, AxisName.Y, AxisName.X],
    }[kind]
    axes = tuple(
        Axis(name, extent, Fraction(1, _RATE if kind is Kind.SOUND else 25) if name is AxisName.TIME else Fraction(1))
        for name, extent in zip(names, extents, strict=True)
    )
    role = {Kind.SOUND: ChannelRole.SOUND, Kind.SHAPE: ChannelRole.OCCUPANCY}.get(kind, ChannelRole.GREY)
    return SignalDescription(kind, axes, (role,), SampleFormat.INT16 if kind is Kind.SOUND else SampleFormat.UINT8)


def _tones(count: int = 1400) -> Signal:
    seconds = np.arange(count) / _RATE
    samples = 0.3 * np.sin(2 * np.pi * 440 * seconds) + 0.2 * np.sin(2 * np.pi * 1013 * seconds + 1.0)
    return Signal(_described(Kind.SOUND, count), samples.astype(np.float32)[:, None])


def _power(signal: Signal) -> float:
    return float(np.mean(signal.samples.astype(np.float64) ** 2))


def _encoder(signal: Signal, *, announced: int | None = None, **changes: Any) -> SignalEncoder:
    source = SignalMemory(signal)
    if announced is not None:
        source.description = signal.description.with_length(announced)
    given_ = {name: changes.pop(name) for name in ("reporter", "checkpoint") if name in changes}
    arguments: dict[str, Any] = {
        "preset": _PRESET,
        "goal": PsnrGoal(15.0),
        "width": 8,
        "reference_power": _power(signal),
    }
    return SignalEncoder(source, FitSettings(**{**arguments, **changes}), **given_)


def _payloads(stored: StoredSignal) -> tuple[bytes, ...]:
    assert isinstance(stored.networks, PackedNetworks)
    return stored.networks.payloads


def _decoded_db(stored: StoredSignal, signal: Signal) -> float:
    decoded = render_signal(stored, device="cpu").samples
    error = distortion(target=signal.samples, decoded=decoded, description=signal.description)
    return psnr_db(error / _power(signal))


@pytest.fixture(scope="module")
def reference() -> tuple[bytes, ...]:
    """What a tone mix of three units is packed to, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_module, "_SOUND_SEGMENT_SAMPLES", _LENGTH)
        torch.set_num_threads(1)
        return _payloads(_encoder(_tones()).encode())


def test_a_sound_has_the_snr_that_was_asked_for() -> None:
    signal = _tones(1024)
    encoder = _encoder(signal, goal=PsnrGoal(20.0), width=None, preset=replace(_PRESET, segment_steps=120))
    stored = encoder.encode()
    assert stored.description == signal.description
    assert stored.segment_length == _LENGTH
    assert _decoded_db(stored, signal) >= 20.0
    assert encoder.decibels == pytest.approx(_decoded_db(stored, signal), abs=0.05)
    assert sum(map(len, _payloads(stored))) < 2 * 1024  # that of the samples


@pytest.mark.parametrize("thread_count", [2, 3, 5])
def test_units_side_by_side_give_the_same_bytes(reference: tuple[bytes, ...], thread_count: int) -> None:
    torch.set_num_threads(thread_count)
    assert _payloads(_encoder(_tones()).encode()) == reference
    assert torch.get_num_threads() == thread_count


@pytest.mark.parametrize("announced", [1, 600, 1399, 5000])
def test_the_extent_is_what_the_source_delivers(announced: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit of one step, for there may be many units."""
    monkeypatch.setattr(encoder_module, "_SOUND_SEGMENT_SAMPLES", 512 if announced > 1 else 700)
    signal = _tones() if announced > 1 else _tones(3)
    stored = _encoder(signal, announced=announced, preset=replace(_PRESET, segment_steps=1)).encode()
    assert stored.description == signal.description
    assert stored.segments.count == len(stored.networks)
    assert render_signal(stored, device="cpu").samples.shape == signal.samples.shape


def test_a_source_shorter_than_a_unit_has_one() -> None:
    signal = replace(_tones(40), metadata={MetadataKey.TAGS: b"{}"})
    stored = _encoder(signal, announced=5000).encode()
    assert (stored.description.extents, stored.segment_length, len(stored.networks)) == ((40,), None, 1)
    assert stored.metadata == {MetadataKey.TAGS: b"{}"}


def test_a_source_of_nothing_is_refused() -> None:
    source = SignalMemory(_tones(40))
    source.read(40)
    with pytest.raises(InputError, match="the sound holds no samples"):
        SignalEncoder(source, FitSettings(preset=_PRESET, goal=PsnrGoal(15.0))).encode()


def test_a_size_is_shared_out() -> None:
    signal = _tones(1400)
    stored = _encoder(signal, goal=SizeGoal(1400), width=None).encode()
    sizes = [SECTION.size + len(payload) for payload in _payloads(stored)]
    assert 0.9 * 1400 <= sum(sizes) <= 1400
    for size, extent in zip(sizes, (512, 512, 376), strict=True):
        assert size == pytest.approx(extent, rel=0.1)


def test_silence_beside_sound_is_cheap() -> None:
    signal = _tones(1024)
    signal.samples[512:] = 0.0
    stored = _encoder(signal, goal=PsnrGoal(15.0), width=None).encode()
    loud, silent = map(len, _payloads(stored))
    assert silent < 70 < loud
    assert np.abs(render_signal(stored, device="cpu").samples[512:]).max() < 1e-3


@pytest.mark.parametrize("thread_count", [1, 2])
def test_the_callback_stops_it_in_the_middle(thread_count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(thread_count)
    monkeypatch.setattr(Reporter, "due", True)
    calls = itertools.count(1)
    with pytest.raises(Cancelled, match="nothing was written"):
        _encoder(_tones(9000), reporter=Reporter(lambda progress: next(calls) < 40)).encode()
    assert next(calls) <= 40 + thread_count + 1  # the units beside it stop at their next report
    assert torch.get_num_threads() == thread_count


def test_reports_name_the_unit() -> None:
    reports: list[Progress] = []
    _encoder(_tones(), reporter=Reporter(reports.append), preset=replace(_PRESET, segment_steps=3)).encode()
    assert {report.unit_count for report in reports} == {3}
    units = [report.unit for report in reports]
    assert units == sorted(units)
    assert set(units) == {0, 1, 2}


@pytest.mark.parametrize(("unit", "stage", "step"), [(0, "fit", 10), (1, "fit", 30), (2, "quantise", 0)])
def test_a_continued_encoding_gives_the_same_bytes(
    reference: tuple[bytes, ...], unit: int, stage: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the first unit and in later ones; the finished ones are not fitted again."""
    path = tmp_path / "c"

    def interrupt(progress: Progress) -> None:
        if (progress.unit, progress.stage, progress.step) == (unit, stage, step):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "due", True)
        patch.setattr(Reporter, "due", True)
        with pytest.raises(KeyboardInterrupt):
            _encoder(_tones(), checkpoint=Checkpoint(path, "same"), reporter=Reporter(interrupt)).encode()
    encoded: list[int] = []
    original = UnitEncoder.encode
    monkeypatch.setattr(UnitEncoder, "encode", lambda self: encoded.append(0) or original(self))
    assert _payloads(_encoder(_tones(), checkpoint=Checkpoint(path, "same")).encode()) == reference
    assert len(encoded) == 3 - unit


def test_only_the_networks_of_finished_units_are_kept(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "same")
    stored = _encoder(_tones(), checkpoint=checkpoint, preset=replace(_PRESET, segment_steps=3)).encode()
    assert sorted(checkpoint._stages) == [f"unit {unit}/packed" for unit in range(3)]
    for unit, payload in enumerate(_payloads(stored)):
        assert checkpoint.load(f"unit {unit}/packed").numpy().tobytes() == payload


def test_a_video_keeps_its_time_stamps() -> None:
    rows, columns = np.mgrid[:16, :16] / 16
    frames = [0.5 + 0.4 * np.sin(3 * rows + 2 * columns + 0.5 * frame) for frame in range(9)]
    stamps = TimeStamps(Fraction(1, 1000), (0, 40, 80, 90, 100, 200, 240, 280, 320, 400))
    samples = np.array(frames, dtype=np.float32)[..., None]
    signal = Signal(_described(Kind.VIDEO, 9, 16, 16), samples, timestamps=stamps)
    stored = _encoder(
        signal, goal=PsnrGoal(25.0), width=None, reference_power=1.0, preset=replace(_PRESET, steps=200)
    ).encode()
    assert (stored.segment_length, stored.segments.count, stored.timestamps) == (4, 2, stamps)
    assert _decoded_db(stored, signal) + 10 * math.log10(1 / _power(signal)) > 25.0


def test_scattered_samples_are_one_unit() -> None:
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (3000, 3)).astype(np.float32)
    inside = (np.linalg.norm(points, axis=1, keepdims=True) < 0.6).astype(np.float32)
    samples = PointSamples(points, inside, np.ones(3000, dtype=np.float32))
    source = ScatteredSignal(_described(Kind.SHAPE, 32, 32, 32), samples)
    encoder = SignalEncoder(source, FitSettings(preset=replace(_PRESET, steps=100), goal=SizeGoal(1200)))
    stored = encoder.encode()
    assert (stored.description, stored.segment_length, len(stored.networks)) == (source.description, None, 1)
    assert encoder.decibels > 15.0
    assert SECTION.size + len(_payloads(stored)[0]) <= 1200
