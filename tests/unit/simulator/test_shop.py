"""The simulated shop: the same seed gives the same days, and days look like those of real shops."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts.feed import EVENT_COLUMNS, EVENT_TYPES, FeedDescription, days_between
from simulator.incidents import TasteShift
from simulator.people import user_id
from simulator.shelf import item_rows
from simulator.shop import Shop, ShopConfig

START = date(2026, 1, 5)
SMALL = {"num_users": 150, "num_items": 64, "num_categories": 8, "start": START}
#: People come by more often than usual, so that one day tells something.
BUSY = ShopConfig(
    seed=7,
    num_users=600,
    sessions_per_user=0.8,
    start=START,
    incidents=(TasteShift(START + timedelta(days=45)),),
)


@pytest.fixture(scope="module")
def busy() -> Shop:
    return Shop(BUSY)


@pytest.fixture(scope="module")
def busy_day(busy: Shop) -> pa.Table:
    return busy.live(START + timedelta(days=20)).now


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(feed: Path, kind: str, day: date) -> list[dict[str, str]]:
    with gzip.open(feed / kind / f"received={day}" / f"{kind}.csv.gz", "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def everything(shop: Shop, offset: int, published: Mapping[str, Sequence[str]] | None = None) -> Any:
    """What happens on a day, whenever it is delivered."""
    lived = shop.live(START + timedelta(days=offset), published, "v0001")
    return pa.concat_tables([lived.now, lived.held_back.drop_columns("due")]).to_pandas()


def views_of(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table["event_type"], "view"))


# Determinism


def test_one_day_after_the_other_gives_the_same_bytes_in_fresh_shops(tmp_path: Path) -> None:
    days = days_between(START, START + timedelta(days=2))
    shop = Shop(ShopConfig(seed=3, **SMALL))
    for day in days:
        shop.deliver(tmp_path / "one" / "feed", day)
    for day in days:
        Shop(ShopConfig(seed=3, **SMALL)).deliver(tmp_path / "many" / "feed", day)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "many")


def test_delivering_a_day_again_changes_no_byte(tmp_path: Path) -> None:
    shop = Shop(ShopConfig(seed=3, **SMALL))
    for day in (START, START + timedelta(days=1)):
        shop.deliver(tmp_path / "feed", day)
    before = files_of(tmp_path)
    shop.deliver(tmp_path / "feed", START + timedelta(days=1))
    assert files_of(tmp_path) == before


def test_another_seed_gives_another_shop() -> None:
    first, second = (Shop(ShopConfig(seed=seed, **SMALL)).live(START).now for seed in (3, 4))
    assert not first.equals(second)


# The feed


def test_a_delivery_follows_the_contract(tmp_path: Path) -> None:
    shop = Shop(ShopConfig(seed=3, **SMALL))
    feed = tmp_path / "feed"
    told = shop.deliver(feed, START)
    description = FeedDescription(**json.loads((feed / "feed.json").read_text()))
    assert description.expects_delivery(START)
    events = rows_of(feed, "events", START)
    assert len(events) == told["events"]
    assert tuple(events[0]) == EVENT_COLUMNS
    assert {event["event_type"] for event in events} <= set(EVENT_TYPES)
    assert all(
        event["occurred_at"].startswith(f"{START}T") and event["occurred_at"].endswith("Z")
        for event in events
    )
    items = {item["item_id"] for item in rows_of(feed, "items", START)}
    users = {user["user_id"] for user in rows_of(feed, "users", START)}
    assert {event["item_id"] for event in events} <= items | set(description.service_items)
    assert {event["user_id"] for event in events} <= users | {""}


def test_only_exact_repeats_share_an_id(tmp_path: Path) -> None:
    shop = Shop(ShopConfig(seed=7, num_users=600, sessions_per_user=0.8, start=START))
    told = shop.deliver(tmp_path / "feed", START)
    events = [tuple(event.values()) for event in rows_of(tmp_path / "feed", "events", START)]
    assert told["repeated"] > 0
    assert len(events) - len({event[0] for event in events}) == told["repeated"]
    assert len({event[0] for event in events}) == len(set(events))


def test_what_is_held_back_arrives_on_its_day_and_nothing_is_lost(tmp_path: Path) -> None:
    shop = Shop(ShopConfig(seed=3, **SMALL))
    days = days_between(START, START + timedelta(days=4))
    for day in days:
        shop.deliver(tmp_path / "feed", day)
    happened: Counter[str] = Counter()
    delivered: Counter[str] = Counter()
    for day in days:
        lived = shop.live(day)
        happened.update(lived.now["event_id"].to_pylist())
        due = lived.held_back.filter(pc.less_equal(lived.held_back["due"], pa.scalar(days[-1])))
        happened.update(due["event_id"].to_pylist())
        delivered.update({event["event_id"] for event in rows_of(tmp_path / "feed", "events", day)})
    assert delivered == happened
    late = [
        event
        for event in rows_of(tmp_path / "feed", "events", days[3])
        if event["occurred_at"][:10] < str(days[3])
    ]
    assert late
    assert {event["occurred_at"][:10] for event in late} == {str(days[2])}


# What is published comes back


def favourites(shop: Shop, offset: int) -> Mapping[str, Sequence[str]]:
    """For everyone the items that they looked at most lately, best first."""
    seen: dict[str, Counter[str]] = {}
    for day in range(offset - 5, offset):
        views = views_of(shop.live(START + timedelta(days=day)).now)
        for user, item in zip(views["user_id"].to_pylist(), views["item_id"].to_pylist(), strict=True):
            if user:
                seen.setdefault(user, Counter())[item] += 1
    return {user: [item for item, _ in counts.most_common(20)] for user, counts in seen.items()}


@pytest.fixture(scope="module")
def personal(busy: Shop) -> Mapping[str, Sequence[str]]:
    return favourites(busy, 44)


def test_people_see_the_first_ten_places_of_their_list_and_click_the_upper_ones(
    busy: Shop, personal: Mapping[str, Sequence[str]]
) -> None:
    published = personal
    events = everything(busy, 44, published)
    shown = events[events["event_type"] == "impression"]
    assert len(shown) > 1000
    for row in shown.head(500).itertuples():
        assert published[row.user_id][int(row.position) - 1] == row.item_id
        assert (row.surface, row.decision_id) == ("home", f"v0001:{row.user_id}")
    assert shown["position"].max() == 10
    clicks = events[(events["event_type"] == "view") & (events["surface"] == "home")]
    by_place = clicks["position"].value_counts()
    assert by_place[1] > 2 * by_place[3]
    assert set(zip(clicks["session_id"], clicks["item_id"], strict=True)) <= set(
        zip(shown["session_id"], shown["item_id"], strict=True)
    )
    assert 0.1 < len(clicks) / (events["event_type"] == "view").sum() < 0.3


def test_lists_that_suit_are_clicked_more_often_and_less_after_the_shift(
    busy: Shop, personal: Mapping[str, Sequence[str]]
) -> None:
    everybody = [
        item for item, _ in Counter(item for items in personal.values() for item in items).most_common(20)
    ]

    def clicks(offset: int, published: Mapping[str, Sequence[str]]) -> float:
        events = everything(busy, offset, published)
        is_click = (events["event_type"] == "view") & (events["surface"] == "home")
        return float(is_click.sum() / (events["event_type"] == "impression").sum())

    assert clicks(44, personal) > 1.5 * clicks(44, dict.fromkeys(personal, everybody))
    assert clicks(45, personal) < 0.6 * clicks(44, personal)


def test_nobody_sees_a_list_before_there_is_one(busy_day: pa.Table) -> None:
    assert "impression" not in busy_day["event_type"].to_pylist()
    assert busy_day["surface"].null_count == len(busy_day)


def test_people_and_items_are_told_of_before_anything_happens_to_them(tmp_path: Path) -> None:
    shop = Shop(ShopConfig(seed=3, **SMALL))
    items: set[str] = set()
    users: set[str] = set()
    days = days_between(START, START + timedelta(days=40))
    for day in [*days[:3], *days[-3:]]:
        shop.deliver(tmp_path / "feed", day)
    for day in days:
        items |= {row[0] for row in item_rows(shop.config, shop.catalogue(day), day)}
        users |= {user_id(number) for number in shop.people(day).joining((day - START).days).tolist()}
    for day in days[-3:]:
        events = rows_of(tmp_path / "feed", "events", day)
        assert {event["item_id"] for event in events} <= items | {"postage", "gift-wrap"}
        assert {event["user_id"] for event in events} <= users | {""}


@pytest.mark.parametrize(
    "wrong",
    [{"num_categories": 1}, {"num_categories": 25}, {"num_items": 20}, {"incidents": (TasteShift(START),)}],
)
def test_a_shop_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ShopConfig|after the shop's first day"):
        ShopConfig(**{"seed": 1, "start": START, **wrong})
