"""The checks of the gate: each looks at one thing, and says what it found in words, with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.judging.bounds import Bounds
from jobs.judging.evidence import CHALLENGER, CHAMPION, POPULARITY, Evaluation, Facts
from models.metrics import Interval, group_gap, required_users

#: Permutations that say how far groups lie apart by chance.
_NUM_DRAWS = 200


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    has_passed: bool | None  # None: there was nothing to judge by
    told: str
    value: float | None = None
    bound: float | None = None

    def as_record(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "has_passed": self.has_passed,
            "told": self.told,
            "value": self.value,
            "bound": self.bound,
        }


def enough_users(num_users: int, min_users: int) -> Check:
    """Did enough people act on the days that judge?"""
    told = f"{num_users} users with outcomes, {min_users} are needed (promote_min_users)"
    if num_users >= min_users:
        return Check("users", True, told, num_users, min_users)
    return Check("users", False, f"insufficient data: {told}", num_users, min_users)


def above_popularity(evaluation: Evaluation, differences: dict[str, Interval]) -> Check:
    """Is a first model surely above recent popularity?"""
    interval = differences[POPULARITY]
    told = f"first model: ndcg@10 {_versus(evaluation, POPULARITY)}, difference {shown(interval)}"
    above = "above recent popularity" if interval.low > 0 else "not surely above recent popularity"
    return Check("popularity", interval.low > 0, f"{told}: {above}", interval.low, 0.0)


def not_inferior(evaluation: Evaluation, differences: dict[str, Interval], bounds: Bounds) -> Check:
    """Is the challenger not inferior to the champion by more than the margin?

    With fewer users than the margin needs, an interval that happens to lie above the floor shows little. What needs no margin is
    told all the same: who is surely better (two-sided 95 %), and who is surely worse than allowed.
    """
    margin, interval = bounds.difference.margin, differences[CHAMPION]
    spread = float(np.std(evaluation.ndcg[CHALLENGER] - evaluation.ndcg[CHAMPION]))
    needed = required_users(spread, margin, bounds.difference.power)
    told = (
        f"champion: ndcg@10 {_versus(evaluation, CHAMPION)}, difference {shown(interval)}, "
        f"one-sided lower bound {interval.lower:+.4f} (floor {-margin:+.4f}), "
        f"{evaluation.num_users} users, the margin needs {needed}"
    )
    is_enough = evaluation.num_users >= needed
    is_better = interval.low > 0
    if is_better or (is_enough and interval.lower > -margin):
        said = "better" if is_better else "not inferior"
        return Check("champion", True, f"{told}: {said}", interval.lower, -margin)
    if is_enough or interval.high < -margin:
        return Check("champion", False, f"{told}: worse than allowed", interval.lower, -margin)
    told = (
        f"insufficient data: {told}; with fewer, only what is surely better is promoted. Train again when more people have "
        "acted, or let more days judge (FORETASTE_JUDGE_USERS, FORETASTE_JUDGE_DAYS)"
    )
    return Check("champion", False, told, evaluation.num_users, needed)


def not_below_popularity(evaluation: Evaluation, differences: dict[str, Interval]) -> Check:
    """Is a later challenger not surely worse than recent popularity?"""
    interval = differences[POPULARITY]
    worse = "surely worse than popularity" if interval.high < 0 else "not surely worse"
    told = (
        f"recent popularity: ndcg@10 {_versus(evaluation, POPULARITY)}, difference {shown(interval)}: {worse}"
    )
    return Check("popularity", interval.high >= 0, told, interval.high, 0.0)


def plausible(evaluation: Evaluation, bounds: Bounds) -> Check:
    """Is the challenger not better than anything honest can be?"""
    means = {name: float(ndcg_U.mean()) for name, ndcg_U in evaluation.ndcg.items() if name != CHALLENGER}
    best = max(means, key=lambda name: means[name])
    gain, most = float(evaluation.ndcg[CHALLENGER].mean()) - means[best], bounds.difference.max_gain
    told = f"ndcg@10 {gain:+.4f} beside the best other, {best} (at most {most:+.4f}, max_gain in expectations/promotion.toml)"
    too_good = (
        ": too good to be true. Either it has seen what it is judged by, so look for that first; or people are that easy to "
        "foretell, and the bound may be raised"
    )
    return Check("plausible", gain <= most, told + (too_good if gain > most else ""), gain, most)


def unseen(facts: Facts) -> Check:
    """Had what is judged not seen the days that judge it?"""
    told = f"what is judged was trained up to {facts.trained_to}, and is judged from {facts.judged_from} on"
    is_unseen = facts.trained_to < facts.judged_from
    return Check("leak", is_unseen, told if is_unseen else f"{told}: it has seen what it is judged by")


def consented(facts: Facts) -> Check:
    """Is everybody in the training set somebody who may be used?"""
    number = facts.num_unconsented
    told = f"{number} people in the training set without consent to be used"
    return Check("consent", number == 0, told, number, 0)


def fresh(facts: Facts, bounds: Bounds) -> Check:
    """Does what was learnt from reach near enough to the day?"""
    age, most = (facts.day - facts.last_event).days, bounds.data.max_age_days
    told = f"the last event that was learnt from is of {facts.last_event}, {age} days before {facts.day} (at most {most})"
    return Check("staleness", age <= most, told, age, most)


def small(facts: Facts, bounds: Bounds) -> Check:
    """Is the model small enough?"""
    size, most = facts.num_bytes / 1e6, bounds.size.max_megabytes
    return Check("size", size <= most, f"{size:.1f} MB (at most {most:g})", size, most)


def in_order(evaluation: Evaluation) -> Check:
    """Can the challenger's scores be put in order at all?"""
    told = evaluation.broken or "every score is a number, and every list is full"
    return Check("scores", not evaluation.broken, told)


