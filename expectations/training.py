"""What has to hold of a training set, before hours are spent on it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from contracts.tables import DEPTHS, OUTCOMES, SPLITS
from expectations import rules
from expectations.frames import as_frame, count_items, count_numbers
from expectations.rules import Suite

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Fewer steps, users or items to fit on teach nothing that popularity does not say.
MIN_STEPS = 100
MIN_USERS = 10
MIN_ITEMS = 10


def sequences_frame(sequences: pa.Table, day: date, judge_days: int, rank_days: int) -> pd.DataFrame:
    """Rows by user and day, with the split that each should be in by its day, and what is wrong in its items."""
    frame = _with_split_of_date(as_frame(sequences), day, judge_days, rank_days)
    count_items(frame, sequences, "item_ids")
    count_numbers(frame, sequences, "item_depths")
    return frame


def impressions_frame(impressions: pa.Table, day: date, judge_days: int, rank_days: int) -> pd.DataFrame:
    """Impressions, with the split that each should be in by its day."""
    return _with_split_of_date(as_frame(impressions), day, judge_days, rank_days)


def _with_split_of_date(frame: pd.DataFrame, day: date, judge_days: int, rank_days: int) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    horizon, rank = timedelta(days=judge_days), timedelta(days=rank_days)
    ends = [pd.Timestamp(end) for end in (day - horizon - rank, day - horizon)]
    dates = frame["event_date"]
    frame["split_of_date"] = pd.Series(
        np.select([dates <= ends[0], dates <= ends[1]], SPLITS[:2], SPLITS[2]), dtype=frame["split"].dtype
    )
    return frame


def sequences(day: date, history_days: int) -> Suite:
    """Suite of ``training/sequences``: what every user wanted, each day in its split."""
    first = day - timedelta(days=history_days - 1)
    return rules.suite(
        "training sequences",
        [
            rules.at_least(1),
            *rules.never_missing("user_id", "event_date", "split", "num_item_ids"),
            *rules.ids("user_id"),
            rules.one_row_per("user_id", "event_date"),
            *rules.within_days(first, day, "event_date"),
            rules.one_of(SPLITS, "split"),
            rules.equal("split", "split_of_date", "is the split of the day"),
            *rules.between(1, rules.LARGEST, "num_item_ids"),
            rules.none_of_them("num_wrong_item_ids", "holds nothing but ids"),
            rules.equal("num_item_depths", "num_item_ids", "one depth for each item"),
            *rules.between(DEPTHS[0], DEPTHS[-1], "least_item_depths", "most_item_depths"),
        ],
    )


def impressions(day: date, history_days: int) -> Suite:
    """Suite of ``training/impressions``: what was shown, and what came of it, each day in its split."""
    first = day - timedelta(days=history_days - 1)
    return rules.suite(
        "training impressions",
        [
            rules.at_least(1),
            *rules.never_missing("event_id", "user_id", "item_id", "event_date", "outcome", "split"),
            *rules.ids("event_id", "user_id", "item_id"),
            rules.one_row_per("event_id"),
            *rules.within_days(first, day, "event_date"),
            rules.one_of(OUTCOMES, "outcome"),
            rules.one_of(SPLITS, "split"),
            rules.equal("split", "split_of_date", "is the split of the day"),
            *rules.not_negative("position"),
            *rules.between(0, 1, "propensity"),
        ],
    )


def splits_frame(sequences: pa.Table) -> pd.DataFrame:
    """One row per split: steps, users and items; and, for rank and judge, users who have a history before it."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = []
    earlier = pa.array([], pa.string())
    for split in SPLITS:
        of_split = sequences.filter(pc.equal(sequences.column("split"), split))
        users, items = of_split.column("user_id").unique(), pc.list_flatten(of_split.column("item_ids"))
        known = users if split == SPLITS[0] else users.filter(pc.is_in(users, value_set=earlier))
        rows.append(
            {
                "split": split,
                "num_steps": len(items),
                "num_users": len(users),
                "num_items": len(items.unique()),
                "num_known_users": len(known),
            }
        )
        earlier = pa.concat_arrays([earlier, users])
    return pd.DataFrame(rows)


def splits() -> Suite:
    """Suite over one row per split: none is empty, and somebody can be judged by what went before."""
    return rules.suite(
        "training splits",
        [
            rules.at_least(len(SPLITS)),
            rules.one_row_per("split"),
            rules.at_least_once(SPLITS, "split"),
            *rules.between(1, rules.LARGEST, "num_steps", "num_users", "num_items"),
            *rules.between(1, rules.LARGEST, "num_known_users"),
        ],
    )


def fit() -> Suite:
    """Suite over the row of the fit split."""
    return rules.suite(
        "training fit",
        [
            rules.at_least(1),
            *rules.between(MIN_STEPS, rules.LARGEST, "num_steps"),
            *rules.between(MIN_USERS, rules.LARGEST, "num_users"),
            *rules.between(MIN_ITEMS, rules.LARGEST, "num_items"),
        ],
    )
