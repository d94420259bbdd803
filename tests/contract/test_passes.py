"""Which days are built together, and what each of them goes by, before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts import names
from contracts.errors import PartitionMissing
from contracts.feed import days_between
from contracts.settings import load_settings
from contracts.tables import FEAT_USER_BRAND_DAILY
from jobs import transform
from jobs.io.compiled import CompiledProject
from jobs.io.schemas import arrow_schema
from jobs.io.state import HEARD, LANDINGS, RUNS, State
from jobs.passes import passes_of
from jobs.runs import StepContext

pytestmark = pytest.mark.contract

DAYS = D1, D2, D3, D4 = days_between(date(2011, 3, 1), date(2011, 3, 4))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path / "home")
    with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


def land(context: StepContext, day: date, missing_consent: str = "granted", **settings: Any) -> None:
    """A landing, and the settings of the run that it began."""
    context.state.put(
        LANDINGS, str(day), {"touched": [str(each) for each in DAYS], "missing_consent": missing_consent}
    )
    manifest = {"settings": context.settings.run_settings() | settings}
    context.state.put(RUNS, f"daily/{day}", {"manifest": manifest})


def told(context: StepContext, *days: date) -> list[tuple[list[date], tuple[Any, ...]]]:
    return [(row, tuple(variables.values())) for row, variables in passes_of(days, context)]


def test_days_that_were_loaded_go_by_what_their_load_was_set_to(context: StepContext) -> None:
    """Whatever is set by now: the half-life, what silence meant, the gap of a session."""
    land(context, D3, "denied", half_life_days=2, session_gap_minutes=5)
    assert told(context, *DAYS[:3]) == [([D1, D2, D3], (2, "denied", 5))]


def test_a_pass_ends_where_a_run_was_set_otherwise(context: StepContext) -> None:
    land(context, D1)
    land(context, D2, half_life_days=2)
    land(context, D3, half_life_days=2, session_gap_minutes=5)
    land(context, D4, "denied", half_life_days=2, session_gap_minutes=5)
    assert told(context, *DAYS) == [
        ([D1], (14, "granted", 30)),
        ([D2], (2, "granted", 30)),
        ([D3], (2, "granted", 5)),
        ([D4], (2, "denied", 5)),
    ]


def test_a_day_that_was_only_loaded_can_be_built_again_by_itself(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Any] = []

    def build(given: Any, context: StepContext, *, until: date) -> dict[str, Any]:
        built.append(given)
        return {"feature_days": 1, "event_days": 1, "rows": {}}

    monkeypatch.setattr(transform, "_build", build)
    land(context, D4, "denied")
    with pytest.raises(PartitionMissing, match="day 2011-03-02 has not been landed"):
        transform.run(D2, context)
    for day in (D1, D2):
        empty = pa.Table.from_pylist([], schema=arrow_schema(FEAT_USER_BRAND_DAILY))
        context.lake.replace(names.FEAT_USER_BRAND_DAILY, day, empty, inputs="by hand")
    transform.run(D2, context)
    (of_day,) = built
    assert (of_day.feature_days, of_day.known_by, of_day.landed) == ([D2], D2, {D1, D2})
    assert of_day.variables["missing_consent"] == "denied"


def test_a_build_that_is_cut_short_leaves_no_day_that_seems_to_have_heard_later_words(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a retraining would take what the day's own words gave for what those who have withdrawn were taken out of."""

    def die(*_: object, **options: object) -> None:
        raise RuntimeError("cut short")

    land(context, D1)
    context.state.put(HEARD, str(D1), {"until": str(D3)})
    monkeypatch.setattr(transform, "compile_project", lambda _: CompiledProject("", {}))
    monkeypatch.setattr("jobs.io.dbt.build", die)
    with pytest.raises(RuntimeError, match="cut short"):
        transform.run(D1, context)
    assert context.state.all(HEARD) == {str(D1): {"until": str(D1)}}
