"""What is packed for the online store is, value by value and type by type, what the tables say."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import GateRefused
from contracts.online_features import DTYPES, Catalogue, unpack, with_texts
from contracts.tables import Table
from jobs.feature_edition import FeatureEdition, _stored, feature_edition_of, further_key, online_tables
from jobs.io.schemas import arrow_schema, schema_of

DAY = date(2011, 3, 1)
Row = dict[str, Any]


def rows_of(table: Table, rows: list[Row]) -> pa.Table:
    filled = [{name: row.get(name) for name in table.columns} for row in rows]
    return pa.Table.from_pylist(filled, schema=arrow_schema(table))


def edition(day: date = DAY, **rows: list[Row]) -> FeatureEdition:
    tables = {table.short_name: rows_of(table, rows.get(table.short_name, [])) for table in online_tables()}
    return feature_edition_of(day, tables)


def online(made: FeatureEdition, entity: str) -> dict[str, Any]:
    tables = Catalogue.from_json(made.catalogue.to_json()).of(entity)
    return {
        id_: with_texts(tables, unpack(tables, packed), made.texts)
        for id_, packed in zip(made.ids[entity], made.packed[entity], strict=True)
    }


_ids = st.sampled_from([f"u{number}" for number in range(6)])
_counts = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-200, 200))


@settings(max_examples=25, deadline=None)
@given(
    users=st.dictionaries(_ids, _counts, max_size=6),
    shares=st.dictionaries(st.tuples(_ids, st.sampled_from(["cups", "", "Äpfel"])), _counts, max_size=9),
)
def test_online_and_offline_are_equal_for_every_value_of_everybody(
    users: dict[str, int | None], shares: dict[tuple[str, str], int | None]
) -> None:
    made = edition(
        feat_user_daily=[
            {"user_id": user, "views_28d": views, "recency_days": 3} for user, views in users.items()
        ],
        feat_user_category_daily=[
            {"user_id": user, "category": category, "affinity_micros": share}
            for (user, category), share in shares.items()
        ],
    )
    everyone = sorted({*users, *(user for user, _ in shares)})
    assert made.ids["user_id"] == everyone
    found = online(made, "user_id")
    assert repr(found) == repr(made.offline("user_id", everyone))
    places = [column.name for column in made.catalogue.tables[0].columns].index("views_28d")
    assert {
        user: rows["feat_user_daily"][0][places] for user, rows in found.items() if rows["feat_user_daily"]
    } == users


@pytest.mark.parametrize(
    ("data_type", "values", "code"),
    [
        ("integer", [0, -128, None], "b"), ("integer", [128], "h"), ("bigint", [2**31 - 1], "i"), ("bigint", [2**31], "q"),
        ("bigint", [], "b"), ("boolean", [True, None], "?"), ("double precision", [0.1, float("inf"), None], "d"),
        ("text", ["b", "a", None], "B"), ("text", [str(number) for number in range(300)], "H"),
    ],
)  # fmt: skip
def test_a_column_takes_the_narrowest_type_that_holds_it(
    data_type: str, values: list[Any], code: str
) -> None:
    rows = pa.table({"x": values}, schema=schema_of({"x": data_type}))
    found, stored, words = _stored(rows["x"], data_type)
    assert (found, stored.dtype.str[-2:]) == (code, DTYPES[code][-2:])
    told = [words[each] if words else each for each in stored.tolist()]
    assert [got for got, want in zip(told, values, strict=True) if want is not None] == [
        want for want in values if want is not None
    ]


def test_the_digest_is_of_values_and_day_and_not_of_the_order_of_rows() -> None:
    rows = [{"user_id": "b", "views_28d": 1}, {"user_id": "a", "views_28d": 2}]
    digest = edition(feat_user_daily=rows).catalogue.digest
    assert edition(feat_user_daily=rows[::-1]).catalogue.digest == digest
    assert edition(feat_user_daily=[rows[0], rows[1] | {"views_28d": None}]).catalogue.digest != digest
    assert edition(feat_user_daily=rows, day=DAY + timedelta(days=1)).catalogue.digest != digest
    assert edition(feat_user_daily=[rows[0], rows[1] | {"user_id": "aa"}]).catalogue.digest != digest


def test_rows_of_somebody_stand_in_the_order_of_their_categories_and_their_texts_count() -> None:
    rows = [
        {"user_id": "a", "category": name, "affinity_micros": at} for at, name in enumerate(["b", "c", "a"])
    ]
    made = edition(feat_user_category_daily=rows)
    assert [row[0] for row in online(made, "user_id")["a"]["feat_user_category_daily"]] == ["a", "b", "c"]
    assert edition(feat_user_category_daily=rows[::-1]).catalogue.digest == made.catalogue.digest
    other = [row | {"category": row["category"] + "x"} for row in rows]
    assert edition(feat_user_category_daily=other).catalogue.digest != made.catalogue.digest


def test_no_row_is_lost_where_one_block_of_rows_ends_and_the_next_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.feature_edition._BLOCK", 2)
    made = edition(
        feat_user_daily=[{"user_id": f"u{number}", "views_28d": 1 + number} for number in range(5)]
    )
    assert repr(online(made, "user_id")) == repr(made.offline("user_id", made.ids["user_id"]))


def test_what_the_store_has_to_hold_is_ids_rows_and_texts() -> None:
    made = edition(feat_user_category_daily=[{"user_id": "ann", "category": "cups"}])
    [(field, text)] = made.texts.items()
    assert (made.num_fields, text) == (2, "cups")
    assert made.num_bytes == len("ann") + len(made.packed["user_id"][0]) + len(field) + len("cups")


def test_a_second_row_of_somebody_or_a_row_of_nobody_is_refused() -> None:
    with pytest.raises(GateRefused, match="feat_user_daily has two rows of 'b'"):
        edition(feat_user_daily=[{"user_id": "a"}, {"user_id": "b"}, {"user_id": "b"}])
    of_another = [{"user_id": "a", "category": "cups"}]
    with pytest.raises(GateRefused, match="feat_user_daily has two rows of 'b'"):
        edition(feat_user_category_daily=of_another, feat_user_daily=[{"user_id": "b"}, {"user_id": "b"}])
    with pytest.raises(GateRefused, match="has no item_id"):
        edition(feat_item_daily=[{"item_id": None}])


def test_every_feature_table_is_published() -> None:
    assert {(table.key[0], further_key(table)) for table in online_tables()} >= {
        ("user_id", None), ("item_id", None), ("user_id", "category"),
    }  # fmt: skip
