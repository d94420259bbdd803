"""The most memory that a process and all it has started hold at one time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

_SECONDS_BETWEEN = 0.2  # a look goes through all processes: oftener would be felt


class Peak:
    """Looks again and again until it is stopped; ``bytes`` is the most that was seen."""

    def __init__(self, held: Callable[[], int], seconds_between: float = _SECONDS_BETWEEN) -> None:
        self.bytes = 0
        self._held = held
        self._seconds_between = seconds_between

    def look(self) -> None:
        self.bytes = max(self.bytes, self._held())

    @contextmanager
    def watched(self) -> Iterator[Peak]:
        """Look on while the block runs."""
        stop = threading.Event()
        watching = threading.Thread(target=self._watch, args=(stop,), daemon=True)
        watching.start()
        try:
            yield self
        finally:
            stop.set()
            watching.join()

    def _watch(self, stop: threading.Event) -> None:
        self.look()
        while not stop.wait(self._seconds_between):
            self.look()


def of_tree(*roots: int) -> Callable[[], int]:
    """Resident memory of processes and all their children; pages that two of them share count twice."""

    def held() -> int:
        found: dict[int, psutil.Process] = {}
        for root in roots:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(root)
                found |= {each.pid: each for each in (process, *process.children(recursive=True))}
        total = 0
        for process in found.values():
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                total += int(process.memory_info().rss)
        return total

    return held
