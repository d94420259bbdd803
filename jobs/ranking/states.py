"""What an encoder has made of histories, kept so that only those that have changed are read again.

Reading histories is most of what scoring costs. A state follows from the model and the history alone, to the last bit
(``SASRec.encode``, ``models.tails``), so lists made with kept states are byte for byte those made without. Everything else that a list
depends on (features, popularity, what is for sale) changes daily, and is ranked anew for everybody.

S kept states · U histories · D width, of a state and of those without each of the last events together
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from jobs.ranking.world import FloatArray, IntArray

log = logging.getLogger("foretaste.states")

#: What reads histories: one state for each.
Encode = Callable[[Sequence[IntArray]], FloatArray]
Digests = npt.NDArray[np.uint64]
#: Kept states that every run computes once more: a machine that gives others does without all of them.
_CHECKED = 64


@dataclass(frozen=True)
class States:
    """Different histories by their digests, and the state of each. No user is named."""

    digests_S2: Digests  # 128 bits as two numbers, rising
    states_SD: FloatArray

    @classmethod
    def none(cls) -> Self:
        return cls(np.empty((0, 2), np.uint64), np.empty((0, 0), np.float32))

    def places(self, digests_U2: Digests) -> IntArray:
        """Where the state of each history stands, -1 for one that is not kept."""
        if not len(self.digests_S2):
            return np.full(len(digests_U2), -1, np.int64)
        # Two histories whose first halves are one are as good as never there; the latter would be encoded again.
        places_U = np.searchsorted(self.digests_S2[:, 0], digests_U2[:, 0])
        places_U = np.minimum(places_U, len(self.digests_S2) - 1)
        return np.where((self.digests_S2[places_U] == digests_U2).all(axis=1), places_U, -1)

    def encode(self, histories: Sequence[IntArray]) -> FloatArray:
        """The kept state of each history: an :data:`Encode` for whoever ranks.

        Raises:
            KeyError: one of them is not kept.
        """
        places_U = self.places(digests_of(histories))
        if (places_U < 0).any():
            raise KeyError(f"{int((places_U < 0).sum())} histories have no kept state")
        return self.states_SD[places_U]


def digests_of(histories: Sequence[IntArray]) -> Digests:
    """128 bits of BLAKE2b over each history's items, or over its events, whose days stay the same when a day ends."""
    digests = [
        hashlib.blake2b(np.ascontiguousarray(history, "<i8").ravel().data, digest_size=16)
        for history in histories
    ]
    return np.frombuffer(b"".join(each.digest() for each in digests), "<u8").reshape(-1, 2).astype(np.uint64)


def brought_up_to_date(kept: States, histories: Sequence[IntArray], encode: Encode) -> tuple[States, int]:
    """The states of just these histories, and how many of them had to be encoded.

    A few of the kept ones are encoded all the same: where one differs, from another machine or a library of another
    build, none is believed.
    """
    digests_U2 = digests_of(histories)
    order = np.lexsort((digests_U2[:, 1], digests_U2[:, 0]))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (digests_U2[order[1:]] != digests_U2[order[:-1]]).any(axis=1)
    chosen_S = order[is_first]
    places_S = kept.places(digests_U2[chosen_S])
    known, missing = np.flatnonzero(places_S >= 0), np.flatnonzero(places_S < 0)
    checked = known[:: max(1, len(known) // _CHECKED)]
    fresh = encode([histories[user] for user in chosen_S[np.append(missing, checked)]])
    states_SD = np.empty((len(chosen_S), fresh.shape[1]), np.float32)
    states_SD[missing] = fresh[: len(missing)]
    if len(known):
        if (fresh[len(missing) :] != kept.states_SD[places_S[checked]]).any():
            log.warning("states_dropped kept=%d: this machine gives others", len(kept.digests_S2))
            return brought_up_to_date(States.none(), histories, encode)
        states_SD[known] = kept.states_SD[places_S[known]]
    return States(digests_U2[chosen_S], states_SD), len(missing)
