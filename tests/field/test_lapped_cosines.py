from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.field.lapped_cosines import CellRow

HALF = Fraction(1, 2)
LENGTHS = st.sampled_from([4, 8, 16, 64])


@st.composite
def rows(draw):
    length = draw(LENGTHS)
    overlaps = [draw(st.integers(0, length // 2)) for _ in range(2)]
    return CellRow(draw(st.integers(-9, 9)), draw(st.integers(1, 5)), length, *overlaps)


def amplitudes_of(row, seed):
    return np.random.default_rng(seed).normal(size=(2, row.count, row.length))


@given(rows(), st.integers(0, 99))
def test_atoms_are_orthonormal(row, seed):
    amplitudes = amplitudes_of(row, seed)
    np.testing.assert_allclose(row.analysed(row.summed(amplitudes)), amplitudes, atol=1e-12)


@given(rows(), st.integers(0, 99))
def test_sums_at_samples_and_at_moments_agree(row, seed):
    amplitudes = amplitudes_of(row, seed)
    low, high = row.reach
    summed = row.summed(amplitudes)
    at_samples = row.summed_at(amplitudes, first=low + HALF, step=Fraction(1), window=range(high - low))
    np.testing.assert_allclose(at_samples, summed, atol=1e-10)
    for sample in (0, (high - low) // 2, high - low - 1):
        atoms = row.atoms_at(low + sample + 0.5)
        value = sum((amplitudes[:, cell] @ values for cell, values in atoms), start=np.zeros(2))
        np.testing.assert_allclose(value, summed[:, sample], atol=1e-10)


@settings(max_examples=30)
@given(st.lists(st.tuples(LENGTHS, st.integers(1, 3)), min_size=1, max_size=4), st.integers(0, 99))
def test_rows_that_follow_one_another_give_every_signal_back(cells, seed):
    """Neighbours overlap by half of the shorter of their cells; nothing overlaps the two ends."""
    lengths = [0, *(length for length, _ in cells), 0]
    halves = [min(pair) // 2 for pair in pairwise(lengths)]
    row_list, start = [], 0
    for number, (length, count) in enumerate(cells):
        row_list.append(CellRow(start, count, length, halves[number], halves[number + 1]))
        start = row_list[-1].stop
    signal = np.random.default_rng(seed).normal(size=start)
    total, power = np.zeros(start), 0.0
    for row in row_list:
        part = slice(*row.reach)
        amplitudes = row.analysed(signal[part])
        total[part] += row.summed(amplitudes)
        power += np.square(amplitudes).sum()
    np.testing.assert_allclose(total, signal, atol=1e-12)
    assert power == pytest.approx(np.square(signal).sum())  # so errors of amplitudes are errors of samples


def test_an_atom_is_the_formula_of_the_docstring():
    row = CellRow(10, 2, 8, rise=2, fall=3)
    amplitudes = np.zeros((2, 8))
    amplitudes[1, 3] = 1.0
    first, step = Fraction(57, 4), Fraction(37, 100)
    moments = np.arange(14.25, 29.0, 0.37)
    rise = np.sin(np.pi / 4 * (1 + np.clip((moments - 18) / 4, -1, 1)))
    fall = np.sin(np.pi / 4 * (1 + np.clip((26 - moments) / 3, -1, 1)))
    wanted = np.sqrt(2 / 8) * rise * fall * np.cos(np.pi / 8 * 3.5 * (moments - 18))
    found = row.summed_at(amplitudes, first=first, step=step, window=range(len(moments)))
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    part = row.summed_at(amplitudes, first=first, step=step, window=range(20, 31))
    np.testing.assert_array_equal(part, found[20:31])


def test_a_steady_tone_takes_few_atoms():
    tone = np.sin(2 * np.pi * 0.0371 * np.arange(64 * 256))
    amplitudes = CellRow(0, 64, 256).analysed(tone)[1:-1]
    largest = np.sort(np.square(amplitudes), axis=1)[:, ::-1]
    assert largest[:, :6].sum() > 0.999 * np.square(amplitudes).sum()
