"""One person's published list, read from Redis alone."""

from __future__ import annotations

import json
from typing import Any

from contracts.errors import PartitionMissing
from contracts.lists import unpack
from contracts.settings import Settings
from jobs.io.online import open_online_store


def recommend(settings: Settings, user_id: str, count: int) -> dict[str, Any]:
    """The first ``count`` items of a user's list; a stranger gets popular items and is told so.

    Raises:
        PartitionMissing: nothing has been published.
    """
    with open_online_store(settings, timeout=2) as store:
        pointer = store.pointer()  # read once: the answer never mixes two versions
        if pointer is None:
            raise PartitionMissing(
                "nothing has been published yet. Run a day: foretaste run --day YYYY-MM-DD"
            )
        packed = store.packed_list(pointer, user_id)
        found = unpack(store.popular(pointer) if packed is None else packed)
        shown = [json.loads(item) for item in store.items(pointer, found.indices[:count])]
    return {
        "user_id": user_id,
        "version": pointer.version,
        "day": pointer.day,
        "source": found.source,
        "is_known": packed is not None,
        "items": [
            {"item_id": item["item_id"], "score": round(score, 6), "title": item["title"]}
            for item, score in zip(shown, found.scores, strict=False)
        ],
    }


def render(answer: dict[str, Any]) -> str:
    """The list as a person reads it."""
    known = "" if answer["is_known"] else " (we do not know this user: these are popular items)"
    lines = [
        f"{answer['user_id']}: {answer['source']} list of {answer['day']}, version {answer['version']}{known}"
    ]
    lines += [
        f"{rank:>4}  {item['item_id']:<16} {item['score']:>10.4f}  {item['title'] or ''}"
        for rank, item in enumerate(answer["items"], start=1)
    ]
    return "\n".join(lines)
