"""Who edits the project, while Airflow holds the warehouse: plain dbt, what an edit makes stale, the rebuild."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from contracts import names
from contracts.errors import GateRefused
from contracts.settings import inherited_environment, load_settings
from contracts.tables import FEAT_USER_DAILY
from jobs import transform
from jobs.diff import diff
from jobs.diff_page import render
from jobs.io import dbt
from jobs.io.compiled import compile_project
from jobs.io.lake import Lake
from jobs.io.sample import Sample, own_file
from jobs.io.state import State
from jobs.run import rebuild_days
from jobs.runs import StepContext
from jobs.stale import refuse_mixed, stale
from tests.shop import DAY, NEXT, Shop, event

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
DBT = Path(sys.executable).with_name("dbt")


@pytest.fixture(scope="module", autouse=True)
def _no_settings_from_the_shell_for_a_shared_home() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("FORETASTE_", "DBT_"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A checkout whose home has two days, and a copy of the project beside it that somebody may edit.

    No setting is the default's, and since the second day silence is a no: u6 has never said a word.
    """
    checkout = tmp_path_factory.mktemp("checkout")
    shop = Shop(checkout / ".foretaste")
    shop.settings = load_settings(home=shop.settings.home, half_life_days=7, session_gap_minutes=5)
    words = [
        {"user_id": f"u{number}", "purpose": "personalization", "granted": "true", "at": f"{DAY}T00:00:00Z"}
        for number in range(6)
    ]
    shop.deliver(DAY, words, "consents.csv", "consents")
    for day, missing in ((DAY, "granted"), (NEXT, "denied")):
        rows = [
            event(number, event_id=f"{day}-{number}", occurred_at=f"{day}T10:{number:02d}:00Z")
            for number in range(40)
        ]
        shop.describe(missing_consent=missing)
        shop.deliver(day, rows)
        shop.land(day)
    build(shop, first=DAY)
    shutil.copytree(dbt.PROJECT, checkout / "dbt_project")
    return shop


def build(shop: Shop, **options: object) -> None:
    with State.of(shop.settings).lease("test", "transform", 60, is_last=True) as lease:
        transform.run(NEXT, StepContext.of(shop.settings, lease), **options)  # type: ignore[arg-type]


def project_of(shop: Shop) -> Path:
    return shop.settings.home.parent / "dbt_project"


