"""What the page of a day says beside its tables: what Foretaste did, and how accurate the lists were."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jobs.monitoring.ratios import wilson
from jobs.report_pages.figures import count, written
from jobs.report_pages.views import DayView, Record

_Z = 1.959963984540054
_ACCOUNT_ORDER = ("read", "good", "quarantined", "duplicate", "set_aside")


def deeds(day: DayView) -> list[tuple[str, str]]:
    """What Foretaste did on a day, in order, each with a link or an empty one."""
    done = []
    rows = day.accounts.get("events", {})
    if rows.get("read"):
        quarantined = rows.get("quarantined", 0)
        done.append(
            (f"Read {count(rows['read'])} events and quarantined {count(quarantined)}.", "../quality.html")
        )
    if day.demotion is not None:
        done.append(
            (
                f"{str(day.demotion['reason'])[:1].upper()}{str(day.demotion['reason'])[1:]}.",
                "../definitions.html#demotion",
            )
        )
    done += [(_published(record), "") for record in day.publications]
    if day.has_rung:
        done.append(("Rang the alarm.", "../definitions.html#alarm"))
    if day.retraining is not None:
        done.append((_retrained(day), f"../retrainings/{day.day}.html"))
    for record in day.rollbacks:
        left = record["from"] or "nothing"
        done.append((f"Pointed readers back from {left} to {record['to']}, at {record['at']}.", ""))
    if day.live is not None:
        done.append(
            (f"When the day ended readers got {day.live['version']}, the lists of {day.live['day']}.", "")
        )
    return done


def _published(record: Record) -> str:
    model = f"model {record['champion']}" if record.get("champion") else "recent popularity"
    users = f" for {count(record['num_users'])} users" if record.get("num_users") is not None else ""
    return f"Published {record['version']}{users}, from {model}."


def _retrained(day: DayView) -> str:
    assert day.retraining is not None
    why = f"Retrained ({day.retraining.get('reason', 'no reason on record')})"
    challenger = day.retraining.get("challenger", "")
    return {
        "promoted": f"{why} and promoted challenger {challenger}.",
        "refused": f"{why} and refused challenger {challenger}.",
        "begun": f"{why}; nothing has been judged yet.",
    }[day.retrained]


def accuracy(day: DayView) -> list[tuple[str, str, str]]:
    """How the lists of the day before did: definition or label, value, interval and n."""
    lists = day.lists
    if not lists:
        return []
    n = lists["num_users"]
    told = f"n\u00a0{count(n)}"
    low, high = wilson(lists["hit_rate_at_10"], n) if n else (0.0, 1.0)
    rows = [
        ("ndcg_at_10", written(lists["ndcg_at_10"], "score"), told),
        ("popularity_ndcg_at_10", written(lists["popularity_ndcg_at_10"], "score"), told),
        (
            "hit_rate_at_10",
            written(lists["hit_rate_at_10"], "share"),
            f"{written(low, 'share')} to {written(high, 'share')}, {told}",
        ),
    ]
    squares = lists.get("difference_squares")
    if squares is not None and n:
        difference = lists["ndcg_at_10"] - lists["popularity_ndcg_at_10"]
        half = _Z * math.sqrt(max(squares / n - difference**2, 0.0) / n)
        ends = " to ".join(written(end, "score") for end in (difference - half, difference + half))
        rows.insert(2, ("Difference in NDCG@10", written(difference, "score"), f"{ends}, {told}"))
    return rows


def account_names(day: DayView) -> list[str]:
    """The columns of the day's row accounts: read first, what adds up to it next, anything else after."""
    found = {name for counts in day.accounts.values() for name in counts}
    return [name for name in _ACCOUNT_ORDER if name in found] + sorted(found - set(_ACCOUNT_ORDER))


def neighbours(days: Sequence[DayView], place: int) -> Record:
    """The days beside one, newest first in the list."""
    return {
        "later": days[place - 1].day if place else None,
        "earlier": days[place + 1].day if place + 1 < len(days) else None,
    }
