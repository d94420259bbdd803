"""``make proof``: does the loop close by itself? Days of incidents, several arms, one verdict with figures.

Each seed is a small world with a history and live days in which things happen. Foretaste runs three times in it, each
in a home of its own: retraining when its alarm rings (adaptive), never (frozen) and every day (daily). Beside them stand
lists that need no Foretaste: recent popularity, chance, and the world's own optimum, which nobody else can know.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from contracts.errors import ForetasteError
from contracts.settings import load_settings
from simulator.arms import SMALL_SHOP, ArmResult, DayOutcome, ListArm, Lists, LoopArm, Spoiler
from simulator.code_digest import code_digest
from simulator.command import console
from simulator.followed_home import FORETASTE
from simulator.incidents import EventsLost, Holiday, NewCategory, TasteShift, ViralItem
from simulator.policies import optimal_lists, popular_lists, random_lists
from simulator.proof_report import judge_proof, show_table, write_pages
from simulator.proof_retail import prove_online_retail
from simulator.proof_retail_report import show_retail, write_retail_pages
from simulator.shop import Shop, ShopConfig

START = date(2026, 1, 5)
#: Nobody has chosen a setting or a threshold by these worlds.
SEEDS = tuple(range(301, 311))


@dataclass(frozen=True)
class Plan:
    """How long a proof is, how large its world, and what happens on which live day (from 0)."""

    history_days: int = 45
    live_days: int = 45
    num_users: int = 1200
    viral_on: int | None = 5
    shift_on: int = 10
    tracker_on: int | None = 27
    new_category_on: int | None = 31
    holiday_on: int | None = 38
    settings: tuple[tuple[str, str], ...] = SMALL_SHOP

    @property
    def history(self) -> list[date]:
        return [START + timedelta(days=number) for number in range(self.history_days)]

    @property
    def live(self) -> list[date]:
        return [self._day(number) for number in range(self.live_days)]

    @property
    def shift_day(self) -> date:
        return self._day(self.shift_on)

    def _day(self, number: int) -> date:
        return START + timedelta(days=self.history_days + number)

    def config(self, seed: int) -> ShopConfig:
        """The world of a seed."""
        incidents: list[Any] = [TasteShift(self.shift_day)]
        if self.viral_on is not None:
            incidents.append(ViralItem(self._day(self.viral_on), days=3))
        if self.tracker_on is not None:
            incidents.append(EventsLost(self._day(self.tracker_on), days=2))
        if self.new_category_on is not None:
            incidents.append(NewCategory(self._day(self.new_category_on)))
        if self.holiday_on is not None:
            incidents.append(Holiday(self._day(self.holiday_on), days=3, lift=2.0))
        return ShopConfig(seed=seed, num_users=self.num_users, start=START, incidents=tuple(incidents))


#: A proof that shows whether a sabotage is noticed: the shift and what follows it, in a world as large as the whole
#: proof's, because of fewer people too few act on a day to judge by.
SHORT = Plan(
    history_days=30, live_days=14, viral_on=None, shift_on=2, tracker_on=None,
    new_category_on=None, holiday_on=None,
)  # fmt: skip


@dataclass(frozen=True)
class SeedResult:
    """What every arm came to in the world of a seed."""

    seed: int
    plan: Plan
    arms: dict[str, ArmResult]
    seconds: float
    code: str  # the digest of the code that it was measured with

    def as_record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> SeedResult:
        arms = {
            name: ArmResult(name, [DayOutcome(**day) for day in arm["days"]], arm["verdicts"])
            for name, arm in record["arms"].items()
        }
        plan = Plan(**{**record["plan"], "settings": tuple(map(tuple, record["plan"]["settings"]))})
        return cls(record["seed"], plan, arms, record["seconds"], record["code"])


def prove_seed(
    folder: Path,
    plan: Plan,
    seed: int,
    *,
    adaptive_when: str = "on-alarm",
    command: Sequence[str] = FORETASTE,
    spoil: Spoiler | None = None,
) -> SeedResult:
    """Run every arm in the world of a seed.

    Args:
        adaptive_when: when the adaptive arm retrains; ``never`` cuts its alarm.
        command: what the adaptive arm calls instead of Foretaste's command line; a saboteur's.
        spoil: spoils what is delivered to the adaptive arm.
    """
    begun = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    config = plan.config(seed)
    loop = partial(LoopArm, config=config, settings=dict(plan.settings))
    adaptive = loop(
        "adaptive", home=folder / "adaptive", retrain_when=adaptive_when, command=command, spoil=spoil
    )
    frozen = loop("frozen", home=folder / "frozen", retrain_when="never")
    daily = loop("daily", home=folder / "daily", retrain_when="daily")
    with ThreadPoolExecutor(2) as pool:  # two processors: daily takes about as long as the two others
        running: list[Future[list[ArmResult]]] = [
            pool.submit(_run_all, arms, plan) for arms in ([daily], [adaptive, frozen])
        ]
        results = _run_all(
            [
                ListArm("popular", config, folder / "popular" / "feed", popular_lists),
                ListArm("random", config, folder / "random" / "feed", _random),
                ListArm("optimum", config, folder / "optimum" / "feed", optimal_lists),
            ],
            plan,
        )
        for future in running:
            results += future.result()
    by_name = {result.name: result for result in results}
    order = ("adaptive", "frozen", "daily", "popular", "random", "optimum")
    in_order = {name: by_name[name] for name in order}
    return SeedResult(seed, plan, in_order, time.perf_counter() - begun, code_digest())


def _run_all(arms: Sequence[ListArm | LoopArm], plan: Plan) -> list[ArmResult]:
    return [arm.run(plan.history, plan.live) for arm in arms]


def _random(shop: Shop, feed: Path, day: date) -> Lists:
    return random_lists(shop, day)


def prove(folder: Path, plan: Plan, seeds: Sequence[int]) -> list[SeedResult]:
    """Prove some seeds one after the other; what an earlier run has finished with the same plan and code is kept."""
    results, code = [], code_digest()
    for seed in seeds:
        kept = folder / f"seed-{seed}.json"
        if kept.exists():
            found = SeedResult.from_record(json.loads(kept.read_text()))
            if (found.plan, found.code) == (plan, code):
                console.print(f"Seed {seed} is finished: {kept}", markup=False)
                results.append(found)
                continue
        console.print(f"Seed {seed}: {plan.live_days} live days, six arms …", markup=False)
        found = prove_seed(folder / f"seed-{seed}", plan, seed)
        kept.write_text(json.dumps(found.as_record()))
        shutil.rmtree(folder / f"seed-{seed}")
        console.print(f"Seed {seed} took {found.seconds:.0f} s", markup=False)
        results.append(found)
    return results


def main() -> None:
    """``make proof``; SEEDS=301,302 names others, DOCS=docs writes docs/proof.md and its plot."""
    parser = argparse.ArgumentParser(prog="make proof", description=__doc__)
    parser.add_argument("--seeds", default=str(SEEDS[0]), help="seeds, separated by commas; 'all' for ten")
    parser.add_argument("--days", type=int, help="live days")
    parser.add_argument("--docs", type=Path, help="write the page and its plot into this folder")
    parser.add_argument("--data", choices=["simulated", "online-retail"], default="simulated")
    parser.add_argument("--source", type=Path, help="folder of the real data set")
    arguments = parser.parse_args()
    if arguments.data == "online-retail" and arguments.source is None:
        parser.error("--data online-retail needs --source: make proof DATA=online-retail SOURCE=folder")
    seeds = SEEDS if arguments.seeds == "all" else tuple(int(seed) for seed in arguments.seeds.split(","))
    plan = replace(Plan(), live_days=arguments.days) if arguments.days else Plan()
    folder = load_settings().home / "proof"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.data == "online-retail":
            arms = prove_online_retail(folder / "online-retail", arguments.source.absolute())
            show_retail(arms)
            if arguments.docs:
                write_retail_pages(arguments.docs, arms)
            return
        results = prove(folder, plan, seeds)
    except ForetasteError as error:
        console.print(f"[bold red]{type(error).__name__}[/bold red]: {error}")
        raise SystemExit(error.exit_code) from None
    verdict = judge_proof(results)
    show_table(results, verdict)
    if arguments.docs:
        write_pages(arguments.docs, results, verdict)
    raise SystemExit(0 if verdict.is_proven else 1)


if __name__ == "__main__":
    main()
