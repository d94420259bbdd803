"""What a feed can and cannot support: counted over what the landing would take in, and which model to begin with."""

from __future__ import annotations

from typing import Any

from contracts.settings import Settings
from jobs.audit.advice import advise
from jobs.audit.catalogue import catalogue_of, concentration_of
from jobs.audit.load import loaded
from jobs.audit.people import cold_of, feedback_of, people_of, repeats_of, volume_of
from jobs.audit.times import clock_of
from jobs.audit.warnings import warnings_of

Record = dict[str, Any]


def audit(location: str, settings: Settings) -> Record:
    """Everything that is said of a feed, as values that JSON can hold; a number that there is no ground for is None.

    Raises:
        FeedInvalid: there is no ``feed.json``, or it says something impossible.
        ServiceUnreachable, StoreUnfit: the feed lies in S3, which does not answer or refuses.
    """
    with loaded(location, settings) as feed:
        volume = volume_of(feed.engine)
        found: Record = {
            "shop": feed.description.shop,
            "feed": location,
            "clock_kind": feed.description.clock,
            "repeats_allowed": feed.description.repeats_allowed,
            "deliveries": feed.deliveries,
            "accounts": feed.accounts,
            "unreadable": feed.unreadable,
            "refusals": feed.refusals,
            "volume": volume,
            "clock": clock_of(feed.engine, feed.description),
            "feedback": feedback_of(feed.engine),
            "people": people_of(feed.engine, feed.description),
            "cold": cold_of(feed.engine, feed.description),
            "repeats": repeats_of(feed.engine),
            "catalogue": catalogue_of(feed.engine),
            "concentration": concentration_of(feed.engine),
        }
    found["advice"] = advise(found, min_people=settings.promote_min_users)
    found["warnings"] = warnings_of(found)
    return found
