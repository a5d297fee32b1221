from __future__ import annotations

import pytest

from i2codec.errors import OptionError
from i2codec.fit.lattice_presets import LATTICE_PRESETS, get_lattice_preset
from i2codec.fit.presets import PRESETS


def test_they_have_the_names_of_all_presets() -> None:
    assert list(LATTICE_PRESETS) == list(PRESETS)
    assert all(preset.name == name for name, preset in LATTICE_PRESETS.items())
    with pytest.raises(OptionError, match="unknown preset 'best'"):
        get_lattice_preset("best")


def test_each_takes_more_steps_than_the_one_before() -> None:
    steps = [(preset.steps, preset.unit_steps) for preset in LATTICE_PRESETS.values()]
    assert steps == sorted(steps)
    assert get_lattice_preset("fast").with_steps(100).unit_steps == 20


def test_time_is_shared_by_steps_times_units() -> None:
    draft = get_lattice_preset("draft")  # 50 steps of 3 units, then 20 of each alone
    assert draft.fit_share(3) == 1.0
    assert draft.fit_share(30) == pytest.approx(150 / (150 + 600))
