"""What is left of an erased person who had said no: a digest, so that the next event is not used either."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime

from contracts.consent import digest_of_user
from jobs.io.state import DENIALS, State
from jobs.people import People


def denials_of_erased(state: State) -> dict[str, datetime]:
    """When erased users had last said no, by their digests."""
    return {
        digest: datetime.fromisoformat(record["said_at"]) for digest, record in state.all(DENIALS).items()
    }


def keep_denials(user_ids: Iterable[str], people: People, known: date, state: State) -> None:
    """Of each id whose person's latest word is no, keep that; of every other keep nothing.

    Args:
        known: the first day whose run knows of the erasure.
    """
    for user_id in user_ids:
        said_at = people.denied_at(user_id)
        kept = {"said_at": said_at.isoformat(), "known_date": known.isoformat()} if said_at else None
        state.change(DENIALS, digest_of_user(user_id), _put(kept))


def _put(record: dict[str, str] | None) -> Callable[[object], dict[str, str] | None]:
    return lambda _: record
