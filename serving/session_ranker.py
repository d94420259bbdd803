"""A version's session model as this process holds it: what somebody did becomes a history, and the history a list.

L events of a history · K places
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from time import perf_counter

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from contracts.decisions import Item
from contracts.histories import unpack_history
from contracts.lists import PERSONAL, SESSION, Pointer
from models.events import DAY, ITEM, events_of, items_of
from models.session_bytes import from_bytes
from models.session_model import SessionModel
from serving.session_events import Fresh

#: Histories that are read together.
BATCH = 8
_DAY_SECONDS = 86_400
_NO_DAY = date(1970, 1, 1).toordinal()
_IntArray = npt.NDArray[np.int64]


class Question(Struct, frozen=True):
    """A history to be ranked by, in places of the model's catalogue, and what must not be shown."""

    history: _IntArray
    hidden: _IntArray


class SessionList(Struct, frozen=True):
    """A list by indices of the version's vocabulary, best first, and the rung of the offline ladder that it is like."""

    indices: tuple[int, ...]
    made_from: str
    hidden: frozenset[int]  # what must not be added to it


class SessionRanker:
    """Ranks the sessions of one version."""

    def __init__(self, model: SessionModel, pointer: Pointer, items: Mapping[int, Item]) -> None:
        self.model = model
        self._pointer = pointer
        self._today = date.fromisoformat(pointer.day).toordinal() - _NO_DAY
        self._place_of_index = np.full(max(pointer.num_items, int(model.index_N.max(initial=-1)) + 1), -1)
        self._place_of_index[model.index_N] = np.arange(len(model.index_N))
        self._place_of_id = {
            items[index].item_id: place for place, index in enumerate(model.index_N.tolist())
        }
        self.version = pointer.version
        #: What ranking a batch takes, in seconds.
        self.seconds = 0.0

    def warm_up(self) -> None:
        """Rank something, and see how long it takes."""
        history = events_of(*np.zeros((3, 1), np.int64)) + np.array([0, 1, 0])
        question = Question(history[: len(self._place_of_id)], np.empty(0, np.int64))
        took = []
        for _ in range(3):
            begun = perf_counter()
            self.rank([question] * BATCH, 1)
            took.append(perf_counter() - begun)
        self.seconds = min(took)

    def question(self, packed: bytes | None, fresh: Sequence[Fresh]) -> Question | None:
        """What to rank by: a published history and what came after it; None where the model knows no item of the latter.

        A step repeated in a row on one day is one, as deep as the deepest, as in the histories that lists are made of.

        Raises:
            ValueError: the bytes are no packed history.
        """
        steps = [
            (place, each.depth, int(each.at // _DAY_SECONDS))
            for each in fresh
            if (place := self._place_of_id.get(each.item_id)) is not None
        ]
        if not steps:
            return None
        before, hidden = self._published(packed)
        events: list[tuple[int, int, int]] = list(map(tuple, before.tolist()))  # type: ignore[arg-type]
        for place, depth, day in steps:
            day = max(day, events[-1][DAY]) if events else day
            if events and (events[-1][ITEM], events[-1][DAY]) == (place, day):
                events[-1] = (place, max(depth, events[-1][1]), day)
            else:
                events.append((place, depth, day))
        history = np.array(events, np.int64)
        if self._pointer.repeats_allowed:
            return Question(history, np.empty(0, np.int64))
        return Question(history, np.concatenate([hidden, items_of(history)]))

    def rank(self, questions: Sequence[Question], length: int) -> list[SessionList]:
        """The list of each, of ``length`` items or fewer."""
        histories = [
            each.history if self.model.reads_events else items_of(each.history) for each in questions
        ]
        index_N = self.model.index_N
        return [
            SessionList(
                tuple(index_N[found.items_K].tolist()),
                PERSONAL if found.is_of_champion else SESSION,
                frozenset(index_N[each.hidden].tolist()),
            )
            for each, found in zip(
                questions,
                self.model.rank(histories, [each.hidden for each in questions], length),
                strict=True,
            )
        ]

    def _published(self, packed: bytes | None) -> tuple[_IntArray, _IntArray]:
        """Events of a published history, and what else must not be shown, by places of the catalogue."""
        if packed is None:
            return np.empty((0, 3), np.int64), np.empty(0, np.int64)
        found = unpack_history(packed)
        places = self._place_of_index[list(found.indices)]
        days = self._today - np.array(found.days_ago, np.int64)
        history = events_of(places, np.array(found.depths, np.int64), days)[places >= 0]
        hidden = self._place_of_index[list(found.hidden)]
        return history, hidden[hidden >= 0]


def load_ranker(saved: bytes, pointer: Pointer, items: Mapping[int, Item]) -> SessionRanker:
    """The ranker of a version, on one thread.

    Raises:
        ValueError: the bytes are no session model, or one of another vocabulary.
    """
    from threadpoolctl import threadpool_limits

    model = from_bytes(saved)
    if unknown := {*model.index_N.tolist()} - items.keys():
        raise ValueError(f"its model ranks item {min(unknown)}, which the version does not hold")
    champion = model.champion
    for recommender in () if champion is None else champion.recommenders.values():
        freeze = getattr(recommender, "freeze", None)
        if freeze is not None:  # a network
            import torch

            torch.set_num_threads(1)
            freeze(BATCH)
    threadpool_limits(1)
    ranker = SessionRanker(model, pointer, items)
    ranker.warm_up()
    return ranker
