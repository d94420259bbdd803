"""The arms of the proof: who makes the lists that the same people see, day after day.

Every arm lives in a world of its own with the same dice: two arms that show the same lists see the same people do the
same things. What differs is what the lists lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from simulator.followed_home import FORETASTE, FollowedHome
from simulator.policies import items_for_sale
from simulator.shop import Shop, ShopConfig

_SHOWN = 10
#: Settings of a shop of a thousand people, without FORETASTE_: small, because it is trained dozens of times.
SMALL_SHOP = (
    ("HISTORY_DAYS", "60"),
    # By validation in a world that proves nothing (seed 901): four epochs with steps so long foretell what six with shorter ones do.
    ("SASREC_EPOCHS", "4"),
    ("SASREC_LEARNING_RATE", "0.01"),
    ("SASREC_WIDTH", "32"),
    ("SASREC_BLOCKS", "1"),
    ("SASREC_HEADS", "1"),
    ("LIST_LENGTH", "20"),
    ("REPORTS_KEPT", "0"),  # nobody looks at them, and drawing one takes longer than judging the day
    ("PAGES_AFTER_RUN", "false"),
    ("THREADS", "1"),  # arms run side by side, a processor each
)

Lists = Mapping[str, Sequence[str]]
#: Spoils what a day has delivered before Foretaste reads it.
Spoiler = Callable[[Path, date], None]


@dataclass(frozen=True)
class DayOutcome:
    """What a day's lists led to, and how they spread over the catalogue."""

    day: str
    visits: int  # of people with a list
    clicks: int  # on what was shown
    expected_clicks: float  # the sum of the chances of what was shown
    coverage: float  # share of what was for sale that stood in somebody's first ten
    gini: float  # of how often each was shown


@dataclass
class ArmResult:
    """All that an arm came to."""

    name: str
    days: list[DayOutcome] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)  # what the follower told of each day

    @property
    def num_retrainings(self) -> int:
        """Retrainings that were begun, promoted or not."""
        return sum(verdict["retrained"] in ("promoted", "refused") for verdict in self.verdicts)

    def clicks_per_visit(self, since: str = "") -> float:
        """Expected clicks of a visit, on average over the visits from a day on."""
        days = [day for day in self.days if day.day >= since]
        return sum(day.expected_clicks for day in days) / max(sum(day.visits for day in days), 1)


def outcome_of(shop: Shop, day: date, delivered: Mapping[str, Any], lists: Lists) -> DayOutcome:
    """A day's outcome, from what the world says of it."""
    counts = dict.fromkeys(items_for_sale(shop, day), 0)
    for items in lists.values():
        for item in items[:_SHOWN]:
            if item in counts:
                counts[item] += 1
    return DayOutcome(
        day=day.isoformat(),
        visits=int(delivered["visits"]),
        clicks=int(delivered["clicks"]),
        expected_clicks=float(delivered["expected_clicks"]),
        coverage=sum(count > 0 for count in counts.values()) / max(len(counts), 1),
        gini=_gini(sorted(counts.values())),
    )


def _gini(ordered: Sequence[int]) -> float:
    total, number = sum(ordered), len(ordered)
    if not total:
        return 0.0
    return (
        2 * sum(rank * count for rank, count in enumerate(ordered, start=1)) / (number * total)
        - (number + 1) / number
    )


@dataclass(frozen=True)
class ListArm:
    """An arm that needs no Foretaste: a policy says what everyone sees."""

    name: str
    config: ShopConfig
    feed: Path
    policy: Callable[[Shop, Path, date], Lists]

    def run(self, history: Sequence[date], live: Sequence[date]) -> ArmResult:
        """History without lists, then the live days with the policy's."""
        shop, result = Shop(self.config), ArmResult(self.name)
        for day in history:
            shop.deliver(self.feed, day)
        for day in live:
            lists = self.policy(shop, self.feed, day)
            delivered = shop.deliver(self.feed, day, published=lists, version=self.name)
            result.days.append(outcome_of(shop, day, delivered, lists))
        return result


@dataclass(frozen=True)
class LoopArm:
    """An arm that is Foretaste, in a home of its own."""

    name: str
    config: ShopConfig
    home: Path
    retrain_when: str  # on-alarm, daily or never
    settings: Mapping[str, str]  # for HOME/settings.env, without FORETASTE_
    every_days: int = 0  # it retrains every so many days as well
    command: Sequence[str] = FORETASTE
    spoil: Spoiler | None = None

    def run(self, history: Sequence[date], live: Sequence[date]) -> ArmResult:
        """Load the history, train a first champion on it, follow the live days; leaves no server running."""
        shop, result = Shop(self.config), ArmResult(self.name)
        followed = FollowedHome(f"arm {self.name}", self.home, self.settings, self.command)
        followed.begin()
        for day in history:
            shop.deliver(followed.feed, day)
        with followed.servers():
            followed.train_first(history[0], history[-1])
            with followed.following(
                live[0], live[-1], retrain_when=self.retrain_when, every_days=self.every_days
            ) as next_day:
                for day in live:
                    seen = followed.published()
                    delivered = shop.deliver(followed.feed, day, published=seen.lists, version=seen.version)
                    if self.spoil is not None:
                        self.spoil(followed.feed, day)
                    result.days.append(outcome_of(shop, day, delivered, seen.lists))
                    result.verdicts.append(next_day())
        return result
