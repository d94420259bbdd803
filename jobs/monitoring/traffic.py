"""Is everybody's traffic whole, and is it people's? Lost events, silence, and a few who make a crowd.

What a tracker loses and what a slow week lacks look alike in the number of events alone. A slow week has fewer people
who do as much as ever; a tracker that loses events has as many people who seem to do less.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from contracts.feed import Calendar, days_between
from jobs.monitoring.busyness import Busyness
from jobs.monitoring.thresholds import Evidence, Validity
from jobs.monitoring.windows import Windows

if TYPE_CHECKING:
    import pandas as pd

#: So few people make a crowd in a small shop.
_FEW = 5
#: One day, the other being closed, shows nothing that lasts.
_MIN_DAYS = 2


def traffic_reasons(
    reference: pd.DataFrame,
    before: pd.DataFrame,
    recent: pd.DataFrame,
    windows: Windows,
    calendar: Calendar | None,
    thresholds: Validity,
    evidence: Evidence,
) -> list[str]:
    """What is wrong with the last days' traffic; nothing if it is plausible.

    Args:
        reference: of each day its num_user_days, num_events, unseen_if_halved and top_counts, as the panel has them.
        before: the same of the last sound days before the recent ones, which have their season.
        recent: the same of the last days.
    """
    return [
        *_silence(recent, windows, calendar, thresholds),
        *_losses(before, recent, thresholds, evidence),
        *(_crowds(reference, recent, thresholds) or _busiest(reference, recent, thresholds)),
    ]


def _silence(
    recent: pd.DataFrame, windows: Windows, calendar: Calendar | None, thresholds: Validity
) -> list[str]:
    """Days without an event, to the last one, on which the shop was open."""
    days = days_between(windows.current.first, windows.current.last)
    active = {stamp.date() for stamp in recent["event_date"]}
    newest = max(active, default=None)
    silent = [
        day
        for day in days
        if (newest is None or day > newest) and (calendar is None or calendar.expects(day))
    ]
    if len(silent) <= thresholds.max_silent_days:
        return []
    return [f"no event since {newest or windows.current.first}: {len(silent)} open days in a row are silent"]


def _losses(
    before: pd.DataFrame, recent: pd.DataFrame, thresholds: Validity, evidence: Evidence
) -> list[str]:
    """Fewer events than on the same weekdays before, by people who seem to do less, and beyond what days differ by."""
    expected = _expected(before, [stamp.date() for stamp in recent["event_date"]])
    if not expected or not len(recent):
        return []
    volume = float(recent["num_events"].sum()) / expected
    usual, now = _busyness(before), _busyness(recent).events_a_person
    noise = _noise_of_days(before) * sqrt(1 / len(recent) + 1 / len(before))
    floor = min(
        usual.floor(thresholds.max_events_lost), usual.events_a_person - evidence.noise_sigmas * noise
    )
    if volume >= thresholds.min_recent_volume or now >= floor:
        return []
    return [
        f"events are lost: {volume:.2f} of what these weekdays had (floor {thresholds.min_recent_volume:g}), and people "
        f"seem to do less: {now:.2f} events each a day after {usual.events_a_person:.2f} (floor {floor:.2f}; "
        f"{usual.if_halved:.2f} if every other event were lost)"
    ]


def _busyness(traffic: pd.DataFrame) -> Busyness:
    """Of all days together."""
    num_user_days = float(traffic["num_user_days"].sum())
    unseen = float((traffic["unseen_if_halved"] * traffic["num_user_days"]).sum()) / num_user_days
    return Busyness(float(traffic["num_events"].sum()) / num_user_days, unseen)


def _noise_of_days(traffic: pd.DataFrame) -> float:
    """The standard deviation of a day's events a person about what its weekday has: a wholesaler's few customers order a
    little on one day and a lot on the next. In a week alone, about what all its days have; of one day infinite."""
    each = traffic["num_events"] / traffic["num_user_days"]
    weekday = traffic["event_date"].dt.weekday
    if weekday.nunique() == len(traffic):
        return float(each.std()) if len(traffic) > 1 else float("inf")
    left = each - each.groupby(weekday).transform("mean")
    return sqrt(float((left**2).sum()) / (len(traffic) - weekday.nunique()))


def _expected(traffic: pd.DataFrame, days: Sequence[date]) -> float:
    """The events that such weekdays had on average; 0 where one of them never had any."""
    by_weekday = traffic.groupby(traffic["event_date"].dt.weekday)["num_events"].mean()
    if any(day.weekday() not in by_weekday.index for day in days):
        return 0.0
    return float(sum(by_weekday[day.weekday()] for day in days))


def _crowds(reference: pd.DataFrame, recent: pd.DataFrame, thresholds: Validity) -> list[str]:
    """A few who do far more than anybody did before, and so much that all shares move."""
    if not len(reference) or not len(recent):
        return []
    most = max(int(counts[0]) for counts in reference["top_counts"])
    tops = np.concatenate([np.asarray(counts, np.int64) for counts in recent["top_counts"]])
    far_out = tops[tops > thresholds.crowd_factor * most]
    share = float(far_out.sum()) / float(recent["num_events"].sum())
    if share <= thresholds.max_crowd_share:
        return []
    return [
        f"{len(far_out)} days of single people hold {share:.0%} of all events, up to {int(far_out.max())} each; nobody had more "
        f"than {most} in the reference: crawlers, or one id for many (limit {thresholds.max_crowd_share:.0%})"
    ]


def _busiest(reference: pd.DataFrame, recent: pd.DataFrame, thresholds: Validity) -> list[str]:
    """The few busiest hold more of every recent day than of any day before: in a small shop nobody stands out alone."""
    if not len(reference) or len(recent) < _MIN_DAYS:
        return []
    before, now = (
        [
            float(np.sum(counts[:_FEW])) / float(total)
            for counts, total in zip(window["top_counts"], window["num_events"], strict=True)
        ]
        for window in (reference, recent)
    )
    if min(now) <= max(before) + thresholds.max_busiest_rise:
        return []
    return [
        f"the {_FEW} busiest hold {min(now):.0%} of a day's events or more, at most {max(before):.0%} in the reference "
        f"(limit {thresholds.max_busiest_rise:.0%} above that): crawlers, or one id for many"
    ]
