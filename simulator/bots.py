"""Bots: a few ids that look at a huge number of items, quickly, and mostly at one."""

from __future__ import annotations

from datetime import date

import numpy as np

from simulator.config import ShopConfig
from simulator.events import VIEW, Columns
from simulator.incidents import Bots
from simulator.people import FIRST_BOT, NUM_BOTS
from simulator.today import IntArray, Today
from simulator.visits import DAY_MS

_TARGET_SHARE = 0.7  # of their views, of one item
_DWELL_MS = 1500


def bot_numbers(config: ShopConfig, day: date) -> IntArray:
    """The bots that are told of as new users on a day: on the first one of an incident."""
    begins = any(bots.day == day for bots in config.incidents_of(Bots))
    return np.arange(FIRST_BOT, FIRST_BOT + NUM_BOTS if begins else FIRST_BOT)


def with_bots(today: Today, columns: Columns, number_V: IntArray) -> tuple[Columns, IntArray]:
    """The day's events, and what bots add to them; each bot is one more visit."""
    shares = [bots.share for bots in today.config.incidents_of(Bots, today.day)]
    if not shares:
        return columns, number_V
    rng = today.dice("bots")
    num_views = round(np.count_nonzero(columns.kind == VIEW) * sum(shares) / (1 - sum(shares)))
    for_sale = np.flatnonzero(today.shelf.is_available_N)
    target = rng.choice(for_sale)
    places = np.where(rng.random(num_views) < _TARGET_SHARE, target, rng.choice(for_sale, num_views))
    views = Columns.of(
        len(number_V) + rng.integers(0, NUM_BOTS, num_views),
        VIEW,
        today.shelf.item_N[places],
        np.sort(rng.integers(0, DAY_MS, num_views)),
        dwell_ms=rng.integers(1, _DWELL_MS, num_views),
        scroll_percent=np.zeros(num_views, np.int64),
    )
    bots = np.arange(FIRST_BOT, FIRST_BOT + NUM_BOTS)
    return Columns.joined([columns, views]), np.concatenate([number_V, bots])
