"""Small jobs side by side, one core each, with their results in order."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")

# A thread that comes back from torch waits this long for Python's lock, by default 5 ms: more than
# a whole optimiser step of a small network (docs/fitting.md).
_SWITCH_INTERVAL_S = 2e-4


def in_order(jobs: Iterator[Callable[[], Result]], *, workers: int) -> Iterator[Result]:
    """Results of ``jobs``, of which at most ``workers`` are taken and run at a time.

    Torch releases Python's lock while it computes, so threads are enough. With one worker a job
    runs in the caller's thread with all cores, and an interrupt stops it at once; with more an
    interrupt or a failure is passed on when the jobs at work have ended.
    """
    if workers == 1:
        for job in jobs:
            yield job()
        return
    thread_count, switch_interval_s = torch.get_num_threads(), sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    running: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(thread_count // workers,))
    try:
        for job in jobs:
            running.append(pool.submit(job))
            if len(running) == workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        sys.setswitchinterval(switch_interval_s)
        torch.set_num_threads(thread_count)  # the workers' number is that of new threads too
