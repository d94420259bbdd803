"""Whoever has withdrawn is served no more, from any version: not when the day is refused, not after a rollback."""

from __future__ import annotations

import io
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from contracts import names
from contracts.consent import ALWAYS, ANYBODY, NEVER, digest_of_user
from contracts.errors import DayRefused, ServiceUnreachable
from contracts.settings import Settings
from jobs.io.state import LANDINGS, State
from jobs.published_features import published_features
from jobs.published_features import render as render_features
from jobs.recommend import recommend, render
from jobs.rollback import rollback
from jobs.runs import StepContext
from jobs.without_user import rewrite_without
from simulator.published import read_published
from tests.publishing import DAY, NOW, NUM_USERS, publish_new, redis_of, s3_of
from tests.replaying import replayed
from tests.shop import Shop, event

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NEXT, THIRD, FOURTH = (DAY + timedelta(days=number) for number in (1, 2, 3))


@pytest.fixture
def feed(shop: Settings) -> Shop:
    """What is delivered to the home that publishes."""
    return Shop(shop.home)


def word(user: str, granted: bool, at: str) -> dict[str, str]:
    return {"user_id": user, "purpose": "personalization", "granted": str(granted).lower(), "at": at}


def served(settings: Settings, user: str) -> tuple[str, bool, str, set[str]]:
    """Where a user's list comes from, whether the user is known, why it is withheld, and what becomes of the features."""
    told = recommend(settings, user, 10)
    features = published_features(settings, "user_id", user, NEXT)
    assert features["withheld"] == told["withheld"]
    return (
        told["source"],
        told["is_known"],
        told["withheld"],
        {feature["status"] for feature in features["features"]} & {"fresh", "withheld"},
    )


OWN = ("personal", True, "", {"fresh"})
WITHDRAWN = ("popular", False, "consent was withdrawn", {"withheld"})


def in_s3(settings: Settings) -> dict[str, str]:
    found = s3_of(settings).get_object(Bucket=settings.s3_bucket, Key=names.PUBLISHED_CONSENT)["Body"].read()
    rows = pq.read_table(io.BytesIO(found)).to_pylist()
    return {row["user_sha256"]: row["served_from"] for row in rows}


def in_redis(settings: Settings) -> dict[str, str]:
    held = {key.decode(): day.decode() for key, day in redis_of(settings).hgetall(names.CONSENT_KEY).items()}
    assert held.pop(names.CONSENT_MARK)
    return held


def test_a_withdrawal_takes_effect_though_its_day_is_refused_and_after_a_rollback(
    shop: Settings, feed: Shop
) -> None:
    feed.deliver(DAY, [event(1)])
    feed.deliver(
        DAY,
        [{"alias_id": "u0009", "user_id": "u0007", "linked_at": "2011-03-01T08:00:00Z"}],
        "links.csv",
        "identities",
    )
    feed.land()
    for day in (DAY, NEXT):
        publish_new(shop, day)
    assert served(shop, "u0007") == served(shop, "u0009") == OWN
    assert in_redis(shop) == in_s3(shop) == {ANYBODY: ALWAYS}

    feed.deliver(THIRD, [event(2, event_type="nonsense")])
    feed.deliver(THIRD, [word("u0009", False, "2011-03-03T10:00:00Z")], "consents.csv", "consents")
    with pytest.raises(DayRefused):
        feed.land(THIRD)
    assert served(shop, "u0007") == served(shop, "u0009") == WITHDRAWN
    assert served(shop, "u0008") == OWN
    # Earlier days are landed, or run again, without the refused word: they do not take it back.
    assert feed.land()["unchanged"]
    feed.deliver(NEXT, [word("u0006", False, "2011-03-02T10:00:00Z")], "consents.csv", "consents")
    feed.land(NEXT, accept="no events")
    assert served(shop, "u0007") == served(shop, "u0009") == served(shop, "u0006") == WITHDRAWN
    assert rollback(shop, None, NOW)["day"] == str(DAY)
    assert served(shop, "u0007") == served(shop, "u0009") == WITHDRAWN
    denied = {digest_of_user(each): NEVER for each in ("u0006", "u0007", "u0009")}
    assert in_redis(shop) == in_s3(shop) == {ANYBODY: ALWAYS, **denied}
    assert "list is withheld: consent was withdrawn." in render(recommend(shop, "u0007", 3))
    told = render_features(published_features(shop, "user_id", "u0007", NEXT))
    assert "All of it is withheld: consent was withdrawn." in told
    published = read_published(shop)
    assert published is not None
    assert len(published.lists) == NUM_USERS - 3
    assert published_features(shop, "item_id", "i001", NEXT)["withheld"] == ""


