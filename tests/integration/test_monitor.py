"""The monitor over a small synthetic lake: DuckDB, Parquet and Evidently for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from contracts import names
from contracts.settings import load_settings
from contracts.tables import TABLES
from jobs import monitor
from jobs.io.schemas import arrow_schema, schema_of
from jobs.io.state import PROMOTIONS, PUBLICATIONS, RETRAININGS, VERDICTS, State
from jobs.io.warehouse import open_warehouse
from jobs.monitoring.columns import NUMBERS, Column
from jobs.monitoring.divergence import js_bits, wasserstein
from jobs.monitoring.evidently_report import drift_report
from jobs.monitoring.keep import DRIFT_VERDICTS
from jobs.runs import StepContext

pytestmark = pytest.mark.integration

FIRST = date(2011, 1, 1)
PROMOTED = date(2011, 2, 9)  # day 40
DAY = date(2011, 2, 25)  # day 56
NUM_USERS, NUM_ITEMS, NUM_CATEGORIES = 420, 60, 6
EVENTS_A_DAY = 500


@dataclass
class Shop:
    """People with tastes of their own, who go on as they are unless told otherwise."""

    context: StepContext
    num_days: int = 56
    shifted_from: date | None = None  # from this day on two thirds of the people have another taste
    fashion_from: date | None = None  # from this day on everybody wants the first category's items
    kept_share: float = 1.0  # of the events after PROMOTED
    lost_type: str = ""  # after PROMOTED
    feature_factor: float = 1.0  # of the user features on DAY
    lists_from: int = 0  # the first item that DAY's lists begin at

    def build(self) -> None:
        rng = np.random.default_rng(3)
        category = np.arange(NUM_ITEMS) % NUM_CATEGORIES
        tastes = rng.dirichlet(np.full(NUM_CATEGORIES, 0.3), NUM_USERS)
        others = rng.dirichlet(np.full(NUM_CATEGORIES, 0.3), NUM_USERS)
        is_fickle = rng.random(NUM_USERS) < 2 / 3
        for offset in range(self.num_days):
            day = FIRST + timedelta(days=offset)
            now = tastes
            if self.shifted_from and day >= self.shifted_from:
                now = np.where(is_fickle[:, None], others, tastes)
            if self.fashion_from and day >= self.fashion_from:
                now = np.tile(np.eye(NUM_CATEGORIES)[0], (NUM_USERS, 1))
            self._write_events(day, now, category, rng)
        for day in (PROMOTED, DAY - timedelta(days=1), DAY):
            self._write_catalogue(day, category)
            self._write_features(day, rng)
        self._write_lists(names.LISTS_RETRAINED, PROMOTED, 0)
        self._write_lists(names.LISTS, DAY - timedelta(days=1), 0)
        self._write_lists(names.LISTS, DAY, self.lists_from)
        state = self.context.state
        state.put(PROMOTIONS, "1", {"day": PROMOTED.isoformat(), "sha256": "-"})
        yesterday = (DAY - timedelta(days=1)).isoformat()
        state.put(PUBLICATIONS, "v0001", {"day": yesterday, "kind": names.DAILY})

    def _write_events(
        self, day: date, tastes: npt.NDArray[np.float64], category: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        is_after = day > PROMOTED
        num = int(EVENTS_A_DAY * (self.kept_share if is_after else 1.0))
        users = rng.integers(0, NUM_USERS, num)
        chosen = (tastes[users].cumsum(axis=1) > rng.random(num)[:, None]).argmax(axis=1)
        items = chosen + NUM_CATEGORIES * rng.integers(0, NUM_ITEMS // NUM_CATEGORIES, num)
        types = np.where(rng.random(num) < 0.2, "purchase", "view")
        rows = [
            {
                "event_id": f"{day}-{index:05d}",
                "user_id": f"u{user:04d}",
                "item_id": f"i{item:03d}",
                "event_type": event_type,
                "occurred_at": datetime(day.year, day.month, day.day, 12),
                "event_date": day,
                "known_date": day,
                "session_id": None,
                "weight": 1,
                "quantity": 1,
                "revenue_cents": 0,
            }
            for index, (user, item, event_type) in enumerate(zip(users, items, types, strict=True))
            if not (is_after and event_type == self.lost_type)
        ]
        self._replace(names.FCT_INTERACTIONS, day, rows)

    def _write_catalogue(self, day: date, category: npt.NDArray[np.int64]) -> None:
        self._replace(
            names.DIM_ITEMS,
            day,
            [
                {
                    "item_id": f"i{item:03d}",
                    "feature_date": day,
                    "title": f"item {item}",
                    "category": f"c{category[item]}",
                    "brand": None,
                    "price_cents": 100 + item,
                    "is_available": True,
                }
                for item in range(NUM_ITEMS)
            ],
        )

    def _write_features(self, day: date, rng: np.random.Generator) -> None:
        factor = self.feature_factor if day == DAY else 1.0
        users = {
            name: np.rint(factor * (1 + rng.gamma(2, 4, NUM_USERS))).astype(int).tolist()
            for name in TABLES[names.FEAT_USER_DAILY].columns
        }
        # Recency and tenure grow with the calendar, as they do.
        users["tenure_days"] = [(day - FIRST).days] * NUM_USERS
        users |= {"user_id": [f"u{user:04d}" for user in range(NUM_USERS)], "feature_date": [day] * NUM_USERS}
        items = {
            name: rng.poisson(50, NUM_ITEMS).tolist() for name in TABLES[names.FEAT_ITEM_DAILY].columns
        }
        items |= {"item_id": [f"i{item:03d}" for item in range(NUM_ITEMS)], "feature_date": [day] * NUM_ITEMS}
        for table, columns in ((names.FEAT_USER_DAILY, users), (names.FEAT_ITEM_DAILY, items)):
            self.context.lake.replace(
                table, day, pa.table(columns, schema=schema_of(TABLES[table].columns)), inputs="test"
            )

    def _write_lists(self, table: str, day: date, first: int) -> None:
        self._replace(
            table,
            day,
            [
                {
                    "user_id": f"u{user:04d}",
                    "source": "personal",
                    "is_short": False,
                    "item_ids": [f"i{first + (user + place) % (NUM_ITEMS - first):03d}" for place in range(10)],
                    "scores": [1.0 - 0.05 * place - 0.0001 * (user % 7) for place in range(10)],
                }
                for user in range(NUM_USERS)
            ],
        )

    def _replace(self, table: str, day: date, rows: list[dict[str, object]]) -> None:
        self.context.lake.replace(table, day, pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[table])), inputs="test")


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path / "home")
    state = State.of(settings)
    with state.lease("test", "monitor", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


def verdict_of(context: StepContext) -> dict[str, object]:
    return json.loads((context.settings.reports_path / "drift" / DAY.isoformat() / "verdict.json").read_text())


def test_a_world_that_stays_as_it_is_is_ok(context: StepContext) -> None:
    Shop(context).build()
    result = monitor.run(DAY, context)
    verdict = verdict_of(context)
    assert (result["verdict"], result["rings"]) == ("ok", False), result
    assert {kind: found["status"] for kind, found in verdict["kinds"].items()} == dict.fromkeys(
        ("features", "predictions", "outcomes"), "ok"
    )
