"""Does the world look like real shops? Each fact measured on them, measured on what simulated shops deliver.

``pytest -s`` prints the values beside the facts; docs/simulator.md names them.
"""

from __future__ import annotations

import itertools
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from simulator.config import ShopConfig
from simulator.policies import optimal_lists, random_lists
from simulator.shop import Shop

pytestmark = pytest.mark.contract  # they live through a year

START = date(2026, 1, 5)
TOLERANCE = 0.2
SERVICES = ["postage", "gift-wrap"]


def follows(fact: str, measured: float, low: float, high: float | None = None) -> None:
    """A value lies in a range of facts, or at a fact, within a fifth."""
    high = low if high is None else high
    show(fact, f"{measured:.3f}, fact {low:g}{f' to {high:g}' if high != low else ''}")
    assert low * (1 - TOLERANCE) <= measured <= high * (1 + TOLERANCE), f"{fact}: {measured}"


def show(fact: str, told: str) -> None:
    sys.stdout.write(f"{fact:<48}{told}\n")


def lived(shop: Shop, first: date, num_days: int) -> pd.DataFrame:
    """What happens on some days, whenever it is delivered."""
    tables = []
    for offset in range(num_days):
        day = shop.live(first + timedelta(days=offset))
        tables += [day.now, day.held_back.drop_columns("due")]
    return pa.concat_tables(tables).to_pandas()


def views_of(events: pd.DataFrame) -> pd.DataFrame:
    views = events[events["event_type"] == "view"].copy()
    views["at"] = pd.to_datetime(views["occurred_at"])
    return views.sort_values(["session_id", "at"], kind="stable")


@pytest.fixture(scope="module")
def busy() -> Shop:
    """A shop in which people come by often: ten of its days tell much."""
    return Shop(ShopConfig(seed=7, sessions_per_user=0.8, start=START))


@pytest.fixture(scope="module")
def events(busy: Shop) -> pd.DataFrame:
    return lived(busy, START + timedelta(days=100), 10)


@pytest.fixture(scope="module")
def months() -> pd.DataFrame:
    """Eight months of a shop with ordinary habits, from spring on."""
    return lived(Shop(ShopConfig(seed=8, num_users=700, start=START)), date(2026, 3, 1), 245)


def bought(events: pd.DataFrame) -> pd.DataFrame:
    return events[(events["event_type"] == "purchase") & ~events["item_id"].isin(SERVICES)]


def test_item_popularity_falls_with_rank_as_measured(events: pd.DataFrame) -> None:
    counts = views_of(events)["item_id"].value_counts().to_numpy()
    half = len(counts) // 2  # few look at the others: there, chance decides the rank
    slope = np.polyfit(np.log(np.arange(1, half + 1)), np.log(counts[:half]), 1)[0]
    follows("popularity, rank exponent", -float(slope), 0.7, 1.0)
    rising = np.sort(counts)
    follows("popularity, Gini", 1 - 2 * float(np.mean(np.cumsum(rising) / rising.sum())), 0.45, 0.75)


def test_sessions_are_as_long_as_measured_and_who_stayed_stays(events: pd.DataFrame) -> None:
    lengths = views_of(events).groupby("session_id").size()
    follows("session length, mean", lengths.mean(), 5, 7)
    follows("session length, median", lengths.median(), 4)
    follows("session length, 90th percentile", lengths.quantile(0.9), 9, 16)
    counts = np.bincount(lengths)
    still_there = np.cumsum(counts[::-1])[::-1]
    ending = [
        counts[part].sum() / still_there[part].sum()
        for part in (slice(1, 3), slice(3, 6), slice(6, 10), slice(10, 16))
    ]
    show("chance of ending after 1-2, 3-5, 6-9, 10-15", ", ".join(f"{each:.3f}" for each in ending))
    assert all(later < 0.95 * earlier for earlier, later in itertools.pairwise(ending))


def test_gaps_inside_a_session_are_lognormal_as_measured(events: pd.DataFrame) -> None:
    gaps = views_of(events).groupby("session_id")["at"].diff().dropna().dt.total_seconds()
    logarithms = np.log(gaps[gaps > 0])
    follows("gap in a session, mean of log seconds", logarithms.mean(), 3.75)
    follows("gap in a session, deviation of log seconds", logarithms.std(), 1.48)
    follows("gap in a session, median seconds", gaps.median(), 46)


