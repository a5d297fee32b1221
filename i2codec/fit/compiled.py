"""How the compiled loops of a fit are compiled, and how they are spread over threads.

Numba's cache on disk notices changes of the file that holds the outermost function, and of no
other: whatever a loop computes is in the file of the loop, and whoever changes the options here
deletes the caches (``__pycache__``).
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numba
import torch

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")
_Task = TypeVar("_Task")


class _Decorator(Protocol):
    def __call__(self, function: _F, /) -> _F: ...


# All of fastmath but "no NaN" and "no infinity": a fit that diverged must not go unseen.
_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"nsz", "arcp", "contract", "afn", "reassoc"}}
_njit: Any = numba.njit  # typed by some of its versions only

inlined: _Decorator = _njit(forceinline=True, **_OPTIONS)
"""Decorator of what a compiled loop calls.

Whatever is not inlined is optimised once more where a loop comes from the cache, and may round
differently then: the same input would give other bytes.
"""


def compiled(function: _F) -> _F:
    """Compile on first call, or take from numba's cache on disk where there is a folder for one."""
    try:
        result: _F = _njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        result = _njit(**_OPTIONS)(function)
    return result


def in_threads(function: Callable[[_Task], _T], tasks: Sequence[_Task]) -> list[_T]:
    """Results of all tasks in their order; the first is done by the calling thread, as all are where it is the only."""
    threads = torch.get_num_threads()
    if threads == 1:
        return [function(task) for task in tasks]
    others = [_pool(os.getpid(), threads).submit(function, task) for task in tasks[1:]]
    return [function(tasks[0]), *(other.result() for other in others)]


def bands(count: int, *, least: int) -> list[tuple[int, int]]:
    """``count`` rows in one band per thread, of at least so many rows each (but the only one)."""
    parts = max(1, min(torch.get_num_threads(), count // least))
    edges = [count * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(edges))


@functools.lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Kept, since starting a thread takes as long as a small band; threads do not survive a fork, hence ``process``."""
    del process
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="i2codec-fit")
