"""What has to hold of a training set, before hours are spent on it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from contracts.tables import SPLITS
from expectations import rules
from expectations.frames import as_frame
from expectations.rules import Suite

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Fewer steps, users or items to fit on teach nothing that popularity does not say.
MIN_STEPS = 100
MIN_USERS = 10
MIN_ITEMS = 10


def sequences_frame(sequences: pa.Table, day: date, judge_days: int) -> pd.DataFrame:
    """Steps in the order of users and numbers, beside what each should be by its day and by the one before."""
    import numpy as np
    import pandas as pd

    frame = as_frame(sequences).sort_values(["user_id", "sequence_number"], kind="stable", ignore_index=True)
    ends = [pd.Timestamp(day - timedelta(days=parts * judge_days)) for parts in (2, 1)]
    dates = frame["event_date"]
    frame["split_of_date"] = pd.Series(
        np.select([dates <= ends[0], dates <= ends[1]], SPLITS[:2], SPLITS[2]), dtype=frame["split"].dtype
    )
    is_first = (frame["user_id"] != frame["user_id"].shift()).fillna(True).to_numpy(dtype=bool)
    before = frame["sequence_number"].shift(fill_value=0).where(~is_first, 0)
    frame["is_numbered"] = frame["sequence_number"] == before + 1
    frame["is_in_order"] = is_first | (dates >= dates.shift()).to_numpy(dtype=bool)
    return frame


def sequences(day: date, history_days: int) -> Suite:
    """Suite of ``training/sequences``: every user's steps in order, each in the split of its day."""
    first = day - timedelta(days=history_days - 1)
    return rules.suite(
        "training sequences",
        [
            rules.at_least(MIN_STEPS),
            *rules.never_missing("user_id", "sequence_number", "item_id", "event_date", "split"),
            *rules.ids("user_id", "item_id"),
            rules.one_row_per("user_id", "sequence_number"),
            *rules.within_days(first, day, "event_date"),
            rules.one_of(SPLITS, "split"),
            rules.equal("split", "split_of_date", "is the split of the step's day"),
            rules.always("is_numbered", "a user's steps are numbered from 1 without a gap"),
            rules.always("is_in_order", "a user's steps never go back in time"),
        ],
    )


def splits_frame(sequences: pd.DataFrame) -> pd.DataFrame:
    """One row per split: steps, users and items; and, for rank and judge, users who have a history before it."""
    import pandas as pd

    rows = []
    earlier: set[str] = set()
    for split in SPLITS:
        of_split = sequences[sequences["split"] == split]
        users = set(of_split["user_id"])
        rows.append(
            {
                "split": split,
                "num_steps": len(of_split),
                "num_users": len(users),
                "num_items": of_split["item_id"].nunique(),
                "num_known_users": len(users if split == SPLITS[0] else users & earlier),
            }
        )
        earlier |= users
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
            *rules.between(MIN_USERS, rules.LARGEST, "num_users"),
            *rules.between(MIN_ITEMS, rules.LARGEST, "num_items"),
        ],
    )