def itself(evaluation: Evaluation, bounds: Bounds) -> Check:
    """Does the registered model know what its twin knows?"""
    if evaluation.twin is None:
        return Check("registered", None, "the registered model itself was not tried")
    share = bounds.registered.min_share_of_twin
    of_twin = float(evaluation.ndcg[CHALLENGER].mean())
    told = (
        f"read back from its bytes, the registered model reaches ndcg@10 {evaluation.twin:.4f} on days that it has seen; "
        f"its judged twin, which has not, {of_twin:.4f} (at least {share:.0%} of it)"
    )
    return Check("registered", evaluation.twin >= share * of_twin, told, evaluation.twin, share * of_twin)


def personal(evaluation: Evaluation, bounds: Bounds) -> Check:
    """Does the challenger show more than what everybody takes?"""
    share, most = evaluation.popular_share, bounds.popularity.max_popular_share
    if share is None:
        return Check(
            "personal", None, "nobody may be shown two items: there is no choice that could be personal"
        )
    told = (
        f"{share:.0%} of the first ten, or of the first half of fewer than twenty items, are what recent popularity shows the "
        f"same person there (at most {most:.0%})"
    )
    disguised = ": popularity in disguise" if share > most else ""
    return Check("personal", share <= most, told + disguised, share, most)


