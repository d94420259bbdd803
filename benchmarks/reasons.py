"""What reasons cost: ``ranking.reasons``, users a second whose lists are scored with reasons for their first places.

As many people and items as the demo's shop has, with histories of up to fifty events, a transformer of the default shape and
a ranker. Nothing is trained: weights that mean nothing take as long. The reference are the same lists without reasons, in the
same process; of both the median of several turns, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.figure import Figure, figure
from contracts.lists import EXPLAINED_PLACES
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES
from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, Deeds, IntArray, World
from models.mlp_ranker import MLPRanker, MLPRankerConfig
from models.sasrec import SASRec, SASRecConfig

_LENGTH, _CANDIDATES = 100, 120


def reasons(folder: Path, num_users: int = 1200, num_items: int = 300, turns: int = 7) -> Iterator[Figure]:
    """The demo's shop, on one thread; nothing is written into the folder."""
    world = _world(num_users, num_items)
    model = _model(world)
    seconds: dict[int, list[float]] = {0: [], EXPLAINED_PLACES: []}
    for _ in range(turns):
        for num_explained, taken in seconds.items():
            begun = time.perf_counter()
            model.ranking(
                world,
                length=_LENGTH,
                num_candidates=_CANDIDATES,
                repeats_allowed=True,
                num_explained=num_explained,
            ).rank(np.arange(num_users))
            taken.append(time.perf_counter() - begun)
    plain, told = (num_users / float(np.median(taken)) for taken in seconds.values())
    yield figure("ranking.reasons", told, "users/s", plain, "the same lists without reasons")


def _world(num_users: int, num_items: int) -> World:
    rng = np.random.default_rng(7)
    lengths = np.clip(rng.geometric(1 / 25, num_users), 1, 50)
    histories = [rng.integers(0, num_items, length) for length in lengths]
    seen = [np.unique(history) for history in histories]
    pairs = rng.integers(0, num_items, (2, 40 * num_items))
    neighbours_NN = csr_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(num_items, num_items))
    words = np.array([f"word {item % 12}" for item in range(num_items)], dtype=object)
    return World(
        cutoff=date(2026, 1, 5),
        item_ids=np.array([f"i{item:06d}" for item in range(num_items)], dtype=object),
        is_available_N=np.ones(num_items, bool),
        category_N=np.arange(num_items) % 12,
        brand_N=np.arange(num_items) % 12,
        titles_N=words,
        item_words={"category": words, "brand": words},
        item_features_NF=rng.random((num_items, len(ITEM_FEATURES)), np.float32),
        popularity_N=rng.random(num_items, np.float32),
        neighbours_NN=neighbours_NN,
        bought_with_NN=neighbours_NN.T.tocsr(),
        user_ids=np.array([f"u{user:06d}" for user in range(num_users)], dtype=object),
        histories=histories,
        steps=_alike(histories),
        seen=seen,
        deeds=_alike(seen),
        user_features_UF=rng.random((num_users, len(USER_FEATURES)), np.float32),
        affinity_UC=csr_matrix(rng.random((num_users, 13))),
        brand_affinity_UB=csr_matrix(rng.random((num_users, 13))),
    )


def _alike(items_U: list[IntArray]) -> Deeds:
    """All of it looked at, yesterday."""
    ends_U = np.cumsum([len(items) for items in items_U])
    return Deeds(np.append(0, ends_U[:-1]), np.ones(ends_U[-1], np.int32), np.ones(ends_U[-1], np.int32))


def _model(world: World) -> NextItemModel:
    rng = np.random.default_rng(7)
    users_R, items_R = np.repeat(np.arange(20), 50), rng.integers(0, world.num_items, 1000)
    is_wanted_R = rng.random(1000) < 0.3
    pair_RF = rng.normal(size=(1000, len(PAIR_FEATURES))).astype(np.float32)
    preparation, rows_RP = Preparation.fit(world, users_R, items_R, is_wanted_R, seed=7)
    ranker, _ = MLPRanker.fit(
        MLPRankerConfig(epochs=1),
        PAIR_FEATURES + preparation.columns,
        np.concatenate([pair_RF, rows_RP], axis=1),
        np.arange(0, 1001, 50),
        is_wanted_R,
        scaled=preparation.columns,
    )
    sasrec = SASRec(SASRecConfig(num_items=world.num_items), seed=7)
    return NextItemModel(world.item_ids, sasrec, ranker, preparation)
