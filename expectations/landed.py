"""What has to hold of what has landed, before anything is built on it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, get_args

from contracts.decisions import MOST_ITEMS, Source
from contracts.feed import EVENT_TYPES
from contracts.lists import SOURCES
from expectations import rules
from expectations.frames import as_frame
from expectations.rules import Suite

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: What the suite of events looks at; the other columns are free text or keys of other tables.
EVENT_COLUMNS = (
    "event_id",
    "user_id",
    "item_id",
    "event_type",
    "occurred_at",
    "event_date",
    "quantity",
    "unit_price_cents",
    "value",
    "dwell_ms",
    "scroll_depth",
    "position",
    "propensity",
    "received_date",
    "known_date",
)
DECISION_COLUMNS = (
    "decision_id",
    "user_id",
    "decided_at",
    "event_date",
    "surface",
    "version",
    "source",
    "made_from",
    "num_items",
    "is_short",
    "received_date",
    "known_date",
)
ITEM_COLUMNS = ("item_id", "price_cents", "received_date", "known_date")
CONSENT_COLUMNS = ("user_id", "purpose", "is_granted", "said_at", "received_date", "known_date")
IDENTITY_COLUMNS = ("alias_id", "user_id", "linked_at", "received_date", "known_date")

#: Events of items that nobody has described say nothing. A few are usual; if they are most, the catalogue is missing.
MIN_KNOWN_SHARE = 0.5

_FIRST_DAY = date(1990, 1, 1)


def events_frame(
    events: pa.Table, partition_dates: pa.ChunkedArray, known_items: pa.ChunkedArray
) -> pd.DataFrame:
    """Events with what the suite compares them to: the partition they lie in, the catalogue, the day after."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    dates = pc.cast(events.column("occurred_at"), pa.date32())
    frame = as_frame(
        events.append_column("partition_date", partition_dates)
        .append_column("date_of_occurred_at", dates)
        .append_column(
            "is_item_known", pc.is_in(events.column("item_id"), value_set=known_items.combine_chunks())
        )
    )
    # A clock that is a little fast, or a delivery a little late in the day, may touch the next day.
    frame["day_after_received"] = frame["received_date"] + pd.Timedelta(days=1)
    return frame


def events(day: date) -> Suite:
    """Suite of ``raw/events``: what the landing of ``day`` touched, as the run of ``day`` sees it."""
    return rules.suite(
        "landed events",
        [
            rules.at_least(1),
            *rules.never_missing(
                "event_id",
                "item_id",
                "event_type",
                "occurred_at",
                "event_date",
                "received_date",
                "known_date",
            ),
            *rules.ids("event_id", "user_id", "item_id"),
            rules.one_row_per("event_id"),
            rules.one_of(EVENT_TYPES, "event_type"),
            *rules.within_days(_FIRST_DAY, day, "received_date", "known_date"),
            *rules.within_days(_FIRST_DAY, day + timedelta(days=2), "occurred_at"),
            rules.equal("event_date", "partition_date", "is the day of the partition"),
            rules.equal("event_date", "date_of_occurred_at", "is the UTC day of occurred_at"),
            rules.not_above("received_date", "known_date", "was received when it became known, or earlier"),
            rules.not_above("event_date", "day_after_received", "happened before it was received"),
            *rules.not_negative("quantity", "unit_price_cents", "dwell_ms", "position"),
            *rules.finite("value"),
            *rules.between(0, 1, "scroll_depth", "propensity"),
            rules.always(
                "is_item_known",
                f"at least {MIN_KNOWN_SHARE:.0%} of events name a delivered item",
                MIN_KNOWN_SHARE,
            ),
        ],
    )


def decisions(day: date) -> Suite:
    """Suite of ``raw/decisions``: the newest day on which the API answered."""
    return rules.suite(
        "landed decisions",
        [
            rules.at_least(1),
            *rules.never_missing(*DECISION_COLUMNS),
            *rules.ids("decision_id", "user_id", "surface", "version"),
            rules.one_row_per("decision_id"),
            rules.one_of(get_args(Source), "source"),
            rules.one_of(SOURCES, "made_from"),
            *rules.within_days(_FIRST_DAY, day, "event_date", "received_date", "known_date"),
            *rules.within_days(_FIRST_DAY, day + timedelta(days=2), "decided_at"),
            rules.not_above("received_date", "known_date", "was received when it became known, or earlier"),
            *rules.between(0, MOST_ITEMS, "num_items"),
        ],
    )


def items(day: date) -> Suite:
    """Suite of ``raw/items``: the newest delivery of the catalogue."""
    return rules.suite(
        "landed items",
        [
            rules.at_least(1),
            *rules.never_missing("item_id", "received_date", "known_date"),
            *rules.ids("item_id"),
            rules.one_row_per("item_id", "received_date"),
            *rules.within_days(_FIRST_DAY, day, "received_date", "known_date"),
            rules.not_above("received_date", "known_date", "was received when it became known, or earlier"),
            *rules.not_negative("price_cents"),
        ],
    )


def consents(day: date) -> Suite:
    """Suite of ``raw/consents``: the newest delivery of words about consent."""
    return rules.suite(
        "landed consents",
        [
            rules.at_least(1),
            *rules.never_missing(*CONSENT_COLUMNS),
            *rules.ids("user_id", "purpose"),
            rules.one_row_per("user_id", "purpose", "said_at", "is_granted"),
            *rules.within_days(_FIRST_DAY, day, "received_date", "known_date"),
            *rules.within_days(_FIRST_DAY, day + timedelta(days=2), "said_at"),
            rules.not_above("received_date", "known_date", "was received when it became known, or earlier"),
        ],
    )


def identities(day: date) -> Suite:
    """Suite of ``raw/identities``: the newest delivery of links."""
    return rules.suite(
        "landed identities",
        [
            rules.at_least(1),
            *rules.never_missing(*IDENTITY_COLUMNS),
            *rules.ids("alias_id", "user_id"),
            rules.one_row_per("alias_id", "user_id", "linked_at"),
            *rules.within_days(_FIRST_DAY, day, "received_date", "known_date"),
            *rules.within_days(_FIRST_DAY, day + timedelta(days=2), "linked_at"),
            rules.not_above("received_date", "known_date", "was received when it became known, or earlier"),
        ],
    )


def partitions() -> Suite:
    """Suite over one row per partition that a landing touched: a landing leaves none empty."""
    return rules.suite(
        "landed partitions",
        [
            rules.at_least(1),
            *rules.never_missing("partition_date", "num_rows"),
            rules.one_row_per("partition_date"),
            *rules.between(1, rules.LARGEST, "num_rows"),
        ],
    )
