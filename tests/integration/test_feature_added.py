"""To add a feature is to write its SQL and its YAML: everything else follows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.settings import Settings
from tests.shop import DAY, FEED, Shop, event

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("contracts", "dbt_project", "expectations", "jobs", "models")
#: Runs in the copy: a day, with Spark's tables empty (no feature is made of them); then what training reads, and every
#: published value beside the one in the lake.
_DAY = """
import json, sys
from datetime import UTC, date, datetime
from contracts.settings import load_settings
from contracts import names
from contracts.tables import TABLES
from jobs.feature_edition import further_key, online_tables
from jobs.io.lake import Lake
from jobs.io.online import open_online_store
from jobs.ranking.next_item import FEATURES
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.published_features import published_features
from jobs.ranking.world import USER_FEATURES, load_world
from jobs.reports import build_reports
from jobs.run import run_step
day, settings = date.fromisoformat(sys.argv[1]), load_settings()
for step in ("land", "transform", "score", "publish"):
    if step == "score":
        with State.of(settings).lease("build", "build", 60, is_last=True) as lease:
            for name in names.LOOKING_BACK:
                Lake.of(settings, lease).replace(name, day, arrow_schema(TABLES[name]).empty_table(), inputs="none")
    run_step(settings, step, day, run_id=step, is_last=True)
build_reports(settings, datetime(day.year, day.month, day.day, tzinfo=UTC))
lake = Lake.of(settings)
world = load_world(lake, day)
unequal, compared = [], 0
with open_online_store(settings) as store:
    pointer = store.pointer()
    for entity in ("user_id", "item_id"):
        offline = {}
        tables = [table for table in online_tables() if table.key[0] == entity]
        for table in tables:
            columns = [*filter(None, [further_key(table)]), *(feature.name for feature in table.features)]
            for row in lake.read(table.name, day).to_pylist():
                rows = offline.setdefault(row[entity], {each.short_name: [] for each in tables})
                rows[table.short_name].append(tuple(row[name] for name in columns))
        online = store.features_in(pointer, entity, list(offline))
        for (id_, rows), found in zip(offline.items(), online.rows, strict=True):
            compared += sum(len(row) for each in rows.values() for row in each)
            if repr({name: sorted(each, key=repr) for name, each in rows.items()}) != repr(
                {name: sorted(each, key=repr) for name, each in found.items()}
            ):
                unequal.append([id_, repr(rows), repr(found)])
print(json.dumps({
    "is_learnt": "user.acts_28d" in FEATURES,
    "width": [len(USER_FEATURES), world.user_features_UF.shape[1]],
    "day": pointer.day, "compared": compared, "unequal": unequal,
    "answer": published_features(settings, "user_id", "u1", day),
}))
"""


def add_a_feature(project: Path) -> None:
    """``acts_28d`` of a user: one column in the SQL of ``feat_user_daily``, and its YAML."""
    models = project / "models" / "features"
    sql = models / "feat_user_daily.sql"
    before = sql.read_text(encoding="utf-8")
    sql.write_text(
        f"with\n\ndeclared as (\n{before}\n)\n\nselect\n    *,\n    views_28d + purchases_28d as acts_28d\nfrom declared\n",
        encoding="utf-8",
    )
    for path in models.glob("*.yml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for model in content.get("models") or []:
            if model["name"] == "feat_user_daily":
                meta = {"unit": "events", "source": ["events"]}
                model["columns"].append(
                    {
                        "name": "acts_28d",
                        "data_type": "bigint",
                        "description": "Views and purchases.",
                        "config": {"meta": meta},
                    }
                )
                path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def test_a_feature_that_is_added_in_sql_and_yaml_is_trained_on_published_and_documented(
    shop: Settings, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    for room in ROOMS:
        shutil.copytree(
            REPOSITORY / room,
            copy / room,
            ignore=shutil.ignore_patterns("__pycache__", "target", "logs", ".user.yml"),
        )
    add_a_feature(copy / "dbt_project")
    feed = Shop(shop.home)
    feed.describe(**FEED)
    items = [
        {"item_id": f"i{number}", "title": f"Item {number}", "category": f"c{number % 2}", "price": "2.50"}
        for number in range(5)
    ]
    feed.deliver(DAY, items, "items.csv", "items")
    events = [event(number) | ({"event_type": "view"} if number % 3 else {}) for number in range(60)]
    feed.deliver(DAY, events)

    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORETASTE_")}
    done = subprocess.run(
        [sys.executable, "-c", _DAY, str(DAY)], cwd=copy, capture_output=True, text=True, check=False,
        env={**environment, "PYTHONPATH": str(copy), "PYTHONSAFEPATH": "1", "FORETASTE_HOME": str(shop.home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    looked = json.loads(done.stdout.splitlines()[-1])
    assert looked["is_learnt"]
    assert looked["width"][0] == looked["width"][1]
    # Every value of everybody is the lake's own, in a run that was a real one.
    assert (looked["day"], looked["unequal"]) == (str(DAY), [])
    assert looked["compared"] > 100
    assert acts_of(looked["answer"]) == {
        "value": len([each for each in events if each["user_id"] == "u1"]), "status": "fresh",
    }  # fmt: skip
    document = (shop.reports_path / "features.md").read_text(encoding="utf-8")
    told = document.partition("### feat_user_daily.acts_28d")[2].partition("###")[0]
    assert "Views and purchases." in told
    assert "ranker (user.acts_28d" in told
    assert "feat_user_daily.acts_28d = views_28d + purchases_28d" in told
    assert "* Last run: 7 rows, 0.0% null" in told
    assert "acts_28d" in (shop.reports_path / "features.html").read_text(encoding="utf-8")


def acts_of(answer: dict[str, Any]) -> dict[str, Any]:
    [found] = [each for each in answer["features"] if each["name"] == "acts_28d"]
    return {name: found[name] for name in ("value", "status")}
