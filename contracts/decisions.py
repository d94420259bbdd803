"""What is asked of the API and what it answers: callers send and read it, ``serving`` decides it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.events import EventType
from contracts.ids import CONTROLS, MOST_BYTES
from contracts.lists import SOURCES

#: Items that one answer holds at most.
MOST_ITEMS = 100

# Where an answer comes from, the rungs of a ladder from the top.
PREVIOUS: Final = "previous"
SNAPSHOT: Final = "snapshot"
Source = Literal["session", "personal", "previous", "snapshot", "popular"]
#: Events that can be sent along.
MOST_SENT = 50

# Why an answer is from no higher rung.
UNKNOWN_USER: Final = "unknown_user"
CONSENT: Final = "consent"
VERSION_NOT_WHOLE: Final = "version_not_whole"
STORE_EMPTY: Final = "store_empty"
STORE_AWAY: Final = "store_away"
SESSION_MISSING: Final = "session_missing"
SESSION_UNKNOWN: Final = "session_unknown"
SESSION_BUSY: Final = "session_busy"
SessionFallback = Literal["session_missing", "session_unknown", "session_busy"]
Fallback = Literal[
    "unknown_user", "consent", "version_not_whole", "store_empty", "store_away", SessionFallback
]

Id = Annotated[str, Meta(min_length=1, max_length=MOST_BYTES, pattern=f"^[^{CONTROLS}]+$")]


class SessionEvent(Struct, forbid_unknown_fields=True, frozen=True):
    """What somebody did a moment ago. It is read to answer, and not kept: send it to ``/v1/events`` as well."""

    item_id: Id
    event_type: Annotated[
        EventType, Meta(description="An impression and a return say nothing of what is wanted.")
    ]
    occurred_at: Annotated[
        datetime, Meta(tz=True, description="ISO 8601 with an offset. What is older than a day is not read.")
    ]
    event_id: (
        Annotated[Id, Meta(description="As it is sent to /v1/events: nothing counts twice.")] | UnsetType
    ) = UNSET
    value: Annotated[float, Meta(ge=-1e12, le=1e12, description="The stars of a rating.")] | UnsetType = UNSET


class Context(Struct, forbid_unknown_fields=True, frozen=True):
    """Beside what the items will be shown."""

    item_id: Annotated[
        Id,
        Meta(
            description="The item whose page it is: it counts like a view of just now, and is not shown beside itself."
        ),
    ]


class DecisionRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """Whom to recommend items to, and where they will be shown. Name the user, or else the device or cookie."""

    surface: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern="^[a-z0-9_-]+$",
            description="Where the items will be shown: a page or a part of it, say home.",
        ),
    ]
    user_id: Annotated[Id, Meta(description="The shop's id of the user, as events carry it.")] | UnsetType = (
        UNSET
    )
    anonymous_id: (
        Annotated[Id, Meta(description="The id of a device or cookie, as events carry it.")] | UnsetType
    ) = UNSET
    count: Annotated[int, Meta(ge=1, le=MOST_ITEMS, description="How many items are wanted.")] = 10
    session: (
        Annotated[
            Sequence[SessionEvent],
            Meta(
                max_length=MOST_SENT,
                description="What the user did last, in any order: the list turns at once.",
            ),
        ]
        | UnsetType
    ) = UNSET
    context: Context | UnsetType = UNSET


class Item(Struct, frozen=True, gc=False):
    """What is told of an item."""

    item_id: str
    title: str | None = None


class RankedItem(Struct, frozen=True, gc=False):
    """An item in its place."""

    position: Annotated[int, Meta(ge=1, description="The place in this answer, from 1.")]
    item_id: str
    title: str | None
    propensity: Annotated[
        float, Meta(ge=0, le=1, description="The probability with which this item was given this place.")
    ]
    reasons: Annotated[Sequence[Item], Meta(description="What of the user's past speaks most for it.")]


class Decision(Struct, frozen=True):
    """Ranked items, and all that says how they came about."""

    decision_id: Annotated[str, Meta(description="Send it along with the events that follow.")]
    surface: str
    version: Annotated[str, Meta(description="The one version that everything here is taken from.")]
    day: Annotated[str, Meta(description="The last day of events that the version knows of.")]
    age_seconds: Annotated[int, Meta(ge=0, description="Since the version was first published.")]
    source: Annotated[
        Source,
        Meta(
            description="session: ranked now, by what the user did last; personal: the user's list of the live version; previous: of the version before, as the live one "
            "is not whole; snapshot: the popular items that this process remembers, as the online store cannot be asked; "
            "popular: the version's popular items."
        ),
    ]
    made_from: Annotated[
        str,
        Meta(
            extra_json_schema={"enum": list(SOURCES)},
            description="What the list itself was made from when it was scored.",
        ),
    ]
    fallback: Annotated[
        Fallback | None,
        Meta(
            description="Why this is from no higher rung: by the session, or the user's own list of the live version."
        ),
    ]
    why: Annotated[str, Meta(description="The same in words; empty where nothing is missing.")]
    is_short: Annotated[bool, Meta(description="Are there fewer items than were asked for?")]
    items: list[RankedItem]
    rules_applied: Annotated[
        Sequence[str], Meta(description="Labels of the rules that acted on the list, say filter:no-wine.")
    ]
    rules_dropped: Annotated[
        Sequence[str],
        Meta(description="Labels of the rules that could not be kept: little or nothing would be left."),
    ]
    is_logged: Annotated[
        bool, Meta(description="Can be learnt from it? False where the disk is full, failing or slow.")
    ] = False