def test_sessions_repeat_items_and_stay_in_a_category_as_measured(busy: Shop, events: pd.DataFrame) -> None:
    views = views_of(events)
    sessions = views.groupby("session_id")["item_id"]
    follows("sessions that repeat an item", (sessions.nunique() < sessions.size()).mean(), 0.10, 0.34)
    catalogue = busy.catalogue(START + timedelta(days=110))
    category = catalogue.category_N[catalogue.place_M[views["item_id"].str[1:].astype(int)]]
    is_next = (views["session_id"] == views["session_id"].shift()).to_numpy()
    follows("next category equals the last", (category[1:] == category[:-1])[is_next[1:]].mean(), 0.8)


def test_one_in_forty_views_leads_to_a_cart_and_a_third_of_carts_to_a_purchase(events: pd.DataFrame) -> None:
    views, carts = ((events["event_type"] == kind).sum() for kind in ("view", "cart"))
    follows("view to cart", carts / views, 0.026)
    follows("cart to purchase", len(bought(events)) / carts, 0.32)
    follows("view to purchase", len(bought(events)) / views, 0.0084)


def test_buyers_come_back_as_measured(months: pd.DataFrame) -> None:
    known = bought(months).dropna(subset="user_id")
    days = known.assign(day=pd.to_datetime(known["occurred_at"].str[:10]))[
        ["user_id", "day"]
    ].drop_duplicates()
    days = days.sort_values(["user_id", "day"])
    follows("buyers who buy once, in eight months", (days.groupby("user_id").size() == 1).mean(), 0.34, 0.51)
    gaps = days.groupby("user_id")["day"].diff().dropna().dt.days
    follows("days between purchases, median", gaps.median(), 28)
    follows("days between purchases, deviation of log", np.log(gaps).std(), 1.2)


def test_months_differ_no_more_than_measured_while_nothing_happens(months: pd.DataFrame) -> None:
    views = months[months["event_type"] == "view"]
    counts = views.groupby([views["occurred_at"].str[:7], "item_id"]).size().unstack(fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0).to_numpy()[:8]
    steps = [divergence(left, right) for left, right in itertools.pairwise(shares)]
    show("item shares, month to month, bits", ", ".join(f"{each:.3f}" for each in steps))
    assert max(steps) <= 0.16
    whole = divergence(shares[0], shares[-1])
    show("item shares, first to last month, bits", f"{whole:.3f}, fact 0.29")
    assert max(steps) < whole <= 0.29 * (1 + TOLERANCE)


def divergence(left: np.ndarray, right: np.ndarray) -> float:
    """Jensen-Shannon, in bits."""
    middle = (left + right) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.nansum(part * np.log2(part / middle)) for part in (left, right)]
    return float(sum(parts) / 2)


def test_november_sells_more_than_january_as_measured() -> None:
    shop = Shop(ShopConfig(seed=9, num_users=1800, start=START))
    november, january = (len(bought(lived(shop, day, 30))) for day in (date(2026, 11, 1), date(2027, 1, 1)))
    follows("sales in November, of January's", november / january, 2.7)


def test_the_best_lists_drive_about_a_fifth_of_views(tmp_path: Path) -> None:
    shop, feed = Shop(ShopConfig(seed=7, num_users=900, start=START)), tmp_path / "feed"
    told = []
    for offset in range(30):
        day = START + timedelta(days=offset)
        told.append(shop.deliver(feed, day, optimal_lists(shop, feed, day), "v0001"))
    recent = told[15:]  # people have seen lists for a while
    visits, views, home = (sum(each[name] for each in recent) for name in ("visits", "views", "home_views"))
    show("clicks a visit, on the best lists", f"{home / visits:.3f}")
    follows("share of views that the best lists drive", home / views, 0.2)
    assert 0.15 <= home / views <= 0.25


def test_clicks_fall_with_the_place_as_measured(busy: Shop) -> None:
    by_place = np.zeros((2, 10))
    for offset in range(20, 32):
        day = START + timedelta(days=offset)
        # Random lists, in which the better items do not stand first.
        shown = busy.live(day, random_lists(busy, day), "v0001").shown
        by_place += [np.bincount(shown.position_I, weight, 11)[1:] for weight in (shown.chance_I, None)]
    rates = by_place[0] / by_place[1]
    show("chance of a click by place, of random lists", ", ".join(f"{each:.4f}" for each in rates))
    for place, fact in ((2, 0.105), (3, 0.076), (5, 0.051), (10, 0.026)):
        follows(f"clicks at place {place}, of those at place 1", rates[place - 1] / rates[0], fact / 0.31)
