"""Business rules about what is shown, as types: jobs check and publish them with a version, the API applies them.

Written in ``expectations/serving_rules.toml``, whose head says what they do and in which order; ``docs/serving.md`` at length.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contracts.decisions import MOST_ITEMS

# What labels say. The first three rules are always there, in this order before all filters.
BLOCKED: Final = "blocked"
AVAILABILITY: Final = "availability"
BOUGHT: Final = "bought"
FILTER, BOOST, PIN, CAP = "filter", "boost", "pin", "cap"
DIVERSITY: Final = "diversity"
WEIGHTS: Final = "weights"

#: Filters of one surface: with the three that are always there they are bits of one number.
_MOST_FILTERS = 50

Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
Values = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    """A part of the file: a misspelt name is refused, and what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Part):
    """Which items: everything that is said has to hold, and of several values one."""

    items: Values | None = None
    categories: Values | None = None
    brands: Values | None = None
    attributes: dict[str, Values] = {}
    price_at_least: Price | None = None  # in the feed's currency; an item without a price is in no range
    price_at_most: Price | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not self.model_dump(exclude_defaults=True):
            raise ValueError("a condition that says nothing holds for every item: name items, categories, …")
        low, high = self.price_at_least, self.price_at_most
        if low is not None and high is not None and low > high:
            raise ValueError(f"no price is at least {low:g} and at most {high:g}")
        return self


class _Timed(_Part):
    """A rule with a name and, if it is told, a period: from the first instant up to, not at, the second."""

    name: Name
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> _Timed:
        if self.starts_at is not None and self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError(f"{self.name} ends at {self.ends_at}, not after its start at {self.starts_at}")
        return self

    @property
    def begins(self) -> float:
        """Seconds since 1970."""
        return float("-inf") if self.starts_at is None else self.starts_at.timestamp()

    @property
    def ends(self) -> float:
        """Seconds since 1970."""
        return float("inf") if self.ends_at is None else self.ends_at.timestamp()


class Filter(_Timed):
    """Takes items away: those of ``hide``, or all but those of ``keep``."""

    hide: Condition | None = None
    keep: Condition | None = None

    @model_validator(mode="after")
    def _does_one_of_two(self) -> Filter:
        if (self.hide is None) == (self.keep is None):
            raise ValueError(f"{self.name} needs one of hide and keep")
        return self

    @property
    def condition(self) -> Condition:
        found = self.hide or self.keep
        assert found is not None
        return found


class Boost(_Timed):
    """Multiplies the score of items."""

    where: Condition
    factor: float = Field(ge=0.01, le=100)


class Pin(_Timed):
    """Gives an item a place, whatever its score."""

    item: str = Field(min_length=1)
    position: int = Field(ge=1, le=MOST_ITEMS)


class Cap(_Part):
    """Of one category, or brand, at most so many items among the first places."""

    by: Literal["category", "brand"]
    most: int = Field(ge=1, le=MOST_ITEMS)
    first: int = Field(ge=1, le=MOST_ITEMS)


class Diversity(_Part):
    """How much being unlike what stands above counts beside the score: 0 nothing, 1 everything."""

    strength: float = Field(gt=0, lt=1)


class Weights(_Part):
    """How much each counts in an item's score. All three lie between 0 and 1."""

    relevance: float = Field(ge=0, le=100)
    margin: float = Field(default=0, ge=0, le=100)
    novelty: float = Field(default=0, ge=0, le=100)

    @model_validator(mode="after")
    def _count_something(self) -> Weights:
        if self.relevance + self.margin + self.novelty == 0:
            raise ValueError("weights that are all 0 put nothing in order: give relevance one, say")
        return self


class SurfaceRules(_Part):
    """The rules of a surface."""

    filters: tuple[Filter, ...] = Field(default=(), max_length=_MOST_FILTERS)
    boosts: tuple[Boost, ...] = ()
    pins: tuple[Pin, ...] = ()
    caps: tuple[Cap, ...] = ()
    diversity: Diversity | None = None
    weights: Weights | None = None

    @model_validator(mode="after")
    def _is_unambiguous(self) -> SurfaceRules:
        named = Counter(
            f"{kind} {rule.name}"
            for kind, rules in ((FILTER, self.filters), (BOOST, self.boosts), (PIN, self.pins))
            for rule in rules
        )
        named.update(f"{CAP} by {cap.by}" for cap in self.caps)
        if twice := [name for name, times in named.items() if times > 1]:
            raise ValueError(f"{twice[0]} stands there twice: give each rule a name of its own")
        for one, other in combinations(self.pins, 2):
            is_together = one.begins < other.ends and other.begins < one.ends
            if is_together and one.position == other.position:
                raise ValueError(
                    f"pins {one.name} and {other.name} want place {one.position} at the same time"
                )
            if is_together and one.item == other.item:
                raise ValueError(f"pins {one.name} and {other.name} place {one.item} at the same time")
        return self

    def conditions(self) -> Iterator[tuple[str, Condition]]:
        """Every condition with the label of its rule."""
        for rule in self.filters:
            yield f"{FILTER}:{rule.name}", rule.condition
        for boost in self.boosts:
            yield f"{BOOST}:{boost.name}", boost.where


class ServingRules(_Part):
    """The file: the rules of every surface that has none of its own, and those of surfaces that have."""

    default: SurfaceRules = SurfaceRules()
    surfaces: dict[Name, SurfaceRules] = {}

    def all(self) -> dict[str, SurfaceRules]:
        """By where they stand in the file."""
        return {
            "default": self.default,
            **{f"surfaces.{name}": rules for name, rules in self.surfaces.items()},
        }

    @property
    def attributes(self) -> set[str]:
        """The attributes that a rule names: they are published."""
        found = (condition for rules in self.all().values() for _, condition in rules.conditions())
        return {name for condition in found for name in condition.attributes}

    @property
    def pinned(self) -> set[str]:
        """The items that a rule gives a place: they are published though no list names them."""
        return {pin.item for rules in self.all().values() for pin in rules.pins}

    @property
    def named(self) -> set[str]:
        """The items that rules name by their ids."""
        found = (condition for rules in self.all().values() for _, condition in rules.conditions())
        return self.pinned.union(*(condition.items or () for condition in found))

    def to_json(self) -> str:
        return self.model_dump_json(exclude_none=True)


def digest_of_rules(text: str | bytes) -> str:
    """sha256 of rules as they are published."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
