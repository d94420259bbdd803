"""How good a challenger's lists are, beside the champion's and those of the baselines, for the same users."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jobs.ranking.next_item import NextItemModel
from jobs.ranking.proposer import allowed_items
from jobs.ranking.world import IntArray, World, each_index_of
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
    challenger: NextItemModel,
    champion: NextItemModel | None,
    world: World,
    sequences: Sequences,
    outcomes: dict[str, npt.NDArray[np.object_]],
    trainer: Trainer,
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, dict[str, float]], int]:
    """Per-user NDCG@10 by name, all metrics by name, and the number of users: everyone on the same users."""
    users, targets = trainer.sample(*targets_of(world, outcomes, trainer.repeats_allowed), _JUDGED_USERS)
    lists = {"challenger": _list_of(challenger, world, users, trainer)}
    if champion is not None:
        lists["champion"] = _list_of(champion, world, users, trainer)
    lists |= _baseline_lists(world, sequences, users, trainer)
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


def _list_of(model: NextItemModel, world: World, users: IntArray, trainer: Trainer) -> IntArray:
    ranked = model.rank(
        world,
        users,
        length=K,
        num_candidates=trainer.chosen["num_candidates"],
        repeats_allowed=trainer.repeats_allowed,
    )
    return ranked.items_UK


def _baseline_lists(
    world: World, sequences: Sequences, users: IntArray, trainer: Trainer
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
            lists[name].append(top_k(np.where(allowed_BN, scores_BN, -np.inf), K)[0])
    return {name: np.concatenate([*parts, np.empty((0, K), np.int64)]) for name, parts in lists.items()}
