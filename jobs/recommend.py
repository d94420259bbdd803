"""One person's published list, read from Redis alone."""

from __future__ import annotations

import json
from typing import Any

from contracts.lists import CONTENT, POPULAR, SEGMENT, SESSION
from contracts.settings import Settings
from jobs.io.online import open_online_store

#: What a list was made from where the champion knows nothing of the user's items.
_MADE_FROM = {
    SESSION: "The champion knows none of this user's items: this is what others took together with them.",
    CONTENT: "The champion knows none of this user's items, and nobody took others with them: these are items like them.",
    SEGMENT: "Of this user only a taste is known: this is what is popular now in the dearest category.",
    POPULAR: "Of this user's taste nothing is known: these are the items that are popular now.",
}


def recommend(settings: Settings, user_id: str, count: int) -> dict[str, Any]:
    """The first ``count`` items of a user's list; a stranger, or who has withdrawn consent, gets popular items and is told so.

    Raises:
        PartitionMissing: nothing has been published.
        StoreUnfit: the live version is not whole.
    """
    with open_online_store(settings, timeout=2) as store:
        read = store.read(user_id, count)
    pointer, found, shown = read.pointer, read.found, [json.loads(item) for item in read.items]
    return {
        "user_id": user_id,
        "version": pointer.version,
        "day": pointer.day,
        "source": found.source,
        "is_known": read.is_known,
        "withheld": read.withheld,
        "is_short": found.is_short,
        "items": [
            {
                "item_id": item["item_id"],
                "score": round(score, 6),
                "title": item["title"],
                "because": [
                    {"item_id": reason["item_id"], "title": reason["title"]}
                    for reason in map(json.loads, reasons)
                ],
            }
            for item, score, reasons in zip(shown, found.scores, read.reasons, strict=False)
        ],
    }


def render(answer: dict[str, Any]) -> str:
    """The list as a person reads it."""
    lines = [f"{answer['user_id']}: {answer['source']} list of {answer['day']}, version {answer['version']}"]
    if answer["withheld"]:
        lines.append(
            f"This user's list is withheld: {answer['withheld']}. These are the items that are popular now."
        )
    elif not answer["is_known"]:
        lines.append("We do not know this user: these are the items that are popular now.")
    elif answer["source"] in _MADE_FROM:
        lines.append(_MADE_FROM[answer["source"]])
    if not answer["items"]:
        lines.append("There is nothing that we may recommend.")
    width = max((len(item["item_id"]) for item in answer["items"]), default=0)
    lines += [
        f"{rank:>4}  {item['item_id']:<{width}}  {item['score']:>9.4f}  {item['title'] or ''}{because(item)}".rstrip()
        for rank, item in enumerate(answer["items"], start=1)
    ]
    return "\n".join(lines)


def because(item: dict[str, Any]) -> str:
    """What speaks for an item of a list, as a person reads it; empty where nothing does."""
    told = [
        "itself" if reason["item_id"] == item["item_id"] else reason["title"] or reason["item_id"]
        for reason in item["because"]
    ]
    return f"   (because of {' and '.join(told)})" if told else ""
