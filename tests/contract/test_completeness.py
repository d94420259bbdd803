"""What people have not consented to is no part of what the monitor says about empty columns."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from contracts import names
from contracts.consent import Word
from contracts.settings import load_settings
from contracts.tables import RAW_EVENTS
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.monitoring.completeness import read_completeness
from jobs.monitoring.windows import Span
from jobs.people import People

pytestmark = pytest.mark.contract

DAY = date(2011, 3, 1)
NOON = datetime(2011, 3, 1, 12)


@pytest.mark.parametrize(
    ("missing", "words", "used"),
    [
        (True, {}, {"ann", "bob's", "cy"}),
        (True, {"bob's": [Word(NOON, is_granted=False)]}, {"ann", "cy"}),
        (False, {"bob's": [Word(NOON, is_granted=True)]}, {"bob's"}),
        (False, {"bob's": [Word(datetime(2011, 3, 1, 12, 0, 0, 1), is_granted=True)]}, set()),
        (False, {}, set()),
    ],
)
def test_empty_columns_are_counted_of_what_may_be_used(
    tmp_path: Path, missing: bool, words: dict[str, list[Word]], used: set[str]
) -> None:
    rows = [
        {
            "event_id": user or "0",
            "user_id": user,
            "event_type": "view",
            "occurred_at": NOON,
            "known_date": DAY,
        }
        for user in ("ann", "bob's", "cy", None)
    ]
    settings = load_settings(home=tmp_path)
    with State.of(settings).lease("test", "land", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        filled = [dict.fromkeys(RAW_EVENTS.columns) | row for row in rows]
        table = pa.Table.from_pylist(filled, schema=arrow_schema(RAW_EVENTS))
        lake.replace(names.RAW_EVENTS, DAY, table, inputs="test")
    span, people = Span(DAY, DAY), People(missing, {}, {}, words)
    found = read_completeness(lake, span, span, DAY, people, threads=1)
    assert found.recent["view"][0] == len(used) + 1  # and nobody, who needs no consent
