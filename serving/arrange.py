"""What of a list is shown, and in which order: rules applied to it, as a function of what was compiled before.

K items of the list that are left
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import reduce
from operator import or_

import numpy as np
from msgspec import Struct

from contracts.serving_rules import BLOCKED, DIVERSITY, WEIGHTS
from serving.compiled_rules import BOUGHT_BIT, CompiledRules, Order
from serving.item_columns import UNKNOWN, BoolArray, FloatArray, IntArray


class Arranged(Struct, frozen=True, gc=False):
    """The items to show by index, and the labels of the rules that acted on the list, or could not."""

    indices: Sequence[int]
    applied: Sequence[str]
    dropped: Sequence[str]


def arrange(
    candidates: Sequence[int], rules: CompiledRules, count: int, bought: Set[int] = frozenset()
) -> Arranged:
    """The first ``count`` items of a list as rules have it.

    Args:
        candidates: the list's items by index, best first, none twice.
        bought: those of them, and of the items that rules give a place, that must not be shown again.
    """
    hidden = list(map(rules.hidden_N.__getitem__, candidates))
    if not bought and rules.order is None and not any(hidden):
        return Arranged(candidates[:count], (), ())
    for place, index in enumerate(candidates):
        if index in bought:
            hidden[place] |= BOUGHT_BIT
    applied: list[str] = []
    dropped: list[str] = []
    left, ignored = _left(hidden, rules.labels, applied, dropped)
    if rules.order is None:
        chosen = [candidates[place] for place in left[:count]]
    else:
        pins: dict[int, tuple[str, int]] = {}
        for position, (label, index) in rules.order.pins.items():
            hides = rules.hidden_N[index] | (BOUGHT_BIT if index in bought else 0)
            if hides & ~ignored:
                dropped.append(label)
            else:
                pins[position] = (label, index)
        chosen = _ordered(candidates, left, rules.order, pins, count, applied, dropped)
    return Arranged(chosen, applied, dropped)


def _ordered(
    candidates: Sequence[int],
    left: Sequence[int],
    order: Order,
    pins: Mapping[int, tuple[str, int]],
    count: int,
    applied: list[str],
    dropped: list[str],
) -> list[int]:
    """What is left, put in order; tells the labels of what did it."""
    pinned = {index for _, index in pins.values()}
    left = [place for place in left if candidates[place] not in pinned]
    items_K = np.array([candidates[place] for place in left], np.int64)
    # What a place is worth is the discount of discounted cumulative gain (Järvelin and Kekäläinen, 2002): scores themselves
    # are comparable within one list only.
    worth_K = 1 / np.log2(np.array(left, np.int64) + 2)
    score_K = (order.relevance * worth_K + order.more_N[items_K]) * order.factor_N[items_K]
    chosen = _choose(items_K, score_K, order, {place: index for place, (_, index) in pins.items()}, count)
    if order.is_weighted:
        applied.append(WEIGHTS)
    applied += [label for label, fits_N in order.boosts if fits_N[items_K].any()]
    applied += [label for label, index in pins.values() if index in chosen]
    for label, code_N, most, first in order.caps:
        (applied if _keeps(chosen[:first], code_N, most) else dropped).append(label)
    if order.diversity:
        applied.append(DIVERSITY)
    return chosen


def _left(
    hidden: Sequence[int], labels: Sequence[str], applied: list[str], dropped: list[str]
) -> tuple[list[int], int]:
    """Places that are left, and the bits of the rules that were dropped; each rule has to leave something but blocking."""
    left, ignored = list(range(len(hidden))), 0
    met = reduce(or_, hidden, 0)
    for number, label in enumerate(labels):
        bit = 1 << number
        if not met & bit:
            continue
        kept = [place for place in left if not hidden[place] & bit]
        if len(kept) == len(left):
            continue
        if kept or label == BLOCKED:
            left = kept
            applied.append(label)
        else:
            ignored |= bit
            dropped.append(label)
    return left, ignored


def _choose(
    items_K: IntArray, score_K: FloatArray, order: Order, pins: Mapping[int, int], count: int
) -> list[int]:
    """One item a place, greedily: maximal marginal relevance (Carbonell and Goldstein, 1998) under the caps.

    Of several that are as good the first in the list is taken.
    """
    waiting = dict(sorted(pins.items()))
    best = float(score_K.max(initial=0.0))
    value_K = (1 - order.diversity) * (score_K / best if best > 0 else score_K)
    likeness_K = np.zeros(len(items_K))
    is_open_K = np.ones(len(items_K), bool)
    caps = [_Cap(items_K, order, number, pins) for number in range(len(order.caps))]
    chosen: list[int] = []
    for position in range(1, count + 1):
        if position in waiting:
            index = waiting.pop(position)
        elif is_open_K.any():
            allowed_K = is_open_K.copy()
            for cap in caps:
                if position <= cap.first:
                    allowed_K &= cap.has_room_K
            if not allowed_K.any():
                allowed_K = is_open_K
            at = int(np.argmax(np.where(allowed_K, value_K - order.diversity * likeness_K, -np.inf)))
            index = int(items_K[at])
            is_open_K[at] = False
            for cap in caps:
                cap.count(index)
        elif waiting:
            index = waiting.pop(next(iter(waiting)))  # the list ends before its place
        else:
            break
        chosen.append(index)
        if order.diversity:
            likeness_K = np.maximum(likeness_K, _likeness(items_K, index, order))
    return chosen


class _Cap:
    """Counts one cap while places are given; pins have theirs already."""

    def __init__(self, items_K: IntArray, order: Order, number: int, pins: Mapping[int, int]) -> None:
        _, self._code_N, self._most, self.first = order.caps[number]
        self._code_K = self._code_N[items_K]
        self._counts: dict[int, int] = {}
        self.has_room_K: BoolArray = np.ones(len(items_K), bool)
        for position, index in pins.items():
            if position <= self.first:
                self.count(index)

    def count(self, index: int) -> None:
        code = int(self._code_N[index])
        if code == UNKNOWN:
            return
        self._counts[code] = self._counts.get(code, 0) + 1
        if self._counts[code] >= self._most:
            self.has_room_K &= self._code_K != code


def _keeps(chosen: Sequence[int], code_N: IntArray, most: int) -> bool:
    codes = code_N[list(chosen)]
    known = codes[codes != UNKNOWN]
    return not len(known) or int(np.bincount(known).max()) <= most


def _likeness(items_K: IntArray, index: int, order: Order) -> FloatArray:
    """How like an item others are: 1 of the same category and brand, one half of one of them; of the unknown nobody knows."""
    likeness_K = np.zeros(len(items_K))
    for code_N in (order.category_N, order.brand_N):
        if code_N[index] != UNKNOWN:
            likeness_K += 0.5 * (code_N[items_K] == code_N[index])
    return likeness_K
