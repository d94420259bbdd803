"""An edit of the project: what it makes stale, what it changes, and that no training mixes before and after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from contracts import names
from contracts.errors import GateRefused, NothingToDo, PartitionMissing
from contracts.feed import days_between
from contracts.settings import Settings, load_settings
from contracts.tables import RAW_EVENTS, RAW_USERS, TABLES, Table
from jobs.diff import Diff, diff
from jobs.diff_page import render
from jobs.io import dbt
from jobs.io.commit import digest_of
from jobs.io.compiled import CompiledProject, Model, built_path, source_digest
from jobs.io.lake import Lake
from jobs.io.sample import Sample, _draw_whole_persons, build, draw, last_day_of, open_own, own_file, take
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.stale import EXPORTED, refuse_mixed, spans, stale

pytestmark = pytest.mark.contract

D1, D2, D3, D4 = DAYS = days_between(date(2011, 3, 1), date(2011, 3, 4))
USERS = [f"user-{number:02d}" for number in range(40)]

COUNTED = """
    select user_id, days.feature_date, count(*) as views_28d, max(events.unit_price_cents) as dearest_cents
    from raw.events as events join ops.feature_days as days on events.event_date <= days.feature_date
    where user_id is not null group by user_id, days.feature_date
"""


@contextmanager
def lake_of(settings: Settings) -> Iterator[Lake]:
    with State.of(settings).lease("test", "write", 60, is_last=True) as lease:
        yield Lake.of(settings, lease)


def project_of(**sql: str) -> CompiledProject:
    """A project of one feature table, or more, as it were compiled; every exported table has a hash."""
    models = {}
    for name in sorted({TABLES[name].short_name for name in EXPORTED} | set(sql)):
        query = sql.get(
            name, f"select 'nobody' as user_id, date '2011-03-01' as feature_date, '{name}' as told"
        )
        columns = {"user_id": "text", "feature_date": "date"}
        columns |= {"told": "text"} if name not in sql else {"views_28d": "bigint"}
        columns |= {column: "bigint" for column in ("dearest_cents", "carts_28d") if column in query}
        hashed = digest_of(query)
        models[name] = Model(
            name,
            "features",
            "incremental",
            "feature_date",
            query,
            columns,
            ("user_id", "feature_date"),
            (),
            hashed,
            hashed,
        )
    return CompiledProject(source_digest(dbt.PROJECT), models)


def edit(settings: Settings, project: CompiledProject) -> None:
    """This is how the project compiles now."""
    project.write(settings.home / "dbt" / "compiled.json")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Forty people, of whom each third buys; four days of features that one project has built."""
    settings = load_settings(home=tmp_path / "home")
    project = project_of(feat_user_daily=COUNTED)
    with lake_of(settings) as lake:
        for place, day in enumerate(DAYS):
            rows = [
                {
                    "event_id": f"e{place}-{number}",
                    "user_id": user if number % 8 else None,
                    "item_id": f"item-{number % 5}",
                    "event_type": "purchase" if number % 3 == 0 else "view",
                    "occurred_at": datetime.combine(day, datetime.min.time()),
                    "event_date": day,
                    "unit_price_cents": 100 * number if number % 3 == 0 else None,
                    "received_date": day,
                    "known_date": day if number < 30 else date(2011, 3, 9),
                }
                for number, user in enumerate(USERS)
            ]
            lake.replace(RAW_EVENTS.name, day, _rows(RAW_EVENTS, rows), inputs="test")
            for name in EXPORTED:
                hashed = project.hash_of(TABLES[name].short_name)
                lake.replace(name, day, _rows(TABLES[name], []), inputs="test", model_hash=hashed)
    project.write(built_path(settings))
    edit(settings, project)
    return settings


