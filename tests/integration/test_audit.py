"""The audit tells the truth about each real set: what it says is what the sets' own descriptions, or plain counting, say."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from contracts.settings import load_settings
from jobs.audit import audit
from jobs.audit.advice import COVISITATION, EASE, TRANSFORMER
from jobs.audit.page import as_json
from jobs.feeds.amazon import import_amazon
from jobs.feeds.clothing import import_clothing
from jobs.feeds.movielens import import_movielens_100k
from jobs.feeds.movielens_1m import import_movielens_1m
from jobs.feeds.online_retail import import_online_retail

pytestmark = pytest.mark.integration


def present(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} at {folder}: set FORETASTE_DATA")
    return folder


def audited(feed: Path, home: Path) -> dict[str, Any]:
    found = audit(str(feed), load_settings(home=home))
    assert json.loads(as_json(found)) == found
    assert found["unreadable"] == []
    return found


def verdict(found: dict[str, Any], family: str) -> str:
    return next(str(each["verdict"]) for each in found["advice"]["families"] if each["family"] == family)


@pytest.mark.slow
def test_movielens_100k(real_data: Path, tmp_path: Path) -> None:
    import_movielens_100k(present(real_data / "movielens-100k"), tmp_path / "feed")
    found = audited(tmp_path / "feed", tmp_path / "home")
    volume = found["volume"]
    # GroupLens' README: 100,000 ratings (1-5) from 943 users on 1682 movies, 20 a user at least, 1997-09-19 (local) to 1998-04-22.
    assert volume["by_type"] == {"rating": 100_000}
    assert (volume["people"], volume["items"]) == (943, 1682)
    assert volume["density"] == round(100_000 / (943 * 1682), 5)
    assert (found["clock"]["first"], found["clock"]["last"]) == ("1997-09-20", "1998-04-22")
    assert [each["value"] for each in found["feedback"]["scale"]] == [1, 2, 3, 4, 5]
    assert found["people"]["lengths"]["doublings"][0]["from"] == 17  # 17 to 32
    assert found["repeats"]["repeat_share"] == found["volume"]["anonymous_share"] == 0
    rows = [
        line.split("\t") for line in (real_data / "movielens-100k/ml-100k.inter").read_text().splitlines()[1:]
    ]
    instants = Counter((user, second) for user, _, _, second in rows)
    tied = sum(count for count in instants.values() if count > 1)
    assert found["people"]["tied_share"] == round(tied / 100_000, 5) > 0.25
    first = min(float(row[3]) for row in rows)
    cut = int(first + 0.8 * (max(float(row[3]) for row in rows) - first))
    known = {row[0] for row in rows if float(row[3]) <= cut}
    later = [row for row in rows if float(row[3]) > cut]
    assert found["cold"]["later_acts"] == len(later)
    new = sum(row[0] not in known for row in later) / len(later)
    assert found["cold"]["new_person_share"] == pytest.approx(new, abs=1e-5)
    assert found["advice"]["begin_with"] == TRANSFORMER


def test_online_retail_of_a_fortnight(real_data: Path, tmp_path: Path) -> None:
    """Two weeks: a quarter of the lines has no customer, baskets share their minute, nobody sells on a Saturday."""
    source, last = present(real_data / "online-retail"), date(2010, 12, 15)
    import_online_retail(source, tmp_path / "feed", last=last)
    found = audited(tmp_path / "feed", tmp_path / "home")
    lines = [
        row
        for path in sorted(source.glob("*.csv"))
        if path.stem <= str(last)
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    ]
    account = found["accounts"]["events"]
    assert account["read"] == len(lines)
    assert account["good"] + sum(account["set_aside"].values()) + sum(account["quarantined"].values()) == len(
        lines
    )
    assert found["clock"]["missing_expected_days"] == 0
    assert found["clock"]["empty_days"] == 2  # 2010-12-04 and -11, Saturdays
    assert found["clock"]["resolution"] == "minutes"
    assert found["people"]["tied_share"] > 0.9
    assert 0.2 < found["volume"]["anonymous_share"] < 0.5
    assert found["feedback"]["ratings"] == found["feedback"]["impressions"] == 0
    assert verdict(found, TRANSFORMER) == "not yet"


@pytest.mark.slow
def test_online_retail(real_data: Path, tmp_path: Path) -> None:
    import_online_retail(present(real_data / "online-retail"), tmp_path / "feed")
    found = audited(tmp_path / "feed", tmp_path / "home")
    # data/README.md: 219 days with a file, times to the minute, a quarter of the lines without a customer, no Saturdays.
    assert found["deliveries"]["events"] == 219
    assert (found["clock"]["first"], found["clock"]["last"]) == ("2010-12-01", "2011-08-31")
    assert found["clock"]["closed_weekdays"] == ["Saturday"]
    assert found["clock"]["missing_expected_days"] == 0
    assert found["clock"]["resolution"] == "minutes"
    assert found["volume"]["anonymous_share"] == pytest.approx(0.26, abs=0.03)
    assert found["people"]["tied_share"] > 0.9
    assert 0.34 <= 1 - found["people"]["returning_share"] <= 0.51  # buyers who buy once
    assert found["people"]["steps"]["median"] < 5 < found["people"]["lengths"]["median"]
    assert 0.45 <= found["concentration"]["items"]["gini"] <= 0.75
    assert found["advice"]["begin_with"] == EASE


@pytest.mark.slow
def test_movielens_1m(real_data: Path, tmp_path: Path) -> None:
    import_movielens_1m(present(real_data / "movielens-1m"), tmp_path / "feed")
    found = audited(tmp_path / "feed", tmp_path / "home")
    volume = found["volume"]
    # The file of SASRec: 6,040 users, 3,416 items, 999,611 events; GroupLens: 3,883 movies.
    assert (volume["events"], volume["people"], volume["items"]) == (999_611, 6040, 3416)
    assert found["catalogue"]["described"] == 3883
    assert found["catalogue"]["untouched_items"] == 3883 - 3416
    assert found["catalogue"]["undescribed_items"] == found["catalogue"]["unknown_people"] == 0
    assert found["people"]["lengths"]["mean"] == round(999_611 / 6040, 2)
    assert found["repeats"]["repeat_share"] == found["people"]["tied_share"] == 0
    assert found["clock"]["time_of_day"] == "order"
    assert found["refusals"] == []
    assert found["advice"]["begin_with"] == TRANSFORMER


@pytest.mark.slow
def test_amazon_beauty(real_data: Path, tmp_path: Path) -> None:
    import_amazon(present(real_data / "amazon-beauty"), tmp_path / "feed")
    found = audited(tmp_path / "feed", tmp_path / "home")
    volume = found["volume"]
    # S3-Rec: 22,363 users, 12,101 items, 198,502 events, 0.07 % dense; a 5-core.
    assert (volume["events"], volume["people"], volume["items"]) == (198_502, 22_363, 12_101)
    assert round(volume["density"], 4) == 0.0007
    assert found["people"]["few_share"] == found["cold"]["few_items_share"] == 0
    assert found["repeats"]["repeat_share"] == 0
    assert found["clock"]["time_of_day"] == "order"
    assert found["cold"]["new_item_share"] is found["people"]["returning_share"] is None
    assert found["refusals"] == []
    assert verdict(found, EASE) == "next"
    assert found["advice"]["begin_with"] == TRANSFORMER


@pytest.mark.slow
def test_clothing(real_data: Path, tmp_path: Path) -> None:
    source = present(real_data / "clothing-2008")
    import_clothing(source, tmp_path / "feed")
    found = audited(tmp_path / "feed", tmp_path / "home")
    volume, people = found["volume"], found["people"]
    # UCI: 165,474 clicks of 24,026 sessions on 217 models, April to August 2008.
    assert (volume["events"], people["sessions"], volume["items"]) == (165_474, 24_026, 217)
    assert (found["clock"]["first"], found["clock"]["last"]) == ("2008-04-01", "2008-08-13")
    assert (found["clock"]["empty_days"], found["clock"]["time_of_day"]) == (0, "count")
    # data/README.md: median of 4 clicks a visit, p90 of 9 to 16, 10 to 34 % of the visits repeat an item.
    assert (people["session_lengths"]["median"], people["session_lengths"]["p90"]) == (4, 16)
    visits: defaultdict[str, list[str]] = defaultdict(list)
    with (source / "clicks.csv").open(newline="") as stream:
        for row in csv.DictReader(stream, delimiter=";"):
            visits[row["session ID"]].append(row["page 2 (clothing model)"])
    again = sum(len(set(items)) < len(items) for items in visits.values()) / len(visits)
    assert found["repeats"]["repeaters_share"] == round(again, 5)
    assert people["returning_share"] == 0
    assert found["advice"]["begin_with"] == COVISITATION
