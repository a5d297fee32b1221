"""Peak memory of a training step against the number of solver steps.

Each row is a process of its own: 65,536 points of a siren layer of 256, two steps of Adam.
``phantom`` solves by k Picard steps without a graph and passes the loss through one more
application of F; ``unrolled`` passes it through all k. The peak is counted above what the
process held before: resident memory on the CPU, allocated memory on an accelerator.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import torch
from common import Row, command, peak_bytes, report, transition_of, zero_state

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.gradients import Phantom
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.field.solvers import Picard

POINTS, WIDTH = 65_536, 256
TRAINING_STEPS = 2
RUNS = [
    ("phantom", 1),
    ("phantom", 4),
    ("phantom", 16),
    ("phantom", 64),
    ("unrolled", 1),
    ("unrolled", 4),
    ("unrolled", 16),
]


def training_step(
    field: ImplicitField, optimiser: torch.optim.Optimizer, x: torch.Tensor, how: str, steps: int
) -> None:
    state = zero_state(field, x)
    transition = transition_of(field, x)
    if how == "phantom":
        with torch.no_grad():
            state = Picard()(transition, state, max_steps=steps, tolerance=0.0).state
    state = Phantom(terms=1 if how == "phantom" else steps)(transition, state)
    optimiser.zero_grad()
    field.read_out(state).square().mean().backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def peak(device: str, threads: int, how: str, steps: int) -> tuple[int, float]:
    """Bytes at the peak above those before, and seconds per training step."""
    torch.set_num_threads(threads)
    architecture = Architecture(Filter.SIREN, WIDTH, 1, 2, 1, contraction=0.9)
    tensors = initial_tensors(architecture, frequencies=(400.0, 400.0), generator=torch.Generator().manual_seed(0))
    field = ImplicitField(architecture, tensors, steps=steps).to(device)
    optimiser = torch.optim.Adam(field.parameters(), lr=1e-3)
    x = torch.rand(POINTS, 2, generator=torch.Generator().manual_seed(1)).to(device)
    training_step(field, optimiser, x[:16], how, steps)  # libraries and the optimiser's state
    before = peak_bytes(device)
    begin = time.perf_counter()
    for _ in range(TRAINING_STEPS):
        training_step(field, optimiser, x, how, steps)
    return peak_bytes(device) - before, (time.perf_counter() - begin) / TRAINING_STEPS


@command("memory")
def main(device: str) -> Sequence[Row]:
    rows = []
    for how, steps in RUNS:
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
            size, seconds = process.submit(peak, device, torch.get_num_threads(), how, steps).result()
        rows.append(
            report(
                gradient=how,
                solver_steps=steps,
                points=POINTS,
                width=WIDTH,
                peak_mib=size / 2**20,
                seconds_per_step=seconds,
            )
        )
    return rows


if __name__ == "__main__":
    main()
