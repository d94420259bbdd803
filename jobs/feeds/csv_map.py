"""Any CSV file as a feed: a mapping says which of its columns is which of ours."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from contracts.errors import FeedInvalid
from contracts.feed import EVENT_COLUMNS, EVENT_COLUMNS_REQUIRED, EVENT_TYPES, FeedDescription
from jobs.feeds.source_files import read_rows
from jobs.feeds.writer import FeedWriter

#: What a line may say about its item, beside the event: it goes to the deliveries of items.
ITEM_COLUMNS = ("title", "category", "brand", "price")
TARGETS = (*EVENT_COLUMNS, *ITEM_COLUMNS)

_EPOCH = re.compile(r"-?\d{9,}(\.\d+)?")
#: Epoch values are told apart by size: one in seconds stays below 1e11 until the year 5138.
_EPOCH_UNITS = ((1e11, 1.0), (1e14, 1e3), (float("inf"), 1e6))


def import_csv(
    file: Path,
    feed: Path,
    mapping: Mapping[str, str],
    *,
    shop: str | None = None,
    event_type: str | None = None,
    time_zone: str = "UTC",
    time_format: str | None = None,
    delimiter: str = ",",
    currency: str = "EUR",
    repeats_allowed: bool = True,
) -> dict[str, Any]:
    """Write a feed from one delimited file with a header; an event is received on its own UTC day.

    Items and users are delivered on the first day that names them, an item again when what is said of it
    changes. What cannot be read (a time, say) is passed on as it stands: the landing quarantines it.

    Args:
        mapping: our column → the file's column; ours are those of events and title, category, brand, price.
        shop: the name in ``feed.json``; the file's own without one.
        event_type: what every line is, where no column says so.
        time_zone: of times without an offset.
        time_format: of times that are not ISO 8601 or epoch, as ``strptime`` spells it.

    Raises:
        FeedInvalid: the file is truncated or lacks a mapped column, or the mapping does not make events.
    """
    header, lines = read_rows(file, None, delimiter=delimiter)
    _check(mapping, header, event_type, file)
    try:
        description = FeedDescription(
            schema_version=1,
            shop=shop or file.name.split(".")[0],
            currency=currency,
            time_zone=time_zone,
            repeats_allowed=repeats_allowed,
            missing_consent="granted",
        )
    except ValidationError as error:
        raise FeedInvalid("; ".join(str(problem["msg"]) for problem in error.errors())) from error
    columns = tuple(
        name for name in EVENT_COLUMNS if name in mapping or (name == "event_type" and event_type)
    )
    told = tuple(name for name in ITEM_COLUMNS if name in mapping)
    place = {ours: header.index(theirs) for ours, theirs in mapping.items()}
    read_time = _time_reader(description.zone, time_format)

    events: defaultdict[date, list[tuple[str, ...]]] = defaultdict(list)
    items: defaultdict[date, dict[str, tuple[str, ...]]] = defaultdict(dict)
    users: defaultdict[date, dict[str, str | None]] = defaultdict(dict)
    known_items: dict[str, tuple[str, ...]] = {}
    known_users: set[str] = set()
    for day, moment, line in _by_day(lines, place["occurred_at"], read_time, file):
        row = {name: line[column].strip() for name, column in place.items()}
        row["occurred_at"] = moment or row["occurred_at"]
        if event_type:
            row["event_type"] = event_type
        events[day].append(tuple(row[name] for name in columns))
        # An empty field says nothing new about an item.
        item, before = row["item_id"], known_items.get(row["item_id"])
        now = tuple(row[name] or (before[at] if before else "") for at, name in enumerate(told))
        if item and now != before:
            known_items[item] = items[day][item] = now
        user = row.get("user_id")
        if user and user not in known_users:
            known_users.add(user)
            users[day][user] = moment

    writer = FeedWriter(feed)
    writer.describe(description)
    for day in sorted(events):
        if items[day]:
            writer.deliver(
                "items", day, ("item_id", *told), [(item, *items[day][item]) for item in sorted(items[day])]
            )
        if users[day]:
            writer.deliver(
                "users",
                day,
                ("user_id", "created_at"),
                [(user, users[day][user]) for user in sorted(users[day])],
            )
        writer.deliver("events", day, columns, events[day])
    return {
        "shop": description.shop,
        "feed": str(feed),
        "first_day": min(events).isoformat(),
        "last_day": max(events).isoformat(),
        "days": len(events),
        "events": len(lines),
        "items": len(known_items),
        "users": len(known_users),
        "deliveries_written": writer.num_written,
        "deliveries_unchanged": writer.num_unchanged,
    }


def _check(mapping: Mapping[str, str], header: list[str], event_type: str | None, file: Path) -> None:
    for ours, theirs in mapping.items():
        if ours not in TARGETS:
            raise FeedInvalid(
                f"--map {ours}={theirs}: {ours!r} is no column of a feed; there are {', '.join(TARGETS)}"
            )
        if theirs not in header:
            raise FeedInvalid(
                f"--map {ours}={theirs}: {file} has no column {theirs!r}; it has {', '.join(header)}"
            )
    given = {*mapping, *(["event_type"] if event_type else [])}
    for needed in EVENT_COLUMNS_REQUIRED:
        if needed not in given:
            way_out = " or --event-type TYPE" if needed == "event_type" else ""
            raise FeedInvalid(f"{file}: nothing is mapped to {needed}: add --map {needed}=COLUMN{way_out}")
    if event_type and event_type not in EVENT_TYPES:
        raise FeedInvalid(f"--event-type {event_type}: there are {', '.join(EVENT_TYPES)}")
    if event_type and "event_type" in mapping:
        raise FeedInvalid("--event-type and --map event_type=… exclude one another: name one")


def _time_reader(zone: ZoneInfo, time_format: str | None) -> Callable[[str], datetime | None]:
    """How this file's times are read: None for what is no time. Of a local hour that comes twice the first is meant."""

    def read(text: str) -> datetime | None:
        try:
            if time_format is None and _EPOCH.fullmatch(text):
                value = float(text)
                unit = next(unit for limit, unit in _EPOCH_UNITS if abs(value) < limit)
                return datetime.fromtimestamp(value / unit, UTC)
            moment = datetime.strptime(text, time_format) if time_format else datetime.fromisoformat(text)  # noqa: DTZ007 - the zone follows
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            return None

    return read


def _by_day(
    lines: list[list[str]], column: int, read_time: Callable[[str], datetime | None], file: Path
) -> list[tuple[date, str | None, list[str]]]:
    """Day, time in UTC (None: unreadable) and line, in the order of days; a line without a readable time goes with the one before."""
    moments = [read_time(line[column].strip()) for line in lines]
    day = next((moment.date() for moment in moments if moment), None)
    if day is None:
        found = lines[0][column]
        raise FeedInvalid(
            f"{file}: no line has a readable time (found {found!r}), expected ISO 8601, epoch or --time-format"
        )
    rows = []
    for line, moment in zip(lines, moments, strict=True):
        day = moment.date() if moment else day
        rows.append((day, moment.isoformat() if moment else None, line))
    return sorted(rows, key=lambda row: row[0])
