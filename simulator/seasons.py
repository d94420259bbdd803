"""The year of a shop: when people come, and what they are in the mood for. It repeats, whatever happens.

C categories
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

from simulator.config import ShopConfig, generator
from simulator.incidents import Holiday

# November sells 2.7 times January: a peak that builds up for longer than it goes.
_PEAK_DAY, _PEAK_LIFT, _DAYS_BEFORE, _DAYS_AFTER = 322, 2.5, 34.0, 26.0
_WEEKDAYS = (1.0, 0.97, 0.96, 0.98, 1.0, 1.06, 1.03)
#: How far the year moves the appetite for a category up and down.
_SWING = 0.2
_GIFT_SHARE, _GIFT_LIFT = 1 / 4, 6.0
_YEAR = 365.25


def visits_lift(config: ShopConfig, day: date) -> float:
    """How many times as many visits as on an ordinary day: by the season, the weekday, a holiday."""
    day_of_year = day.timetuple().tm_yday
    days_from_peak = (day_of_year - _PEAK_DAY + _YEAR / 2) % _YEAR - _YEAR / 2
    width = _DAYS_BEFORE if days_from_peak < 0 else _DAYS_AFTER
    season = 1 + _PEAK_LIFT * float(np.exp(-0.5 * (days_from_peak / width) ** 2))
    holidays = [holiday.lift for holiday in config.incidents_of(Holiday, day)]
    return season * _WEEKDAYS[day.weekday()] * float(np.prod(holidays))


def appetites(config: ShopConfig, day: date, num_categories: int) -> npt.NDArray[np.float32]:
    """How much more than usual each category is looked for, appetite_C; around 1."""
    # A new category must not change the season of the others: each has a draw of its own.
    dice_C = generator(config, "seasons").random(num_categories)
    angle_C = 2 * np.pi * (day.timetuple().tm_yday / _YEAR + dice_C)
    appetite_C = 1 + _SWING * np.cos(angle_C)
    if config.incidents_of(Holiday, day):
        appetite_C[gift_categories(config)] *= _GIFT_LIFT
    return appetite_C.astype(np.float32)


def gift_categories(config: ShopConfig) -> npt.NDArray[np.int64]:
    """Which categories are given as presents."""
    num_gifts = max(1, round(_GIFT_SHARE * config.num_categories))
    return generator(config, "gifts").permutation(config.num_categories)[:num_gifts]