def _rows(table: Any, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(
        [dict.fromkeys(table.columns) | row for row in rows], schema=arrow_schema(table)
    )


# Stale days


def test_nothing_is_stale_while_the_project_is_the_one_that_built(settings: Settings) -> None:
    found = stale(settings)
    assert found.days == {}
    assert found.told() == "nothing is stale: every partition was built by the SQL that the project has now"


def test_an_edit_makes_its_table_stale_and_names_the_command(settings: Settings) -> None:
    edit(settings, project_of(feat_user_daily=COUNTED.replace("count(*)", "count(*) + 1")))
    found = stale(settings)
    assert found.edited == ("feat_user_daily",)
    assert found.days == {names.FEAT_USER_DAILY: tuple(DAYS)}
    assert "4 of 4 days: 2011-03-01 to 2011-03-04" in found.told()
    assert found.told().endswith("rebuild them: foretaste rebuild --day 2011-03-01 --to 2011-03-04")


def test_only_the_days_before_the_edit_are_stale(settings: Settings) -> None:
    project = project_of(feat_user_daily=COUNTED.replace("count(*)", "count(*) + 1"))
    edit(settings, project)
    with lake_of(settings) as lake:
        empty = _rows(TABLES[names.FEAT_USER_DAILY], [])
        lake.replace(
            names.FEAT_USER_DAILY, D4, empty, inputs="x", model_hash=project.hash_of("feat_user_daily")
        )
    assert stale(settings).command == "foretaste rebuild --day 2011-03-01 --to 2011-03-03"


def test_stale_event_days_are_rebuilt_with_the_newest_day(settings: Settings) -> None:
    edit(settings, project_of(feat_user_daily=COUNTED, fct_impressions="select 1"))
    found = stale(settings)
    assert set(found.days) == {names.FCT_IMPRESSIONS}
    assert found.command == "foretaste rebuild --day 2011-03-04 --to 2011-03-04"


def test_days_are_written_as_people_write_them() -> None:
    assert spans([D4, D1, D2]) == "2011-03-01 to 2011-03-02, 2011-03-04"


# A training


def test_a_training_that_would_mix_two_queries_is_refused(settings: Settings) -> None:
    read = dict.fromkeys(names.BY_FEATURE_DAY, (D1, D3, D4))
    refuse_mixed(Lake.of(settings), read)
    with lake_of(settings) as lake:
        empty = _rows(TABLES[names.FEAT_ITEM_DAILY], [])
        lake.replace(names.FEAT_ITEM_DAILY, D4, empty, inputs="test", model_hash="of an edit")
    with pytest.raises(GateRefused) as refused:
        refuse_mixed(Lake.of(settings), read)
    told = str(refused.value)
    assert told.startswith("features/feat_item_daily of 2011-03-01, 2011-03-03 was built by other SQL")
    assert told.endswith("foretaste rebuild --day 2011-03-01 --to 2011-03-04")


def test_a_partition_of_an_older_foretaste_has_no_hash_and_is_read(settings: Settings) -> None:
    path = Lake.of(settings).root / names.partition(names.DIM_ITEMS, D1) / "manifest.json"
    values = json.loads(path.read_text())
    del values["model_hash"]
    path.write_text(json.dumps(values))
    manifest = Lake.of(settings).manifest(names.DIM_ITEMS, D1)
    assert manifest is not None
    assert manifest.model_hash == ""


# A sample


def test_a_sample_is_some_people_with_all_their_events_as_known_on_the_last_day(settings: Settings) -> None:
    with open_own(None, settings) as connection:
        drawn = draw(connection, settings, Sample(num_users=10, num_days=2))
        events = connection.execute("select user_id, known_date from raw.events").fetchall()
        days = connection.execute("select feature_date from ops.feature_days order by all").fetchall()
    known = [user for number, user in enumerate(USERS) if number % 8 and number < 30]
    assert (drawn.num_users, drawn.all_users, drawn.last_day) == (10, len(known), D4)
    people = {user for user, _ in events} - {None}
    assert len(people) == 10
    assert people <= set(known)
    assert all([user for user, _ in events].count(each) == len(DAYS) for each in people)
    assert max(day for _, day in events) <= D4
    assert days == [(D3,), (D4,)]


def test_the_same_people_are_drawn_again(settings: Settings) -> None:
    found = []
    for _ in range(2):
        with open_own(None, settings) as connection:
            draw(connection, settings, Sample(num_users=5))
            found.append(connection.execute("select * from raw.events order by all").fetchall())
    assert found[0] == found[1] != []


def test_every_table_that_lands_is_in_a_sample(settings: Settings) -> None:
    with lake_of(settings) as lake:
        rows = [{"user_id": user, "received_date": D1, "known_date": D1} for user in USERS]
        lake.replace(RAW_USERS.name, D1, _rows(RAW_USERS, rows), inputs="test")
    with open_own(None, settings) as connection:
        draw(connection, settings, Sample(num_users=7))
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw'"
        ).fetchall()
        (users,) = connection.execute("select count(*) from raw.users").fetchone() or (None,)
    assert {name for (name,) in tables} == {
        table.short_name for table in TABLES.values() if table.name.startswith("raw/")
    }
    assert users == 7


def test_a_person_is_drawn_with_every_id_that_was_linked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"alias_id": "text", "user_id": "text", "received_date": "date", "known_date": "date"}
    table = Table("raw/identities", "One row per link.", ("alias_id", "user_id"), columns)
    monkeypatch.setitem(TABLES, table.name, table)
    links = [{"alias_id": f"user-0{number}", "user_id": "user-20"} for number in (1, 2, 3)]
    with lake_of(settings) as lake:
        lake.replace(
            table.name, D1, _rows(table, [link | {"known_date": D1} for link in links]), inputs="test"
        )
    with open_own(None, settings) as connection:
        for size in range(1, 12):
            draw(connection, settings, Sample(num_users=size))
            drawn = {
                user for (user,) in connection.execute("select distinct user_id from raw.events").fetchall()
            }
            assert len(drawn & {"user-01", "user-02", "user-03", "user-20"}) in (0, 4)
        assert {"user-20"} <= drawn


