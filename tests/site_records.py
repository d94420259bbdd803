"""Records of a shop that has been running for a while, as the loop's steps leave them: what the pages are tried with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from jobs.io.state import (
    DELIVERIES,
    DURATIONS,
    LANDINGS,
    PROMOTIONS,
    PUBLICATIONS,
    RETRAININGS,
    ROLLBACKS,
    RUNS,
    VERDICTS,
    State,
)
from jobs.monitoring.ratios import Ratio, wilson
from jobs.steps import DAILY_STEPS, RETRAIN_STEPS

Record = dict[str, Any]
LAST = date(2011, 12, 9)
_CATEGORIES = (
    "tea and coffee",
    "kitchen",
    "garden",
    "paper and cards",
    "lights",
    "bags",
    "christmas",
    "toys",
    "bath",
    "signs",
)
_FEATURES = (
    "active_days_28d",
    "views_28d",
    "purchases_28d",
    "orders_90d",
    "spend_cents_90d",
    "categories_28d",
)

_REASONS = {
    "num_lists": 1200, "num_places": 12_000, "num_explained": 10_431,
    "pairs": [{"because": "Tea cup & saucer", "item": "Tea pot", "people": 41}],
}  # fmt: skip


def year_of_records(num_days: int = 365, last: date = LAST) -> Iterator[tuple[str, str, Record]]:
    """Collection, key and body of every record of a shop's days, its last ones with a shift and what followed."""
    rng = np.random.default_rng(11)
    days = [last - timedelta(days=offset) for offset in reversed(range(num_days))]
    champion, champion_day, fence = 1, days[0], 0
    yield PROMOTIONS, "1", {"day": str(days[0]), "metrics": {"ndcg_at_10": 0.071}, "sha256": "f" * 64}
    for place, day in enumerate(days):
        key = day.isoformat()
        since = (day - champion_day).days
        shift = max(0.0, math.sin(place / 17)) * 0.12 + (0.3 if since > 40 else 0.0)
        rings = shift > 0.3
        invalid = place % 97 == 60
        yield LANDINGS, key, _landing(day, rng)
        yield DELIVERIES, f"events/{key}", {"kind": "events", "landed_day": key, "received_date": key}
        yield RUNS, f"daily/{key}", {"manifest": _manifest("daily", key, champion), "reasons": _REASONS}
        yield DURATIONS, f"daily/{key}", {step.name: round(float(rng.gamma(4, 2)), 1) for step in DAILY_STEPS}
        version = f"v{place + 1:04d}"
        fence += 10
        yield PUBLICATIONS, version, _publication(day, version, fence, champion)
        verdict = "invalid" if invalid else "drift" if rings else "ok"
        yield VERDICTS, key, _verdict(day, verdict, shift, champion, f"v{place:04d}", rng)
        if rings and not invalid:
            is_promoted = place % 3 != 0
            yield RUNS, f"retrain/{key}", {"manifest": _manifest("retrain", key, champion)}
            yield (
                DURATIONS,
                f"retrain/{key}",
                {step.name: round(float(rng.gamma(6, 4)), 1) for step in RETRAIN_STEPS},
            )
            yield RETRAININGS, key, _retraining(key, champion, is_promoted)
            champion_day = day
            if is_promoted:
                champion += 1
                yield (
                    PROMOTIONS,
                    str(champion),
                    {"day": key, "metrics": {"ndcg_at_10": 0.082}, "sha256": "e" * 64},
                )
        if place == num_days - 30:
            fence += 1
            yield (
                ROLLBACKS,
                f"{fence:010d}",
                {"from": version, "to": f"v{place:04d}", "at": f"{key}T09:30:00+00:00"},
            )


def put_records(state: State, records: Iterator[tuple[str, str, Record]]) -> None:
    """Write them all, a collection at a time."""
    by_collection: dict[str, dict[str, Record]] = {}
    for collection, key, body in records:
        by_collection.setdefault(collection, {})[key] = body
    for collection, bodies in by_collection.items():
        state.put_many(collection, bodies)


def _landing(day: date, rng: np.random.Generator) -> Record:
    read = int(9000 + 3000 * math.sin(day.weekday()) + rng.normal(0, 400))
    bad = {
        "NO_ITEM": int(rng.poisson(14)),
        "BAD_TIME": int(rng.poisson(5)),
        "UNKNOWN_TYPE": int(rng.poisson(1)),
    }
    duplicate = int(rng.poisson(30))
    events = {
        "read": read, "good": read - sum(bad.values()) - duplicate, "quarantined": bad,
        "duplicate": duplicate, "set_aside": {},
    }  # fmt: skip
    items = {"read": 320, "good": 320, "quarantined": {}, "duplicate": 0, "set_aside": {}}
    return {
        "touched": [str(day - timedelta(days=1)), str(day)],
        "accounts": {"events": events, "items": items},
        "noted": {"anonymous": 412, "unknown_user": 3},
        "accepted_reason": None,
        "refusals": [],
    }


