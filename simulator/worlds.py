"""The worlds that a demo can be run on: a simulated shop, or real data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from simulator.command import foretaste
from simulator.incidents import TasteShift
from simulator.published import Published
from simulator.shop import Shop, ShopConfig


class World(Protocol):
    """Where events come from, and the days that a demo needs to know."""

    title: str
    story: str  # what happens between the champion's training and the live days
    first: date
    champion_day: date  # the first champion is trained up to here
    last_history: date
    live_days: tuple[date, ...]  # run by Airflow's scheduler
    is_judged_at_end: bool  # a retraining shows what the lists are worth, also when no alarm has rung
    settings: dict[str, str]  # for HOME/settings.env, without FORETASTE_

    def deliver(self, days: Sequence[date], published: Published | None) -> str:
        """Deliver some days to the feed; returns one line about them."""


def _scheduled(live_days: Sequence[date]) -> dict[str, str]:
    """Settings that let Airflow's scheduler run exactly the live days, without long waits."""
    return {
        "SCHEDULE_START": str(live_days[0]),
        "SCHEDULE_END": str(live_days[-1]),
        "DELIVERY_POLL_SECONDS": "5",
        "RETRY_SECONDS": "5",
    }


class SimulatedShop:
    """A modest seeded shop: sixty days of history, taste shifting on day 46, two live days."""

    def __init__(self, feed: Path, seed: int, *, has_shift: bool) -> None:
        self.first = date(2026, 1, 5)
        self.champion_day = self.first + timedelta(days=44)
        self.last_history = self.first + timedelta(days=59)
        self.live_days: tuple[date, ...] = (self.first + timedelta(days=60), self.first + timedelta(days=61))
        shift_day = self.champion_day + timedelta(days=1) if has_shift else None
        self.title = (
            f"a simulated shop (seed {seed}), {'one shift of taste' if has_shift else 'no shift of taste'}"
        )
        self.story = f"Taste shifts on {shift_day}" if has_shift else "Nothing happens"
        self.is_judged_at_end = False  # without a shift of taste nothing should retrain
        self.settings = _scheduled(self.live_days)
        self._feed = feed
        incidents = (TasteShift(shift_day),) if shift_day else ()
        self._shop = Shop(ShopConfig(seed=seed, start=self.first, incidents=incidents))

    def deliver(self, days: Sequence[date], published: Published | None) -> str:
        """Simulate the days; who visits sees the published lists."""
        num_events = 0
        for day in days:
            delivered = self._shop.deliver(
                self._feed,
                day,
                published=published.lists if published else None,
                version=published.version if published else None,
            )
            num_events += delivered["events"]
        return f"{num_events:,} events of {len(days)} days"


class OnlineRetail:
    """UCI Online Retail, a real gift shop; its last two days are run live, its last 28 judge the challenger."""

    def __init__(self, feed: Path, source: Path) -> None:
        days = sorted(date.fromisoformat(path.stem) for path in source.glob("*.csv"))
        if len(days) < 90:
            raise FileNotFoundError(f"{source} holds {len(days)} daily CSV files; Online Retail has 219")
        self.title = "UCI Online Retail, a real gift shop"
        self.story = "Four weeks of trade"
        self.first = days[0]
        self.live_days: tuple[date, ...] = (days[-2], days[-1])
        self.last_history = days[-2] - timedelta(days=1)
        self.champion_day = days[-1] - timedelta(days=28)
        self.is_judged_at_end = True
        self.settings = {
            **_scheduled(self.live_days),
            "JUDGE_DAYS": "28",
            "JUDGE_USERS": "100000",
            "HISTORY_DAYS": "365",
        }
        self._feed = feed
        self._source = source

    def deliver(self, days: Sequence[date], published: Published | None) -> str:
        """Import the days; real people saw no lists of ours."""
        told = foretaste(
            "import", "online-retail", str(self._source), "--feed", str(self._feed),
            "--from", str(days[0]), "--to", str(days[-1]), is_shown=False,
        )  # fmt: skip
        found = json.loads(told)
        return (
            f"{found['events']:,} events of {found['days']} days; {found['returns']:,} are returns, "
            f"{found['anonymous']:,} name no customer, {found['service_lines']:,} are about postage and fees"
        )
