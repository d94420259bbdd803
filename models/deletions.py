"""Which items of a history may be deleted, to see what it would be without them.

B histories · T last events, newest first: by age
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.events import items_of
from models.recommender import Histories


def last_events(histories: Histories, num_events: int) -> npt.NDArray[np.int64]:
    """The items of the last events of each history by age, events_BT; -1 where there is none."""
    events_BT = np.full((len(histories), num_events), -1, np.int64)
    recent = [np.asarray(items_of(history)[-num_events:], np.int64) for history in histories]
    lengths_B = np.fromiter(map(len, recent), dtype=np.int64, count=len(recent))
    rows = np.repeat(np.arange(len(recent)), lengths_B)
    ages = np.repeat(np.cumsum(lengths_B), lengths_B) - 1 - np.arange(len(rows))
    events_BT[rows, ages] = np.concatenate([*recent, np.empty(0, np.int64)])
    return events_BT


def deletable(events_BT: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Each item among the last events once, at its oldest event; -1 elsewhere."""
    is_same_BTT = events_BT[:, :, None] == events_BT[:, None, :]
    is_again_BT = (is_same_BTT & np.triu(np.ones(is_same_BTT.shape[1:], bool), 1)).any(axis=2)
    return np.where(is_again_BT, -1, events_BT)
