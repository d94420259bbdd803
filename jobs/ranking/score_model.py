"""A model that ranks the whole catalogue by scores: those of one recommender, or of several with weights.

B users of a block · N items of the catalogue · R recommenders · K places
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from contracts.lists import REASONS_PER_PLACE
from jobs.ranking.next_item import NextItemModel, RankedLists
from jobs.ranking.proposer import allowed_items
from jobs.ranking.reasons import EXPLAINED_EVENTS, Explained, strongest
from jobs.ranking.world import FloatArray, IntArray, World, index_of
from models.blended_scores import BlendedScores, Scorer, in_ties
from models.content import Content
from models.covisitation import CoVisitation
from models.deletions import deletable, last_events
from models.events import items_of
from models.item_words import ItemWords
from models.popularity import Popularity
from models.topk import top_k

POPULARITY, COVISITATION, CONTENT = "popularity", "covisitation", "content"
#: Recommenders that learn of a world what they score with, and nothing before: always the newest day's.
OF_THE_WORLD: dict[str, Callable[[World], csr_matrix]] = {
    POPULARITY: lambda world: csr_matrix(world.popularity_N[None, :]),
    COVISITATION: lambda world: world.neighbours_NN,
    CONTENT: lambda world: _words(world).T,
}
_MOST_BLOCK = 1024  # users at once, whose histories share batches by length
_CELLS = 1 << 23  # scores of a recommender that are in memory at once


@dataclass(frozen=True)
class ScoreModel:
    """Recommenders by name with their weights; those of OF_THE_WORLD come unfitted."""

    item_ids: npt.NDArray[np.object_]  # the vocabulary, sorted: what the indices of all others mean
    recommenders: Mapping[str, Scorer | CoVisitation | Popularity | Content]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if set(self.recommenders) != set(self.weights) or not self.weights:
            raise ValueError(f"weights of {sorted(self.weights)} for {sorted(self.recommenders)}")
        if wrong := [name for name, weight in self.weights.items() if not 0 <= weight < np.inf]:
            raise ValueError(f"the weight of {wrong[0]} is {self.weights[wrong[0]]}; it has to be 0 or more")

    def rank(
        self, world: World, users: IntArray, *, length: int, num_candidates: int, repeats_allowed: bool
    ) -> RankedLists:
        """The ``length`` best items for each of the users, who are indices into the world's."""
        ranking = self.ranking(
            world, length=length, num_candidates=num_candidates, repeats_allowed=repeats_allowed
        )
        return ranking.rank(users)

    def ranking(
        self,
        world: World,
        *,
        length: int,
        num_candidates: int,
        repeats_allowed: bool,
        num_explained: int = 0,
    ) -> ScoreRanking:
        """This model in a world, ready to rank users. Every item is scored, whatever the number of candidates.

        Args:
            num_explained: of how many places, from the first on, reasons are wanted; with any, everything is scored once more
                for each of a user's last ``EXPLAINED_EVENTS`` items.
        """
        return ScoreRanking(self.blended(world), world, length, repeats_allowed, min(num_explained, length))

    def blended(self, world: World) -> BlendedScores:
        """Its recommenders in the catalogue of a world; those of OF_THE_WORLD are fitted to it."""
        said = {
            name: copy.copy(recommender).fit(OF_THE_WORLD[name](world))
            if isinstance(recommender, CoVisitation | Popularity | Content)
            else recommender
            for name, recommender in self.recommenders.items()
        }
        return BlendedScores(
            said,
            np.array([self.weights[name] for name in said], np.float32),
            index_of(world.item_ids, self.item_ids),
            in_ties(world.popularity_N),
        )


#: Whatever a champion or a challenger may be.
Model: TypeAlias = NextItemModel | ScoreModel


