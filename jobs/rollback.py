"""Point readers back at a version that is still kept: one flip, no recomputing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from typing import Any

from contracts import names
from contracts.errors import ForetasteError, PartitionMissing, StoreUnfit
from contracts.lists import Pointer
from contracts.settings import Settings
from jobs.io.online import Versions, open_online_store


def rollback(settings: Settings, version: str | None, now: datetime) -> dict[str, Any]:
    """Make a kept version live again, with a fence above every other: a publication that is under way is refused.

    By default the version that was live before the one that is. S3's pointer follows when S3 answers; a
    rollback never waits for it to be healthy.

    Raises:
        PartitionMissing: there is no such version, or none before the live one.
        StoreUnfit: the version is not whole any more.
    """
    with _s3_pointer(settings) as point_s3, open_online_store(settings, timeout=2) as store:
        from jobs.io.state import ROLLBACKS, State  # a quarter of a second, in which the child loads boto3

        state = State.of(settings)
        before: Pointer | None = None

        def choose(live: Pointer | None, versions: Versions) -> Pointer:
            nonlocal before
            before = live
            wanted = wanted_version(live, versions, version)
            if not store.is_whole(wanted):
                raise StoreUnfit(
                    f"version {wanted.version} is not whole any more. Name another: {_named(versions)}"
                )
            fence = state.next_fence(above=live.fence if live else 0)
            return replace(wanted, fence=fence, published_at=now.isoformat(timespec="seconds"))

        pointer = store.flip(choose)
        s3 = point_s3(pointer)
        left = before.version if before else None
        record = {"from": left, "to": pointer.version, "at": pointer.published_at}
        state.put(ROLLBACKS, f"{pointer.fence:010d}", record)
    return {
        "version": pointer.version,
        "day": pointer.day,
        "from": left,
        "fence": pointer.fence,
        "s3": s3,
    }


def wanted_version(live: Pointer | None, versions: Versions, version: str | None) -> Pointer:
    """The named version, or the one that was live before the live one.

    Raises:
        PartitionMissing: there is none.
    """
    if version is not None:
        if version not in versions:
            raise PartitionMissing(f"version {version} is not kept. Name one that is: {_named(versions)}")
        return versions[version]
    if live is None:
        raise PartitionMissing(
            f"nothing is live, so there is nothing to go back from. Name a version: {_named(versions)}"
        )
    if live.previous in versions:
        return versions[live.previous]
    earlier = [name for name in versions if names.version_number(name) < names.version_number(live.version)]
    if not earlier:
        raise PartitionMissing(f"no version before {live.version} is kept. Name one: {_named(versions)}")
    return versions[earlier[-1]]


def _named(versions: Versions) -> str:
    return f"foretaste rollback --version {'|'.join(versions)}" if versions else "none is kept"


@contextmanager
def _s3_pointer(settings: Settings) -> Iterator[Callable[[Pointer], str]]:
    """A way to move S3's pointer, which says what came of it.

    Loading boto3 and making its client is half of a rollback's time: a child does that while we do the rest.
    """
    ours, theirs = Pipe()
    child = get_context("fork").Process(target=_move_s3, args=(settings, ours, theirs), daemon=True)
    child.start()
    theirs.close()

    def point(pointer: Pointer) -> str:
        try:
            ours.send(pointer)
            return str(ours.recv())
        except (EOFError, OSError):
            child.join()
            return f"not moved: the process that was to do it ended with {child.exitcode}"

    try:
        yield point
    finally:
        ours.close()
        child.join()


def _move_s3(settings: Settings, ours: Connection, theirs: Connection) -> None:
    """Wait, ready, for the pointer to write, and answer; the other end closes when there is none."""
    ours.close()
    from jobs.io.objects import open_objects

    try:
        with open_objects(settings, timeout=2, attempts=1) as objects:
            try:
                pointer = theirs.recv()
            except EOFError:
                return
            objects.point_at(pointer)
        told = "moved"
    except ForetasteError as error:
        told = f"not moved: {error}"
    with suppress(BrokenPipeError):  # nobody asks any more
        theirs.send(told)


def render(answer: dict[str, Any]) -> str:
    """The answer as a person reads it."""
    return (
        f"live: {answer['version']} of {answer['day']} (was {answer['from']})\n"
        f"pointer in S3: {answer['s3']}\n"
        "The next publication goes live as always; to hold it back, pause foretaste_daily in Airflow.\n"
        "The pages tell of it after the next run, or now: foretaste report"
    )
