"""What readers of the online store are told to keep from everybody, whatever version is live: blocked items and stopped experiments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

from contracts.blocked import pack_blocked
from contracts.errors import ServiceUnreachable, StoreUnfit
from contracts.settings import Settings
from jobs.io.online import OnlineStore, open_online_store
from jobs.io.state import BLOCKINGS, STOPPINGS, State

#: About a thing: whether it is kept away, when that was said (``at``), ``by`` whom and ``why``.
Word = dict[str, Any]


@contextmanager
def said(
    settings: Settings, collection: str, key: str, word: Word, *, decides: str, told: str
) -> Iterator[tuple[Word, OnlineStore]]:
    """Record a word, unless it says what held before, and tell the online store; gives what holds now, and the store.

    Args:
        decides: the name of what a word says of the thing.
        told: the word, for a message.

    Raises:
        ServiceUnreachable, StoreUnfit: it is recorded, and the online store was not told.
    """
    state = State.of(settings)

    def add(record: dict[str, Any] | None) -> dict[str, Any]:
        words: list[Word] = record["words"] if record else []
        is_news = not words or words[-1][decides] != word[decides]
        return {"words": [*words, word] if is_news else words}

    record = state.change(collection, key, add)
    assert record is not None
    try:
        with open_online_store(settings, timeout=2) as online:
            tell_store(state, online)
            yield record["words"][-1], online
    except (ServiceUnreachable, StoreUnfit) as error:
        raise type(error)(
            f"it is recorded that {told}, and the API has not heard it: {error}. Say it again once the store answers"
        ) from error


def words_of(state: State, collection: str) -> dict[str, list[Word]]:
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
