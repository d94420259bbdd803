"""MovieLens 100K (GroupLens), as RecBole's atomic files: ratings with seconds, films, people.

A rating arrives on the UTC day it was given; all films and people are known from the first day, as the data
set does not say when they came.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.errors import FeedInvalid
from contracts.feed import FeedDescription
from jobs.feeds.source_files import read_rows
from jobs.feeds.writer import FeedWriter

SHOP = "MovieLens 100K"
RATINGS = ("ml-100k.inter", ("user_id:token", "item_id:token", "rating:float", "timestamp:float"))
FILMS = ("ml-100k.item", ("item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"))
PEOPLE = (
    "ml-100k.user",
    ("user_id:token", "age:token", "gender:token", "occupation:token", "zip_code:token"),
)
EVENT_COLUMNS = ("event_id", "user_id", "item_id", "event_type", "occurred_at", "value")
ITEM_COLUMNS = ("item_id", "title", "category", "attributes")
USER_COLUMNS = ("user_id", "attributes")


def import_movielens_100k(source: Path, feed: Path) -> dict[str, Any]:
    """Write the feed; everything is read before anything is written.

    Raises:
        FeedInvalid: a file is missing, truncated, empty or has another header; or a time is no number.
    """
    ratings, films, people = (
        read_rows(source / name, header, delimiter="\t", is_quoted=False)[1]
        for name, header in (RATINGS, FILMS, PEOPLE)
    )
    by_day = defaultdict(list)
    # In the order of time, so that one day's file reads as the day went.
    for user, item, value, seconds in sorted(
        ratings, key=lambda row: (_second(row[3]), int(row[0]), int(row[1]))
    ):
        # Nobody rates a film twice, so user and film name the rating.
        second = _second(seconds)
        row = (f"{user}-{item}", user, item, "rating", second, value)
        by_day[datetime.fromtimestamp(second, UTC).date()].append(row)
    first_day = min(by_day)
    writer = FeedWriter(feed)
    writer.describe(
        FeedDescription(
            schema_version=1,
            shop=SHOP,
            currency="USD",
            time_zone="UTC",
            repeats_allowed=False,  # a film is rated once
            missing_consent="granted",
        )
    )
    writer.deliver("items", first_day, ITEM_COLUMNS, [_item(*film) for film in films])
    writer.deliver("users", first_day, USER_COLUMNS, [_user(*person) for person in people])
    for day, rows in by_day.items():
        writer.deliver("events", day, EVENT_COLUMNS, rows)
    return {
        "shop": SHOP,
        "feed": str(feed),
        "first_day": first_day.isoformat(),
        "last_day": max(by_day).isoformat(),
        "days": len(by_day),
        "events": len(ratings),
        "items": len(films),
        "users": len(people),
        "deliveries_written": writer.num_written,
        "deliveries_unchanged": writer.num_unchanged,
    }


def _second(text: str) -> int:
    try:
        return int(float(text))
    except ValueError as error:
        raise FeedInvalid(f"{RATINGS[0]}: found the time {text!r}, expected seconds since 1970") from error


def _item(item: str, title: str, year: str, genres: str) -> tuple[str, ...]:
    """A film; its category is the first of its genres, all of them are attributes."""
    named = genres.split()
    attributes = json.dumps({"genres": named, "release_year": int(year) if year.isdecimal() else None})
    return item, f"{title} ({year})" if year else title, named[0] if named else "", attributes


def _user(user: str, age: str, gender: str, occupation: str, zip_code: str) -> tuple[str, ...]:
    # The zip code stays behind: nothing needs it, and with age and occupation it can name a person.
    attributes = {"age": int(age) if age.isdecimal() else None, "gender": gender, "occupation": occupation}
    return user, json.dumps(attributes)
