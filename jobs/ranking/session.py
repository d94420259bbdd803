"""The part of a model that works from a history alone, in one world: what is published to rank sessions as they go on.

N items of the catalogue
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from jobs.ranking.next_item import NextItemModel
from jobs.ranking.score_model import Model, ScoreModel
from jobs.ranking.world import IntArray, World
from models.neighbours import Neighbours
from models.session_model import SessionModel
from models.topk import top_k

#: Items that a session is ranked over at most: of a larger catalogue, those that are most popular of late.
MOST_ITEMS = 100_000


def session_model(model: Model | None, world: World, index_N: IntArray) -> SessionModel:
    """What ranks sessions in a world.

    Of a ranker it is the transformer: what its features count over weeks, no click changes. A model of scores is taken as it
    is. What neither knows, and everything where there is no champion, is ranked as on the ladder's rung ``session``.

    Args:
        index_N: what each item of the world's catalogue is called where it is published.
    """
    if isinstance(model, NextItemModel):
        model = ScoreModel(model.item_ids, {"sasrec": model.sasrec}, {"sasrec": 1.0})
    return SessionModel(
        None if model is None else model.blended(world),
        Neighbours.fit(world.neighbours_NN, world.bought_with_NN),
        world.is_available_N,
        index_N,
    )


def with_most_popular(world: World, most: int = MOST_ITEMS) -> World:
    """A world without people, of a catalogue of so many items at most: those for sale first, then by recent popularity."""
    if world.num_items <= most:
        return world
    standing_N = np.where(world.is_available_N, world.popularity_N, np.float32(-1))
    (chosen_M,), _ = top_k(standing_N[None, :], most)
    chosen_M.sort()

    def among(weights_NN: csr_matrix) -> csr_matrix:
        return weights_NN[chosen_M][:, chosen_M]

    return replace(
        world,
        item_ids=world.item_ids[chosen_M],
        is_available_N=world.is_available_N[chosen_M],
        category_N=world.category_N[chosen_M],
        brand_N=world.brand_N[chosen_M],
        titles_N=world.titles_N[chosen_M],
        item_words={name: words_N[chosen_M] for name, words_N in world.item_words.items()},
        item_features_NF=world.item_features_NF[chosen_M],
        popularity_N=world.popularity_N[chosen_M],
        neighbours_NN=among(world.neighbours_NN),
        bought_with_NN=among(world.bought_with_NN),
    )
