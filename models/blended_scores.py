"""Recommenders in one catalogue, and what they say of histories together: the same sum wherever it is computed.

B users · N items of the catalogue · V items of the vocabulary · R recommenders
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.blend import standardise
from models.content import Content
from models.covisitation import CoVisitation
from models.events import items_of, known_of
from models.popularity import Popularity
from models.recommender import Histories

Scores = npt.NDArray[np.float32]

#: What nobody tells apart goes by recent popularity: whoever has few neighbours would else be shown the first ids.
_POPULARITY_IN_TIES = 1e-4


class Scorer(Protocol):
    """Something that scores histories: one row of finite scores each."""

    def score(self, histories: Histories) -> Scores: ...

    def state(self) -> dict[str, npt.NDArray[Any]]: ...


@dataclass(frozen=True)
class BlendedScores:
    """Recommenders by name, each with its weight, over one catalogue."""

    recommenders: Mapping[str, Scorer]
    weights_R: Scores  # in the order of the recommenders
    to_vocabulary_N: npt.NDArray[np.int64]  # -1: not in the vocabulary
    in_ties_N: Scores  # what an item's popularity adds, too little to outweigh anything else

    @cached_property
    def reads_events(self) -> bool:
        """Does one of them read events (:mod:`models.events`), or do all read items alone?"""
        return any(map(_reads_events, self.recommenders.values()))

    def score(
        self, histories: Histories, is_allowed_BN: npt.NDArray[np.bool_]
    ) -> tuple[Scores, npt.NDArray[np.bool_]]:
        """What each recommender says of every item, scores_RBN, standardised over what may be shown; and tells_RB: does it tell
        any items apart for the user?
        """
        said = [
            standardise(self._raw(recommender, histories), is_allowed_BN)
            for recommender in self.recommenders.values()
        ]
        return np.stack([scores_BN for scores_BN, _ in said]), np.stack([tells_B for _, tells_B in said])

    def sums(self, scores_RBN: Scores, is_allowed_BN: npt.NDArray[np.bool_]) -> Scores:
        """The score of each item, sums_BN; -inf for what may not be shown."""
        sums_BN = np.tensordot(self.weights_R, scores_RBN, axes=1) + self.in_ties_N
        return np.where(is_allowed_BN, sums_BN, np.float32(-np.inf))

    def is_personal(self, tells_RB: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Does a recommender that counts, and is not popularity, tell items apart for each user?"""
        is_other_R = [not isinstance(each, Popularity) for each in self.recommenders.values()]
        found_B: npt.NDArray[np.bool_] = tells_RB[(self.weights_R > 0) & np.array(is_other_R)].any(axis=0)
        return found_B

    def _raw(self, recommender: Scorer, histories: Histories) -> Scores:
        """Scores of the whole catalogue; an item that a recommender does not know gets the user's lowest."""
        if not _reads_events(recommender):
            histories = [items_of(history) for history in histories]
        if isinstance(recommender, CoVisitation | Popularity | Content):
            return recommender.score(histories)
        if not len(self._known):
            return np.zeros((len(histories), len(self.to_vocabulary_N)), np.float32)
        scores_BV = recommender.score([known_of(history, self.to_vocabulary_N) for history in histories])
        if self._is_vocabulary and scores_BV.shape[1] == len(self.to_vocabulary_N):
            return scores_BV
        scores_BV = scores_BV[:, self.to_vocabulary_N[self._known]]
        scores_BN: Scores = np.repeat(scores_BV.min(axis=1, keepdims=True), len(self.to_vocabulary_N), axis=1)
        scores_BN[:, self._known] = scores_BV
        return scores_BN

    @cached_property
    def _known(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.to_vocabulary_N >= 0)

    @cached_property
    def _is_vocabulary(self) -> bool:
        """Are the items of the catalogue the first of the vocabulary, in its order?"""
        return np.array_equal(self.to_vocabulary_N, np.arange(len(self.to_vocabulary_N)))


def in_ties(popularity_N: npt.NDArray[np.floating[Any]]) -> Scores:
    """What recent popularity adds to the score of each item."""
    _, places_N = np.unique(popularity_N, return_inverse=True)
    return np.asarray(_POPULARITY_IN_TIES / max(len(popularity_N), 1) * places_N, np.float32)


def _reads_events(recommender: Scorer) -> bool:
    return bool(getattr(recommender, "reads_events", False))
