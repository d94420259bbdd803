"""Why a day must not go on by itself: a delivery is missing, too dirty, empty or of an odd size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from statistics import median

from contracts.feed import FeedDescription, days_between, delivery_folder
from contracts.settings import Settings
from jobs.feed_reader import Delivery
from jobs.landing.account import Account, Record

_DELIVERIES_COMPARED = 14


def refusals(
    day: date,
    first: date | None,
    accounts: Sequence[Account],
    recorded: Mapping[str, Record],
    description: FeedDescription,
    settings: Settings,
) -> list[str]:
    """The reasons, judged delivery by delivery, as day after day would; ``recorded`` are those landed before."""
    landed = {key: record for key, record in recorded.items() if record["kind"] == "events"}
    received = {each.delivery.received for each in accounts if each.delivery.kind == "events"}
    received |= {date.fromisoformat(record["received_date"]) for record in landed.values()}
    found = _missing(days_between(first or day, day), received, description)
    volumes = {record["received_date"]: record["read"] for record in landed.values()}
    for account in accounts:
        if account.delivery.kind == "events" and account.read == 0:
            found.append(f"{account.delivery.key} holds no rows")
        found += _too_dirty(account, settings)
        if account.delivery.kind == "events":
            found += _odd_volume(account.delivery, account.read, volumes, settings)
            volumes[account.delivery.received.isoformat()] = account.read
    return found


def _missing(days: Sequence[date], received: set[date], description: FeedDescription) -> list[str]:
    return [
        f"the delivery of {day} is missing (feed.json's calendar expects one; no {delivery_folder('events', day)}/_SUCCESS)"
        for day in days
        if description.expects_delivery(day) and day not in received
    ]


def _too_dirty(account: Account, settings: Settings) -> list[str]:
    if account.malformed_share <= settings.max_malformed_share:
        return []
    worst = max(account.quarantined, key=lambda reason: account.quarantined[reason])
    return [
        f"{account.delivery.key}: {account.malformed_share:.1%} of {account.read:,} rows are malformed, mostly {worst} "
        f"(allowed: {settings.max_malformed_share:.1%}, max_malformed_share)"
    ]


def _odd_volume(delivery: Delivery, read: int, volumes: Mapping[str, int], settings: Settings) -> list[str]:
    earlier = [volumes[key] for key in sorted(volumes) if key < delivery.received.isoformat()][
        -_DELIVERIES_COMPARED:
    ]
    if len(earlier) < settings.volume_min_days:
        return []
    usual = median(earlier)
    low, high = settings.volume_low * usual, settings.volume_high * usual
    if low <= read <= high:
        return []
    return [
        f"{delivery.key} has {read:,} rows; the last {len(earlier)} deliveries had {usual:,.0f} (median), "
        f"{low:,.0f} to {high:,.0f} go through (volume_low, volume_high)"
    ]
