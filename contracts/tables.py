"""Columns, types and grain of each table that crosses a room.

Types are spelt as SQL spells them on both warehouses: text, bigint, integer, double precision, date,
timestamp (UTC, microseconds), boolean; ``text[]`` and ``double[]`` stand for Parquet lists.

``known_date`` is on every raw row: the first day whose run may see it. A run of day D reads rows with
``known_date <= D`` and nothing else, which is what makes a backfill give what that day gave.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts import names
from contracts.features import Feature, declared_columns, declared_grain, features_of


@dataclass(frozen=True)
class Table:
    """What one table promises: its grain, the columns of its key, and all columns in order."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: dict[str, str]

    @property
    def short_name(self) -> str:
        """The name without its layer: what the warehouse and dbt call it."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns that are no keys, described; of a feature table only."""
        return features_of(self.short_name, self.key)


RAW_EVENTS = Table(
    names.RAW_EVENTS,
    "One row per accepted event.",
    ("event_id",),
    {
        "event_id": "text",
        "user_id": "text",
        "item_id": "text",
        "event_type": "text",
        "occurred_at": "timestamp",
        "event_date": "date",
        "session_id": "text",
        "quantity": "bigint",
        "unit_price_cents": "bigint",
        "value": "double precision",
        "dwell_ms": "bigint",
        "scroll_depth": "double precision",
        "surface": "text",
        "position": "integer",
        "decision_id": "text",
        "propensity": "double precision",
        "received_date": "date",
        "known_date": "date",
        "body_hash": "text",
    },
)
RAW_DECISIONS = Table(
    names.RAW_DECISIONS,
    "One row per accepted decision: an answer of the API.",
    ("decision_id",),
    {
        "decision_id": "text",
        "user_id": "text",
        "decided_at": "timestamp",
        "event_date": "date",
        "surface": "text",
        "version": "text",
        "source": "text",
        "made_from": "text",
        "fallback": "text",
        "num_items": "integer",
        "is_short": "boolean",
        "variant": "text",  # "experiment:variant"; null of who took part in none
        "rules_applied": "text",  # labels, a space between them; null where there were none
        "rules_dropped": "text",
        "shadow": "text",  # JSON: ids of what the variant would have shown; null where it was not in the shadow
        "received_date": "date",
        "known_date": "date",
        "body_hash": "text",
    },
)
RAW_ITEMS = Table(
    names.RAW_ITEMS,
    "One row per item and delivery.",
    ("item_id", "received_date"),
    {
        "item_id": "text",
        "title": "text",
        "category": "text",
        "brand": "text",
        "price_cents": "bigint",
        "available_from": "timestamp",
        "available_until": "timestamp",
        "attributes": "text",
        "received_date": "date",
        "known_date": "date",
    },
)
RAW_USERS = Table(
    names.RAW_USERS,
    "One row per user and delivery.",
    ("user_id", "received_date"),
    {
        "user_id": "text",
        "created_at": "timestamp",
        "attributes": "text",
        "received_date": "date",
        "known_date": "date",
    },
)
RAW_CONSENTS = Table(
    names.RAW_CONSENTS,
    "One row per word that a person has said about a purpose and delivery.",
    ("user_id", "purpose", "said_at", "is_granted", "received_date"),
    {
        "user_id": "text",
        "purpose": "text",
        "is_granted": "boolean",
        "said_at": "timestamp",
        "received_date": "date",
        "known_date": "date",
    },
)
RAW_IDENTITIES = Table(
    names.RAW_IDENTITIES,
    "One row per link of an alias to a user and delivery.",
    ("alias_id", "user_id", "linked_at", "received_date"),
    {
        "alias_id": "text",
        "user_id": "text",
        "linked_at": "timestamp",
        "received_date": "date",
        "known_date": "date",
    },
)
FCT_INTERACTIONS = Table(
    names.FCT_INTERACTIONS,
    "One row per event of a known user with a catalogue item that says something about taste (impressions do not).",
    ("event_id",),
    {
        "event_id": "text",
        "user_id": "text",
        "item_id": "text",
        "event_type": "text",
        "occurred_at": "timestamp",
        "event_date": "date",
        "known_date": "date",
        "session_id": "text",  # the shop's, or where it has none a derived one
        "weight": "integer",  # taste in whole points: view 1, engaged view 2, cart 3, purchase 5, return -5, rating -2…2
        "quantity": "bigint",
        "revenue_cents": "bigint",
    },
)
FCT_IMPRESSIONS = Table(
    names.FCT_IMPRESSIONS,
    "One row per impression: an item of ours shown to a user, and what followed within the day: the outcome of a decision.",
    ("event_id",),
    {
        "event_id": "text",
        "user_id": "text",
        "item_id": "text",
        "occurred_at": "timestamp",
        "event_date": "date",
        "known_date": "date",
        "surface": "text",
        "position": "integer",
        "decision_id": "text",
        "propensity": "double precision",  # with which the item was chosen for its place; null where none was logged
        "is_clicked": "boolean",
        "is_carted": "boolean",
        "is_purchased": "boolean",
        "clicked_known_date": "date",  # a late click revises the row: a run of D counts those known up to D
        "carted_known_date": "date",
        "purchased_known_date": "date",
    },
)
FCT_DECISIONS = Table(
    names.FCT_DECISIONS,
    "One row per decision: an answer of the API to a user, and what followed what was shown of it within the day.",
    ("decision_id",),
    {
        "decision_id": "text",
        "user_id": "text",
        "decided_at": "timestamp",
        "event_date": "date",
        "known_date": "date",
        "surface": "text",
        "version": "text",
        "source": "text",  # the rung of the ladder that the answer comes from, see contracts.decisions
        "fallback": "text",  # why it is no higher one; null where nothing was missing
        "made_from": "text",  # what the list itself was made from, one of contracts.lists.SOURCES
        "num_items": "integer",
        "is_short": "boolean",
        "variant": "text",
        "rules_applied": "text",
        "rules_dropped": "text",
        "shadow": "text",
        "is_shown": "boolean",
        "is_clicked": "boolean",
        "is_carted": "boolean",
        "is_purchased": "boolean",
        "shown_known_date": "date",  # what becomes known late revises the row: a run of D counts what is known up to D
        "clicked_known_date": "date",
        "carted_known_date": "date",
        "purchased_known_date": "date",
    },
)
DIM_ITEMS = Table(
    names.DIM_ITEMS,
    "One row per catalogue item and day, as known when the day ended.",
    ("item_id", "feature_date"),
    {
        "item_id": "text",
        "feature_date": "date",
        "title": "text",
        "category": "text",
        "brand": "text",
        "price_cents": "bigint",
        "available_from": "timestamp",
        "available_until": "timestamp",
        "attributes": "text",
        "is_available": "boolean",
    },
)


