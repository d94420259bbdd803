"""The settings of a simulated shop, and its dice: one independent stream for each purpose and day."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from simulator.incidents import Incident, NewCategory

MOST_CATEGORIES = 24
_Kind = TypeVar("_Kind", bound=Incident)


@dataclass(frozen=True)
class ShopConfig:
    """A shop is fixed by these values: two shops with the same ones deliver the same bytes."""

    seed: int
    num_users: int = 1200  # at any time, about
    num_items: int = 300  # likewise
    num_categories: int = 12
    start: date = date(2026, 1, 5)
    sessions_per_user: float = 0.165  # a day outside of the season, on average over people
    incidents: tuple[Incident, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= self.num_categories <= MOST_CATEGORIES or self.num_items < 8 * self.num_categories:
            raise ValueError(f"{self}: 2 to {MOST_CATEGORIES} categories, at least 8 items each")
        if self.num_categories + len(self.incidents_of(NewCategory)) > MOST_CATEGORIES:
            raise ValueError(f"{self}: {MOST_CATEGORIES} categories at most, the new ones among them")
        for incident in self.incidents:
            incident.must(
                incident.day > self.start, f"it has to lie after the shop's first day, {self.start}"
            )

    def offset(self, day: date) -> int:
        """Days since the start."""
        if day < self.start:
            raise ValueError(f"{day} lies before the shop's first day, {self.start}")
        return (day - self.start).days

    def incidents_of(self, kind: type[_Kind], on: date | None = None) -> tuple[_Kind, ...]:
        """The incidents of a kind, in the order of their days; those that are on, where a day is given."""
        found = [incident for incident in self.incidents if isinstance(incident, kind)]
        on_then = [incident for incident in found if on is None or incident.is_on(on)]
        return tuple(sorted(on_then, key=lambda incident: incident.day))


def generator(config: ShopConfig, purpose: str, offset: int = 0) -> np.random.Generator:
    """Dice for one purpose (and day): what is drawn for one never changes what is drawn for another."""
    return np.random.default_rng([config.seed, zlib.crc32(purpose.encode()), offset])


def uniform_hash(
    key: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each pair: dice that need no memory (splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = left.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + right.astype(np.uint64)
        mixed = (mixed + np.uint64(key)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) / 2.0**53)
