"""What features cost where data is large: dbt on DuckDB, and Spark. The shop is made up, see ``big_shop.py``.

``features.full_refresh``: events a second of a full refresh of ten million events (a year, 27,000 a day) through dbt, models
and data tests, in a home that has run before (dbt knows the project); the reference is the very same queries in a plain DuckDB
of as many threads, in the same order.
``features.full_refresh_gb``: the most memory that it held. ``features.growth_exponent``: how its time grows from one to ten
million events. ``features.incremental_exponent``: how the time of one new day, less that of a run that has nothing to build,
grows with the history before it (a quarter, a half, all of the year); the reference is a full refresh of the same histories.

``features.spark_histories``: the most memory that driver, executors and their Python workers hold together when histories and
co-visitation of ten million interactions are built; ``features.spark_seconds`` how long it takes. The reference is the same
tasks done one after another in one plain Python process. ``features.spark_large_histories``: a hundred million on a
standalone cluster of two workers, the reference is ``local[2]``; ``features.spark_large_seconds`` how long that takes.

An exponent is the slope of log(time) over log(events): 1 where twice as many events take twice as long.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.big_shop import RAW_TABLES, BigShop
from benchmarks.cluster import standalone_cluster
from benchmarks.feature_runs import Run, ask_for, measured
from benchmarks.figure import Figure, figure
from contracts import names
from contracts.settings import Settings, load_settings
from jobs.io.lake import Lake
from jobs.io.state import State

_THREADS = 2
#: A quarter is 91 days: longer than the longest window of a user's features.
_YEAR = BigShop(num_events=10_000_000, num_days=364, num_users=200_000)
#: A tenth of these events are anonymous, so that ten million interactions remain.
_PEOPLE = BigShop(num_events=11_200_000, num_days=180, num_users=200_000, has_lists=False)
_LARGE = BigShop(num_events=112_000_000, num_days=180, num_users=2_000_000, has_lists=False)
_FASTEST = 0.01  # seconds: what is measured as less, or as nothing, is noise


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log(seconds) over log(sizes), fitted by least squares."""
    times = np.log(np.maximum(seconds, _FASTEST))
    return float(np.polyfit(np.log(sizes), times, 1)[0])


def dbt_on_a_year(folder: Path, shop: BigShop = _YEAR, repeats: int = 3) -> Iterator[Figure]:
    """Every figure of dbt, from one series of runs."""
    raw = _landed(folder / "landed.duckdb", shop)
    by_dbt: dict[float, Run] = {}
    by_hand: dict[float, Run] = {}
    days: dict[float, float] = {}
    for part in (1 / 10, 1 / 4, 1 / 2, 1):
        home = folder / f"{part:.2f}"
        settings = _history(home, shop, part, raw)
        before = shutil.copy(settings.duckdb_path, home / "before.duckdb")
        by_dbt[part] = measured("dbt", home)
        if part in (1 / 10, 1):
            by_hand[part] = _by_hand(home / "hand", before, by_dbt[part])
        if part > 1 / 10:
            days[part] = _seconds_of_a_day(settings, shop, home, repeats)
        shutil.rmtree(home)
    yield from _figures_of_dbt(shop.num_events, by_dbt, by_hand, days)


def _figures_of_dbt(
    events: int, by_dbt: dict[float, Run], by_hand: dict[float, Run], days: dict[float, float]
) -> Iterator[Figure]:
    """By the share of all days: a full refresh through dbt and by hand, and what a new day takes."""
    plain = "the same queries in plain DuckDB"
    whole, hand = by_dbt[1], by_hand[1]
    yield figure(
        "features.full_refresh", events / whole.seconds, f"events/s ({events:,} events; {_busy(whole)})", events / hand.seconds,
        f"{plain} ({_busy(hand)})",
    )  # fmt: skip
    yield figure("features.full_refresh_gb", whole.peak_gb, "GB at most", hand.peak_gb, plain)
    ends = sorted(by_hand)
    of_dbt, of_hand = (exponent(ends, [runs[end].busy_seconds for end in ends]) for runs in (by_dbt, by_hand))
    unit = f"exponent, {round(events * ends[0]):,} to {events:,} events"
    yield figure("features.growth_exponent", of_dbt, unit, of_hand, plain)
    parts = sorted(days)
    told = ", ".join(f"{days[part]:.2f}" for part in parts)
    yield figure(
        "features.incremental_exponent", exponent(parts, [days[part] for part in parts]),
        f"exponent; a day after a quarter, a half, all: {told} s", exponent(parts, [by_dbt[part].busy_seconds for part in parts]),
        "a full refresh of the same histories",
    )  # fmt: skip


def _busy(run: Run) -> str:
    return f"{run.busy_seconds:.0f} s of processor time"


