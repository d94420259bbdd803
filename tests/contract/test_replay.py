"""What was rejected can be read again after a fix: it lands once, and no run that has been changes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from contracts import names
from contracts.errors import DayRefused, FeedInvalid
from jobs import replay, run
from jobs.cli import cli
from jobs.io.state import LANDINGS, REPLAYS, State
from jobs.landing import checks, reading
from jobs.landing.quarantine import list_quarantine
from tests.replaying import (
    accounts_of,
    everything,
    land_both,
    older_foretaste,
    quarantine_of,
    rating,
    replayed,
    rows_of,
)
from tests.shop import DAY, NEXT, THIRD, Shop, event

pytestmark = pytest.mark.contract


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def deliver(shop: Shop) -> None:
    """Two days with what an older Foretaste cannot read, a late event among it, and what nobody can."""
    rows = [event(number) for number in range(20)]
    path = shop.deliver(
        DAY, [*rows, rating(20), rating(21), rating(20), event(22, user_id="u12345"), event(23, item_id="")]
    )
    (path.parent / "more.jsonl").write_text(f"{json.dumps(event(24))}\n{json.dumps(event(25))}\n{{not json\n")
    shop.deliver(
        DAY,
        [
            {"item_id": "i1", "title": "Cup", "price": "2.5"},
            {"item_id": "item-2", "title": "Pot", "price": "9"},
        ],
        "items.csv",
        "items",
    )
    shop.deliver(NEXT, [{"user_id": "u1"}, {"user_id": "u12345"}], "users.csv", "users")
    rows = [event(number, occurred_at=f"{NEXT}T10:00:00Z") for number in range(40, 50)]
    late = rating(30, user_id="")
    shop.deliver(NEXT, [*rows, late, rating(21), rating(32, occurred_at=f"{NEXT}T11:00:00Z")])


def test_a_replay_after_the_fix_gives_what_a_clean_landing_gives(tmp_path: Path) -> None:
    fixed, clean = Shop(tmp_path / "fixed"), Shop(tmp_path / "clean")
    for shop in (fixed, clean):
        deliver(shop)
    with older_foretaste():
        land_both(fixed)
    land_both(clean)
    assert rows_of(fixed) != rows_of(clean)
    told = replayed(fixed)
    assert (told["asked"], told["good"], told["duplicate"], told["still_quarantined"]) == (12, 8, 2, 2)
    assert rows_of(fixed, without=("known_date",)) == rows_of(clean, without=("known_date",))
    assert quarantine_of(fixed) == quarantine_of(clean)
    assert accounts_of(fixed) == accounts_of(clean)


def test_no_run_that_has_been_sees_what_was_replayed(shop: Shop) -> None:
    deliver(shop)
    with older_foretaste():
        land_both(shop)
    seen = {day: rows_of(shop, until=day) for day in (DAY, NEXT)}
    assert replayed(shop)["known_from"] == str(THIRD)
    assert {day: rows_of(shop, until=day) for day in (DAY, NEXT)} == seen
    assert rows_of(shop, until=THIRD) != seen[NEXT]


def test_the_next_landing_hands_the_days_that_were_replayed_on(shop: Shop) -> None:
    deliver(shop)
    with older_foretaste():
        land_both(shop)
    replayed(shop, reason="UNKNOWN_TYPE")
    shop.deliver(THIRD, [event(number, occurred_at=f"{THIRD}T10:00:00Z") for number in range(60, 70)])
    fourth = date(2011, 3, 4)
    for day in (THIRD, fourth):
        shop.land(day)
    landings = State.of(shop.settings).all(LANDINGS)
    assert landings[str(THIRD)]["touched"] == [str(DAY), str(NEXT), str(THIRD)]
    assert landings[str(fourth)]["touched"] == []


def test_replaying_again_changes_nothing(shop: Shop) -> None:
    deliver(shop)
    with older_foretaste():
        land_both(shop)
    replayed(shop)
    before = everything(shop)
    told = replayed(shop)
    assert (told["asked"], told["good"], told["still_quarantined"], told["known_from"]) == (2, 0, 2, None)
    assert everything(shop) == before


def test_nothing_happens_where_nothing_was_rejected_or_landed(shop: Shop) -> None:
    assert replayed(shop)["asked"] == 0
    shop.deliver(DAY, [event(1)])
    shop.land()
    before = everything(shop)
    assert replayed(shop)["asked"] == 0
    assert everything(shop) == before


def test_a_replay_takes_only_the_reason_and_the_days_it_is_asked_for(shop: Shop) -> None:
    deliver(shop)
    with older_foretaste():
        land_both(shop)
    told = replayed(shop, reason="UNKNOWN_TYPE", first=NEXT)
    assert (told["asked"], told["good"], told["duplicate"]) == (3, 3, 0)
    told = replayed(shop, reason="UNKNOWN_TYPE", last=DAY)
    assert (told["asked"], told["good"], told["duplicate"]) == (3, 1, 2)
    assert {row["reason"] for row in list_quarantine(shop.settings, None)} == {
        "ID_TOO_LONG",
        "NO_JSON",
        "NO_ITEM",
    }
    record = State.of(shop.settings).get(REPLAYS, str(THIRD))
    assert record is not None
    assert [each["reason"] for each in record["replays"]] == ["UNKNOWN_TYPE"] * 2
    assert record["touched"] == [str(DAY), str(NEXT)]


def test_replaying_in_two_parts_gives_what_replaying_at_once_gives(tmp_path: Path) -> None:
    parts, once = Shop(tmp_path / "parts"), Shop(tmp_path / "once")
    for each in (parts, once):
        deliver(each)
        with older_foretaste():
            land_both(each)
    replayed(parts, reason="ID_TOO_LONG")
    replayed(parts)
    replayed(once)
    assert rows_of(parts) == rows_of(once)
    assert accounts_of(parts) == accounts_of(once)


def test_what_a_later_delivery_has_mended_is_not_counted_twice(shop: Shop) -> None:
    shop.deliver(DAY, [*(event(number) for number in range(10)), rating(20), rating(21)])
    with older_foretaste():
        shop.land(accept="ratings")
    shop.deliver(NEXT, [rating(20), rating(21, quantity="2")])
    shop.land(NEXT, accept="few")
    told = replayed(shop)
    assert (told["good"], told["duplicate"], told["still_quarantined"]) == (0, 1, 1)
    assert shop.reasons() == ["ID_CONFLICT"]
    assert [row["event_id"] for row in shop.events()].count("e21") == 1
    assert next(row for row in shop.events() if row["event_id"] == "e21")["quantity"] == 2


def test_what_has_been_said_of_an_item_stays(shop: Shop) -> None:
    """In a clean landing the last row of a delivery counts; here the runs have seen the first one already."""
    shop.deliver(DAY, [event(1)])
    items = [
        {"item_id": "i1", "title": "Cup", "price": "2.5"},
        {"item_id": "i1", "title": "Mug", "price": "3e0"},
    ]
    shop.deliver(DAY, items, "items.csv", "items")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_NUMBER", r"^\d+\.\d+$")
        shop.land(accept="prices")
    assert replayed(shop)["duplicate"] == 1
    assert [row["title"] for row in rows_of(shop)[names.RAW_ITEMS]] == ["Cup"]


def test_a_row_that_is_a_service_by_now_is_set_aside(shop: Shop) -> None:
    shop.deliver(DAY, [event(1), rating(2, item_id="FEE")])
    with older_foretaste():
        shop.land(accept="ratings")
    shop.describe(service_items=["POST", "FEE"])
    told = replayed(shop)
    assert (told["good"], told["set_aside"], told["known_from"]) == (0, 1, None)
    assert accounts_of(shop)["deliveries"][f"events/{DAY}"] == {
        "read": 2, "good": 1, "quarantined": {}, "duplicate": 0, "set_aside": {"SERVICE_LINE": 1},
    }  # fmt: skip


def _change(shop: Shop) -> None:
    path = shop.feed / f"events/received={DAY}/events.csv"
    path.write_text(path.read_text().replace("2.50", "2.51", 1))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_change, f"events/{DAY} has changed since it was landed on {DAY}"),
        (lambda shop: (shop.feed / f"events/received={DAY}/_SUCCESS").unlink(), f"events/{DAY} is gone from"),
    ],
)
def test_a_delivery_that_is_no_longer_what_it_was_is_refused(
    shop: Shop, spoil: Callable[[Shop], None], message: str
) -> None:
    deliver(shop)
    with older_foretaste():
        land_both(shop)
    before = everything(shop)
    spoil(shop)
    with pytest.raises(FeedInvalid, match=message):
        replayed(shop)
    assert everything(shop) == before
    assert replayed(shop, first=NEXT)["asked"] == 4


def test_a_delivery_that_is_split_into_other_rows_is_refused(shop: Shop) -> None:
    path = shop.deliver(DAY, [event(1), rating(2)])
    path.write_text(path.read_text() + "\x0cnothing\n")
    with older_foretaste(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            reading, "_csv_rows", lambda rows: ((row, 2 + n, False) for n, row in enumerate(rows) if row[1:])
        )
        patch.setattr(reading, "read_plain_csv", lambda raw: None)
        shop.land(accept="ratings")
    with pytest.raises(FeedInvalid, match="had 2 rows when it was landed and has 3 now"):
        replayed(shop)


def test_rows_of_a_refused_day_are_left_to_its_landing(shop: Shop) -> None:
    shop.deliver(DAY, [event(1)])
    shop.land()
    shop.deliver(NEXT, [event(2), event(3, item_id="")])
    with pytest.raises(DayRefused):
        shop.land(NEXT)
    told = replayed(shop)
    assert (told["asked"], told["not_landed"]) == (0, [f"events/{NEXT}"])
    assert shop.reasons(NEXT) == ["NO_ITEM"]


def test_the_verb_says_what_comes_next(shop: Shop) -> None:
    deliver(shop)
    with older_foretaste():
        land_both(shop)
    environment = {"FORETASTE_HOME": str(shop.settings.home)}
    refused = CliRunner().invoke(cli, ["quarantine", "replay", "--reason", "TOO_BLUE"], env=environment)
    assert "'TOO_BLUE' is no reason; there are RAGGED" in refused.output
    told = CliRunner().invoke(cli, ["quarantine", "replay", "--reason", "UNKNOWN_TYPE"], env=environment)
    assert "6 quarantined rows of 2 deliveries were read again: 4 good, 2 duplicate" in told.output
    assert f"next: foretaste run --day {THIRD}" in told.output
    listed = CliRunner().invoke(cli, ["quarantine", "--json"], env=environment)
    assert {row["reason"] for row in json.loads(listed.output)} == {"ID_TOO_LONG", "NO_JSON", "NO_ITEM"}


def test_the_verb_in_a_home_that_does_not_exist_yet_says_what_is_lacking(tmp_path: Path) -> None:
    environment = {"FORETASTE_HOME": str(tmp_path / "new" / "home")}
    told = CliRunner().invoke(cli, ["quarantine", "replay"], env=environment)
    assert isinstance(told.exception, FeedInvalid)
    assert "has no feed.json. Write one" in str(told.exception)


def test_a_replay_has_its_temporary_files_at_home_and_leaves_the_process_its_own(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def look(*_: Any, **__: Any) -> dict[str, Any]:
        seen.append(tempfile.gettempdir())
        raise FeedInvalid("unreadable")

    monkeypatch.setattr(replay, "run", look)
    before = tempfile.gettempdir()
    with pytest.raises(FeedInvalid):
        run.replay_quarantine(shop.settings, run_id="night", reason=None, first=None, last=None)
    assert seen == [str(shop.settings.home / "tmp")]
    assert tempfile.gettempdir() == before
