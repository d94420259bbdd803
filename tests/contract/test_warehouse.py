"""A warehouse that an older Foretaste has filled gets the columns that it lacks, and keeps its rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from contracts import names
from contracts.settings import load_settings
from contracts.tables import Table
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.io.warehouse import open_warehouse

pytestmark = pytest.mark.contract

OLD = Table("ops/kept", "One row a day.", ("day",), {"day": "date", "verdict": "text"})
NEW = Table(
    "ops/kept", "One row a day.", ("day",), {"day": "date", "coverage": "double precision", "verdict": "text"}
)


def test_a_table_of_an_older_foretaste_gets_its_new_columns(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    first, second = date(2011, 3, 1), date(2011, 3, 2)
    with (
        State.of(settings).lease("test", "monitor", 60, is_last=True) as lease,
        open_warehouse(settings) as warehouse,
    ):
        old = pa.Table.from_pylist([{"day": first, "verdict": "ok"}], schema=arrow_schema(OLD))
        warehouse.replace(names.WAREHOUSE_OPS, OLD, "day", [first], old, lease)
        new = pa.Table.from_pylist(
            [{"day": second, "coverage": 0.5, "verdict": "ok"}], schema=arrow_schema(NEW)
        )
        warehouse.replace(names.WAREHOUSE_OPS, NEW, "day", [second], new, lease)
        rows = warehouse.read("select * from ops.kept order by day", NEW.columns).to_pylist()
    assert [(row["day"], row["coverage"]) for row in rows] == [(first, None), (second, 0.5)]
