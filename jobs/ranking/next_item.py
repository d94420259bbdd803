"""The next-item model: a transformer and co-visitation propose, a ranker over features puts in order.

B users of a block · N items of the catalogue · R rows (user and candidate) · K places · E reasons of a place
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.lists import REASONS_PER_PLACE
from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES, Candidates, Proposer, encoder_of, known_histories
from jobs.ranking.reasons import EXPLAINED_EVENTS, Explained, falls_of, side_by_side, strongest
from jobs.ranking.states import Encode
from jobs.ranking.world import (
    ITEM_FEATURES,
    ITEM_WORDS,
    USER_FEATURES,
    FloatArray,
    IntArray,
    World,
    index_of,
)
from models.mlp_ranker import MLPRanker
from models.sasrec import SASRec
from models.topk import top_k

#: What there is to know about a user and a candidate; a preparation makes columns of it.
FEATURES = (
    *PAIR_FEATURES,
    *(f"item.{name}" for name in (*ITEM_FEATURES, *ITEM_WORDS)),
    *(f"user.{name}" for name in USER_FEATURES),
)


@dataclass(frozen=True)
class RankedLists:
    """One list a user: catalogue indices (-1: none) and scores, best first."""

    users: IntArray
    items_UK: IntArray
    scores_UK: npt.NDArray[np.float64]
    is_personal_U: npt.NDArray[np.bool_]
    reasons_UKE: IntArray  # of each place that was to be explained: what speaks most for it (-1: none)


@dataclass(frozen=True)
class NextItemModel:
    """A trained transformer with its vocabulary, the ranker on top, and how the ranker's features are prepared."""

    item_ids: npt.NDArray[np.object_]  # the vocabulary: what the transformer's indices mean
    sasrec: SASRec
    ranker: MLPRanker
    preparation: Preparation

    def __post_init__(self) -> None:
        if len(self.item_ids) != self.sasrec.config.num_items:
            raise ValueError(f"{len(self.item_ids)} item ids but {self.sasrec.config.num_items} embeddings")
        if not (self.item_ids[1:] > self.item_ids[:-1]).all():
            raise ValueError(
                "the item ids are not sorted, or not each there once: what an index means is lost"
            )
        prepared, learnt = set(self.preparation.columns), set(self.ranker.feature_names) - set(PAIR_FEATURES)
        if strange := sorted(prepared ^ learnt):
            lack = "not learnt by the ranker" if strange[0] in prepared else "not prepared for the ranker"
            raise ValueError(f"{strange[0]} is {lack}: the two are not of one model")

    def rank(
        self, world: World, users: IntArray, *, length: int, num_candidates: int, repeats_allowed: bool
    ) -> RankedLists:
        """The ``length`` best items for each of the users, who are indices into the world's."""
        ranking = self.ranking(
            world, length=length, num_candidates=num_candidates, repeats_allowed=repeats_allowed
        )
        return ranking.rank(users)

    def histories(self, world: World) -> list[IntArray]:
        """What the transformer reads of each user of a world."""
        to_vocabulary_N = index_of(world.item_ids, self.item_ids)
        users = np.arange(len(world.user_ids))
        max_length, reads_events = self.sasrec.config.max_length, self.sasrec.reads_events
        return known_histories(world, users, to_vocabulary_N, max_length, reads_events)

    @property
    def encode(self) -> Encode:
        """What the transformer makes of histories where reasons are wanted."""
        return encoder_of(self.sasrec, EXPLAINED_EVENTS)

    def ranking(
        self,
        world: World,
        *,
        length: int,
        num_candidates: int,
        repeats_allowed: bool,
        encode: Encode | None = None,
        num_explained: int = 0,
    ) -> Ranking:
        """This model in a world, ready to rank users: what is true of all of them is computed once.

        Args:
            encode: gives the states of histories instead of the transformer, the same as this would.
            num_explained: of how many places, from the first on, reasons are wanted.
        """
        proposer = Proposer(
            self.sasrec,
            self.item_ids,
            world,
            num_candidates=num_candidates,
            length=length,
            repeats_allowed=repeats_allowed,
            encode=encode,
            num_events=EXPLAINED_EVENTS if num_explained else 0,
        )
        of_item_NS = self.ranker.project(self.preparation.of_items(world), self.preparation.item_columns)
        # A pair feature that came after the ranker was trained is one that it has not learnt.
        of_pair = [place for place, name in enumerate(PAIR_FEATURES) if name in self.ranker.feature_names]
        user_UP = self.preparation.of_users(world)
        return Ranking(self, proposer, of_item_NS, user_UP, of_pair, min(num_explained, length))

    @property
    def reads(self) -> tuple[str, ...]:
        """What of FEATURES it has learnt from: what was declared later it does without."""
        pair = tuple(name for name in self.ranker.feature_names if name in PAIR_FEATURES)
        return pair + self.preparation.reads


