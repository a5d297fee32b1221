"""From a signal to what its file holds, unit by unit, so that memory holds one unit."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch

from i2codec.container.limits import DEFAULT_LIMITS
from i2codec.errors import InputError
from i2codec.fit.checkpoint import Checkpoint, CheckpointPart
from i2codec.fit.goals import SizeGoal
from i2codec.fit.parallel import in_order
from i2codec.fit.points import TrainingPoints
from i2codec.fit.progress import Reporter
from i2codec.fit.unit_encoder import FitSettings, UnitEncoder
from i2codec.payload.file import PackedNetworks, StoredSignal
from i2codec.payload.network_section import pack_network
from i2codec.signal.description import Kind, SignalDescription
from i2codec.signal.metrics import psnr_db
from i2codec.signal.samples import ScatteredSignal
from i2codec.signal.signal import Signal
from i2codec.signal.stream import SignalReader, segments_of

# A tenth of a second: the time of a fit grows with the square of the points (docs/fitting.md).
_SOUND_SEGMENT_SAMPLES = 4096
_VIDEO_SEGMENT_POINTS = 2**19
_LEAST_VIDEO_SEGMENT_FRAMES = 8  # fewer share too little to be worth a network
_SMALL_UNIT_POINTS = 2**14
_LARGEST_SEGMENT_POINTS = 2**23  # 100 MB of targets; what bounds the frames of a segment from above


def segment_length(description: SignalDescription) -> int:
    """Samples along the first axis that one network is fitted to; all of them for photos and shapes."""
    extent = description.extents[0]
    match description.kind:
        case Kind.SOUND:
            return min(extent, _SOUND_SEGMENT_SAMPLES)
        case Kind.VIDEO:
            frame_points = description.point_count // extent
            wanted = max(_LEAST_VIDEO_SEGMENT_FRAMES, _VIDEO_SEGMENT_POINTS // frame_points)
            return min(extent, max(1, min(wanted, _LARGEST_SEGMENT_POINTS // frame_points)))
        case _:
            return extent


@dataclass
class SignalEncoder:
    """Encodes one signal.

    Parameters
    ----------
    source:
        Where its samples come from; read once.
    settings:
        What to fit and how; a size or time is that of the whole signal.
    reporter, checkpoint:
        Where progress goes, and where an interrupted fit continues from.
    """

    source: SignalReader | ScatteredSignal
    settings: FitSettings
    reporter: Reporter = field(default_factory=Reporter)
    checkpoint: Checkpoint | CheckpointPart = field(default_factory=Checkpoint)

    distortion: float = field(default=0.0, init=False)
    """Of the units encoded so far, at points spread over them."""

    @property
    def decibels(self) -> float:
        """That distortion against the settings' reference power."""
        return psnr_db(self.distortion / self.settings.reference_power)

    def encode(self) -> StoredSignal:
        """Fit, quantise, measure and check every unit; what the file will hold.

        Raises
        ------
        FitError
            If a fit diverges, its fixed point cannot be bounded, or it decodes to something else.
        InputError
            If the source cannot be read, or holds nothing.
        Cancelled
            If the progress callback asks for it.
        """
        announced = self.source.description
        length = segment_length(announced)
        self.reporter.unit_count = max(1, round(announced.extents[0] / length))
        lengths, payloads = [], []
        for extent, payload, distortion in in_order(self._jobs(length), workers=self._workers(length)):
            lengths.append(extent)
            payloads.append(payload)
            self.distortion += distortion * extent
        if not payloads:
            raise InputError(f"the {announced.kind.name.lower()} holds no samples; expected at least one")
        description = announced.with_length(sum(lengths))
        self.distortion /= sum(lengths)
        networks = PackedNetworks(
            payloads, axis_count=len(description.axes), channel_count=len(description.channels), limits=DEFAULT_LIMITS
        )
        return StoredSignal(
            description,
            networks,
            segment_length=length if len(payloads) > 1 else None,
            metadata={} if isinstance(self.source, ScatteredSignal) else dict(self.source.metadata),
            timestamps=None if isinstance(self.source, ScatteredSignal) else self.source.timestamps(),
        )

    def _jobs(self, length: int) -> Iterator[Callable[[], tuple[int, bytes, float]]]:
        """The encoding of every unit, whose samples are read when the job is taken."""
        started, total = time.monotonic(), self.source.description.extents[0]
        done = 0
        for unit, (description, points) in enumerate(self._units(length)):
            extent = description.extents[0]
            rest = max(extent, total - done)
            settings = self._unit_settings(extent / total, rest=rest / total, spent_s=time.monotonic() - started)
            done += extent
            yield functools.partial(self._encode_unit, description, points, settings, unit=unit)

    def _workers(self, length: int) -> int:
        """Units encoded at a time: several where one is too small to keep several cores busy."""
        unit_points = math.prod((length, *self.source.description.extents[1:]))
        is_small = unit_points <= _SMALL_UNIT_POINTS and self.settings.device == "cpu"
        return min(torch.get_num_threads(), self.reporter.unit_count) if is_small else 1

    def _encode_unit(
        self, description: SignalDescription, points: TrainingPoints, settings: FitSettings, *, unit: int
    ) -> tuple[int, bytes, float]:
        """Samples of a unit, its packed network, fitted or from the checkpoint, and its distortion."""
        checkpoint = self.checkpoint.part(f"unit {unit}")
        self.reporter.unit = unit
        encoder = UnitEncoder(description, points, settings, self.reporter, checkpoint)
        finished = checkpoint.load("packed")
        if finished is None:
            payload = pack_network(encoder.encode())
            checkpoint.clear()
            checkpoint.save("packed", torch.frombuffer(bytearray(payload), dtype=torch.uint8))
        else:
            payload = finished.numpy().tobytes()
        return description.extents[0], payload, encoder.check(payload)

    def _unit_settings(self, share: float, *, rest: float, spent_s: float) -> FitSettings:
        """The settings of a unit that is ``share`` of the signal, of which ``rest`` is still to be done."""
        settings = self.settings
        if self.source.description.kind is Kind.SOUND:
            settings = replace(settings, preset=settings.preset.for_segments())
        if isinstance(settings.goal, SizeGoal):
            settings = replace(settings, goal=SizeGoal(max(1, round(settings.goal.size_bytes * share))))
        if settings.time_limit_s is not None:
            left = max(settings.time_limit_s - spent_s, 0.05 * settings.time_limit_s)
            workers = self._workers(segment_length(self.source.description))
            settings = replace(settings, time_limit_s=left * min(1.0, workers * share / rest))
        return settings

    def _units(self, length: int) -> Iterator[tuple[SignalDescription, TrainingPoints]]:
        """Description and points of every unit, read as they are asked for."""
        description, device = self.source.description, self.settings.device
        if isinstance(self.source, ScatteredSignal):
            yield description, TrainingPoints.of_samples(self.source.samples, description, device=device)
            return
        for samples in segments_of(self.source, length):
            signal = Signal(description.with_length(len(samples)), samples)
            yield signal.description, TrainingPoints.of_signal(signal, device=device)
