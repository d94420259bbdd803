"""What each user acted upon, in order, over all days that are looked back on.

U users · D days of users · S steps
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from contracts.tables import HISTORIES
from jobs.features.ragged import flat, lists, numbered
from jobs.io.schemas import arrow_schema, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def ordered_histories(user_days: DataFrame, length: int) -> DataFrame:
    """One row per user with a step: the last ``length`` items, oldest first, and every item acted upon.

    Args:
        user_days: rows of ``features/user_days``, a user's in one part, in the order of user and time.
    """
    return user_days.select("user_id", "item_ids", "other_item_ids").mapInArrow(
        partial(_of_partition, length=length), spark_schema(HISTORIES)
    )


def _of_partition(batches: Iterable[pa.RecordBatch], length: int) -> Iterator[pa.RecordBatch]:
    if read := list(batches):
        yield from of_days(pa.Table.from_batches(read), length).to_batches()


def of_days(days: pa.Table, length: int) -> pa.Table:
    """Rows of ``features/histories`` from all days of some users, in the order of user and time."""
    user_D = days.column("user_id").combine_chunks().dictionary_encode()
    of_user_D = user_D.indices.to_numpy().astype(np.int64)  # numbered as they come, so never falling
    steps_D, step_items = flat(days.column("item_ids"))
    others_D, other_items = flat(days.column("other_item_ids"))
    item, names = numbered(pa.concat_arrays([step_items, other_items]))
    user_S = np.repeat(of_user_D, steps_D)
    num_users = len(user_D.dictionary)
    steps_U = np.bincount(user_S, minlength=num_users)
    has_steps_U = steps_U > 0
    to_end_S = np.cumsum(steps_U)[user_S] - np.arange(len(user_S))  # 1 at a user's last step
    is_kept_S = to_end_S <= length
    history = lists(user_S[is_kept_S], names.take(pa.array(item[: len(user_S)][is_kept_S])), num_users)
    users = np.concatenate([user_S, np.repeat(of_user_D, others_D)])
    seen_user, seen_item = np.divmod(np.unique(users * len(names) + item), max(len(names), 1))
    seen = lists(seen_user, names.take(pa.array(seen_item)), num_users)
    rows = pa.table([user_D.dictionary, history, seen], schema=arrow_schema(HISTORIES))
    return rows.filter(pa.array(has_steps_U))
