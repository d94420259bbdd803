"""Coming and going for years: a fixed number of places, each held by one after the other.

People and items both live in places. A place keeps what is latent (a taste, a style, an appeal); whoever comes
after somebody who has left takes the place under a new number. So sizes stay about constant, tastes stand still,
and yet nobody stays for ever.

P places · H stays
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.config import ShopConfig, generator

IntArray = npt.NDArray[np.int64]

#: Of whom was there before the shop's first day.
BEFORE = -1_000_000
#: Stays are drawn for so many days at a time; further ones never change nearer ones.
_PERIOD_DAYS = 364


@dataclass(frozen=True)
class Turnover:
    """How long a place is held, on average, how long it is free, and what a new holder is like."""

    purpose: str  # of the dice
    mean_days: float
    mean_gap_days: float
    known_ahead_days: int  # one hears of a holder so many days before it comes; no gap is shorter
    return_share: float  # of gaps after which the same one is back


@dataclass(frozen=True)
class Stays:
    """Who holds which place from when to when, in the order in which it becomes known."""

    place_H: IntArray
    number_H: IntArray  # of the holder; later ones follow on
    known_H: IntArray  # days since the shop's start: when one hears of it
    first_H: IntArray
    until_H: IntArray  # the first day on which it is gone
    place_M: IntArray  # of each number

    def holders(self, offset: int, num_places: int) -> IntArray:
        """Who holds each place on a day, -1 where nobody does."""
        is_there_H = (self.first_H <= offset) & (offset < self.until_H)
        holder_P = np.full(num_places, -1, np.int64)
        holder_P[self.place_H[is_there_H]] = self.number_H[is_there_H]
        return holder_P


def period_of(offset: int) -> int:
    """The period of a day, which is all of the day that stays depend on."""
    return offset // _PERIOD_DAYS


def make_stays(
    config: ShopConfig,
    turnover: Turnover,
    num_places: int,
    period: int,
    openings: Sequence[tuple[int, int]] = (),
) -> Stays:
    """All stays that are known of up to the end of a period, and more.

    Args:
        openings: days on which further places open, and how many; they come after the others.
    """
    horizon = (period + 1) * _PERIOD_DAYS + turnover.known_ahead_days
    sizes = [num_places, *(size for _, size in openings)]
    first_P = np.repeat(np.array([BEFORE, *(day for day, _ in openings)]), sizes)
    # Each opening has dice of its own, so that none changes what is drawn for the places before it.
    purposes = [turnover.purpose, *(f"{turnover.purpose} opened on {day}" for day, _ in openings)]
    place_P = np.arange(len(first_P))
    begins_P, known_P = np.maximum(first_P, 0), first_P
    holder_P = known_P  # a holder is known by its place and the day on which one heard of it
    parts = []
    for nth in itertools.count():
        drawn = [
            _draw(generator(config, purpose, nth), turnover, size)
            for purpose, size in zip(purposes, sizes, strict=True)
        ]
        days_P, gap_P, is_back_P = (np.concatenate(part) for part in zip(*drawn, strict=True))
        until_P = begins_P + days_P
        parts.append(np.stack([known_P, place_P, first_P, until_P, holder_P]))
        first_P = begins_P = until_P + gap_P
        known_P = first_P - turnover.known_ahead_days
        holder_P = np.where(is_back_P, holder_P, known_P)
        if (first_P > horizon).all():
            break
    known_H, place_H, first_H, until_H, holder_H = np.concatenate(parts, axis=1)
    keys, number_H = np.unique((holder_H - BEFORE) * len(place_P) + place_H, return_inverse=True)
    order = np.lexsort((place_H, known_H))
    return Stays(
        place_H=place_H[order],
        number_H=number_H[order],
        known_H=known_H[order],
        first_H=first_H[order],
        until_H=until_H[order],
        place_M=keys % len(place_P),
    )


def _draw(
    rng: np.random.Generator, turnover: Turnover, size: int
) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
    days = 1 + rng.exponential(turnover.mean_days, size)
    gap = turnover.known_ahead_days + rng.exponential(turnover.mean_gap_days, size)
    return days.astype(np.int64), gap.astype(np.int64), rng.random(size) < turnover.return_share
