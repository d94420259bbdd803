"""What is known of the champion that a day is judged with: since when, what it knew, and how its lists began."""

from __future__ import annotations

from datetime import date

from contracts import names
from contracts.feed import FeedDescription
from jobs.io.lake import Lake
from jobs.io.state import PROMOTIONS, RUNS, State
from jobs.monitoring.engine import engine, source
from jobs.monitoring.exposure import Exposure, read_exposure
from jobs.monitoring.people import KnownCatalogue
from jobs.runs import StepContext, champion_of, champion_of_run, run_key


def of_the_run(state: State, day: date) -> tuple[str | None, FeedDescription | None]:
    """The champion and the feed that the day's run was fixed to."""
    recorded = state.get(RUNS, run_key(names.DAILY, day))
    if recorded is None:
        return champion_of(state, day), None
    manifest = recorded["manifest"]
    feed = manifest.get("feed")
    return champion_of_run(state, manifest), FeedDescription.model_validate(feed) if feed else None


def promoted_on(state: State, champion: str | None) -> date | None:
    """The day that the champion was trained to; None without one, or before it was promoted."""
    promotion = state.get(PROMOTIONS, champion) if champion else None
    return date.fromisoformat(promotion["day"]) if promotion else None


def known_catalogue(lake: Lake, promoted: date | None, threads: int) -> KnownCatalogue:
    """The catalogue on the day that the champion was trained to; empty without one."""
    if promoted is None or lake.manifest(names.DIM_ITEMS, promoted) is None:
        return KnownCatalogue()
    rows = (
        engine(threads)
        .sql(f"select item_id, category from {source(lake, names.DIM_ITEMS, [promoted])}")
        .fetchall()
    )
    return KnownCatalogue(
        frozenset(item for item, _ in rows),
        frozenset(category for _, category in rows if category is not None),
    )


def first_lists(
    context: StepContext, champion: str | None, promoted: date | None, day: date
) -> tuple[str, date] | None:
    """Table and day of the first lists that the champion made."""
    if champion is None or promoted is None:
        return None
    if context.lake.manifest(names.LISTS_RETRAINED, promoted) is not None:
        return names.LISTS_RETRAINED, promoted
    for candidate in context.lake.days(names.LISTS, first=promoted, until=day):
        if candidate < day and of_the_run(context.state, candidate)[0] == champion:
            return names.LISTS, candidate
    return None


def first_exposure(context: StepContext) -> Exposure | None:
    """How the first champion's first lists spread; None before there was one."""
    days = [date.fromisoformat(record["day"]) for record in context.state.all(PROMOTIONS).values()]
    if not days:
        return None
    return read_exposure(context.lake, names.LISTS_RETRAINED, min(days), threads=context.settings.threads)
