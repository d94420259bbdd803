"""What people take together with an item, from the version that this process holds in memory."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from contracts.decisions import Fallback, Related, RelatedItem, RelatedRequest
from contracts.lists import unpack
from serving.bundle import Bundle
from serving.problems import Problem


def related(request: RelatedRequest, bundle: Bundle, *, fallback: Fallback | None, now: datetime) -> Related:
    """What goes with an item, from one version alone, but for what is blocked or not for sale now.

    Args:
        fallback: why the bundle is not the version that the store points at, or cannot be; None where it is.

    Raises:
        Problem: the version has no such item, or what is remembered of it says nothing of related items.
    """
    if bundle.related is None:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"nothing is known of what goes with the items of {bundle.version}"
            + (", which was published without" if bundle.is_whole else ": the online store cannot be asked"),
            "Ask again after the seconds of Retry-After; an operator publishes a further day, or looks with: foretaste doctor",
            headers={"retry-after": "1"},
        )
    packed = bundle.related.get(request.item_id)
    if packed is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"{bundle.version} knows no such item",
            "Use an id of the catalogue that was published; an item is known from the day after it was delivered.",
            field="item_id",
            value=request.item_id,
        )
    found = unpack(packed)
    shown = [
        each for each in zip(found.indices, found.scores, strict=True) if not bundle.rules.hides(each[0])
    ]
    items = [
        RelatedItem(position, bundle.items[index].item_id, bundle.items[index].title, round(share, 6))
        for position, (index, share) in enumerate(shown[: request.count], start=1)
    ]
    return Related(
        item_id=request.item_id,
        version=bundle.version,
        day=bundle.pointer.day,
        age_seconds=bundle.age_seconds(now),
        fallback=fallback,
        is_short=len(items) < request.count,
        items=items,
    )
