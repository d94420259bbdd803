"""The audit counts what the landing would take in, and has words for feeds of which little can be said."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from contracts.errors import FeedInvalid
from jobs.audit import audit
from jobs.audit.page import as_json, write_page
from jobs.audit.text import render
from jobs.cli import cli
from jobs.io.state import LANDINGS, State
from tests.shop import DAY, NEXT, THIRD, Shop, event

pytestmark = pytest.mark.contract
NOW = datetime(2011, 3, 5, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def at(number: int, day: date, clock: str, user: str, item: str, **changes: str) -> dict[str, str]:
    return event(number, occurred_at=f"{day}T{clock}+00:00", user_id=user, item_id=item, **changes)


def audited(shop: Shop) -> dict[str, Any]:
    """An audit that has been written in every form."""
    found = audit(shop.settings.feed_location, shop.settings)
    assert json.loads(as_json(found)) == found
    page = write_page(shop.settings, found).read_text()
    assert re.findall(r"\b(?:nan|NaN|inf)\b|: None|>None", page + render(found)) == []
    assert not list((shop.settings.home / "tmp").iterdir())
    return found


def test_rows_are_judged_as_the_landing_judges_them(shop: Shop) -> None:
    good = [event(number) for number in range(1, 30)]
    shop.deliver(
        DAY,
        [
            *good,
            good[0],  # the same again
            event(2, quantity="7"),  # the same id with another content
            event(40, item_id="POST"),
            event(41, unit_price="0"),
            event(42, event_type="sneeze"),
        ],
    )
    shop.deliver(NEXT, [good[3], event(5, quantity="9"), event(50, occurred_at="2011-03-02T10:00:00Z")])
    shop.deliver(DAY, [{"item_id": "i1", "title": "Tea"}, {"item_id": "i1", "title": "Green tea"}], "items.csv", "items")  # fmt: skip
    found = audited(shop)
    shop.land(NEXT, accept="to compare")
    landed = State.of(shop.settings).get(LANDINGS, str(NEXT))
    assert landed is not None
    assert found["accounts"] == landed["accounts"]
    assert found["accounts"]["events"]["quarantined"] == {"ID_CONFLICT": 2, "UNKNOWN_TYPE": 1}
    assert found["accounts"]["events"]["duplicate"] == 2
    assert sorted(found["refusals"]) == sorted(landed["refusals"])
    assert found["volume"]["events"] == found["accounts"]["events"]["good"] == 30


@pytest.mark.parametrize("missing_consent", ["granted", "denied"])
def test_who_has_not_consented_is_counted_as_the_landing_counts(shop: Shop, missing_consent: str) -> None:
    shop.describe(missing_consent=missing_consent)
    users = ("ann", "bob", "cy", "phone")
    shop.deliver(DAY, [at(number, DAY, "12:00:00", user, "tea") for number, user in enumerate(users)])
    words = [
        {"user_id": user, "purpose": "personalization", "granted": granted, "at": "2011-03-01T09:00:00Z"}
        for user, granted in (("ann", "true"), ("bob", "false"))
    ]
    shop.deliver(NEXT, words, "consents.csv", "consents")
    link = {"alias_id": "phone", "user_id": "ann", "linked_at": "2011-03-01T09:00:00Z"}
    shop.deliver(NEXT, [link], "links.csv", "identities")
    found = audited(shop)
    shop.land(NEXT, first=DAY)
    landed = State.of(shop.settings).get(LANDINGS, str(NEXT))
    assert landed is not None
    assert found["accounts"] == landed["accounts"]
    num_silent = 1 if missing_consent == "denied" else 0
    assert found["accounts"]["events"]["set_aside"] == {"NO_CONSENT": 1 + num_silent}


def test_a_delivery_that_cannot_be_read_is_named_and_the_others_are_counted(shop: Shop) -> None:
    shop.deliver(DAY, [event(1)])
    shop.deliver(NEXT, [event(2)]).write_text("who,what\n1,2\n")
    found = audited(shop)
    assert found["volume"]["events"] == 1
    assert "The landing stops at this" in found["warnings"][0]
    assert "column 'item_id' is missing" in found["warnings"][0]


def test_every_figure_of_a_feed_that_one_can_count_by_hand(shop: Shop) -> None:
    shop.describe(repeats_allowed=False)
    shop.deliver(
        DAY,
        [
            at(1, DAY, "09:00:00", "ann", "tea"),
            at(2, DAY, "09:00:00", "ann", "cup"),
            at(3, DAY, "10:00:00", "bob", "tea"),
            at(4, DAY, "10:00:00", "bob", "tea"),  # the same instant, an id of its own
            at(5, DAY, "11:00:00", "", "tea"),
            at(6, DAY, "12:00:00", "ann", "tea", event_type="impression"),
            at(7, DAY, "12:30:00", "ann", "pot", event_type="impression"),
        ],
    )
    later = date(2011, 3, 11)
    shop.deliver(
        later,
        [
            at(8, later, "09:00:00", "ann", "tea"),
            at(9, later, "10:00:00", "cy", "pot"),
            at(10, later, "11:00:00", "bob", "cup", event_type="rating", value="4"),
        ],
    )
    shop.deliver(DAY, [{"item_id": "tea", "title": "Tea", "category": ""}, {"item_id": "cup", "title": "Cup", "category": "china"},
                       {"item_id": "mug", "title": "Mug", "category": ""}], "items.csv", "items")  # fmt: skip
    found = audited(shop)
    volume = found["volume"]
    assert volume["by_type"] == {"impression": 2, "purchase": 7, "rating": 1}
    assert (volume["acts"], volume["people"], volume["items"], volume["pairs"]) == (8, 3, 3, 5)
    assert volume["anonymous_share"] == 0.125
    assert volume["density"] == round(5 / 9, 5)
    people = found["people"]
    assert people["lengths"]["doublings"] == [
        {"from": 1, "to": 1, "count": 1},
        {"from": 3, "to": 4, "count": 2},
    ]
    assert (people["lengths"]["median"], people["lengths"]["mean"]) == (3, 2.33)
    assert (people["steps"]["median"], people["steps"]["largest"]) == (2, 2)
    assert people["returning_share"] == round(2 / 3, 5)
    assert people["once_share"] == round(1 / 3, 5)
    assert people["tied_share"] == round(4 / 7, 5)
    # Of five purchases at an instant of their own (bob's two teas are one), ann's second tea comes again.
    assert (found["repeats"]["event_type"], found["repeats"]["taken"]) == ("purchase", 5)
    assert (found["repeats"]["repeat_share"], found["repeats"]["same_instant"]) == (0.2, 1)
    assert (found["feedback"]["with_value"], found["feedback"]["scale"]) == (1, [{"value": 4.0, "count": 1}])
    assert (found["feedback"]["impressions"], found["feedback"]["followed"]) == (2, 1)
    clock = found["clock"]
    assert (clock["first"], clock["last"], clock["days"], clock["empty_days"]) == (
        "2011-03-01",
        "2011-03-11",
        2,
        9,
    )
    assert clock["gaps"] == [{"first": "2011-03-02", "last": "2011-03-10", "days": 9}]
    assert (clock["time_of_day"], clock["resolution"]) == ("real", "minutes")
    cold = found["cold"]
    assert (cold["trained_until"], cold["later_acts"]) == ("2011-03-09T10:36:00", 3)
    assert (cold["new_person_share"], cold["new_item_share"], cold["new_either_share"]) == (
        round(1 / 3, 5),
    ) * 3
    assert cold["new_items_described_share"] == 0.0
    catalogue = found["catalogue"]
    assert catalogue["coverage"]["category"] == round(1 / 3, 5)
    assert (catalogue["undescribed_items"], catalogue["untouched_items"]) == (1, 1)
    assert catalogue["undescribed_acts_share"] == 0.125
    # Items have 5, 2 and 1 acts: (3 + 1 - 2 (1·5 + 2·2 + 3·1) / 8) / 3 = 1 / 3.
    assert found["concentration"]["items"]["gini"] == 0.3333
    assert found["concentration"]["items"]["top_hundredth_share"] == 0.625


def test_an_empty_feed_gets_words(shop: Shop) -> None:
    found = audited(shop)
    assert found["advice"]["begin_with"] == "recent popularity"
    assert "No delivery is complete" in render(found)


def test_a_feed_of_items_alone_gets_words(shop: Shop) -> None:
    shop.deliver(DAY, [{"item_id": "tea"}], "items.csv", "items")
    assert "There is no good event" in render(audited(shop))


def test_a_feed_of_events_alone_says_that_no_item_is_described(shop: Shop) -> None:
    shop.deliver(DAY, [event(number) for number in range(1, 9)])
    assert "No delivery describes an item" in render(audited(shop))


def test_a_feed_without_users_says_so(shop: Shop) -> None:
    shop.deliver(DAY, [event(number, user_id="") for number in range(1, 9)])
    found = audited(shop)
    assert "No event names a user" in render(found)
    assert found["people"]["lengths"] is None
    assert found["concentration"]["people"] is None


def test_a_feed_of_one_event_and_one_of_impressions_alone_get_words(shop: Shop) -> None:
    shop.deliver(DAY, [event(1)])
    assert audited(shop)["cold"]["trained_until"] is None
    shop.deliver(DAY, [event(1, event_type="impression")])
    assert "nobody has viewed, carted, bought or rated anything" in render(audited(shop))


@pytest.mark.parametrize(
    ("clocks", "zone", "kind", "resolution"),
    [
        (("09:30:15", "10:00:00", "11:00:00"), "UTC", "real", "seconds"),
        (("09:30:00", "10:00:00", "11:00:00"), "UTC", "real", "minutes"),
        (("09:00:00", "10:00:00", "11:00:00"), "UTC", "real", "hours"),
        (("23:00:00", "23:00:00", "23:00:00"), "Europe/Paris", "date", None),  # midnight in Paris
    ],
)
def test_a_time_of_day_is_told_for_what_it_is(shop: Shop, clocks, zone, kind, resolution) -> None:
    shop.describe(time_zone=zone)
    shop.deliver(DAY, [at(n, DAY, clock, "ann", f"i{n}") for n, clock in enumerate(clocks)])
    clock = audited(shop)["clock"]
    assert (clock["time_of_day"], clock["resolution"]) == (kind, resolution)


def test_times_that_count_the_events_of_a_day_are_found_out(shop: Shop) -> None:
    for day in (DAY, NEXT, THIRD):
        shop.deliver(day, [at(day.day * 100 + n, day, f"12:00:{n:02d}", f"u{n}", f"i{n}") for n in range(20)])
    found = audited(shop)
    assert found["clock"]["time_of_day"] == "count"
    assert any("count the events of the day" in told for told in found["warnings"])


def test_where_a_clock_tells_order_nothing_is_said_of_what_is_new(shop: Shop) -> None:
    shop.describe(clock="order")
    shop.deliver(DAY, [event(1)])
    shop.deliver(NEXT, [event(2, occurred_at="2011-03-02T10:00:00Z")])
    found = audited(shop)
    assert found["cold"]["new_item_share"] is None
    assert any("tells order only" in told for told in found["warnings"])


@pytest.mark.parametrize(
    ("is_allowed", "num_items", "told"),
    [
        (True, 1200, "set repeats_allowed to false"),
        (True, 5, ""),
        (False, 1200, ""),
        (False, 5, "set repeats_allowed to true"),
    ],
)
def test_repeats_allowed_is_held_against_what_people_do(shop: Shop, is_allowed, num_items, told) -> None:
    shop.describe(repeats_allowed=is_allowed)
    clocks = (f"{n // 60:02d}:{n % 60:02d}:00" for n in range(1200))
    shop.deliver(
        DAY, [at(n, DAY, clock, f"u{n % 50}", f"i{n % num_items}") for n, clock in enumerate(clocks)]
    )
    found = [warning for warning in audited(shop)["warnings"] if "repeats_allowed" in warning]
    assert len(found) == bool(told)
    assert told in "".join(found)


def test_a_feed_that_does_not_describe_itself_is_refused(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(FeedInvalid, match=r"has no feed.json"):
        audit(str(tmp_path), shop.settings)


def test_the_command_writes_the_page_and_links_it_from_start_and_data_quality(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORETASTE_HOME", str(shop.settings.home))
    shop.deliver(DAY, [event(number) for number in range(1, 9)])
    told = CliRunner().invoke(cli, ["audit"], catch_exceptions=False)
    assert told.exit_code == 0
    assert "Begin with: recent popularity" in told.output
    reports = shop.settings.reports_path
    page = (reports / "audit" / "tiny-shop.html").read_text()
    assert "begin with" in page
    assert "https://" not in page
    assert "http://" not in page
    assert 'href="audit/tiny-shop.html">Audit of Tiny shop</a>' in (reports / "start.html").read_text()
    assert 'href="audit/tiny-shop.html">audit of Tiny shop</a>' in (reports / "quality.html").read_text()
    for link in re.findall(r'href="([^"#]+)"', page):
        assert link.startswith("data:") or (reports / "audit" / link).exists(), link
    as_values = CliRunner().invoke(cli, ["audit", "--json"], catch_exceptions=False)
    assert json.loads(as_values.stdout)["volume"]["events"] == 8
