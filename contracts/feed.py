"""What a shop delivers: ``feed.json`` and the names of the columns. See ``docs/feeds.md``."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator

SCHEMA_VERSION = 1
SUCCESS = "_SUCCESS"
KINDS = ("events", "decisions", "items", "users", "consents", "identities")
#: Kinds of what happened, each row once under an id of its own, and kept by the UTC day on which it happened.
HAPPENED = {"events": "event_id", "decisions": "decision_id"}
#: Kinds that decide what becomes of the others' rows: they land first.
DECIDING_KINDS = ("consents", "identities")
#: An event that arrives more than so many days after it happened is quarantined, but for a feed's first delivery.
LATE_DAYS = 7

EVENT_TYPES = ("impression", "view", "cart", "purchase", "return", "rating")

EVENT_COLUMNS = (
    "event_id",
    "user_id",
    "item_id",
    "event_type",
    "occurred_at",
    "session_id",
    "quantity",
    "unit_price",
    "value",
    "dwell_ms",
    "scroll_depth",
    "surface",
    "position",
    "decision_id",
    "propensity",
)
EVENT_COLUMNS_REQUIRED = ("item_id", "event_type", "occurred_at")
DECISION_COLUMNS = (
    "decision_id",
    "user_id",
    "decided_at",
    "surface",
    "version",
    "source",
    "made_from",
    "fallback",
    "num_items",
    "is_short",
    "rules_applied",
    "rules_dropped",
)
DECISION_COLUMNS_REQUIRED = tuple(
    name for name in DECISION_COLUMNS if name not in ("fallback", "rules_applied", "rules_dropped")
)
ITEM_COLUMNS = (
    "item_id",
    "title",
    "category",
    "brand",
    "price",
    "available_from",
    "available_until",
    "attributes",
)
ITEM_COLUMNS_REQUIRED = ("item_id",)
USER_COLUMNS = ("user_id", "created_at", "attributes")
USER_COLUMNS_REQUIRED = ("user_id",)
CONSENT_COLUMNS = ("user_id", "purpose", "granted", "at")
IDENTITY_COLUMNS = ("alias_id", "user_id", "linked_at")

COLUMNS = {
    "events": EVENT_COLUMNS,
    "decisions": DECISION_COLUMNS,
    "items": ITEM_COLUMNS,
    "users": USER_COLUMNS,
    "consents": CONSENT_COLUMNS,
    "identities": IDENTITY_COLUMNS,
}
COLUMNS_REQUIRED = {
    "events": EVENT_COLUMNS_REQUIRED,
    "decisions": DECISION_COLUMNS_REQUIRED,
    "items": ITEM_COLUMNS_REQUIRED,
    "users": USER_COLUMNS_REQUIRED,
    "consents": CONSENT_COLUMNS,
    "identities": IDENTITY_COLUMNS,
}

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Calendar(BaseModel):
    """On which days a delivery of events is expected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    closed_weekdays: tuple[Weekday, ...] = ()
    closed_days: tuple[date, ...] = ()

    def expects(self, day: date) -> bool:
        return day not in self.closed_days and day.strftime("%A").lower() not in self.closed_weekdays


class FeedDescription(BaseModel):
    """``feed.json``: what has to be known about a feed before its first row is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1]
    shop: Annotated[str, Field(min_length=1, max_length=200)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    time_zone: str
    clock: Literal["real", "order"] = "real"
    repeats_allowed: bool = Field(description="May an item that a user has bought be recommended again?")
    missing_consent: Literal["granted", "denied"] = Field(description="What no word about consent means.")
    service_items: tuple[str, ...] = Field(
        default=(), description="Item ids that are services: postage, fees."
    )
    calendar: Calendar | None = Field(
        default=None, description="Days with a delivery; absent: none is expected."
    )

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is no IANA time zone; write one like Europe/London")
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def expects_delivery(self, day: date) -> bool:
        return self.calendar is not None and self.calendar.expects(day)


def delivery_folder(kind: str, received: date) -> str:
    """``events`` and a day → ``events/received=2011-03-01``."""
    return f"{kind}/received={received.isoformat()}"


def days_between(first: date, last: date) -> list[date]:
    """Every day from ``first`` to ``last``, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
