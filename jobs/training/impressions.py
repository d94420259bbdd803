"""What was shown and what came of it, as evidence for the ranker: how much a user wanted an item, how often it was offered.

I impressions · E pairs of a user and an item that was shown
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from contracts import names
from contracts.tables import CARTED, CLICKED, IGNORED, OUTCOMES, PURCHASED
from jobs.io.lake import Lake
from jobs.ranking.world import FloatArray, IntArray, World, index_of
from models.examination import examination

if TYPE_CHECKING:
    import pyarrow as pa

#: How much an outcome says that an item was wanted; what was wanted without having been shown counts as 1.
_GAINS = {IGNORED: 0.0, CLICKED: 1.0, CARTED: 2.0, PURCHASED: 3.0}
#: What was shown by a rare chance counts for all the times it was not, up to so many: beyond, a few rows drown the rest.
_MOST_WEIGHT = 5.0


@dataclass(frozen=True)
class Impressions:
    """Impressions of a training set, a row each."""

    rows: pa.Table  # columns of contracts.tables.TRAINING_IMPRESSIONS

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def between(self, after: date, until: date) -> Impressions:
        """Those later than ``after`` and not later than ``until``."""
        import pyarrow.compute as pc

        dates = self.rows.column("event_date")
        return Impressions(self.rows.filter(pc.and_(pc.greater(dates, after), pc.less_equal(dates, until))))

    def prompted(self, world: World) -> tuple[IntArray, IntArray]:
        """Users and items of a world, by their indices, where a user took what it was shown."""
        import pyarrow.compute as pc

        taken = self.rows.filter(pc.not_equal(self.rows.column("outcome"), IGNORED))
        users_I = index_of(taken.column("user_id"), world.user_ids)
        items_I = index_of(taken.column("item_id"), world.item_ids)
        is_known_I = (users_I >= 0) & (items_I >= 0)
        return users_I[is_known_I], items_I[is_known_I]


@dataclass(frozen=True)
class Evidence:
    """What was shown to users of a world, by user and item; E is in that order."""

    num_items: int
    pair_E: IntArray  # user · num_items + item, rising
    mass_E: FloatArray  # how much it was wanted, 0 where it was ignored
    offered_E: FloatArray  # how often it was offered, looked at, and left

    def of(self, user: int) -> IntArray:
        """The items that were shown to a user."""
        first, last = np.searchsorted(self.pair_E, [user * self.num_items, (user + 1) * self.num_items])
        return self.pair_E[first:last] - user * self.num_items

    def on(
        self, users_R: IntArray, items_R: IntArray, is_wanted_R: npt.NDArray[np.bool_]
    ) -> tuple[FloatArray, FloatArray]:
        """Mass and weight of candidates: what was not shown is one candidate, and has mass 1 where it was wanted."""
        mass_R, weight_R = is_wanted_R.astype(np.float32), np.ones(len(users_R), np.float32)
        pair_R = users_R * self.num_items + items_R
        place_R = np.searchsorted(self.pair_E, pair_R)
        shown = np.flatnonzero(np.append(self.pair_E, -1)[place_R] == pair_R)
        mass_R[shown] = np.maximum(mass_R[shown], self.mass_E[place_R[shown]])
        weight_R[shown] += self.offered_E[place_R[shown]]
        return mass_R, weight_R


def read_impressions(lake: Lake, day: date, after: date) -> Impressions:
    """The impressions of the training set of ``day`` that are later than ``after``."""
    return Impressions(lake.read(names.TRAINING_IMPRESSIONS, day, where=[("event_date", ">", after)]))


def evidence_of(impressions: Impressions, world: World, repeats_allowed: bool) -> Evidence:
    """What the impressions say of users and items that the world knows and that could be recommended in it.

    An item's mass m and its weight w among the candidates of its user are

        m = max over its impressions of gain(outcome) · c,   w = 1 + Σ over the ignored ones of e · c

    with e the probability that the place was looked at (:func:`models.examination.examination`, over these very
    impressions) and c = min(1 / propensity, 5), 1 where none was logged. The ranker's loss is least where exp(score)
    goes as m / w, wanted over offered. An item that was shown has had more chances to be wanted than one that was not;
    without w the ranker would learn what was shown, and take it for what is liked.

    What was ignored counts by e, which is its expectation in the position-based click model: it was left if it was looked
    at. What was clicked was looked at, so it needs no 1 / e. Weighting clicks by it (Joachims et al., WSDM 2017) is the other
    way to the same end, where what was ignored does not count; doing both corrects twice, and it has the greater variance.
    Inverse propensities are cut off (Ionides, 2008): a little bias for much less variance.
    """
    rows = impressions.rows
    users_I = index_of(rows.column("user_id"), world.user_ids)
    items_I = index_of(rows.column("item_id"), world.item_ids)
    outcomes_I = index_of(rows.column("outcome"), np.array(OUTCOMES, dtype=object))
    gains_I = np.array([_GAINS[outcome] for outcome in OUTCOMES])[outcomes_I]
    looked_at_I = examination(_floats(rows, "position"), gains_I > 0)
    chance_I = np.nan_to_num(_floats(rows, "propensity"), nan=1.0)
    count_I = 1 / np.maximum(chance_I, 1 / _MOST_WEIGHT)
    may_I = _may_be_recommended(users_I, items_I, world, repeats_allowed)
    pair_E, pair_I = np.unique((users_I * world.num_items + items_I)[may_I], return_inverse=True)
    mass_E, offered_E = np.zeros(len(pair_E), np.float32), np.zeros(len(pair_E), np.float32)
    np.maximum.at(mass_E, pair_I, (gains_I * count_I)[may_I].astype(np.float32))
    offered_E += np.bincount(pair_I, ((gains_I == 0) * looked_at_I * count_I)[may_I], len(pair_E))
    return Evidence(world.num_items, pair_E, mass_E, offered_E)


def _may_be_recommended(
    users_I: IntArray, items_I: IntArray, world: World, repeats_allowed: bool
) -> npt.NDArray[np.bool_]:
    """Which of the pairs are of a user and an item that the world knows, for sale and, where that counts, new."""
    may_I = (users_I >= 0) & (items_I >= 0)
    may_I[may_I] = world.is_available_N[items_I[may_I]]
    if not repeats_allowed:
        seen = np.concatenate([user * world.num_items + items for user, items in enumerate(world.seen)])
        may_I &= ~np.isin(users_I * world.num_items + items_I, seen)
    return may_I


def _floats(rows: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column of numbers; NaN where there is none."""
    return np.asarray(rows.column(name).cast("float64").to_numpy(), np.float64)
