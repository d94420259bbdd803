"""When may an event be used? A pure rule over what a person has said; default deny is the shop's to choose.

An event is used if and only if

* consent held at its instant: the latest word said up to then grants it, and of words said at one instant a denial
  counts; before the first word holds what the shop says that silence means (``missing_consent`` in ``feed.json``);
* and the person's latest word is no denial: whoever has withdrawn is used no more, not even for what happened before.
  Granting again brings back what happened under consent, and nothing that happened in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

#: The purpose that Foretaste acts on; words about others are kept, counted, and change nothing.
PERSONALIZATION = "personalization"

#: All of time: instants of a feed lie between 1990 and 2100.
BEGINNING, END = datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31")


#: Readers of what is published ask a table (``ft:consent``, ``published/consent.parquet``): from which day on may versions be
#: served to somebody? It holds whoever has another answer than ``ANYBODY``, by the digest of the id.
ANYBODY = "*"
ALWAYS, NEVER = "0001-01-01", "9999-12-31"


@dataclass(frozen=True)
class Word:
    """What a person has said about a purpose, and when (UTC)."""

    said_at: datetime
    is_granted: bool


@dataclass(frozen=True)
class Span:
    """From ``begin``, included, until ``end``, excluded: may what happened be used?"""

    begin: datetime
    end: datetime
    may: bool


def spans(words: Iterable[Word], *, missing: bool) -> list[Span]:
    """All of time, cut where the answer changes.

    Args:
        missing: may be used what nothing was said about?
    """
    said: dict[datetime, bool] = {}
    for word in words:
        said[word.said_at] = said.get(word.said_at, True) and word.is_granted
    ordered = [(BEGINNING, missing), *sorted(said.items())]
    if said and not ordered[-1][1]:
        return [Span(BEGINNING, END, may=False)]
    changes = [
        each for number, each in enumerate(ordered) if number == 0 or each[1] != ordered[number - 1][1]
    ]
    ends = [begin for begin, _ in changes[1:]] + [END]
    return [Span(begin, end, may) for (begin, may), end in zip(changes, ends, strict=True)]


def may_use(words: Iterable[Word], at: datetime, *, missing: bool) -> bool:
    """May an event at this instant be used, by all that its person has said?"""
    return any(span.may for span in spans(words, missing=missing) if span.begin <= at < span.end)


def digest_of_user(user_id: str) -> str:
    """What stands for a user where nobody may be named."""
    return hashlib.sha256(user_id.encode()).hexdigest()


def why_withheld(own: str | None, anybody: str | None, day: str) -> str:
    """Why a version of a day must not be served to somebody; "" where it may.

    Args:
        own: what the readers' table says of the user, None where it says nothing.
        anybody: what it says of everybody else; None where nothing was ever told.
    """
    if day >= (own or anybody or ALWAYS):
        return ""
    if own is None:
        return "no consent was given"
    if own == NEVER:
        return "consent was withdrawn"
    return f"consent had been withdrawn, and what was made before {own} may have used what it must not"
