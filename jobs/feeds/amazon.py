"""Amazon reviews (McAuley) as the 5-core sequences of S3-Rec: what each person reviewed, in order, no times.

One set is two files: ``Beauty.txt``, a line a person (``user item item …``), and ``Beauty_item2attributes.json``,
each item's categories and brand as numbers; which number is what, the set does not say.
"""

from __future__ import annotations

import json
import re
from array import array
from pathlib import Path
from typing import Any

from contracts.errors import FeedInvalid
from contracts.feed import FeedDescription
from jobs.feeds.source_files import read_json_object, read_lines
from jobs.feeds.steps import FIRST_DAY, days_of_steps
from jobs.feeds.writer import FeedWriter

EVENT_COLUMNS = ("event_id", "user_id", "item_id", "event_type", "occurred_at")
ITEM_COLUMNS = ("item_id", "attributes")
USER_COLUMNS = ("user_id",)
SUFFIX = "_item2attributes.json"

_LINE = re.compile(r"[1-9]\d{0,8}( [1-9]\d{0,8})+")
_HINT = "get the files again, whole; nothing was written"


def import_amazon(source: Path, feed: Path) -> dict[str, Any]:
    """Write the feed of the one set that a folder holds; everything is read before anything is written.

    Raises:
        FeedInvalid: the folder holds no set or several; a file is missing, truncated, empty or says something
            else than expected; or the items of the two files are not the same.
    """
    name = _name_of(source)
    users, items = _sequences(source / f"{name}.txt")
    attributes = _attributes(source / f"{name}{SUFFIX}")
    if odd := sorted(set(items) ^ attributes.keys()):
        lacking, having = (SUFFIX, ".txt") if odd[0] not in attributes else (".txt", SUFFIX)
        raise FeedInvalid(
            f"{source / name}{lacking} lacks item {odd[0]}, which {name}{having} has ({len(set(items)):,} items acted upon, "
            f"{len(attributes):,} described): one of them is cut short or of another set; {_HINT}"
        )
    people = sorted(set(users))
    shop = f"Amazon {name.replace('_', ' ')}"
    writer = FeedWriter(feed)
    writer.describe(
        FeedDescription(
            schema_version=1,
            shop=shop,
            currency="USD",
            time_zone="UTC",
            clock="order",
            repeats_allowed=False,  # nobody reviews an item twice
            missing_consent="granted",
        )
    )
    described = ((item, json.dumps({"attributes": attributes[item]})) for item in sorted(attributes))
    writer.deliver("items", FIRST_DAY, ITEM_COLUMNS, described)
    writer.deliver("users", FIRST_DAY, USER_COLUMNS, ((user,) for user in people))
    days = []
    for day, steps in days_of_steps(users, items):
        rows = (
            (f"{user}-{place:05d}", user, item, "view", occurred_at)
            for place, user, item, occurred_at in steps
        )
        writer.deliver("events", day, EVENT_COLUMNS, rows)
        days.append(day)
    return {
        "shop": shop,
        "feed": str(feed),
        "first_day": days[0].isoformat(),
        "last_day": days[-1].isoformat(),
        "days": len(days),
        "events": len(users),
        "items": len(attributes),
        "users": len(people),
        "deliveries_written": writer.num_written,
        "deliveries_unchanged": writer.num_unchanged,
    }


def _name_of(source: Path) -> str:
    names = sorted(path.name.removesuffix(SUFFIX) for path in source.glob(f"*{SUFFIX}"))
    if len(names) != 1:
        raise FeedInvalid(
            f"{source} holds {len(names)} files named like Beauty{SUFFIX}{''.join(f', {name}' for name in names)}; "
            "expected one, with Beauty.txt beside it: name the folder of one set"
        )
    return names[0]


def _sequences(path: Path) -> tuple[array[int], array[int]]:
    users, items = array("i"), array("i")
    seen = set()
    for number, line in read_lines(path):
        if not _LINE.fullmatch(line):
            raise FeedInvalid(
                f"{path}, line {number}: found {line[:80]!r}, expected a user and the items in their order, numbers "
                f"from 1 with a space between; {_HINT}"
            )
        user, *sequence = (int(text) for text in line.split(" "))
        if user in seen:
            raise FeedInvalid(
                f"{path}, line {number}: user {user} stands twice, expected a line each; {_HINT}"
            )
        seen.add(user)
        users.extend([user] * len(sequence))
        items.extend(sequence)
    return users, items


def _attributes(path: Path) -> dict[int, list[int]]:
    try:
        return {
            int(item): [int(each) for each in numbers] for item, numbers in read_json_object(path).items()
        }
    except (ValueError, TypeError) as error:
        raise FeedInvalid(
            f"{path}: found {error}, expected a list of numbers for each item; {_HINT}"
        ) from error
