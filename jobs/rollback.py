"""Point readers back at a version that is still kept: one flip, no recomputing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts.errors import ForetasteError, PartitionMissing, ServiceUnreachable
from contracts.settings import Settings
from jobs.io.online import open_online_store
from jobs.io.state import ROLLBACKS, State


def rollback(settings: Settings, version: str | None, now: datetime) -> dict[str, Any]:
    """Make a kept version live again, with a fence above every other.

    S3's pointer follows when S3 answers; a rollback never waits for it to be healthy.

    Raises:
        PartitionMissing: there is no such version, or none before the live one.
    """
    with open_online_store(settings, timeout=2) as store:
        live = store.pointer()
        versions = store.versions()
        if live is None:
            raise PartitionMissing("nothing has been published yet, so there is nothing to go back to")
        earlier = [name for name in versions if name < live.version]
        wanted = version or (earlier[-1] if earlier else None)
        if wanted is None or wanted not in versions:
            raise PartitionMissing(
                f"version {wanted or f'before {live.version}'} is not kept; there are {', '.join(versions)}. "
                "Name one: foretaste rollback --version VERSION"
            )
        state = State.of(settings)
        pointer = replace(
            versions[wanted], fence=state.next_fence(), published_at=now.isoformat(timespec="seconds")
        )
        store.flip(pointer, None)
    state.put(
        ROLLBACKS, f"{pointer.fence:010d}", {"from": live.version, "to": wanted, "at": pointer.published_at}
    )
    return {"version": wanted, "day": pointer.day, "from": live.version, "s3": _follow(settings, pointer)}


def _follow(settings: Settings, pointer: Any) -> str:
    from jobs.io.objects import open_objects

    try:
        with open_objects(settings) as objects:
            objects.point_at(pointer)
    except (ServiceUnreachable, ForetasteError) as error:
        return f"not moved: {error}"
    return "moved"


def render(answer: dict[str, Any]) -> str:
    return (
        f"live: {answer['version']} of {answer['day']} (was {answer['from']}); pointer in S3 {answer['s3']}"
    )
