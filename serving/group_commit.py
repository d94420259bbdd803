"""Many callers, one write: what arrives while a group is being written makes up the next one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, TypeVar

from contracts.errors import JournalUnavailable

log = logging.getLogger("foretaste.serving")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: So often what is written lazily is made to reach the disk.
_REST_SECONDS = 1.0


class _Group(Generic[_Item, _Result]):
    def __init__(self) -> None:
        self.items: list[_Item] = []
        self.waiting: list[tuple[asyncio.Future[Sequence[_Result]], int, int]] = []
        self.deadline: asyncio.TimerHandle | None = None

    def settle(self, outcome: Sequence[_Result] | Exception) -> None:
        """Tell everybody who still waits."""
        if self.deadline:
            self.deadline.cancel()
        for future, begin, end in self.waiting:
            if future.done():  # its caller has gone, or has been told that it takes too long
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome[begin:end])


class GroupCommit(Generic[_Item, _Result]):
    """Hands groups of items, one after the other, to a function that runs in a thread of its own.

    Args:
        commit: makes a group durable and says of each item what became of it.
        rest: is called once a second or so, in a further thread.
        most_waiting: so many items may wait; what exceeds them is refused at once.
        patience: so many seconds a caller waits at most.
    """

    def __init__(
        self,
        commit: Callable[[list[_Item]], Sequence[_Result]],
        rest: Callable[[], None],
        *,
        most_waiting: int,
        patience: float,
    ) -> None:
        self._commit, self._rest = commit, rest
        self._most_waiting, self._patience = most_waiting, patience
        self._loop = asyncio.get_running_loop()
        self._num_waiting = 0
        self._next: _Group[_Item, _Result] | None = None
        self._is_writing = self._is_closing = False
        self._handed_over: SimpleQueue[_Group[_Item, _Result] | None] = SimpleQueue()
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=each, name="journal", daemon=True)
            for each in (self._work, self._rest_at_times)
        ]
        for thread in self._threads:
            thread.start()

    async def add(self, items: Sequence[_Item]) -> Sequence[_Result]:
        """What became of the items, once they are durable.

        Raises:
            JournalUnavailable: they are not, or not yet; whoever sends them again loses nothing.
        """
        if self._num_waiting + len(items) > self._most_waiting:
            raise JournalUnavailable(
                f"{self._num_waiting:,} records wait to be written, and no more than {self._most_waiting:,} may. Send "
                "them again later"
            )
        if self._is_closing:
            raise JournalUnavailable("the journal is being closed. Send it again")
        self._num_waiting += len(items)
        future: asyncio.Future[Sequence[_Result]] = self._loop.create_future()
        group = self._next
        if group is None:
            group = self._next = _Group()
            group.deadline = self._loop.call_later(self._patience, self._give_up, group)
            if not self._is_writing:
                self._loop.call_soon(self._hand_over)  # with all that comes in this turn
        group.waiting.append((future, len(group.items), len(group.items) + len(items)))
        group.items.extend(items)
        return await future

    async def close(self) -> None:
        """Write what has been added, and stop."""
        self._is_closing = True
        self._hand_over()
        self._handed_over.put(None)
        self._is_over.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _hand_over(self) -> None:
        if self._next is not None:
            self._handed_over.put(self._next)
            self._next, self._is_writing = None, True

    def _give_up(self, group: _Group[_Item, _Result]) -> None:
        group.settle(
            JournalUnavailable(f"the disk has not taken it within {self._patience} s. Send it again later")
        )

    def _settled(self, group: _Group[_Item, _Result], outcome: Sequence[_Result] | Exception) -> None:
        self._num_waiting -= len(group.items)
        group.settle(outcome)
        self._is_writing = False
        self._hand_over()

    def _work(self) -> None:
        while (group := self._handed_over.get()) is not None:
            self._write(group)

    def _rest_at_times(self) -> None:
        while not self._is_over.wait(_REST_SECONDS):
            self._rest()

    def _write(self, group: _Group[_Item, _Result]) -> None:
        outcome: Sequence[_Result] | Exception
        try:
            outcome = self._commit(group.items)
        except Exception as error:  # the thread's outer edge: whoever waits is told
            log.warning("journal_group_failed items=%d why=%s", len(group.items), error)
            outcome = error
        with suppress(RuntimeError):  # the loop has ended without closing this: nobody is left to be told
            self._loop.call_soon_threadsafe(self._settled, group, outcome)
