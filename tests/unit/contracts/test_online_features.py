"""Packed features say by themselves what is missing, and no more is relied upon than what is fresh."""

from __future__ import annotations

import struct
from datetime import date

import pytest

from contracts.online_features import (
    Catalogue,
    OnlineFeature,
    PackedColumn,
    PackedTable,
    Rows,
    judge,
    text_fields,
    unpack,
    with_texts,
)

WIDE = PackedTable(
    "feat_user_daily", "user_id", "One row per active user.", None,
    (
        PackedColumn("views", "integer", "h", "events"),
        PackedColumn("price", "double precision", "d", "cents", "no purchase"),
        PackedColumn("is_new", "boolean", "?", "truth"),
    ),
)  # fmt: skip
BY = PackedTable(
    "feat_user_category_daily", "user_id", "One row per user and category.", "category",
    (PackedColumn("category", "text", "B"), PackedColumn("affinity", "bigint", "i", "millionths")),
)  # fmt: skip
TABLES = (WIDE, BY)
#: 300 views, no price (bit 1), not new; two categories, the second's affinity missing (bit 1).
PACKED = (
    b"\x01" + b"\x02" + struct.pack("<hd?", 300, 0, False)
    + struct.pack("<I", 2) + b"\x00" + struct.pack("<Bi", 1, -7) + b"\x02" + struct.pack("<Bi", 0, 0)
)  # fmt: skip
TEXTS = {"feat_user_category_daily.category:0": "bags", "feat_user_category_daily.category:1": "cups"}
CATALOGUE = Catalogue("2011-03-01", "ab", {"user_id": 1, "item_id": 0}, TABLES)


def read() -> Rows:
    coded = unpack(TABLES, PACKED)
    assert text_fields(TABLES, coded) == sorted(TEXTS)
    return with_texts(TABLES, coded, TEXTS)


def told(
    rows: Rows | None, today: str, *, is_known: bool = True, of: str | None = None
) -> dict[str, OnlineFeature]:
    found = judge(
        CATALOGUE, "user_id", rows, is_known=is_known, today=date.fromisoformat(today), max_age_days=2
    )
    return {feature.name: feature for feature in found if feature.of in (None, of)}


def test_packed_rows_read_back_with_types_texts_and_what_is_missing() -> None:
    assert repr(read()) == repr(
        {"feat_user_daily": [(300, None, False)], "feat_user_category_daily": [("cups", -7), ("bags", None)]}
    )
    assert Catalogue.from_json(CATALOGUE.to_json()) == CATALOGUE


@pytest.mark.parametrize("torn", [PACKED[:-1], PACKED + b"\x00", b""])
def test_torn_bytes_are_no_features(torn: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        unpack(TABLES, torn)


def test_each_value_says_whether_it_may_be_relied_upon() -> None:
    found = told(read(), "2011-03-03", of="bags")
    assert {name: feature.status for name, feature in found.items()} == {
        "views": "fresh", "price": "missing", "is_new": "fresh", "affinity": "missing",
    }  # fmt: skip
    assert (found["price"].why, found["views"].why, found["views"].unit) == ("no purchase", "", "events")


def test_what_has_expired_is_never_fresh_not_even_by_a_day() -> None:
    assert {each.status for each in told(read(), "2011-03-04", of="cups").values()} == {"outdated"}
    assert told(read(), "2011-03-03", of="cups")["affinity"].status == "fresh"


def test_whoever_has_no_features_is_told_from_whoever_is_nobody() -> None:
    left = told(None, "2011-03-02")
    assert {each.status for each in left.values()} == {"missing"}
    assert "One row per active user." in left["views"].why
    assert {each.status for each in told(None, "2011-03-02", is_known=False).values()} == {"unknown"}
    without_categories = told(read() | {"feat_user_category_daily": []}, "2011-03-02")
    assert without_categories["affinity"].status == "missing"


def test_of_whoever_has_withdrawn_nothing_is_told_to_be_fresh() -> None:
    for rows, today in ((read(), "2011-03-02"), (None, "2011-03-09")):
        found = judge(
            CATALOGUE, "user_id", rows, is_known=False, today=date.fromisoformat(today), max_age_days=2,
            withheld="consent was withdrawn",
        )  # fmt: skip
        assert {(each.status, each.why) for each in found} == {("withheld", "consent was withdrawn")}


def test_what_a_version_holds_is_known_and_what_it_lacks_is_outdated_too() -> None:
    assert told(read(), "2011-03-02", is_known=False)["views"].status == "fresh"
    assert {each.status for each in told(None, "2011-03-09").values()} == {"outdated"}


def test_a_catalogue_tells_the_tables_of_users_from_those_of_items() -> None:
    assert (CATALOGUE.of("user_id"), CATALOGUE.of("item_id")) == (TABLES, ())


@pytest.mark.parametrize(("columns", "mask"), [(8, 1), (9, 2), (16, 2)])
def test_eight_columns_share_a_byte_of_what_is_missing(columns: int, mask: int) -> None:
    wide = PackedTable("t", "user_id", "", None, (PackedColumn("x", "integer", "b"),) * columns)
    missing = (1 << (columns - 1)).to_bytes(mask, "little")
    rows = unpack([wide], b"\x01" + missing + bytes(columns))
    assert rows == {"t": [(0,) * (columns - 1) + (None,)]}
