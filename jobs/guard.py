"""Does the new champion keep what its judgement promised? If what follows its lists falls, the former one takes over.

A challenger is judged on what people did while they saw the champion's lists. What they do with its own is known only
afterwards: on each of its first days, clicks on its lists are held against those on the former champion's, before the
day is scored. A fall beyond a bound demotes it, and the day's lists are the former champion's again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt

from contracts import names
from contracts.feed import days_between
from jobs.io.lake import Lake
from jobs.io.state import DEMOTIONS, PROMOTIONS
from jobs.monitoring.busyness import UNSEEN_IF_HALVED, Busyness
from jobs.monitoring.engine import engine, source
from jobs.monitoring.list_outcomes import list_outcome
from jobs.monitoring.thresholds import Thresholds, load_thresholds
from jobs.monitoring.windows import Span
from jobs.runs import StepContext, champion_of, is_newest, manifest_of

log = logging.getLogger("foretaste.guard")

_MAX_ACTED = 50_000


@dataclass(frozen=True)
class Following:
    """What followed the impressions of some days; users' days are drawn together."""

    num_shown: int
    num_clicked: int
    square: float  # sum over users' days of (clicked - rate · shown)²
    busyness: Busyness  # what a broken tracker loses as well
    rates: tuple[float, ...]  # by day

    @property
    def rate(self) -> float:
        return self.num_clicked / max(self.num_shown, 1)

    @property
    def sd(self) -> float:
        """Of the rate: a ratio's, by linearisation."""
        return sqrt(self.square) / max(self.num_shown, 1)


def guard_champion(day: date, context: StepContext) -> str:
    """Demote the champion of the day's run if clicks have fallen under it; returns why, or nothing.

    A day that is run again finds what its first run has decided; a backfill decides nothing.
    """
    state = context.state
    manifest = manifest_of(state, names.DAILY, day)
    champion = manifest["champion"]
    demoted = state.get(DEMOTIONS, champion) if champion else None
    if demoted is not None:  # on another day: that day has told it
        return str(demoted["reason"]) if demoted["day"] == day.isoformat() else ""
    if champion is None or not is_newest(state, day):
        return ""
    promoted = date.fromisoformat((state.get(PROMOTIONS, champion) or {"day": str(day)})["day"])
    former = champion_of(state, promoted)
    reason = _why_demote(day, promoted, context, bool(manifest["feed"]["repeats_allowed"])) if former else ""
    if former and reason:
        from jobs.io.registry import open_registry

        told = f"champion {champion} is demoted, {former} takes over: {reason}"
        with open_registry(context.settings) as registry:
            registry.promote(former, context.lease)
        state.put(DEMOTIONS, champion, {"day": day.isoformat(), "to": former, "reason": told})
        log.warning("champion_demoted day=%s from=%s to=%s reason=%s", day, champion, former, reason)
        return told
    return ""


def _why_demote(day: date, promoted: date, context: StepContext, repeats_allowed: bool) -> str:
    thresholds = load_thresholds()
    if not 0 < (day - promoted).days <= thresholds.rollback.days:
        return ""
    lake, threads = context.lake, context.settings.threads
    since = Span(promoted + timedelta(days=1), day)
    before_days = Span(promoted - timedelta(days=context.settings.monitor_days - 1), promoted)
    before, now = (read_following(lake, span, day, threads=threads) for span in (before_days, since))
    reason = why_fallen(before, now, thresholds)
    if not reason:
        return ""
    return (
        f"{reason}; {told}"
        if (told := _former_would_do_better(lake, since, day, repeats_allowed, threads))
        else ""
    )


def why_fallen(before: Following, now: Following, thresholds: Thresholds) -> str:
    """That clicks have fallen beyond the bound, beyond chance and on every day; nothing if they have not.

    Where people seem to do less of everything the tracker is at fault, and nobody is demoted for that.
    """
    evidence, bound = thresholds.evidence, thresholds.rollback.clicks_lost
    if min(before.num_shown, now.num_shown) < evidence.min_rows or not before.rate or len(now.rates) < 2:
        return ""
    if now.busyness.events_a_person < before.busyness.floor(thresholds.validity.max_events_lost):
        return ""
    lost = 1 - now.rate / before.rate
    sd = sqrt(before.sd**2 + now.sd**2) / before.rate
    days = [1 - rate / before.rate for rate in now.rates]
    if lost < bound or lost < evidence.noise_sigmas * sd or min(days) < evidence.persistence * bound:
        return ""
    return (
        f"clicks on its lists fell from {before.rate:.2%} to {now.rate:.2%} of what was shown, by {lost:.0%} ± {sd:.0%} "
        f"(bound {bound:.0%})"
    )


def _former_would_do_better(lake: Lake, since: Span, day: date, repeats_allowed: bool, threads: int) -> str:
    """That the former champion's last lists foretell what people did since better than the new one's first ones.

    The world may have turned just then: that is drift, under which the former champion does no better.
    """
    promoted = since.first - timedelta(days=1)
    days = _kept(lake, names.FCT_INTERACTIONS, since)
    acted = (
        engine(threads)
        .sql(
            f"""select user_id, item_id from {source(lake, names.FCT_INTERACTIONS, days)}
            where known_date <= date '{day}' and weight > 0 order by md5(user_id), user_id, item_id limit {_MAX_ACTED}"""
        )
        .to_df()
    )
    found = [
        list_outcome(lake, acted, (table, promoted), repeats_allowed=repeats_allowed, threads=threads)
        for table in (names.LISTS, names.LISTS_RETRAINED)
    ]
    former, new = found
    if former is None or new is None or former.ndcg_at_10 <= new.ndcg_at_10:
        return ""
    return (
        f"NDCG@10 of the former one's lists of {promoted} against what {former.num_users} people did since is "
        f"{former.ndcg_at_10:.4f}, of its own {new.ndcg_at_10:.4f}"
    )


def read_following(lake: Lake, span: Span, day: date, *, threads: int) -> Following:
    """What followed the impressions of a span, as the run of ``day`` may know it."""
    shown = source(lake, names.FCT_IMPRESSIONS, _kept(lake, names.FCT_IMPRESSIONS, span))
    acted = source(lake, names.FCT_INTERACTIONS, _kept(lake, names.FCT_INTERACTIONS, span))
    query = engine(threads)
    rows = query.sql(
        f"""
        with user_days as (
            select event_date, user_id, count(*) as shown,
                count(*) filter (is_clicked and clicked_known_date <= date '{day}') as clicked
            from {shown} where known_date <= date '{day}' group by event_date, user_id
        ),
        total as (select sum(clicked) / sum(shown) as rate from user_days)
        select event_date, sum(shown), sum(clicked), sum((clicked - rate * shown) ** 2)
        from user_days, total group by event_date order by event_date
        """
    ).fetchall()
    ((events_a_person, unseen),) = query.sql(
        f"""
        select avg(num_events), {UNSEEN_IF_HALVED}
        from (
            select count(*) as num_events from {acted} where known_date <= date '{day}' group by event_date, user_id
        )
        """
    ).fetchall()
    return Following(
        num_shown=sum(int(count) for _, count, _, _ in rows),
        num_clicked=sum(int(count) for _, _, count, _ in rows),
        square=float(sum(square for *_, square in rows)),
        busyness=Busyness(float(events_a_person or 0), float(unseen or 0)),
        rates=tuple(float(clicked / count) for _, count, clicked, _ in rows),
    )


def _kept(lake: Lake, table: str, span: Span) -> list[date]:
    wanted = set(days_between(span.first, span.last))
    return [day for day in lake.days(table, first=span.first, until=span.last) if day in wanted]
