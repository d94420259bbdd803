"""Places that are drawn for: in each the list's own item or one that was hardly shown, with the probability that it had.

No two places can draw the same item, and what the list shows elsewhere can be drawn nowhere. So each draw stands by itself, and the
probability that is told is the one with which the item stood there, whatever stood in the other places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from msgspec import Struct

from models.bandits import choose

_CERTAIN = 1.0


class Slot(Struct, frozen=True, gc=False):
    """A place that is drawn for, in a version: who may stand there, by index, and how probable each is."""

    place: int  # from 1
    items: Sequence[int]
    probabilities: Sequence[float]  # of what the list itself has there, then of each of the items


def explore(
    indices: Sequence[int], slots: Sequence[Slot], may_be_shown: Callable[[int], bool], decision_id: str
) -> tuple[list[int], list[float]]:
    """The items of an answer by index, place by place, and the propensity of each.

    Args:
        indices: what the list has for the answer.
        slots: the places that are drawn for; those beyond the answer are not.
        may_be_shown: whether an item may be drawn: neither blocked nor filtered nor bought.
        decision_id: decides all draws, so that an answer can be told again.
    """
    shown, propensities = list(indices), [_CERTAIN] * len(indices)
    listed = set(indices)
    for slot in slots:
        if slot.place <= len(indices):
            is_allowed = [True, *(item not in listed and may_be_shown(item) for item in slot.items)]
            arm, propensity = choose(slot.probabilities, is_allowed, _uniform(decision_id, slot.place))
            propensities[slot.place - 1] = propensity
            if arm:
                shown[slot.place - 1] = slot.items[arm - 1]
    return shown, propensities


def _uniform(decision_id: str, place: int) -> float:
    """A number from [0, 1), by the decision and the place."""
    digest = blake2b(f"{decision_id} {place}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
