"""Which days are compared: those the champion was trained on, and the last ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta


@dataclass(frozen=True)
class Span:
    """Some days in a row, both bounds included."""

    first: date
    last: date

    @property
    def num_days(self) -> int:
        return (self.last - self.first).days + 1

    def halves(self) -> tuple[Span, Span]:
        """The earlier and the later half; of an odd number of days the earlier has one more."""
        middle = self.first + timedelta(days=(self.num_days + 1) // 2 - 1)
        return Span(self.first, middle), Span(middle + timedelta(days=1), self.last)

    def as_record(self) -> dict[str, str]:
        return {"first": self.first.isoformat(), "last": self.last.isoformat()}

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


@dataclass(frozen=True)
class TasteSpans:
    """Days on which tastes are learnt, and later days on which they are tried, before and now."""

    reference_learnt: Span
    reference_tried: Span
    current_learnt: Span
    current_tried: Span


@dataclass(frozen=True)
class Windows:
    """The reference, the current window, and the days that tastes are read from."""

    reference: Span
    current: Span
    known_until: date  # the last day that the champion has seen
    tastes: TasteSpans | None

    def recent(self, num_days: int) -> Windows:
        """The same reference beside the last days alone: what breaks is seen there first."""
        last = self.current.last
        first = max(
            last - timedelta(days=num_days - 1), self.current.first, self.known_until + timedelta(days=1)
        )
        now = Span(min(first, last), last)
        tastes = self.tastes and replace(self.tastes, current_tried=now)
        return replace(self, current=now, tastes=tastes if now.num_days >= 2 else None)

    @property
    def all_days(self) -> Span:
        first = min(
            self.reference.first, self.tastes.reference_learnt.first if self.tastes else self.reference.first
        )
        return Span(first, self.current.last)


def choose_windows(
    day: date, first_day: date | None, promoted: date | None, *, monitor_days: int, reference_days: int
) -> Windows | None:
    """The days to compare, or None as long as there is nothing to compare with.

    With a champion the reference ends on the day it was promoted on and covers whole weeks, at least
    ``monitor_days`` of them. Without one it is the earliest window of history, once that lies wholly
    before the current one.

    Args:
        first_day: the first day with events; None without any.
        promoted: the day the champion was trained to.
    """
    if first_day is None:
        return None
    current = Span(max(day - timedelta(days=monitor_days - 1), first_day), day)
    if promoted is None:
        reference = Span(first_day, first_day + timedelta(days=monitor_days - 1))
        if reference.last > day - timedelta(days=monitor_days):
            return None
        known_until = reference.last
    else:
        num_known = (promoted - first_day).days + 1
        num_days = min(max(reference_days, monitor_days), num_known)
        if num_days < monitor_days or promoted >= day:
            return None
        num_days = max(num_days // 7 * 7, monitor_days) if num_days >= 7 else num_days
        reference = Span(promoted - timedelta(days=num_days - 1), promoted)
        known_until = promoted
    return Windows(
        reference,
        current,
        known_until,
        _taste_spans(first_day, known_until, current, monitor_days, reference_days),
    )


def _taste_spans(
    first_day: date, known_until: date, current: Span, monitor_days: int, reference_days: int
) -> TasteSpans | None:
    """Tastes are learnt on equally many days before the last known window and before the current one."""
    learnt_before = known_until - timedelta(days=monitor_days)
    num_days = min(reference_days, (learnt_before - first_day).days + 1)
    tried_now = Span(max(current.first, known_until + timedelta(days=1)), current.last)
    if num_days < monitor_days or tried_now.num_days < 2:
        return None
    return TasteSpans(
        reference_learnt=Span(learnt_before - timedelta(days=num_days - 1), learnt_before),
        reference_tried=Span(learnt_before + timedelta(days=1), known_until),
        current_learnt=Span(known_until - timedelta(days=num_days - 1), known_until),
        current_tried=tried_now,
    )
