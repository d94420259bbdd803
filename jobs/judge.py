"""Is a challenger worth promoting? A verdict with reasons, from per-user metrics on days nobody trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.metrics import Interval, paired_bootstrap, required_users

NUM_RESAMPLES = 2000
#: So much worse in NDCG@10 a challenger may be in any case: of a small mean a share is less than anybody notices.
LEAST_MARGIN = 0.01

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """Promoted or not, and why: every check that was made, in words with its figures."""

    is_promoted: bool
    reasons: tuple[str, ...]
    differences: dict[str, Interval]  # challenger minus the other, NDCG@10

    def refused_for(self, reasons: tuple[str, ...]) -> Verdict:
        """The same, refused for further reasons, where there are any."""
        return replace(self, is_promoted=self.is_promoted and not reasons, reasons=(*reasons, *self.reasons))


def judge(ndcg: dict[str, FloatArray], *, margin: float, min_users: int, rng: np.random.Generator) -> Verdict:
    """Judge ``ndcg["challenger"]`` against ``ndcg["champion"]`` and the baselines, paired user by user.

    A first model has to beat recent popularity with a two-sided 95 % interval above zero. Later ones must
    not be inferior to the champion by more than ``margin`` (a share of the champion's mean, :data:`LEAST_MARGIN` at
    least; one-sided 95 %) and not be surely worse than recent popularity. Too few users to tell mean that the champion stays.

    Args:
        ndcg: per-user NDCG@10 by name, all over the same users; "popularity" has to be there.
    """
    challenger_U = ndcg["challenger"]
    num_users = len(challenger_U)
    if num_users < min_users:
        reason = (
            f"insufficient data: {num_users} users with outcomes, {min_users} are needed (promote_min_users)"
        )
        return Verdict(False, (reason,), {})
    differences = {
        name: paired_bootstrap(challenger_U, other_U, NUM_RESAMPLES, rng)
        for name, other_U in sorted(ndcg.items())
        if name != "challenger"
    }
    check = _against_champion if "champion" in ndcg else _first_model
    is_promoted, reasons = check(ndcg, differences, margin)
    return Verdict(is_promoted, tuple(reasons), differences)


def _first_model(
    ndcg: dict[str, FloatArray], differences: dict[str, Interval], margin: float
) -> tuple[bool, list[str]]:
    interval = differences["popularity"]
    told = f"first model: ndcg@10 {_versus(ndcg, 'popularity')}, difference {_shown(interval)}"
    if interval.low > 0:
        return True, [f"{told}: above recent popularity"]
    return False, [f"{told}: not surely above recent popularity"]


def _against_champion(
    ndcg: dict[str, FloatArray], differences: dict[str, Interval], margin: float
) -> tuple[bool, list[str]]:
    allowed = max(margin * float(ndcg["champion"].mean()), LEAST_MARGIN)
    interval = differences["champion"]
    told = (
        f"champion: ndcg@10 {_versus(ndcg, 'champion')}, difference {_shown(interval)}, "
        f"one-sided lower bound {interval.lower:+.4f} (floor {-allowed:+.4f})"
    )
    spread = float(np.std(ndcg["challenger"] - ndcg["champion"]))
    needed = required_users(spread, allowed) if allowed > 0 and spread > 0 else 0
    if interval.lower <= -allowed:
        if len(ndcg["champion"]) < needed and interval.high > 0:
            return False, [
                f"insufficient data: {told}; {needed} users are needed to tell, {len(ndcg['champion'])} are there"
            ]
        return False, [f"{told}: worse than allowed"]
    popularity = differences["popularity"]
    if popularity.high < 0:
        return False, [
            told,
            f"recent popularity: ndcg@10 {_versus(ndcg, 'popularity')}: surely worse than popularity",
        ]
    return True, [f"{told}: {'better' if interval.low > 0 else 'not inferior'}"]


def _versus(ndcg: dict[str, FloatArray], other: str) -> str:
    return f"{ndcg[other].mean():.4f} → {ndcg['challenger'].mean():.4f}"


def _shown(interval: Interval) -> str:
    return f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def as_record(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON-able values."""
    return {
        "is_promoted": verdict.is_promoted,
        "reasons": list(verdict.reasons),
        "differences": {
            name: {"mean": interval.mean, "low": interval.low, "high": interval.high, "lower": interval.lower}
            for name, interval in verdict.differences.items()
        },
    }
