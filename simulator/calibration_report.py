"""What a calibration came to: false alarms a quarter, what was called of each incident, and whether that is as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from rich.table import Table

from simulator.code_digest import code_digest
from simulator.command import console

#: False alarms a quarter, on average.
MOST_FALSE_ALARMS = 1.0
_DAYS_A_QUARTER = 365 / 4
_COLUMNS = ("incident", "seed", "should be", "found on day", "as expected", "what was called")


@dataclass(frozen=True)
class QuietYear:
    """A year in which nothing happens, and the days on which something was called."""

    seed: int
    num_days: int
    alarms: dict[str, list[str]]  # by day, with their reasons
    invalid: dict[str, list[str]]
    refused: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class IncidentFound:
    """What was called on the days from an incident's first one on."""

    name: str
    seed: int
    expected: str
    days_to_find: int | None  # 1: on its first day; None: not within the live days
    called: dict[str, str]  # by day: every verdict other than ok, and its first reason
    promotions: list[str]  # days on which an alarm's retraining was promoted
    is_as_expected: bool


def false_alarms(years: Sequence[QuietYear]) -> tuple[float, float]:
    """False alarms a quarter, and half of their 95 % interval (of a Poisson count)."""
    quarters = sum(year.num_days for year in years) / _DAYS_A_QUARTER
    count = sum(len(year.alarms) for year in years)
    return count / quarters, 1.96 * sqrt(max(count, 1)) / quarters


def is_calibrated(years: Sequence[QuietYear], incidents: Sequence[IncidentFound]) -> bool:
    """Few enough false alarms, no quiet day called invalid or refused, and every incident as it should be."""
    return (
        false_alarms(years)[0] <= MOST_FALSE_ALARMS
        and not _num_invalid(years)
        and all(found.is_as_expected for found in incidents)
    )


def _num_invalid(years: Sequence[QuietYear]) -> int:
    return sum(len(year.invalid) + len(year.refused) for year in years)


def _quiet_lines(years: Sequence[QuietYear]) -> list[str]:
    """Each day of a quiet world on which something was called."""
    return [
        f"quiet seed {year.seed} {day}: {what}: {told}"
        for year in years
        for what, days in (
            ("alarm", {day: "; ".join(reasons) for day, reasons in year.alarms.items()}),
            ("invalid", {day: "; ".join(reasons) for day, reasons in year.invalid.items()}),
            ("refused", year.refused),
        )
        for day, told in days.items()
    ]


def _sum(years: Sequence[QuietYear]) -> str:
    rate, half = false_alarms(years)
    return (
        f"{sum(year.num_days for year in years):,} quiet days of {len(years)} worlds: {rate:.2f} ± {half:.2f} false alarms a "
        f"quarter (at most {MOST_FALSE_ALARMS:g}), {_num_invalid(years)} days called invalid or refused"
    )


def _measured(years: Sequence[QuietYear]) -> str:
    fastest, slowest = (choose(year.seconds for year in years) for choose in (min, max))
    return f"A quiet world took {fastest:,.0f} to {slowest:,.0f} s, two at a time, with the code of digest {code_digest()}."


def _rows(incidents: Sequence[IncidentFound], line_break: str) -> list[tuple[str, ...]]:
    return [
        (
            found.name,
            str(found.seed),
            found.expected or "no promotion",
            str(found.days_to_find or "–") if found.expected else "",
            "yes" if found.is_as_expected else "NO",
            line_break.join(f"{day} {told}" for day, told in found.called.items()),
        )
        for found in incidents
    ]


def show(years: Sequence[QuietYear], incidents: Sequence[IncidentFound]) -> None:
    """Print what was called, and of what."""
    for line in _quiet_lines(years):
        console.print(line, markup=False)
    console.print(_sum(years), markup=False)
    table = Table(title="Incidents", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for row in _rows(incidents, "\n"):
        table.add_row(*row)
    console.print(table)


def write_page(folder: Path, years: Sequence[QuietYear], incidents: Sequence[IncidentFound]) -> None:
    """Write calibration.md."""
    called = "\n".join(f"* {line}" for line in _quiet_lines(years)) or "On no quiet day was anything called."
    rows = "\n".join(f"| {' | '.join(row)} |" for row in _rows(incidents, "<br>"))
    (folder / "calibration.md").write_text(
        f"""# How well the monitor is calibrated

Written by `make calibrate DOCS=docs`; nothing on this page is typed by hand. In quiet worlds a shop lives (launches, sell-outs,
promotions, seasons) and nothing happens to it; every alarm there is a false one. An incident should be found on its second day
at the latest.

{_sum(years)}. {_measured(years)}

{called}

| {" | ".join(_COLUMNS)} |
|{"---|" * len(_COLUMNS)}
{rows}
""",
        encoding="utf-8",
    )
