"""Which family of models to begin with: rules with numbers, each with where its number comes from.

The rules look at what a family needs, not at what it might reach: the first family in :data:`ORDER` whose needs the
feed meets is the one to begin with, and recent popularity, which needs nothing, is what any of them has to beat.
``docs/audit.md`` lists the rules with their sources.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]

POPULARITY = "recent popularity"
COVISITATION = "co-visitation"
EASE = "EASE"
ALS = "ALS"
TRANSFORMER = "transformer (SASRec)"
BLEND = "ranker over a blend"
CONTENT = "content-based"

#: The size of MovieLens 100K, the smallest of the public sets on which transformers over histories are compared.
TRANSFORMER_ACTS = 100_000
#: Every user and item of the 5-core sets, on which transformers are compared, has as many acts.
TRANSFORMER_STEPS = 5
#: EASE inverts a table of items by items: 20,000 take 3.2 GB in double precision.
EASE_ITEMS = 20_000
#: An item-to-item model sees nothing in people who have taken one item alone.
PAIR_PEOPLE_SHARE = 0.2
#: Where fewer people than these come back, a history is a visit.
RETURNING_SHARE = 0.1
#: From this share of later acts on, what a model of acts cannot know is the larger part of its misses.
COLD_ITEMS_SHARE = 0.3
#: Items of whom something is known, for a model that knows nothing else.
DESCRIBED_SHARE = 0.8
#: What a ranker learns from: impressions, and those that something came of.
BLEND_IMPRESSIONS, BLEND_FOLLOWED = 10_000, 500


@dataclass(frozen=True)
class Judged:
    """A family, whether the feed has what it needs, and why."""

    family: str
    is_met: bool
    why: str


def advise(found: Record, *, min_people: int) -> Record:
    """The family to begin with, those that come next, and what each of the others lacks.

    Args:
        min_people: fewer people than these cannot judge a model (``promote_min_users``).
    """
    judged = [rule(found, min_people) for rule in ORDER]
    if _are_visits(found, min_people):
        judged.sort(key=lambda each: (each.family not in (CONTENT, BLEND), each.family != COVISITATION))
    begin = next(each for each in judged if each.is_met)
    return {
        "begin_with": begin.family,
        "why": begin.why,
        "families": [
            {
                "family": each.family,
                "verdict": "begin" if each is begin else "next" if each.is_met else "not yet",
                "why": each.why,
            }
            for each in judged
        ],
    }


def _enough_people(found: Record, min_people: int) -> str:
    """Why a personal model cannot be judged; empty where it can."""
    people, acts = found["volume"]["people"], found["volume"]["acts"]
    if not acts:
        return "nobody has viewed, carted, bought or rated anything"
    if not people:
        return f"all {acts:,} acts are anonymous: there is nobody to learn of"
    if people < min_people:
        return f"{_many(people, 'person', 'people')} cannot judge a personal model, {min_people} can"
    return ""


def _blend(found: Record, min_people: int) -> Judged:
    shown, followed = found["feedback"]["impressions"], found["feedback"]["followed"]
    base = next(
        (each for rule in (_transformer, _covisitation) if (each := rule(found, min_people)).is_met), None
    )
    if base is None:
        return Judged(
            BLEND, False, "it puts in order what another personal model proposes, and none of those can begin"
        )
    if shown < BLEND_IMPRESSIONS or followed < BLEND_FOLLOWED:
        return Judged(
            BLEND,
            False,
            f"{shown:,} impressions, {followed:,} of them followed the same day by a view, cart or purchase; it learns "
            f"from {BLEND_IMPRESSIONS:,} and {BLEND_FOLLOWED:,}",
        )
    return Judged(
        BLEND,
        True,
        f"{shown:,} impressions say what was shown, and {followed:,} what came of it: a ranker learns to put in order what "
        f"{base.family} proposes",
    )


def _content(found: Record, min_people: int) -> Judged:
    cold, described = found["cold"]["new_item_share"], _described(found)
    if cold is None:
        return Judged(
            CONTENT, False, "whether items are new when they are taken cannot be told from this clock"
        )
    if cold < COLD_ITEMS_SHARE:
        return Judged(
            CONTENT,
            False,
            f"only {cold:.1%} of the acts in the last fifth of the period fall on items that nobody had taken before; "
            f"it pays from {COLD_ITEMS_SHARE:.0%}",
        )
    if described < DESCRIBED_SHARE:
        return Judged(
            CONTENT,
            False,
            f"{cold:.1%} of the later acts fall on new items, but no more than {described:.0%} of the items have a title, a "
            f"category or attributes; {DESCRIBED_SHARE:.0%} should: describe them",
        )
    return Judged(
        CONTENT,
        True,
        f"{cold:.1%} of the acts in the last fifth of the period fall on items that nobody had taken before: no model of acts "
        f"can know them, and {described:.0%} of the items are described",
    )


def _described(found: Record) -> float:
    coverage = found["catalogue"]["coverage"]
    return max((coverage[name] or 0.0) for name in ("title", "category", "attributes"))


def _covisitation(found: Record, min_people: int) -> Judged:
    people, volume = found["people"], found["volume"]
    by_visit = people["pairing_sessions"]
    reason = _enough_people(found, min_people)
    if by_visit >= min_people and _are_visits(found, min_people):
        who = reason or (
            f"{people['returning_share']:.1%} of {volume['people']:,} people ever act on a second day, so a history is a visit"
        )
        return Judged(
            COVISITATION, True, f"{who}; {by_visit:,} visits with two items or more say what goes together"
        )
    if reason:
        return Judged(COVISITATION, False, reason)
    pairing = people["pairing_people"] / volume["people"]
    if pairing < PAIR_PEOPLE_SHARE:
        return Judged(
            COVISITATION,
            False,
            f"{pairing:.1%} of the people took a second item; nothing goes together below {PAIR_PEOPLE_SHARE:.0%}",
        )
    return Judged(
        COVISITATION,
        True,
        f"{people['pairing_people']:,} people took two items or more, which says what goes together",
    )


def _are_visits(found: Record, min_people: int) -> bool:
    """Are there visits, and no people to speak of? Then what a visit holds comes before what a person is."""
    returning = found["people"]["returning_share"]
    return bool(_enough_people(found, min_people)) or (returning is not None and returning < RETURNING_SHARE)


def _transformer(found: Record, min_people: int) -> Judged:
    if reason := _enough_people(found, min_people):
        return Judged(TRANSFORMER, False, reason)
    people, acts = found["people"], found["volume"]["acts"] - found["volume"]["anonymous_acts"]
    steps = people["steps"]["median"]
    if acts < TRANSFORMER_ACTS:
        return Judged(
            TRANSFORMER,
            False,
            f"{acts:,} acts of known people; public comparisons begin with {TRANSFORMER_ACTS:,}",
        )
    if steps < TRANSFORMER_STEPS:
        tied = people["tied_share"]
        basket = (
            f" ({tied:.1%} of the acts share their instant with another: baskets, whose lines have no order)"
            if tied > 0.5
            else ""
        )
        return Judged(
            TRANSFORMER,
            False,
            f"half of the people have {_many(steps, 'step', 'steps')} in time or fewer{basket}; it lives by order, and asks for "
            f"{TRANSFORMER_STEPS}",
        )
    if found["clock"]["time_of_day"] == "date" and people["tied_share"] > 0.5:
        return Judged(
            TRANSFORMER, False, "times are dates only, so most of the order within a history is unknown"
        )
    return Judged(
        TRANSFORMER,
        True,
        f"{acts:,} acts of {found['volume']['people']:,} people, half of whom have {steps:,} steps in time or more: enough order "
        "to learn from",
    )


def _ease(found: Record, min_people: int) -> Judged:
    if reason := _enough_people(found, min_people):
        return Judged(EASE, False, reason)
    items = found["volume"]["items"]
    pairing = found["people"]["pairing_people"] / found["volume"]["people"]
    if pairing < PAIR_PEOPLE_SHARE:
        return Judged(
            EASE, False, f"{pairing:.1%} of the people took a second item; it learns from those who did"
        )
    if items > EASE_ITEMS:
        return Judged(
            EASE,
            False,
            f"{items:,} items: it inverts a table of items by items, which {EASE_ITEMS:,} keep below 4 GB",
        )
    return Judged(
        EASE,
        True,
        f"{pairing:.0%} of {found['volume']['people']:,} people took two of {items:,} items or more: what goes together can be "
        "solved for exactly, order aside",
    )


def _als(found: Record, min_people: int) -> Judged:
    if reason := _enough_people(found, min_people):
        return Judged(ALS, False, reason)
    median = found["people"]["lengths"]["median"]
    if median < 2:
        return Judged(ALS, False, "half of the people have one act: a factor of theirs would say nothing")
    return Judged(ALS, True, f"half of the people have {median:,} acts or more; it takes any number of items")


def _popularity(found: Record, min_people: int) -> Judged:
    reason = _enough_people(found, min_people)
    return Judged(
        POPULARITY,
        True,
        f"{reason}, and it needs nobody's history"
        if reason
        else "it needs nobody's history, and is what any other has to beat",
    )


#: The first whose needs are met is the one to begin with; where there are visits only, co-visitation follows the blend.
ORDER: tuple[Callable[[Record, int], Judged], ...] = (
    _content, _blend, _transformer, _ease, _als, _covisitation, _popularity,
)  # fmt: skip


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
