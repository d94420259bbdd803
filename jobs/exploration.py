"""The places that are drawn for, as they are published: which items have hardly been shown, and how probable each is in its place.

I impressions · N items of the catalogue · A arms of a place: what the list itself has there, then items
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts import names
from contracts.exploration import Explore, PublishedSlot
from contracts.serving_rules import PublishedRules, ServingRules
from contracts.tables import FCT_IMPRESSIONS
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from models.bandits import epsilon_greedy, thompson

IntArray = npt.NDArray[np.int64]

_NEEDED = ["item_id", "position", "known_date", "clicked_known_date"]
#: Of so many days impressions say how often an item was shown.
_DAYS = 28
#: As many impressions at the rate of all weigh as much as what an arm has seen itself.
_PRIOR_IMPRESSIONS = 20.0
#: The rate where nothing was ever shown: one click in twenty impressions.
_CLICKS, _SHOWN = 0.5, 10.0


@dataclass(frozen=True)
class Outcomes:
    """How often each item was shown and clicked, and what stood in each place."""

    shown_N: IntArray
    clicked_N: IntArray
    items_I: IntArray
    places_I: IntArray
    is_clicked_I: npt.NDArray[np.bool_]

    @property
    def prior(self) -> tuple[float, float]:
        """Of a rate of clicks, as Beta: the rate of all that was shown."""
        rate = (self.clicked_N.sum() + _CLICKS) / (self.shown_N.sum() + _SHOWN)
        return float(rate) * _PRIOR_IMPRESSIONS, float(1 - rate) * _PRIOR_IMPRESSIONS


def published_rules(rules: ServingRules, catalogue: pa.Table, lake: Lake, day: date) -> PublishedRules:
    """Rules with the places that are drawn for.

    Args:
        catalogue: every item as the day knows it: ``item_id``, ``is_available`` and ``available_from``.
    """
    exploring = {place: each.explore for place, each in rules.all().items() if each.explore is not None}
    slots = {}
    if exploring:
        outcomes = outcomes_of(read_impressions(lake, day), catalogue["item_id"], day)
        slots = {place: slots_of(explore, catalogue, outcomes) for place, explore in exploring.items()}
    return PublishedRules(**dict(rules), slots=slots)


def read_impressions(lake: Lake, day: date) -> pa.Table:
    """What was shown in the four weeks up to a day."""
    days = lake.days(names.FCT_IMPRESSIONS, first=day - timedelta(days=_DAYS - 1), until=day)
    empty = arrow_schema(FCT_IMPRESSIONS).empty_table().select(_NEEDED)
    return pa.concat_tables([empty, *(lake.read(names.FCT_IMPRESSIONS, each, _NEEDED) for each in days)])


def outcomes_of(impressions: pa.Table, item_ids: pa.ChunkedArray, day: date) -> Outcomes:
    """What impressions say by a day; of items that the catalogue has not they say nothing."""
    impressions = impressions.filter(pc.less_equal(impressions["known_date"], day))
    at = pc.index_in(impressions["item_id"].cast(item_ids.type), value_set=item_ids.combine_chunks())
    rows = impressions.append_column("at", at).filter(pc.is_valid(at))
    items_I = _ints(rows["at"])
    clicked = pc.less_equal(rows["clicked_known_date"].cast(pa.date32()), day)
    is_clicked_I = np.asarray(pc.fill_null(clicked, False).to_numpy(zero_copy_only=False), bool)
    return Outcomes(
        shown_N=np.bincount(items_I, minlength=len(item_ids)),
        clicked_N=np.bincount(items_I[is_clicked_I], minlength=len(item_ids)),
        items_I=items_I,
        places_I=_ints(rows["position"]),
        is_clicked_I=is_clicked_I,
    )


def slots_of(explore: Explore, catalogue: pa.Table, outcomes: Outcomes) -> tuple[PublishedSlot, ...]:
    """The places of a surface, each with items of its own: those least shown come first, and of these the newest."""
    newcomers_M = _newcomers(explore, catalogue, outcomes)
    is_other_I = ~np.isin(outcomes.items_I, newcomers_M)
    item_ids = catalogue["item_id"]
    found = []
    for number, place in enumerate(sorted(explore.places)):
        items = newcomers_M[number :: len(explore.places)]
        if not len(items):
            continue
        is_here_I = is_other_I & (outcomes.places_I == place)
        own = int(is_here_I.sum()), int((is_here_I & outcomes.is_clicked_I).sum())
        shown_A = np.array([own[0], *outcomes.shown_N[items]])
        clicked_A = np.array([own[1], *outcomes.clicked_N[items]])
        probabilities_A = (
            epsilon_greedy(len(shown_A), explore.epsilon)
            if explore.policy == "epsilon_greedy"
            else thompson(clicked_A, shown_A, prior=outcomes.prior)
        )
        found.append(
            PublishedSlot(
                place=place,
                items=tuple(item_ids[int(item)].as_py() for item in items),
                probabilities=tuple(probabilities_A.tolist()),
            )
        )
    return tuple(found)


def _newcomers(explore: Explore, catalogue: pa.Table, outcomes: Outcomes) -> IntArray:
    """Items for sale that were hardly shown, by their places in the catalogue."""
    is_for_sale_N = np.asarray(pc.fill_null(catalogue["is_available"], False).to_numpy(), bool)
    since_N = _ints(pc.fill_null(catalogue["available_from"].cast(pa.timestamp("us")).cast(pa.int64()), 0))
    new_M = np.flatnonzero(is_for_sale_N & (outcomes.shown_N < explore.shown_less_than))
    order = np.lexsort((new_M, -since_N[new_M], outcomes.shown_N[new_M]))
    return new_M[order[: explore.most_items]]


def _ints(column: Any) -> IntArray:
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), np.int64)
