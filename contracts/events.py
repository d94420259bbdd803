"""One event as the API takes it, the feed's columns held to what the landing would refuse, and what it says became of it."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

from msgspec import Meta, Struct

#: Events that one request holds at most.
MOST_EVENTS = 500

_LARGEST = 10**12

Text = Annotated[str, Meta(min_length=1, max_length=128)]
Count = Annotated[int, Meta(ge=0, le=_LARGEST)]
EventType = Literal["impression", "view", "cart", "purchase", "return", "rating"]


class Event(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """What somebody did. Columns and their meaning are the feed's, see ``docs/feeds.md``."""

    event_id: Annotated[Text, Meta(description="Never used twice; sent again, the event counts once.")]
    item_id: Text
    event_type: EventType
    occurred_at: Annotated[datetime, Meta(tz=True, description="ISO 8601 with an offset.")]
    user_id: Annotated[Text, Meta(description="Who. Left out: anonymous.")] | None = None
    session_id: Text | None = None
    quantity: Count | None = None
    unit_price: Annotated[float, Meta(ge=0, le=_LARGEST)] | None = None
    value: Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)] | None = None
    dwell_ms: Count | None = None
    scroll_depth: Annotated[float, Meta(ge=0, le=1)] | None = None
    surface: Text | None = None
    position: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    decision_id: Annotated[Text, Meta(description="As the decision gave it.")] | None = None
    propensity: Annotated[float, Meta(gt=0, le=1)] | None = None


class EventBatch(Struct, forbid_unknown_fields=True, frozen=True):
    """Several events; each is judged by itself."""

    events: Annotated[list[Event], Meta(min_length=1, max_length=MOST_EVENTS)]


class Refusal(Struct, frozen=True):
    """An event that is not taken: where it stood, what of it is wrong, and the way out."""

    index: int
    event_id: str | None
    field: str
    value: str
    why: str
    hint: str


class Received(Struct, frozen=True):
    """What became of the events of a request."""

    accepted: int
    duplicates: int
    conflicts: tuple[Refusal, ...]
    refused: tuple[Refusal, ...]

    @property
    def status(self) -> int:
        """Good events are kept whatever stands beside them; only where there are none is the request refused."""
        if self.accepted or self.duplicates or not (self.conflicts or self.refused):
            return HTTPStatus.ACCEPTED
        return HTTPStatus.UNPROCESSABLE_ENTITY if self.refused else HTTPStatus.CONFLICT
