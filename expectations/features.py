"""What has to hold of features, histories and neighbours, before anything is scored by them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from contracts.features import Feature
from contracts.tables import (
    DEPTHS,
    FEAT_ITEM_DAILY,
    FEAT_USER_BRAND_DAILY,
    FEAT_USER_CATEGORY_DAILY,
    FEAT_USER_DAILY,
    MAX_NEIGHBOURS,
    Table,
)
from expectations import rules
from expectations.frames import as_frame, count_items, count_numbers
from expectations.rules import Rule, Suite

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

#: Types of features that have bounds; a truth has none, and a text is no quantity.
_COUNTED = ("integer", "bigint", "double precision")


def _of_the_day(day: date) -> list[Rule]:
    return [*rules.never_missing("feature_date"), *rules.within_days(day, day, "feature_date")]


def items_frame(items: pa.Table, catalogue: pa.Table) -> pd.DataFrame:
    """Rows by item with ``is_in_catalogue``."""
    import pyarrow.compute as pc

    known = catalogue.column("item_id").combine_chunks()
    return as_frame(
        items.append_column("is_in_catalogue", pc.is_in(items.column("item_id"), value_set=known))
    )


def dim_items(day: date) -> Suite:
    return rules.suite(
        "dim_items",
        [
            rules.at_least(1),
            *rules.never_missing("item_id", "is_available"),
            *_of_the_day(day),
            *rules.ids("item_id"),
            rules.one_row_per("item_id"),
            *rules.not_negative("price_cents"),
            rules.at_least_once([True], "is_available"),
        ],
    )


def feat_item_daily(day: date, num_items: int) -> Suite:
    """Suite of the items' features: every item of the catalogue, and no other."""
    return rules.suite(
        "feat_item_daily",
        [
            rules.at_least(max(num_items, 1)),
            *_features(FEAT_ITEM_DAILY, day),
            rules.always("is_in_catalogue", "is an item of the catalogue"),
            rules.not_above("buyers_28d", "purchases_28d", "no more buyers than purchases"),
        ],
    )


def feat_user_daily(day: date) -> Suite:
    return rules.suite("feat_user_daily", [rules.at_least(1), *_features(FEAT_USER_DAILY, day)])


def feat_user_category_daily(day: date) -> Suite:
    return rules.suite(
        "feat_user_category_daily", [rules.at_least(1), *_features(FEAT_USER_CATEGORY_DAILY, day)]
    )


def feat_user_brand_daily(day: date, num_users: int) -> Suite:
    """Suite of the affinities to brands, of so many users at least: of nobody where the shop names no brands."""
    floor = rules.at_least(num_users)
    return rules.suite("feat_user_brand_daily", [floor, *_features(FEAT_USER_BRAND_DAILY, day)])


def _features(table: Table, day: date) -> list[Rule]:
    """What has to hold of a feature table: its key, and of each feature the bounds that its YAML declares."""
    entities = [column for column in table.key if column != "feature_date"]
    ids = [column for column in entities if column.endswith("_id")]
    always = [feature.name for feature in table.features if feature.missing is None]
    return [
        *rules.never_missing(*entities, *always),
        *_of_the_day(day),
        *rules.ids(*ids),
        rules.one_row_per(*entities),
        *(rule for feature in table.features if feature.data_type in _COUNTED for rule in _bounds(feature)),
    ]


def _bounds(feature: Feature) -> list[Rule]:
    """Finite, and within what its YAML says."""
    low, high = feature.at_least, feature.at_most
    if high is None and low is None:
        return rules.finite(feature.name)
    if high is None and low == 0:
        return rules.not_negative(feature.name)
    return rules.between(
        -rules.LARGEST if low is None else low, rules.LARGEST if high is None else high, feature.name
    )


def histories_frame(histories: pa.Table) -> pd.DataFrame:
    """One row per user: how long the history is, and what is wrong in it."""
    import numpy as np
    import pyarrow as pa

    frame = as_frame(histories)
    for column in ("item_ids", "seen_item_ids"):
        count_items(frame, histories, column)
    items, seen = (
        histories.column("item_ids").combine_chunks(),
        histories.column("seen_item_ids").combine_chunks(),
    )
    every = pa.chunked_array([items.flatten(), seen.flatten()]).unique()
    unseen = _not_among(_pairs(items, every), _pairs(seen, every)) // max(len(every), 1)
    frame["num_unseen"] = np.bincount(unseen, minlength=len(frame))
    for column in ("item_depths", "item_days_ago", "seen_depths", "seen_days_ago"):
        count_numbers(frame, histories, column)
    return frame


