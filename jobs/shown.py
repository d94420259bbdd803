"""What was shown, by the API's answers and by what the shop reports: one impression of each item of an answer, not two.

The shop knows what was on the screen. So an answer of which it reports any impression was shown as reported, and the log adds
the position and the propensity that a report leaves out. Any other answer counts as shown whole. A report that comes a day later than
its answer finds it told already where no impression had come on the answer's own day, and tells nothing new then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from typing import Any

import msgspec

from contracts.feed import EVENT_COLUMNS
from contracts.journal import DECISIONS, EVENTS, LoggedDecision, LoggedItem
from jobs.io.journal import Journal

_decision_of = msgspec.json.Decoder(LoggedDecision).decode
_event_of = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass
class Shipment:
    """A day of the journal as rows of the feed; ``counts`` says how many of what once they have been read."""

    journal: Journal
    day: date
    counts: dict[str, int] = field(
        default_factory=lambda: {"events": 0, "told_already": 0, "decisions": 0, "shown": 0}
    )

    def decisions(self) -> Iterator[list[Any]]:
        """The answers themselves, in the order in which they were made; what was shown of them is told by events."""
        for line in self.journal.lines(DECISIONS, self.day):
            decision = _decision_of(line)
            self.counts["decisions"] += 1
            yield [
                decision.decision_id,
                decision.user_id,
                decision.decided_at.astimezone(UTC).isoformat(),
                decision.surface,
                decision.version,
                decision.source,
                decision.made_from,
                decision.fallback,
                len(decision.items),
                str(decision.is_short).lower(),
                decision.variant,
                " ".join(decision.rules_applied),
                " ".join(decision.rules_dropped),
                json.dumps(decision.shadow, ensure_ascii=False) if decision.shadow else "",
            ]

    def events(self) -> Iterator[list[Any]]:
        """Events in the order in which they came, then the impressions of answers that nobody reports of."""
        before = self.day - timedelta(days=1)
        reported = self._reported(self.day)
        told_whole = self._logged(before, reported - self._reported(before))
        logged = self._logged(before, reported) | self._logged(self.day, reported)
        for line in self.journal.lines(EVENTS, self.day):
            event = _event_of(line)
            if _names_answer(event):
                if event["decision_id"] in told_whole:
                    self.counts["told_already"] += 1
                    continue
                event = _completed(event, logged.get(event["decision_id"]))
            self.counts["events"] += 1
            yield [event.get(name) for name in EVENT_COLUMNS]
        for line in self.journal.lines(DECISIONS, self.day):
            decision = _decision_of(line)
            if decision.decision_id not in reported:
                for item in decision.items:
                    self.counts["shown"] += 1
                    shown = _impression(decision, item)
                    yield [shown.get(name) for name in EVENT_COLUMNS]

    def _reported(self, day: date) -> set[str]:
        """The answers of which impressions were reported on a day."""
        events = map(_event_of, self.journal.lines(EVENTS, day))
        return {event["decision_id"] for event in events if _names_answer(event)}

    def _logged(self, day: date, decision_ids: set[str]) -> dict[str, dict[str, LoggedItem]]:
        """Of these answers those of a day: their items by id."""
        if not decision_ids:
            return {}
        decisions = map(_decision_of, self.journal.lines(DECISIONS, day))
        return {
            each.decision_id: {item.item_id: item for item in each.items}
            for each in decisions
            if each.decision_id in decision_ids
        }


def _names_answer(event: dict[str, Any]) -> bool:
    return event["event_type"] == "impression" and "decision_id" in event


def _completed(event: dict[str, Any], items: dict[str, LoggedItem] | None) -> dict[str, Any]:
    item = (items or {}).get(event["item_id"])
    if item is None:
        return event
    return {"position": item.position, "propensity": item.propensity} | event


def _impression(decision: LoggedDecision, item: LoggedItem) -> dict[str, Any]:
    return {
        "event_id": f"{decision.decision_id}#{item.position}",
        "user_id": decision.user_id,
        "item_id": item.item_id,
        "event_type": "impression",
        "occurred_at": decision.decided_at.astimezone(UTC).isoformat(),
        "surface": decision.surface,
        "position": item.position,
        "decision_id": decision.decision_id,
        "propensity": item.propensity,
    }
