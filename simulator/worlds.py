"""The worlds that a demo can be run on: a simulated shop, or real data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

from simulator.command import foretaste
from simulator.incidents import TasteShift
from simulator.policies import optimal_lists
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

    def recovery(self) -> str:
        """What the new lists are worth to the people who see them, in a sentence; empty where nobody can know."""


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
        # Some 150 people come on a day: enough for a show that ends two days after the shift.
        self.settings = {**_scheduled(self.live_days), "JUDGE_USERS": "100"}
        self._feed = feed
        self._worth: dict[
            date, tuple[float, float]
        ] = {}  # clicks a visit: of what was shown, and of the best lists
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
            if published:
                self._worth[day] = (_clicks_a_visit(delivered), self._best(day))
        told = f"{num_events:,} events of {len(days)} days"
        if not published:
            return told
        shown, best = self._worth[days[-1]]
        return f"{told}; of the lists of {published.version} people click {shown:.2f} items a visit (the best lists: {best:.2f})"

    def recovery(self) -> str:
        """Clicks a visit on the first live day and on the last, as shares of what the best lists would have had."""
        if len(self._worth) < 2:
            return ""
        (shown, best), (later, later_best) = self._worth[min(self._worth)], self._worth[max(self._worth)]
        return (
            f"Recovery: on {min(self._worth)} people clicked {shown:.2f} items a visit, {shown / best:.0%} of what the best lists "
            f"would have had; on {max(self._worth)}, with the new champion's lists, {later:.2f}, {later / later_best:.0%}"
        )

    def _best(self, day: date) -> float:
        """Clicks a visit if everybody had been shown the best lists that there can be; only the world knows them."""
        best = optimal_lists(self._shop, self._feed, day)
        return _clicks_a_visit(self._shop.live(day, best, "best", self._feed).outcome)


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

    def recovery(self) -> str:
        """Nobody has seen the lists."""
        return ""


def _clicks_a_visit(outcome: Mapping[str, Any]) -> float:
    """The expected clicks of a visit by somebody who has a list."""
    return float(outcome["expected_clicks"]) / max(int(outcome["visits"]), 1)
