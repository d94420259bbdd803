"""What lists are because of is told over everybody, and of nobody."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from contracts.tables import LISTS
from jobs.common_reasons import LEAST_PEOPLE, common_reasons
from jobs.io.schemas import arrow_schema

CATALOGUE = pa.table({"item_id": ["lamp", "rug", "vase"], "title": ["Lamp", None, "Vase"]})


def row(
    user: int, items: list[str], reasons: list[tuple[int, str]], source: str = "personal"
) -> dict[str, Any]:
    places, because = [place for place, _ in reasons], [item for _, item in reasons]
    ranked = {"source": source, "is_short": False, "item_ids": items, "scores": [1.0] * len(items)}
    return {"user_id": f"u{user:02d}", **ranked, "reason_places": places, "reason_item_ids": because}


def test_pairs_that_enough_people_share_are_told_with_titles() -> None:
    shared = [
        row(user, ["lamp", "rug"], [(1, "vase"), (2, "lamp"), (2, "vase")]) for user in range(LEAST_PEOPLE)
    ]
    alone = [row(50 + user, ["vase"], [(1, "rug")]) for user in range(LEAST_PEOPLE - 1)]
    nobody = [row(90, ["vase"] * 12, []), row(99, ["lamp"], [], source="popular")]
    rows = pa.Table.from_pylist([*shared, *alone, *nobody], schema=arrow_schema(LISTS))
    told = common_reasons(rows, CATALOGUE)
    assert told == {
        "num_lists": 2 * LEAST_PEOPLE,
        "num_places": 2 * LEAST_PEOPLE + LEAST_PEOPLE - 1 + 10,
        "num_explained": 2 * LEAST_PEOPLE + LEAST_PEOPLE - 1,
        "pairs": [
            {"because": "Lamp", "item": "rug", "people": LEAST_PEOPLE},
            {"because": "Vase", "item": "Lamp", "people": LEAST_PEOPLE},
            {"because": "Vase", "item": "rug", "people": LEAST_PEOPLE},
        ],
    }


def test_where_nobody_has_a_list_of_the_model_s_nothing_is_told() -> None:
    rows = pa.Table.from_pylist([row(1, ["lamp"], [], source="popular")], schema=arrow_schema(LISTS))
    assert common_reasons(rows, CATALOGUE) == {
        "num_lists": 0,
        "num_places": 0,
        "num_explained": 0,
        "pairs": [],
    }
