"""Rules over the items of one version at one instant: what has to be known of each item before anybody asks.

N items of the version
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from contracts.serving_rules import (
    AVAILABILITY,
    BLOCKED,
    BOOST,
    BOUGHT,
    CAP,
    FILTER,
    PIN,
    Boost,
    Condition,
    Filter,
    Pin,
    ServingRules,
    SurfaceRules,
)
from serving.item_columns import BoolArray, Columns, FloatArray, IntArray

#: Of the numbers that say what hides an item, the bit of what the user has bought: nobody knows it before.
BOUGHT_BIT = 1 << 2


@dataclass(frozen=True, slots=True)
class Order:
    """How what is left is put in order.

    Args:
        relevance: the weight of an item's place in the list.
        more_N: what is added to that, and ``factor_N``: what both are multiplied by.
        boosts: label and items of each.
        pins: by place, label and item.
        caps: label, code of each item, how many at most, among how many first places.
        diversity: its strength.
    """

    relevance: float
    more_N: FloatArray
    factor_N: FloatArray
    is_weighted: bool
    boosts: tuple[tuple[str, BoolArray], ...]
    pins: Mapping[int, tuple[str, int]]
    caps: tuple[tuple[str, IntArray, int, int], ...]
    diversity: float
    category_N: IntArray
    brand_N: IntArray


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """The rules of a surface.

    Args:
        labels: of what may take an item away, the most important first; the number of each is its bit in ``hidden_N``.
        hidden_N: of each item, what takes it away.
        order: None where lists stand as they were scored.
    """

    labels: tuple[str, ...]
    hidden_N: Sequence[int]
    order: Order | None

    @property
    def pinned(self) -> list[int]:
        """The items that have a place whatever the list names."""
        return [] if self.order is None else [index for _, index in self.order.pins.values()]


@dataclass(frozen=True, slots=True)
class ActiveRules:
    """The rules of every surface, and until when they are these (seconds since 1970)."""

    default: CompiledRules
    surfaces: Mapping[str, CompiledRules]
    blocked: Set[int]
    until: float

    def of(self, surface: str) -> CompiledRules:
        return self.surfaces.get(surface, self.default)


def activate(
    rules: ServingRules, columns: Columns, index_of: Mapping[str, int], blocked: Set[int], now: float
) -> ActiveRules:
    """Rules as they are at an instant.

    Args:
        index_of: the index of each item that a rule names, where the version has it.
        blocked: indices of what nobody may be shown.
        now: seconds since 1970.
    """
    always_N = np.zeros(len(columns), np.int64)
    always_N[list(blocked)] |= 1
    always_N |= np.where((columns.from_N <= now) & (now < columns.until_N), 0, 1 << 1)
    compiled = {
        name: _compile(each, columns, index_of, always_N, now)
        for name, each in {"": rules.default, **rules.surfaces}.items()
    }
    changes = np.concatenate([columns.from_N, columns.until_N, list(_instants(rules))])
    return ActiveRules(
        compiled.pop(""), compiled, blocked, float(np.min(changes[changes > now], initial=np.inf))
    )


def _instants(rules: ServingRules) -> Iterator[float]:
    """When a rule begins to hold, or ends."""
    for surface in rules.all().values():
        for rule in (*surface.filters, *surface.boosts, *surface.pins):
            yield from (rule.begins, rule.ends)


def _compile(
    rules: SurfaceRules, columns: Columns, index_of: Mapping[str, int], always_N: IntArray, now: float
) -> CompiledRules:
    labels, hidden_N = [BLOCKED, AVAILABILITY, BOUGHT], always_N.copy()
    for rule in rules.filters:
        if _holds(rule, now):
            fits_N = _fits(rule.condition, columns, index_of)
            hidden_N |= np.where(fits_N == (rule.hide is not None), 1 << len(labels), 0)
            labels.append(f"{FILTER}:{rule.name}")
    return CompiledRules(tuple(labels), hidden_N.tolist(), _order(rules, columns, index_of, now))


def _order(rules: SurfaceRules, columns: Columns, index_of: Mapping[str, int], now: float) -> Order | None:
    boosts = [rule for rule in rules.boosts if _holds(rule, now)]
    pins = {
        rule.position: (f"{PIN}:{rule.name}", index_of[rule.item])
        for rule in rules.pins
        if _holds(rule, now) and rule.item in index_of
    }
    weights = rules.weights
    if not (boosts or pins or rules.caps or rules.diversity or weights):
        return None
    more_N, factor_N = np.zeros(len(columns)), np.ones(len(columns))
    if weights is not None:
        more_N = weights.margin * columns.margins() + weights.novelty * columns.novelties()
    boosted = [(rule, _fits(rule.where, columns, index_of)) for rule in boosts]
    for rule, fits_N in boosted:
        factor_N[fits_N] *= rule.factor
    code_N = {"category": columns.category.code_N, "brand": columns.brand.code_N}
    return Order(
        relevance=1.0 if weights is None else weights.relevance,
        more_N=more_N,
        factor_N=factor_N,
        is_weighted=weights is not None,
        boosts=tuple((f"{BOOST}:{rule.name}", fits_N) for rule, fits_N in boosted),
        pins=pins,
        caps=tuple((f"{CAP}:{cap.by}", code_N[cap.by], cap.most, cap.first) for cap in rules.caps),
        diversity=0.0 if rules.diversity is None else rules.diversity.strength,
        category_N=code_N["category"],
        brand_N=code_N["brand"],
    )


def _holds(rule: Filter | Boost | Pin, now: float) -> bool:
    return rule.begins <= now < rule.ends


def _fits(condition: Condition, columns: Columns, index_of: Mapping[str, int]) -> BoolArray:
    """Which items a condition holds for."""
    fits_N = np.ones(len(columns), bool)
    if condition.items is not None:
        is_named_N = np.zeros(len(columns), bool)
        is_named_N[[index_of[item] for item in condition.items if item in index_of]] = True
        fits_N &= is_named_N
    if condition.categories is not None:
        fits_N &= columns.category.are_among(condition.categories)
    if condition.brands is not None:
        fits_N &= columns.brand.are_among(condition.brands)
    for name, values in condition.attributes.items():
        fits_N &= columns.have(name, values)
    # A price that is not known is NaN, which compares with nothing.
    if condition.price_at_least is not None:
        fits_N &= columns.price_N >= round(condition.price_at_least * 100)
    if condition.price_at_most is not None:
        fits_N &= columns.price_N <= round(condition.price_at_most * 100)
    return fits_N
