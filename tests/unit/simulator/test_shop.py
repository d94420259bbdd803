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

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts.feed import EVENT_COLUMNS, EVENT_TYPES, FeedDescription, days_between
from simulator.shop import Shop, ShopConfig

START = date(2026, 1, 5)
SMALL = {"num_users": 150, "num_items": 64, "num_categories": 8, "start": START}
#: People come by more often than usual, so that one day tells something.
BUSY = ShopConfig(
    seed=7, num_users=600, sessions_per_user=0.8, start=START, shift_day=START + timedelta(days=45)
)


@pytest.fixture(scope="module")
def busy() -> Shop:
    return Shop(BUSY)


@pytest.fixture(scope="module")
def busy_day(busy: Shop) -> pa.Table:
    return busy.events_of(START + timedelta(days=20))[0]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(feed: Path, kind: str, day: date) -> list[dict[str, str]]:
    with gzip.open(feed / kind / f"received={day}" / f"{kind}.csv.gz", "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def looked_at(feed: Path, day: date) -> set[str]:
    return {event["item_id"] for event in rows_of(feed, "events", day) if event["event_type"] == "view"}


def everything(shop: Shop, offset: int, published: Mapping[str, Sequence[str]] | None = None) -> Any:
    """What happens on a day, whenever it is delivered."""
    now, held_back = shop.events_of(START + timedelta(days=offset), published, "v0001")
    return pa.concat_tables([now, held_back.drop_columns("due")]).to_pandas()


def views_of(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table["event_type"], "view"))


def category_shares(shop: Shop, first: int, last: int) -> np.ndarray:
    category_of = dict(
        zip(shop.catalogue.item_ids_N.tolist(), shop.catalogue.category_N.tolist(), strict=True)
    )
    counts = np.zeros(BUSY.num_categories)
    for offset in range(first, last):
        table = views_of(shop.events_of(START + timedelta(days=offset))[0])
        for item in table["item_id"].to_pylist():
            counts[category_of[item]] += 1
    return counts / counts.sum()


def divergence(left: np.ndarray, right: np.ndarray) -> float:
    """Jensen-Shannon, in bits."""
    middle = (left + right) / 2
    return float(sum(np.sum(part * np.log2(part / middle)) for part in (left, right)) / 2)


# Determinism


def test_one_day_after_the_other_gives_the_same_bytes_in_fresh_shops(tmp_path: Path) -> None:
    days = days_between(START, START + timedelta(days=3))
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
    first, second = (Shop(ShopConfig(seed=seed, **SMALL)).events_of(START)[0] for seed in (3, 4))
    assert not first.equals(second)


def test_a_shift_leaves_the_days_before_it_alone() -> None:
    shifting = Shop(ShopConfig(seed=3, shift_day=START + timedelta(days=5), **SMALL))
    steady = Shop(ShopConfig(seed=3, **SMALL))
    assert shifting.events_of(START + timedelta(days=4))[0].equals(
        steady.events_of(START + timedelta(days=4))[0]
    )
    assert not shifting.events_of(START + timedelta(days=5))[0].equals(
        steady.events_of(START + timedelta(days=5))[0]
    )


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
    days = days_between(START, START + timedelta(days=6))
    for day in days:
        shop.deliver(tmp_path / "feed", day)
    happened: Counter[str] = Counter()
    delivered: Counter[str] = Counter()
    for day in days:
        now, held_back = shop.events_of(day)
        happened.update(now["event_id"].to_pylist())
        due = held_back.filter(pc.less_equal(held_back["due"], pa.scalar(days[-1])))
        happened.update(due["event_id"].to_pylist())
        delivered.update({event["event_id"] for event in rows_of(tmp_path / "feed", "events", day)})
    assert delivered == happened
    late = [
        event
        for event in rows_of(tmp_path / "feed", "events", days[5])
        if event["occurred_at"][:10] < str(days[5])
    ]
    assert late
    assert {event["occurred_at"][:10] for event in late} == {str(days[4])}


def test_items_come_change_and_sell_out_as_told(tmp_path: Path) -> None:
    shop = Shop(ShopConfig(seed=7, start=START))
    catalogue = shop.catalogue
    coming = int(np.flatnonzero(catalogue.on_sale_from_N > 5)[0])
    ending = int(np.flatnonzero(catalogue.sold_out_N < 80)[0])
    day = START + timedelta(days=int(catalogue.sold_out_N[ending]))
    announced = START + timedelta(days=int(catalogue.on_sale_from_N[coming]) - 3)
    for when in (announced, day):
        shop.deliver(tmp_path / "feed", when)
    sold_out = {row["item_id"]: row for row in rows_of(tmp_path / "feed", "items", day)}
    assert sold_out[catalogue.item_ids_N[ending]]["available_until"] == f"{day}T00:00:00Z"
    new = {row["item_id"]: row for row in rows_of(tmp_path / "feed", "items", announced)}
    assert new[catalogue.item_ids_N[coming]]["available_from"] == f"{announced + timedelta(days=3)}T00:00:00Z"
    assert catalogue.item_ids_N[coming] not in looked_at(tmp_path / "feed", announced)
    assert catalogue.item_ids_N[ending] not in looked_at(tmp_path / "feed", day)


