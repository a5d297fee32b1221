from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import recurrence
import torch
from click.testing import CliRunner
from recurrence import EXPLICIT, NONE, RECURRENCES, Place, decoder_steps, macs, main

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.module import ImplicitField, initial_tensors


@pytest.mark.parametrize("filter", Filter)
def test_macs_are_those_of_the_architecture(filter: Filter) -> None:
    architecture = Architecture(filter, 7, 2, 3, 2)
    tensors = initial_tensors(architecture, frequencies=(1.0,) * 3, generator=torch.Generator().manual_seed(0))
    assert macs(tensors, 5) == architecture.macs_per_point(5)


def test_decoder_steps_reach_the_residual_and_no_less() -> None:
    architecture = Architecture(Filter.SIREN, 12, 1, 1, 1, contraction=0.9)
    tensors = initial_tensors(architecture, frequencies=(9.0,), generator=torch.Generator().manual_seed(0))
    field, x = ImplicitField(architecture, tensors, steps=1), torch.linspace(-1.0, 1.0, 50)[:, None].double()
    steps = decoder_steps(field, x)
    states = []
    with torch.no_grad():
        for field.steps in (steps - 2, steps - 1, steps):
            states.append(field.state(x))
    before, last = (float((b - a).norm() / b.norm()) for a, b in itertools.pairwise(states))
    assert last <= recurrence.DECODER_RESIDUAL < before


def test_every_recurrence_is_measured_and_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = Place(width=6, steps=8, depth=2, band=0.25)
    monkeypatch.setattr(recurrence, "PLACES", [place])
    threads, out = torch.get_num_threads(), tmp_path / "rows.json"
    result = CliRunner().invoke(main, ["--threads", "1", "--out", str(out)], catch_exceptions=False)
    torch.set_num_threads(threads)
    assert result.exit_code == 0
    rows = json.loads(out.read_text())
    names = [one.name for one in RECURRENCES] + [EXPLICIT]
    assert [(row["seed"], row["network"]) for row in rows] == [(seed, name) for seed in (0, 1) for name in names]
    assert all(row["measured_ratio"] == 0.0 for row in rows if row["network"] in (NONE.name, EXPLICIT))
    ratios = {row["network"]: row["measured_ratio"] for row in rows}
    assert 0.0 < ratios["c = 0.5"] < ratios["c = 0.9"] < ratios["c = 0.97"] < 0.97
    shown = CliRunner().invoke(main, ["--table", str(out)], catch_exceptions=False).output
    assert shown.splitlines() == result.output.splitlines()[-3:]
    assert shown.splitlines()[2].startswith("| image, siren 2 × 6, 8 steps, start at 0.25 | ")
    assert shown.splitlines()[2].count("±") == len(names)
