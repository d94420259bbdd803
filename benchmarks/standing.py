"""How a transformer and a challenger stand beside simple models: a figure and a table, with intervals over users and seeds.

S seeds · Q questions · U users
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.answers import gains
from benchmarks.contests import CHALLENGER, TRANSFORMER, Contest
from benchmarks.figure import Figure, Table, figure
from benchmarks.simple import told
from models.metrics import Interval, paired_bootstrap

_RESAMPLES = 2_000
Gains = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answered:
    """What everybody has answered, and to whom."""

    users_Q: npt.NDArray[np.int64]
    seeds: Mapping[str, Sequence[dict[str, Any]]]  # TRANSFORMER and CHALLENGER: a result a seed
    simple: Mapping[str, dict[str, Any]]

    def places(self, name: str) -> npt.NDArray[np.int64]:
        """Of each seed (a simple model has one) the place of each answer: places_SQ."""
        found = self.seeds[name] if name in self.seeds else [self.simple[name]]
        return np.array([each["places"] for each in found])

    def gains(self, name: str) -> Gains:
        """NDCG@10 of each question, the mean over seeds."""
        return np.mean([gains(each) for each in self.places(name)], axis=0)

    def ndcg(self, name: str) -> float:
        return float(self.gains(name).mean())

    @property
    def best(self) -> str:
        """The best of the simple models."""
        return max(self.simple, key=self.ndcg)

    def ahead(self, name: str, other: str) -> Interval:
        """How far one is ahead of another: users are resampled, with all their questions."""
        rng = np.random.default_rng(7)
        return paired_bootstrap(*by_user(self.gains(name), self.gains(other), self.users_Q), _RESAMPLES, rng)

    def verdict(self, name: str) -> str:
        """How one stands to the best of the simple models, in words."""
        return verdict(self.ahead(name, self.best), self.best)


def by_user(a_Q: Gains, b_Q: Gains, users_Q: npt.NDArray[np.int64]) -> tuple[Gains, Gains]:
    """Sums of each user, scaled so that their mean is the mean over questions: users are resampled, not questions."""
    _, asker_Q = np.unique(users_Q, return_inverse=True)
    scale = (asker_Q.max() + 1) / len(asker_Q)
    return np.bincount(asker_Q, a_Q) * scale, np.bincount(asker_Q, b_Q) * scale


def verdict(ahead: Interval, other: str) -> str:
    """Ahead or behind where the interval leaves 0 out; else not told apart."""
    bounds = f"[{ahead.low:+.4f}, {ahead.high:+.4f}]"
    if ahead.low > 0:
        return f"ahead of {other} by {ahead.mean:.4f} {bounds}"
    if ahead.high < 0:
        return f"behind {other} by {-ahead.mean:.4f} {bounds}"
    return f"not told apart from {other}, {ahead.mean:+.4f} {bounds}"


def summed_up(name: str, held: Contest, size: str, answered: Answered) -> Figure:
    """The figure and the table of all models, ours, simple and published.

    Args:
        size: of the data, in words.
    """
    seeds = seeds_told(len(answered.seeds[TRANSFORMER]))
    value, best = answered.ndcg(held.headline), answered.best
    measured = figure(
        name,
        1000 * value,
        f"NDCG@10 in thousandths, the {held.headline}, {seeds}{_floor(held, value)}; {answered.verdict(held.headline)}",
        1000 * answered.ndcg(best),
        f"{best}, the best of the simple models",
    )
    about = (
        f"{size} {held.remark}".strip()
        + f" The transformer is {answered.verdict(TRANSFORMER)}. The challenger, "
        f"{_chosen(answered.seeds[CHALLENGER])}, is {answered.verdict(CHALLENGER)}. Of the simple models {best} comes nearest: it has "
        f"{answered.ndcg(best) / answered.ndcg(CHALLENGER):.0%} of the challenger's NDCG@10 and "
        f"{answered.ndcg(best) / answered.ndcg(TRANSFORMER):.0%} of the transformer's."
    )
    columns = (
        "model", "HR@10", "NDCG@10", "transformer ahead by", "challenger ahead by", "settings, time or source",
    )  # fmt: skip
    rows = [_row(held, answered, each) for each in (TRANSFORMER, CHALLENGER)]
    rows += [_row(held, answered, each) for each in sorted(answered.simple, key=answered.ndcg, reverse=True)]
    for line in held.published:
        hits = "" if line.hit_rate is None else f"{line.hit_rate:.4f}"
        rows.append((f"{line.model} (published)", hits, f"{line.ndcg:.4f}", "", "", line.source))
    return replace(measured, table=Table(about, columns, tuple(rows)))


def _row(held: Contest, answered: Answered, name: str) -> tuple[str, ...]:
    places_SQ = answered.places(name)
    ndcg_S = np.array([gains(each).mean() for each in places_SQ])
    ahead = [
        "" if each == name else _interval(answered.ahead(each, name)) for each in (TRANSFORMER, CHALLENGER)
    ]
    if name in answered.simple:
        shown, found = name, answered.simple[name]
        if name == "popularity" and held.moments:
            shown = "recent popularity (7 days)"
        settings = [told(name, found["options"]), f"{found['seconds']:.2f} s"]
    else:
        of_seeds = answered.seeds[name]
        shown = f"**{name}**, {seeds_told(len(of_seeds))}"
        settings = [_chosen(of_seeds)] if name == CHALLENGER else [_learnt(of_seeds)]
        settings.append(f"{_mean(of_seeds, 'seconds'):.0f} s a seed on one thread")
    return (
        shown,
        f"{(places_SQ > 0).mean():.4f}",
        f"{ndcg_S.mean():.4f}{over_seeds(ndcg_S)}",
        *ahead,
        " · ".join(each for each in settings if each),
    )


def _learnt(of_seeds: Sequence[dict[str, Any]]) -> str:
    return (
        f"{_mean(of_seeds, 'epochs'):.0f} epochs, which validation chose · "
        f"{_mean(of_seeds, 'positions_per_second'):,.0f} positions/s"
    )


def _chosen(of_seeds: Sequence[dict[str, Any]]) -> str:
    """Who became the challenger, and a blend's weights on average."""
    names = Counter(each["chosen"] for each in of_seeds)
    chosen = names.most_common(1)[0][0]
    weights = [each["weights"] for each in of_seeds if each["chosen"] == chosen]
    means = {part: float(np.mean([each[part] for each in weights])) for part in weights[0]}
    by_weight = sorted(means, key=means.__getitem__, reverse=True)
    of_them = "" if len(means) < 2 else f" ({', '.join(f'{part} {means[part]:.2f}' for part in by_weight)})"
    return " or ".join(f"{name} in {count} of {len(of_seeds)}" for name, count in names.items()) + of_them


def _floor(held: Contest, value: float) -> str:
    """Where the floor or the aim lies, and by how much it is missed."""
    if not held.floor:
        return ""
    told = f"; floor {held.floor:.4f}"
    if value < held.floor:
        return f"{told} missed by {held.floor - value:.4f}"
    return f"{told} held, aim {held.aim:.4f} {'reached' if value >= held.aim else f'missed by {held.aim - value:.4f}'}"


def seeds_told(count: int) -> str:
    return f"{count} seed{'s' if count > 1 else ''}"


def _interval(ahead: Interval) -> str:
    return f"{ahead.mean:+.4f} [{ahead.low:+.4f}, {ahead.high:+.4f}]"


def over_seeds(values_S: npt.NDArray[np.float64]) -> str:
    """The half-width of the mean's interval at 95 % (Student's t), where there are several seeds."""
    if len(values_S) < 2:
        return ""
    half = stats.t.ppf(0.975, len(values_S) - 1) * values_S.std(ddof=1) / math.sqrt(len(values_S))
    return f" ± {half:.4f}"


def _mean(results: Sequence[dict[str, Any]], field: str) -> float:
    return float(np.mean([each[field] for each in results]))
