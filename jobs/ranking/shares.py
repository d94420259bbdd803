"""Work on many users in shares, side by side, with the same result whatever the number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from jobs.ranking.world import IntArray

#: Users that a process ranks at once: a whole number of the model's blocks, so that the result is the same
#: whatever the number of processes.
SHARE = 4096

Found = TypeVar("Found")


def shares_of(num_users: int) -> list[IntArray]:
    """Everybody, in shares."""
    return [np.arange(start, min(start + SHARE, num_users)) for start in range(0, num_users, SHARE)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Threads inside a product of matrices would add up in another order, and scores would differ in their last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def each_share(work: Callable[[IntArray], Found], num_users: int, processes: int) -> Iterator[Found]:
    """What the work gives of each share, in order, by so many processes of one thread each."""
    shares = shares_of(num_users)
    with one_thread():
        if processes == 1 or len(shares) < 2:
            yield from map(work, shares)
            return
        # Forked, so that nobody copies the world: it is read only.
        with ProcessPoolExecutor(
            processes, get_context("fork"), initializer=_Worker.begin, initargs=(work,)
        ) as pool:
            yield from pool.map(_Worker.do, shares)


class _Worker:
    """What a forked process has been given to do."""

    _work: Callable[[IntArray], Any]

    @classmethod
    def begin(cls, work: Callable[[IntArray], Any]) -> None:
        cls._work = work

    @classmethod
    def do(cls, users: IntArray) -> Any:
        return cls._work(users)