def edit(shop: Shop, file: str, before: str, after: str) -> None:
    path = project_of(shop) / "models" / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def plain_dbt(shop: Shop, *arguments: str) -> tuple[str, float]:
    """What somebody types in dbt_project/: what it says, and the seconds that it computed for."""
    environment = inherited_environment(drop_prefixes=("FORETASTE_", "DBT_"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [DBT, *arguments],
        cwd=project_of(shop),
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def of_own_file(shop: Shop) -> list[tuple[object, ...]]:
    with duckdb.connect(str(own_file(shop.settings)), read_only=True) as connection:
        columns = ", ".join(FEAT_USER_DAILY.columns)
        table = "features.feat_user_daily"
        return connection.sql(
            f"select {columns} from {table} where feature_date = '{NEXT}' order by all"
        ).fetchall()


def of_lake(shop: Shop) -> list[tuple[object, ...]]:
    files = [str(path) for path in Lake.of(shop.settings).files(names.FEAT_USER_DAILY, [NEXT])]
    columns = ", ".join(FEAT_USER_DAILY.columns)
    with duckdb.connect() as connection:
        return connection.sql(f"select {columns} from read_parquet({files}) order by all").fetchall()


@pytest.mark.alone  # it is timed
def test_plain_dbt_builds_an_edit_while_another_process_holds_the_warehouse_and_the_edit_is_told(
    shop: Shop,
) -> None:
    own_file(shop.settings).unlink(missing_ok=True)
    everything = {path.relative_to(project_of(shop)) for path in project_of(shop).rglob("*")}
    with duckdb.connect(str(shop.settings.duckdb_path)):
        told, _ = plain_dbt(shop, "build", "-s", "+feat_user_daily")
        assert "A first sample: 7 of 7 people, 75 events" in told
        assert "PASS" in told
        assert of_own_file(shop) == of_lake(shop)  # of the newest day, whose settings the file has
        edit(
            shop,
            "features/feat_user_daily.sql",
            "    measured.recency_days,\n",
            "    measured.recency_days,\n    measured.recency_days * 24 as recency_hours,\n",
        )
        edit(
            shop,
            "features/_features__models.yml",
            "      - name: tenure_days\n",
            "      - {name: recency_hours, data_type: integer, description: Hours., "
            "config: {meta: {unit: hours, source: [events]}}}\n      - name: tenure_days\n",
        )
        told, seconds = plain_dbt(shop, "build", "-s", "feat_user_daily+")
    assert "deprecat" not in told.lower()
    assert seconds < 10
    with duckdb.connect(str(own_file(shop.settings)), read_only=True) as connection:
        hours = connection.execute("select max(recency_hours) from features.feat_user_daily").fetchone()
    assert hours == (24,) or hours == (0,)
    assert {path.relative_to(project_of(shop)) for path in project_of(shop).rglob("*")} == everything
    assert {path.name for path in project_of(shop).parent.iterdir()} == {".foretaste", "dbt_project"}

    edit(
        shop, "intermediate/int_item_days_aggregated.sql", "select\n", "-- Only said differently.\nselect\n\n"
    )
    found = stale(shop.settings, project_of(shop))
    assert found.edited == ("feat_user_daily",)
    assert found.days == {names.FEAT_USER_DAILY: (DAY, NEXT)}
    told = render(diff(shop.settings, Sample(), project_of(shop)))
    assert "recency_hours is new (integer)" in told
    assert not re.search(r"\bu\d", told)


def test_a_run_after_an_edit_builds_its_day_training_refuses_the_mixture_and_a_rebuild_mends_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt, "PROJECT", project_of(shop))
    edit(
        shop,
        "intermediate/int_user_days_aggregated.sql",
        "event_type = 'view'",
        "event_type in ('view', 'rating')",
    )
    settings, lake = shop.settings, Lake.of(shop.settings)
    before = {table: lake.verify(table, NEXT) for table in names.BY_FEATURE_DAY}
    assert set(stale(settings).days) == {names.FEAT_USER_DAILY}

    build(shop)

    assert stale(settings).days == {names.FEAT_USER_DAILY: (DAY,)}
    after = {table: lake.verify(table, NEXT) for table in names.BY_FEATURE_DAY}
    changed = {table for table in before if before[table].model_hash != after[table].model_hash}
    assert changed == {names.FEAT_USER_DAILY}
    items = names.FEAT_ITEM_DAILY
    assert (after[items].inputs, after[items].revision) == (before[items].inputs, before[items].revision)
    with pytest.raises(GateRefused, match="feat_user_daily of 2011-03-01 was built by other SQL"):
        refuse_mixed(lake, dict.fromkeys(names.BY_FEATURE_DAY, (DAY, NEXT)))

    rebuild_days(settings, [DAY], run_id="mend", listener=lambda *told: None)

    assert stale(settings).days == {}
    refuse_mixed(lake, dict.fromkeys(names.BY_FEATURE_DAY, (DAY, NEXT)))
    assert lake.verify(names.FEAT_USER_DAILY, NEXT) == after[names.FEAT_USER_DAILY]


def test_how_fresh_what_landed_is_can_be_asked(shop: Shop) -> None:
    with pytest.raises(AssertionError, match="ERROR STALE"):
        plain_dbt(shop, "source", "freshness", "-s", "source:shop.events")


def test_the_hash_is_that_of_the_sql_and_of_all_that_it_reads(shop: Shop) -> None:
    now = compile_project(shop.settings, project_of(shop)).models
    assert {"int_user_days_aggregated", "stg_shop__users", "int_user_activity_windowed"} <= set(
        now["feat_user_daily"].reads
    )
    assert now["event_weights"].kind == "seed"
    assert "event_weights" in now["int_events_weighted"].reads
    assert '"memory"' not in "".join(model.sql for model in now.values())
