"""Is a challenger worth promoting? A verdict with reasons, from evidence of days that nobody was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jobs.judging import checks
from jobs.judging.bounds import Bounds
from jobs.judging.checks import Check
from jobs.judging.evidence import CHALLENGER, CHAMPION, ITEMS, POPULARITY, Evaluation, Facts, Slice
from models.metrics import Interval, chance_of_no_shortfall, holm, paired_bootstrap

NUM_RESAMPLES = 2000


@dataclass(frozen=True)
class SliceVerdict:
    """How the challenger stands in one slice, beside the champion or, where there is none, recent popularity."""

    kind: str
    name: str
    num_users: int
    other: str
    ndcg: float
    ndcg_of_other: float
    difference: Interval
    is_below_floor: bool | None  # None: nothing to hold it against

    def as_record(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "num_users": self.num_users,
            "other": self.other,
            "ndcg_at_10": self.ndcg,
            "ndcg_at_10_of_other": self.ndcg_of_other,
            "difference": _as_record(self.difference),
            "is_below_floor": self.is_below_floor,
        }


@dataclass(frozen=True)
class Verdict:
    """Promoted or not, and why: every check that was made, in words with its figures."""

    is_promoted: bool
    reasons: tuple[str, ...]
    differences: dict[str, Interval]  # challenger minus the other, NDCG@10
    checks: tuple[Check, ...] = ()
    slices: tuple[SliceVerdict, ...] = ()

    def with_caution(self, told: str) -> Verdict:
        """The same, with one thing more to know of it, where there is one."""
        return replace(self, reasons=(*self.reasons, *([told] if told else [])))

    def refused_for(self, reasons: tuple[str, ...]) -> Verdict:
        """The same, refused for further reasons, where there are any."""
        return replace(self, is_promoted=self.is_promoted and not reasons, reasons=(*reasons, *self.reasons))


def judge(
    evaluation: Evaluation, facts: Facts, bounds: Bounds, *, min_users: int, rng: np.random.Generator
) -> Verdict:
    """Judge a challenger against the champion and recent popularity, paired user by user, and against the bounds.

    A first model has to beat recent popularity with a two-sided 95 % interval above zero. Later ones must not be inferior to
    the champion by more than the margin (one-sided 95 %), nor surely worse than recent popularity, nor surely below the floor
    in any slice. Too few users to tell mean that the champion stays. ``bounds`` hold for every challenger.

    Returns:
        The verdict. Its reasons are, of a refused challenger, what it failed at, and the comparison in any case.
    """
    of_origin = [
        checks.unseen(facts), checks.consented(facts), checks.fresh(facts, bounds), checks.small(facts, bounds),
    ]  # fmt: skip
    users = checks.enough_users(evaluation.num_users, min_users)
    if not users.has_passed:
        return _verdict([users], of_origin, {}, ())
    differences = {
        name: paired_bootstrap(evaluation.ndcg[CHALLENGER], other_U, NUM_RESAMPLES, rng)
        for name, other_U in sorted(evaluation.ndcg.items())
        if name != CHALLENGER
    }
    slices = _judged_slices(evaluation, bounds, rng)
    if CHAMPION in evaluation.ndcg:
        main = [
            checks.not_inferior(evaluation, differences, bounds),
            checks.not_below_popularity(evaluation, differences),
        ]
    else:
        main = [checks.above_popularity(evaluation, differences)]
    others = [
        checks.in_order(evaluation),
        checks.plausible(evaluation, bounds),
        *_slice_checks(slices, bounds),
        checks.personal(evaluation, bounds),
        checks.popularity_lift(evaluation, bounds),
        checks.coverage(evaluation, bounds),
        *checks.exposure_gaps(evaluation, bounds, rng),
        checks.speed(evaluation, bounds),
        checks.itself(evaluation, bounds),
    ]
    return _verdict([*main, users], [*others, *of_origin], differences, slices)


def _verdict(
    main: Sequence[Check],
    others: Sequence[Check],
    differences: dict[str, Interval],
    slices: tuple[SliceVerdict, ...],
) -> Verdict:
    """The first check is told in any case, of the others those that were failed."""
    made = (*main, *others)
    failed = [check for check in made if check.has_passed is False]
    reasons = [main[0], *(check for check in failed if check is not main[0])]
    return Verdict(not failed, tuple(check.told for check in reasons), differences, made, slices)


def _judged_slices(
    evaluation: Evaluation, bounds: Bounds, rng: np.random.Generator
) -> tuple[SliceVerdict, ...]:
    """Each slice that holds enough people, with its interval; below the floor are those that surely are, all together."""
    other = CHAMPION if CHAMPION in evaluation.ndcg else POPULARITY
    told = [each for each in evaluation.slices if each.num_users >= bounds.slices.min_users]
    chances = [_chance_of_no_shortfall(each, other, bounds) for each in told]
    are_below = holm(chances, bounds.slices.level)
    return tuple(
        _slice_verdict(each, other, is_below if other == CHAMPION else None, rng)
        for each, is_below in zip(told, are_below, strict=True)
    )


def _chance_of_no_shortfall(each: Slice, other: str, bounds: Bounds) -> float:
    ours_U, theirs_U = each.ndcg[CHALLENGER], each.ndcg[other]
    below_floor = chance_of_no_shortfall(ours_U - theirs_U, -bounds.slices.floor)
    if each.kind != ITEMS:
        return below_floor
    kept = chance_of_no_shortfall(ours_U - bounds.slices.min_kept_of_items * theirs_U, 0.0)
    return max(below_floor, kept)  # both have to be sure


def _slice_verdict(each: Slice, other: str, is_below: bool | None, rng: np.random.Generator) -> SliceVerdict:
    ours_U, theirs_U = each.ndcg[CHALLENGER], each.ndcg[other]
    return SliceVerdict(
        each.kind,
        each.name,
        each.num_users,
        other,
        float(ours_U.mean()),
        float(theirs_U.mean()),
        paired_bootstrap(ours_U, theirs_U, NUM_RESAMPLES, rng),
        is_below,
    )


def _slice_checks(slices: Sequence[SliceVerdict], bounds: Bounds) -> list[Check]:
    def floor_of(each: SliceVerdict) -> float:
        lost = (1 - bounds.slices.min_kept_of_items) * each.ndcg_of_other if each.kind == ITEMS else 0.0
        return -max(bounds.slices.floor, lost)

    return [
        Check(
            name=f"slice {each.name}",
            has_passed=None if each.is_below_floor is None else not each.is_below_floor,
            told=f"{each.name}: ndcg@10 {each.ndcg_of_other:.4f} → {each.ndcg:.4f} over {each.num_users} users, difference "
            f"{checks.shown(each.difference)} beside {each.other} (floor {floor_of(each):+.4f})"
            + (": surely below it" if each.is_below_floor else ""),
            value=each.difference.mean,
            bound=floor_of(each),
        )
        for each in slices
    ]


def as_record(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON-able values."""
    return {
        "is_promoted": verdict.is_promoted,
        "reasons": list(verdict.reasons),
        "differences": {name: _as_record(interval) for name, interval in verdict.differences.items()},
        "checks": [check.as_record() for check in verdict.checks],
        "slices": [each.as_record() for each in verdict.slices],
    }


def _as_record(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high, "lower": interval.lower}
