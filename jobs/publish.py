"""Publish a day's lists: a new version beside the old one, checked, then one pointer flips.

The order is: Redis keys → read-back → S3 data and manifest → flip of Redis → pointer of S3 → record → collect.
Until the flip nobody sees anything of the version; killed before it, a second run writes the version again,
killed after it, a second run finds the version live and does what was left.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from contracts import names
from contracts.errors import GateRefused
from contracts.lists import POPULAR, Pointer, list_digest, pack
from jobs.io.objects import Objects, open_objects
from jobs.io.online import OnlineStore, open_online_store
from jobs.io.state import PUBLICATIONS, RUNS
from jobs.runs import StepContext, is_newest, lists_table, manifest_of, run_key

_SAMPLE = 1000
_BYTES_A_USER = 1000  # a packed list of 100 items with its key, roughly


@dataclass(frozen=True)
class Edition:
    """What is to be published: lists by user, the vocabulary they refer to, and their digest."""

    rows: list[dict[str, Any]]  # of contracts.tables.LISTS, users in order
    vocabulary: list[str]  # item ids, sorted
    items: dict[str, dict[str, Any]]
    popular: tuple[list[str], list[float]]
    digest: str


def run(
    day: date, context: StepContext, *, kind: str = names.DAILY, now: datetime | None = None
) -> dict[str, Any]:
    """Publish the lists of a run; a backfill records its digest and moves nothing.

    Raises:
        GateRefused: a list is not what a reader may be given.
        StoreUnfit: Redis evicts, is too small, or reads back something else.
        FenceStale: a newer attempt has published.
    """
    manifest = manifest_of(context.state, kind, day)
    edition = _edition(day, context, kind, manifest["settings"]["list_length"])
    record = context.state.get(RUNS, run_key(kind, day)) or {}
    context.state.put(RUNS, run_key(kind, day), {**record, "digest": edition.digest})
    if not is_newest(context.state, day):
        return {
            "published": False,
            "why": "not the newest day: a backfill moves nothing",
            "digest": edition.digest,
        }
    champion = manifest["champion"] if kind == names.DAILY else _promoted(context, day)
    with open_online_store(context.settings) as online, open_objects(context.settings) as objects:
        pointer = _already_published(online, day, kind, edition, champion)
        if pointer is None:
            stamp = (now or datetime.fromtimestamp(context.state.clock(), UTC)).isoformat(timespec="seconds")
            pointer = _next_pointer(context, online, day, kind, edition, champion, stamp, manifest)
            _write(online, objects, edition, pointer, context)
            is_new = True
        else:
            is_new = False
        live = online.pointer()
        if live is not None and live.version == pointer.version:
            objects.point_at(replace(pointer, fence=max(pointer.fence, live.fence)))
        context.state.put(PUBLICATIONS, pointer.version, json.loads(pointer.to_json()))
        for dropped in online.collect(context.settings.versions_kept):
            objects.delete_version(dropped)
    return {
        "published": is_new,
        "version": pointer.version,
        "users": pointer.num_users,
        "digest": pointer.sha256,
        **({} if is_new else {"why": "already published"}),
    }


def refuse_unreadable(rows: Sequence[dict[str, Any]], known: set[str], length: int) -> None:
    """Check every list of every user once more, at the last place where a bad one can be stopped.

    Raises:
        GateRefused: a list has unknown or repeated items, is not finite or rises, or is short without saying so.
    """
    for row in rows:
        items, scores = row["item_ids"], row["scores"]
        wrong = None
        if len(set(items)) != len(items):
            wrong = "names an item twice"
        elif not known.issuperset(items):
            wrong = f"names {sorted(set(items) - known)[0]!r}, which is not in the catalogue"
        elif len(items) != len(scores) or not np.isfinite(scores).all():
            wrong = "has scores that are not finite or not one an item"
        elif any(after > before for before, after in pairwise(scores)):
            wrong = "has scores that rise"
        elif (len(items) < length) != row["is_short"] or len(items) > length:
            wrong = f"holds {len(items)} of {length} items and says is_short={row['is_short']}"
        if wrong:
            raise GateRefused(
                f"the list of user {row['user_id']!r} {wrong}: nothing is published. Score the day again"
            )


def _edition(day: date, context: StepContext, kind: str, length: int) -> Edition:
    rows = context.lake.read(lists_table(kind), day).to_pylist()
    columns = ["item_id", "title", "category", "price_cents", "is_available"]
    catalogue = {row["item_id"]: row for row in context.lake.read(names.DIM_ITEMS, day, columns).to_pylist()}
    refuse_unreadable(rows, set(catalogue), length)
    popularity = context.lake.read(names.FEAT_ITEM_DAILY, day, ["item_id", "popularity_7d"]).to_pylist()
    weights = {row["item_id"]: row["popularity_7d"] or 0 for row in popularity}
    for_sale = [item for item, row in catalogue.items() if row["is_available"]]
    best = sorted(for_sale, key=lambda item: (-weights.get(item, 0), item))[:length]
    total = max(sum(weights.values()), 1)
    return Edition(
        rows=rows,
        vocabulary=sorted(catalogue),
        items=catalogue,
        popular=(best, [round(weights.get(item, 0) / total, 6) for item in best]),
        digest=list_digest((row["user_id"], row["item_ids"], row["scores"]) for row in rows),
    )


def _already_published(
    online: OnlineStore, day: date, kind: str, edition: Edition, champion: str | None
) -> Pointer | None:
    """The kept version that holds exactly this, if there is one."""
    wanted = (day.isoformat(), kind, edition.digest, champion)
    for pointer in reversed(online.versions().values()):
        if (pointer.day, pointer.kind, pointer.sha256, pointer.champion) == wanted:
            return pointer
    return None


def _next_pointer(
    context: StepContext,
    online: OnlineStore,
    day: date,
    kind: str,
    edition: Edition,
    champion: str | None,
    stamp: str,
    manifest: dict[str, Any],
) -> Pointer:
    taken = [*context.state.all(PUBLICATIONS), *online.versions()]
    number = 1 + max((int(name[1:]) for name in taken), default=0)
    return Pointer(
        version=names.version_name(number),
        day=day.isoformat(),
        kind=kind,
        fence=context.lease.fence,
        sha256=edition.digest,
        num_users=len(edition.rows),
        num_items=len(edition.vocabulary),
        num_buckets=context.settings.list_buckets,
        champion=champion,
        repeats_allowed=bool(manifest["feed"]["repeats_allowed"]),
        published_at=stamp,
    )


def _write(
    online: OnlineStore, objects: Objects, edition: Edition, pointer: Pointer, context: StepContext
) -> None:
    online.refuse_if_unfit(len(edition.rows) * _BYTES_A_USER)
    place = {item: index for index, item in enumerate(edition.vocabulary)}
    num_items = len(place)
    lists: dict[int, dict[str, bytes]] = {bucket: {} for bucket in range(pointer.num_buckets)}
    for row in edition.rows:
        packed = pack(
            [place[item] for item in row["item_ids"]],
            row["scores"],
            row["source"],
            row["is_short"],
            num_items,
        )
        lists[names.bucket_of(row["user_id"], pointer.num_buckets)][row["user_id"]] = packed
    best, shares = edition.popular
    popular = pack([place[item] for item in best], shares, POPULAR, False, num_items)
    items = {
        index: json.dumps(_shown(edition.items[item]), ensure_ascii=False).encode()
        for item, index in place.items()
    }
    online.write_version(pointer.version, lists, items, popular)
    step = max(1, len(edition.rows) // _SAMPLE)
    sample = [row["user_id"] for row in edition.rows[::step]]
    online.verify_version(pointer.version, lists, num_items, sample, pointer.num_buckets)
    manifest = {**json.loads(pointer.to_json()), "popular": best}
    objects.write_version(pointer.version, _parquet(edition.rows), manifest)
    online.flip(pointer, context.lease)


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "item_id": item["item_id"],
        "title": item["title"],
        "category": item["category"],
        "price_cents": item["price_cents"],
    }


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from contracts.tables import LISTS
    from jobs.io.schemas import arrow_schema

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(LISTS)), buffer, compression="zstd")
    return buffer.getvalue()


def _promoted(context: StepContext, day: date) -> str | None:
    from jobs.score import promoted_on

    return promoted_on(context.state, day)
