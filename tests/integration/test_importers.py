"""The importers read the real data sets."""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import pytest

from jobs.feeds.amazon import import_amazon
from jobs.feeds.clothing import import_clothing
from jobs.feeds.gift_categories import OTHER
from jobs.feeds.movielens import import_movielens_100k
from jobs.feeds.movielens_1m import import_movielens_1m
from jobs.feeds.online_retail import SERVICE_ITEMS, import_online_retail

pytestmark = pytest.mark.integration


@pytest.fixture
def online_retail(real_data: Path) -> Path:
    return _present(real_data / "online-retail")


@pytest.fixture
def movielens(real_data: Path) -> Path:
    return _present(real_data / "movielens-100k")


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} at {folder}: set FORETASTE_DATA")
    return folder


def _rows(feed: Path, kind: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(feed.glob(f"{kind}/received=*/*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            rows += csv.DictReader(stream)
    return rows


def test_three_days_of_online_retail_keep_every_line(online_retail: Path, tmp_path: Path) -> None:
    told = import_online_retail(online_retail, tmp_path / "feed", last=date(2010, 12, 3))
    events = _rows(tmp_path / "feed", "events")
    lines = sum(
        len((online_retail / f"2010-12-0{day}.csv").read_text(encoding="utf-8").splitlines()) - 1
        for day in (1, 2, 3)
    )
    assert len(events) == len({event["event_id"] for event in events}) == told["events"] == lines
    types = Counter(event["event_type"] for event in events)
    assert types.keys() == {"purchase", "return"}
    assert types["return"] == told["returns"] > 0
    assert all(int(event["quantity"]) > 0 for event in events)
    assert told["anonymous"] == sum(1 for event in events if not event["user_id"]) > 0
    assert {"POST", "DOT", "M", "D"} <= {event["item_id"] for event in events} & set(SERVICE_ITEMS)
    items = {item["item_id"]: item for item in _rows(tmp_path / "feed", "items")}
    priced = {event["item_id"] for event in events if float(event["unit_price"]) > 0} - set(SERVICE_ITEMS)
    assert items.keys() == priced
    assert items["85123A"]["title"] == "WHITE HANGING HEART T-LIGHT HOLDER"
    assert {user["user_id"] for user in _rows(tmp_path / "feed", "users")} == {
        event["user_id"] for event in events if event["user_id"]
    }


def test_nearly_every_line_of_online_retail_has_a_category(online_retail: Path, tmp_path: Path) -> None:
    import_online_retail(online_retail, tmp_path / "feed", last=date(2010, 12, 3))
    category = {item["item_id"]: item["category"] for item in _rows(tmp_path / "feed", "items")}
    lines = [
        category[event["item_id"]]
        for event in _rows(tmp_path / "feed", "events")
        if event["item_id"] in category
    ]
    assert lines.count(OTHER) / len(lines) < 0.05
    assert max(Counter(lines).values()) / len(lines) < 0.25


def test_movielens_100k_has_its_hundred_thousand_ratings(movielens: Path, tmp_path: Path) -> None:
    told = import_movielens_100k(movielens, tmp_path / "feed")
    assert (told["events"], told["items"], told["users"]) == (100_000, 1682, 943)
    assert (told["first_day"], told["last_day"]) == ("1997-09-20", "1998-04-22")
    assert len({event["event_id"] for event in _rows(tmp_path / "feed", "events")}) == 100_000


@pytest.mark.slow
def test_movielens_1m_keeps_every_users_sequence(real_data: Path, tmp_path: Path) -> None:
    source = _present(real_data / "movielens-1m")
    told = import_movielens_1m(source, tmp_path / "feed")
    assert (told["events"], told["items"], told["users"]) == (999_611, 3883, 6040)
    item, user = (
        dict(line.split() for line in (source / f"sas_to_original_{name}.txt").read_text().splitlines())
        for name in ("items", "users")
    )
    expected: defaultdict[str, list[str]] = defaultdict(list)
    for line in (source / "ml-1m.txt").read_text().splitlines():
        who, what = line.split()
        expected[user[who]].append(item[what])
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in _rows(tmp_path / "feed", "events"):
        found[row["user_id"]].append(row["item_id"])
    assert found == expected


def test_amazon_beauty_keeps_every_users_sequence(real_data: Path, tmp_path: Path) -> None:
    source = _present(real_data / "amazon-beauty")
    told = import_amazon(source, tmp_path / "feed")
    assert (told["events"], told["items"], told["users"]) == (198_502, 12_101, 22_363)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in _rows(tmp_path / "feed", "events"):
        found[row["user_id"]].append(row["item_id"])
    lines = (line.split() for line in (source / "Beauty.txt").read_text().splitlines())
    assert found == {user: items for user, *items in lines}


@pytest.mark.slow
def test_clothing_keeps_every_click(real_data: Path, tmp_path: Path) -> None:
    source = _present(real_data / "clothing-2008")
    told = import_clothing(source, tmp_path / "feed")
    assert (told["events"], told["items"], told["users"]) == (165_474, 217, 24_026)
    assert (told["days"], told["first_day"], told["last_day"]) == (135, "2008-04-01", "2008-08-13")
    events = _rows(tmp_path / "feed", "events")
    assert len({event["event_id"] for event in events}) == 165_474
    with (source / "clicks.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream, delimiter=";"))
    assert [(event["session_id"], event["item_id"]) for event in events] == [
        (line["session ID"], line["page 2 (clothing model)"]) for line in lines
    ]
    categories = {item["item_id"]: item["category"] for item in _rows(tmp_path / "feed", "items")}
    assert Counter(categories.values()).keys() == {"trousers", "skirts", "blouses", "sale"}
