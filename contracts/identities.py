"""Which ids are one person? A pure rule over the links that a shop has told of.

Of several links of one alias the latest counts, of those at one instant the one to the lesser id. Links are followed
to their end; ids that are linked in a circle are one person under the least of them. None of it depends on the order in
which links arrive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Link:
    """An alias (a device's or a cookie's id) belongs to a user since some instant (UTC)."""

    alias_id: str
    user_id: str
    linked_at: datetime


def resolve(links: Iterable[Link]) -> dict[str, str]:
    """The person of each alias."""
    latest: dict[str, Link] = {}
    for link in links:
        held = latest.get(link.alias_id)
        if held is None or (held.linked_at, link.user_id) < (link.linked_at, held.user_id):
            latest[link.alias_id] = link
    return {alias: _end(alias, latest) for alias in latest}


def _end(alias: str, latest: dict[str, Link]) -> str:
    """Where the links of an alias lead."""
    path = [alias]
    while path[-1] in latest:
        following = latest[path[-1]].user_id
        if following in path:
            return min(path[path.index(following) :])
        path.append(following)
    return path[-1]
