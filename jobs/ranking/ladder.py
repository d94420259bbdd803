"""Whom the champion knows nothing about goes down a ladder, and each list says from which rung it comes.

personal: the champion's own list.
session: it knows none of the user's items, or there is no champion: what others took within one day, or bought, together
with what this user took lately.
content: these items have no neighbours either: items like them, by what the catalogue says of them. A new item that
nobody has acted upon has its place here.
segment: nothing is known of the user's items: what is popular now in the category that the user likes most.
popular: what is popular now.

A list that a rung leaves short is filled up from the rungs below it.

U users · B users of a block · N items of the catalogue · C categories · K places
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from contracts.lists import (
    CONTENT,
    EXPLAINED_PLACES,
    PERSONAL,
    POPULAR,
    REASONS_PER_PLACE,
    SEGMENT,
    SESSION,
    SOURCES,
)
from jobs.ranking.next_item import NextItemModel, RankedLists
from jobs.ranking.proposer import allowed_items
from jobs.ranking.score_model import Model
from jobs.ranking.states import Encode
from jobs.ranking.world import IntArray, World
from models.content import Content
from models.item_words import ItemWords
from models.neighbours import Neighbours
from models.topk import DECIMALS, top_k, top_k_sparse

FloatArray = npt.NDArray[np.float64]
#: The best items (-1: none) of some users, and their scores.
Places = tuple[IntArray, FloatArray]
_BLOCK = 1024
_POPULARITY_IN_TIES = 1e-3


class Ranks(Protocol):
    """A model in one world."""

    def rank(self, users: IntArray) -> RankedLists: ...


@dataclass(frozen=True)
class LadderLists:
    """One list a user: catalogue indices (-1: none) and scores, best first, and where it comes from."""

    users: IntArray
    items_UK: IntArray
    scores_UK: FloatArray
    source_U: IntArray  # places in contracts.lists.SOURCES
    reasons_UKE: IntArray  # what speaks for the first places of a list that is personal (-1: nothing)


class Ladder:
    """Lists for everybody in a world: of each user from the highest rung that has one."""

    def __init__(self, world: World, ranking: Ranks | None, *, length: int, repeats_allowed: bool) -> None:
        self.world = world
        self._ranking = ranking
        self._length = length
        self._repeats_allowed = repeats_allowed
        self._neighbours = Neighbours.fit(world.neighbours_NN, world.bought_with_NN)
        self._popularity_N = world.popularity_N / max(float(world.popularity_N.sum()), 1.0)
        self._rungs: tuple[tuple[str, Callable[[IntArray], Places]], ...] = (
            (SESSION, self._session),
            (CONTENT, self._content),
            (SEGMENT, self._segment),
            (POPULAR, self._popular),
        )

    def rank(self, users: IntArray) -> LadderLists:
        """The list of each of the users, who are indices into the world's; none depends on who else is asked for."""
        items_UK, scores_UK, reasons_UKE = self._personal(users)
        source_U = np.where(items_UK[:, 0] >= 0, SOURCES.index(PERSONAL), SOURCES.index(POPULAR))
        goal_U = self._most_items(users)
        for source, rung in self._rungs:
            short = np.flatnonzero((items_UK >= 0).sum(axis=1) < goal_U)
            if not len(short):
                break
            found_SK, scores_SK = rung(users[short])
            begins = (items_UK[short, 0] < 0) & (found_SK[:, 0] >= 0)
            source_U[short[begins]] = SOURCES.index(source)
            items_UK[short], scores_UK[short] = filled_up(
                items_UK[short], scores_UK[short], found_SK, scores_SK
            )
        return LadderLists(users, items_UK, scores_UK, source_U, reasons_UKE)

    def _most_items(self, users: IntArray) -> IntArray:
        """How many items a list can have: what is for sale and, where nobody is shown an item again, not seen."""
        for_sale = self.world.is_available_N
        most_U = np.full(len(users), int(for_sale.sum()))
        if not self._repeats_allowed:
            most_U -= np.array([int(for_sale[self.world.seen[user]].sum()) for user in users], np.int64)
        return np.asarray(np.minimum(most_U, self._length), np.int64)

    def _personal(self, users: IntArray) -> tuple[IntArray, FloatArray, IntArray]:
        """The model's own lists of those whom it knows, with their reasons."""
        if self._ranking is None:
            num_explained = min(EXPLAINED_PLACES, self._length)
            return (
                np.full((len(users), self._length), -1, np.int64),
                np.full((len(users), self._length), -np.inf),
                np.full((len(users), num_explained, REASONS_PER_PLACE), -1, np.int64),
            )
        ranked = self._ranking.rank(users)
        is_other_U = ~ranked.is_personal_U
        items_UK, scores_UK = ranked.items_UK.copy(), ranked.scores_UK.copy()
        reasons_UKE = ranked.reasons_UKE.copy()
        items_UK[is_other_U], scores_UK[is_other_U], reasons_UKE[is_other_U] = -1, -np.inf, -1
        return items_UK, scores_UK, reasons_UKE

    def _session(self, users: IntArray) -> Places:
        histories = [self.world.histories[user] for user in users]
        return top_k_sparse(self._allowed(self._neighbours.score_neighbours(histories), users), self._length)

    def _content(self, users: IntArray) -> Places:
        """What is most like the user's last items; of what is equally alike, the more popular."""
        _, places_N = np.unique(self.world.popularity_N, return_inverse=True)
        in_ties_N = _POPULARITY_IN_TIES * places_N / (places_N.max(initial=0) + 1)

        def alike(block: IntArray) -> FloatArray:
            scores_BN = self._words.score([self.world.histories[user] for user in block])
            return np.where(scores_BN > 0, scores_BN + in_ties_N, -np.inf)

        return self._best(alike, users)

    @cached_property
    def _words(self) -> Content:
        """Titles take a while to read, and most days nobody comes this far."""
        texts = {"title": self.world.titles_N, **self.world.item_words}
        return Content().fit(ItemWords.fit(texts).prepare(texts).T)

    def _segment(self, users: IntArray) -> Places:
        """Recent popularity within a user's dearest category, as a share of what is popular in it."""
        category_N, popularity_N = self.world.category_N, self._popularity_N
        total_C = np.bincount(category_N + 1, popularity_N, minlength=self.world.affinity_UC.shape[1] + 1)[1:]
        share_N = np.where(popularity_N > 0, popularity_N / np.maximum(total_C, 1e-12)[category_N], -np.inf)

        def within(block: IntArray) -> FloatArray:
            affinity_BC = self.world.affinity_UC[block].toarray()
            dearest_B = np.where(affinity_BC.max(axis=1) > 0, affinity_BC.argmax(axis=1), -1)
            is_dear_BN = (dearest_B[:, None] >= 0) & (category_N == dearest_B[:, None])
            return np.where(is_dear_BN, share_N, -np.inf)

        return self._best(within, users)

    def _popular(self, users: IntArray) -> Places:
        if self._repeats_allowed:  # everybody may be shown the same
            items_1K, scores_1K = self._best(lambda block: self._popularity_N[None, :], users[:1])
            return np.repeat(items_1K, len(users), axis=0), np.repeat(scores_1K, len(users), axis=0)
        return self._best(lambda block: self._popularity_N[None, :], users)

    def _best(self, score: Callable[[IntArray], npt.NDArray[np.floating[Any]]], users: IntArray) -> Places:
        """The best items of each user by scores of the whole catalogue, block by block, among what may be shown."""
        parts = []
        for start in range(0, len(users), _BLOCK):
            block = users[start : start + _BLOCK]
            allowed_BN = allowed_items(self.world, block, self._repeats_allowed)
            parts.append(top_k(np.where(allowed_BN, score(block), -np.inf), self._length))
        return np.concatenate([items for items, _ in parts]), np.concatenate([scores for _, scores in parts])

    def _allowed(self, scores_UN: csr_matrix, users: IntArray) -> csr_matrix:
        """The scores of what each user may be shown."""
        rows = np.repeat(np.arange(len(users)), np.diff(scores_UN.indptr))
        is_allowed = self.world.is_available_N[scores_UN.indices] & (scores_UN.data > 0)
        if not self._repeats_allowed:
            seen = [self.world.seen[user] for user in users]
            of_seen = np.repeat(np.arange(len(users)), [len(items) for items in seen])
            flat_seen = of_seen * self.world.num_items + np.concatenate([*seen, np.empty(0, np.int64)])
            is_allowed &= ~np.isin(rows * self.world.num_items + scores_UN.indices, flat_seen)
        ends = np.concatenate([[0], np.cumsum(np.bincount(rows[is_allowed], minlength=len(users)))])
        return csr_matrix((scores_UN.data[is_allowed], scores_UN.indices[is_allowed], ends), scores_UN.shape)


