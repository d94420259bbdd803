"""What each user acted upon, in order, over all days that are looked back on.

U users · D days of users · S steps
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from contracts.tables import HISTORIES
from jobs.features.ragged import distinct, flat, lists, numbered
from jobs.io.schemas import arrow_schema


def by_user(days: list[pa.Table]) -> pa.Table:
    """Rows of ``features/user_days`` of several days, given in the order of time, in the order of user and time."""
    rows = pa.concat_tables(days)
    users, _ = numbered(rows.column("user_id"))
    return rows.take(pa.array(np.argsort(users, kind="stable")))


def ordered_histories(days: pa.Table, length: int) -> pa.Table:
    """One row per user with a step: the last ``length`` items, oldest first, and every item acted upon.

    Args:
        days: all rows of ``features/user_days`` of some users, in the order of user and time.
    """
    user_D, users = numbered(days.column("user_id"))
    steps_D, step_items = flat(days.column("item_ids"))
    others_D, other_items = flat(days.column("other_item_ids"))
    item, names = numbered(pa.concat_arrays([step_items, other_items]))
    user_S, item_S = np.repeat(user_D, steps_D), item[: len(step_items)]
    steps_U = np.bincount(user_S, minlength=len(users))
    to_end_S = np.cumsum(steps_U)[user_S] - np.arange(len(user_S))  # 1 at a user's last step
    is_kept_S = to_end_S <= length
    history = lists(user_S[is_kept_S], names.take(pa.array(item_S[is_kept_S])), len(users))
    acted_on = distinct(np.append(user_S, np.repeat(user_D, others_D)) * len(names) + item)
    seen_user, seen_item = np.divmod(acted_on, max(len(names), 1))
    seen = lists(seen_user, names.take(pa.array(seen_item)), len(users))
    rows = pa.table([users, history, seen], schema=arrow_schema(HISTORIES))
    return rows.filter(pa.array(steps_U > 0))
