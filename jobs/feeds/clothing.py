"""UCI clickstream of a shop for clothing (Łapczyński and Białowąs, 2013): clicks by visit, five months of 2008.

The set knows visits and no people: a visit is a user who never comes back. It knows days and, within a visit, the
order of clicks, but no time of day.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from contracts.errors import FeedInvalid
from contracts.feed import FeedDescription
from jobs.feeds.source_files import read_rows
from jobs.feeds.writer import FeedWriter

SHOP = "Clothing 2008 (UCI)"
FILE = "clicks.csv"
ZONE = ZoneInfo("Europe/Warsaw")  # four of five clicks come from Poland
HEADER = (
    "year", "month", "day", "order", "country", "session ID", "page 1 (main category)", "page 2 (clothing model)",
    "colour", "location", "model photography", "price", "price 2", "page",
)  # fmt: skip
EVENT_COLUMNS = ("event_id", "user_id", "item_id", "event_type", "occurred_at", "session_id")
ITEM_COLUMNS = ("item_id", "category", "price", "attributes")
USER_COLUMNS = ("user_id", "created_at", "attributes")

#: What the numbers mean, as the set's own description says.
CATEGORIES = {"1": "trousers", "2": "skirts", "3": "blouses", "4": "sale"}
_COLOURS = (
    "beige", "black", "blue", "brown", "burgundy", "gray", "green", "navy blue", "of many colors", "olive", "pink",
    "red", "violet", "white",
)  # fmt: skip
_PLACES = (
    "top left",
    "top in the middle",
    "top right",
    "bottom left",
    "bottom in the middle",
    "bottom right",
)
_PHOTOS = ("en face", "profile")
COLOURS, PLACES, PHOTOS = (
    {str(number): name for number, name in enumerate(names, start=1)}
    for names in (_COLOURS, _PLACES, _PHOTOS)
)

Line = list[str]


def import_clothing(source: Path, feed: Path) -> dict[str, Any]:
    """Write the feed; one delivery a day, received on it. Everything is read before anything is written.

    Args:
        source: the folder that holds ``clicks.csv``, or the file itself.

    Raises:
        FeedInvalid: the file is missing, truncated, empty, has another header, or a row says something impossible.
    """
    path = source / FILE if source.is_dir() else source
    _, lines = read_rows(path, HEADER, delimiter=";")
    by_day: defaultdict[date, list[Line]] = defaultdict(list)
    for number, line in enumerate(lines, start=2):
        by_day[_day_of(line, path, number)].append(line)
    _check_clicks(lines, path)
    described = _items(lines, path)
    writer = FeedWriter(feed)
    writer.describe(
        FeedDescription(
            schema_version=1,
            shop=SHOP,
            currency="USD",
            time_zone=ZONE.key,
            repeats_allowed=True,  # a quarter of the visits come back to a model
            missing_consent="granted",
        )
    )
    known_items: set[str] = set()
    num_visits = 0
    for day in sorted(by_day):
        events = list(_events(day, by_day[day]))
        new = sorted({row[2] for row in events} - known_items)
        known_items.update(new)
        if new:
            writer.deliver("items", day, ITEM_COLUMNS, [described[item] for item in new])
        visits = _visits(by_day[day], events)
        num_visits += len(visits)
        writer.deliver("users", day, USER_COLUMNS, visits)
        writer.deliver("events", day, EVENT_COLUMNS, events)
    return {
        "shop": SHOP,
        "feed": str(feed),
        "first_day": min(by_day).isoformat(),
        "last_day": max(by_day).isoformat(),
        "days": len(by_day),
        "events": len(lines),
        "items": len(known_items),
        "users": num_visits,
        "deliveries_written": writer.num_written,
        "deliveries_unchanged": writer.num_unchanged,
    }


def _day_of(line: Line, path: Path, number: int) -> date:
    try:
        return date(int(line[0]), int(line[1]), int(line[2]))
    except ValueError as error:
        raise FeedInvalid(
            f"{path}, line {number}: found the day {'-'.join(line[:3])!r}, expected year, month and day; nothing was written"
        ) from error


def _check_clicks(lines: Iterable[Line], path: Path) -> None:
    """The clicks of a visit are numbered 1, 2, 3 …, all on one day: a number that is missing is a line that is."""
    last: dict[str, tuple[int, Line]] = {}
    for number, line in enumerate(lines, start=2):
        before, day = last.get(line[5], (0, line[:3]))
        if line[3] != str(before + 1) or line[:3] != day:
            raise FeedInvalid(
                f"{path}, line {number}: found click {line[3]} of visit {line[5]} on {'-'.join(line[:3])}, expected click "
                f"{before + 1} on {'-'.join(day)}: lines are missing. Get the file again, whole; nothing was written"
            )
        last[line[5]] = (before + 1, day)


def _events(day: date, lines: list[Line]) -> Iterable[tuple[str, ...]]:
    """The day's clicks in the order of the file, which is the order of visits; the n-th is n seconds after noon."""
    noon = datetime.combine(day, time(12), ZONE).astimezone(UTC)
    for second, line in enumerate(lines):
        visit = line[5]
        yield (
            f"{visit}-{int(line[3]):04d}",
            visit,
            line[7],
            "view",
            (noon + timedelta(seconds=second)).isoformat(),
            visit,
        )


def _visits(lines: list[Line], events: list[tuple[str, ...]]) -> list[tuple[str, str, str]]:
    return [
        (line[5], event[4], json.dumps({"country": int(line[4])}))
        for line, event in zip(lines, events, strict=True)
        if line[3] == "1"
    ]


def _items(lines: list[Line], path: Path) -> dict[str, tuple[str, ...]]:
    """Each model's row; of a property that lines disagree about, what most of them say (one line of one model does)."""
    said: defaultdict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for line in lines:
        said[line[7]][(line[6], line[8], line[9], line[10], line[11], line[13])] += 1
    rows: dict[str, tuple[str, ...]] = {}
    for model, counted in said.items():
        category, colour, place, photo, price, page = max(counted, key=lambda each: (counted[each], each))
        try:
            attributes = {
                "colour": COLOURS[colour],
                "page": int(page),
                "photo": PHOTOS[photo],
                "place": PLACES[place],
            }
            rows[model] = (model, CATEGORIES[category], str(int(price)), json.dumps(attributes))
        except (ValueError, LookupError) as error:
            raise FeedInvalid(
                f"{path}: found category {category!r}, colour {colour!r}, location {place!r}, photography {photo!r}, price "
                f"{price!r}, page {page!r} of model {model!r}, expected the set's own numbers ({error}); nothing was written"
            ) from error
    return rows
