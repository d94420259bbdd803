"""``make proof DATA=online-retail SOURCE=folder``: the last three months of a real gift shop, adaptive against frozen.

Nobody saw our lists there, so nothing comes back: what can be measured is how well the lists of a day foretell what the
same people bought on the next one, beside recent popularity.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

from contracts.feed import days_between, delivery_folder
from simulator.command import DemoFailed, foretaste
from simulator.followed_home import FollowedHome
from simulator.proof_retail_report import RetailArm, RetailDay

_LIVE_DAYS = 92
_REGULAR_DAYS = 28
_SETTINGS = {"JUDGE_DAYS": "28", "HISTORY_DAYS": "365", "REPORTS_KEPT": "0", "PAGES_AFTER_RUN": "false"}


def prove_online_retail(folder: Path, source: Path) -> list[RetailArm]:
    """Both arms, side by side: adaptive retrains on alarm and every four weeks, frozen never."""
    shutil.rmtree(folder, ignore_errors=True)
    staged = folder / "feed"
    foretaste("import", "online-retail", str(source), "--feed", str(staged), is_shown=False)
    days = sorted(
        date.fromisoformat(path.name.removeprefix("received=")) for path in (staged / "events").iterdir()
    )
    if (days[-1] - days[0]).days < _LIVE_DAYS + 60:
        raise DemoFailed(
            f"{source} holds {days[0]} to {days[-1]}: two months of history and {_LIVE_DAYS} live days are needed"
        )
    adaptive, frozen = (
        FollowedHome(f"arm {name}", folder / name, _SETTINGS) for name in ("adaptive", "frozen")
    )
    with ThreadPoolExecutor(2) as pool:
        arms = [
            pool.submit(_run, adaptive, staged, days, "adaptive", "on-alarm", _REGULAR_DAYS),
            pool.submit(_run, frozen, staged, days, "frozen", "never", 0),
        ]
        return [arm.result() for arm in arms]


def _run(
    followed: FollowedHome, staged: Path, days: Sequence[date], name: str, retrain_when: str, every_days: int
) -> RetailArm:
    last_history = days[-1] - timedelta(days=_LIVE_DAYS)
    followed.begin()
    followed.feed.mkdir()
    shutil.copy(staged / "feed.json", followed.feed / "feed.json")
    for day in days_between(days[0], last_history):
        _deliver(staged, followed.feed, day)
    verdicts = []
    with followed.servers():
        followed.train_first(days[0], last_history)
        live = days_between(last_history + timedelta(days=1), days[-1])
        with followed.following(
            live[0], live[-1], retrain_when=retrain_when, every_days=every_days
        ) as next_day:
            for day in live:
                _deliver(staged, followed.feed, day)
                verdicts.append(next_day())
    found = [_lists_of(followed.home, day) for day in live]
    return RetailArm(name, [each for each in found if each], verdicts)


def _deliver(staged: Path, feed: Path, day: date) -> None:
    """Put a day's deliveries, if it has any, from the imported feed into the arm's; the one that completes it last."""
    for kind in ("users", "items", "events"):
        delivered = staged / delivery_folder(kind, day)
        if delivered.exists():
            incoming, place = feed / ".incoming" / kind, feed / delivery_folder(kind, day)
            shutil.copytree(delivered, incoming)  # a reader must not see the delivery before it is whole
            place.parent.mkdir(exist_ok=True)
            incoming.rename(place)


def _lists_of(home: Path, day: date) -> RetailDay | None:
    """What became of the lists on a day, as the published report says."""
    report = home / "reports" / "drift" / day.isoformat() / "verdict.json"
    if not report.exists():
        return None
    found = json.loads(report.read_text(encoding="utf-8"))["lists_of_the_day_before"]
    if not found:
        return None
    return RetailDay(day.isoformat(), found["num_users"], found["ndcg_at_10"], found["popularity_ndcg_at_10"])
