"""How fast the API ranks sessions: ``serve.session``, decisions a second of one process at 8 connections.

Each request sends three events of a moment ago along; they are put behind the user's published history of fifty, a transformer
of the default shape reads it, and all of 20,000 items are scored, over the complete path: key, limits, strict reading, the
embedded Valkey, log. The weights are drawn and not learnt, which takes as long. The reference is an empty route of the same
server. Each is loaded in turn by ``benchmarks.http_load``, three times; the medians are told. Wanted are 500 a second with a p99 below 10 ms.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from benchmarks.figure import Figure, Table, figure
from benchmarks.serving import (
    API_PORT,
    COLUMNS,
    EMPTY_PORT,
    REDIS_PORT,
    ROUNDS,
    SECONDS,
    VERSION,
    Measured,
    empty_route,
    loaded,
    median,
    rows_of,
)
from contracts.api_keys import ADMIN, DECIDE
from contracts.lists import PERSONAL, Pointer
from contracts.serving_rules import ServingRules, digest_of_rules
from contracts.settings import Settings, load_settings
from contracts.tables import COVISITATION, HISTORIES, LISTS, MAX_NEIGHBOURS
from jobs.api_keys import create_key
from jobs.edition import edition_of
from jobs.feature_edition import feature_edition_of, online_tables
from jobs.io.online import open_online_store
from jobs.io.online_content import content_of
from jobs.io.schemas import arrow_schema
from jobs.services import down, running, status
from jobs.session_edition import SessionEdition, pack_histories
from models.blended_scores import BlendedScores, in_ties
from models.neighbours import Neighbours
from models.sasrec import SASRec, SASRecConfig
from models.session_bytes import to_bytes
from models.session_model import SessionModel

CONNECTIONS, NUM_ITEMS, NUM_USERS, LENGTH, EVENTS, SENT = 8, 20_000, 20_000, 100, 50, 3
_NUM_ASKED = 5_000
_ITEMS = np.array([f"i{number:05d}" for number in range(NUM_ITEMS)], object)
_USERS = [f"u{number:05d}" for number in range(NUM_USERS)]


def session(folder: Path) -> Iterator[Figure]:
    """Decisions by what people did a moment ago."""
    settings = load_settings(home=folder, redis_port=REDIS_PORT, api_port=API_PORT, api_rate_limit=1e6)
    rng, measured = np.random.default_rng(7), dict[str, list[Measured]]()
    try:
        with running(settings, only={"valkey"}) as connected:
            publish(connected, rng)
            with running(settings, only={"valkey", "api"}), empty_route() as empty:
                key, _ = create_key(settings, "benchmark", [DECIDE, ADMIN], datetime.now(UTC))
                [pid] = [server.pids[0] for server in status(settings) if server.name == "api"]
                asked = requests(rng, datetime.now(UTC))
                for _ in range(ROUNDS):
                    for name, port, process in (
                        ("empty route", EMPTY_PORT, empty),
                        ("sessions", API_PORT, pid),
                    ):
                        told = loaded(port, process, key, asked, CONNECTIONS)
                        measured.setdefault(name, []).append(told)
                ranked = _ranked(key)
    finally:
        down(settings)
    ours, reference = (median(measured[name]) for name in ("sessions", "empty route"))
    unit = (
        f"decisions/s (p99 {ours['p99_ms']:.1f} ms, {ours['cpu_us']:.0f} µs of CPU each, {ranked:.1%} ranked by the session, "
        f"{ours['failed']:.0f} failed)"
    )
    reference_is = f"an empty route of the same server (p99 {reference['p99_ms']:.1f} ms)"
    found = figure("serve.session", ours["per_second"], unit, reference["per_second"], reference_is)
    about = f"medians of {ROUNDS} rounds of {SECONDS:g} s, {CONNECTIONS} connections, {NUM_ITEMS:,} items"
    yield replace(found, table=Table(about, COLUMNS, rows_of({"sessions": ours, "empty route": reference})))


def publish(settings: Settings, rng: np.random.Generator) -> None:
    """Everybody's list and history, and a transformer to rank sessions by, live."""
    edition = edition_of(
        *_lists(rng),
        arrow_schema(COVISITATION).empty_table(),
        LENGTH,
        ServingRules(),
        pa.array(_ITEMS, pa.string()),
    )
    nobodys = feature_edition_of(
        datetime.now(UTC).date(),
        {table.short_name: arrow_schema(table).empty_table() for table in online_tables()},
    )
    network = SASRec(SASRecConfig(NUM_ITEMS), seed=7)
    model = SessionModel(
        BlendedScores(
            {"sasrec": network}, np.ones(1, np.float32), np.arange(NUM_ITEMS), in_ties(rng.random(NUM_ITEMS))
        ),
        Neighbours.fit(_neighbours(rng), _neighbours(rng)),
        np.ones(NUM_ITEMS, bool),
        np.arange(NUM_ITEMS),
    )
    sessions = SessionEdition(
        to_bytes(model), *pack_histories(_histories(rng), edition.item_ids, repeats_allowed=True)
    )
    pointer = Pointer(
        version=VERSION, day=str(datetime.now(UTC).date() - timedelta(days=1)), kind="daily", fence=1, sha256=edition.digest,
        num_users=NUM_USERS, num_items=NUM_ITEMS, num_buckets=settings.list_buckets, champion="1", repeats_allowed=True,
        published_at=datetime.now(UTC).isoformat(timespec="seconds"), features=nobodys.catalogue.digest,
        num_related=len(edition.related), rules=digest_of_rules(edition.rules),
        session=sessions.digest, session_bytes=len(sessions.model), num_histories=len(sessions.user_ids),
    )  # fmt: skip
    with open_online_store(settings) as store:
        store.write_version(VERSION, content_of(edition, nobodys, sessions, settings.list_buckets))
        store.flip(lambda live, versions: pointer)


