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
    """What the shop knows of its goods and customers, day by day: nothing later than the last line added."""

    titles: dict[str, Counter[str]] = field(
        default_factory=dict
    )  # of each item, how often each title was used
    prices: dict[str, str] = field(default_factory=dict)  # the last one
    countries: dict[str, str] = field(default_factory=dict)
    created_at: dict[str, str] = field(default_factory=dict)
    delivered: dict[str, tuple[str, str]] = field(default_factory=dict)  # title and price as last delivered

    def changed_items(self, items: set[str]) -> list[Row]:
        """Rows of those items that are new or whose title or price is another than delivered before."""
        rows: list[Row] = []
        for item in sorted(items):
            counts = self.titles[item]
            # Of titles used equally often the one that was used first: dictionaries keep that order.
            known = (max(counts, key=lambda title: counts[title]) if counts else "", self.prices[item])
            if self.delivered.get(item) != known:
                self.delivered[item] = known
                rows.append((item, known[0], category_of(known[0]), "", known[1]))
        return rows


def import_online_retail(
    source: Path, feed: Path, first: date | None = None, last: date | None = None
) -> dict[str, Any]:
    """Write the feed; one delivery a file, received on the file's day. Everything is read before anything is written.

    Args:
        first: the first day to deliver; the catalogue starts empty on it.
        last: the last day to deliver.

    Raises:
        FeedInvalid: no files, or one of them is truncated, empty or has another header.
    """
    files = _files_by_day(source)
    chosen = {day: path for day, path in files.items() if (first or day) <= day <= (last or day)}
    if not chosen:
        raise FeedInvalid(
            f"{source} has no day from {first} to {last}: it reaches from {min(files)} to {max(files)}"
        )
    lines = {day: read_rows(path, HEADER)[1] for day, path in chosen.items()}
    writer = FeedWriter(feed)
    writer.describe(_description(sorted(files)))
    catalogue = Catalogue()
    counts: Counter[str] = Counter()
    for day, rows in lines.items():
        events, items, users = deliver_day(rows, catalogue)
        counts.update(events=len(events), items=len(items), users=len(users))
        counts["anonymous"] += sum(1 for event in events if not event[1])
        counts["returns"] += sum(1 for event in events if event[3] == "return")
        counts["service_lines"] += sum(1 for event in events if event[2] in SERVICE_ITEMS)
        # Items and users first: events of a day whose goods nobody described would be set aside.
        if items:
            writer.deliver("items", day, ITEM_COLUMNS, items)
        if users:
            writer.deliver("users", day, USER_COLUMNS, users)
        writer.deliver("events", day, EVENT_COLUMNS, events)
    return {
        "shop": SHOP,
        "feed": str(feed),
        "first_day": min(chosen).isoformat(),
        "last_day": max(chosen).isoformat(),
        "days": len(chosen),
        **counts,
        "deliveries_written": writer.num_written,
        "deliveries_unchanged": writer.num_unchanged,
    }


def deliver_day(lines: list[list[str]], catalogue: Catalogue) -> tuple[list[Row], list[Row], list[Row]]:
    """The rows of one day's deliveries of events, items and users; the catalogue learns from them."""
    events: list[Row] = []
    touched: set[str] = set()
    users: dict[str, Row] = {}
    line_numbers: Counter[str] = Counter()
    for invoice, code, description, quantity, local_time, price, customer, country in lines:
        line_numbers[invoice] += 1
        item = item_id(code)
        user = customer.removesuffix(".0")  # the set's customers went through a column of floats
        occurred_at = to_utc(local_time)
        is_return = invoice.startswith("C") or quantity.startswith("-")
        events.append(
            (
                # Four digits, so that the order of ids is the order of lines where the minute is the same.
                f"{invoice}-{line_numbers[invoice]:04d}",
                user,
                item,
                "return" if is_return else "purchase",
                occurred_at,
                invoice,
                quantity.removeprefix("-") if is_return else quantity,
                price,
            )
        )
        # A line without a price is a note about the stock ("damaged", "?"), not a description of goods.
        if item not in SERVICE_ITEMS and _is_positive(price):
            touched.add(item)
            title = " ".join(description.split())
            counts = catalogue.titles.setdefault(item, Counter())
            if title:
                counts[title] += 1
            if not is_return or item not in catalogue.prices:
                catalogue.prices[item] = price
        if user and catalogue.countries.get(user) != country:
            catalogue.countries[user] = country
            created_at = catalogue.created_at.setdefault(user, occurred_at)
            users[user] = (user, created_at, json.dumps({"country": country}))
    return events, catalogue.changed_items(touched), [users[user] for user in sorted(users)]


def item_id(code: str) -> str:
    """A stock code in upper case.

    93 codes occur in both cases (85123a, 85123A); 88 of them carry the very same title in both, and the
    other five a rewording of it: one item, typed on two tills.
    """
    return code.strip().upper()


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
