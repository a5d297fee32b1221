"""Cells, turns and steps that are chosen for a sound."""

from __future__ import annotations

import numpy as np
import pytest

from i2codec.field.lapped_cosines import CellRow
from i2codec.fit.lattice_analysis import (
    CELL_BITS,
    analysed_alone,
    analysed_units,
    step_for_bits,
    step_for_distortion,
    unit_length,
)
from i2codec.signal.channel_turns import channels_turned


def tone(count: int) -> np.ndarray:
    return np.sin(0.21 * np.arange(count))[:, None].astype(np.float32)


def clicks(count: int) -> np.ndarray:
    sound = np.zeros((count, 1), dtype=np.float32)
    sound[100::1500] = 1.0
    return sound


def test_a_tone_takes_long_cells_and_clicks_short_ones() -> None:
    assert analysed_alone(tone(2**15), step=0.01).cell_bits >= CELL_BITS[-2]
    assert analysed_alone(clicks(2**15), step=0.01).cell_bits == CELL_BITS[0]


def test_the_amplitudes_of_units_have_the_energy_of_the_sound() -> None:
    """And are those of rows of cells that overlap as the decoder says."""
    rng = np.random.default_rng(0)
    sound = np.concatenate([tone(2**14), clicks(2**14), rng.normal(size=(9000, 1)).astype(np.float32)])
    units = list(analysed_units([sound[: 2**14], sound[2**14 : 2**15], sound[2**15 :]], step=0.05))
    total, start = np.zeros(2**16), 0
    lengths = [0, *(1 << unit.cell_bits for unit in units), 0]
    for number, unit in enumerate(units):
        overlaps = [min(lengths[at : at + 2]) // 2 for at in (number, number + 1)]
        row = CellRow(start, unit.amplitudes.shape[1], 1 << unit.cell_bits, *overlaps)
        total[slice(*row.reach)] += row.summed(unit.amplitudes[0])
        start += unit.sample_count
    np.testing.assert_allclose(total[: len(sound)], sound[:, 0], atol=1e-6)


def test_what_goes_on_after_the_end_fades() -> None:
    """A unit that does not fill its last cell: no step, which would spread over all frequencies."""
    amplitudes = analysed_alone(tone(4096 + 1000), step=0.01).amplitudes
    high = amplitudes[0, -1, 1024:]
    assert np.square(high).sum() < 1e-3 * np.square(amplitudes[0, -1]).sum()


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.785, 1.2, 2.5])
def test_a_turn_leaves_one_channel_empty_where_both_are_alike(angle: float) -> None:
    sound = tone(2**13) * np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)
    unit = analysed_alone(sound, step=0.01)
    powers = np.square(unit.amplitudes).sum(axis=(1, 2))
    assert min(powers) < 0.01 * max(powers)
    back = channels_turned(unit.amplitudes, unit.turns, back=True)
    assert np.square(back).sum() == pytest.approx(np.square(sound).sum(), rel=0.01)


def test_steps_are_found() -> None:
    amplitudes = [np.random.default_rng(0).laplace(size=(1, 50, 64))]
    coarse, fine = (step_for_distortion(amplitudes, wanted) for wanted in (600.0, 6.0))
    assert coarse > 5 * fine
    assert fine == pytest.approx(np.sqrt(12 * 6.0 / 3200), rel=0.2)  # a twelfth of its square, each
    few, many = (step_for_bits(amplitudes, wanted) for wanted in (1000.0, 10000.0))
    assert few > 2 * many


def test_units_are_of_whole_cells() -> None:
    assert unit_length(44100) == 43 * 4096
    assert unit_length(8000) == 8 * 4096
    assert unit_length(10) == 4096
