"""The part of a champion that works from a history alone, over one catalogue: what ranks a session as it goes on.

B histories · N items of the catalogue · K places
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.blended_scores import BlendedScores
from models.events import items_of
from models.neighbours import Neighbours
from models.recommender import Histories, IntArray
from models.topk import top_k, top_k_sparse


@dataclass(frozen=True)
class RankedSession:
    """The best items for one history, best first; fewer where no more may be shown, or have anything to do with it."""

    items_K: npt.NDArray[np.int64]  # places in the catalogue
    scores_K: npt.NDArray[np.float64]
    is_of_champion: bool  # False: by its items' neighbours


@dataclass(frozen=True)
class SessionModel:
    """What the champion says of histories; of those whose items it does not know, or without one, what their neighbours say.

    The same functions score everybody's history in a night's lists: a history has one score, wherever it is asked for.
    """

    champion: BlendedScores | None
    neighbours: Neighbours
    is_available_N: npt.NDArray[np.bool_]
    index_N: npt.NDArray[np.int64]  # what each item of the catalogue is called outside, in rising order

    @property
    def reads_events(self) -> bool:
        """Does it read events (:mod:`models.events`), or items alone?"""
        return self.champion is not None and self.champion.reads_events

    def rank(self, histories: Histories, hidden: Sequence[IntArray], length: int) -> list[RankedSession]:
        """The ``length`` best items for each history.

        Args:
            histories: by places in the catalogue; of events where :attr:`reads_events`.
            hidden: what may not be shown to each, beside what is not for sale.
        """
        is_allowed_BN = np.tile(self.is_available_N, (len(histories), 1))
        for row, items in enumerate(hidden):
            is_allowed_BN[row, items] = False
        found: list[RankedSession | None] = [None] * len(histories)
        if self.champion is not None and histories:
            scores_RBN, tells_RB = self.champion.score(histories, is_allowed_BN)
            items_BK, scores_BK = top_k(self.champion.sums(scores_RBN, is_allowed_BN), length)
            for row in np.flatnonzero(self.champion.is_personal(tells_RB)).tolist():
                found[row] = _cut(items_BK[row], scores_BK[row], is_of_champion=True)
        return [
            each or self._by_neighbours(history, is_allowed_N, length)
            for each, history, is_allowed_N in zip(found, histories, is_allowed_BN, strict=True)
        ]

    def _by_neighbours(
        self, history: IntArray, is_allowed_N: npt.NDArray[np.bool_], length: int
    ) -> RankedSession:
        scores_1N = self.neighbours.score_neighbours([items_of(history)])
        scores_1N.data[~is_allowed_N[scores_1N.indices]] = 0
        scores_1N.eliminate_zeros()
        (items_K,), (scores_K,) = top_k_sparse(scores_1N, length)
        return _cut(items_K, scores_K, is_of_champion=False)


def _cut(
    items_K: npt.NDArray[np.int64], scores_K: npt.NDArray[np.float64], *, is_of_champion: bool
) -> RankedSession:
    is_item_K = items_K >= 0
    return RankedSession(items_K[is_item_K], scores_K[is_item_K], is_of_champion)
