"""Every suite lets a good frame through, and every one of its expectations refuses a frame made to break it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from contracts import names
from contracts.tables import (
    COVISITATION,
    DIM_ITEMS,
    FEAT_ITEM_DAILY,
    FEAT_USER_BRAND_DAILY,
    FEAT_USER_CATEGORY_DAILY,
    FEAT_USER_DAILY,
    HISTORIES,
    LISTS,
    RAW_CONSENTS,
    RAW_DECISIONS,
    RAW_EVENTS,
    RAW_IDENTITIES,
    RAW_ITEMS,
    SEQUENCES,
    TRAINING_IMPRESSIONS,
    Table,
)
from expectations import columns, features, landed, rules, scores, training
from expectations.findings import evaluate
from expectations.frames import as_frame
from jobs.io.schemas import arrow_schema
from tests.declared import valid_features

DAY = date(2011, 3, 1)
BEFORE = DAY - timedelta(days=1)
NOON = datetime(2011, 3, 1, 12)

Broken = Callable[[pd.DataFrame], pd.DataFrame]


def rows(table: Table, *given: dict[str, Any]) -> pa.Table:
    """Rows of a contracted table; what is not given is missing."""
    return pa.Table.from_pylist(
        [{**dict.fromkeys(table.columns), **row} for row in given], schema=arrow_schema(table)
    )


def events() -> pd.DataFrame:
    event = {
        "user_id": "anna",
        "item_id": "lamp",
        "event_type": "view",
        "occurred_at": NOON,
        "event_date": DAY,
        "quantity": 1,
        "unit_price_cents": 250,
        "value": -1.5,
        "dwell_ms": 10,
        "scroll_depth": 0.5,
        "position": 0,
        "propensity": 1.0,
        "received_date": DAY,
        "known_date": DAY,
    }
    anonymous = {**event, "event_id": "2", "user_id": None, "value": None, "position": None}
    unknown = {**event, "event_id": "3", "item_id": "never delivered"}
    table = rows(RAW_EVENTS, {**event, "event_id": "1"}, anonymous, unknown)
    table = table.select(list(landed.EVENT_COLUMNS))
    partition = pa.chunked_array([pa.array([DAY] * 3, pa.date32())])
    return landed.events_frame(table, partition, pa.chunked_array([["lamp"]]))


def decisions() -> pd.DataFrame:
    decision = {
        "user_id": "anna", "decided_at": NOON, "event_date": DAY, "surface": "home", "version": "v0001", "source": "personal",
        "made_from": "personal", "num_items": 10, "is_short": False, "received_date": DAY, "known_date": DAY,
    }  # fmt: skip
    popular = {**decision, "decision_id": "2", "source": "popular", "made_from": "popular", "num_items": 0}
    table = rows(RAW_DECISIONS, {**decision, "decision_id": "1"}, popular)
    return as_frame(table.select(list(landed.DECISION_COLUMNS)))


def items() -> pd.DataFrame:
    item = {"price_cents": 100, "received_date": BEFORE, "known_date": DAY}
    table = rows(RAW_ITEMS, {**item, "item_id": "lamp"}, {**item, "item_id": "rug", "price_cents": None})
    return as_frame(table.select(list(landed.ITEM_COLUMNS)))


def consents() -> pd.DataFrame:
    word = {"purpose": "personalization", "said_at": NOON, "received_date": BEFORE, "known_date": DAY}
    table = rows(
        RAW_CONSENTS,
        {**word, "user_id": "anna", "is_granted": True},
        {**word, "user_id": "ben", "is_granted": False},
    )
    return as_frame(table.select(list(landed.CONSENT_COLUMNS)))


def identities() -> pd.DataFrame:
    link = {"user_id": "anna", "linked_at": NOON, "received_date": BEFORE, "known_date": DAY}
    table = rows(RAW_IDENTITIES, {**link, "alias_id": "phone"}, {**link, "alias_id": "tablet"})
    return as_frame(table.select(list(landed.IDENTITY_COLUMNS)))


def catalogue() -> pa.Table:
    item = {"feature_date": DAY, "title": "A lamp", "price_cents": 100, "is_available": True}
    return rows(DIM_ITEMS, {**item, "item_id": "lamp"}, {**item, "item_id": "rug", "is_available": False})


def item_features() -> pd.DataFrame:
    counts = valid_features(FEAT_ITEM_DAILY) | {"feature_date": DAY}
    table = rows(FEAT_ITEM_DAILY, {**counts, "item_id": "lamp"}, {**counts, "item_id": "rug"})
    return features.items_frame(table, catalogue())


def user_features() -> pd.DataFrame:
    counts = valid_features(FEAT_USER_DAILY) | {"feature_date": DAY}
    return as_frame(rows(FEAT_USER_DAILY, {**counts, "user_id": "anna"}, {**counts, "user_id": "ben"}))


def shares() -> pd.DataFrame:
    share = {"user_id": "anna", "feature_date": DAY, "affinity_micros": 500_000}
    table = rows(FEAT_USER_CATEGORY_DAILY, {**share, "category": "light"}, {**share, "category": "floor"})
    return as_frame(table)


def brand_shares() -> pd.DataFrame:
    share = {"user_id": "anna", "feature_date": DAY} | valid_features(FEAT_USER_BRAND_DAILY)
    return as_frame(rows(FEAT_USER_BRAND_DAILY, {**share, "brand": "acme"}, {**share, "brand": "best"}))


def histories() -> pd.DataFrame:
    return features.histories_frame(
        rows(
            HISTORIES,
            {"user_id": "anna", "item_ids": ["lamp", "rug"], "seen_item_ids": ["lamp", "rug", "vase"]}
            | {
                "item_depths": [1, 3],
                "item_days_ago": [4, 0],
                "seen_depths": [3, 1, 2],
                "seen_days_ago": [0, 5, 29],
            },
            {"user_id": "ben", "item_ids": ["lamp"], "seen_item_ids": ["lamp"]}
            | {"item_depths": [1], "item_days_ago": [0], "seen_depths": [1], "seen_days_ago": [0]},
        )
    )


def recency() -> pd.DataFrame:
    users = pd.DataFrame({"user_id": ["anna", "ben", "carl"], "recency_days": [0, 0, 0]})
    return features.recency_frame(users, histories(), 30)


def neighbours() -> pd.DataFrame:
    pair = {"weight": 2, "neighbour_rank": 1}
    return features.neighbours_frame(
        rows(
            COVISITATION,
            {**pair, "item_id": "lamp", "neighbour_id": "rug"},
            {**pair, "item_id": "rug", "neighbour_id": "lamp"},
            {**pair, "item_id": "rug", "neighbour_id": "vase", "neighbour_rank": 2},
        )
    )


def training_set() -> pa.Table:
    """Twelve users: ten steps each on the first day (fit), one on a day to rank and one on a day to judge by."""
    given = []
    for user in range(12):
        items = [f"item{(user + step) % 12}" for step in range(10)]
        for split, event_date in (("fit", BEFORE - timedelta(days=1)), ("rank", BEFORE), ("judge", DAY)):
            of_split = {"item_ids": items if split == "fit" else items[:1], "split": split}
            of_split |= {"item_depths": [1] * len(of_split["item_ids"])}
            given.append({"user_id": f"user{user:02d}", "event_date": event_date} | of_split)
    return rows(SEQUENCES, *given)


def sequences() -> pd.DataFrame:
    return training.sequences_frame(training_set(), DAY, 1, 1)


def impressions() -> pd.DataFrame:
    shown = {
        "user_id": "anna",
        "item_id": "lamp",
        "event_date": BEFORE,
        "outcome": "ignored",
        "split": "rank",
    }
    placed = {**shown, "position": 1, "propensity": 0.2}
    table = rows(
        TRAINING_IMPRESSIONS,
        {**placed, "event_id": "1"},
        {**placed, "event_id": "2", "event_date": DAY, "outcome": "purchased", "split": "judge"},
        {**shown, "event_id": "3"},
    )
    return training.impressions_frame(table, DAY, 1, 1)


def lists() -> pd.DataFrame:
    popular = {"source": "popular", "is_short": True, "reason_places": [], "reason_item_ids": []}
    table = rows(
        LISTS,
        {
            "user_id": "anna",
            "source": "personal",
            "is_short": False,
            "item_ids": ["lamp", "rug"],
            "scores": [0.5, 0.5],
            "reason_places": [1, 2],
            "reason_item_ids": ["vase", "vase"],
        },
        {"user_id": "carl", **popular, "item_ids": [], "scores": []},
        {"user_id": "ben", **popular, "item_ids": ["rug"], "scores": [0.1]},
    )
    return scores.lists_frame(table, sold(), 2, nothing_seen(), repeats_allowed=False)


def sold() -> pa.Table:
    return pa.table({"item_id": ["lamp", "rug", "vase"], "is_available": [True, True, False]})


def nothing_seen() -> pa.Table:
    return rows(HISTORIES, {"user_id": "anna", "item_ids": ["vase"], "seen_item_ids": ["vase"]})


def covered() -> pd.DataFrame:
    return scores.coverage_frame(
        pa.chunked_array([["anna", "ben", "anna"]]), pa.chunked_array([["anna", "ben"]])
    )


def put(column: str, value: Any, row: int = 0) -> Broken:
    """Break one value."""

    def broken(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        if value is None and frame[column].dtype.kind in "iub":
            frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return broken


def put_all(column: str, value: Any) -> Broken:
    return lambda frame: frame.assign(**{column: value})


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    """The first row stands there twice."""
    return pd.concat([frame, frame.iloc[:1]], ignore_index=True)


def head(num_rows: int) -> Broken:
    return lambda frame: frame.iloc[:num_rows]


def day(value: date) -> pd.Timestamp:
    return pd.Timestamp(value)


MISSING, IDS, BETWEEN, EQUAL, ABOVE, SET, UNIQUE, UNIQUE_TOGETHER, ROWS, CONTAIN = (
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_ids",
    "expect_column_values_to_be_between",
    "expect_column_pair_values_to_be_equal",
    "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_column_values_to_be_in_set",
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
    "expect_table_row_count_to_be_between",
    "expect_column_distinct_values_to_contain_set",
)
NO_ROWS = {(ROWS, "(rows)"): head(0)}
WRONG_DAY = {
    (MISSING, "feature_date"): put("feature_date", None),
    (BETWEEN, "feature_date"): put("feature_date", day(BEFORE)),
}
TOO_EARLY = day(date(1989, 12, 31))
TOMORROW = day(DAY + timedelta(days=1))


def missing(*names: str) -> dict[tuple[str, str], Broken]:
    return {(MISSING, name): put(name, None) for name in names}


def negative(*names: str) -> dict[tuple[str, str], Broken]:
    return {(BETWEEN, name): put(name, -1) for name in names}


WRONG_NEIGHBOURS = (
    NO_ROWS
    | missing("item_id", "neighbour_id", "weight", "neighbour_rank")
    | {
        (IDS, "item_id"): put("item_id", "null"),
        (IDS, "neighbour_id"): put("neighbour_id", "\t"),
        (SET, "is_other"): put("is_other", False),
        (BETWEEN, "weight"): put("weight", 0),
        (BETWEEN, "neighbour_rank"): put("neighbour_rank", 51),
    }
)

#: Suite → (the suite, a good frame, one broken frame for each expectation).
CASES: dict[str, tuple[rules.Suite, Callable[[], pd.DataFrame], dict[tuple[str, str], Broken]]] = {
    "landed events": (
        landed.events(DAY),
        events,
        NO_ROWS
        | missing(
            "event_id", "item_id", "event_type", "occurred_at", "event_date", "received_date", "known_date"
        )
        | negative("quantity", "unit_price_cents", "dwell_ms", "position")
        | {
            (IDS, "event_id"): put("event_id", "  "),
            (IDS, "user_id"): put("user_id", "NaN"),
            (IDS, "item_id"): put("item_id", "lamp\u202e"),
            (UNIQUE, "event_id"): twice,
            (SET, "event_type"): put("event_type", "bought"),
            (BETWEEN, "received_date"): put("received_date", TOMORROW),
            (BETWEEN, "known_date"): put("known_date", TOMORROW),
            (BETWEEN, "occurred_at"): put("occurred_at", TOO_EARLY),
            (EQUAL, "event_date, partition_date"): put("partition_date", day(BEFORE)),
            (EQUAL, "event_date, date_of_occurred_at"): put("date_of_occurred_at", day(BEFORE)),
            (ABOVE, "known_date, received_date"): put("known_date", day(BEFORE)),
            (ABOVE, "day_after_received, event_date"): put("event_date", TOMORROW + pd.Timedelta(days=1)),
            (BETWEEN, "value"): put("value", float("inf")),
            (BETWEEN, "scroll_depth"): put("scroll_depth", 1.01),
            (BETWEEN, "propensity"): put("propensity", 1.01),
            (SET, "is_item_known"): put_all("is_item_known", False),
        },
    ),
    "landed decisions": (
        landed.decisions(DAY),
        decisions,
        NO_ROWS
        | missing(*landed.DECISION_COLUMNS)
        | {
            (IDS, "decision_id"): put("decision_id", " "),
            (IDS, "user_id"): put("user_id", "NaN"),
            (IDS, "surface"): put("surface", "a\x00b"),
            (IDS, "version"): put("version", ""),
            (UNIQUE, "decision_id"): twice,
            (SET, "source"): put("source", "guessed"),
            (SET, "made_from"): put("made_from", "guessed"),
            (BETWEEN, "event_date"): put("event_date", TOMORROW),
            (BETWEEN, "received_date"): put("received_date", TOO_EARLY),
            (BETWEEN, "known_date"): put("known_date", TOMORROW),
            (BETWEEN, "decided_at"): put("decided_at", TOO_EARLY),
            (ABOVE, "known_date, received_date"): put("known_date", day(BEFORE)),
            (BETWEEN, "num_items"): put("num_items", 101),
        },
    ),
    "landed items": (
        landed.items(DAY),
        items,
        NO_ROWS
        | missing("item_id", "received_date", "known_date")
        | negative("price_cents")
        | {
            (IDS, "item_id"): put("item_id", "a\x00b"),
            (UNIQUE_TOGETHER, "item_id, received_date"): twice,
            (BETWEEN, "received_date"): put("received_date", TOO_EARLY),
            (BETWEEN, "known_date"): put("known_date", TOMORROW),
            (ABOVE, "known_date, received_date"): put("received_date", TOMORROW),
        },
    ),
    "landed consents": (
        landed.consents(DAY),
        consents,
        NO_ROWS
        | missing(*landed.CONSENT_COLUMNS)
        | {
            (IDS, "user_id"): put("user_id", "NaN"),
            (IDS, "purpose"): put("purpose", " "),
            (UNIQUE_TOGETHER, "user_id, purpose, said_at, is_granted"): twice,
            (BETWEEN, "received_date"): put("received_date", TOO_EARLY),
            (BETWEEN, "known_date"): put("known_date", TOMORROW),
            (BETWEEN, "said_at"): put("said_at", TOO_EARLY),
            (ABOVE, "known_date, received_date"): put("received_date", TOMORROW),
        },
    ),
    "landed identities": (
        landed.identities(DAY),
        identities,
        NO_ROWS
        | missing(*landed.IDENTITY_COLUMNS)
        | {
            (IDS, "alias_id"): put("alias_id", " "),
            (IDS, "user_id"): put("user_id", "null"),
            (UNIQUE_TOGETHER, "alias_id, user_id, linked_at"): twice,
            (BETWEEN, "received_date"): put("received_date", TOO_EARLY),
            (BETWEEN, "known_date"): put("known_date", TOMORROW),
            (BETWEEN, "linked_at"): put("linked_at", TOO_EARLY),
            (ABOVE, "known_date, received_date"): put("received_date", TOMORROW),
        },
    ),
    "landed partitions": (
        landed.partitions(),
        lambda: pd.DataFrame({"partition_date": [day(BEFORE), day(DAY)], "num_rows": [1, 2]}),
        NO_ROWS
        | missing("partition_date", "num_rows")
        | {(UNIQUE, "partition_date"): twice, (BETWEEN, "num_rows"): put("num_rows", 0)},
    ),
    "dim_items": (
        features.dim_items(DAY),
        lambda: as_frame(catalogue()),
        NO_ROWS
        | WRONG_DAY
        | missing("item_id", "is_available")
        | negative("price_cents")
        | {
            (IDS, "item_id"): put("item_id", ""),
            (UNIQUE, "item_id"): twice,
            (CONTAIN, "is_available"): put_all("is_available", False),
        },
    ),
    "feat_item_daily": (
        features.feat_item_daily(DAY, 2),
        item_features,
        WRONG_DAY
        | missing("item_id")
        | {
            (ROWS, "(rows)"): head(1),  # an item of the catalogue is left out
            (IDS, "item_id"): put("item_id", "none"),
            (UNIQUE, "item_id"): twice,
            (SET, "is_in_catalogue"): put("is_in_catalogue", False),
            (ABOVE, "purchases_28d, buyers_28d"): put("buyers_28d", 4),
        },
    ),
    "feat_user_daily": (
        features.feat_user_daily(DAY),
        user_features,
        NO_ROWS
        | WRONG_DAY
        | missing("user_id")
        | {(IDS, "user_id"): put("user_id", "a" * 129), (UNIQUE, "user_id"): twice},
    ),
    "feat_user_category_daily": (
        features.feat_user_category_daily(DAY),
        shares,
        NO_ROWS
        | WRONG_DAY
        | missing("user_id", "category")
        | {(IDS, "user_id"): put("user_id", " anna"), (UNIQUE_TOGETHER, "user_id, category"): twice},
    ),
    "feat_user_brand_daily": (
        features.feat_user_brand_daily(DAY, 2),
        brand_shares,
        WRONG_DAY
        | missing("user_id", "brand")
        | {
            (ROWS, "(rows)"): head(1),  # somebody who acted on brands is left out
            (IDS, "user_id"): put("user_id", " anna"),
            (UNIQUE_TOGETHER, "user_id, brand"): twice,
        },
    ),
    "histories": (
        features.histories(2, 30),
        histories,
        NO_ROWS
        | missing("user_id", "num_item_ids", "num_seen_item_ids")
        | {
            (IDS, "user_id"): put("user_id", "undefined"),
            (UNIQUE, "user_id"): twice,
            (BETWEEN, "num_item_ids"): put("num_item_ids", 3),
            (BETWEEN, "num_seen_item_ids"): put("num_seen_item_ids", 0),
            (BETWEEN, "num_wrong_item_ids"): put("num_wrong_item_ids", 1),
            (BETWEEN, "num_wrong_seen_item_ids"): put("num_wrong_seen_item_ids", 1),
            (BETWEEN, "num_unseen"): put("num_unseen", 1),
            (EQUAL, "num_item_depths, num_item_ids"): put("num_item_depths", 3),
            (EQUAL, "num_item_days_ago, num_item_ids"): put("num_item_days_ago", 3),
            (BETWEEN, "least_item_depths"): put("least_item_depths", 0),
            (BETWEEN, "most_item_depths"): put("most_item_depths", 4),
            (BETWEEN, "least_item_days_ago"): put("least_item_days_ago", -1),
            (BETWEEN, "most_item_days_ago"): put("most_item_days_ago", 30),
            (EQUAL, "num_seen_depths, num_seen_item_ids"): put("num_seen_depths", 2),
            (EQUAL, "num_seen_days_ago, num_seen_item_ids"): put("num_seen_days_ago", 2),
            (BETWEEN, "least_seen_depths"): put("least_seen_depths", 0),
            (BETWEEN, "most_seen_depths"): put("most_seen_depths", 4),
            (BETWEEN, "least_seen_days_ago"): put("least_seen_days_ago", -1),
            (BETWEEN, "most_seen_days_ago"): put("most_seen_days_ago", 30),
        },
    ),
    "recency": (
        features.recency(),
        recency,
        {
            (ROWS, "(rows)"): head(0),
            (EQUAL, "recency_days, least_seen_days_ago"): put("recency_days", 1),
        },
    ),
    "covisitation": (
        features.neighbours(names.COVISITATION),
        neighbours,
        WRONG_NEIGHBOURS
        | {
            (UNIQUE_TOGETHER, "item_id, neighbour_id"): put("neighbour_id", "vase", 1),
            (UNIQUE_TOGETHER, "item_id, neighbour_rank"): put("neighbour_rank", 2, 1),
        },
    ),
    "training sequences": (
        training.sequences(DAY, 30),
        sequences,
        NO_ROWS
        | missing("user_id", "event_date", "split", "num_item_ids")
        | {
            (IDS, "user_id"): put("user_id", ""),
            (UNIQUE_TOGETHER, "user_id, event_date"): put("user_id", "user01"),
            (BETWEEN, "event_date"): put("event_date", day(DAY - timedelta(days=30))),
            (SET, "split"): put("split", "test"),
            (EQUAL, "split, split_of_date"): put("split", "judge"),
            (BETWEEN, "num_item_ids"): put("num_item_ids", 0),
            (EQUAL, "num_item_depths, num_item_ids"): put("num_item_depths", 3),
            (BETWEEN, "least_item_depths"): put("least_item_depths", 0),
            (BETWEEN, "most_item_depths"): put("most_item_depths", 4),
            (BETWEEN, "num_wrong_item_ids"): put("num_wrong_item_ids", 1),
        },
    ),
    "training impressions": (
        training.impressions(DAY, 30),
        impressions,
        NO_ROWS
        | missing("event_id", "user_id", "item_id", "event_date", "outcome", "split")
        | negative("position")
        | {
            (IDS, "event_id"): put("event_id", " "),
            (IDS, "user_id"): put("user_id", "null"),
            (IDS, "item_id"): put("item_id", "lamp\t"),
            (UNIQUE, "event_id"): twice,
            (BETWEEN, "event_date"): put("event_date", TOMORROW),
            (SET, "outcome"): put("outcome", "liked"),
            (SET, "split"): put("split", "test"),
            (EQUAL, "split, split_of_date"): put("split", "judge"),
            (BETWEEN, "propensity"): put("propensity", 20.0),
        },
    ),
    "training splits": (
        training.splits(),
        lambda: training.splits_frame(training_set()),
        {
            (ROWS, "(rows)"): head(2),
            (UNIQUE, "split"): twice,
            (CONTAIN, "split"): put("split", "rank"),
            (BETWEEN, "num_steps"): put("num_steps", 0),
            (BETWEEN, "num_users"): put("num_users", 0),
            (BETWEEN, "num_items"): put("num_items", 0),
            (BETWEEN, "num_known_users"): put("num_known_users", 0),
        },
    ),
    "training fit": (
        training.fit(),
        lambda: training.splits_frame(training_set()).iloc[:1],
        NO_ROWS
        | {
            (BETWEEN, "num_steps"): put("num_steps", training.MIN_STEPS - 1),
            (BETWEEN, "num_users"): put("num_users", training.MIN_USERS - 1),
            (BETWEEN, "num_items"): put("num_items", training.MIN_ITEMS - 1),
        },
    ),
    "lists": (
        scores.lists(2),
        lists,
        NO_ROWS
        | missing("user_id", "source", "is_short")
        | {
            (IDS, "user_id"): put("user_id", "NULL"),
            (UNIQUE, "user_id"): twice,
            (SET, "source"): put("source", "random"),
            (BETWEEN, "num_items"): put("num_items", 3),
            (EQUAL, "num_items, num_scores"): put("num_scores", 1),
            (EQUAL, "is_short, is_below_length"): put("is_short", True),
            (SET, "is_filled"): put_all("is_filled", False),
            (BETWEEN, "num_repeated"): put("num_repeated", 1),
            (BETWEEN, "num_unknown"): put("num_unknown", 1),
            (BETWEEN, "num_unavailable"): put("num_unavailable", 1),
            (BETWEEN, "num_seen"): put("num_seen", 1),
            (BETWEEN, "num_not_finite"): put("num_not_finite", 1),
            (BETWEEN, "num_rising"): put("num_rising", 1),
            (BETWEEN, "num_reasons"): put("num_reasons", -1),
            (EQUAL, "num_reason_places, num_reasons"): put("num_reason_places", 1),
            (BETWEEN, "num_foreign_reasons"): put("num_foreign_reasons", 1),
            (BETWEEN, "num_misplaced_reasons"): put("num_misplaced_reasons", 1),
            (BETWEEN, "num_repeated_reasons"): put("num_repeated_reasons", 1),
            (BETWEEN, "num_impersonal_reasons"): put("num_impersonal_reasons", 1),
        },
    ),
    "coverage": (
        scores.coverage(),
        covered,
        NO_ROWS | {(UNIQUE, "user_id"): twice, (SET, "is_listed"): put("is_listed", False)},
    ),
    "columns": (
        columns.columns(),
        lambda: columns.columns_frame({"user_id": "string"}, {"user_id": "string"}),
        NO_ROWS | {(EQUAL, "expected_type, found_type"): put("found_type", "int64")},
    ),
}
#: Suite → the declared features that it judges: a new one needs no word here.
FEATURES_OF = {
    table.short_name: table.features
    for table in (FEAT_ITEM_DAILY, FEAT_USER_DAILY, FEAT_USER_CATEGORY_DAILY, FEAT_USER_BRAND_DAILY)
}
BROKEN = [(name, *key) for name, (_, _, broken) in CASES.items() for key in broken]


def only(suite: rules.Suite, expectation: str, column: str) -> rules.Suite:
    """The suite with nothing but one of its expectations."""
    chosen = [
        each
        for each in suite.expectations
        if (each.expectation_type, column_of(each)) == (expectation, column)
    ]
    assert len(chosen) == 1, f"{suite.name} has {len(chosen)} expectations {expectation} on {column}"
    return rules.suite("one", chosen)


def column_of(expectation: Any) -> str:
    kwargs = expectation.configuration.kwargs
    pair = [kwargs[name] for name in ("column_A", "column_B") if name in kwargs]
    return ", ".join(kwargs.get("column_list", pair)) or kwargs.get("column", "(rows)")


@pytest.mark.parametrize("name", CASES)
def test_a_good_frame_passes(name: str) -> None:
    suite, good, _ = CASES[name]
    findings = evaluate(suite, good())
    assert len(findings) == len(suite.expectations)
    assert [finding for finding in findings if not finding.is_met] == []


@pytest.mark.parametrize(("name", "expectation", "column"), BROKEN)
def test_a_broken_frame_is_refused(name: str, expectation: str, column: str) -> None:
    suite, good, broken = CASES[name]
    [finding] = evaluate(only(suite, expectation, column), broken[(expectation, column)](good()))
    assert not finding.is_met
    assert "could not be evaluated" not in finding.observed  # refused for what it is, not by accident
    assert finding.meaning


@pytest.mark.parametrize("name", CASES)
def test_every_expectation_has_a_broken_frame(name: str) -> None:
    suite, _, broken = CASES[name]
    configured = [(each.expectation_type, column_of(each)) for each in suite.expectations]
    declared = [feature.name for feature in FEATURES_OF.get(name, ())]
    assert sorted(each for each in configured if each[1] not in declared) == sorted(broken)


@pytest.mark.parametrize("name", FEATURES_OF)
def test_a_feature_is_held_to_what_its_yaml_says(name: str) -> None:
    """Missing where it never is, and just beyond its bound: all of a table's features at once."""
    suite, good, _ = CASES[name]
    empty, beyond = good(), good()
    for feature in FEATURES_OF[name]:
        empty = put(feature.name, None)(empty)
        bounds = ((feature.at_most, 1), (feature.at_least, -1))
        value = next((bound + step for bound, step in bounds if bound is not None), 2 * rules.LARGEST)
        if feature.data_type != "boolean":
            beyond = put(feature.name, int(value))(beyond)
    for frame, rule, wanted in (
        (empty, MISSING, {each.name for each in FEATURES_OF[name] if each.missing is None}),
        (beyond, BETWEEN, {each.name for each in FEATURES_OF[name] if each.data_type != "boolean"}),
    ):
        refused = {
            column_of(each)
            for each, finding in zip(suite.expectations, evaluate(suite, frame), strict=True)
            if each.expectation_type == rule and not finding.is_met
        }
        assert refused == wanted
        assert wanted


