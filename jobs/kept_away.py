"""What readers of the online store are told to keep from everybody, whatever version is live: blocked items and stopped experiments."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import Any

from contracts.blocked import pack_blocked
from contracts.errors import ServiceUnreachable
from contracts.settings import Settings
from jobs.io.online import OnlineStore, open_online_store
from jobs.io.state import BLOCKINGS, STOPPINGS, State


def words_of(state: State, collection: str) -> dict[str, list[dict[str, Any]]]:
    """What was said of each thing, the last word last."""
    return {key: record["words"] for key, record in sorted(state.all(collection).items())}


def tell_store(state: State, online: OnlineStore) -> None:
    """Have the online store hold what the state does; whoever comes last has read last."""
    with state.write():
        blocked, stopped = words_of(state, BLOCKINGS), words_of(state, STOPPINGS)
        said = chain.from_iterable((*blocked.values(), *stopped.values()))
        text = pack_blocked(
            (item for item, words in blocked.items() if words[-1]["is_blocked"]),
            (name for name, words in stopped.items() if words[-1]["is_stopped"]),
            max((str(word["at"]) for word in said), default=""),
        )
        online.tell_blocked(text)


def remind_store(settings: Settings) -> None:
    """Tell a store that has just been started; one that does not answer hears it with the next publication."""
    with suppress(ServiceUnreachable), open_online_store(settings, timeout=2) as online:
        tell_store(State.of(settings), online)
