"""What the proof on a real shop came to: both arms beside popularity, every alarm with its reasons, a plot by week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from simulator.command import console
from simulator.proof_report import Estimate, drawn, told_of_days

_COLUMNS = ("arm", "people", "NDCG@10", "of popularity", "alarms", "retrainings")
_WEEK = 7


@dataclass(frozen=True)
class RetailDay:
    """What the lists of the day before were worth to the people who bought on a day."""

    day: str
    num_people: int
    ndcg: float
    popularity_ndcg: float


@dataclass(frozen=True)
class RetailArm:
    """What an arm came to; a day on which nobody with a list bought is none of its days."""

    name: str
    days: list[RetailDay]
    verdicts: list[dict[str, Any]]

    @property
    def num_people(self) -> int:
        """People with a list who then bought, counted on each day."""
        return sum(day.num_people for day in self.days)

    @property
    def ndcg(self) -> float:
        return _mean(self.days, "ndcg")

    @property
    def popularity_ndcg(self) -> float:
        return _mean(self.days, "popularity_ndcg")

    @property
    def num_alarms(self) -> int:
        return sum(verdict["has_rung"] for verdict in self.verdicts)

    @property
    def num_retrainings(self) -> int:
        return sum(verdict["retrained"] in ("promoted", "refused") for verdict in self.verdicts)

    def by_week(self) -> dict[int, tuple[float, float]]:
        """By week from the first verdict on, where anybody bought: NDCG@10 of the lists and of popularity."""
        first = date.fromisoformat(self.verdicts[0]["day"])

        def week_of(day: RetailDay) -> int:
            return (date.fromisoformat(day.day) - first).days // _WEEK

        weeks = ((week, list(days)) for week, days in groupby(self.days, key=week_of))
        return {week: (_mean(days, "ndcg"), _mean(days, "popularity_ndcg")) for week, days in weeks}


def _mean(days: Sequence[RetailDay], name: str) -> float:
    people = sum(day.num_people for day in days)
    return float(sum(getattr(day, name) * day.num_people for day in days)) / max(people, 1)


def gained(adaptive: RetailArm, frozen: RetailArm) -> Estimate:
    """NDCG@10 of adaptive less that of frozen, a value a week that both have."""
    ours, theirs = adaptive.by_week(), frozen.by_week()
    return Estimate(tuple(ours[week][0] - theirs[week][0] for week in ours if week in theirs))


def show_retail(arms: Sequence[RetailArm]) -> None:
    """Print both arms, and every alarm with its reasons."""
    table = Table(title=_title(arms), title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "arm" else "right")
    for arm in arms:
        table.add_row(*_row(arm))
    console.print(table)
    console.print(_sum(arms), markup=False)
    for line in _told_of(arms[0]):
        console.print(line, markup=False)


def write_retail_pages(folder: Path, arms: Sequence[RetailArm]) -> None:
    """Write proof-online-retail.md and its plot."""
    rows = "\n".join(f"| {' | '.join(_row(arm))} |" for arm in arms)
    told = "\n".join(f"* {line}" for line in _told_of(arms[0])) or "Nothing was called."
    (folder / "proof-online-retail.md").write_text(
        f"""# The proof on a real shop

Written by `make proof DATA=online-retail SOURCE=folder DOCS=docs`; nothing on this page is typed by hand. {_title(arms)}
([the data](feeds.md)). Nobody saw our lists there, so nothing comes back: what is measured is how well the lists of a day foretell
what the same people bought on the next one, over all people with a list who then bought. Adaptive retrains when its alarm rings and
every four weeks, frozen never; popularity is what was bought most lately. `make proof` measures in a simulated world
[what lists bring about](proof.md).

![NDCG@10 by week and arm](proof-online-retail.svg)

| {" | ".join(_COLUMNS)} |
|{"---|" * len(_COLUMNS)}
{rows}

{_sum(arms)}

## What the adaptive arm called and did

{told}
""",
        encoding="utf-8",
    )
    _plot(folder / "proof-online-retail.svg", arms)


def _title(arms: Sequence[RetailArm]) -> str:
    verdicts = arms[0].verdicts
    return f"UCI Online Retail, {verdicts[0]['day']} to {verdicts[-1]['day']}, {len(verdicts)} days"


def _row(arm: RetailArm) -> tuple[str, ...]:
    return (
        arm.name,
        f"{arm.num_people:,}",
        f"{arm.ndcg:.4f}",
        f"{arm.popularity_ndcg:.4f}",
        str(arm.num_alarms),
        str(arm.num_retrainings),
    )


def _sum(arms: Sequence[RetailArm]) -> str:
    adaptive, frozen = arms
    found = gained(adaptive, frozen)
    return f"Adaptive less frozen, mean of {len(found.values)} weeks with its 95 % interval: {found:.4f} of NDCG@10."


def _told_of(arm: RetailArm) -> list[str]:
    return told_of_days(arm.verdicts, is_judgement_told=True)


def _plot(path: Path, arms: Sequence[RetailArm]) -> None:
    """NDCG@10 by week, a line an arm, popularity beside them; a dotted line where a champion was promoted."""
    with drawn(path) as axes:
        for arm in arms:
            weeks = arm.by_week()
            ours = [ndcg for ndcg, _ in weeks.values()]
            axes.plot(list(weeks), ours, label=arm.name, linewidth=2 if arm.name == "adaptive" else 1)
        weeks = arms[0].by_week()
        axes.plot(list(weeks), [popular for _, popular in weeks.values()], label="popularity", linewidth=1)
        for number, verdict in enumerate(arms[0].verdicts):
            if verdict["retrained"] == "promoted":
                axes.axvline(number / _WEEK, color="grey", linestyle=":", linewidth=1)
        axes.set_xlabel("week (dotted: a champion is promoted)")
        axes.set_ylabel("NDCG@10 of what was bought next")
