"""What befalls a shop: small values that say what happens, from which day on, and for how long.

An incident changes nothing before its day: a shop with it and one without deliver the same bytes until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

#: What a broken column may hold instead of its values; numbers that are no counts may also be "nan".
BREAKABLE = {
    "user_id": ("",), "item_id": ("",), "session_id": ("",), "surface": ("",), "decision_id": ("",),
    "quantity": ("",), "dwell_ms": ("",), "position": ("",), "unit_price": ("", "nan"), "scroll_depth": ("", "nan"),
}  # fmt: skip


@dataclass(frozen=True)
class Incident:
    """Something that happens on a day and lasts."""

    day: date

    def is_on(self, day: date) -> bool:
        return day >= self.day

    def must(self, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"{self}: {rule}")


@dataclass(frozen=True)
class PassingIncident(Incident):
    """Something that happens on a day and is over after some days."""

    days: int

    def __post_init__(self) -> None:
        self.must(self.days >= 1, "an incident lasts a day at least")

    def is_on(self, day: date) -> bool:
        return 0 <= (day - self.day).days < self.days


@dataclass(frozen=True)
class TasteShift(Incident):
    """A share of people likes other things from now on, and a share of items is in another favour."""

    share: float = 0.7

    def __post_init__(self) -> None:
        self.must(0 < self.share <= 1, "a shift moves a share above 0 and up to 1")


@dataclass(frozen=True)
class NewCategory(Incident):
    """A category that did not exist, with items of its own and people who have an appetite for it."""


@dataclass(frozen=True)
class ViralItem(PassingIncident):
    """One item that nobody cared for much is what everybody looks at."""


@dataclass(frozen=True)
class Holiday(PassingIncident):
    """More visits, ``lift`` times as many, and gift categories much in favour; then all is as before."""

    lift: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.must(1 < self.lift <= 10, "a holiday lifts visits more than 1 and up to 10 times")


@dataclass(frozen=True)
class Bots(PassingIncident):
    """A few ids that look at a huge number of items, mostly one: ``share`` of the day's views are theirs."""

    share: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.must(0 < self.share < 1, "bots make a share of the views between 0 and 1")


@dataclass(frozen=True)
class EventsLost(PassingIncident):
    """The tracker loses a share of the events."""

    share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.must(0 < self.share <= 1, "a tracker loses a share above 0 and up to 1")


@dataclass(frozen=True)
class ColumnBroken(PassingIncident):
    """The tracker writes ``value`` instead of whatever a column of the events held."""

    column: str
    value: Literal["", "nan"]

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = BREAKABLE.get(self.column)
        self.must(allowed is not None, f"the column may be one of {', '.join(BREAKABLE)}")
        self.must(
            self.value in (allowed or ()), f"{self.column} may become {' or '.join(map(repr, allowed or ()))}"
        )


@dataclass(frozen=True)
class PriceFault(PassingIncident):
    """Catalogue and events tell the prices of a share of the items ``factor`` times too high."""

    factor: float = 100.0
    share: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.must(self.factor > 0 and self.factor != 1, "prices are wrong by a positive factor other than 1")
        self.must(0 < self.share <= 1, "a share above 0 and up to 1 of the items has wrong prices")
