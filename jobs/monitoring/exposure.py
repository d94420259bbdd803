"""What the loop does to itself: how much of the catalogue the lists still show, how evenly, and how popular.

A recommender that learns from what it has shown may show less and less. Coverage, the Gini coefficient of exposure and
the popularity lift (Abdollahpouri et al., 2019) of everybody's first ten are held against those of the first champion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.columns import DRIFT, OK, Measure, rounded
from jobs.monitoring.engine import engine, source
from jobs.monitoring.thresholds import Loop
from jobs.monitoring.verdict import unjudged
from models.metrics import gini

_FIRST_ITEMS = 10


@dataclass(frozen=True)
class Exposure:
    """How a day's lists spread over what was for sale."""

    num_items: int  # for sale
    coverage: float  # share of them in somebody's first ten
    gini: float  # of the times that each is shown: 0 all alike, 1 one item alone
    popularity_lift: float  # mean popularity of what is shown over that of what people act upon

    def as_record(self) -> dict[str, Any]:
        return {
            "num_items": self.num_items,
            "coverage": rounded(self.coverage),
            "gini": rounded(self.gini),
            "popularity_lift": rounded(self.popularity_lift),
        }


def exposure_of(shown_N: npt.NDArray[np.float64], popularity_N: npt.NDArray[np.float64]) -> Exposure:
    """The exposure of N items for sale: how often each is shown, and how popular it is."""
    total = float(popularity_N.sum())
    of_shown = float((shown_N * popularity_N).sum() / max(shown_N.sum(), 1))
    of_wanted = float((popularity_N**2).sum() / total) if total else 0.0
    return Exposure(
        num_items=len(shown_N),
        coverage=float((shown_N > 0).mean()),
        gini=gini(shown_N),
        popularity_lift=of_shown / of_wanted if of_wanted else 0.0,
    )


def read_exposure(lake: Lake, table: str, day: date, *, threads: int) -> Exposure | None:
    """The exposure of the lists of a day; None where they, or the items of the day, are not kept."""
    if any(lake.manifest(needed, day) is None for needed in (table, names.DIM_ITEMS, names.FEAT_ITEM_DAILY)):
        return None
    rows = (
        engine(threads)
        .sql(
            f"""
            with shown as (
                select unnest(item_ids[1:{_FIRST_ITEMS}]) as item_id from {source(lake, table, [day])}
            ),
            counts as (select item_id, count(*) as num_shown from shown group by item_id)
            select coalesce(counts.num_shown, 0), features.popularity_7d
            from {source(lake, names.DIM_ITEMS, [day])} as items
            join {source(lake, names.FEAT_ITEM_DAILY, [day])} as features on features.item_id = items.item_id
            left join counts on counts.item_id = items.item_id
            where items.is_available
            order by items.item_id
            """
        )
        .fetchnumpy()
    )
    shown_N, popularity_N = (np.asarray(column, np.float64) for column in rows.values())
    return exposure_of(shown_N, popularity_N) if len(shown_N) else None


def exposure_measures(start: Exposure | None, now: Exposure | None, thresholds: Loop) -> list[Measure]:
    """How the lists have narrowed since the first champion's."""
    if start is None or now is None:
        note = "there are no lists of the first champion, or none of today, to compare"
        return [unjudged("loop", name, label, note) for name, label in _LABELS.items()]
    moved = {
        "coverage_lost": (
            1 - now.coverage / start.coverage if start.coverage else 0.0,
            thresholds.coverage_lost,
        ),
        "gini_risen": (now.gini - start.gini, thresholds.gini_risen),
        "popularity_lift_risen": (
            now.popularity_lift / start.popularity_lift - 1 if start.popularity_lift else 0.0,
            thresholds.popularity_lift_risen,
        ),
    }
    facts = {
        "coverage_lost": {"coverage_before": start.coverage, "coverage_now": now.coverage},
        "gini_risen": {"gini_before": start.gini, "gini_now": now.gini},
        "popularity_lift_risen": {"lift_before": start.popularity_lift, "lift_now": now.popularity_lift},
    }
    return [
        Measure(
            "loop",
            name,
            _LABELS[name],
            "share",
            DRIFT if value >= threshold else OK,
            value=value,
            noise=0.0,
            noise_sd=0.0,
            effect=value,
            threshold=threshold,
            num_reference=start.num_items,
            num_current=now.num_items,
            facts=facts[name],
        )
        for name, (value, threshold) in moved.items()
    ]


_LABELS = {
    "coverage_lost": "Coverage lost",
    "gini_risen": "Gini of exposure risen by",
    "popularity_lift_risen": "Popularity lift risen by",
}