def popularity_lift(evaluation: Evaluation, bounds: Bounds) -> Check:
    """Are lists not much more popular than the champion's, or at least nearer to what people then took than to recent popularity?

    After a shift the champion's lists are of what was popular before it: beside them alone, whoever shows what people want now
    seems to push hits.
    """
    of = {name: 1 + metrics["popularity_lift_at_10"] for name, metrics in evaluation.metrics.items()}
    told = f"the first ten are {of[CHALLENGER]:.2f} times as popular as people's histories"
    if not of.get(CHAMPION):
        return Check("popularity lift", None, f"{told}; there is no champion's lift to compare with")
    risen, most = of[CHALLENGER] / of[CHAMPION] - 1, bounds.popularity.max_lift_risen
    told = f"{told}, the champion's {of[CHAMPION]:.2f}: {risen:+.0%} (at most {most:+.0%})"
    taken = 1 + evaluation.taken_lift
    if risen <= most or of[POPULARITY] <= taken:
        return Check("popularity lift", risen <= most, told, risen, most)
    towards, most = (of[CHALLENGER] - taken) / (of[POPULARITY] - taken), bounds.popularity.max_towards_popular
    told = (
        f"{told}; what people then took is {taken:.2f} times, recent popularity {of[POPULARITY]:.2f}: "
        f"{towards:.0%} of the way (or at most {most:.0%})"
    )
    return Check("popularity lift", towards <= most, told, towards, most)


def coverage(evaluation: Evaluation, bounds: Bounds) -> Check:
    """Does enough of the catalogue stay in sight?"""
    of = {name: evaluation.metrics[name]["coverage_at_10"] for name in _both(evaluation)}
    told = f"{of[CHALLENGER]:.1%} of the catalogue is in somebody's first ten"
    if not of.get(CHAMPION):
        return Check("coverage", None, f"{told}; there is no champion's coverage to compare with")
    kept, least = of[CHALLENGER] / of[CHAMPION], bounds.coverage.min_kept
    told = f"{told}, of the champion's {of[CHAMPION]:.1%}: {kept:.0%} kept (at least {least:.0%})"
    return Check("coverage", kept >= least, told, kept, least)


def exposure_gaps(evaluation: Evaluation, bounds: Bounds, rng: np.random.Generator) -> list[Check]:
    """Are groups of people shown the long tail alike?"""
    checks = []
    for attribute, groups_U in sorted(evaluation.groups.items()):
        seed = int(rng.integers(2**32))  # both models' groups are drawn by the same lot
        gap = {
            name: group_gap(evaluation.tail_share[name], groups_U, _NUM_DRAWS, np.random.default_rng(seed))
            for name in _both(evaluation)
        }
        told = f"groups by {attribute} lie {gap[CHALLENGER]:.3f} apart in the share of long tail in their first ten, beyond chance"
        if CHAMPION in gap:
            value, most = gap[CHALLENGER] - gap[CHAMPION], bounds.exposure.max_gap_risen
            told = f"{told}; the champion's {gap[CHAMPION]:.3f}: {value:+.3f} (at most {most:+.3f})"
        else:
            value, most = gap[CHALLENGER], bounds.exposure.max_gap
            told = f"{told} (at most {most:.3f})"
        checks.append(Check(f"exposure by {attribute}", value <= most, told, value, most))
    return checks


def speed(evaluation: Evaluation, bounds: Bounds) -> Check:
    """Does scoring not take much longer?"""
    of, limits = evaluation.users_per_second, bounds.speed
    if CHAMPION not in of:
        told = (
            f"scores {of[CHALLENGER]:,.0f} people a second" if of else "the speed of scoring was not measured"
        )
        return Check("speed", None, f"{told}; there is no champion to compare with")
    least = min(of[CHAMPION] / limits.max_slowdown, limits.enough_users_per_second)
    told = (
        f"scores {of[CHALLENGER]:,.0f} people a second, the champion {of[CHAMPION]:,.0f} "
        f"(at most {limits.max_slowdown:g} times slower, or {limits.enough_users_per_second:g} a second)"
    )
    return Check("speed", of[CHALLENGER] >= least, told, of[CHALLENGER], least)


def shown(interval: Interval) -> str:
    """A mean and its interval in words."""
    return f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _versus(evaluation: Evaluation, other: str) -> str:
    return f"{evaluation.ndcg[other].mean():.4f} → {evaluation.ndcg[CHALLENGER].mean():.4f}"


def _both(evaluation: Evaluation) -> list[str]:
    return [name for name in (CHALLENGER, CHAMPION) if name in evaluation.ndcg]