def test_every_suite_has_a_case() -> None:
    """A function that returns a suite, in any file of the room, is judged here."""
    written = {
        f"{module.__name__.removeprefix('expectations.')}.{name}"
        for module in (columns, features, landed, scores, training)
        for name, function in vars(module).items()
        if getattr(function, "__annotations__", {}).get("return") == "Suite"
        and function.__module__ == module.__name__
    }
    assert len(written) == len(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_suite_begins_with_a_floor_of_rows(name: str) -> None:
    assert CASES[name][0].expectations[0].expectation_type == ROWS


@pytest.mark.parametrize("wrong", ["", " ", "a ", "\u200bb", "NaN", "null", "tab\there", "x" * 129])
@pytest.mark.parametrize("repeats", [1, 3])
def test_a_wrong_id_is_found_and_counted_wherever_it_stands(wrong: str, repeats: int) -> None:
    """Ids that repeat are looked at once each; beyond the first thousand as well."""
    ids = [f"user {number // repeats}" for number in range(3000)]
    suite = rules.suite("ids", rules.ids("user_id"))
    frame = as_frame(pa.table({"user_id": ids}))
    assert [finding.is_met for finding in evaluate(suite, frame)] == [True]
    for place in (0, 2000, 2999):
        ids[place] = wrong
    [finding] = evaluate(suite, as_frame(pa.table({"user_id": ids})))
    assert not finding.is_met
    assert "3 of 3,000" in finding.observed