def _not_among(pairs: npt.NDArray[np.int64], known: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The distinct pairs that are not known; both sorted first, as millions of them are hashed slowly."""
    import numpy as np

    pairs, known = np.sort(pairs), np.sort(known)
    at = np.searchsorted(known, pairs)
    is_known = at < len(known)
    is_known[is_known] = known[at[is_known]] == pairs[is_known]
    return np.unique(pairs[~is_known])


def _pairs(lists: pa.ListArray, vocabulary: pa.Array) -> npt.NDArray[np.int64]:
    """Row and item as one integer, for every entry of every list."""
    import numpy as np
    import pyarrow.compute as pc

    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    items = pc.index_in(lists.flatten(), value_set=vocabulary).to_numpy(zero_copy_only=False).astype(np.int64)
    pairs: npt.NDArray[np.int64] = rows * len(vocabulary) + items
    return pairs


def histories(history_length: int, history_days: int) -> Suite:
    return rules.suite(
        "histories",
        [
            rules.at_least(1),
            *rules.never_missing("user_id", "num_item_ids", "num_seen_item_ids"),
            *rules.ids("user_id"),
            rules.one_row_per("user_id"),
            *rules.between(1, history_length, "num_item_ids"),
            *rules.between(1, rules.LARGEST, "num_seen_item_ids"),
            rules.none_of_them("num_wrong_item_ids", "holds nothing but ids"),
            rules.none_of_them("num_wrong_seen_item_ids", "holds nothing but ids of seen items"),
            rules.none_of_them("num_unseen", "holds no item that is not among the seen ones"),
            rules.equal("num_item_depths", "num_item_ids", "one depth for each item"),
            rules.equal("num_item_days_ago", "num_item_ids", "one age for each item"),
            rules.equal("num_seen_depths", "num_seen_item_ids", "one depth for each seen item"),
            rules.equal("num_seen_days_ago", "num_seen_item_ids", "one age for each seen item"),
            *(
                rule
                for of in ("item", "seen")
                for rule in (
                    *rules.between(DEPTHS[0], DEPTHS[-1], f"least_{of}_depths", f"most_{of}_depths"),
                    *rules.between(0, history_days - 1, f"least_{of}_days_ago", f"most_{of}_days_ago"),
                )
            ),
        ],
    )


def recency_frame(users: pd.DataFrame, histories: pd.DataFrame, history_days: int) -> pd.DataFrame:
    """Who has features and a history that reach equally far: what either says about the last day on which they acted.

    Args:
        users: rows of ``features/feat_user_daily``.
        histories: of :func:`histories_frame`.
    """
    recent = users.loc[users["recency_days"] < history_days, ["user_id", "recency_days"]]
    return recent.merge(histories[["user_id", "least_seen_days_ago"]], on="user_id")


def recency() -> Suite:
    """Suite that holds two engines beside each other: dbt counts the features, Spark the histories."""
    told = "features and history tell of the same last day"
    return rules.suite(
        "recency", [rules.at_least(1), rules.equal("recency_days", "least_seen_days_ago", told)]
    )


def neighbours_frame(neighbours: pa.Table) -> pd.DataFrame:
    import pyarrow.compute as pc

    is_other = pc.not_equal(neighbours.column("item_id"), neighbours.column("neighbour_id"))
    return as_frame(neighbours.append_column("is_other", is_other))


def neighbours(table: str) -> Suite:
    """Suite of the neighbours of co-visitation or of co-purchase, ranked anew for each item."""
    return rules.suite(
        table.rpartition("/")[-1],
        [
            rules.at_least(1),
            *rules.never_missing("item_id", "neighbour_id", "weight", "neighbour_rank"),
            *rules.ids("item_id", "neighbour_id"),
            rules.one_row_per("item_id", "neighbour_id"),
            rules.one_row_per("item_id", "neighbour_rank"),
            rules.always("is_other", "no item is its own neighbour"),
            *rules.between(1, rules.LARGEST, "weight"),
            *rules.between(1, MAX_NEIGHBOURS, "neighbour_rank"),
        ],
    )
