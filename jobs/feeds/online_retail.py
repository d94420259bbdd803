"""UCI Online Retail (Chen, 2015): a gift shop's invoices, one CSV a day, as the feed that shop would have sent.

What is real stays: cancellations are returns, lines without a customer stay anonymous, stock write-offs
and free goods keep their price of nothing, service lines are delivered and named in ``feed.json``. Which of
them count is the landing's business, where every row is accounted for.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from contracts.errors import FeedInvalid
from contracts.feed import Calendar, FeedDescription, days_between
from jobs.feeds.gift_categories import category_of
from jobs.feeds.source_files import read_rows
from jobs.feeds.writer import FeedWriter

SHOP = "Online Retail (UCI)"
ZONE = ZoneInfo("Europe/London")
HEADER = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
)  # fmt: skip
#: Codes that are no goods: postage and carriage, manual entries, discounts, fees, vouchers, samples.
SERVICE_ITEMS = (
    "22016",  # gift voucher of 100 pounds
    "23444",  # Next Day Carriage
    "23574",  # Packing charge
    "AMAZONFEE",
    "B",  # bad debt
    "BANK CHARGES",
    "C2",  # carriage
    "CRUK",  # a charity's commission
    "D",  # discount
    "DOT",  # postage of dotcom orders
    "GIFT_0001_10",
    "GIFT_0001_20",
    "GIFT_0001_30",
    "GIFT_0001_40",
    "GIFT_0001_50",
    "M",  # manual
    "PADS",  # given with cushions, 0.001 each
    "POST",
    "S",  # samples
)
EVENT_COLUMNS = (
    "event_id", "user_id", "item_id", "event_type", "occurred_at", "session_id", "quantity", "unit_price",
)  # fmt: skip
ITEM_COLUMNS = ("item_id", "title", "category", "brand", "price")
USER_COLUMNS = ("user_id", "created_at", "attributes")

Row = tuple[str, ...]

_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})\.csv(\.gz)?")


@dataclass
class Catalogue:
    """What the shop knows of its goods and customers: nothing later than the last lines it was told."""

    titles: dict[str, Counter[str]] = field(default_factory=dict)  # by item: how often each title was used
    prices: dict[str, str] = field(default_factory=dict)  # the last one
    users: dict[str, Row] = field(default_factory=dict)
    _told: dict[str, Row] = field(default_factory=dict)  # each item's row as it was last taken
    _touched_items: set[str] = field(default_factory=set)
    _touched_users: set[str] = field(default_factory=set)

    def learn(self, lines: list[list[str]]) -> None:
        """Take note of a day's lines."""
        for invoice, code, description, quantity, local_time, price, customer, country in lines:
            item, user = item_id(code), user_id(customer)
            # A line without a price is a note about the stock ("damaged", "?"), not a description of goods.
            if item not in SERVICE_ITEMS and _is_positive(price):
                titles = self.titles.setdefault(item, Counter())
                if title := " ".join(description.split()):
                    titles[title] += 1
                if item not in self.prices or not is_return(invoice, quantity):
                    self.prices[item] = price
                self._touched_items.add(item)
            attributes = _user_attributes(country)
            known = self.users.get(user)
            if user and (known is None or known[2] != attributes):
                self.users[user] = (user, known[1] if known else to_utc(local_time), attributes)
                self._touched_users.add(user)

    def take_items(self) -> list[Row]:
        """Rows of the items that are new or have another title or price since rows were last taken."""
        rows: list[Row] = []
        for item in sorted(self._touched_items):
            titles = self.titles[item]
            # Of titles used equally often the one that was used first: dictionaries keep that order.
            title = max(titles, key=lambda candidate: titles[candidate]) if titles else ""
            row = (item, title, category_of(title), "", self.prices[item])
            if self._told.get(item) != row:
                self._told[item] = row
                rows.append(row)
        self._touched_items.clear()
        return rows

    def take_users(self) -> list[Row]:
        """Rows of the users who are new or have moved to another country since rows were last taken."""
        rows = [self.users[user] for user in sorted(self._touched_users)]
        self._touched_users.clear()
        return rows


