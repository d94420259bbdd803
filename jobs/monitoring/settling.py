"""After a drift: is there so much more of the new world by now that a retraining would know it far better?

The champion that an alarm has made knows the days since the drift, and at first they are few. Nothing drifts any more,
and yet a model that knows half as many days again is a better one. So the alarm rings once more whenever the days
since the drift have grown by a factor, until the new world is as old as the old one was: at 2, 3, 5, 8, 12 days and so on.

In between it waits, whatever is measured: the days that a champion is compared with lie on both sides of the drift for
weeks, and differ from today for a reason that is known. What drifts once the champion knows the new world well is
another drift, and its days are counted anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from jobs.monitoring.thresholds import Alarm


@dataclass(frozen=True)
class Settling:
    """Where a shop is after a drift."""

    drift_since: date | None  # the first day of the drift that was noticed last; None: none of late
    reason: str = ""  # why to retrain although nothing drifts; empty: there is no reason
    waits: str = ""  # why the alarm does not ring although something drifts; empty: it may

    def as_record(self) -> dict[str, str | None]:
        return {
            "drift_since": self.drift_since.isoformat() if self.drift_since else None,
            "reason": self.reason,
            "waits": self.waits,
        }

    def rings_for(self, is_drift: bool) -> bool:
        """Is there a reason to retrain?"""
        return bool(self.reason) or (is_drift and not self.waits)


def settling(
    day: date,
    *,
    is_drift: bool,
    drift_since: date | None,
    trained_until: date | None,
    well_known_days: int,
    thresholds: Alarm,
) -> Settling:
    """Judge a day that is not invalid.

    Args:
        is_drift: the day's own verdict is drift, which rings by itself.
        drift_since: what the day before came to.
        trained_until: the day that the champion was trained to.
        well_known_days: a champion that knows so many days since the drift knows the new world.
    """
    since = drift_since if drift_since and (day - drift_since).days < thresholds.settle_days else None
    known = (trained_until - since).days + 1 if since and trained_until else 0
    if is_drift and (since is None or known >= well_known_days):
        return Settling(day - timedelta(days=thresholds.recent_days - 1))
    if since is None or known <= 0:
        return Settling(since)
    passed = (day - since).days + 1
    told = f"people have lived {passed} days since tastes drifted on {since}, and the champion knows {known} of them"
    is_due = passed >= thresholds.settle_growth * known
    if is_drift:
        return Settling(since, waits="" if is_due else f"the alarm waits for more: {told}")
    return Settling(since, reason=f"settling: {told}" if is_due else "")
