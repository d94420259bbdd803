"""MovieLens 1M (GroupLens) in the form in which SASRec and gSASRec learn from it: users and films in order, no times.

``ml-1m.txt`` holds a line an event, ``user item``, and numbers both anew; ``sas_to_original_users.txt`` and
``sas_to_original_items.txt`` give back GroupLens' own numbers, under which ``users.dat`` and ``movies.dat`` describe them.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.errors import FeedInvalid
from contracts.feed import FeedDescription
from jobs.feeds.source_files import read_lines
from jobs.feeds.steps import FIRST_DAY, days_of_steps
from jobs.feeds.writer import FeedWriter

SHOP = "MovieLens 1M"
EVENTS, USERS, ITEMS = "ml-1m.txt", "sas_to_original_users.txt", "sas_to_original_items.txt"
PEOPLE, FILMS = "users.dat", "movies.dat"
EVENT_COLUMNS = ("event_id", "user_id", "item_id", "event_type", "occurred_at")
ITEM_COLUMNS = ("item_id", "title", "category", "attributes")
USER_COLUMNS = ("user_id", "attributes")

#: What the numbers of users.dat mean, as GroupLens' own README says.
AGES = {
    "1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56 or older",
}  # fmt: skip
OCCUPATIONS = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman",
    "unemployed", "writer",
)  # fmt: skip

_PAIR = re.compile(r"([1-9]\d{0,8}) ([1-9]\d{0,8})")
_FILM = re.compile(r"(\d+)::(.+)::([^:]+)")
_PERSON = re.compile(rf"(\d+)::([FM])::({'|'.join(AGES)})::(\d+)::(.+)")


def import_movielens_1m(source: Path, feed: Path) -> dict[str, Any]:
    """Write the feed; everything is read before anything is written.

    Raises:
        FeedInvalid: a file is missing, truncated, empty or says something else than expected, or the files
            do not fit together: a user or film of one is missing in another.
    """
    original_user, original_item = (dict(_pairs(source / name)) for name in (USERS, ITEMS))
    users, items = array("i"), array("i")
    for user, item in _pairs(source / EVENTS):
        users.append(user)
        items.append(item)
    people, films = _people(source / PEOPLE), _films(source / FILMS)
    _check_one_sequence_a_user(users, source / EVENTS)
    _check_same(set(users), set(original_user), source / EVENTS, source / USERS, "user")
    _check_same(set(items), set(original_item), source / EVENTS, source / ITEMS, "item")
    for numbers, described, known in ((original_user, people, PEOPLE), (original_item, films, FILMS)):
        if unknown := sorted({str(original) for original in numbers.values()} - described.keys(), key=int):
            raise FeedInvalid(
                f"{source / known} lacks {unknown[0]} and {len(unknown) - 1} others that {EVENTS} names: "
                "get the files again, whole; nothing was written"
            )
    writer = FeedWriter(feed)
    writer.describe(
        FeedDescription(
            schema_version=1,
            shop=SHOP,
            currency="USD",
            time_zone="UTC",
            clock="order",
            repeats_allowed=False,  # a film is rated once
            missing_consent="granted",
        )
    )
    writer.deliver("items", FIRST_DAY, ITEM_COLUMNS, films.values())
    writer.deliver("users", FIRST_DAY, USER_COLUMNS, people.values())
    days = []
    for day, steps in days_of_steps(users, items):
        rows = (
            (
                f"{original_user[user]}-{place:05d}",
                original_user[user],
                original_item[item],
                "view",
                occurred_at,
            )
            for place, user, item, occurred_at in steps
        )
        writer.deliver("events", day, EVENT_COLUMNS, rows)
        days.append(day)
    return {
        "shop": SHOP,
        "feed": str(feed),
        "first_day": days[0].isoformat(),
        "last_day": days[-1].isoformat(),
        "days": len(days),
        "events": len(users),
        "items": len(films),
        "users": len(people),
        "deliveries_written": writer.num_written,
        "deliveries_unchanged": writer.num_unchanged,
    }


def _pairs(path: Path) -> Iterator[tuple[int, int]]:
    for number, line in read_lines(path):
        found = _PAIR.fullmatch(line)
        if found is None:
            raise FeedInvalid(
                f"{path}, line {number}: found {line[:80]!r}, expected two numbers from 1 with a space between; "
                "nothing was written"
            )
        yield int(found[1]), int(found[2])


def _films(path: Path) -> dict[str, tuple[str, ...]]:
    """Each film's row by its number; its category is the first of its genres, all of them are attributes."""
    rows: dict[str, tuple[str, ...]] = {}
    for number, line in read_lines(path, encoding="iso-8859-1"):
        found = _FILM.fullmatch(line)
        if found is None:
            raise FeedInvalid(
                f"{path}, line {number}: found {line[:80]!r}, expected number::title::genres; nothing was written"
            )
        genres = found[3].split("|")
        year = re.search(r"\((\d{4})\)$", found[2])
        attributes = {"genres": genres, "release_year": int(year[1]) if year else None}
        rows[found[1]] = (found[1], found[2], genres[0], json.dumps(attributes))
    return rows


def _people(path: Path) -> dict[str, tuple[str, ...]]:
    rows: dict[str, tuple[str, ...]] = {}
    for number, line in read_lines(path):
        found = _PERSON.fullmatch(line)
        if found is None or int(found[4]) >= len(OCCUPATIONS):
            raise FeedInvalid(
                f"{path}, line {number}: found {line[:80]!r}, expected number::F or M::age::occupation::zip code, "
                f"ages {', '.join(AGES)} and occupations 0 to {len(OCCUPATIONS) - 1}; nothing was written"
            )
        # The zip code stays behind: nothing needs it, and with age and occupation it can name a person.
        attributes = {"age": AGES[found[3]], "gender": found[2], "occupation": OCCUPATIONS[int(found[4])]}
        rows[found[1]] = (found[1], json.dumps(attributes))
    return rows


def _check_one_sequence_a_user(users: array[int], path: Path) -> None:
    seen, last = set(), None
    for number, user in enumerate(users, start=1):
        if user == last:
            continue
        if user in seen:
            raise FeedInvalid(
                f"{path}, line {number}: user {user} comes back after others, expected each user's events together, "
                "in their order; nothing was written"
            )
        seen.add(user)
        last = user


def _check_same(found: set[int], expected: set[int], events: Path, names: Path, what: str) -> None:
    if found != expected:
        odd = min(found ^ expected)
        lacking, having = (events, names) if odd in expected else (names, events)
        raise FeedInvalid(
            f"{lacking} lacks {what} {odd}, which {having} has: one of them is cut short or of another set "
            f"({len(found):,} and {len(expected):,} {what}s). Get both again, whole; nothing was written"
        )
