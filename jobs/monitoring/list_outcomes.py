"""How the lists that were live did on the day after: hits, NDCG@10, and recent popularity for the same people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.columns import Measure
from jobs.monitoring.engine import engine, source
from jobs.monitoring.snapshots import first_items
from jobs.monitoring.thresholds import Thresholds
from jobs.monitoring.verdict import judged_share, unjudged
from jobs.monitoring.windows import Windows
from models.metrics import hit_rate_at, ndcg_at

if TYPE_CHECKING:
    import pandas as pd

_K = 10
_MAX_USERS = 5000
_MOST_POPULAR = 500


@dataclass(frozen=True)
class ListOutcome:
    """How the lists that were live before a day did on that day, beside recent popularity for the same people."""

    lists_day: str
    num_users: int
    hit_rate_at_10: float
    ndcg_at_10: float
    popularity_ndcg_at_10: float
    ndcg_squares: float  # the sum of squares, for an interval over several days
    difference_squares: float  # of the differences from popularity, likewise

    def as_record(self) -> dict[str, Any]:
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def list_outcome(
    lake: Lake,
    acted: pd.DataFrame,
    live: tuple[str, date],
    *,
    repeats_allowed: bool,
    threads: int,
) -> ListOutcome | None:
    """Hold the lists that were live against what people acted upon on the day after; None where nobody did.

    Args:
        acted: the day's events of sampled people: user_id, item_id.
        live: table and day of the lists.
    """
    table, lists_day = live
    if not len(acted) or lake.manifest(table, lists_day) is None:
        return None
    users = acted["user_id"].drop_duplicates()
    rows = first_items(lake, table, lists_day, threads, max_users=_MAX_USERS, users=users)
    lists = _by_user(rows)
    seen = {} if repeats_allowed else _seen(lake, lists_day, users, threads)
    targets = {
        user: set(items) - seen.get(user, set()) for user, items in _by_user(acted).items() if user in lists
    }
    people = sorted(user for user, wanted in targets.items() if wanted)
    popular = _popular_items(lake, lists_day, threads)
    if not people or not popular:
        return None
    most_popular = {
        user: [item for item in popular if item not in seen.get(user, ())][:_K] for user in people
    }
    ours_UK, popular_UK, wanted = _as_indices(people, lists, most_popular, targets)
    ours, theirs = ndcg_at(ours_UK, wanted, _K), ndcg_at(popular_UK, wanted, _K)
    return ListOutcome(
        lists_day=lists_day.isoformat(),
        num_users=len(people),
        hit_rate_at_10=float(hit_rate_at(ours_UK, wanted, _K).mean()),
        ndcg_at_10=float(ours.mean()),
        popularity_ndcg_at_10=float(theirs.mean()),
        ndcg_squares=float((ours**2).sum()),
        difference_squares=float(((ours - theirs) ** 2).sum()),
    )


def list_measure(
    outcomes: Mapping[date, Mapping[str, Any]], windows: Windows, thresholds: Thresholds
) -> Measure:
    """How far the lists lie below recent popularity, over the days of the window that have an outcome."""
    label, evidence = "Lists below popularity", thresholds.evidence
    inside = {
        day: found for day, found in outcomes.items() if windows.current.first <= day <= windows.current.last
    }
    num_users = sum(int(found["num_users"]) for found in inside.values())
    latest = inside.get(windows.current.last)
    names_of_facts = ("hit_rate_at_10", "ndcg_at_10", "popularity_ndcg_at_10")
    facts = {name: float(latest[name]) for name in names_of_facts} if latest else {}
    if len(inside) < 2 or num_users < evidence.min_users:
        needed = f"{evidence.min_users} people on 2 days are needed"
        note = f"people with a list who acted: {num_users}, on days: {len(inside)}; {needed}"
        return unjudged("outcomes", "lists_below_popularity", label, note, num_current=num_users, facts=facts)
    days = sorted(inside)
    middle = len(days) // 2
    popularity = _weighted(inside, days, "popularity_ndcg_at_10")
    if popularity <= 0:
        return unjudged(
            "outcomes",
            "lists_below_popularity",
            label,
            "popularity met nobody's wish",
            num_current=num_users,
            facts=facts,
        )
    mean = _weighted(inside, days, "ndcg_at_10") - popularity
    squares = sum(float(inside[day]["difference_squares"]) for day in days) / num_users
    spread = float(np.sqrt(max(squares - mean**2, 0.0) / num_users))
    return judged_share(
        "outcomes",
        "lists_below_popularity",
        label,
        evidence,
        value=-mean / popularity,
        threshold=thresholds.outcomes.ndcg_below_popularity,
        sd=spread / popularity,
        num_reference=num_users,
        num_current=num_users,
        halves=tuple(_below(inside, part) for part in (days[:middle], days[middle:])),
        facts=facts,
    )


def accuracy_measure(
    first: Mapping[date, Mapping[str, Any]],
    outcomes: Mapping[date, Mapping[str, Any]],
    thresholds: Thresholds,
) -> Measure:
    """How much of the lists' NDCG@10 is lost since the champion's first days.

    Args:
        first: what became of the lists on the first days after its promotion.
        outcomes: the same of the current window's days that came later.
    """
    name, label, evidence = "accuracy_lost", "Accuracy lost", thresholds.evidence
    num_first, num_now = (
        sum(int(found["num_users"]) for found in days.values()) for days in (first, outcomes)
    )
    before = _weighted(first, sorted(first), "ndcg_at_10") if num_first else 0.0
    if min(num_first, num_now) < evidence.min_users or min(len(first), len(outcomes)) < 2 or before <= 0:
        note = (
            f"people with a list who acted: {num_first} on the champion's first days, {num_now} now; "
            f"{evidence.min_users} on 2 days are needed in both"
        )
        return unjudged("outcomes", name, label, note, num_first, num_now)
    days = sorted(outcomes)
    middle = len(days) // 2
    now = _weighted(outcomes, days, "ndcg_at_10")
    variance = _variance(first, before) / num_first + _variance(outcomes, now) / num_now
    return judged_share(
        "outcomes",
        name,
        label,
        evidence,
        value=1 - now / before,
        threshold=thresholds.outcomes.accuracy_lost,
        sd=float(np.sqrt(variance)) / before,
        num_reference=num_first,
        num_current=num_now,
        halves=tuple(
            1 - _weighted(outcomes, part, "ndcg_at_10") / before for part in (days[:middle], days[middle:])
        ),
        facts={"ndcg_before": before, "ndcg_now": now},
    )


def _variance(outcomes: Mapping[date, Mapping[str, Any]], mean: float) -> float:
    """Of people's NDCG over some days."""
    num_users = sum(int(found["num_users"]) for found in outcomes.values())
    return max(sum(float(found["ndcg_squares"]) for found in outcomes.values()) / num_users - mean**2, 0.0)


