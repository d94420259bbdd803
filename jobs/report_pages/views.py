"""What each page shows, gathered from the loop's records and from the files that other steps have left."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from jobs.io.state import LANDINGS, PROMOTIONS, PUBLICATIONS, RETRAININGS, RUNS, VERDICTS, State

Record = dict[str, Any]

_VERDICT_SENTENCES = {
    "ok": "The world is as the champion knows it.",
    "drift": "The world has moved away from what the champion knows.",
    "invalid": "The data is broken, so nothing is said about drift.",
}


@dataclass(frozen=True)
class Gate:
    """A gate's page and what it came to."""

    name: str
    href: str
    is_passed: bool | None  # none where its JSON does not say


@dataclass(frozen=True)
class DayView:
    """One day: what came in, what was judged, what went out."""

    day: date
    verdict: Record | None
    landing: Record | None
    publications: list[Record]  # with "version", oldest first
    retraining: Record | None
    champion: str | None
    gates: list[Gate] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)  # label → href of what the monitor kept

    @property
    def status(self) -> str:
        return str(self.verdict["verdict"]) if self.verdict else "none"

    @property
    def reasons(self) -> list[str]:
        return list(self.verdict["reasons"]) if self.verdict else []

    @property
    def accounts(self) -> dict[str, dict[str, int]]:
        """Row counts by what was delivered (events, items, users) and by what became of the rows."""
        return accounts_of(self.landing or {})

    @property
    def rejections(self) -> list[tuple[str, str, str, int]]:
        """Why rows were not accepted: kind of delivery, outcome, reason, rows; most first."""
        accounts = (self.landing or {}).get("accounts") or {}
        found = [
            (str(kind), str(outcome), str(reason), _total(count))
            for kind, counts in accounts.items()
            if isinstance(counts, dict)
            for outcome, reasons in counts.items()
            if isinstance(reasons, dict)
            for reason, count in reasons.items()
        ]
        return sorted(found, key=lambda row: (-row[3], row))

    @property
    def published(self) -> Record | None:
        return self.publications[-1] if self.publications else None

    @property
    def sentence(self) -> str:
        """The day in one sentence."""
        if self.verdict is None:
            return "This day has not been judged."
        told = _VERDICT_SENTENCES[self.status]
        if self.status == "drift" and self.verdict.get("has_rung"):
            told += " The alarm rang."
        if self.retraining and "is_promoted" in self.retraining:
            outcome = "was promoted" if self.retraining["is_promoted"] else "was refused"
            told += f" Challenger {self.retraining.get('challenger', '')} {outcome}."
        return told


@dataclass(frozen=True)
class Site:
    """Everything that the pages show."""

    shop: str
    days: list[DayView]  # newest first
    retrainings: list[Record]  # with "day", newest first
    promotions: dict[str, Record]
    dbt_docs: str = ""  # where they lie, from the reports' root; empty if they were never written

    @property
    def judged(self) -> list[DayView]:
        return [day for day in self.days if day.verdict]


def gather(state: State, reports: Path) -> Site:
    """Read every record once."""
    landings, verdicts, retrainings = state.all(LANDINGS), state.all(VERDICTS), state.all(RETRAININGS)
    runs, promotions = state.all(RUNS), state.all(PROMOTIONS)
    publications: dict[str, list[Record]] = {}
    for version, record in state.all(PUBLICATIONS).items():
        publications.setdefault(str(record["day"]), []).append({**record, "version": version})
    keys = sorted({*landings, *verdicts, *publications, *retrainings}, reverse=True)
    days = [
        DayView(
            day=date.fromisoformat(key),
            verdict=verdicts.get(key),
            landing=landings.get(key),
            publications=publications.get(key, []),
            retraining=retrainings.get(key),
            champion=_champion(runs.get(f"daily/{key}"), verdicts.get(key)),
            gates=_gates(reports, key),
            files=_files(reports, key),
        )
        for key in keys
    ]
    shops = [record["manifest"].get("feed", {}).get("shop", "") for _, record in sorted(runs.items())]
    return Site(
        shop=next((shop for shop in reversed(shops) if shop), ""),
        days=days,
        retrainings=[{**record, "day": key} for key, record in sorted(retrainings.items(), reverse=True)],
        promotions=promotions,
        dbt_docs="dbt/index.html" if (reports / "dbt" / "index.html").exists() else "",
    )


def accounts_of(landing: Record) -> dict[str, dict[str, int]]:
    """The counts of a landing, by kind of delivery; nested counts (reasons) are summed under their name."""
    accounts = landing.get("accounts") or {}
    if accounts and all(isinstance(value, int) for value in accounts.values()):
        accounts = {"events": accounts}
    return {
        str(kind): {str(name): _total(count) for name, count in counts.items()}
        for kind, counts in accounts.items()
        if isinstance(counts, dict)
    }


def _total(count: Any) -> int:
    if isinstance(count, dict):
        return sum(_total(part) for part in count.values())
    return int(count) if isinstance(count, int | float) else 0


def _champion(run: Record | None, verdict: Record | None) -> str | None:
    if run is not None:
        champion = run["manifest"].get("champion")
        return str(champion) if champion else None
    return (verdict or {}).get("champion")


def _gates(reports: Path, key: str) -> list[Gate]:
    gates = []
    for page in sorted((reports / "validation" / key).glob("*.html")):
        told = page.with_suffix(".json")
        found = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
        passed = found.get("is_passed")
        gates.append(
            Gate(page.stem, f"../validation/{key}/{page.name}", passed if isinstance(passed, bool) else None)
        )
    return gates


def _files(reports: Path, key: str) -> dict[str, str]:
    wanted = {
        "report.html": "Evidently's full report",
        "report.json": "its values (JSON)",
        "verdict.json": "the verdict (JSON)",
    }
    folder = reports / "drift" / key
    return {label: f"../drift/{key}/{name}" for name, label in wanted.items() if (folder / name).exists()}
