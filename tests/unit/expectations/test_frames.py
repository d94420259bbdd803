"""What a suite is given to look at shows what is wrong in the rows."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from contracts.tables import HISTORIES, LISTS, SEQUENCES, Table
from expectations import features, landed, scores, training
from expectations.frames import as_frame
from jobs.io.schemas import arrow_schema

DAY = date(2011, 3, 1)


def rows(table: Table, *given: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(given), schema=arrow_schema(table))


def list_of(user: str, items: list[str | None] | None, values: list[float | None] | None) -> dict[str, Any]:
    told = (
        {"reason_places": [1], "reason_item_ids": ["rug"]}
        if items
        else {"reason_places": [], "reason_item_ids": []}
    )
    return {
        "user_id": user,
        "source": "personal",
        "is_short": False,
        "item_ids": items,
        "scores": values,
        **told,
    }


def because(places: list[int], items: list[str], **changes: Any) -> dict[str, Any]:
    told = {"reason_places": places, "reason_item_ids": items}
    return {**list_of("u", ["lamp", "rug"], [0.2, 0.1]), **told, **changes}


CATALOGUE = pa.table({"item_id": ["lamp", "rug", "vase"], "is_available": [True, True, False]})
LISTS_WRONG_IN_ONE_WAY = {
    "num_repeated": list_of("u", ["lamp", "lamp"], [0.2, 0.1]),
    "num_unknown": list_of("u", ["lamp", "ghost"], [0.2, 0.1]),
    "num_unavailable": list_of("u", ["lamp", "vase"], [0.2, 0.1]),
    "num_seen": list_of("u", ["lamp", "rug"], [0.2, 0.1]),
    "num_rising": list_of("u", ["lamp", "rug"], [0.1, 0.2]),
    "num_not_finite": list_of("u", ["lamp", "rug"], [0.2, float("nan")]),
    "num_foreign_reasons": because([1, 2], ["rug", "lamp"]),
    "num_misplaced_reasons": because([1, 3], ["rug", "vase"]),
    "num_repeated_reasons": because([2, 2], ["rug", "rug"]),
    "num_impersonal_reasons": because([2], ["rug"], source="popular"),
}
COUNTS = list(LISTS_WRONG_IN_ONE_WAY)


@pytest.mark.parametrize("wrong", COUNTS)
def test_what_is_wrong_with_a_list_is_counted_for_its_user_alone(wrong: str) -> None:
    fine = list_of("fine", ["rug", "lamp"], [0.9, 0.9])
    table = rows(LISTS, fine, LISTS_WRONG_IN_ONE_WAY[wrong], {**fine, "user_id": "also fine"})
    done = {"item_ids": ["rug", "vase"], "seen_item_ids": []}
    seen = ["ghost", "rug"] if wrong == "num_seen" else []
    histories = rows(
        HISTORIES,
        *({**done, "user_id": user} for user in ("fine", "also fine")),
        {**done, "user_id": "u", "seen_item_ids": seen},
    )
    frame = scores.lists_frame(table, CATALOGUE, 2, histories, repeats_allowed=False)
    assert frame[COUNTS].sum().to_dict() == {**dict.fromkeys(COUNTS, 0), wrong: 1}
    assert frame[wrong].to_list() == [0, 1, 0]


def test_lists_are_judged_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [{**each, "user_id": f"u{number}"} for number, each in enumerate(LISTS_WRONG_IN_ONE_WAY.values())]
    table = rows(LISTS, *wrong)
    seen = rows(
        HISTORIES, *({"user_id": f"u{n}", "item_ids": ["rug"], "seen_item_ids": ["rug"]} for n in (4, 1, 7))
    )
    whole = scores.lists_frame(table, CATALOGUE, 2, seen, repeats_allowed=False)
    monkeypatch.setattr(scores, "_BLOCK", 2)
    blocks = scores.lists_frame(table, CATALOGUE, 2, seen, repeats_allowed=False)
    pd.testing.assert_frame_equal(blocks, whole)
    assert whole["num_seen"].to_list() == [0, 0, 0, 0, 1, 0, 0, 1, 0, 0]
    assert whole["num_foreign_reasons"].to_list() == [1, 0, 1, 1, 0, 1, 2, 1, 2, 1]


def test_a_short_an_empty_and_a_missing_list_are_told_apart() -> None:
    table = rows(
        LISTS,
        list_of("short", ["lamp"], [0.1]),
        list_of("empty", [], []),
        list_of("missing", None, None),
        list_of("torn", ["lamp", None], [0.1, None]),
    )
    frame = scores.lists_frame(table, CATALOGUE, 2, rows(HISTORIES), repeats_allowed=True)
    assert frame["num_items"].to_list() == [1, 0, -1, 2]
    assert frame["is_filled"].to_list() == [True, False, False, True]
    assert frame["is_below_length"].to_list() == [True, True, True, False]
    assert frame["num_unknown"].to_list() == [0, 0, 0, 1]
    assert frame["num_not_finite"].to_list() == [0, 0, 0, 1]


def test_no_lists_make_an_empty_frame() -> None:
    assert scores.lists_frame(rows(LISTS), CATALOGUE, 2, rows(HISTORIES), repeats_allowed=True).empty


def test_a_user_without_a_list_shows() -> None:
    frame = scores.coverage_frame(pa.chunked_array([["anna", "ben"], ["anna"]]), pa.chunked_array([["anna"]]))
    assert dict(zip(frame["user_id"], frame["is_listed"], strict=True)) == {"anna": True, "ben": False}


def test_blank_and_unseen_items_of_a_history_are_counted() -> None:
    frame = features.histories_frame(
        rows(
            HISTORIES,
            {"user_id": "a", "item_ids": ["lamp", " "], "seen_item_ids": ["lamp", " ", None]},
            {"user_id": "b", "item_ids": ["lamp", "rug", "rug"], "seen_item_ids": ["rug"]},
            {"user_id": "c", "item_ids": [], "seen_item_ids": ["rug"]},
        )
    )
    assert frame["num_item_ids"].to_list() == [2, 3, 0]
    assert frame["num_wrong_item_ids"].to_list() == [1, 0, 0]
    assert frame["num_wrong_seen_item_ids"].to_list() == [2, 0, 0]
    assert frame["num_unseen"].to_list() == [0, 1, 0]


def test_the_least_and_the_most_of_each_history_are_found() -> None:
    ids = {"item_ids": ["lamp"], "seen_item_ids": ["lamp"]}
    frame = features.histories_frame(
        rows(
            HISTORIES,
            {"user_id": "a", **ids, "seen_depths": [1, 3], "seen_days_ago": [0, 7, 2]},
            {"user_id": "b", **ids, "seen_depths": [], "seen_days_ago": None},
            {"user_id": "c", **ids, "seen_depths": [2], "seen_days_ago": [-1]},
        )
    )
    assert frame["num_seen_days_ago"].fillna(-1).to_list() == [3, -1, 1]
    assert frame["least_seen_depths"].to_list() == [1, 0, 2]
    assert frame["most_seen_days_ago"].to_list() == [7, 0, -1]


def test_recency_is_compared_where_features_and_histories_reach_equally_far() -> None:
    users = pd.DataFrame({"user_id": ["a", "b", "c"], "recency_days": [3, 30, 3]})
    histories = pd.DataFrame({"user_id": ["a", "b", "d"], "least_seen_days_ago": [3, 12, 0]})
    assert features.recency_frame(users, histories, 30).to_dict("records") == [
        {"user_id": "a", "recency_days": 3, "least_seen_days_ago": 3}
    ]


def user_day(user: str, event_date: date, split: str = "fit", *items: str | None) -> dict[str, Any]:
    return {"user_id": user, "event_date": event_date, "item_ids": list(items or ("lamp",)), "split": split}


def test_days_in_another_split_and_blank_items_show() -> None:
    frame = training.sequences_frame(
        rows(
            SEQUENCES,
            user_day("b", date(2011, 3, 1), "judge", "lamp", " ", None, "null"),
            user_day("a", date(2011, 2, 25), "fit", "lamp", "rug"),
            user_day("c", date(2011, 2, 26), "judge"),  # the last two days judge, the one before ranks
            user_day("c", date(2011, 2, 27), "fit"),
        ),
        DAY,
        2,
        1,
    )
    assert frame["split_of_date"].to_list() == ["judge", "fit", "fit", "rank"]
    assert frame["num_item_ids"].to_list() == [4, 2, 1, 1]
    assert frame["num_wrong_item_ids"].to_list() == [3, 0, 0, 0]


def test_a_split_knows_who_was_there_before_it() -> None:
    steps = rows(
        SEQUENCES,
        user_day("a", DAY, "fit"),
        user_day("b", DAY, "rank", "lamp", "rug", "lamp"),
        user_day("a", DAY, "rank"),
        user_day("c", DAY, "judge"),
    )
    frame = training.splits_frame(steps).set_index("split")
    assert frame["num_known_users"].to_dict() == {"fit": 1, "rank": 1, "judge": 0}
    assert frame["num_users"].to_dict() == {"fit": 1, "rank": 2, "judge": 1}
    assert frame["num_steps"].to_dict() == {"fit": 1, "rank": 4, "judge": 1}
    assert frame["num_items"].to_dict() == {"fit": 1, "rank": 2, "judge": 1}


def test_an_event_is_compared_with_its_partition_its_clock_and_the_catalogue() -> None:
    table = pa.table(
        {
            "item_id": ["lamp", "ghost"],
            "occurred_at": pa.array([datetime(2011, 3, 1, 23, 59), datetime(2011, 3, 2)], pa.timestamp("us")),
            "received_date": pa.array([DAY, DAY], pa.date32()),
        }
    )
    frame = landed.events_frame(
        table, pa.chunked_array([pa.array([DAY, DAY], pa.date32())]), pa.chunked_array([["lamp"]])
    )
    assert frame["is_item_known"].to_list() == [True, False]
    assert (frame["date_of_occurred_at"] == frame["partition_date"]).to_list() == [True, False]
    assert (frame["day_after_received"] == pd.Timestamp(2011, 3, 2)).all()


def test_nothing_that_was_written_hides_as_a_missing_value() -> None:
    frame = as_frame(pa.table({"value": [float("nan"), None, 1.0], "count": pa.array([1, 2, 3], pa.int32())}))
    assert frame["value"].to_list()[0] == float("inf")
    assert frame["value"].isna().to_list() == [False, True, False]
    assert frame["count"].dtype == "int64"  # what is compared as a whole column


def test_a_date_beyond_all_ranges_stays_beyond_them() -> None:
    dates = pa.table(
        {
            "at": pa.array(
                [datetime(9999, 1, 1), datetime(2, 1, 1), None, datetime(2011, 3, 1)], pa.timestamp("us")
            )
        }
    )
    at = as_frame(dates)["at"]
    assert at.dtype == "datetime64[ns]"
    assert (at > pd.Timestamp(2200, 1, 1)).to_list() == [True, False, False, False]
    assert (at < pd.Timestamp(1800, 1, 1)).to_list() == [False, True, False, False]
    assert at.isna().to_list() == [False, False, True, False]
