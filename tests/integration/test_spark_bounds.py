"""What Spark's work holds and what it hands back is bounded, whoever the users are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark import SparkContext

from contracts import names
from contracts.settings import load_settings
from contracts.tables import FCT_INTERACTIONS
from jobs.features import build, tasks
from jobs.features.tasks import run_on_spark
from jobs.features.user_days import MAX_ITEMS_A_DAY
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.spark import spark_context
from jobs.io.state import State
from jobs.runs import StepContext
from tests.spark_tasks import Chatty, Told

pytestmark = pytest.mark.integration

DAY = date(2026, 1, 31)
MILLION, NUM_ITEMS, LENGTH = 1_000_000, 5_000, 50


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkContext]:
    with spark_context(load_settings(home=tmp_path_factory.mktemp("spark"), spark_memory="600m")) as context:
        yield context


def a_million_events(items: np.ndarray[Any, Any]) -> pa.Table:
    """One user's day in the order of time, and another user's one view."""
    num_rows = len(items) + 1
    micros = np.arange(num_rows) * 80_000 + DAY.toordinal() * 0
    start = np.datetime64(DAY, "us")
    columns = {
        "event_id": pa.array([f"e{number:07d}" for number in range(num_rows)]),
        "user_id": pa.array([*["robot"] * len(items), "ann"]),
        "item_id": pa.array([*(f"i{item:04d}" for item in items), "i0001"]),
        "event_type": pa.array(["view"] * num_rows),
        "occurred_at": pa.array(start + micros.astype("timedelta64[us]")),
        "event_date": pa.array([DAY] * num_rows),
        "known_date": pa.array([DAY] * num_rows),
        "weight": pa.array(np.ones(num_rows, np.int32)),
    }
    schema = arrow_schema(FCT_INTERACTIONS)
    empty = pa.nulls(num_rows)
    ordered = [columns.get(field.name, empty.cast(field.type)) for field in schema]
    shuffled = np.random.default_rng(7).permutation(num_rows)
    return pa.table(ordered, schema=schema).take(pa.array(shuffled))


def last_steps(items: np.ndarray[Any, Any], length: int) -> list[str]:
    """The last items, an item in a row once."""
    steps = [int(item) for item, before in zip(items[1:], items[:-1], strict=True) if item != before]
    return [f"i{item:04d}" for item in steps[-length:]]


@pytest.mark.usefixtures("spark")
def test_one_user_with_a_million_events_takes_little_memory_and_has_the_right_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(home=tmp_path / "home", history_length=LENGTH)
    items = np.random.default_rng(1).integers(0, NUM_ITEMS, MILLION)
    items[-5:] = items[-6]  # the same six times in a row is one step
    told = tmp_path / "told"
    told.mkdir()
    monkeypatch.setattr(
        tasks,
        "run_on_spark",
        lambda spark, chosen: run_on_spark(spark, [Told(task, told) for task in chosen]),
    )
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        context = StepContext.of(settings, lease)
        context.lake.replace(names.FCT_INTERACTIONS, DAY, a_million_events(items), inputs="test")
        build.run(DAY, context)
    lake = Lake.of(settings)
    histories = {row["user_id"]: row for row in lake.read(names.HISTORIES, DAY).to_pylist()}
    assert set(histories) == {"robot", "ann"}
    assert histories["robot"]["item_ids"] == last_steps(items, LENGTH)
    assert histories["robot"]["seen_item_ids"] == [f"i{item:04d}" for item in np.unique(items)]
    assert histories["ann"]["item_ids"] == ["i0001"]
    assert lake.verify(names.COVISITATION, DAY).num_rows == MAX_ITEMS_A_DAY * (MAX_ITEMS_A_DAY - 1)
    peaks = [int(path.read_text()) for path in told.glob("ended-*")]
    assert len(peaks) >= 3
    assert max(peaks) < 800 << 20


def test_no_task_returns_rows_to_the_driver(spark: SparkContext) -> None:
    """What a task returns is thrown away where it was made, and what would come nevertheless is refused."""
    assert run_on_spark(spark, [Chatty(64 << 20)]) is None  # type: ignore[func-returns-value]
    with pytest.raises(Exception, match=r"spark\.driver\.maxResultSize"):
        spark.parallelize([64 << 20], 1).map(bytes).collect()
