"""What each user acted upon, in order, over all days that are looked back on.

U users · D days of users · S steps · O other items of days · A items that users acted upon, of each user once
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from contracts.tables import HISTORIES, LOOKED
from jobs.features.ragged import flat, lists, numbered
from jobs.io.schemas import arrow_schema

#: Columns of ``features/user_days`` that histories are made of.
NEEDED = ("user_id", "event_date", "item_ids", "item_depths", "other_item_ids")


def by_user(days: list[pa.Table]) -> pa.Table:
    """Rows of ``features/user_days`` of several days, given in the order of time, in the order of user and time."""
    rows = pa.concat_tables(days)
    users, _ = numbered(rows.column("user_id"))
    return rows.take(pa.array(np.argsort(users, kind="stable")))


def ordered_histories(days: pa.Table, length: int, day: date) -> pa.Table:
    """One row per user with a step: the last ``length`` items, oldest first, and every item acted upon.

    Of each step it tells how far the user went and how many days before ``day`` that was; of everything acted upon how far
    the user ever went with it, and how many days before ``day`` the user last acted upon it.

    Args:
        days: the columns ``NEEDED`` of all rows of ``features/user_days`` of some users, in the order of user and time.
    """
    user_D, users = numbered(days.column("user_id"))
    age_D = (
        (np.datetime64(day) - days.column("event_date").to_numpy()).astype("timedelta64[D]").astype(np.int32)
    )
    steps_D, step_items = flat(days.column("item_ids"))
    others_D, other_items = flat(days.column("other_item_ids"))
    item, names = numbered(pa.concat_arrays([step_items, other_items]))
    user_S, item_S = np.repeat(user_D, steps_D), item[: len(step_items)]
    steps_U = np.bincount(user_S, minlength=len(users))
    to_end_S = np.cumsum(steps_U)[user_S] - np.arange(len(user_S))  # 1 at a user's last step
    is_kept_S = to_end_S <= length
    depth_S, age_S = flat(days.column("item_depths"))[1].to_numpy(), np.repeat(age_D, steps_D)
    history = [
        lists(user_S[is_kept_S], values, len(users))
        for values in (
            names.take(pa.array(item_S[is_kept_S])),
            pa.array(depth_S[is_kept_S]),
            pa.array(age_S[is_kept_S]),
        )
    ]

    pair = np.append(user_S, np.repeat(user_D, others_D)) * len(names) + item
    depth = np.append(depth_S, np.full(len(other_items), LOOKED, np.int32))
    age = np.append(age_S, np.repeat(age_D, others_D))
    order = np.argsort(pair)
    first_A = np.flatnonzero(np.diff(pair[order], prepend=-1))
    user_A, item_A = np.divmod(pair[order][first_A], max(len(names), 1))
    of_each = [names.take(pa.array(item_A))]
    for reduce, values in ((np.maximum, depth), (np.minimum, age)):
        of_each.append(pa.array(reduce.reduceat(values[order], first_A) if len(first_A) else values))
    seen = [lists(user_A, values, len(users)) for values in of_each]
    rows = pa.table([users, *history, *seen], schema=arrow_schema(HISTORIES))
    return rows.filter(pa.array(steps_U > 0))
