"""consent → list → rules → items → decision, as one function of what was asked and what was read."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime

from msgspec import UNSET, Struct

from contracts.consent import why_withheld
from contracts.decisions import (
    CONSENT,
    PREVIOUS,
    SESSION_BUSY,
    SESSION_MISSING,
    SESSION_UNKNOWN,
    SNAPSHOT,
    STORE_AWAY,
    STORE_EMPTY,
    UNKNOWN_USER,
    VERSION_NOT_WHOLE,
    Decision,
    DecisionRequest,
    Fallback,
    Item,
    RankedItem,
    Source,
)
from contracts.lists import PackedList, unpack
from serving.arrange import Arranged, arrange
from serving.bundle import Bundle
from serving.compiled_rules import CompiledRules
from serving.explore import explore
from serving.sessions import SessionAnswer

_SAID: dict[Fallback | None, str] = {
    None: "",
    UNKNOWN_USER: "this version has no list of this id",
    VERSION_NOT_WHOLE: "the live version is not whole in the online store",
    STORE_EMPTY: "the online store holds no version",
    STORE_AWAY: "the online store cannot be asked now",
    SESSION_MISSING: "the version's model that ranks sessions is not there",
    SESSION_UNKNOWN: "no event of the session is recent and of an item that the version can rank by",
    SESSION_BUSY: "the session could not be ranked in time",
}


class Told(Struct, frozen=True, gc=False):
    """What the online store says of one user."""

    packed: bytes | None  # the list in the version that was asked
    consent: str | None  # from which day on versions may be served to this user, see contracts.consent
    consent_of_anybody: str | None
    history: bytes | None = None  # the packed recent history, where it was asked for


def decide(
    request: DecisionRequest,
    bundle: Bundle,
    told: Told | None,
    *,
    user_id: str,
    fallback: Fallback | None,
    decision_id: str,
    now: datetime,
    session: SessionAnswer | None = None,
    bought: Set[str] = frozenset(),
) -> Decision:
    """The decision on a request, from one version alone.

    Args:
        told: what the store says of the user in the bundle's version; None where it cannot be asked.
        user_id: the id that lists are kept under, and by which people are dealt to variants: a user's or a device's.
        fallback: why the bundle is not the version that the store points at, or cannot be; None where it is.
        session: what came of the user's last events; None where there are none, or consent forbids to use them.
        bought: items that the user has bought since the version knows of it.
    """
    found, source, fallback, why = _found(bundle, told, fallback, session)
    plan = bundle.rules.plan(request.surface, user_id)
    arranged = _arranged(bundle, found, request, bought, plan.rules)
    shown, propensities = _explored(bundle, arranged, request, bought, plan.rules, decision_id)
    items = _ranked(bundle, found, shown, propensities)
    return Decision(
        decision_id=decision_id,
        surface=request.surface,
        version=bundle.version,
        day=bundle.pointer.day,
        age_seconds=bundle.age_seconds(now),
        source=source,
        made_from=found.source,
        fallback=fallback,
        why=why or _SAID[fallback],
        is_short=len(items) < request.count,
        items=items,
        rules_applied=arranged.applied,
        rules_dropped=arranged.dropped,
        variant=plan.variant,
    )


def shadow_of(
    request: DecisionRequest,
    bundle: Bundle,
    told: Told | None,
    *,
    user_id: str,
    session: SessionAnswer | None = None,
    bought: Set[str] = frozenset(),
) -> Sequence[str]:
    """The items that a variant in the shadow would show to who is in it, best first; none of whom is in no such one."""
    rules = bundle.rules.plan(request.surface, user_id).shadow
    if rules is None:
        return ()
    found, *_ = _found(bundle, told, None, session)
    arranged = _arranged(bundle, found, request, bought, rules)
    return [bundle.items[index].item_id for index in arranged.indices]


def _found(
    bundle: Bundle, told: Told | None, fallback: Fallback | None, session: SessionAnswer | None
) -> tuple[PackedList, Source, Fallback | None, str]:
    """The list that rules are applied to, its rung, and why it is no higher one."""
    found, source, fallback, why = _choose(bundle, told, fallback)
    if session is None:
        return found, source, fallback, why
    return _turned(found, source, fallback, why, session)


def _choose(
    bundle: Bundle, told: Told | None, fallback: Fallback | None
) -> tuple[PackedList, Source, Fallback | None, str]:
    """The list to show, its rung, and why it is no higher one."""
    if told is None:
        return bundle.popular, SNAPSHOT, fallback or STORE_AWAY, ""
    why = withheld(bundle, told)
    if why:
        return bundle.popular, "popular", CONSENT, why
    if told.packed is None:
        return bundle.popular, "popular", UNKNOWN_USER, ""
    return unpack(told.packed), PREVIOUS if fallback else "personal", fallback, ""


def withheld(bundle: Bundle, told: Told) -> str:
    """Why nothing about the user may be used with this version; "" where it may."""
    return why_withheld(told.consent, told.consent_of_anybody, bundle.pointer.day)


def _turned(
    found: PackedList,
    source: Source,
    fallback: Fallback | None,
    why: str,
    session: SessionAnswer,
) -> tuple[PackedList, Source, Fallback | None, str]:
    """The list as the session turns it; where it does not, why."""
    if session.found is None:
        return (found, source, fallback, why) if fallback else (found, source, session.fallback, "")
    first = session.found.indices
    known = session.found.hidden.union(first)
    further = [
        index for index in found.indices if index not in known
    ]  # a short list goes on as it would without
    turned = PackedList((*first, *further), (), session.found.made_from, is_short=False)
    return turned, "session", None if fallback == UNKNOWN_USER else fallback, ""


def _beside(request: DecisionRequest) -> str:
    """The item beside which the others are shown, if there is one."""
    return "" if request.context is UNSET else request.context.item_id


def _arranged(
    bundle: Bundle, found: PackedList, request: DecisionRequest, bought: Set[str], rules: CompiledRules
) -> Arranged:
    """What of a list is shown, in its order, but for the item beside which it is shown; bought items are out where the feed has no repeats."""
    candidates, again, beside = found.indices, frozenset[int](), _beside(request)
    if bought and not bundle.pointer.repeats_allowed:
        shown = (*candidates, *rules.pinned)
        again = frozenset(index for index in shown if bundle.items[index].item_id in bought)
    if beside:
        again |= {index for index in rules.pinned if bundle.items[index].item_id == beside}
        candidates = tuple(index for index in candidates if bundle.items[index].item_id != beside)
    return arrange(candidates, rules, request.count, again)


def _explored(
    bundle: Bundle,
    arranged: Arranged,
    request: DecisionRequest,
    bought: Set[str],
    rules: CompiledRules,
    decision_id: str,
) -> tuple[Sequence[int], Sequence[float]]:
    """What is shown once the places that are drawn for have been, and how probable each item was in its place."""
    if not rules.slots:
        return arranged.indices, (1.0,) * len(arranged.indices)
    absent = {*(() if bundle.pointer.repeats_allowed else bought), _beside(request)}
    return explore(
        arranged.indices,
        rules.slots,
        lambda index: not rules.hidden_N[index] and bundle.items[index].item_id not in absent,
        decision_id,
    )


def _ranked(
    bundle: Bundle, found: PackedList, shown: Sequence[int], propensities: Sequence[float]
) -> list[RankedItem]:
    items, blocked, because = bundle.items, bundle.rules.blocked, dict[int, list[Item]]()
    for place, index in found.reasons:
        if index not in blocked:
            because.setdefault(found.indices[place - 1], []).append(items[index])
    ranked = []
    for place, (index, propensity) in enumerate(zip(shown, propensities, strict=True), start=1):
        item = items[index]
        ranked.append(RankedItem(place, item.item_id, item.title, propensity, because.get(index, ())))
    return ranked
