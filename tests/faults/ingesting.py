"""An API's process as far as its journal goes: several clients send events and decisions until it is killed.

python ingesting.py HOME NAME: each line of its output is ``sent ID`` before and ``acked ID`` (or ``failed ID``) after.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from contracts.errors import JournalUnavailable
from serving.decision_log import LOGGED, DecisionLog
from serving.events import Events
from tests.event_log import decision, event

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_CLIENTS, _LARGEST_BATCH = 16, 20


def say(word: str, ids: list[str]) -> None:
    os.write(1, "".join(f"{word} {each}\n" for each in ids).encode())


async def client(events: Events, log: DecisionLog, name: str) -> None:
    rng = random.Random(name)
    for request in range(1_000_000):
        ids = [f"{name}-{request}-{number}" for number in range(rng.randint(1, _LARGEST_BATCH))]
        batch = [event(number, event_id=each) for number, each in enumerate(ids)]
        say("sent", ids)
        try:
            received = await events.ingest({"events": batch + batch[:2]}, NOW)
        except JournalUnavailable:
            say("failed", ids)
            continue
        assert received.accepted == len(ids), received
        say("acked", ids)
        answered = f"v0001:{name}-{request}"
        say("sent", [answered])
        say("acked" if await log.write(decision(answered)) == LOGGED else "failed", [answered])


async def main() -> None:
    home, name = Path(sys.argv[1]), sys.argv[2]
    events, log = Events(home), DecisionLog(home)
    await asyncio.gather(*(client(events, log, f"{name}-{number}") for number in range(_CLIENTS)))


if __name__ == "__main__":
    asyncio.run(main())