def _below(outcomes: Mapping[date, Mapping[str, Any]], days: Sequence[date]) -> float:
    popularity = _weighted(outcomes, days, "popularity_ndcg_at_10")
    return (popularity - _weighted(outcomes, days, "ndcg_at_10")) / max(popularity, 1e-9)


def _weighted(outcomes: Mapping[date, Mapping[str, Any]], days: Sequence[date], name: str) -> float:
    people = [int(outcomes[day]["num_users"]) for day in days]
    return sum(float(outcomes[day][name]) * count for day, count in zip(days, people, strict=True)) / sum(
        people
    )


def _by_user(rows: pd.DataFrame) -> dict[str, list[str]]:
    return {str(user): items.tolist() for user, items in rows.groupby("user_id")["item_id"]}


def _seen(lake: Lake, day: date, users: pd.Series[Any], threads: int) -> dict[str, set[str]]:
    """What each person had acted upon when the lists were made, which the lists leave out."""
    if lake.manifest(names.HISTORIES, day) is None:
        return {}
    query = engine(threads)
    query.register("asked", users.to_frame("user_id"))
    rows = query.sql(
        f"""select user_id, seen_item_ids from {source(lake, names.HISTORIES, [day])}
        where user_id in (select user_id from asked) order by user_id"""
    ).fetchall()
    return {user: set(items or ()) for user, items in rows}


def _popular_items(lake: Lake, day: date, threads: int) -> list[str]:
    if lake.manifest(names.FEAT_ITEM_DAILY, day) is None or lake.manifest(names.DIM_ITEMS, day) is None:
        return []
    rows = (
        engine(threads)
        .sql(
            f"""select features.item_id
        from {source(lake, names.FEAT_ITEM_DAILY, [day])} as features
        join {source(lake, names.DIM_ITEMS, [day])} as items on items.item_id = features.item_id
        where items.is_available
        order by features.popularity_7d desc, features.item_id limit {_MOST_POPULAR}"""
        )
        .fetchall()
    )
    return [item for (item,) in rows]


def _as_indices(
    people: Sequence[str],
    lists: Mapping[str, Sequence[str]],
    other_lists: Mapping[str, Sequence[str]],
    targets: Mapping[str, set[str]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[set[int]]]:
    """Item ids as indices, -1 for an empty place, as the metrics want them."""
    index: dict[str, int] = {}

    def rows(of: Mapping[str, Sequence[str]]) -> npt.NDArray[np.int64]:
        filled = np.full((len(people), _K), -1, np.int64)
        for row, user in enumerate(people):
            places = [index.setdefault(item, len(index)) for item in of[user][:_K]]
            filled[row, : len(places)] = places
        return filled

    return (
        rows(lists),
        rows(other_lists),
        [{index.setdefault(item, len(index)) for item in sorted(targets[user])} for user in people],
    )