def requests(rng: np.random.Generator, now: datetime) -> list[str]:
    """Users, each with what they did within the last minute."""
    at = [(now - timedelta(seconds=20 * age)).isoformat() for age in range(1, SENT + 1)]
    return [
        json.dumps(
            {
                "surface": "home",
                "user_id": user,
                "count": 10,
                "session": [
                    {"item_id": item, "event_type": "view", "occurred_at": each}
                    for item, each in zip(items, at, strict=True)
                ],
            }
        )
        for user, items in zip(
            rng.choice(_USERS, _NUM_ASKED), rng.choice(_ITEMS, (_NUM_ASKED, SENT)).tolist(), strict=True
        )
    ]


def _ranked(key: str) -> float:
    """The share of decisions that were ranked by the session, of all that the API has made."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{API_PORT}/metrics", headers={"authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(asked) as answer:
        told = answer.read().decode()
    counts = re.findall(r'^foretaste_decisions_total\{.*source="(\w+)"\} (.+)$', told, re.MULTILINE)
    by_session = sum(float(count) for source, count in counts if source == "session")
    return by_session / sum(float(count) for _, count in counts)


def _lists(rng: np.random.Generator) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Everybody's list, the catalogue, and how popular its items are."""
    places = (rng.integers(0, NUM_ITEMS, NUM_USERS)[:, None] + np.arange(LENGTH)) % NUM_ITEMS
    ids = pa.array(_ITEMS, pa.string())
    columns = {
        "user_id": _USERS, "source": [PERSONAL] * NUM_USERS, "is_short": [False] * NUM_USERS,
        "item_ids": pa.ListArray.from_arrays(np.arange(NUM_USERS + 1, dtype=np.int32) * LENGTH, ids.take(pa.array(places.ravel()))),
        "scores": [np.arange(LENGTH, 0, -1, dtype=np.float64)] * NUM_USERS,
        "reason_places": [[]] * NUM_USERS, "reason_item_ids": [[]] * NUM_USERS,
    }  # fmt: skip
    catalogue = {
        "item_id": ids, "title": ids, "category": ["c"] * NUM_ITEMS, "price_cents": [100] * NUM_ITEMS,
        "is_available": [True] * NUM_ITEMS,
        **dict.fromkeys(("brand", "available_from", "available_until", "attributes"), pa.nulls(NUM_ITEMS)),
    }  # fmt: skip
    popularity = {"item_id": ids, "popularity_7d": [*range(NUM_ITEMS)]}
    return pa.table(columns, schema=arrow_schema(LISTS)), pa.table(catalogue), pa.table(popularity)


def _histories(rng: np.random.Generator) -> pa.Table:
    items = rng.choice(_ITEMS, (NUM_USERS, EVENTS)).tolist()
    days_ago = np.sort(rng.integers(0, 90, (NUM_USERS, EVENTS)), axis=1)[:, ::-1].tolist()
    depths = [[1] * EVENTS] * NUM_USERS
    columns = {
        "user_id": _USERS, "item_ids": items, "item_depths": depths, "item_days_ago": days_ago,
        "seen_item_ids": items, "seen_depths": depths, "seen_days_ago": days_ago,
    }  # fmt: skip
    return pa.table(columns, schema=arrow_schema(HISTORIES))


def _neighbours(rng: np.random.Generator) -> csr_matrix:
    num = NUM_ITEMS * MAX_NEIGHBOURS
    places = (np.repeat(np.arange(NUM_ITEMS), MAX_NEIGHBOURS), rng.integers(0, NUM_ITEMS, num))
    return csr_matrix((rng.integers(1, 9, num).astype(np.float64), places), shape=(NUM_ITEMS, NUM_ITEMS))