def ladder_of(
    world: World,
    model: Model | None,
    *,
    length: int,
    num_candidates: int,
    repeats_allowed: bool,
    encode: Encode | None = None,
) -> Ladder:
    """The ladder of a world below a model, if there is one, with reasons for its first places.

    Args:
        encode: gives what a ranker's own ``encode`` would, from kept states.
    """
    ranking: Ranks | None = None
    if isinstance(model, NextItemModel):
        ranking = model.ranking(
            world,
            length=length,
            num_candidates=num_candidates,
            repeats_allowed=repeats_allowed,
            num_explained=EXPLAINED_PLACES,
            encode=encode,
        )
    elif model is not None:
        ranking = model.ranking(
            world,
            length=length,
            num_candidates=num_candidates,
            repeats_allowed=repeats_allowed,
            num_explained=EXPLAINED_PLACES,
        )
    return Ladder(world, ranking, length=length, repeats_allowed=repeats_allowed)


def filled_up(items_UK: IntArray, scores_UK: FloatArray, below_UK: IntArray, lower_UK: FloatArray) -> Places:
    """Lists, and after their last items what a rung below has that they lack.

    Scores of two rungs have nothing to do with each other: those of the lower one are moved down to where the upper one
    ends, so that they never rise within a list.
    """
    num_users, length = items_UK.shape
    count_U = (items_UK >= 0).sum(axis=1)
    ids = np.arange(num_users)[:, None] * (max(items_UK.max(initial=0), below_UK.max(initial=0)) + 1)
    is_new_UK = (below_UK >= 0) & ~np.isin(below_UK + ids, (items_UK + ids)[items_UK >= 0])
    place_UK = count_U[:, None] + np.cumsum(is_new_UK, axis=1) - 1
    rows, ranks = np.nonzero(is_new_UK & (place_UK < length))
    places = place_UK[rows, ranks]
    down_U = np.zeros(num_users)
    goes_on = np.flatnonzero((count_U > 0) & is_new_UK.any(axis=1))
    first = lower_UK[goes_on, is_new_UK[goes_on].argmax(axis=1)]
    down_U[goes_on] = np.minimum(scores_UK[goes_on, count_U[goes_on] - 1] - first, 0.0)
    items_UK, scores_UK = items_UK.copy(), scores_UK.copy()
    items_UK[rows, places] = below_UK[rows, ranks]
    scores_UK[rows, places] = np.round(lower_UK[rows, ranks] + down_U[rows], DECIMALS)
    return items_UK, scores_UK
