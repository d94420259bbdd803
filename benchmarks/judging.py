"""How often the gate errs: a thousand judgements each of challengers whose true difference from the champion is known.

Users' differences in NDCG@10 are nought for most and large for some, as they are in a shop. There are as many users as an equal
challenger needs to pass in four of five judgements, or a third of them (`of_few`). Each reference is what the gate may do at most,
or has to do at least, and what a thousand tries vary by.

`judge.promoted_at_margin` and `judge.promoted_at_two_margins`: challengers that lose as much as the margin, or twice of it, and
become champion. `judge.promoted_if_equal`: those that are as good. `judge.insufficient_of_few`: as good, of a third of the users:
told to lack data. One in forty is taken for surely better, and how much differences spread is itself estimated from few users.
`judge.promoted_at_margin_of_few`: the margin's worth of loss, of a third of the users. `judge.promoted_if_better_of_few`: what is
better by three margins is promoted all the same: after a shift of taste a small shop need not wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, figure
from jobs.judge import judge
from jobs.judging.bounds import Bounds, load_bounds
from jobs.judging.evidence import Evaluation, Facts
from models.metrics import required_users

_NUM_GATES = 1000
_SPREAD = 0.08
PROMOTED, INSUFFICIENT, REFUSED = "promoted", "insufficient data", "refused"


@dataclass(frozen=True)
class Case:
    """Challengers that are alike, and how many of them may, or have to, be answered so."""

    margins: int  # true difference from the champion
    share_of_users: float  # of those that let an equal one pass in four of five judgements
    answer: str
    bound: float  # in percent
    told: str


#: What :func:`error_rates` prints.
CASES = {
    "judge.promoted_at_margin": Case(-1, 1, PROMOTED, 6.4, "at most"),
    "judge.promoted_at_two_margins": Case(-2, 1, PROMOTED, 0.5, "at most"),
    "judge.promoted_if_equal": Case(0, 1, PROMOTED, 77, "at least"),
    "judge.insufficient_of_few": Case(0, 1 / 3, INSUFFICIENT, 94, "at least"),
    "judge.promoted_at_margin_of_few": Case(-1, 1 / 3, PROMOTED, 0.5, "at most"),
    "judge.promoted_if_better_of_few": Case(3, 1 / 3, PROMOTED, 95, "at least"),
}


def error_rates(folder: Path) -> Iterator[Figure]:
    """Shares of judgements, each beside what it may be or has to be."""
    margin = load_bounds().difference.margin
    needed = required_users(_SPREAD, margin)
    for seed, (name, case) in enumerate(CASES.items(), start=1):
        num_users = int(needed * case.share_of_users)
        found = outcomes(case.margins * margin, num_users, _NUM_GATES, np.random.default_rng(seed))
        share = 100 * found[case.answer] / _NUM_GATES
        yield figure(name, share, f"% {case.answer}; {num_users} users", case.bound, case.told)


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
