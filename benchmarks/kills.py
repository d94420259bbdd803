"""Kill -9 under load, again and again: ``events.kept``, how much of what was acknowledged is in the journal, and what is there besides.

``python -m benchmarks.kills HOME NAME`` is the process that is killed, an API's as far as its journal goes: several clients send events
and decisions for as long as it lives. Each line of its output is ``sent ID`` before and ``acked ID`` (or ``failed ID``) after.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.figure import Figure, figure
from contracts.errors import JournalUnavailable
from contracts.journal import DECISIONS, EVENTS, LoggedDecision, LoggedItem
from jobs.io.journal import Journal
from serving.decision_log import LOGGED, DecisionLog
from serving.events import Events

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_REPOSITORY = Path(__file__).resolve().parents[1]
_KILLS = 100
_CLIENTS, _LARGEST_BATCH = 16, 20
_ITEMS = tuple(LoggedItem(f"i{place}", place, 0.5) for place in (1, 2))


@dataclass
class Told:
    """The ids that clients have sent, and those of them that were acknowledged."""

    sent: set[str]
    acked: set[str]


def kills(folder: Path, num_kills: int = _KILLS) -> Iterator[Figure]:
    """Kill the process so often, and look for what it had acknowledged."""
    told = killed_under_load(folder, num_kills)
    ids = stored_ids(folder)
    num_invented, num_twice = len(set(ids) - told.sent), len(ids) - len(set(ids))
    yield figure(
        "events.kept",
        len(told.acked & set(ids)),
        f"acknowledged events and decisions kept after {num_kills} kills ({num_invented} invented, {num_twice} twice)",
        len(told.acked),
        "acknowledged",
    )


def killed_under_load(home: Path, num_kills: int) -> Told:
    """What clients know whose process was killed so often, each time at another instant after its first answer."""
    rng, told = random.Random(num_kills), Told(set(), set())
    for number in range(num_kills):
        for word, each in _killed(home, f"run{number}", rng.random() * 0.05):
            {"sent": told.sent, "acked": told.acked}.get(word, set()).add(each)
    return told


def stored_ids(home: Path) -> list[str]:
    """The ids of all events and decisions in the journal."""
    journal = Journal(home)
    return [
        msgspec.json.decode(line)[name]
        for kind, name in ((EVENTS, "event_id"), (DECISIONS, "decision_id"))
        for line in journal.lines(kind, NOW.date())
    ]


def event_of(event_id: str) -> dict[str, Any]:
    """The event that is sent under an id, again and again the same."""
    number = int(event_id.rpartition("-")[2])
    return {
        "event_id": event_id, "user_id": f"u{number % 7}", "item_id": f"i{number % 5}", "event_type": "view",
        "occurred_at": f"2026-01-05T10:00:{number % 60:02d}Z",
    }  # fmt: skip


def _killed(home: Path, name: str, seconds: float) -> Sequence[list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.kills", str(home), name],
        cwd=_REPOSITORY, env={**os.environ, "PYTHONPATH": str(_REPOSITORY)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("acked"):
            break
    time.sleep(seconds)  # what it says meanwhile stands in the pipe
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.stdout.close()
    if process.wait() != -signal.SIGKILL:
        raise AssertionError(f"{name} ended by itself, with {process.returncode}")
    return [line.split() for line in lines if line.endswith("\n")]


def _say(word: str, ids: Sequence[str]) -> None:
    os.write(1, "".join(f"{word} {each}\n" for each in ids).encode())


async def _client(events: Events, log: DecisionLog, name: str) -> None:
    rng = random.Random(name)
    for request in range(1_000_000):
        ids = [f"{name}-{request}-{number}" for number in range(rng.randint(1, _LARGEST_BATCH))]
        batch = [event_of(each) for each in ids]
        _say("sent", ids)
        try:
            received = await events.ingest({"events": batch + batch[:2]}, NOW)
        except JournalUnavailable:
            _say("failed", ids)
            continue
        assert received.accepted == len(ids), received
        _say("acked", ids)
        answered = f"v0001:{name}-{request}"
        _say("sent", [answered])
        made = LoggedDecision(
            answered, NOW, "u1", "home", "v0001", "personal", None, _ITEMS, "personal", False
        )
        _say("acked" if await log.write(made) == LOGGED else "failed", [answered])


async def _serve(home: Path, name: str) -> None:
    events, log = Events(home), DecisionLog(home)
    await asyncio.gather(*(_client(events, log, f"{name}-{number}") for number in range(_CLIENTS)))


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2]))
