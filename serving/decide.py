"""consent → list → items → decision, as one function of what was asked and what was read."""

from __future__ import annotations

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
from serving.bundle import Bundle
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
#: Nothing explores yet: what is shown stands where it stands with certainty.
_CERTAIN = 1.0


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
    fallback: Fallback | None,
    decision_id: str,
    now: datetime,
    session: SessionAnswer | None = None,
) -> Decision:
    """The decision on a request, from one version alone.

    Args:
        told: what the store says of the user in the bundle's version; None where it cannot be asked.
        fallback: why the bundle is not the version that the store points at, or cannot be; None where it is.
        session: what came of the user's last events; None where there are none, or consent forbids to use them.
    """
    found, source, fallback, why = _choose(bundle, told, fallback, request.count)
    if session is not None:
        found, source, fallback, why = _turned(found, source, fallback, why, session)
    beside = "" if request.context is UNSET else request.context.item_id
    items = _ranked(bundle, found, request.count, beside)
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
    )


def _choose(
    bundle: Bundle, told: Told | None, fallback: Fallback | None, count: int
) -> tuple[PackedList, Source, Fallback | None, str]:
    """The list to show, its rung, and why it is no higher one."""
    if told is None:
        return bundle.popular, SNAPSHOT, fallback or STORE_AWAY, ""
    why = withheld(bundle, told)
    if why:
        return bundle.popular, "popular", CONSENT, why
    if told.packed is None:
        return bundle.popular, "popular", UNKNOWN_USER, ""
    found = unpack(told.packed, most=count + 1)  # one of them may be the item beside which they are shown
    return found, PREVIOUS if fallback else "personal", fallback, ""


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


def _ranked(bundle: Bundle, found: PackedList, count: int, beside: str) -> list[RankedItem]:
    """The first items of a list, but for the one beside which they are shown."""
    items, because = bundle.items, dict[int, list[Item]]()
    for place, index in found.reasons:
        because.setdefault(place, []).append(items[index])
    ranked: list[RankedItem] = []
    for place, index in enumerate(found.indices[: count + 1], start=1):
        item = items[index]
        if item.item_id != beside and len(ranked) < count:
            reasons = because.get(place, ())
            ranked.append(RankedItem(len(ranked) + 1, item.item_id, item.title, _CERTAIN, reasons))
    return ranked
