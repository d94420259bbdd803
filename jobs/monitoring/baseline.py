"""The days that volume is held against: the last ones before a window, those left out that were called invalid.

A shop's year goes up and down by more than a broken tracker takes away, but not within two weeks. What the champion
was trained on may lie before a peak, or in it; and whatever has broken stays broken, however long it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from contracts.feed import days_between
from jobs.monitoring.windows import Span, Windows

#: With fewer there is not even a day of each weekday, and the reference has to do.
_FEWEST = 7


def sound_days(
    windows: Windows, window: Span, is_invalid: Callable[[date], bool], num_days: int
) -> list[date]:
    """The last ``num_days`` days before a window that were not called invalid; those of the reference if they are too few.

    Whoever trained a champion up to a day called invalid has taken its world for granted, and so does this.

    Args:
        is_invalid: was a day called so when it was run?
    """
    known_until = windows.known_until
    is_taken_for_granted = is_invalid(known_until)
    found: list[date] = []
    day = window.first - timedelta(days=1)
    while day >= windows.all_days.first and len(found) < num_days:
        if (is_taken_for_granted and day <= known_until) or not is_invalid(day):
            found.append(day)
        day -= timedelta(days=1)
    if len(found) < _FEWEST:
        return days_between(windows.reference.first, windows.reference.last)
    return sorted(found)