@dataclass(frozen=True)
class Ranking:
    """A model in one world."""

    model: NextItemModel
    proposer: Proposer
    of_item_NS: FloatArray  # what an item's own features add to a candidate's sums
    user_UP: FloatArray  # the prepared features of users
    of_pair: list[int]  # the places of the pair features that the ranker has learnt
    num_explained: int  # places

    def rank(self, users: IntArray) -> RankedLists:
        """The best items for each of the users, who are indices into the world's."""
        length, parts = self.proposer.length, []
        for candidates in self.proposer.propose(users):
            num_rows = len(candidates.is_personal_B)
            scores_R = self.scores(candidates)
            # A user's candidates side by side, in the order of their items: equals go to the lesser item.
            scores_BC = side_by_side(scores_R, candidates.rows_R, num_rows, -np.inf)
            items_BC = side_by_side(candidates.items_R, candidates.rows_R, num_rows, -1)
            places_BK, best_BK = top_k(scores_BC, length)
            items_BK = np.where(places_BK >= 0, np.take_along_axis(items_BC, places_BK, axis=1), -1)
            reasons_BKE = self._reasons(candidates, scores_R, places_BK[:, : self.num_explained])
            parts.append((items_BK, best_BK, candidates.is_personal_B, reasons_BKE))
        if not parts:
            none = np.empty((0, self.num_explained, REASONS_PER_PLACE), np.int64)
            return RankedLists(
                users, np.empty((0, length), np.int64), np.empty((0, length)), np.empty(0, bool), none
            )
        return RankedLists(users, *map(np.concatenate, zip(*parts, strict=True)))

    def explain(self, user: int, item: int) -> Explained:
        """How one item stands with one user; the ranking has to have been asked for reasons."""
        (plain,) = self.proposer.propose(np.array([user]))
        (candidates,) = self.proposer.propose(np.array([user]), [np.array([item])])
        assert candidates.deleted is not None
        scores_R, row = self.scores(candidates), int(np.searchsorted(candidates.items_R, item))
        (places_K,), _ = top_k(scores_R[None, :], len(scores_R))
        ((falls_T1,), items_T) = (
            falls_of(self, candidates, candidates.deleted, np.array([[row]]), scores_R),
            candidates.deleted.items_BT[0],
        )
        falls = [
            (int(each), float(fall)) for each, (fall,) in zip(items_T, falls_T1, strict=True) if each >= 0
        ]
        return Explained(
            score=float(scores_R[row]),
            rank=1 + int(np.flatnonzero(places_K == row)[0]),
            num_candidates=len(scores_R),
            is_candidate=bool(np.isin(item, plain.items_R)),
            features=dict(zip(PAIR_FEATURES, map(float, candidates.pair_RF[row]), strict=True)),
            falls=sorted(falls, key=lambda pair: -pair[1]),
        )

    def scores(self, candidates: Candidates) -> npt.NDArray[np.float64]:
        """The score of each candidate."""
        sums_RS = self._of_pairs(candidates.pair_RF)
        sums_RS += self.of_item_NS.take(candidates.items_R, axis=0)
        sums_RS += self.of_user(candidates).take(candidates.rows_R, axis=0)
        return self.model.ranker.score_sums(sums_RS)

    def score_pairs(self, pair_BKF: npt.NDArray[np.float32], rest_BKS: FloatArray) -> npt.NDArray[np.float64]:
        """Scores from pair features and from what the items and the users add to the sums."""
        sums_RS = self._of_pairs(pair_BKF.reshape(-1, pair_BKF.shape[2]))
        sums_RS += rest_BKS.reshape(sums_RS.shape)
        return self.model.ranker.score_sums(sums_RS).reshape(pair_BKF.shape[:2])

    def of_user(self, candidates: Candidates) -> FloatArray:
        """What the features of each user of a block add to the sums."""
        return self.model.ranker.project(self.user_UP[candidates.block], self.model.preparation.user_columns)

    def _of_pairs(self, pair_RF: npt.NDArray[np.float32]) -> FloatArray:
        pair_names = [PAIR_FEATURES[place] for place in self.of_pair]
        return self.model.ranker.project(pair_RF[:, self.of_pair], pair_names)

    def _reasons(
        self, candidates: Candidates, scores_R: npt.NDArray[np.float64], places_BK: IntArray
    ) -> IntArray:
        if candidates.deleted is None:
            return np.empty((len(places_BK), 0, REASONS_PER_PLACE), np.int64)
        begin_B = np.searchsorted(candidates.rows_R, np.arange(len(places_BK)))
        rows_BK = np.where(places_BK >= 0, begin_B[:, None] + places_BK, -1)
        falls_BTK = falls_of(self, candidates, candidates.deleted, rows_BK, scores_R)
        return strongest(falls_BTK, candidates.deleted.items_BT)
