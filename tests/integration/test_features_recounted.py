"""The features of a small random shop, counted again from its deliveries: plainly, one user and one item at a time."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from contracts import names
from contracts.feed import days_between
from contracts.settings import Settings, load_settings
from contracts.tables import RAW_EVENTS, RAW_ITEMS, RAW_USERS, TABLES
from jobs import transform
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import open_warehouse
from jobs.runs import StepContext
from tests.integration.test_transform import table_of

pytestmark = pytest.mark.integration

Row = dict[str, Any]
FIRST, LAST = date(2011, 1, 1), date(2011, 4, 20)
FEATURE_DAYS = days_between(LAST - timedelta(days=3), LAST)
M = 1_000_000
KINDS = {"view": 50, "cart": 15, "purchase": 15, "return": 6, "rating": 8, "impression": 6}


def shop(rng: random.Random) -> tuple[list[Row], list[Row], list[Row]]:
    """Events, items and users: late, anonymous, without prices, of items that come later or change."""

    def maybe(value: Any, chance: float = 0.8) -> Any:
        return value if rng.random() < chance else None

    items = []
    for number in range(14):
        told = FIRST + timedelta(days=0 if number < 11 else 30 * (number - 10))
        until = datetime(2011, 4, 25) if number == 3 else datetime(2011, 4, 1) if number == 4 else None
        item = {
            "item_id": f"i{number:02d}",
            "title": f" Thing {number}  of a set" if number % 3 else "Thing",
            "category": None if number == 10 else f"c{number % 3}",
            "brand": maybe(f"b{number % 4}"),
            "price_cents": maybe(rng.randrange(100, 900)),
            "available_from": datetime(2011, 1, 5, 7) if number == 2 else None,
            "available_until": until,
        }
        items.append(item | {"received_date": told, "known_date": told})
        if number % 4 == 0:
            # … and what it is from a later day on, some at the edges of the windows
            on = LAST - timedelta(days={0: 27, 4: 28, 8: 0}.get(number, 40))
            changed = {"price_cents": rng.randrange(100, 900), "category": f"c{rng.randrange(4)}"}
            on = max(on, told + timedelta(days=1))
            items.append(item | changed | {"received_date": on, "known_date": on})
    users = [f"u{number:02d}" for number in range(15)]
    events = []
    for number in range(1500):
        user = rng.choice([*users, None])
        # Some people come rarely, or have long gone.
        days = (LAST - FIRST).days - (rng.choice([85, 89, 90, 91]) if user in users[:3] else 0)
        day = FIRST + timedelta(days=rng.randrange(days + 1))
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        known = day + timedelta(days=rng.choice([0, 0, 0, 0, 1, 7]))
        at = datetime(day.year, day.month, day.day, rng.randrange(24), rng.randrange(60), rng.randrange(60))
        priced = kind in ("purchase", "return")
        events.append(
            {
                "event_id": f"e{number:04d}",
                "user_id": user,
                "item_id": f"i{rng.randrange(14):02d}",
                "event_type": kind,
                "occurred_at": at.replace(microsecond=rng.randrange(M)),
                "event_date": day,
                # Named: what is derived where the shop names none is tried beside its model.
                "session_id": f"{user}/{day.toordinal() // 3}/{rng.randrange(2)}",
                "quantity": maybe(rng.randrange(1, 4)) if priced else None,
                "unit_price_cents": maybe(rng.randrange(50, 900)) if priced else None,
                "value": maybe(rng.randrange(0, 13) / 2) if kind == "rating" else None,
                "dwell_ms": maybe(rng.randrange(60_000), 0.4) if kind == "view" else None,
                "received_date": known,
                "known_date": known,
            }
        )
    created = datetime(2011, 3, 1, 12)
    accounts = [
        {"user_id": user, "created_at": created, "received_date": FIRST, "known_date": FIRST}
        for user in users[::4]
    ]
    return events, items, accounts


# The shop, counted plainly


class Recount:
    """What was known at the end of a day."""

    def __init__(self, events: list[Row], items: list[Row], accounts: list[Row], day: date) -> None:
        self.day = day
        self.accounts = {row["user_id"]: row["created_at"].date() for row in accounts}
        self.versions: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(items, key=lambda row: row["known_date"]):
            self.versions[row["item_id"]].append(row)
        self.items = {item: found for item in sorted(self.versions) if (found := self.item(item, day))}
        everything = [self.catalogued(event) for event in events if event["event_type"] != "impression"]
        self.events = [
            event for event in everything if event["known_date"] <= day and event["event_date"] <= day
        ]

    def item(self, item: str, day: date) -> Row | None:
        known = [version for version in self.versions[item] if version["known_date"] <= day]
        return known[-1] if known else None

    def catalogued(self, event: Row) -> Row:
        first = self.versions[event["item_id"]][0]
        version = self.item(event["item_id"], event["known_date"]) or first
        kind, price, quantity = event["event_type"], event["unit_price_cents"], event["quantity"] or 1
        weight = {"view": 1, "cart": 3, "purchase": 5, "return": -5, "rating": 0}[kind]
        if kind == "view" and (event["dwell_ms"] or 0) >= 30_000:
            weight = 2
        if kind == "rating" and event["value"] is not None:
            stars = max(-2.0, min(2.0, event["value"] - 3))
            weight = int(abs(stars) + 0.5) * (1 if stars > 0 else -1)
        revenue = {"purchase": 1, "return": -1}.get(kind, 0)
        return {
            **event,
            "known_date": max(event["known_date"], first["known_date"]),
            "category": version["category"],
            "brand": version["brand"],
            "weight": weight,
            "age": (self.day - event["event_date"]).days,
            "revenue": None if revenue and price is None else revenue * quantity * (price or 0),
            "paid_quantity": quantity if kind == "purchase" and price is not None else 0,
            "price": version["price_cents"] if price is None else price,
        }

    def users(self) -> Iterator[tuple[str, list[Row]]]:
        by_user = defaultdict(list)
        for event in self.events:
            if event["user_id"] and event["age"] < 90:
                by_user[event["user_id"]].append(event)
        yield from by_user.items()

    def categories(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for item in self.items.values():
            if item["category"]:
                found[item["category"]].append(item)
        return found

    def mean_price(self, category: str | None) -> int | None:
        prices = [item["price_cents"] for item in self.categories().get(category or "", [])]
        prices = [price for price in prices if price is not None]
        return sum(prices) // len(prices) if prices else None


def share(part: int | None, whole: int | None) -> int | None:
    return part * M // whole if part is not None and whole else None


def mean(values: Iterable[int]) -> int | None:
    values = list(values)
    return sum(values) // len(values) if values else None


def decay(age: int, half_life: int = 14) -> int:
    return int(M * 0.5 ** (age / half_life) + 0.5)


def of(events: list[Row], kind: str, days: int = 90) -> list[Row]:
    return [event for event in events if event["event_type"] == kind and event["age"] < days]


def smoothed(part: int, whole: int, shop_part: int, shop_whole: int, strength: int) -> int:
    return (part * M + strength * (share(shop_part, shop_whole) or 0)) // (whole + strength)


def tastes(events: list[Row], kind: str) -> dict[str, int]:
    weights: dict[str, int] = defaultdict(int)
    for event in events:
        if event[kind]:
            weights[event[kind]] += max(event["weight"], 0) * decay(event["age"])
    return weights


def diversity(events: list[Row], kind: str) -> int | None:
    weights = tastes(events, kind).values()
    squares = share(sum(weight * weight for weight in weights), sum(weights) ** 2)
    return None if squares is None else M - squares


def user_features(shop: Recount) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for user, events in shop.users():
        first = min(event["event_date"] for event in shop.events if event["user_id"] == user)
        tenure = max((shop.day - shop.accounts.get(user, first)).days, 0)
        recent = [event for event in events if event["age"] < 28]
        sessions = defaultdict(list)
        for event in recent:
            if event["session_id"]:
                sessions[event["session_id"]].append(
                    (event["occurred_at"] - datetime(1970, 1, 1)) // timedelta(seconds=1)
                )
        starts = [min(session) for session in sessions.values()]
        purchases, returns = of(events, "purchase"), of(events, "return")
        paid = [event for event in purchases if event["revenue"] is not None]
        orders = {event["event_date"] for event in purchases}
        item_days = {(event["item_id"], event["event_date"]) for event in recent}
        active_days = len({event["event_date"] for event in recent})
        levels: dict[str, list[int]] = defaultdict(list)
        for event in events:
            comparable = event["event_type"] in ("view", "cart", "purchase") and event["price"] is not None
            if comparable and event["category"] and shop.mean_price(event["category"]):
                levels[event["category"]].append(event["price"])
        level = sum(share(sum(prices), shop.mean_price(name)) or 0 for name, prices in levels.items())
        num_levels = sum(map(len, levels.values()))
        found[user] = {
            "recency_days": min(event["age"] for event in events),
            "days_since_purchase": min((event["age"] for event in purchases), default=None),
            "tenure_days": tenure,
            "active_days_28d": active_days,
            "orders_90d": len(orders),
            "purchase_velocity_micros": len(orders) * 28 * M // min(tenure + 1, 90),
            "purchase_trend_micros": share(len(of(events, "purchase", 28)), len(of(events, "purchase", 56))),
            "activity_trend_micros": share(len(recent), sum(event["age"] < 56 for event in events)),
            "mean_price_cents_90d": sum(event["revenue"] for event in paid)
            // sum(event["paid_quantity"] for event in paid)
            if paid
            else None,
            "mean_basket_cents_90d": sum(event["revenue"] for event in paid)
            // len({event["event_date"] for event in paid})
            if paid
            else None,
            "price_level_micros_90d": level // num_levels if num_levels else None,
            "categories_28d": len({event["category"] for event in recent} - {None}),
            "brands_28d": len({event["brand"] for event in recent} - {None}),
            "items_28d": len({event["item_id"] for event in recent}),
            "category_diversity_micros_90d": diversity(events, "category"),
            "brand_diversity_micros_90d": diversity(events, "brand"),
            "repeat_share_micros_28d": share(
                len(item_days) - len({item for item, _ in item_days}), len(item_days)
            ),
            "sessions_28d": len(sessions),
            "mean_session_seconds_28d": mean(max(session) - min(session) for session in sessions.values()),
            "mean_session_gap_seconds_28d": (max(starts) - min(starts)) // (len(starts) - 1)
            if len(starts) > 1
            else None,
            "mean_dwell_ms_28d": mean(event["dwell_ms"] for event in recent if event["dwell_ms"] is not None),
            "weekend_share_micros_90d": share(
                sum(event["event_date"].weekday() >= 5 for event in events), len(events)
            ),
            "engagement_micros_90d": sum(max(event["weight"], 0) * decay(event["age"]) for event in events)
            * (28 + active_days)
            // 28,
            "returns": len(returns),
            "returnable": max(len(purchases), len(returns)),
        }
        for place, quarter in enumerate(("night", "morning", "afternoon", "evening")):
            hours = sum(event["occurred_at"].hour // 6 == place for event in events)
            found[user][f"{quarter}_share_micros_90d"] = share(hours, len(events))
        for days in (1, 7, 28, 90):
            for kind in ("view", "cart", "purchase"):
                found[user][f"{kind}s_{days}d"] = len(of(events, kind, days))
            spent = sum(event["revenue"] or 0 for event in events if event["age"] < days)
            found[user][f"spend_cents_{days}d"] = spent
    for row in found.values():
        for score, column, sign in (
            ("recency_score", "recency_days", -1),
            ("frequency_score", "orders_90d", 1),
            ("monetary_score", "spend_cents_90d", 1),
        ):
            worse = sum(sign * other[column] < sign * row[column] for other in found.values())
            row[score] = 1 + 5 * worse // len(found)
    returns, returnable = (sum(row[name] for row in found.values()) for name in ("returns", "returnable"))
    for row in found.values():
        row["return_rate_micros_90d"] = smoothed(
            row.pop("returns"), row.pop("returnable"), returns, returnable, 5
        )
    return found


def item_features(shop: Recount) -> dict[str, Row]:
    found: dict[str, Row] = {}
    num: dict[str, Row] = {}
    for item, version in shop.items.items():
        events = [event for event in shop.events if event["item_id"] == item]
        views, carts, purchases = (len(of(events, kind, 28)) for kind in ("view", "cart", "purchase"))
        returns, bought = len(of(events, "return")), len(of(events, "purchase"))
        stars = [
            int(max(1.0, min(5.0, event["value"])) * M)
            for event in of(events, "rating")
            if event["value"] is not None
        ]
        num[item] = {
            "carts": carts,
            "purchases": purchases,
            "returns": returns,
            "cartable": max(views, carts),
            "buyable": max(views, purchases),
            "payable": max(carts, purchases),
            "returnable": max(bought, returns),
            "ratings": len(stars),
            "stars": sum(stars),
        }
        liked = [sum(max(event["weight"], 0) for event in events if event["age"] < days) for days in (7, 28)]
        buyers = [event["user_id"] for event in of(events, "purchase", 28) if event["user_id"]]
        before = shop.item(item, shop.day - timedelta(days=28))
        began = version["available_from"].date() if version["available_from"] else None
        until, title = version["available_until"], version["title"]
        began = began or shop.versions[item][0]["known_date"]
        told = [
            v["known_date"]
            for every in shop.versions.values()
            for v in every
            if v["category"] and v["category"] == version["category"] and v["known_date"] <= shop.day
        ]
        found[item] = {
            "popularity_micros": sum(event["weight"] * decay(event["age"]) for event in events),
            "popularity_short_micros": sum(event["weight"] * decay(event["age"], 3) for event in events),
            "popularity_long_micros": sum(event["weight"] * decay(event["age"], 56) for event in events),
            "popularity_7d": liked[0],
            "popularity_trend_micros": share(4 * liked[0], liked[1]),
            "buyers_28d": len(set(buyers)),
            "buyers_per_purchase_micros_28d": share(len(set(buyers)), len(buyers)),
            "returns_28d": len(of(events, "return", 28)),
            "ratings_90d": len(stars),
            "price_cents": version["price_cents"],
            "price_change_micros_28d": share(version["price_cents"], before["price_cents"])
            if before
            else None,
            "price_level_micros": share(version["price_cents"], shop.mean_price(version["category"])),
            "age_days": max((shop.day - began).days, 0),
            "days_left": max((until.date() - shop.day).days, 0) if until else None,
            "category_items": len(shop.categories().get(version["category"], [])) or None,
            "category_age_days": (shop.day - min(told)).days if told else None,
            "title_words": len(title.split()),
            "has_title_number": any(letter.isdigit() for letter in title),
        }
        for days in (7, 28):
            for kind in ("view", "cart", "purchase"):
                found[item][f"{kind}s_{days}d"] = len(of(events, kind, days))
    shops = {name: sum(row[name] for row in num.values()) for name in next(iter(num.values()))}
    for item, row in found.items():
        for name, part, whole, strength in (
            ("carts_per_view_micros_28d", "carts", "cartable", 20),
            ("purchases_per_view_micros_28d", "purchases", "buyable", 20),
            ("purchases_per_cart_micros_28d", "purchases", "payable", 5),
            ("return_rate_micros_90d", "returns", "returnable", 5),
        ):
            row[name] = smoothed(num[item][part], num[item][whole], shops[part], shops[whole], strength)
        usual = shops["stars"] // shops["ratings"]
        row["rating_micros_90d"] = (num[item]["stars"] + 5 * usual) // (num[item]["ratings"] + 5)
    return found


def affinities(shop: Recount, kind: str) -> dict[tuple[str, str], Row]:
    found = {}
    for user, events in shop.users():
        weights = tastes(events, kind)
        for name, weight in weights.items():
            found[user, name] = {"affinity_micros": share(weight, sum(weights.values())) or 0}
    return found


# What dbt built


@pytest.fixture(scope="module")
def random_shop() -> tuple[list[Row], list[Row], list[Row]]:
    return shop(random.Random(11))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, random_shop: Any) -> Settings:
    settings = load_settings(home=tmp_path_factory.mktemp("recounted"))
    with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
        context = StepContext.of(settings, lease)
        with open_warehouse(settings) as warehouse:
            for table, rows, by in zip(
                (RAW_EVENTS, RAW_ITEMS, RAW_USERS), random_shop, ("event_date", *2 * ["received_date"]),
                strict=True,
            ):  # fmt: skip
                days = sorted({row[by] for row in rows})
                warehouse.replace("raw", table, by, days, table_of(table, rows), lease)
        touched = [day.isoformat() for day in days_between(FIRST, LAST)]
        context.state.put(LANDINGS, LAST.isoformat(), {"touched": touched})
        delivery = {"sha256": "-", "known_date": FIRST.isoformat(), "landed_day": LAST.isoformat()}
        context.state.put(DELIVERIES, "all", delivery)
        transform.run(LAST, context, first=FEATURE_DAYS[0])
    return settings


@pytest.mark.parametrize("day", [FEATURE_DAYS[0], FEATURE_DAYS[-1]])
def test_every_feature_is_what_a_plain_recount_gives(built: Settings, random_shop: Any, day: date) -> None:
    known = Recount(*random_shop, day)
    recounted: dict[str, dict[Any, Row]] = {
        names.FEAT_USER_DAILY: user_features(known),
        names.FEAT_ITEM_DAILY: item_features(known),
        names.FEAT_USER_CATEGORY_DAILY: affinities(known, "category"),
        names.FEAT_USER_BRAND_DAILY: affinities(known, "brand"),
    }
    for table, expected in recounted.items():
        keys = [key for key in TABLES[table].key if key != "feature_date"]
        found = {
            tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: row
            for row in Lake.of(built).read(table, day).to_pylist()
        }
        assert len(expected) > 10
        assert {key: {name: found[key][name] for name in row} for key, row in expected.items()} == expected
        assert found.keys() == expected.keys()