def _manifest(kind: str, key: str, champion: int) -> Record:
    settings = {
        "history_days": 180,
        "history_length": 50,
        "judge_days": 7,
        "seed": 7,
        "sasrec_width": 64,
        "threads": 1,
    }
    feed = {"shop": "The gift shop", "currency": "GBP"}
    deliveries = {f"events/{key}": "a" * 64}
    return {
        "kind": kind,
        "day": key,
        "champion": str(champion),
        "feed": feed,
        "settings": settings,
        "deliveries": deliveries,
    }


def _publication(day: date, version: str, fence: int, champion: int) -> Record:
    stamp = datetime.combine(day, time(4)).isoformat()
    return {
        "version": version, "day": str(day), "kind": "daily", "fence": fence, "sha256": "ab12" * 16, "num_users": 4213,
        "num_items": 3120, "champion": str(champion), "published_at": f"{stamp}+00:00",
    }  # fmt: skip


def _ratio(value: float, n: int) -> Record:
    low, high = wilson(value, n / 1.7)
    return Ratio(round(value * n), n, value, low, high).as_record()


def _kpis(scale: float, level: float, rng: np.random.Generator) -> Record:
    sessions, impressions = int(2400 * scale), int(9000 * scale)
    revenue = 412.0 * (1 + level) + float(rng.normal(0, 25))
    mean = {
        "numerator": int(revenue * sessions),
        "n": sessions,
        "value": revenue,
        "low": revenue - 55,
        "high": revenue + 55,
    }
    return {
        "users": int(sessions * 0.7),
        "orders": int(sessions * 0.06),
        "ctr": _ratio(0.05 * (1 + level) + abs(float(rng.normal(0, 0.003))), impressions),
        "impression_conversion": _ratio(0.004, impressions),
        "conversion": _ratio(0.062 * (1 + level / 2) + float(rng.normal(0, 0.004)), sessions),
        "revenue_per_session": mean,
    }


def _verdict(
    day: date, verdict: str, shift: float, champion: int, version: str, rng: np.random.Generator
) -> Record:
    rings = verdict == "drift"
    measured = verdict != "invalid"
    level = -shift
    people = [
        _measure("tastes_lost", "Tastes lost", "share", shift + 0.02, 0.25, 0.04, rng),
        _measure("events.category", "Categories acted upon", "bits", shift / 10, 0.06, 0.004, rng),
        _measure("events.item", "Items acted upon", "bits", 0.05 + shift / 5, 0.2, 0.006, rng),
    ]
    outcomes = [_measure("clicks_lost", "Clicks lost", "share", shift / 2, 0.5, 0.05, rng)]
    features = [_measure(f"user.{name}", f"user.{name}", "sd", 0.08, 0.3, 0.01, rng) for name in _FEATURES]
    predictions = [_measure("lists.category", "Categories in the lists", "bits", 0.03, 0.1, 0.002, rng)]
    loop = [_measure("coverage_lost", "Coverage lost", "share", 0.03, 0.2, 0.01, rng)]
    statuses = {"data": verdict, "predictions": "ok", "outcomes": "ok", "loop": "ok"}
    kinds = {"data": [*people, *features], "predictions": predictions, "outcomes": outcomes, "loop": loop}
    reasons = {
        "ok": [],
        "drift": [
            f"data: tastes lost {shift:.0%} (alarm from 25%)",
            "data: Categories acted upon moved by 0.071 bits (alarm from 0.06)",
        ],
        "invalid": ["data: 1,204 events an open day, 0.41 of the reference's 2,911 (0.55 are needed)"],
    }[verdict]
    window = {"reference": {"first": str(day - timedelta(days=40)), "last": str(day - timedelta(days=13))},
              "current": {"first": str(day - timedelta(days=6)), "last": str(day)}}  # fmt: skip
    return {
        "day": str(day),
        "verdict": verdict,
        "reasons": reasons,
        "champion": str(champion),
        "rings": rings,
        "has_rung": rings,
        "is_newest": True,
        "windows": window,
        "num_reference": 251_300,
        "num_current": int(62_000 + rng.normal(0, 2500)),
        "kinds": {
            kind: {"status": statuses[kind] if measured else "unjudged", "measures": found if measured else []}
            for kind, found in kinds.items()
        },
        "lists_of_the_day_before": {
            "lists_day": str(day - timedelta(days=1)), "num_users": 1187,
            "hit_rate_at_10": round(0.31 * (1 - shift) + float(rng.normal(0, 0.01)), 6),
            "ndcg_at_10": round(0.082 * (1 - shift) + float(rng.normal(0, 0.002)), 6),
            "popularity_ndcg_at_10": round(0.055 + float(rng.normal(0, 0.002)), 6), "difference_squares": 31.2,
        },
        "exposure": {
            "num_items": 3120, "coverage": 0.62 - shift / 10, "gini": 0.71 + shift / 20, "popularity_lift": 3.1 + shift,
        },
        "kpis": {
            "newest_event_at": f"{day}T23:{41 + day.day % 15}:07",
            "all": _kpis(1.0, level, rng),
            "by_version": {version: _kpis(0.6, level, rng), "none": _kpis(0.4, level, rng)},
            "by_group": {name: _kpis(scale, level, rng) for name, scale in (("new", 0.1), ("light", 0.6), ("heavy", 0.3))},
        },
        "moved": {
            **window,
            "categories": [_move(name, "", 0.1, 0.1 + sign * 0.04 / (rank + 1))
                           for rank, (name, sign) in enumerate(zip(_CATEGORIES, (1, -1) * 5, strict=True))],
            "items": [_move(f"8{rank:04d}", f"Hanging heart no. {rank}", 0.01, 0.02 - rank * 0.002) for rank in range(10)],
        },
    }  # fmt: skip


