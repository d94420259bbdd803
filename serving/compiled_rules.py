"""Rules over the items of one version at one instant: what has to be known of each item before anybody asks.

N items of the version
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from contracts.experiments import Experiment
from contracts.exploration import PublishedSlot
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
    PublishedRules,
    ServingRules,
    SurfaceRules,
)
from serving.assignment import assign
from serving.explore import Slot
from serving.item_columns import BoolArray, Columns, FloatArray, IntArray

#: Of the numbers that say what hides an item, the bit of what the user has bought: nobody knows it before.
BOUGHT_BIT = 1 << 2
_BLOCKED_BIT, _AVAILABILITY_BIT = 1, 1 << 1


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
        slots: places that are drawn for.
    """

    labels: tuple[str, ...]
    hidden_N: Sequence[int]
    order: Order | None
    slots: tuple[Slot, ...] = ()

    @property
    def pinned(self) -> list[int]:
        """The items that have a place whatever the list names."""
        return [] if self.order is None else [index for _, index in self.order.pins.values()]


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for a user on a surface.

    Args:
        variant: "experiment:variant" of who takes part in one.
        shadow: rules whose list is logged and not shown.
    """

    rules: CompiledRules
    variant: str | None = None
    shadow: CompiledRules | None = None


@dataclass(frozen=True, slots=True)
class ActiveRules:
    """The rules of every surface, and until when they are these (seconds since 1970)."""

    default: CompiledRules
    surfaces: Mapping[str, CompiledRules]
    blocked: Set[int]
    until: float
    experiments: Mapping[str, Sequence[Experiment]]  # by surface

    def plan(self, surface: str, user: str) -> Plan:
        """The surface's own rules, or those of the variant that a user is in."""
        own = self.of(surface)
        assigned = assign(self.experiments.get(surface, ()), user)
        if assigned is None:
            return Plan(own)
        experiment, variant = assigned
        chosen = own if variant.rules is None else self.of(variant.rules)
        name = f"{experiment.name}:{variant.name}"
        return Plan(own, name, chosen) if variant.is_shadow else Plan(chosen, name)

    def of(self, surface: str) -> CompiledRules:
        return self.surfaces.get(surface, self.default)

    def hides(self, index: int) -> bool:
        """Is an item blocked, or not for sale at this instant, whatever the surface?"""
        return bool(self.default.hidden_N[index] & (_BLOCKED_BIT | _AVAILABILITY_BIT))


def activate(
    rules: PublishedRules,
    columns: Columns,
    index_of: Mapping[str, int],
    blocked: Set[int],
    stopped: Set[str],
    now: float,
) -> ActiveRules:
    """Rules as they are at an instant.

    Args:
        index_of: the index of each item that a rule names, where the version has it.
        blocked: indices of what nobody may be shown.
        stopped: names of experiments that nobody takes part in any more.
        now: seconds since 1970.
    """
    always_N = np.zeros(len(columns), np.int64)
    always_N[list(blocked)] |= _BLOCKED_BIT
    always_N |= np.where((columns.from_N <= now) & (now < columns.until_N), 0, _AVAILABILITY_BIT)
    default, *others = (
        _compile(each, rules.slots.get(place, ()), columns, index_of, always_N, now)
        for place, each in rules.all().items()
    )
    changes = np.concatenate([columns.from_N, columns.until_N, list(_instants(rules))])
    experiments: dict[str, list[Experiment]] = {}
    for experiment in rules.experiments:
        for surface in experiment.surfaces if experiment.name not in stopped else ():
            experiments.setdefault(surface, []).append(experiment)
    return ActiveRules(
        default,
        dict(zip(rules.surfaces, others, strict=True)),
        blocked,
        float(np.min(changes[changes > now], initial=np.inf)),
        experiments,
    )


def _instants(rules: ServingRules) -> Iterator[float]:
    """When a rule begins to hold, or ends."""
    for surface in rules.all().values():
        for rule in (*surface.filters, *surface.boosts, *surface.pins):
            yield from (rule.begins, rule.ends)


def _compile(
    rules: SurfaceRules,
    slots: Sequence[PublishedSlot],
    columns: Columns,
    index_of: Mapping[str, int],
    always_N: IntArray,
    now: float,
) -> CompiledRules:
    labels, hidden_N = [BLOCKED, AVAILABILITY, BOUGHT], always_N.copy()
    for rule in rules.filters:
        if _holds(rule, now):
            fits_N = _fits(rule.condition, columns, index_of)
            hidden_N |= np.where(fits_N == (rule.hide is not None), 1 << len(labels), 0)
            labels.append(f"{FILTER}:{rule.name}")
    return CompiledRules(
        tuple(labels),
        hidden_N.tolist(),
        _order(rules, columns, index_of, now),
        tuple(
            Slot(slot.place, [index_of[item] for item in slot.items], slot.probabilities) for slot in slots
        ),
    )


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
