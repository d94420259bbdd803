"""Twelve people and thirty items as arrays, and a model that hardly knows them: for tests of ranking and training."""

from __future__ import annotations

from datetime import date

import numpy as np
import torch
from scipy.sparse import csr_matrix

from jobs.ranking.next_item import NextItemModel
from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES
from jobs.ranking.score_model import ScoreModel
from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, Deeds, World
from models.als import ALS, ALSConfig
from models.content import Content
from models.covisitation import CoVisitation
from models.ease import EASE
from models.gru4rec import GRU4Rec, GRU4RecConfig
from models.mlp_ranker import MLPRanker, MLPRankerConfig
from models.popularity import Popularity
from models.recommender import history_matrix
from models.sasrec import SASRec, SASRecConfig

DAY = date(2011, 3, 1)
NUM_ITEMS, NUM_USERS = 30, 12


def tiny_world() -> World:
    rng = np.random.default_rng(7)
    histories = [
        rng.choice(NUM_ITEMS, size=length, replace=False) for length in [0, 1, 2, *[6] * (NUM_USERS - 3)]
    ]
    seen = [np.unique(history) for history in histories]
    ends_U = np.cumsum([len(items) for items in seen])
    num_steps = sum(map(len, histories))
    ages = np.random.default_rng(13)
    is_available_N = np.ones(NUM_ITEMS, bool)
    is_available_N[[3, 4]] = False  # sold out
    return World(
        cutoff=DAY,
        item_ids=np.array([f"item-{index:02d}" for index in range(NUM_ITEMS)], dtype=object),
        is_available_N=is_available_N,
        category_N=np.arange(NUM_ITEMS) % 4,
        brand_N=np.arange(NUM_ITEMS) % 3,
        titles_N=np.array([f"thing {index}" for index in range(NUM_ITEMS)], dtype=object),
        item_words={
            "category": np.array([f"category-{index % 4}" for index in range(NUM_ITEMS)], dtype=object),
            "brand": np.array(
                [f"brand-{index % 7}" if index % 5 else "" for index in range(NUM_ITEMS)], dtype=object
            ),
        },
        item_features_NF=rng.random((NUM_ITEMS, len(ITEM_FEATURES))).astype(np.float32),
        popularity_N=rng.integers(0, 50, NUM_ITEMS).astype(np.float32),
        neighbours_NN=csr_matrix(rng.integers(0, 3, (NUM_ITEMS, NUM_ITEMS))),
        bought_with_NN=csr_matrix(np.random.default_rng(11).integers(0, 2, (NUM_ITEMS, NUM_ITEMS))),
        user_ids=np.array([f"user-{index:02d}" for index in range(NUM_USERS)], dtype=object),
        histories=histories,
        steps=Deeds(
            np.append(0, np.cumsum([len(history) for history in histories])[:-1]),
            np.arange(num_steps) // 2 % 3 + 1,
            np.concatenate([np.sort(ages.integers(0, 90, len(history)))[::-1] for history in histories]),
        ),
        seen=seen,
        deeds=Deeds(
            np.append(0, ends_U[:-1]),
            np.arange(ends_U[-1]) % 3 + 1,
            np.random.default_rng(11).integers(0, 90, ends_U[-1]),
        ),
        user_features_UF=rng.random((NUM_USERS, len(USER_FEATURES))).astype(np.float32),
        affinity_UC=csr_matrix(rng.random((NUM_USERS, 5))),
        brand_affinity_UB=csr_matrix(rng.random((NUM_USERS, 4))),
    )


def tiny_transformer(*, reads_events: bool = False) -> SASRec:
    """Its last two items are new to it; where it reads events, it is as if it had learnt something of types and gaps."""
    config = SASRecConfig(
        NUM_ITEMS - 2, width=8, blocks=1, heads=1, max_length=6,
        reads_gaps=reads_events, reads_types=reads_events,
    )  # fmt: skip
    sasrec = SASRec(config, seed=1).eval()
    if sasrec.gaps_GD is not None and sasrec.types_TD is not None:
        for seed, weight in enumerate((sasrec.gaps_GD, sasrec.types_TD)):
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(seed))
    return sasrec


def tiny_model(world: World, *, reads_events: bool = False) -> NextItemModel:
    rng = np.random.default_rng(7)
    users_R = np.repeat(np.arange(2, NUM_USERS), 20)
    items_R = np.concatenate([rng.choice(NUM_ITEMS, 20, replace=False) for _ in range(2, NUM_USERS)])
    pair_RF = rng.normal(size=(len(users_R), len(PAIR_FEATURES))).astype(np.float32)
    offsets = np.arange(0, len(users_R) + 1, 20)
    # Everything counts a little.
    liking_R = pair_RF.sum(axis=1) + world.item_features_NF[items_R].sum(axis=1) + items_R % 4
    labels_R = liking_R + rng.normal(size=len(users_R)) > np.quantile(liking_R, 0.7)
    preparation, rows_RP = Preparation.fit(world, users_R, items_R, labels_R, seed=1)
    ranker, _ = MLPRanker.fit(
        MLPRankerConfig(widths=(8,), epochs=3),
        PAIR_FEATURES + preparation.columns,
        np.concatenate([pair_RF, rows_RP], axis=1),
        offsets,
        labels_R,
        scaled=preparation.columns,
    )
    # The last two items are new to the model.
    return NextItemModel(
        world.item_ids[:-2], tiny_transformer(reads_events=reads_events), ranker, preparation
    )


def tiny_blend(world: World, *, reads_events: bool = False) -> ScoreModel:
    """One of each recommender; the last two items are new to those that learn."""
    num_known = world.num_items - 2
    rng = np.random.default_rng(5)
    taken = history_matrix([rng.choice(num_known, 8, replace=False) for _ in range(40)], num_known)
    recommenders = {
        "sasrec": tiny_transformer(reads_events=reads_events),
        "gru4rec": GRU4Rec(GRU4RecConfig(num_known, width=8, max_length=6), seed=1).eval(),
        "ease": EASE(5.0).fit(taken),
        "als": ALS(ALSConfig(factors=4, iterations=3)).fit(taken),
        "covisitation": CoVisitation(num_recent=7, half_life=3.0),
        "content": Content(num_recent=4, half_life=2.0),
        "popularity": Popularity(),
    }
    weights = dict(zip(recommenders, (0.2, 0.1, 0.2, 0.15, 0.15, 0.1, 0.1), strict=True))
    return ScoreModel(world.item_ids[:-2], recommenders, weights)
