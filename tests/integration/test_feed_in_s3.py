"""A feed below an S3 prefix is the feed that the same files are in a folder."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from contracts import names
from contracts.errors import FeedInvalid, ServiceUnreachable, StoreUnfit
from contracts.settings import Settings, load_settings
from jobs.feed_reader import (
    check_feed,
    complete_deliveries,
    is_delivery_complete,
    later_delivery,
    read_description,
)
from jobs.io import commit
from jobs.io.lake import Lake
from jobs.ship import ship
from tests import event_log
from tests.publishing import reset_stores, s3_of
from tests.shop import DAY, NEXT, Shop, event

pytestmark = pytest.mark.integration

PREFIX = "shops/tea"


def upload(settings: Settings, folder: Path, prefix: str = PREFIX) -> None:
    client = s3_of(settings)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        client.upload_file(str(path), settings.s3_bucket, f"{prefix}/{path.relative_to(folder)}")


@pytest.fixture
def folder(tmp_path: Path) -> Shop:
    """A shop that delivers to a folder: two days, the second not complete."""
    shop = Shop(tmp_path / "folder")
    shop.describe(calendar={})
    shop.deliver(DAY, [event(number) for number in range(150)])
    (shop.deliver(NEXT, [event(1000)]).parent / "_SUCCESS").unlink()
    return shop


@pytest.fixture
def in_s3(stores: Settings, folder: Shop, tmp_path: Path) -> Settings:
    """A home whose feed is the same files below a prefix."""
    reset_stores(stores)
    upload(stores, folder.feed)
    keys = ("s3_endpoint_url", "s3_access_key", "s3_secret_key")
    shared = {name: getattr(stores, name) for name in keys}
    return load_settings(home=tmp_path / "home", feed=f"s3://{stores.s3_bucket}/{PREFIX}/", **shared)


def land(settings: Settings, day: date, shop: Shop) -> Shop:
    there = object.__new__(Shop)
    there.settings, there.feed = settings, shop.feed
    there.land(day)
    return there


def test_what_the_api_took_is_shipped_into_s3_once_and_lands_from_there(
    in_s3: Settings, folder: Shop
) -> None:
    day = event_log.DAY
    asyncio.run(event_log.decided(in_s3.home, [event_log.decision("v0001:a")]))
    asyncio.run(event_log.ingested(in_s3.home, [event_log.event(5000)]))
    client, bucket, place = s3_of(in_s3), in_s3.s3_bucket, f"{PREFIX}/events/received={day}"
    client.put_object(Bucket=bucket, Key=f"{place}/events.csv", Body=b"item_id\n")  # the shop is at it
    with pytest.raises(FeedInvalid, match=r"holds another delivery \(events\.csv\)"):
        ship(in_s3, day)
    client.delete_object(Bucket=bucket, Key=f"{place}/events.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "boundary", lambda name: 1 / 0 if name == "feed:object_written" else None)
        with pytest.raises(ZeroDivisionError):
            ship(in_s3, day)
    found = complete_deliveries(in_s3, in_s3.feed_location)
    # The file of events is there, but not _SUCCESS.
    assert [each.kind for each in found if each.received == day] == ["decisions"]
    assert [each["shown"] for each in ship(in_s3, day)] == [2]
    assert ship(in_s3, day) == []
    land(in_s3, day, folder)
    lake = Lake.of(in_s3)
    assert lake.read(names.RAW_EVENTS, day).num_rows == 3
    assert lake.read(names.RAW_DECISIONS, day).column("decision_id").to_pylist() == ["v0001:a"]


def test_what_lands_from_s3_is_what_lands_from_a_folder(in_s3: Settings, folder: Shop) -> None:
    assert check_feed(in_s3.feed_location, in_s3) == []
    folder.land(DAY)
    assert land(in_s3, DAY, folder).digests() == folder.digests() != {}


def test_a_delivery_counts_once_its_success_stands(in_s3: Settings, folder: Shop) -> None:
    assert read_description(in_s3).shop == "Tiny shop"
    assert is_delivery_complete(in_s3, DAY, DAY)
    assert not is_delivery_complete(in_s3, NEXT, DAY)
    assert later_delivery(in_s3, DAY) is None
    assert [each.key for each in complete_deliveries(in_s3, in_s3.feed_location)] == [f"events/{DAY}"]
    (folder.feed / "events" / f"received={NEXT}" / "_SUCCESS").touch()
    upload(in_s3, folder.feed)
    assert is_delivery_complete(in_s3, NEXT, DAY)
    assert later_delivery(in_s3, DAY) == NEXT
    assert [each.received for each in complete_deliveries(in_s3, in_s3.feed_location)] == [DAY, NEXT]
    assert [each.received for each in complete_deliveries(in_s3, in_s3.feed_location, until=DAY)] == [DAY]


def test_what_has_changed_or_gone_in_s3_has_so_here(in_s3: Settings, folder: Shop) -> None:
    (before,) = complete_deliveries(in_s3, in_s3.feed_location)
    digest = before.sha256()
    folder.deliver(DAY, [event(1)])
    folder.deliver(DAY, [event(2)], name="more.csv")
    upload(in_s3, folder.feed)
    (changed,) = complete_deliveries(in_s3, in_s3.feed_location)
    assert changed.sha256() != digest
    s3_of(in_s3).delete_object(Bucket=in_s3.s3_bucket, Key=f"{PREFIX}/events/received={DAY}/more.csv")
    (fewer,) = complete_deliveries(in_s3, in_s3.feed_location)
    assert [path.name for path in fewer.files] == ["events.csv"]


def test_two_shops_in_one_bucket_are_two_feeds(in_s3: Settings, folder: Shop, tmp_path: Path) -> None:
    other = Shop(tmp_path / "other")
    other.deliver(NEXT, [event(5)])
    upload(in_s3, other.feed, "shops/coffee")
    complete_deliveries(in_s3, in_s3.feed_location)
    found = complete_deliveries(in_s3, f"s3://{in_s3.s3_bucket}/shops/coffee")
    assert [each.received for each in found] == [NEXT]


def test_a_folder_within_a_delivery_is_refused_by_name(in_s3: Settings) -> None:
    key = f"{PREFIX}/events/received={DAY}/deep/er.csv"
    s3_of(in_s3).put_object(Bucket=in_s3.s3_bucket, Key=key, Body=b"x")
    with pytest.raises(FeedInvalid, match="deep/er.csv is not a plain file"):
        complete_deliveries(in_s3, in_s3.feed_location)


def test_a_feed_that_is_not_there_and_an_s3_that_says_no_or_nothing_are_told_apart(
    in_s3: Settings, tmp_path: Path
) -> None:
    with pytest.raises(FeedInvalid, match=r"has no feed\.json"):
        read_description(in_s3, f"s3://{in_s3.s3_bucket}/nobody")
    values = {"s3_endpoint_url": in_s3.s3_endpoint_url, "s3_access_key": "somebody", "s3_secret_key": "else"}
    with pytest.raises(StoreUnfit, match="refuses"):
        read_description(load_settings(home=tmp_path / "a", feed=in_s3.feed, **values))
    silent = {**values, "s3_endpoint_url": "http://127.0.0.1:9"}
    with pytest.raises(ServiceUnreachable, match="does not answer"):
        read_description(load_settings(home=tmp_path / "b", feed=in_s3.feed, **silent))
