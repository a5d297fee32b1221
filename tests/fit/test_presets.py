from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.fit.presets import DEFAULT_PRESET, PRESETS, Phase, Preset, get_preset


@given(steps=st.integers(1, 100_000), name=st.sampled_from(sorted(PRESETS)))
def test_phases_sum_to_the_steps_asked_for(steps: int, name: str) -> None:
    assert sum(get_preset(name, steps=steps).phase_steps().values()) == steps


def test_presets_are_frozen_and_ordered_by_effort() -> None:
    efforts = [PRESETS[name].steps for name in ("draft", "fast", "medium", "slow")]
    assert efforts == sorted(set(efforts))
    assert DEFAULT_PRESET == "fast"
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["fast"].steps = 1  # type: ignore[misc]


def test_quantised_phases_come_last() -> None:
    for preset in PRESETS.values():
        flags = [phase.quantised for phase in preset.phases]
        assert flags == sorted(flags)
        assert flags[-1]


def test_an_override_changes_one_field() -> None:
    assert get_preset("draft", batch_points=64) == dataclasses.replace(PRESETS["draft"], batch_points=64)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("quick", {}, "unknown preset 'quick'; expected one of draft, fast, medium, slow"),
        ("fast", {"stpes": 3}, "no field 'stpes'"),
        ("fast", {"steps": "3"}, "expected a int"),
        ("fast", {"steps": True}, "expected a int"),
        ("fast", {"steps": 0}, "expected at least 1"),
    ],
)
def test_wrong_names_and_types_fail_at_once(name: str, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        get_preset(name, **overrides)


def test_shares_must_sum_to_one() -> None:
    with pytest.raises(OptionError, match="must sum to 1"):
        Preset("odd", steps=10, phases=(Phase("fit", share=0.5, first_rate=1, last_rate=1, quantised=False),))
