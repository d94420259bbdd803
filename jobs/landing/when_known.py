"""Since when rows are known: the first day whose run may see them, so that no run that has been changes."""

from __future__ import annotations

from datetime import date, timedelta

from jobs.io.state import LANDINGS, REPLAYS, State


def landed_until(state: State) -> date | None:
    """The newest day that has been landed."""
    return max((date.fromisoformat(key) for key in state.all(LANDINGS)), default=None)


def known_date(received: date, day: date, newest_landed: date | None) -> date:
    """The first day whose run may see a delivery: its own, or the day that lands it when a later run had already been."""
    return received if newest_landed is None or received > newest_landed else day


def known_date_of_replay(newest_landed: date) -> date:
    """The first day whose run may see rows that are replayed now: the newest landed day's run is fixed already."""
    return newest_landed + timedelta(days=1)


def replayed_days(state: State, newest_landed: date | None, day: date) -> set[date]:
    """The event days of replayed rows that the landing of ``day`` is the first to see."""
    return {
        date.fromisoformat(event_day)
        for known, record in state.all(REPLAYS).items()
        if known <= day.isoformat() and (newest_landed is None or known > newest_landed.isoformat())
        for event_day in record["touched"]
    }
