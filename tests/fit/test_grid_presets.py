from __future__ import annotations

import itertools

import pytest

from i2codec.errors import OptionError
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.fit.grid_presets import GRID_PRESETS, get_grid_preset
from i2codec.prior.priors import released_priors


@pytest.mark.parametrize("name", GRID_PRESETS)
def test_phases_go_from_coarse_to_fine_and_leave_the_effort_to_the_last(name: str) -> None:
    *coarse, whole = get_grid_preset(name).phases
    levels = [phase.first_level for phase in (*coarse, whole)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == 0 < levels[-2]
    assert coarse[0].holds_networks
    assert not whole.holds_networks
    assert whole.steps is None
    assert all(phase.steps for phase in coarse)
    assert sum(phase.share for phase in (*coarse, whole)) == pytest.approx(1.0)
    assert len({phase.name for phase in (*coarse, whole)}) == len(coarse) + 1  # checkpoints know them by it


@pytest.mark.parametrize("name", GRID_PRESETS)
def test_a_fit_that_starts_at_the_picture_leaves_the_effort_to_native_resolution(name: str) -> None:
    preset = get_grid_preset(name)
    *before, whole = preset.picture_phases
    assert not before  # a coarser phase would forget where the fit starts
    assert (whole.first_level, whole.steps, whole.holds_networks) == (0, None, False)
    assert (whole.name, whole.share) == (preset.phases[-1].name, preset.phases[-1].share)
    assert whole.synthesis_factor < preset.phases[-1].synthesis_factor  # it makes the picture already


def test_short_fits_remember_less() -> None:
    draft, fast = (get_grid_preset(name) for name in ("draft", "fast"))
    phases = ((*preset.phases, *preset.picture_phases, preset.correction) for preset in (draft, fast))
    for hasty, patient in zip(*phases, strict=True):
        assert max(hasty.adam_betas) < max(patient.adam_betas)
        assert max(hasty.soap_betas) <= max(patient.soap_betas)
        assert (hasty.name, hasty.steps, hasty.rates) == (patient.name, patient.steps, patient.rates)


def test_more_effort_takes_more_steps_and_large_photos_take_fewer() -> None:
    names = ("draft", "fast", "medium", "slow")
    for point_count in (256, 65536, 768 * 512, 16_000_000):
        steps = [get_grid_preset(name).steps(point_count) for name in names]
        assert steps == sorted(steps)
    preset = get_grid_preset("fast")
    assert preset.steps(1) == preset.most_steps > preset.steps(768 * 512) > preset.steps(10**9) == preset.least_steps
    assert preset.with_steps(7).steps(1) == preset.with_steps(7).steps(10**9) == 7


@pytest.mark.parametrize("name", GRID_PRESETS)
def test_more_latents_at_every_node_take_fewer_steps(name: str) -> None:
    """About half as many of three as of one, within the same bounds."""
    preset = get_grid_preset(name)
    points = round(preset.point_steps / (0.9 * preset.most_steps))
    steps = [preset.steps(points, plane_count) for plane_count in (1, 2, 3, 4)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == preset.steps(points)
    assert steps[0] == pytest.approx(2 * steps[2], abs=2)
    assert preset.steps(1, 3) == preset.most_steps
    assert preset.steps(10**9, 3) == preset.least_steps
    assert preset.with_steps(7).steps(1, 3) == 7


@pytest.mark.parametrize("name", GRID_PRESETS)
def test_every_preset_starts_photos_at_priors(name: str) -> None:
    preset = get_grid_preset(name)
    photo = GridArchitecture(7, 2, 3, hidden_width=preset.hidden_width, width=preset.width, context_count=3)
    assert sorted(released_priors(photo).values()) == [0.0007, 0.004, 0.02]


def test_longer_fits_have_a_larger_synthesis_and_a_longer_closing_stage() -> None:
    presets = [get_grid_preset(name) for name in ("draft", "fast", "medium", "slow")]
    for smaller, larger in itertools.pairwise(presets):
        assert smaller.hidden_width <= larger.hidden_width
        assert smaller.width <= larger.width
        assert smaller.closing_rounds <= larger.closing_rounds


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="'quick'; expected one of draft, fast, medium, slow"):
        get_grid_preset("quick")
