"""How often the gate errs: a thousand judgements of challengers whose true difference from the champion is known.

Users' differences in NDCG@10 are nought for most and large for some, as they are in a shop. A gate may let the margin's worth of
loss through in one of twenty, and hardly ever twice of it; an equal challenger has to pass four times in five where
there are as many users as the gate asks for. With a third of these the margin's worth of loss passes no more often, and an
equal challenger that cannot be shown to be no worse is told to lack data, not to be worse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, figure
from jobs.judge import judge
from jobs.judging.bounds import Bounds, load_bounds
from jobs.judging.evidence import Evaluation, Facts
from models.metrics import required_users

_NUM_GATES = 1000
#: What :func:`error_rates` prints.
FIGURES = (
    "judge.promoted_at_margin",
    "judge.promoted_at_two_margins",
    "judge.promoted_if_equal",
    "judge.insufficient_of_few",
    "judge.promoted_at_margin_of_few",
)
_SPREAD = 0.08
PROMOTED, INSUFFICIENT, REFUSED = "promoted", "insufficient data", "refused"


def error_rates(folder: Path) -> Iterator[Figure]:
    """Shares of judgements, each beside what it may be or has to be."""
    margin = load_bounds().difference.margin
    needed = required_users(_SPREAD, margin)
    for name, difference, num_users, bound, told in (
        (
            "judge.promoted_at_margin",
            -margin,
            needed,
            0.064,
            "at most: 5 % and what a thousand tries vary by",
        ),
        ("judge.promoted_at_two_margins", -2 * margin, needed, 0.005, "at most"),
        ("judge.promoted_if_equal", 0.0, needed, 0.77, "at least: 80 % and what a thousand tries vary by"),
    ):
        found = outcomes(difference, num_users, _NUM_GATES, np.random.default_rng(1))
        yield figure(name, found[PROMOTED] / _NUM_GATES, "share", bound, f"{told}; {num_users} users")
    few = needed // 3
    found = outcomes(0.0, few, _NUM_GATES, np.random.default_rng(2))
    undecided = _NUM_GATES - found[PROMOTED]
    told = f"of those that are not shown to be no worse; {few} users, {found[PROMOTED] / _NUM_GATES:.1%} are shown to be"
    yield figure("judge.insufficient_of_few", found[INSUFFICIENT] / undecided, "share", 1.0, told)
    found = outcomes(-margin, few, _NUM_GATES, np.random.default_rng(3))
    yield figure(
        "judge.promoted_at_margin_of_few",
        found[PROMOTED] / _NUM_GATES,
        "share",
        0.064,
        f"at most; {few} users",
    )


def outcomes(
    difference: float, num_users: int, num_gates: int, rng: np.random.Generator, bounds: Bounds | None = None
) -> Counter[str]:
    """What becomes of so many challengers with this true mean difference from the champion."""
    bounds = bounds or load_bounds()
    day = date(2011, 3, 8)
    facts = Facts(
        day, last_event=day, trained_to=date(2011, 3, 1), judged_from=date(2011, 3, 2), num_bytes=1, num_unconsented=0
    )  # fmt: skip
    told: Counter[str] = Counter()
    for _ in range(num_gates):
        champion_U = rng.beta(0.3, 1.2, num_users)
        moved_U = (rng.random(num_users) < 0.25) * rng.normal(0, 2 * _SPREAD, num_users)
        ndcg = {
            "challenger": champion_U + difference + moved_U,
            "champion": champion_U,
            "popularity": champion_U / 2,
        }
        figures = {"popularity_lift_at_10": 0.5, "coverage_at_10": 0.5}
        verdict = judge(Evaluation(ndcg, dict.fromkeys(ndcg, figures)), facts, bounds, min_users=10, rng=rng)
        is_insufficient = verdict.reasons[0].startswith(INSUFFICIENT)
        told[PROMOTED if verdict.is_promoted else INSUFFICIENT if is_insufficient else REFUSED] += 1
    return told