def test_consent_that_is_granted_again_is_served_by_what_knew_of_the_withdrawal_in_time(
    shop: Settings, feed: Shop
) -> None:
    feed.deliver(DAY, [event(1)])
    feed.land()
    publish_new(shop, DAY)
    publish_new(shop, NEXT)
    # Known on the third day; the version of the second has used what happened after it.
    feed.deliver(THIRD, [word("u0007", False, "2011-03-02T10:00:00Z")], "consents.csv", "consents")
    feed.land(THIRD, accept="no events")
    assert served(shop, "u0007") == WITHDRAWN
    feed.deliver(FOURTH, [word("u0007", True, "2011-03-04T10:00:00Z")], "consents.csv", "consents")
    feed.land(FOURTH, accept="no events")
    assert served(shop, "u0007")[:3] == (
        "popular",
        False,
        f"consent had been withdrawn, and what was made before {THIRD} may have used what it must not",
    )
    publish_new(shop, FOURTH)
    assert served(shop, "u0007")[:3] == OWN[:3]
    assert rollback(shop, None, NOW)["day"] == str(NEXT)
    assert served(shop, "u0007")[0] == "popular"


def test_where_silence_denies_only_who_has_granted_is_served(shop: Settings, feed: Shop) -> None:
    feed.deliver(DAY, [event(1)])
    feed.land()
    publish_new(shop, DAY)
    feed.describe(missing_consent="denied")
    feed.deliver(NEXT, [word("u0007", True, "2011-03-01T00:00:00Z")], "consents.csv", "consents")
    feed.land(NEXT, accept="no events")
    assert served(shop, "u0008")[2] == recommend(shop, "nobody", 3)["withheld"] == "no consent was given"
    assert served(shop, "u0007")[0] == "popular"  # the live version has used what silence allowed
    publish_new(shop, NEXT)
    assert served(shop, "u0007")[:3] == OWN[:3]


def test_a_store_that_was_not_told_stops_the_landing_and_the_next_one_tells_both(
    shop: Settings, feed: Shop
) -> None:
    feed.deliver(DAY, [event(1), event(2, user_id="u0007")])
    feed.deliver(DAY, [word("u0007", False, "2011-03-01T10:00:00Z")], "consents.csv", "consents")
    whole, nowhere = feed.settings, feed.settings.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:1"})
    feed.settings = nowhere
    with pytest.raises(ServiceUnreachable):
        feed.land()
    assert redis_of(shop).hget(names.CONSENT_KEY, digest_of_user("u0007")) == NEVER.encode()
    assert State.of(shop).all(LANDINGS) == {}
    feed.settings = whole
    feed.land()
    assert in_redis(shop) == in_s3(shop) == {ANYBODY: ALWAYS, digest_of_user("u0007"): NEVER}
    # A store that has forgotten is told again by a landing that has nothing to do.
    redis_of(shop).delete(names.CONSENT_KEY)
    assert feed.land()["unchanged"]
    assert in_redis(shop) == in_s3(shop)
    # Told to one store alone, and taken back.
    taken_back = feed.deliver(
        NEXT, [word("u0008", False, "2011-03-02T10:00:00Z")], "consents.csv", "consents"
    )
    feed.settings = nowhere
    with pytest.raises(ServiceUnreachable):
        feed.land(NEXT)
    (taken_back.parent / "_SUCCESS").unlink()
    feed.settings = whole
    feed.land(NEXT, accept="no events")
    assert in_redis(shop) == in_s3(shop) == {ANYBODY: ALWAYS, digest_of_user("u0007"): NEVER}


def test_a_word_that_is_replayed_is_told(shop: Settings, feed: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    feed.deliver(DAY, [event(1)])
    feed.deliver(DAY, [word("u0007", False, "2011-03-01T10:00:00Z")], "consents.csv", "consents")
    with monkeypatch.context() as patch:
        patch.setattr("jobs.landing.checks.MOST_BYTES", len("u0007") - 1)
        feed.land(accept="the word is too long")
    publish_new(shop, DAY)
    assert served(shop, "u0007") == OWN
    whole = feed.settings
    feed.settings = whole.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1")})
    with pytest.raises(ServiceUnreachable):
        replayed(feed)
    feed.settings = whole
    assert replayed(feed)["good"] == 0  # it has landed, and is told now
    assert served(shop, "u0007") == WITHDRAWN


def test_what_an_erased_user_had_denied_goes_on_being_told_and_nothing_of_others(
    shop: Settings, feed: Shop
) -> None:
    feed.deliver(DAY, [event(1, user_id="u0007"), event(2, user_id="u0008")])
    feed.land()
    publish_new(shop, DAY)
    words = [word("u0007", False, "2011-03-02T10:00:00Z"), word("u0008", False, "2011-03-01T10:00:00Z")]
    words.append(word("u0008", True, "2011-03-02T10:00:00Z"))
    feed.deliver(NEXT, words, "consents.csv", "consents")
    feed.land(NEXT, accept="no events")
    u0007, u0008 = map(digest_of_user, ("u0007", "u0008"))
    assert in_redis(shop) == in_s3(shop) == {ANYBODY: ALWAYS, u0007: NEVER, u0008: str(NEXT)}
    with State.of(shop).lease("test", "erase", 60, is_last=True) as lease:
        rewrite_without(["u0007", "u0008"], StepContext.of(shop, lease))
    assert in_redis(shop) == in_s3(shop) == {ANYBODY: ALWAYS, u0007: NEVER}
    assert served(shop, "u0007") == WITHDRAWN
