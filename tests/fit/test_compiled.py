from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from i2codec.fit import compiled as module
from i2codec.fit.compiled import bands, compiled, in_threads

THREADS = st.integers(1, 6)
_PATIENCE_S = 60.0


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@given(st.lists(st.integers(), min_size=1, max_size=20), THREADS)
def test_every_task_has_its_result_at_its_place(tasks: list[int], threads: int) -> None:
    with _threads(threads):
        assert in_threads(lambda task: -task, tasks) == [-task for task in tasks]


def test_results_are_in_the_order_of_the_tasks_whichever_is_done_first() -> None:
    is_done = [threading.Event() for _ in range(3)]

    def finish_after_the_next(task: int) -> int:
        assert task == 2 or is_done[task + 1].wait(_PATIENCE_S)
        is_done[task].set()
        return task

    with _threads(3):
        assert in_threads(finish_after_the_next, range(3)) == [0, 1, 2]


@pytest.mark.parametrize("threads", [2, 4])
def test_as_many_tasks_as_threads_run_at_once(threads: int) -> None:
    barrier = threading.Barrier(threads)
    with _threads(threads):
        assert sorted(in_threads(lambda _: barrier.wait(_PATIENCE_S), range(threads))) == list(range(threads))


def test_the_first_task_is_done_by_the_calling_thread() -> None:
    with _threads(2):
        first, *others = in_threads(lambda _: threading.get_ident(), range(4))
    assert first == threading.get_ident()
    assert first not in others


@pytest.mark.parametrize("failing", [0, 1, 4])
def test_a_task_that_fails_does_not_go_unseen(failing: int) -> None:
    def invert(task: int) -> float:
        return 1.0 / (task - failing)

    with _threads(3):
        with pytest.raises(ZeroDivisionError):
            in_threads(invert, range(5))
        assert in_threads(invert, range(failing + 1, failing + 3)) == [1.0, 0.5]


def test_several_threads_may_ask_at_once() -> None:
    """As fits side by side do."""

    def ask(first: int) -> list[int]:
        return in_threads(lambda task: first + task, range(5))

    with _threads(3), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(20))) == [[first + task for task in range(5)] for first in range(20)]


_FORKED = """
import os, signal, threading, torch
from i2codec.fit.compiled import in_threads
torch.set_num_threads(3)
barrier = threading.Barrier(3)
in_threads(lambda _: barrier.wait(60.0), range(3))  # both other threads are there
child = os.fork()
if not child:
    signal.alarm(30)  # what waits for threads that are not there does not wait for ever
    os._exit(0 if in_threads(abs, [-4, -5, -6]) == [4, 5, 6] else 1)
_, status = os.waitpid(child, 0)
assert in_threads(abs, [-7, -8, -9]) == [7, 8, 9]
print(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """In a process of its own, since newer versions of Python warn of forks beside threads."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKED],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert run.stdout.strip() == "0"


@given(st.integers(0, 10_000), st.integers(1, 500), THREADS)
def test_bands_are_all_rows_in_their_order(count: int, least: int, threads: int) -> None:
    with _threads(threads):
        found = bands(count, least=least)
    assert 1 <= len(found) <= threads
    assert (found[0][0], found[-1][1]) == (0, count)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found))
    sizes = [high - low for low, high in found]
    assert len(found) == 1 or min(sizes) >= least
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 500), THREADS)
def test_there_is_a_band_for_every_thread_where_there_are_rows_enough(least: int, threads: int) -> None:
    with _threads(threads):
        assert len(bands(threads * least, least=least)) == threads
        assert len(bands(threads * least - 1, least=least)) == max(1, threads - 1)


def test_it_works_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_for: Any = numba.njit
    was_refused = []

    def refuse_cache(**options: object) -> Any:
        if options.get("cache"):
            was_refused.append(True)
            raise RuntimeError("cannot cache function: no locator available")
        return compile_for(**options)

    monkeypatch.setattr(module, "_njit", refuse_cache)

    def double(x: float) -> float:
        return 2.0 * x

    assert compiled(double)(21.0) == 42.0
    assert was_refused
