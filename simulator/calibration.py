"""``make calibrate``: how often does the alarm ring for nothing, and how soon does it ring for something?

Quiet years: worlds with all that a shop's life brings (launches, sell-outs, promotions, seasons) and no incident, in
which Foretaste runs day after day and retrains every four weeks. Every alarm there is a false one. Incidents: worlds in
which one thing happens on a known day; what the monitor calls it, and after how many days, is held against what it should.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from contracts.errors import ForetasteError
from contracts.settings import load_settings
from simulator.arms import SMALL_SHOP, LoopArm
from simulator.calibration_report import IncidentFound, QuietYear, is_calibrated, show, write_page
from simulator.code_digest import code_digest
from simulator.command import console
from simulator.incidents import (
    Bots,
    ColumnBroken,
    EventsLost,
    Holiday,
    Incident,
    NewCategory,
    PriceFault,
    TasteShift,
    ViralItem,
)
from simulator.shop import ShopConfig

START = date(2026, 1, 5)
HISTORY_DAYS, YEAR, REGULAR_DAYS = 45, 365, 28
INCIDENT_LIVE_DAYS, INCIDENT_ON = 10, 5
#: Days, the incident's own included, within which it has to be found.
FOUND_WITHIN = 2
#: Nobody has chosen a threshold by these years. (One was by 402, whose 23 December was called invalid.)
QUIET_SEEDS, INCIDENT_SEEDS = (451, 452, 453, 454), (411,)
Found = TypeVar("Found", QuietYear, IncidentFound)


@dataclass(frozen=True)
class Expected:
    """What should come of an incident: the verdict that finds it, or none that matters."""

    name: str
    verdict: str  # drift or invalid; empty: nothing has to be found
    may_promote: bool = True  # may an alarm's retraining end in a promotion?

    def incident(self, day: date) -> Incident:
        return _INCIDENTS[self.name](day)


_INCIDENTS: dict[str, Callable[[date], Incident]] = {
    "taste shift": TasteShift,
    "new category": NewCategory,
    "half of the events lost": lambda day: EventsLost(day, days=3),
    "dwell_ms gone empty": lambda day: ColumnBroken(day, days=3, column="dwell_ms", value=""),
    "prices a hundredfold": lambda day: PriceFault(day, days=3),
    "bots": lambda day: Bots(day, days=3, share=0.2),
    "viral item": lambda day: ViralItem(day, days=3),
    "holiday": lambda day: Holiday(day, days=3, lift=2.0),
}
EXPECTED = (
    Expected("taste shift", "drift"),
    Expected("new category", "drift"),
    Expected("half of the events lost", "invalid"),
    Expected("dwell_ms gone empty", "invalid"),
    Expected("prices a hundredfold", "invalid"),
    Expected("bots", "invalid"),
    Expected("viral item", "", may_promote=False),
    Expected("holiday", "", may_promote=False),
)


def quiet_year(folder: Path, seed: int, num_days: int = YEAR) -> QuietYear:
    """Run a year without incidents."""
    begun = time.perf_counter()
    verdicts = _lived(folder, ShopConfig(seed=seed, start=START), num_days, every_days=REGULAR_DAYS)
    return QuietYear(
        seed,
        num_days,
        alarms={each["day"]: each["reasons"] for each in verdicts if each["has_rung"]},
        invalid={each["day"]: each["reasons"] for each in verdicts if each["verdict"] == "invalid"},
        refused={each["day"]: each["refused"] for each in verdicts if each["refused"]},
        seconds=time.perf_counter() - begun,
    )


def incident_found(folder: Path, expected: Expected, seed: int) -> IncidentFound:
    """Run a world in which one thing happens."""
    day = START + timedelta(days=HISTORY_DAYS + INCIDENT_ON)
    config = ShopConfig(seed=seed, start=START, incidents=(expected.incident(day),))
    verdicts = _lived(folder, config, INCIDENT_LIVE_DAYS)
    since = [each for each in verdicts if each["day"] >= day.isoformat()]
    called = {each["day"]: _called(each) for each in since if each["verdict"] != "ok"}
    days_to_find = next(
        (place for place, each in enumerate(since, start=1) if each["verdict"] == expected.verdict), None
    )
    promotions = [each["day"] for each in since if each["has_rung"] and each["retrained"] == "promoted"]
    is_found = days_to_find is not None and days_to_find <= FOUND_WITHIN
    other = {"drift": "invalid", "invalid": "drift"}.get(expected.verdict, "invalid")
    is_called_right = all(each["verdict"] != other for each in since[:FOUND_WITHIN])
    is_as_expected = (
        (not expected.verdict or is_found) and is_called_right and (expected.may_promote or not promotions)
    )
    return IncidentFound(
        expected.name, seed, expected.verdict, days_to_find, called, promotions, is_as_expected
    )


def _called(verdict: dict[str, Any]) -> str:
    if verdict["refused"]:
        return f"refused: {verdict['refused']}"
    return f"{verdict['verdict']}: {(verdict['reasons'] or [''])[0]}"


def _lived(folder: Path, config: ShopConfig, num_days: int, every_days: int = 0) -> list[dict[str, Any]]:
    shutil.rmtree(folder, ignore_errors=True)
    history = [START + timedelta(days=number) for number in range(HISTORY_DAYS)]
    live = [START + timedelta(days=HISTORY_DAYS + number) for number in range(num_days)]
    arm = LoopArm("calibrated", config, folder, "on-alarm", dict(SMALL_SHOP), every_days=every_days)
    verdicts = arm.run(history, live).verdicts
    shutil.rmtree(folder)
    return verdicts


def calibrate(folder: Path, num_days: int) -> tuple[list[QuietYear], list[IncidentFound]]:
    """All quiet years and all incidents, two at a time; what an earlier run has finished with the same code is kept."""
    code = code_digest()

    def kept(kind: type[Found], name: str, measure: Callable[[Path], Found]) -> Found:
        record = folder / f"{name}.json"
        if record.exists() and (known := json.loads(record.read_text()))["code"] == code:
            console.print(f"{name} is finished: {record}", markup=False)
            return kind(**known["found"])
        found = measure(folder / name)
        record.write_text(json.dumps({"code": code, "found": asdict(found)}, indent=1))
        console.print(f"{name} is finished", markup=False)
        return found

    with ThreadPoolExecutor(2) as pool:
        incidents = [
            pool.submit(
                kept,
                IncidentFound,
                f"{expected.name.replace(' ', '-')}-{seed}",
                partial(incident_found, expected=expected, seed=seed),
            )
            for seed in INCIDENT_SEEDS
            for expected in EXPECTED
        ]
        years = [
            pool.submit(
                kept, QuietYear, f"quiet-{seed}-{num_days}", partial(quiet_year, seed=seed, num_days=num_days)
            )
            for seed in QUIET_SEEDS
        ]
        return [year.result() for year in years], [incident.result() for incident in incidents]


def main() -> None:
    """``make calibrate``; DAYS=90 lives shorter years, DOCS=docs writes docs/calibration.md."""
    parser = argparse.ArgumentParser(prog="make calibrate", description=__doc__)
    parser.add_argument("--days", type=int, default=YEAR, help="days of each quiet world")
    parser.add_argument("--docs", type=Path, help="write calibration.md into this folder")
    arguments = parser.parse_args()
    folder = load_settings().home / "calibration"
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    try:
        years, incidents = calibrate(folder, arguments.days)
    except ForetasteError as error:
        console.print(f"[bold red]{type(error).__name__}[/bold red]: {error}")
        raise SystemExit(error.exit_code) from None
    show(years, incidents)
    if arguments.docs:
        write_page(arguments.docs, years, incidents)
    console.print(f"The calibration took {time.perf_counter() - begun:.0f} s.")
    raise SystemExit(0 if is_calibrated(years, incidents) else 1)


if __name__ == "__main__":
    main()
