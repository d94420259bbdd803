"""What the API answered on a day: by version, rung of the ladder and reason, and how often something of it was wanted.

A rung that is answered from more often than it should be is an outage that people can see here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.engine import engine, source
from jobs.monitoring.panel import visible
from jobs.monitoring.ratios import Ratio, Sums, share


@dataclass(frozen=True)
class Answers:
    """The decisions of a day that are taken from one version and one rung, for one reason."""

    version: str
    source: str
    fallback: str | None
    num_decisions: int
    num_short: int
    num_ruled: int  # a rule acted on the list
    num_dropping: int  # a rule could not be kept
    clicked: (
        Ratio  # decisions of which an item was clicked / decisions of which any is known to have been shown
    )
    purchased: Ratio  # likewise bought

    def as_record(self) -> dict[str, Any]:
        return vars(self) | {"clicked": self.clicked.as_record(), "purchased": self.purchased.as_record()}


def day_answers(lake: Lake, day: date, *, threads: int) -> list[Answers]:
    """The decisions of ``day`` as its run may know them, the most frequent first; none where nothing is logged."""
    decisions = source(lake, names.FCT_DECISIONS, [day] if lake.manifest(names.FCT_DECISIONS, day) else [])
    rows = (
        engine(threads)
        .execute(
            f"""
            with known as (
                select user_id, version, source, fallback, is_short, rules_applied, rules_dropped,
                    is_shown and shown_known_date <= date '{day}' as is_shown,
                    is_clicked and clicked_known_date <= date '{day}' as is_clicked,
                    is_purchased and purchased_known_date <= date '{day}' as is_purchased
                from {decisions} where {visible(day)}
            ), by_user as (
                select version, source, fallback, user_id, count(*) as decisions, count(*) filter (is_short) as short,
                    count(rules_applied) as ruled, count(rules_dropped) as dropping,
                    count(*) filter (is_shown) as x, count(*) filter (is_clicked) as clicked,
                    count(*) filter (is_purchased) as purchased
                from known group by version, source, fallback, user_id
            )
            select version, source, fallback, sum(decisions), sum(short), sum(ruled), sum(dropping), count(*) filter (x > 0), sum(x), sum(x * x),
                sum(clicked), sum(x * clicked), sum(clicked * clicked),
                sum(purchased), sum(x * purchased), sum(purchased * purchased)
            from by_user group by version, source, fallback
            order by sum(decisions) desc, version, source, fallback nulls first
            """
        )
        .fetchall()
    )
    return [_answers(version, rung, fallback, figures) for version, rung, fallback, *figures in rows]


def _answers(version: str, rung: str, fallback: str | None, figures: Sequence[int]) -> Answers:
    decisions, short, ruled, dropping, people, x, xx, *outcomes = map(int, figures)
    clicked, purchased = (share(Sums(people, x, y, xx, xy, yy)) for y, xy, yy in (outcomes[:3], outcomes[3:]))
    return Answers(version, rung, fallback, decisions, short, ruled, dropping, clicked, purchased)
