"""How fast events are taken: ``events.single`` and ``events.batched``, events a second; and how fast decisions are logged.

From the body of a request to the acknowledgement: decoded, held to the contract, deduplicated, durable. Ids come in no order and a
tenth of the events come twice. The reference appends the same lines to a file, as many at once as are under way, each
time with one write and one fsync.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.figure import Figure, figure
from contracts.errors import JournalUnavailable
from contracts.journal import EVENTS, LoggedDecision, LoggedItem, journal_days
from jobs.io.journal import Journal
from serving.decision_log import UNLOGGED, DecisionLog
from serving.events import Events
from serving.strict_json import parse

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_SHARE_REPEATED = 0.1


def events(folder: Path) -> Iterator[Figure]:
    """Events alone and in batches of a hundred, and decisions of ten items."""
    yield _measured("events.single", folder / "single", num_events=60_000, size=1, num_clients=64)
    yield _measured("events.batched", folder / "batched", num_events=600_000, size=100, num_clients=16)
    yield _decisions(folder / "decisions", num_decisions=60_000, num_clients=32)


def _measured(name: str, home: Path, *, num_events: int, size: int, num_clients: int) -> Figure:
    bodies = _bodies(num_events, size)
    num_again = num_taken = 0

    async def ingest(journal: Events, body: bytes) -> None:
        nonlocal num_again, num_taken
        while True:
            try:
                received = await journal.ingest(parse(body), NOW)
            except JournalUnavailable:
                num_again += 1
                continue
            num_taken += received.accepted + received.duplicates
            return

    seconds, slowest = asyncio.run(_under_load(Events, home, ingest, bodies, num_clients))
    (day,) = journal_days(home, EVENTS)
    lines = list(Journal(home).lines(EVENTS, day))
    num_new = round(num_events * (1 - _SHARE_REPEATED))
    if num_taken != num_events or len(lines) != num_new:
        raise AssertionError(
            f"of {num_events:,} events, {num_new:,} of them new, {num_taken:,} were taken and {len(lines):,} stored"
        )
    reference = len(lines) / _appended(home / "plain", lines, size * num_clients)
    unit = f"events/s, {size} a request, {num_clients} at once (p50, p99: {slowest}; {num_again} requests sent again)"
    return figure(name, num_events / seconds, unit, reference, "bare write and fsync of the same lines")


def _decisions(home: Path, *, num_decisions: int, num_clients: int) -> Figure:
    items = tuple(LoggedItem(f"i{place:05d}", place, 0.25) for place in range(1, 11))
    decisions = [
        LoggedDecision(
            f"v0001:{uuid.uuid4()}",
            NOW,
            "u0000001",
            "home",
            "v0001",
            "personal",
            None,
            items,
            "personal",
            False,
        )
        for _ in range(num_decisions)
    ]

    num_unlogged = 0

    async def write(log: DecisionLog, decision: LoggedDecision) -> None:
        nonlocal num_unlogged
        num_unlogged += await log.write(decision) == UNLOGGED

    seconds, slowest = asyncio.run(_under_load(DecisionLog, home, write, decisions, num_clients))
    lines = [msgspec.json.encode(each) for each in decisions]
    reference = len(lines) / _appended(home / "plain", lines, num_clients)
    unit = f"decisions/s, {num_clients} at once (p50, p99: {slowest}; {num_unlogged} unlogged)"
    return figure(
        "events.decisions", num_decisions / seconds, unit, reference, "bare write and fsync of the same lines"
    )


async def _under_load(
    opened: Callable[[Path], Any],
    home: Path,
    send: Callable[[Any, Any], Awaitable[None]],
    requests: Sequence[Any],
    num_clients: int,
) -> tuple[float, str]:
    """Seconds until all have been answered, and how long half of them and 99 of 100 waited at most."""
    journal, left = opened(home), iter(requests)
    waited: list[float] = []

    async def client() -> None:
        for request in left:
            begun = time.perf_counter()
            await send(journal, request)
            waited.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(num_clients)))
    seconds = time.perf_counter() - begun
    await journal.close()
    waited.sort()
    p50, p99 = (waited[int(len(waited) * share)] * 1000 for share in (0.5, 0.99))
    return seconds, f"{p50:.1f} and {p99:.1f} ms"


def _appended(path: Path, lines: Sequence[bytes], at_once: int) -> float:
    """Seconds that it takes to append lines to a file so many at once, each time durably."""
    begun = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for begin in range(0, len(lines), at_once):
            file.write(b"\n".join(lines[begin : begin + at_once]))
            os.fsync(file.fileno())
    return time.perf_counter() - begun


def _bodies(num_events: int, size: int) -> list[bytes]:
    rng = random.Random(7)
    num_new = round(num_events * (1 - _SHARE_REPEATED))
    told = [_event(rng, number) for number in range(num_new)]
    told += rng.sample(told, num_events - num_new)
    rng.shuffle(told)
    if size == 1:
        return [msgspec.json.encode(each) for each in told]
    return [
        msgspec.json.encode({"events": told[begin : begin + size]}) for begin in range(0, num_events, size)
    ]


def _event(rng: random.Random, number: int) -> dict[str, Any]:
    return {
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)), "user_id": f"u{rng.randrange(10**6):07d}",
        "item_id": f"i{rng.randrange(10**5):05d}", "event_type": "view", "session_id": f"s{number // 8:08d}", "dwell_ms": rng.randrange(60_000),
        "occurred_at": (NOW - timedelta(milliseconds=rng.randrange(60_000))).isoformat(),
        "surface": "home", "position": rng.randint(1, 10), "decision_id": f"v0001:{number // 8:08d}",
    }  # fmt: skip
