"""Why does an item stand where it does in one person's list, or why not? From the lake and the champion, as of what is live."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np

from contracts import names
from contracts.errors import PartitionMissing
from contracts.lists import PERSONAL, Pointer
from contracts.settings import Settings
from jobs.io.lake import Lake
from jobs.io.online import ListRead, open_online_store
from jobs.io.state import PROMOTIONS, State
from jobs.runs import manifest_of

_MOST_ITEMS = 1000  # that a list can hold


def explain(settings: Settings, user_id: str, item_id: str) -> dict[str, Any]:
    """Where an item stands with a user in what is live, what of the user's past speaks for it, and what keeps it out.

    Of who is withheld, or has no list of the model's, nothing is computed.

    Raises:
        PartitionMissing: nothing has been published, or the item is in no catalogue of the day.
        StoreUnfit: the live version is not whole.
    """
    with open_online_store(settings, timeout=2) as store:
        read = store.read(user_id, _MOST_ITEMS)
    pointer, lake = read.pointer, Lake.of(settings)
    day = date.fromisoformat(pointer.day)
    items = {row["item_id"]: row for row in lake.read(names.DIM_ITEMS, day, _COLUMNS).to_pylist()}
    if item_id not in items:
        raise PartitionMissing(
            f"the catalogue of {day} has no item {item_id!r}. Look at a list: foretaste recommend {user_id}"
        )
    found = {
        "user_id": user_id,
        **{name: items[item_id][name] for name in ("item_id", "title", "is_available")},
        "version": pointer.version,
        "day": pointer.day,
        "champion": pointer.champion,
        "source": read.found.source,
        "is_known": read.is_known,
        "withheld": read.withheld,
        "place": _place(read, item_id),
    }
    if read.found.source != PERSONAL or not read.is_known:
        return {**found, **dict.fromkeys(_COMPUTED), "because": [], "features": {}}
    computed = _computed(settings, lake, read.pointer, user_id, item_id)
    for reason in computed["because"]:
        reason["title"] = items[reason["item_id"]]["title"]
    return {**found, **computed}


_COLUMNS = ["item_id", "title", "is_available"]
_COMPUTED = ("score", "rank", "num_candidates", "is_candidate", "is_kept_out")


def _place(read: ListRead, item_id: str) -> int | None:
    """The place in the published list, from 1."""
    listed = [json.loads(item)["item_id"] for item in read.items]
    return 1 + listed.index(item_id) if item_id in listed else None


def _computed(settings: Settings, lake: Lake, pointer: Pointer, user_id: str, item_id: str) -> dict[str, Any]:
    """What the champion makes of the item, all other candidates beside it."""
    from jobs.io.model_files import load_model
    from jobs.io.registry import model_folder
    from jobs.ranking.world import index_of, load_world

    state, day = State.of(settings), date.fromisoformat(pointer.day)
    promoted = state.get(PROMOTIONS, str(pointer.champion))
    if pointer.champion is None or promoted is None:
        raise PartitionMissing(
            f"champion version {pointer.champion} has no record of its promotion. Retrain: foretaste retrain"
        )
    model = load_model(model_folder(settings, pointer.champion, promoted["sha256"]), promoted["sha256"])
    world, chosen = load_world(lake, day), manifest_of(state, pointer.kind, day)["settings"]
    (user,), (item,) = index_of([user_id], world.user_ids), index_of([item_id], world.item_ids)
    if user < 0:
        raise PartitionMissing(f"the lake of {day} knows nothing of {user_id!r} any more")
    ranking = model.ranking(
        world,
        length=chosen["list_length"],
        num_candidates=chosen["num_candidates"],
        repeats_allowed=pointer.repeats_allowed,
        num_explained=1,
    )
    told = ranking.explain(int(user), int(item))
    return {
        "score": round(told.score, 6),
        "rank": told.rank,
        "num_candidates": told.num_candidates,
        "is_candidate": told.is_candidate,
        "is_kept_out": not pointer.repeats_allowed and bool(np.isin(item, world.seen[int(user)])),
        "because": [
            {"item_id": str(world.item_ids[each]), "fall": round(fall, 6)} for each, fall in told.falls
        ],
        "features": {name: round(value, 6) for name, value in told.features.items()},
    }


def render(answer: dict[str, Any]) -> str:
    """The answer as a person reads it."""
    item = f"{answer['item_id']} ({answer['title']})" if answer["title"] else answer["item_id"]
    where = f"the {answer['source']} list of {answer['day']}, version {answer['version']}"
    place = f"at place {answer['place']} of" if answer["place"] else "not in"
    lines = [f"{answer['user_id']}: {item} is {place} {where}"]
    if answer["withheld"]:
        lines.append(f"This user's list is withheld: {answer['withheld']}. Nothing is computed.")
    elif answer["score"] is None:
        lines.append("This list is not the model's: it has no reasons of the user's own.")
    if not answer["is_available"]:
        lines.append("It is not for sale.")
    if answer["is_kept_out"]:
        lines.append("The user has had it, and this shop recommends nothing again.")
    if answer["score"] is None:
        return "\n".join(lines)
    by_whom = "" if answer["is_candidate"] else "; it would not be one of them by itself"
    lines.append(
        f"Score {answer['score']:.4f}, rank {answer['rank']} of {answer['num_candidates']} candidates{by_whom}"
    )
    lines += ["", "Without one of the last items of the user's history the score would fall by"]
    lines += [
        f"{reason['fall']:>9.4f}  {reason['item_id']}  {reason['title'] or ''}".rstrip()
        for reason in answer["because"]
    ]
    lines += ["", "What the score is made of"]
    lines += [f"{value:>9.4f}  {name}" for name, value in answer["features"].items()]
    return "\n".join(lines)
