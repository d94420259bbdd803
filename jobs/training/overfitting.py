"""Has a model learnt its people by heart? What it knows of days that it has seen beside days that it has not.

U users · N items · K places
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.events import items_of
from models.metrics import ndcg_at, paired_bootstrap
from models.recommender import Histories
from models.topk import top_k

#: Of what a model knows of days that it has seen this share at least has to hold on days that it has not, times the share
#: that popularity keeps of its own; what surely keeps less is refused. A model that knows nothing but its people's own lines
#: keeps what chance gives; one that stops by validation keeps about as much as popularity, even across a shift of taste.
LEAST_KEPT = 0.25

K = 10
#: Users that the gap is measured on: more make it no more certain than anybody needs.
_MOST_USERS = 2000
_NUM_RESAMPLES = 2000
_SEED = 7

FloatArray = npt.NDArray[np.float64]


class Scorer(Protocol):
    """Whatever gives each item a score for each history."""

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        """scores_UN, higher is better."""
        ...


@dataclass(frozen=True)
class Gap:
    """NDCG@10 of the same users on the last items that a model was trained on, and on what they took afterwards."""

    trained: float
    validation: float
    popularity_trained: float
    popularity_validation: float
    num_users: int
    # Validation less the least that is to be kept: below zero the gap is too wide, and with all of it surely.
    beyond_low: float
    beyond_high: float
    validation_U: FloatArray = field(repr=False, compare=False)

    @property
    def kept(self) -> float:
        """The share of what the model knows of days it has seen that holds on days it has not, 0 … 1."""
        return _share(self.validation, self.trained)

    @property
    def popularity_kept(self) -> float:
        """The same of popularity, which knows nobody by heart: what it loses, the days themselves have taken."""
        return _share(self.popularity_validation, self.popularity_trained)

    def as_record(self) -> dict[str, Any]:
        """Its figures by name."""
        told = {each.name: getattr(self, each.name) for each in fields(self) if each.compare}
        return {**told, "kept": self.kept, "popularity_kept": self.popularity_kept}


def measure_gap(
    model: Scorer,
    popularity_N: npt.NDArray[Any],
    histories: Histories,
    wanted: Sequence[set[int]],
    *,
    repeats_allowed: bool,
) -> Gap | None:
    """Ask a model for the last items of histories that it was trained on, and for what the same users took next.

    Of each user as many of the last items are asked for as the user took next, half of the history at most: the two
    questions are equally hard. A user with nothing to ask for, or nothing left to tell it from, is left out.

    Args:
        popularity_N: weights of the last days up to the end of the histories; popularity is asked the same.
        wanted: what each user took after its history, by index.
    """
    shorter, last, whole, following = [], [], [], []
    for history, next_items in zip(histories, wanted, strict=True):
        cut = len(history) - min(len(next_items), len(history) // 2)
        items = items_of(history)
        asked = {int(item) for item in items[cut:]}
        if not repeats_allowed:
            asked -= {int(item) for item in items[:cut]}
        if cut and asked:
            shorter.append(history[:cut])
            last.append(asked)
            whole.append(history)
            following.append(next_items)
    if not whole:
        return None
    drawn = np.random.default_rng(_SEED).permutation(len(whole))[:_MOST_USERS]
    found = []
    for told, targets in ((shorter, last), (whole, following)):
        of_drawn, asked_of = [told[user] for user in drawn], [targets[user] for user in drawn]
        scores_UN = model.score(of_drawn)
        popularity_UN = np.tile(np.asarray(popularity_N, np.float32), (len(of_drawn), 1))
        found.append(
            [_ndcg(scores, of_drawn, asked_of, repeats_allowed) for scores in (scores_UN, popularity_UN)]
        )
    (trained_U, popular_trained_U), (validation_U, popular_U) = found
    least = LEAST_KEPT * _share(float(popular_U.mean()), float(popular_trained_U.mean()))
    beyond = paired_bootstrap(validation_U, least * trained_U, _NUM_RESAMPLES, np.random.default_rng(_SEED))
    return Gap(
        trained=float(trained_U.mean()),
        validation=float(validation_U.mean()),
        popularity_trained=float(popular_trained_U.mean()),
        popularity_validation=float(popular_U.mean()),
        num_users=len(drawn),
        beyond_low=beyond.low,
        beyond_high=beyond.high,
        validation_U=validation_U,
    )


def overfitting_reasons(gap: Gap | None) -> tuple[str, ...]:
    """Why a model is refused for what it has learnt by heart; nothing where it is not, or where nobody can tell.

    After a shift of taste every model loses what it knew, and so does popularity: what is lost to the days is not held against
    the model.
    """
    if gap is None or gap.beyond_high >= 0:
        return ()
    return (
        f"overfitting: ndcg@10 {gap.trained:.4f} on what it was trained on → {gap.validation:.4f} on days after it, for the "
        f"same {gap.num_users} users: it keeps {gap.kept:.1%} where popularity keeps {gap.popularity_kept:.1%}, and "
        f"{LEAST_KEPT * gap.popularity_kept:.1%} is the least; train with more dropout, fewer epochs or a smaller width",
    )


def _ndcg(
    scores_UN: npt.NDArray[np.float32],
    histories: Histories,
    wanted: Sequence[set[int]],
    repeats_allowed: bool,
) -> FloatArray:
    if not repeats_allowed:
        for scores_N, history in zip(scores_UN, histories, strict=True):
            scores_N[items_of(history)] = -np.inf
    lists_UK, _ = top_k(scores_UN, K)
    return ndcg_at(lists_UK, wanted, K)


def _share(part: float, whole: float) -> float:
    return min(part / whole, 1.0) if whole > 0 else 1.0