def _landed(path: Path, shop: BigShop) -> Path:
    """A DuckDB file with all days of the shop landed."""
    import duckdb

    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path), config={"threads": _THREADS}) as connection:
        shop.land(connection, shop.days)
    return path


def _history(home: Path, shop: BigShop, part: float, raw: Path) -> Settings:
    """A home whose warehouse has the last part of the days landed, and is asked for all of them and the last one's features."""
    import duckdb

    settings = _settings(home)
    settings.duckdb_path.parent.mkdir(parents=True)
    chosen = shop.days[-round(shop.num_days * part) :]
    with duckdb.connect(str(settings.duckdb_path), config={"threads": _THREADS}) as connection:
        connection.execute(f"attach '{raw}' as landed (read_only)")
        connection.execute(f"create schema {names.WAREHOUSE_RAW}; create schema {names.WAREHOUSE_OPS}")
        for table in (each.short_name for each in RAW_TABLES):
            only = f"where event_date >= date '{chosen[0]}'" if table == "events" else ""
            connection.execute(f"create table raw.{table} as select * from landed.raw.{table} {only}")
        ask_for(connection, chosen, chosen[-1:])
    return settings


def _settings(home: Path, **chosen: object) -> Settings:
    home.mkdir(parents=True)
    told = {"threads": _THREADS, **chosen}
    (home / "settings.env").write_text(
        "".join(f"FORETASTE_{name.upper()}={value}\n" for name, value in told.items())
    )
    return load_settings(home=home)


def _by_hand(home: Path, raw: str | Path, through_dbt: Run) -> Run:
    settings = _settings(home)
    settings.duckdb_path.parent.mkdir(parents=True)
    shutil.move(raw, settings.duckdb_path)
    queries = home / "queries.json"
    queries.write_text(json.dumps(through_dbt.told["nodes"]))
    return measured("hand", home, str(queries))


def _seconds_of_a_day(settings: Settings, shop: BigShop, home: Path, repeats: int) -> float:
    """One more day, less a run that has nothing to build: the medians of turns taken in one process."""
    import duckdb

    day = shop.last + timedelta(days=1)
    with duckdb.connect(str(settings.duckdb_path)) as connection:
        shop.land_day(connection, day)
    run = measured("days", home, str(day), str(repeats))
    return median(run.told["day"]) - median(run.told["nothing"])


def spark_histories(folder: Path, shop: BigShop = _PEOPLE) -> Iterator[Figure]:
    """Histories and co-visitation on this machine, with the settings that Foretaste has by default."""
    num_events = _exported(folder, shop)
    plain, spark = (_spark(folder, shop, *chosen) for chosen in (("plain",), ()))
    yield from _figures(
        "features.spark_", num_events, spark, plain, "the same tasks in one process, without Spark"
    )


def spark_large_histories(folder: Path, shop: BigShop = _LARGE) -> Iterator[Figure]:
    """A hundred million interactions on a cluster of two workers."""
    num_events = _exported(folder, shop)
    local = _spark(folder, shop)
    with standalone_cluster(folder / "cluster", memory="1g") as cluster:
        chosen = {"spark_master": cluster.master, "spark_memory": "1g"}
        (folder / "settings.env").write_text(
            "".join(f"FORETASTE_{name.upper()}={value}\n" for name, value in chosen.items())
        )
        spark = _spark(folder, shop, beside=cluster.workers)
    yield from _figures("features.spark_large_", num_events, spark, local, "local[2]")


def _figures(prefix: str, num_events: int, run: Run, reference: Run, reference_is: str) -> Iterator[Figure]:
    if run.told["digests"] != reference.told["digests"]:
        raise RuntimeError(f"{prefix}histories: the tables differ from those of {reference_is}")
    unit = f"({num_events:,} events)"
    yield figure(f"{prefix}histories", run.peak_gb, f"GB at most {unit}", reference.peak_gb, reference_is)
    yield figure(f"{prefix}seconds", run.seconds, f"s {unit}", reference.seconds, reference_is)


def _exported(folder: Path, shop: BigShop) -> int:
    """A lake with the shop's interactions; how many they are."""
    settings = _settings(folder)
    with State.of(settings).lease("bench", "transform", 600, is_last=True) as lease:
        return shop.export(Lake.of(settings, lease))


def _spark(folder: Path, shop: BigShop, *chosen: str, beside: tuple[int, ...] = ()) -> Run:
    """Build all from nothing but the interactions."""
    settings = load_settings(home=folder)
    with State.of(settings).lease("bench", "transform", 600, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        for table in (*names.PARTS_BY_EVENT_DAY, names.HISTORIES, names.COVISITATION):
            lake.drop(table)
    return measured("spark", folder, str(shop.last), *chosen, beside=beside)