def _measure(
    name: str, label: str, unit: str, effect: float, threshold: float, sd: float, rng: np.random.Generator
) -> Record:
    effect = round(effect + float(rng.normal(0, sd / 2)), 6)
    return {
        "name": name, "label": label, "unit": unit, "status": "drift" if effect >= threshold else "ok",
        "value": effect + sd, "noise": sd, "noise_sd": sd, "effect": effect, "threshold": threshold,
        "num_reference": 20_000, "num_current": 14_210, "halves": [effect, effect], "note": "", "facts": {},
    }  # fmt: skip


def _move(name: str, title: str, before: float, now: float) -> Record:
    change = now - before
    return {
        "name": name, "title": title, "before": _ratio(before, 251_300), "now": _ratio(now, 62_100),
        "change": round(change, 6), "low": round(change - 0.004, 6), "high": round(change + 0.004, 6),
    }  # fmt: skip


def _retraining(key: str, champion: int, is_promoted: bool) -> Record:
    sign = 1 if is_promoted else -1
    differences = {
        name: {"mean": mean, "low": mean - 0.006, "high": mean + 0.006, "lower": mean - 0.005}
        for name, mean in (("champion", 0.009 * sign), ("popularity", 0.03), ("ease", 0.011), ("als", 0.014))
    }
    metrics = {
        name: {
            "ndcg_at_10": ndcg,
            "hit_rate_at_10": ndcg * 3.6,
            "recall_at_10": ndcg * 1.4,
            "ndcg_at_20": ndcg * 1.2,
            "coverage_at_10": 0.41,
        }
        for name, ndcg in (
            ("challenger", 0.084),
            ("champion", 0.075),
            ("popularity", 0.054),
            ("ease", 0.073),
            ("als", 0.07),
        )
    }
    reason = f"champion: ndcg@10 0.0750 → 0.0840, difference {0.009 * sign:+.4f}: {'better' if is_promoted else 'worse than allowed'}"
    return {
        "day": key, "reason": f"drift of {key}", "champion": str(champion), "challenger": str(champion + 1),
        "recommender": "blend", "weights": {"sasrec": 0.61, "ease": 0.39},
        "validation": {"num_users": 412, "ndcg_at_10": {"ranker": 0.0731, "blend": 0.0792, "ease": 0.0688}},
        "trigger": "alarm", "is_promoted": is_promoted, "num_users": 1734, "judged_from": str(date.fromisoformat(key) - timedelta(days=6)),
        "mlflow_url": "http://127.0.0.1:5000/#/experiments/1/runs/abc", "sha256": "c0ffee" * 10 + "beef", "metrics": metrics,
        "verdict": {"is_promoted": is_promoted, "reasons": [reason], "differences": differences,
                    "slices": [_slice("new users (up to 4 items seen)", 0.01 * sign), _slice("country: France", 0.004)],
                    "checks": [{"name": "champion", "has_passed": is_promoted, "told": reason, "value": 0.1, "bound": -0.01}]},
        "curves": {"fit.loss": [8.1, 6.4, 5.9, 5.7], "validation.ndcg_at_10": [0.03, 0.06, 0.07, 0.069]},
    }  # fmt: skip


def _slice(name: str, mean: float) -> Record:
    return {
        "kind": "people", "name": name, "num_users": 411, "other": "champion", "ndcg_at_10": 0.08, "ndcg_at_10_of_other": 0.08 - mean,
        "difference": {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "lower": mean - 0.018}, "is_below_floor": False,
    }  # fmt: skip
