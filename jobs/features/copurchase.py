"""Which items the same users buy, whatever days lie between.

S steps · P purchases · B different items that users bought
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from contracts.tables import BOUGHT
from jobs.features.covisitation import pair_days
from jobs.features.ragged import flat, lists, numbered
from jobs.features.user_days import latest_items

#: Only a user's latest items count, so that no reseller explodes the pairs.
MAX_ITEMS_A_BUYER = 50


def bought_pairs(days: pa.Table) -> pa.Table:
    """One row per pair of items that somebody bought, the lesser id first; its weight is how many users did.

    The rows are like those of ``features/pair_days``, and all of the last day of the users: a window is one basket.

    Args:
        days: all rows of ``features/user_days`` of some users, in the order of user and time.
    """
    user_D, users = numbered(days.column("user_id"))
    lengths_D, items = flat(days.column("item_ids"))
    is_bought_S = flat(days.column("item_depths"))[1].to_numpy() == BOUGHT
    item_S, names = numbered(items)
    pair_P = (np.repeat(user_D, lengths_D) * len(names) + item_S)[is_bought_S]
    user_B, item_B = np.divmod(latest_items(pair_P, len(names), MAX_ITEMS_A_BUYER), max(len(names), 1))
    last = days.column("event_date").to_numpy().max() if len(days) else np.datetime64("1970-01-01")
    baskets = {
        "event_date": pa.array(np.full(len(users), last, "datetime64[D]")),
        "basket_item_ids": pa.chunked_array([lists(user_B, names.take(pa.array(item_B)), len(users))]),
        "basket_weights": pa.chunked_array(
            [lists(user_B, pa.array(np.ones(len(item_B), np.int32)), len(users))]
        ),
    }
    return pair_days(pa.table(baskets))