def test_ids_that_lead_to_each_other_over_several_links_are_one_person() -> None:
    with duckdb.connect() as connection:
        connection.execute("create table drawn as select 'a' as user_id")
        connection.execute(
            "create table links as select * from (values ('a', 'b'), ('b', 'c'), ('d', 'c'), ('x', 'y')) as _ (alias_id, user_id)"
        )
        _draw_whole_persons(connection, "links")
        found = connection.execute("select user_id from drawn order by user_id").fetchall()
    assert [user_id for (user_id,) in found] == ["a", "b", "c", "d"]


def test_a_partition_that_is_rewritten_keeps_the_hash_of_its_model(settings: Settings) -> None:
    with lake_of(settings) as lake:
        before = lake.manifest(names.FEAT_USER_DAILY, D1)
        after = lake.replace(
            names.FEAT_USER_DAILY, D1, _rows(TABLES[names.FEAT_USER_DAILY], []), inputs="other"
        )
    assert before is not None
    assert after.model_hash == before.model_hash != ""


def test_an_own_file_holds_the_tables_as_the_lakes_were_built_and_replaces_the_one_before(
    settings: Settings,
) -> None:
    take(settings, Sample(num_users=3), project_of(feat_user_daily=COUNTED))
    drawn = take(settings, Sample(num_users=4), project_of(feat_user_daily=COUNTED))
    with open_own(own_file(settings), settings) as connection:
        users = connection.execute("select count(distinct user_id) from features.feat_user_daily").fetchone()
        assert last_day_of(connection) == drawn.last_day == D4
    assert users == (4,)
    assert {path.name for path in own_file(settings).parent.iterdir()} <= {"own.duckdb", "spill"}


def test_there_is_no_sample_of_nothing(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    with (
        open_own(None, settings) as connection,
        pytest.raises(PartitionMissing, match="no day has been built"),
    ):
        draw(connection, settings, Sample())


# What an edit changes


def edited(settings: Settings, query: str) -> Diff:
    edit(settings, project_of(feat_user_daily=query))
    return diff(settings, Sample(num_days=1))


def test_there_is_no_difference_without_an_edit(settings: Settings) -> None:
    with pytest.raises(NothingToDo, match="no query differs"):
        diff(settings, Sample())


def test_rows_and_columns_that_an_edit_changes_are_counted(settings: Settings) -> None:
    found = edited(
        settings,
        COUNTED.replace("count(*)", "count(*) + (user_id < 'user-10')::int").replace(
            "is not null", "between 'user-03' and 'user-99'"
        ),
    )
    (table,) = found.tables
    assert (table.before, table.after, table.added, table.removed, table.changed) == (26, 24, 0, 2, 6)
    (views,) = [column for column in table.columns if column.name == "views_28d"]
    assert views.before is not None
    assert views.after is not None
    assert (views.changed, views.before.mean, views.after.p90) == (6, 4.0, 5.0)
    assert views.distance == 0.25  # of 24 people 6 have another value
    (dearest,) = [column for column in table.columns if column.name == "dearest_cents"]
    assert dearest.changed == 0
    told = render(found)
    assert "feat_user_daily: 26 rows before, 24 now; 0 added, 2 removed, 6 changed" in told
    assert "views_28d: 6 of 24 rows of both differ, distance 0.250 of 1" in told


def test_a_new_column_and_one_that_is_gone_are_told(settings: Settings) -> None:
    found = edited(
        settings, COUNTED.replace("max(events.unit_price_cents) as dearest_cents", "0 as carts_28d")
    )
    (table,) = found.tables
    assert (table.new, table.gone, table.changed) == (["carts_28d"], ["dearest_cents"], 0)
    assert "carts_28d is new (bigint): 0.0% null, 1 different, mean 0" in render(found)


def test_another_spelling_of_the_same_rows_is_told_as_such(settings: Settings) -> None:
    found = edited(settings, COUNTED.replace("count(*)", "sum(1)"))
    assert "built by other SQL, the same rows: feat_user_daily" in render(found)
    assert "no list changes" in found.lists.told


def test_lists_need_a_champion(settings: Settings) -> None:
    query = COUNTED.replace("count(*)", "count(*) + 1")
    assert "none of the sample's days has histories" in edited(settings, query).lists.told
    with lake_of(settings) as lake:
        for name in (names.HISTORIES, names.COVISITATION):
            lake.replace(name, D4, _rows(TABLES[name], []), inputs="test")
    assert "there is no champion" in edited(settings, query).lists.told


def test_no_user_is_named(settings: Settings) -> None:
    found = edited(settings, COUNTED.replace("count(*)", "count(*) + 1"))
    assert "user-" not in render(found)
    assert "user-" not in json.dumps(found.as_record(), default=str)


def test_a_query_that_does_not_run_is_named(settings: Settings) -> None:
    with open_own(None, settings) as connection:
        draw(connection, settings, Sample())
        with pytest.raises(Exception, match="feat_user_daily does not run on the sample"):
            build(connection, project_of(feat_user_daily="select nothing"))
