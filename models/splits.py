"""Protocols: what a model may learn from, and what it is asked. Every question is a history and the item that came next.

Settings are chosen on the validation questions, after learning from ``fit``; the test questions are asked once a
seed, after learning from ``refit`` with the settings that were chosen. All items are ranked, none is sampled.

E events · Q questions · U users · N items
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.events import items_of
from models.recommender import Histories, IntArray

Sequences = list[npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Questions:
    """Histories, oldest item first, for each the one item that followed it, and whose it is."""

    histories: Sequences
    targets_Q: npt.NDArray[np.int64]
    users_Q: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.histories)

    @property
    def targets(self) -> list[tuple[int]]:
        """As metrics take them: the items that count as hits, here one each."""
        return [(item,) for item in self.targets_Q.tolist()]


@dataclass(frozen=True)
class Split:
    """What is learnt before validation and before the test, and what is asked in each."""

    fit: Sequences
    validation: Questions
    refit: Sequences
    test: Questions


def sequences_of(users_E: IntArray, items_E: IntArray, times_E: npt.NDArray[Any] | None = None) -> Sequences:
    """The items of each user, oldest first; the order of the arrays breaks ties of time, and is the order without times."""
    if not len(users_E):
        return []
    order = np.lexsort((users_E,) if times_E is None else (times_E, users_E))
    ends = np.flatnonzero(np.diff(users_E[order])) + 1
    return np.split(np.asarray(items_E[order], np.int64), ends)


def leave_one_out(sequences: Histories) -> Split:
    """A user's last item is the test and the one before it validation; a user of fewer than three is only learnt from."""
    whole = [np.asarray(sequence, np.int64) for sequence in sequences]
    asked = np.array([user for user, sequence in enumerate(whole) if len(sequence) >= 3], np.int64)
    return Split(
        fit=[sequence[:-2] if len(sequence) >= 3 else sequence for sequence in whole],
        validation=_last_items([sequence[:-1] for sequence in whole], asked),
        refit=[sequence[:-1] if len(sequence) >= 3 else sequence for sequence in whole],
        test=_last_items(whole, asked),
    )


def by_user(sequences: Histories, share: float, rng: np.random.Generator) -> Split:
    """Of people whom the model has never seen, the last item: one share of the users is validation, another the test.

    Raises:
        ValueError: the share leaves nobody to ask or to learn from.
    """
    whole = [np.asarray(sequence, np.int64) for sequence in sequences]
    num_asked = round(share * len(whole))
    if num_asked < 1 or 2 * num_asked >= len(whole):
        raise ValueError(
            f"a share of {share} of {len(whole)} users, twice, leaves nobody to ask or to learn from"
        )
    drawn = rng.permutation(len(whole))
    test, validation, learnt = (np.sort(part) for part in np.split(drawn, [num_asked, 2 * num_asked]))
    return Split(
        fit=[whole[user] for user in learnt],
        validation=_last_items(whole, validation),
        refit=[whole[user] for user in np.sort(drawn[num_asked:])],
        test=_last_items(whole, test),
    )


def in_time(
    users_E: IntArray,
    items_E: IntArray,
    times_E: npt.NDArray[Any],
    validation_from: float,
    test_from: float,
    *,
    repeats_allowed: bool,
) -> Split:
    """Every later event is predicted from all that its user did before it; nothing later is learnt from.

    Validation are the events of ``validation_from`` ≤ time < ``test_from``, the test those of ``test_from`` and later.
    A question needs a history, and an answer that can be given: an item that occurs in what is learnt from and, where
    repeats are not allowed, not in the history.

    Args:
        items_E: items, or events (:mod:`models.events`): then sequences and histories are of events.

    Raises:
        ValueError: the moments are not in order.
    """
    if not validation_from < test_from:
        raise ValueError(
            f"validation begins at {validation_from}, the test at {test_from}: it has to come first"
        )

    def before(moment: float) -> Sequences:
        is_before_E = times_E < moment
        return sequences_of(users_E[is_before_E], items_E[is_before_E], times_E[is_before_E])

    def asked(start: float, stop: float) -> Questions:
        known = np.unique(items_of(items_E)[times_E < start])
        order = np.lexsort((times_E, users_E))
        users, told, times = users_E[order], np.asarray(items_E[order], np.int64), times_E[order]
        items = items_of(told)
        begins = np.maximum.accumulate(
            np.where(np.diff(users, prepend=users[0] - 1) != 0, np.arange(len(users)), 0)
        )
        is_asked = (
            (times >= start) & (times < stop) & np.isin(items, known) & (np.arange(len(users)) > begins)
        )
        places = np.flatnonzero(is_asked)
        if not repeats_allowed:
            places = np.array(
                [place for place in places if items[place] not in items[begins[place] : place]], np.int64
            )
        histories = [told[begins[place] : place] for place in places.tolist()]
        return Questions(histories, items[places], users[places].astype(np.int64))

    return Split(
        fit=before(validation_from),
        validation=asked(validation_from, test_from),
        refit=before(test_from),
        test=asked(test_from, np.inf),
    )


def exclude_seen(scores_QN: npt.NDArray[np.floating[Any]], histories: Histories) -> None:
    """Take from each row, in place, the items of its history: they are not asked for where nothing is taken twice."""
    lengths = np.fromiter(map(len, histories), np.int64, len(histories))
    rows = np.repeat(np.arange(len(histories)), lengths)
    items = [items_of(history) for history in histories]
    scores_QN[rows, np.concatenate([*items, np.empty(0, np.int64)]).astype(np.int64)] = -np.inf


def _last_items(sequences: Sequences, users: npt.NDArray[np.int64]) -> Questions:
    """The last item of each of the users who have one and a history."""
    asked = np.array([user for user in users if len(sequences[user]) >= 2], np.int64)
    return Questions(
        [sequences[user][:-1] for user in asked],
        np.array([sequences[user][-1] for user in asked], np.int64),
        asked,
    )