def import_online_retail(
    source: Path, feed: Path, first: date | None = None, last: date | None = None
) -> dict[str, Any]:
    """Write the feed; one delivery a file, received on the file's day. Everything is read before anything is written.

    A delivery tells what is new since the feed's deliveries before it; the first one of a feed tells of all goods
    and customers that the shop has known up to then. So importing day by day gives what one import gives.

    Args:
        first: the first day to deliver; that of the source without one.
        last: the last day to deliver; that of the source without one.

    Raises:
        FeedInvalid: no files, or one of them is truncated, empty or has another header.
    """
    files = _files_by_day(source)
    chosen = [day for day in files if (first or day) <= day <= (last or day)]
    if not chosen:
        raise FeedInvalid(
            f"{source} has no day from {first or 'its first'} to {last or 'its last'}: "
            f"it reaches from {min(files)} to {max(files)}"
        )
    lines = {day: read_rows(path, HEADER)[1] for day, path in files.items() if day <= chosen[-1]}
    writer = FeedWriter(feed)
    writer.describe(_description(list(files)))
    feed_starts = min([chosen[0], *writer.delivered_days("events")])
    catalogue = Catalogue()
    counts = Counter(dict.fromkeys(("events", "items", "users", "anonymous", "returns", "service_lines"), 0))
    for day, rows in lines.items():
        catalogue.learn(rows)
        if day < feed_starts:
            continue
        items, users = catalogue.take_items(), catalogue.take_users()
        if day < chosen[0]:
            continue
        events = event_rows(rows)
        counts.update(events=len(events), items=len(items), users=len(users))
        counts["anonymous"] += sum(1 for event in events if not event[1])
        counts["returns"] += sum(1 for event in events if event[3] == "return")
        counts["service_lines"] += sum(1 for event in events if event[2] in SERVICE_ITEMS)
        # Items and users first: whoever waits for the day's events finds the goods described.
        if items:
            writer.deliver("items", day, ITEM_COLUMNS, items)
        if users:
            writer.deliver("users", day, USER_COLUMNS, users)
        writer.deliver("events", day, EVENT_COLUMNS, events)
    return {
        "shop": SHOP,
        "feed": str(feed),
        "first_day": chosen[0].isoformat(),
        "last_day": chosen[-1].isoformat(),
        "days": len(chosen),
        **counts,
        "deliveries_written": writer.num_written,
        "deliveries_unchanged": writer.num_unchanged,
    }


def event_rows(lines: list[list[str]]) -> list[Row]:
    """One event a line, in the order of the file."""
    rows: list[Row] = []
    line_numbers: Counter[str] = Counter()
    for invoice, code, _, quantity, local_time, price, customer, _ in lines:
        line_numbers[invoice] += 1
        is_returned = is_return(invoice, quantity)
        rows.append(
            (
                # Four digits, so that the order of ids is the order of lines where the minute is the same.
                f"{invoice}-{line_numbers[invoice]:04d}",
                user_id(customer),
                item_id(code),
                "return" if is_returned else "purchase",
                to_utc(local_time),
                invoice,
                quantity.removeprefix("-") if is_returned else quantity,
                price,
            )
        )
    return rows


def is_return(invoice: str, quantity: str) -> bool:
    """Cancelled invoices begin with a C; goods written off have a negative quantity and no price."""
    return invoice.startswith("C") or quantity.startswith("-")


def user_id(customer: str) -> str:
    """A customer's number; the set's went through a column of floats (17850.0). Empty: anonymous."""
    return customer.strip().removesuffix(".0")


def item_id(code: str) -> str:
    """A stock code in upper case.

    93 codes occur in both cases (85123a, 85123A); 88 of them carry the very same title in both, and the
    other five a rewording of it: one item, typed on two tills.
    """
    return code.strip().upper()


@lru_cache(maxsize=4096)  # an invoice's lines share their minute
def to_utc(local_time: str) -> str:
    """British local time as UTC; what is no time stays as it is, for the landing to quarantine.

    An hour that the clock skips in March is read as if it had not been moved yet; of an hour that comes
    twice in October, the first is meant. The shop sells neither at that hour.
    """
    try:
        moment = datetime.fromisoformat(local_time).replace(tzinfo=ZONE, fold=0)
    except ValueError:
        return local_time
    return moment.astimezone(UTC).isoformat()


@lru_cache(maxsize=256)
def _user_attributes(country: str) -> str:
    return json.dumps({"country": country})


@lru_cache(maxsize=16_384)
def _is_positive(price: str) -> bool:
    try:
        return float(price) > 0
    except ValueError:
        return False


def _files_by_day(source: Path) -> dict[date, Path]:
    if not source.is_dir():
        raise FeedInvalid(f"{source} is no folder, expected one with a file a day (2010-12-01.csv, …)")
    files = {}
    for path in sorted(source.iterdir()):
        if match := _FILE.fullmatch(path.name):
            files[date.fromisoformat(match[1])] = path
    if not files:
        raise FeedInvalid(f"{source} holds no file named like 2010-12-01.csv; expected one a day")
    return files


def _description(days: list[date]) -> FeedDescription:
    """``feed.json``: open on every day but Saturdays and the days in between that have no file."""
    closed = [day for day in days_between(days[0], days[-1]) if day not in set(days) and day.weekday() != 5]
    return FeedDescription(
        schema_version=1,
        shop=SHOP,
        currency="GBP",
        time_zone=ZONE.key,
        repeats_allowed=True,  # most customers are shops themselves, who order again what they sold
        missing_consent="granted",
        service_items=SERVICE_ITEMS,
        calendar=Calendar(closed_weekdays=("saturday",), closed_days=tuple(closed)),
    )