def _feature_table(name: str, *key: str) -> Table:
    """A table whose columns the YAML of its dbt model declares: see :mod:`contracts.features`."""
    model = name.rsplit("/", 1)[-1]
    return Table(name, declared_grain(model), key, declared_columns(model))


FEAT_USER_DAILY = _feature_table(names.FEAT_USER_DAILY, "user_id", "feature_date")
FEAT_ITEM_DAILY = _feature_table(names.FEAT_ITEM_DAILY, "item_id", "feature_date")
FEAT_USER_CATEGORY_DAILY = _feature_table(
    names.FEAT_USER_CATEGORY_DAILY, "user_id", "category", "feature_date"
)
FEAT_USER_BRAND_DAILY = _feature_table(names.FEAT_USER_BRAND_DAILY, "user_id", "brand", "feature_date")
#: How far somebody went with an item: looked at it (or rated it, or sent it back), put it into the cart, bought it.
DEPTHS = (LOOKED, IN_CART, BOUGHT) = (1, 2, 3)
USER_DAYS = Table(
    names.USER_DAYS,
    "One row per user and event day: what the user acted upon.",
    ("user_id", "event_date"),
    {
        "user_id": "text",
        "event_date": "date",
        "item_ids": "text[]",  # the items that the user wanted, in the order of time; an item in a row counts once
        "item_depths": "integer[]",  # of each of them: how far the user went, one of DEPTHS
        "other_item_ids": "text[]",  # the items that were only returned or rated badly, sorted
        "basket_item_ids": "text[]",  # the latest different items that the user wanted, sorted
        "basket_weights": "integer[]",  # of each of them: the sum of its events' weights, as much as a purchase at most
    },
)
PAIR_DAYS = Table(
    names.PAIR_DAYS,
    "One row per event day, two items that one user acted on, the lesser id first, and share of a very large day's users.",
    ("event_date", "item_id", "other_item_id"),
    {
        "event_date": "date",
        "item_id": "text",
        "other_item_id": "text",
        "weight": "bigint",  # of each user the lesser weight of the two, added up; equal pairs add up further
    },
)
HISTORIES = Table(
    names.HISTORIES,
    "One row per user with a positive interaction in the last history_days, as known when the day ended.",
    ("user_id",),
    {
        "user_id": "text",
        "item_ids": "text[]",  # the last history_length items, oldest first
        "item_depths": "integer[]",  # of each of them: how far the user went that time, one of DEPTHS
        "item_days_ago": "integer[]",  # of each of them: how long ago that was
        "seen_item_ids": "text[]",  # every item acted upon in history_days, sorted
        "seen_depths": "integer[]",  # of each of them: how far the user ever went, one of DEPTHS
        "seen_days_ago": "integer[]",  # of each of them: how long ago the user last acted upon it
    },
)
#: Neighbours that co-visitation and co-purchase keep for an item.
MAX_NEIGHBOURS = 50
_NEIGHBOUR_COLUMNS = {
    "item_id": "text",
    "neighbour_id": "text",
    "weight": "bigint",
    "neighbour_rank": "integer",  # from 1 (heaviest) to MAX_NEIGHBOURS
}
COVISITATION = Table(
    names.COVISITATION,
    "One row per item and neighbour: how often one user acted on both within a day, weighted.",
    ("item_id", "neighbour_id"),
    dict(_NEIGHBOUR_COLUMNS),
)
COPURCHASE = Table(
    names.COPURCHASE,
    "One row per item and neighbour: how many users bought both within history_days, whatever the day.",
    ("item_id", "neighbour_id"),
    dict(_NEIGHBOUR_COLUMNS),
)
#: The parts of a training set in the order of time, see jobs/features/cutoffs.py.
SPLITS = (FIT, RANK, JUDGE) = ("fit", "rank", "judge")
SEQUENCES = Table(
    names.SEQUENCES,
    "One row per user and day with a positive interaction in the last history_days, split in time.",
    ("user_id", "event_date"),
    {
        "user_id": "text",
        "event_date": "date",
        "item_ids": "text[]",  # what the user wanted that day, in the order of time
        "item_depths": "integer[]",  # of each of them: how far the user went, one of DEPTHS
        "split": "text",  # fit, rank or judge
    },
)
#: What came of an impression, the strongest last.
OUTCOMES = (IGNORED, CLICKED, CARTED, PURCHASED) = ("ignored", "clicked", "carted", "purchased")
TRAINING_IMPRESSIONS = Table(
    names.TRAINING_IMPRESSIONS,
    "One row per impression of the last history_days, with what came of it as far as the day knows, split in time.",
    ("event_id",),
    {
        "event_id": "text",
        "user_id": "text",
        "item_id": "text",
        "event_date": "date",
        "position": "integer",
        "propensity": "double precision",  # null where none was logged
        "outcome": "text",  # the strongest of OUTCOMES
        "split": "text",  # fit, rank or judge
    },
)
_LIST_COLUMNS = {
    "user_id": "text",
    "source": "text",  # one of contracts.lists.SOURCES: what the list was made from
    "is_short": "boolean",
    "item_ids": "text[]",
    "scores": "double[]",  # rounded to 1e-6, never rising
    # Why: past items that speak most for a place, a place's side by side, the strongest first (jobs/ranking/reasons.py).
    "reason_places": "integer[]",  # from 1 to EXPLAINED_PLACES, never falling; none in a popular list
    "reason_item_ids": "text[]",  # of each of them an item of the user's own history
}
LISTS = Table(names.LISTS, "One row per user: the ranked list of the day.", ("user_id",), dict(_LIST_COLUMNS))
LISTS_RETRAINED = Table(
    names.LISTS_RETRAINED,
    "One row per user: the ranked list a retraining gave.",
    ("user_id",),
    dict(_LIST_COLUMNS),
)
ROW_ACCOUNTS = Table(
    "ops/row_accounts",
    "One row per delivery, outcome and reason: how many rows came to it.",
    ("received_date", "kind", "outcome", "reason"),
    {"received_date": "date", "kind": "text", "outcome": "text", "reason": "text", "num_rows": "bigint"},
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        RAW_EVENTS,
        RAW_DECISIONS,
        RAW_ITEMS,
        RAW_USERS,
        RAW_CONSENTS,
        RAW_IDENTITIES,
        FCT_INTERACTIONS,
        FCT_IMPRESSIONS,
        FCT_DECISIONS,
        DIM_ITEMS,
        FEAT_USER_DAILY,
        FEAT_ITEM_DAILY,
        FEAT_USER_CATEGORY_DAILY,
        FEAT_USER_BRAND_DAILY,
        USER_DAYS,
        PAIR_DAYS,
        HISTORIES,
        COVISITATION,
        COPURCHASE,
        SEQUENCES,
        TRAINING_IMPRESSIONS,
        LISTS,
        LISTS_RETRAINED,
    )
}