@dataclass(frozen=True)
class Scored:
    """What the recommenders say of a block of users."""

    block: IntArray  # the users, as indices into the world's
    scores_RBN: FloatArray  # standardised, in the order of the model's recommenders
    tells_RB: npt.NDArray[np.bool_]  # does a recommender tell any items apart for the user?
    is_allowed_BN: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScoreRanking:
    """A model in one world."""

    blended: BlendedScores
    world: World
    length: int
    repeats_allowed: bool
    num_explained: int  # places

    def rank(self, users: IntArray) -> RankedLists:
        """The best items for each of the users, who are indices into the world's.

        A list is personal where a recommender that counts, and is not popularity, tells items apart.
        """
        items, scores = [np.empty((0, self.length), np.int64)], [np.empty((0, self.length))]
        personal = [np.empty(0, bool)]
        reasons = [np.empty((0, self.num_explained, REASONS_PER_PLACE), np.int64)]
        for scored in self.score(users):
            sums_BN = self._sums(scored)
            items_BK, best_BK = top_k(sums_BN, self.length)
            items.append(items_BK)
            scores.append(best_BK)
            personal.append(self.blended.is_personal(scored.tells_RB))
            reasons.append(self._reasons(scored, items_BK[:, : self.num_explained], sums_BN))
        return RankedLists(
            users,
            np.concatenate(items),
            np.concatenate(scores),
            np.concatenate(personal),
            np.concatenate(reasons),
        )

    def explain(self, user: int, item: int) -> Explained:
        """How one item stands with one user: its scores by recommender, whether it may be shown or not."""
        block = np.array([user])
        is_allowed_BN = allowed_items(self.world, block, self.repeats_allowed)
        is_candidate = bool(is_allowed_BN[0, item])
        is_allowed_BN[0, item] = True  # before anything is standardised over what may be shown
        scored = self._scored(block, [self._history(user)], is_allowed_BN)
        sums_BN = self._sums(scored)
        ((places_N,), _), (items_T,) = top_k(sums_BN, self.world.num_items), self._deletable(scored.block)
        falls_T = self._falls(scored, np.array([[item]]), sums_BN)[0, :, 0]
        falls = [(int(each), float(fall)) for each, fall in zip(items_T, falls_T, strict=True) if each >= 0]
        return Explained(
            score=float(sums_BN[0, item]),
            rank=1 + int(np.flatnonzero(places_N == item)[0]),
            num_candidates=int(scored.is_allowed_BN.sum()),
            is_candidate=is_candidate,
            features=dict(
                zip(self.blended.recommenders, map(float, scored.scores_RBN[:, 0, item]), strict=True)
            ),
            falls=sorted(falls, key=lambda pair: -pair[1]),
        )

    def score(self, users: IntArray) -> Iterator[Scored]:
        """What each recommender says of every item of the catalogue, block by block."""
        size = max(1, min(_MOST_BLOCK, _CELLS // max(self.world.num_items, 1)))
        for start in range(0, len(users), size):
            block = users[start : start + size]
            is_allowed_BN = allowed_items(self.world, block, self.repeats_allowed)
            yield self._scored(block, [self._history(user) for user in block], is_allowed_BN)

    def _history(self, user: int) -> IntArray:
        """What is read of a user: events where a recommender asks for more than items."""
        return self.world.events(user) if self.blended.reads_events else self.world.histories[user]

    def _scored(
        self, block: IntArray, histories: list[IntArray], is_allowed_BN: npt.NDArray[np.bool_]
    ) -> Scored:
        return Scored(block, *self.blended.score(histories, is_allowed_BN), is_allowed_BN)

    def _sums(self, scored: Scored) -> FloatArray:
        """The score of each item; -inf for what may not be shown."""
        return self.blended.sums(scored.scores_RBN, scored.is_allowed_BN)

    def _reasons(self, scored: Scored, items_BK: IntArray, sums_BN: FloatArray) -> IntArray:
        """The past items that speak most for each place: without them it scores less."""
        if not items_BK.shape[1]:
            return np.empty((len(items_BK), 0, REASONS_PER_PLACE), np.int64)
        return strongest(self._falls(scored, items_BK, sums_BN), self._deletable(scored.block))

    def _deletable(self, block: IntArray) -> IntArray:
        histories = [self.world.histories[user] for user in block]
        return deletable(last_events(histories, EXPLAINED_EVENTS))

    def _falls(self, scored: Scored, items_BK: IntArray, sums_BN: FloatArray) -> npt.NDArray[np.float64]:
        """How far the scores of some items fall without each of the user's last items, falls_BTK; -inf where there is none."""
        deleted_BT = self._deletable(scored.block)
        falls_BTK = np.full((*deleted_BT.shape, items_BK.shape[1]), -np.inf)
        for age in range(deleted_BT.shape[1]):
            rows = np.flatnonzero(deleted_BT[:, age] >= 0)
            if not len(rows):
                continue
            without = [_without(self._history(scored.block[row]), deleted_BT[row, age]) for row in rows]
            after = self._sums(self._scored(scored.block[rows], without, scored.is_allowed_BN[rows]))
            places_BK = np.maximum(items_BK[rows], 0)
            falls_BK = np.take_along_axis(sums_BN[rows], places_BK, axis=1) - np.take_along_axis(
                after, places_BK, axis=1
            )
            falls_BTK[rows, age] = np.where(items_BK[rows] >= 0, falls_BK, -np.inf)
        return falls_BTK


def _without(history: IntArray, item: int) -> IntArray:
    """A history without every event on an item that is among its last ``EXPLAINED_EVENTS``."""
    is_kept = items_of(history) != item
    is_kept[:-EXPLAINED_EVENTS] = True
    kept: IntArray = history[is_kept]
    return kept


def _words(world: World) -> csr_matrix:
    """How much each word of its title, category and brand says about an item: words_NT."""
    texts = {"title": world.titles_N, **world.item_words}
    return csr_matrix(ItemWords.fit(texts).prepare(texts))