# Does it look like a shop?


def test_sessions_are_as_long_and_as_quick_as_measured(busy_day: pa.Table) -> None:
    views = views_of(busy_day).to_pandas()
    lengths = views.groupby("session_id").size()
    assert lengths.median() == pytest.approx(4, abs=1)
    assert 5 <= lengths.mean() <= 7
    assert 9 <= lengths.quantile(0.9) <= 16
    views["at"] = views["occurred_at"].astype("datetime64[ns, UTC]")
    seconds = views.sort_values("at").groupby("session_id")["at"].diff().dropna().dt.total_seconds()
    assert 38 <= seconds.median() <= 54
    has_repeat = views.groupby("session_id")["item_id"].nunique() < lengths
    assert 0.1 <= has_repeat.mean() <= 0.37


def test_people_stay_in_a_category_and_some_items_are_popular(busy: Shop, busy_day: pa.Table) -> None:
    views = views_of(busy_day).to_pandas().sort_values(["session_id", "occurred_at"])
    categories = dict(
        zip(busy.catalogue.item_ids_N.tolist(), busy.catalogue.category_N.tolist(), strict=True)
    )
    views["category"] = views["item_id"].map(categories)
    is_next = views["session_id"] == views["session_id"].shift()
    assert (views["category"] == views["category"].shift())[is_next].mean() == pytest.approx(0.8, abs=0.06)
    counts = np.sort(views["item_id"].value_counts().to_numpy())
    gini = 1 - 2 * float(np.mean(np.cumsum(counts) / counts.sum()))
    assert 0.45 <= gini <= 0.75


def test_about_one_session_in_seven_is_anonymous(busy_day: pa.Table) -> None:
    sessions = views_of(busy_day).to_pandas().groupby("session_id")["user_id"].first()
    assert sessions.isna().mean() == pytest.approx(0.15, abs=0.04)


def test_people_buy_what_was_in_their_cart_and_orders_carry_services(busy: Shop) -> None:
    events = everything(busy, 20)
    counts = events["event_type"].value_counts()
    assert 0.03 < counts["cart"] / counts["view"] < 0.15
    carts = events[events["event_type"] == "cart"]
    bought = events[(events["event_type"] == "purchase") & ~events["item_id"].isin(["postage", "gift-wrap"])]
    assert set(zip(bought["session_id"], bought["item_id"], strict=True)) <= set(
        zip(carts["session_id"], carts["item_id"], strict=True)
    )
    assert events["item_id"].isin(["postage", "gift-wrap"]).sum() > 0
    assert (bought["unit_price"] > 0).all()


def test_taste_shifts_on_its_day_and_only_then(busy: Shop) -> None:
    before, still_before, after = (category_shares(busy, *days) for days in ((35, 40), (40, 45), (45, 50)))
    assert divergence(before, still_before) < 0.01
    assert divergence(before, after) > 0.06


# What is published comes back


def favourites(shop: Shop, offset: int) -> Mapping[str, Sequence[str]]:
    """For everyone the items that they looked at most lately, best first."""
    seen: dict[str, Counter[str]] = {}
    for day in range(offset - 15, offset):
        views = views_of(shop.events_of(START + timedelta(days=day))[0])
        for user, item in zip(views["user_id"].to_pylist(), views["item_id"].to_pylist(), strict=True):
            if user:
                seen.setdefault(user, Counter())[item] += 1
    return {user: [item for item, _ in counts.most_common(20)] for user, counts in seen.items()}


def test_people_see_the_first_ten_places_of_their_list_and_click_the_upper_ones(busy: Shop) -> None:
    published = favourites(busy, 40)
    events = everything(busy, 40, published)
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


def test_lists_that_suit_are_clicked_more_often_and_less_after_the_shift(busy: Shop) -> None:
    personal = favourites(busy, 40)
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


@pytest.mark.parametrize(
    "wrong", [{"num_categories": 1}, {"num_categories": 25}, {"num_items": 20}, {"shift_day": START}]
)
def test_a_shop_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ShopConfig"):
        ShopConfig(**{"seed": 1, "start": START, **wrong})
