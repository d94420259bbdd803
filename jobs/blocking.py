"""Items that nobody may be shown, whatever is published: recorded with who said so and why, and told to the online store.

The record lies in the state, so that neither a publication, a rollback nor a new store forgets it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.blocked import MOST_BLOCKED
from contracts.errors import BlockRefused
from contracts.settings import Settings
from jobs.io.state import BLOCKINGS, State
from jobs.kept_away import Word, said, words_of


def block(settings: Settings, item_id: str, *, by: str, why: str, now: datetime) -> dict[str, Any]:
    """Let nobody be shown an item from now on, in no version.

    Raises:
        BlockRefused: it is no id, or too many items are blocked.
        ServiceUnreachable, StoreUnfit: it is recorded, and the online store was not told.
    """
    if not item_id or not item_id.isprintable():
        raise BlockRefused(f"{item_id!r} is no id of an item. Give the id that the catalogue has")
    held = _ids(State.of(settings))
    if item_id not in held and len(held) >= MOST_BLOCKED:
        raise BlockRefused(
            f"{len(held)} items are blocked, as many as can be. Unblock some: foretaste blocked; whole kinds of items are a "
            "filter's to hide, in expectations/serving_rules.toml"
        )
    return _say(settings, item_id, is_blocked=True, by=by, why=why, now=now)


def unblock(settings: Settings, item_id: str, *, by: str, why: str, now: datetime) -> dict[str, Any]:
    """Let an item be shown again.

    Raises:
        BlockRefused: it never was blocked.
        ServiceUnreachable, StoreUnfit: it is recorded, and the online store was not told.
    """
    state = State.of(settings)
    if state.get(BLOCKINGS, item_id) is None:
        named = ", ".join(sorted(_ids(state))[:10]) or "none"
        raise BlockRefused(f"{item_id!r} is not blocked; blocked are: {named}. List them: foretaste blocked")
    return _say(settings, item_id, is_blocked=False, by=by, why=why, now=now)


def blocked_items(state: State) -> list[Word]:
    """Of every blocked item the word that blocked it, the oldest first."""
    newest = (words[-1] for words in words_of(state, BLOCKINGS).values())
    return sorted((word for word in newest if word["is_blocked"]), key=_when)


def history(state: State) -> list[Word]:
    """Everything that was ever said about blocking, the oldest first."""
    return sorted((word for words in words_of(state, BLOCKINGS).values() for word in words), key=_when)


def _ids(state: State) -> set[str]:
    return {word["item_id"] for word in blocked_items(state)}


def _when(word: Word) -> str:
    return str(word["at"])


def _say(
    settings: Settings, item_id: str, *, is_blocked: bool, by: str, why: str, now: datetime
) -> dict[str, Any]:
    word = {
        "item_id": item_id, "is_blocked": is_blocked, "at": now.isoformat(timespec="seconds"), "by": by, "why": why,
    }  # fmt: skip
    told = f"{item_id!r} is {_said(word)}"
    with said(settings, BLOCKINGS, item_id, word, decides="is_blocked", told=told) as (holding, online):
        is_known = online.knows_item(item_id)
    return {**holding, "is_known": is_known, "num_blocked": len(_ids(State.of(settings)))}


def _said(word: Word) -> str:
    return "blocked" if word["is_blocked"] else "unblocked"


def render(answer: dict[str, Any]) -> str:
    """The answer as a person reads it."""
    lines = [
        f"{answer['item_id']} is {_said(answer)} since {answer['at']}, by {answer['by']}: {answer['why']}",
        f"blocked items: {answer['num_blocked']}",
    ]
    if not answer["is_known"]:
        lines.append("The live version knows no such item: is the id right?")
    return "\n".join(lines)
