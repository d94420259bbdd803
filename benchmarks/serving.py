"""How fast the decision API answers: ``serve.precomputed``, decisions a second of one process at 32 connections.

100,000 users with lists of a hundred items, ten of which are asked for, over the complete path: key, limits, strict
reading, the embedded Valkey, reasons. The reference is an empty route of the same server: it reads a body and answers ``{}``. Each is
loaded in turn by ``benchmarks.http_load``, three times; the medians are told, and what a request takes of the server's core. Wanted are 8,000 a
second with a p99 below 8 ms, and 0.4 of the empty route. Server and load share the machine's cores.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from benchmarks.figure import Figure, Table, figure
from benchmarks.publishing import DAY, LENGTH, USERS, features_of, lists_of_all
from contracts.api_keys import DECIDE
from contracts.lists import Pointer
from contracts.serving_rules import digest_of_rules
from contracts.settings import Settings, load_settings
from jobs.api_keys import create_key
from jobs.edition import edition_of
from jobs.feature_edition import feature_edition_of, online_tables
from jobs.io.online import open_online_store
from jobs.io.online_content import content_of
from jobs.services import down, running, status
from jobs.services.server import REPOSITORY, answers
from jobs.serving_rules import load_serving_rules

CONNECTIONS, SECONDS, ROUNDS = 32, 5.0, 3
VERSION, REDIS_PORT, API_PORT, EMPTY_PORT = "v0001", 16_379, 18_008, 18_009
_NUM_ASKED = 5_000
COLUMNS = ("server", "requests/s", "median ms", "p99 ms", "CPU µs a request", "refused or broken off")

Measured = dict[str, float]


def precomputed(folder: Path) -> Iterator[Figure]:
    """Decisions from lists that lie ready."""
    settings = load_settings(home=folder, redis_port=REDIS_PORT, api_port=API_PORT, api_rate_limit=1e6)
    asked = [
        json.dumps({"surface": "home", "user_id": user, "count": 10})
        for user in np.random.default_rng(7).choice(USERS, _NUM_ASKED)
    ]
    measured: dict[str, list[Measured]] = {"empty route": [], "decisions": []}
    try:
        with running(settings, only={"valkey"}) as connected:
            publish(connected)
            with running(settings, only={"valkey", "api"}), empty_route() as empty:
                key, _ = create_key(settings, "benchmark", [DECIDE], datetime.now(UTC))
                [pid] = [server.pids[0] for server in status(settings) if server.name == "api"]
                for _ in range(ROUNDS):
                    measured["empty route"].append(loaded(EMPTY_PORT, empty, key, asked, CONNECTIONS))
                    measured["decisions"].append(loaded(API_PORT, pid, key, asked, CONNECTIONS))
    finally:
        down(settings)
    ours, reference = (median(measured[name]) for name in ("decisions", "empty route"))
    rows = rows_of({"decisions": ours, "empty route": reference})
    about = f"medians of {ROUNDS} rounds of {SECONDS:g} s, {CONNECTIONS} connections"
    unit = f"decisions/s (p99 {ours['p99_ms']:.1f} ms, {ours['cpu_us']:.0f} µs of CPU each, {ours['failed']:.0f} failed)"
    reference_is = (
        f"an empty route of the same server (p99 {reference['p99_ms']:.1f} ms, {reference['cpu_us']:.0f} µs)"
    )
    found = figure("serve.precomputed", ours["per_second"], unit, reference["per_second"], reference_is)
    yield replace(found, table=Table(about, COLUMNS, rows))


def publish(settings: Settings) -> None:
    """Everybody's list, live."""
    rng = np.random.default_rng(7)
    edition = edition_of(*lists_of_all(rng), LENGTH, load_serving_rules())
    no_features = feature_edition_of(
        DAY, {table.short_name: features_of(table, rng).slice(0, 0) for table in online_tables()}
    )
    pointer = Pointer(
        version=VERSION, day=str(DAY), kind="daily", fence=1, sha256=edition.digest, num_users=len(edition.user_ids),
        num_items=len(edition.items), num_buckets=settings.list_buckets, champion=None, repeats_allowed=True,
        published_at=datetime.now(UTC).isoformat(timespec="seconds"), features=no_features.catalogue.digest,
        num_related=len(edition.related),
        rules=digest_of_rules(edition.rules),
    )  # fmt: skip
    with open_online_store(settings) as store:
        store.write_version(VERSION, content_of(edition, no_features, None, settings.list_buckets))
        store.flip(lambda live, versions: pointer)


@contextmanager
def empty_route() -> Iterator[int]:
    """The reference, for as long as the body runs; the process id of its server."""
    program = ("-m", "benchmarks.empty_route", str(EMPTY_PORT))
    process = subprocess.Popen([sys.executable, *program], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        while answers(EMPTY_PORT)[0] != 200:
            if process.poll() is not None:
                raise SystemExit(
                    f"the empty route ended with {process.returncode}: is port {EMPTY_PORT} free?"
                )
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def loaded(port: int, pid: int, key: str, asked: Sequence[str], connections: int) -> Measured:
    """What a server bears, asked so."""
    program = ("-m", "benchmarks.http_load", str(port), "/v1/decisions", "--key", key)
    options = ("--connections", str(connections), "--seconds", str(SECONDS))
    before = _cpu(pid)
    done = subprocess.run(
        [sys.executable, *program, *options], cwd=REPOSITORY, input="\n".join(asked), capture_output=True, text=True, check=True
    )  # fmt: skip
    told: Measured = json.loads(done.stdout)
    return {**told, "cpu_us": (_cpu(pid) - before) / told["num_all"] * 1e6}


def _cpu(pid: int) -> float:
    """Seconds of CPU that a server has taken, with all its processes."""
    server = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in (server, *server.children(recursive=True)))


def rows_of(measured: dict[str, Measured]) -> tuple[tuple[str, ...], ...]:
    """A table's rows of what servers bear, by their names."""
    columns = ("per_second", "p50_ms", "p99_ms", "cpu_us", "failed")
    return tuple((name, *(f"{each[column]:,.1f}" for column in columns)) for name, each in measured.items())


def median(rounds: Sequence[Measured]) -> Measured:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
