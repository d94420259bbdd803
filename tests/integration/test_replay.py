"""What was replayed reaches the tables of the runs that come, and changes none of those that have been."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from contracts import names
from jobs import transform, validate
from jobs.io.lake import Lake
from jobs.io.state import State
from jobs.runs import StepContext
from tests.replaying import land_both, older_foretaste, rating, replayed
from tests.shop import DAY, NEXT, THIRD, Shop, event

pytestmark = pytest.mark.integration


def delivered(home: Path) -> Shop:
    """Three days; on the second comes a late rating, which an older Foretaste does not know."""
    shop = Shop(home)
    items = [{"item_id": f"i{number}", "title": "Cup", "price": "2.5"} for number in range(5)]
    shop.deliver(DAY, items, "items.csv", "items")
    for number, day in enumerate((DAY, NEXT, THIRD)):
        rows = [event(100 * number + each, occurred_at=f"{day}T10:00:00Z") for each in range(20)]
        shop.deliver(day, [*rows, rating(900), rating(901)] if day == NEXT else rows)
    return shop


def transformed(shop: Shop, day: date, first: date | None = None) -> None:
    with State.of(shop.settings).lease("test", "transform", 60, is_last=True) as lease:
        context = StepContext.of(shop.settings, lease)
        validate.run_landed(day, context)
        transform.run(day, context, first=first)


def features(shop: Shop, day: date) -> dict[str, str]:
    return {table: Lake.of(shop.settings).verify(table, day).digest for table in names.BY_FEATURE_DAY}


def test_replayed_rows_flow_into_the_next_run_and_into_no_earlier_one(tmp_path: Path) -> None:
    fixed, clean = delivered(tmp_path / "fixed"), delivered(tmp_path / "clean")
    with older_foretaste():
        land_both(fixed)
    transformed(fixed, NEXT, first=DAY)
    before = features(fixed, NEXT)
    assert replayed(fixed)["good"] == 2
    transformed(fixed, NEXT)
    assert features(fixed, NEXT) == before
    fixed.land(THIRD)
    transformed(fixed, THIRD)

    clean.land(THIRD, first=DAY)
    transformed(clean, THIRD, first=DAY)
    assert features(fixed, THIRD) == features(clean, THIRD)
    for day in (DAY, NEXT, THIRD):
        one, other = (
            Lake.of(shop.settings).read(names.FCT_INTERACTIONS, day).drop_columns("known_date")
            for shop in (fixed, clean)
        )
        assert one == other, day
