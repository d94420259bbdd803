"""The arms of the proof: who makes the lists that the same people see, day after day.

Every arm lives in a world of its own with the same dice: two arms that show the same lists see the same people do the
same things. What differs is what the lists lead to.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from contracts.settings import inherited_environment, load_settings
from simulator.command import REPOSITORY, DemoFailed
from simulator.policies import items_for_sale
from simulator.published import Published, read_published
from simulator.shop import Shop, ShopConfig

#: What the arms call when nobody sabotages them.
FORETASTE = (sys.executable, "-m", "jobs.cli")
_SHOWN = 10

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
    """An arm that is Foretaste: a home of its own, with servers, driven from outside through feed and lists."""

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
        shop = Shop(self.config)
        self.home.mkdir(parents=True)
        (self.home / "settings.env").write_text(
            "".join(f"FORETASTE_{name}={value}\n" for name, value in self.settings.items())
        )
        for day in history:
            shop.deliver(self.home / "feed", day)
        self._foretaste("up", "--without-airflow")
        try:
            self._foretaste("load", "--day", str(history[0]), "--to", str(history[-1]))
            self._foretaste("retrain", "--day", str(history[-1]), "--reason", "first model")
            return self._follow(shop, live)
        finally:
            self._foretaste("down")

    def _follow(self, shop: Shop, live: Sequence[date]) -> ArmResult:
        result = ArmResult(self.name)
        when = ("--retrain", self.retrain_when, "--every", str(self.every_days))
        arguments = ("--day", str(live[0]), "--to", str(live[-1]), *when)
        with (self.home / "follow.log").open("w") as log:
            follower = subprocess.Popen(
                [*self.command, "follow", *arguments, "--poll", "0.1", "--json"],
                cwd=REPOSITORY, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
            try:
                for day in live:
                    lists = self._published().lists
                    delivered = shop.deliver(
                        self.home / "feed", day, published=lists, version=self._published().version
                    )
                    if self.spoil is not None:
                        self.spoil(self.home / "feed", day)
                    result.days.append(outcome_of(shop, day, delivered, lists))
                    result.verdicts.append(self._next_day(follower))
                follower.wait()
            finally:
                follower.terminate()
                follower.wait()
        return result

    def _next_day(self, follower: subprocess.Popen[str]) -> dict[str, Any]:
        assert follower.stdout is not None
        line = follower.stdout.readline()
        if not line:
            told = (self.home / "follow.log").read_text().strip().splitlines()
            raise DemoFailed(
                f"arm {self.name}: the follower ended early: {told[-1] if told else 'it said nothing'}"
            )
        return dict(json.loads(line))

    def _published(self) -> Published:
        published = read_published(load_settings(home=self.home))
        assert published is not None, f"arm {self.name} has published nothing"
        return published

    @property
    def _environment(self) -> dict[str, str]:
        return {**inherited_environment(drop_prefixes=("FORETASTE_",)), "FORETASTE_HOME": str(self.home)}

    def _foretaste(self, *arguments: str) -> None:
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=REPOSITORY, env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            told = (done.stderr or done.stdout).strip().splitlines()
            raise DemoFailed(
                f"arm {self.name}: foretaste {' '.join(arguments)}: {told[-1] if told else 'it said nothing'}"
            )
