"""From a sound to its stored lattice: networks fitted to some units, then latents unit by unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from i2codec.errors import InputError
from i2codec.fit.checkpoint import Checkpoint, CheckpointPart
from i2codec.fit.lattice_analysis import AnalysedUnit, analysed_units, unit_length
from i2codec.fit.lattice_fit import LatticeFit, Samples
from i2codec.fit.lattice_settings import EncodedUnits, LatticeSettings
from i2codec.fit.progress import Reporter
from i2codec.payload.file import StoredSignal
from i2codec.payload.grid_section import QuantisedGridNetwork
from i2codec.payload.lattice_section import LatticeUnits
from i2codec.payload.stored_grid import StoredLattice
from i2codec.signal.description import SignalDescription
from i2codec.signal.metrics import psnr_db
from i2codec.signal.segments import Segments
from i2codec.signal.signal import MetadataKey
from i2codec.signal.stream import SignalReader, segments_of

_MOST_PASSES = 3
"""Times that all units of a long sound are encoded, at most, to meet a target."""


@dataclass
class LatticeEncoder:
    """Encodes one sound.

    Amplitudes are divided by the root of the reference power while they are fitted, so that a
    distortion of 1 is silence; what is stored has the sound's own scale.

    Parameters
    ----------
    opened:
        Opens the sound; it is read twice or more, so that memory holds some units of it.
    settings:
        What to fit and how.
    reporter, checkpoint:
        Where progress goes, and where an interrupted fit continues from.
    """

    opened: Callable[[], SignalReader]
    settings: LatticeSettings
    reporter: Reporter = field(default_factory=Reporter)
    checkpoint: Checkpoint | CheckpointPart = field(default_factory=Checkpoint)

    distortion: float = field(default=0.0, init=False)
    """Of the decoded latents and networks over the reference power, once :meth:`encode` is done."""

    @property
    def decibels(self) -> float:
        """That distortion as signal-to-noise ratio."""
        return psnr_db(self.distortion)

    def encode(self) -> StoredSignal:
        """Fit, quantise, settle, check and pack; what the file will hold.

        Raises
        ------
        FitError
            If the fit diverges, or a unit decodes to something else.
        InputError
            If the sound cannot be read, or holds nothing.
        Cancelled
            If the progress callback asks for it.
        """
        sampled, description, metadata = self._sampled()
        length = unit_length(float(1 / description.axes[0].step))
        segments = Segments(description.extents[0], min(length, description.extents[0]))
        is_all = len(sampled) == segments.count
        fit = LatticeFit(self.settings, description, self.reporter, self.checkpoint, sampled, unit_count=segments.count)
        fit.run(self.settings.preset.fit)
        network, encoded = fit.finished()
        last = 0 if self.settings.time_limit_s is not None else _MOST_PASSES - 1
        for number in range(last + 1):
            if not is_all:
                self.reporter.unit_count = segments.count
                units = analysed_units(self._scaled(length), step=fit.step)
                encoded = EncodedUnits.joined(self._settled(fit, network, units, number=number))
            self.distortion = encoded.squared_error / (encoded.sample_count * len(description.channels))
            size_bytes = encoded.file_bytes(network, unit_count=segments.count)
            if is_all or number == last or not fit.misses(distortion=self.distortion, size_bytes=size_bytes):
                break
            fit.correct()
            network, _ = fit.finished(corrections=0)
        latents = LatticeUnits(
            {(0, unit): payload for unit, payload in enumerate(encoded.payloads)},
            segments=segments,
            channel_count=len(description.channels),
            model=network.context_model(),
            sample_step=description.axes[0].step,
        )
        return StoredSignal(
            description,
            (),
            segment_length=segments.length if segments.count > 1 else None,
            metadata=metadata,
            grid=StoredLattice(network, latents),
        )

    def _settled(
        self, fit: LatticeFit, network: QuantisedGridNetwork, units: Iterable[AnalysedUnit], *, number: int
    ) -> Iterator[EncodedUnits]:
        """Every unit of a pass, encoded or from the checkpoint."""
        model = fit.stored_model(network)
        for place, unit in enumerate(units):
            self.reporter.unit = place
            checkpoint = self.checkpoint.part(f"pass {number}, unit {place}")
            finished = checkpoint.load("packed")
            if finished is None:
                encoded = fit.settled(model, network, [unit], name=f"unit {place}")
                finished = {
                    "payload": torch.frombuffer(bytearray(encoded.payloads[0]), dtype=torch.uint8),
                    "squared_error": encoded.squared_error,
                }
                checkpoint.save("packed", finished)
            payload = finished["payload"].numpy().tobytes()
            yield EncodedUnits([payload], finished["squared_error"], unit.sample_count)

    def _sampled(self) -> tuple[list[Samples], SignalDescription, dict[MetadataKey, bytes]]:
        """Units that the networks are fitted to, all of a short sound, and what the sound is in truth."""
        reader = self.opened()
        try:
            announced = reader.description
            length, kept = unit_length(float(1 / announced.axes[0].step)), self.settings.preset.sampled_units
            expected = max(1, round(announced.extents[0] / length))
            chosen = {expected * (2 * number + 1) // (2 * kept) for number in range(kept)}
            total, sampled = 0, []
            for number, samples in enumerate(segments_of(reader, length)):
                total += len(samples)
                if expected <= kept or number in chosen:
                    sampled.append(self._normal(samples))
            if not total:
                raise InputError("the sound holds no samples; expected at least one")
            return sampled, announced.with_length(total), dict(reader.metadata)
        finally:
            reader.close()

    def _scaled(self, length: int) -> Iterator[Samples]:
        reader = self.opened()
        try:
            for samples in segments_of(reader, length):
                yield self._normal(samples)
        finally:
            reader.close()

    def _normal(self, samples: Samples) -> Samples:
        return samples / np.float32(math.sqrt(self.settings.reference_power))
