"""What each page shows: the days, and the site that they make up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from contracts.alarms import DATA_INVALID, DRIFT, GATE_REFUSED, LANDING_REFUSED, runbook_page
from jobs.annotations import Annotation

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
    seconds: dict[str, float] = field(default_factory=dict)  # of each step of the daily run
    live: Record | None = None  # the version that readers got at the day's end, rollbacks included
    champion_day: date | None = None  # the last day that the champion was trained on
    newest_delivery: date | None = None  # of events, landed by this day
    rollbacks: list[Record] = field(default_factory=list)  # away from a version of this day
    refusal: Record | None = None  # of a step that said no to the day's run: "step", "why"
    demotion: Record | None = None  # of the champion that the day began with: "version", "to", "reason"
    annotations: list[Annotation] = field(default_factory=list)
    why_lists: Record | None = None  # what the day's lists are because of, see jobs.common_reasons

    @property
    def status(self) -> str:
        if self.refusal:
            return "refused"
        return str(self.verdict["verdict"]) if self.verdict else "none"

    @property
    def reasons(self) -> list[str]:
        told = [f"{self.refusal['step']}: {self.refusal['why']}"] if self.refusal else []
        return told + (list(self.verdict["reasons"]) if self.verdict else [])

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
    def has_rung(self) -> bool:
        return bool(self.verdict and self.verdict.get("has_rung"))

    @property
    def retrained(self) -> str:
        """What became of the day's retraining: promoted, refused or begun; empty without one."""
        if self.retraining is None:
            return ""
        return outcome_of(self.retraining)

    @property
    def kpis(self) -> Record:
        return (self.verdict or {}).get("kpis") or {}

    @property
    def answers(self) -> list[Record]:
        """What the API answered, by version, rung and reason."""
        return (self.verdict or {}).get("answers") or []

    @property
    def moved(self) -> Record:
        return (self.verdict or {}).get("moved") or {}

    @property
    def lists(self) -> Record | None:
        """How the lists of the day before did on this day."""
        return (self.verdict or {}).get("lists_of_the_day_before")

    @property
    def ages(self) -> dict[str, float | None]:
        """How old things were at the day's end, by definition: hours of the newest event, days of the rest."""
        newest = self.kpis.get("newest_event_at")
        end = datetime.combine(self.day + timedelta(days=1), time(), UTC)
        hours = (
            (end - datetime.fromisoformat(newest).replace(tzinfo=UTC)) / timedelta(hours=1)
            if newest
            else None
        )
        live = date.fromisoformat(self.live["day"]) if self.live else None
        return {
            "newest_event": hours,
            "newest_delivery": _days_between(self.newest_delivery, self.day),
            "champion_age": _days_between(self.champion_day, self.day),
            "live_age": _days_between(live, self.day),
        }

    @property
    def runbook(self) -> str:
        """The runbook's page about the day's verdict, below the reports' folder; empty where nothing is to be done."""
        if self.refusal:
            return runbook_page(LANDING_REFUSED if self.refusal["step"] == "land" else GATE_REFUSED)
        kind = {"drift": DRIFT, "invalid": DATA_INVALID}.get(self.status)
        return runbook_page(kind) if kind else ""

    @property
    def sentence(self) -> str:
        """The day in one sentence."""
        if self.refusal:
            return f"This day was refused by {self.refusal['step']}: what was served before is served on."
        if self.verdict is None:
            return "This day has not been judged."
        told = _VERDICT_SENTENCES[self.status]
        if self.verdict.get("has_rung"):
            told += " The alarm rang."
        if self.retraining and self.retrained in ("promoted", "refused"):
            told += f" Challenger {self.retraining.get('challenger', '')} was {self.retrained}."
        if self.demotion:
            told += f" Champion {self.demotion['version']} was demoted, {self.demotion['to']} took over."
        for rollback in self.rollbacks:
            told += f" Readers were pointed back at {rollback['to']}."
        return told


@dataclass(frozen=True)
class Site:
    """Everything that the pages show."""

    shop: str
    days: list[DayView]  # newest first
    retrainings: list[Record]  # with "day", newest first
    promotions: dict[str, Record]
    dbt_docs: str = ""  # where they lie, from the reports' root; empty if they were never written
    currency: str = ""
    live: Record | None = None  # the version that readers get
    left: str = (
        ""  # the version that they were pointed back from; empty where the live one is the last published
    )
    demotions: dict[str, Record] = field(default_factory=dict)
    annotations: Sequence[Annotation] = ()
    problems: Sequence[str] = ()  # why something is missing on the pages
    audits: Sequence[tuple[str, str]] = ()  # of feeds: page, from the reports' root, and shop
    staleness: Record | None = None  # the last measurement of how a model ages

    @property
    def alarms(self) -> list[DayView]:
        return [day for day in self.days if day.has_rung]

    @property
    def wrong_alarms(self) -> list[DayView]:
        return [day for day in self.alarms if any(entry.mark == "wrong" for entry in day.annotations)]

    @property
    def judged(self) -> list[DayView]:
        return [day for day in self.days if day.verdict]


def outcome_of(retraining: Record) -> str:
    """Promoted, refused or begun; one that waits for a person is no further than begun."""
    verdict = retraining.get("verdict")
    if not verdict or (retraining.get("approval") or {}).get("answer") == "waiting":
        return "begun"
    return "promoted" if retraining.get("is_promoted", verdict.get("is_promoted")) else "refused"


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


def _days_between(earlier: date | None, later: date) -> int | None:
    return None if earlier is None else (later - earlier).days
