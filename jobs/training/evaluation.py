"""How good a challenger's lists are, beside the champion's and those of the baselines, for the same users.

The days that judge are days on which people saw the champion's lists, and took things because they saw them. Counted,
these would be hits that only the champion can have. So what a user took after it had been shown is neither wanted nor a
place of anybody's list: it is left out of both, and lists move up (condensed lists; Sakai, SIGIR 2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from jobs.ranking.proposer import allowed_items
from jobs.ranking.score_model import Model
from jobs.ranking.world import IntArray, World, each_index_of
from jobs.training.impressions import Impressions
from jobs.training.sequences import Sequences, targets_of
from jobs.training.trainer import Trainer
from models.als import ALS
from models.ease import EASE
from models.metrics import coverage, hit_rate_at, ndcg_at, recall_at
from models.recommender import history_matrix
from models.topk import top_k

K = 10
#: Users that a challenger is judged by: more make the interval no narrower than anybody needs.
_JUDGED_USERS = 20_000
_BLOCK = 1024  # users whose scores are in memory at once


def evaluate(
    challenger: Model,
    champion: Model | None,
    world: World,
    sequences: Sequences,
    outcomes: dict[str, npt.NDArray[np.object_]],
    shown: Impressions,
    trainer: Trainer,
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, dict[str, float]], int]:
    """Per-user NDCG@10 by name, all metrics by name, and the number of users: everyone on the same users.

    Args:
        outcomes: what each user acted upon on the days that judge.
        shown: what was shown on these days, and what came of it.
    """
    prompted = Prompted.of(shown, world)
    users, targets = prompted.without(*targets_of(world, outcomes, trainer.repeats_allowed))
    users, targets = trainer.sample(users, targets, _JUDGED_USERS)
    length = K + prompted.most(users)
    lists = {"challenger": _list_of(challenger, world, users, trainer, length)}
    if champion is not None:
        lists["champion"] = _list_of(champion, world, users, trainer, length)
    lists |= _baseline_lists(world, sequences, users, trainer, length)
    lists = {name: prompted.condensed(users, items_UX)[:, :K] for name, items_UX in lists.items()}
    wanted = [set(items.tolist()) for items in targets]
    if not wanted:
        return {name: np.empty(0) for name in lists}, {}, 0
    ndcg = {name: ndcg_at(items_UK, wanted, K) for name, items_UK in lists.items()}
    metrics = {
        name: {
            "ndcg_at_10": float(ndcg[name].mean()),
            "hit_rate_at_10": float(hit_rate_at(items_UK, wanted, K).mean()),
            "recall_at_10": float(recall_at(items_UK, wanted, K).mean()),
            "coverage_at_10": coverage(items_UK, world.num_items),
        }
        for name, items_UK in lists.items()
    }
    return ndcg, metrics, len(users)


@dataclass(frozen=True)
class Prompted:
    """What users took after it had been shown to them, as user · num_items + item, sorted."""

    num_items: int
    pairs: IntArray

    @classmethod
    def of(cls, shown: Impressions, world: World) -> Self:
        users, items = shown.prompted(world)
        return cls(world.num_items, np.unique(users * world.num_items + items))

    def most(self, users: IntArray) -> int:
        """The most that any of the users took."""
        of_users = self.pairs[np.isin(self.pairs // self.num_items, users)] // self.num_items
        return int(np.bincount(of_users).max(initial=0))

    def without(self, users: IntArray, targets: list[IntArray]) -> tuple[IntArray, list[IntArray]]:
        """The users and what each of them wanted by itself; who wanted nothing else is left out."""
        left = [
            items[~np.isin(user * self.num_items + items, self.pairs)]
            for user, items in zip(users.tolist(), targets, strict=True)
        ]
        kept = [place for place, items in enumerate(left) if len(items)]
        return users[kept], [left[place] for place in kept]

    def condensed(self, users: IntArray, items_UX: IntArray) -> IntArray:
        """Lists of the users without what each took after it had been shown, moved up; -1 where a list ends."""
        is_out_UX = np.isin(users[:, None] * self.num_items + items_UX, self.pairs) & (items_UX >= 0)
        order_UX = np.argsort(is_out_UX, axis=1, kind="stable")
        return np.take_along_axis(np.where(is_out_UX, -1, items_UX), order_UX, axis=1)


def _list_of(model: Model, world: World, users: IntArray, trainer: Trainer, length: int) -> IntArray:
    ranked = model.rank(
        world,
        users,
        length=length,
        num_candidates=trainer.chosen["num_candidates"],
        repeats_allowed=trainer.repeats_allowed,
    )
    return ranked.items_UK


def _baseline_lists(
    world: World, sequences: Sequences, users: IntArray, trainer: Trainer, length: int
) -> dict[str, IntArray]:
    """Recent popularity, EASE and ALS, fitted up to the world's cut-off and held to the same rules."""
    taken = sequences.between(None, world.cutoff)
    rows = each_index_of(list(taken.values()), world.item_ids)
    evidence_UN = history_matrix([items[items >= 0] for items in rows], world.num_items)
    models: dict[str, EASE | ALS] = {"ease": EASE().fit(evidence_UN), "als": ALS().fit(evidence_UN)}
    lists: dict[str, list[IntArray]] = {name: [] for name in ("popularity", *models)}
    for start in range(0, len(users), _BLOCK):  # a matrix of everybody's scores would not fit
        block = users[start : start + _BLOCK]
        allowed_BN = allowed_items(world, block, trainer.repeats_allowed)
        histories = [world.histories[user] for user in block]
        scores = {"popularity": np.tile(world.popularity_N, (len(block), 1))}
        scores |= {name: model.score(histories) for name, model in models.items()}
        for name, scores_BN in scores.items():
            lists[name].append(top_k(np.where(allowed_BN, scores_BN, -np.inf), length)[0])
    return {name: np.concatenate([*parts, np.empty((0, length), np.int64)]) for name, parts in lists.items()}
