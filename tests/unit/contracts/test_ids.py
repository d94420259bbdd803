"""The landing and the API refuse the same ids: what one calls a control, the other does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from contracts.ids import CONTROLS, CONTROLS_RE2, PLACEHOLDERS
from jobs.landing.checks import id_checks
from serving.event_rules import read_events

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def rows(query: str, **given: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(query, given).fetchall()


def test_both_spellings_name_the_same_characters() -> None:
    characters = [chr(number) for number in range(1, 0x2100)]  # DuckDB's texts hold no zero
    is_one = f"regexp_matches(c, '[{CONTROLS_RE2}]')"
    re2 = [found for (found,) in rows(f"select {is_one} from (select unnest($texts) as c)", texts=characters)]
    python = [re.search(f"[{CONTROLS}]", each) is not None for each in characters]
    assert re2 == python
    assert sum(python) == 0x1F + 1 + 5 + 5 + 4


@pytest.mark.parametrize(
    "item",
    ["i1", "\ufeff", "\u00a0\ufeff ", " \ufeff \ufeff ", "   ", "a\u202eb", "a\u200bb", "a\x7fb", "ü" * 64, "ü" * 65, "Null", *PLACEHOLDERS],
)  # fmt: skip
def test_an_id_is_refused_by_both_or_by_none(item: str) -> None:
    event = {"event_id": "e1", "item_id": item, "event_type": "view", "occurred_at": "2026-01-05T11:00:00Z"}
    _, refused = read_events(event, NOW)
    checks = " or ".join(f"({condition})" for condition, _ in id_checks("item"))
    [(is_quarantined,)] = rows(f"select {checks} from (select $item as item)", item=item)
    assert bool(refused) == is_quarantined
