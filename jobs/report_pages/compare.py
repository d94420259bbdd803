"""Any two days, any two versions: the numbers that the page of comparisons holds, and how they are written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report_pages.tables import RATIOS, day_row
from jobs.report_pages.trends import measure_of
from jobs.report_pages.views import DayView, Record, Site

_Z = 1.959963984540054
#: Days that can be chosen: a year, so that the page stays small.
MOST_DAYS = 365
MOST_VERSIONS = 365
#: A number, or a number with the ends of its interval and its n.
Value = float | str | None | Sequence[float | None]


@dataclass(frozen=True)
class Field:
    """One row of a comparison."""

    name: str
    label: str
    unit: str  # share, money, score, bits, count, number or text
    key: str  # its definition


_RATIO_FIELDS = (
    Field("ctr", "Click-through rate", "share", "ctr"),
    Field("conversion", "Conversion", "share", "conversion"),
    Field("revenue_per_session", "Revenue per session", "money", "revenue_per_session"),
    Field("impression_conversion", "Purchases after impressions", "share", "impression_conversion"),
)
_LIST_FIELDS = (
    Field("hit_rate_at_10", "Hit rate@10", "share", "hit_rate_at_10"),
    Field("ndcg_at_10", "NDCG@10", "score", "ndcg_at_10"),
    Field("popularity_ndcg_at_10", "NDCG@10 of popularity", "score", "popularity_ndcg_at_10"),
)
DAY_FIELDS = (
    Field("verdict", "Verdict", "text", "verdict"),
    *_RATIO_FIELDS,
    *_LIST_FIELDS,
    Field("tastes_lost", "Tastes lost", "share", "tastes_lost"),
    Field("events.category", "Categories moved", "bits", "events-category"),
    Field("events.item", "Items moved", "bits", "events-item"),
    Field("clicks_lost", "Clicks lost", "share", "clicks_lost"),
    Field("events_in_window", "Events in the window", "count", "window"),
    Field("rows_read", "Events read", "count", "rows"),
    Field("rows_quarantined", "Events quarantined", "count", "rows"),
    Field("newest_event_age_hours", "Newest event, hours", "number", "newest_event"),
    Field("newest_delivery_age_days", "Newest delivery, days", "count", "newest_delivery"),
    Field("champion_age_days", "Champion, days", "count", "champion_age"),
    Field("live_age_days", "Published lists, days", "count", "live_age"),
    Field("run_seconds", "Seconds of the run", "number", "seconds"),
    Field("champion", "Champion", "text", "champion_age"),
    Field("live_version", "Live version", "text", "live_age"),
)
VERSION_FIELDS = (
    Field("day", "Lists of the day", "text", "live_age"),
    Field("kind", "Run", "text", "published"),
    Field("champion", "Model", "text", "champion_age"),
    Field("num_users", "Users", "count", "published"),
    Field("num_items", "Items", "count", "published"),
    Field("shown_on", "Days it was shown on", "count", "version"),
    *_RATIO_FIELDS,
    *_LIST_FIELDS,
)
_EFFECTS = ("tastes_lost", "events.category", "events.item", "clicks_lost")


@dataclass(frozen=True)
class Comparison:
    """What can be chosen from, newest first, and its numbers in the order of the fields."""

    name: str
    fields: Sequence[Field]
    values: dict[str, list[Value]]

    @property
    def first_two(self) -> tuple[str, str] | None:
        """What is compared before anybody has chosen: the newest with the one before."""
        names = list(self.values)
        return (names[1], names[0]) if len(names) > 1 else None


def days_compared(site: Site) -> Comparison:
    return Comparison("days", DAY_FIELDS, {str(day.day): _day_values(day) for day in site.days[:MOST_DAYS]})


def versions_compared(site: Site) -> Comparison:
    published = [record for day in reversed(site.days) for record in day.publications]
    return Comparison(
        "versions",
        VERSION_FIELDS,
        {
            str(record["version"]): _version_values(record, site)
            for record in reversed(published[-MOST_VERSIONS:])
        },
    )


def embedded(comparisons: Iterable[Comparison], currency: str) -> str:
    """The numbers as JSON that stands safely inside a script element."""
    body = {
        "currency": currency,
        **{
            each.name: {
                "fields": [[field.unit, field.label, field.key] for field in each.fields],
                "values": each.values,
            }
            for each in comparisons
        },
    }
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _day_values(day: DayView) -> list[Value]:
    row = day_row(day)
    row |= {name: _ratio((day.kpis.get("all") or {}).get(name), name) for name in RATIOS}
    for name in _EFFECTS:
        measure = measure_of(day.verdict, name)
        row[name] = measure["effect"] if measure else None
    for name in ("hit_rate_at_10", "ndcg_at_10", "popularity_ndcg_at_10"):
        row[name] = _with_n(row[name], row["lists_num_users"])
    return [_short(row.get(field.name)) for field in DAY_FIELDS]


def _version_values(record: Record, site: Site) -> list[Value]:
    version, outcome = record["version"], {}
    shown = [
        found for day in site.days if (found := (day.kpis.get("by_version") or {}).get(version)) is not None
    ]
    for day in site.days:
        # The lists of a day are those of the last version that was published for it.
        if day.lists and day.lists["lists_day"] == record["day"]:
            last = _last_of(site, record["day"])
            outcome = day.lists if last == version else {}
    row = {
        **record,
        "champion": record.get("champion") or "popularity",
        "shown_on": len(shown),
        **{name: _ratio(combined([found[name] for found in shown]), name) for name in RATIOS},
        **{
            name: _with_n(outcome.get(name), outcome.get("num_users"))
            for name in ("hit_rate_at_10", "ndcg_at_10", "popularity_ndcg_at_10")
        },
    }
    return [_short(row.get(field.name)) for field in VERSION_FIELDS]


def _last_of(site: Site, key: str) -> str | None:
    published = next((day.published for day in site.days if str(day.day) == key), None)
    return published["version"] if published else None


def combined(ratios: Sequence[Record]) -> Record | None:
    """One ratio over several days: numerators and n added up, the days' intervals combined as if independent."""
    known = [ratio for ratio in ratios if ratio["n"]]
    n = sum(ratio["n"] for ratio in known)
    if not n:
        return None
    value = sum(ratio["numerator"] for ratio in known) / n
    if any(ratio["low"] is None for ratio in known):
        return {"n": n, "value": value, "low": None, "high": None}
    errors = [(ratio["high"] - ratio["low"]) / (2 * _Z) * ratio["n"] / n for ratio in known]
    half = _Z * math.sqrt(sum(error**2 for error in errors))
    return {"n": n, "value": value, "low": value - half, "high": value + half}


def _ratio(ratio: Record | None, name: str) -> Value:
    """Value, interval and n; money in whole units."""
    if ratio is None or ratio["value"] is None:
        return None
    scale = 0.01 if name == "revenue_per_session" else 1.0
    ends = [None if ratio[end] is None else ratio[end] * scale for end in ("low", "high")]
    return [ratio["value"] * scale, *ends, ratio["n"]]


def _with_n(value: float | None, n: int | None) -> Value:
    return None if value is None else [value, None, None, n]


def _short(value: Any) -> Value:
    """Five digits are more than anybody compares."""
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return _rounded(value) if isinstance(value, float) else value


def _rounded(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else float(f"{value:.5g}")
