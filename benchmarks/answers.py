"""What recommenders answer: the place of each wanted item on the list of the ten best of all items, none sampled.

Q questions
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.recommender import Histories
from models.splits import Questions, exclude_seen
from models.topk import top_k

K = 10
_QUESTIONS_AT_ONCE = 1024  # a matrix of all scores would not fit
_MOST_VALIDATED = 8_000  # questions of validation that settings are chosen by, drawn once
Places = npt.NDArray[np.int64]


class Scorer(Protocol):
    """Whatever scores histories."""

    def score(self, histories: Histories) -> npt.NDArray[np.float32]: ...


def places_of(model: Scorer, questions: Questions, *, repeats_allowed: bool) -> Places:
    """The place, from 1, of each answer on the list of the ten best of all items; 0 where it is not on it."""
    places_Q = np.zeros(len(questions), np.int64)
    for start in range(0, len(questions), _QUESTIONS_AT_ONCE):
        part = slice(start, start + _QUESTIONS_AT_ONCE)
        histories = questions.histories[part]
        scores_QN = model.score(histories)
        if not repeats_allowed:
            exclude_seen(scores_QN, histories)
        lists_QK, _ = top_k(scores_QN, K)
        places_Q[part] = places_on(lists_QK, questions.targets_Q[part])
    return places_Q


def places_on(lists_QK: npt.NDArray[np.int64], targets_Q: npt.NDArray[np.int64]) -> Places:
    """The same of lists that are there already."""
    is_hit_QK = lists_QK == targets_Q[:, None]
    return np.where(is_hit_QK.any(axis=1), is_hit_QK.argmax(axis=1) + 1, 0)


def gains(places_Q: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """NDCG@10 of each question: with one answer, 1 / log2(place + 1)."""
    return np.where(
        places_Q > 0, 1 / np.log2(places_Q + 1.0, where=places_Q > 0, out=np.ones(len(places_Q))), 0.0
    )


def drawn(asked: Questions) -> Questions:
    """The questions of validation that settings are chosen by: the same ones for everybody."""
    places = np.random.default_rng(0).permutation(len(asked))[:_MOST_VALIDATED]
    return Questions(
        [asked.histories[each] for each in places], asked.targets_Q[places], asked.users_Q[places]
    )
