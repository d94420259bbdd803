"""The pages from real records: what steps write is what the pages find."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from contracts import names
from contracts.alarms import TITLES
from contracts.errors import DayRefused, NothingToDo
from contracts.settings import Settings, load_settings
from contracts.tables import TABLES
from jobs import retrain, run
from jobs.durations import keep_seconds
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.site_objects import upload_site
from jobs.io.state import (
    DEMOTIONS,
    DURATIONS,
    LANDINGS,
    PROMOTIONS,
    PUBLICATIONS,
    REFUSALS,
    RETRAININGS,
    ROLLBACKS,
    RUNS,
    State,
)
from jobs.marts import refresh_marts
from jobs.report_pages.gather import gather
from jobs.reports import build_reports
from jobs.runs import StepContext
from jobs.site import publish_site
from jobs.start_page import write_start_page
from jobs.steps import Step
from tests.publishing import s3_of
from tests.shop import Shop, event
from tests.site_records import put_records, year_of_records

pytestmark = pytest.mark.integration

NOW = datetime(2011, 3, 2, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = load_settings(home=tmp_path / "pages")
    state = State.of(settings)
    for day, read in (("2011-02-27", 90), ("2011-02-28", 100), ("2011-03-01", 110)):
        accounts = {
            "events": {
                "read": read,
                "good": 80,
                "quarantined": {"NO_ITEM": read - 80},
                "duplicate": 0,
                "set_aside": {},
            }
        }
        state.put(LANDINGS, day, {"touched": [day], "accounts": accounts, "accepted_reason": None})
    state.put(PUBLICATIONS, "v0002", {"day": "2011-02-28", "kind": "retrain", "sha256": "ab", "num_users": 7})
    state.put(PUBLICATIONS, "v0001", {"day": "2011-02-28", "kind": "daily", "sha256": "cd", "num_users": 6})
    state.put(RETRAININGS, "2011-02-28", {"day": "2011-02-28", "reason": "weekly"})
    state.put(PROMOTIONS, "4", {"day": "2011-02-20", "metrics": {"ndcg_at_10": 0.07}})
    pair = {"because": "Tea cup & saucer", "item": "<b>Tea pot</b>", "people": 41}
    why = {"num_lists": 120, "num_places": 1_200, "num_explained": 1_043, "pairs": [pair]}
    manifest = {"champion": "4", "feed": {"shop": "Tea & Co"}}
    state.put(RUNS, "daily/2011-03-01", {"manifest": manifest, "reasons": why})
    return settings


def test_records_become_days_newest_first_with_what_belongs_to_them(settings: Settings) -> None:
    site = gather(State.of(settings), settings.reports_path)
    assert [day.day for day in site.days] == [date(2011, 3, 1), date(2011, 2, 28), date(2011, 2, 27)]
    newest, before, _ = site.days
    assert (site.shop, newest.champion, before.champion) == ("Tea & Co", "4", None)
    assert [record["version"] for record in before.publications] == ["v0001", "v0002"]
    assert before.retraining is not None
    assert (before.retraining["day"], before.retraining["reason"]) == ("2011-02-28", "weekly")
    assert newest.accounts["events"]["quarantined"] == 30


def test_gates_and_files_are_linked_where_they_lie(settings: Settings) -> None:
    validation = settings.reports_path / "validation" / "2011-03-01"
    drift = settings.reports_path / "drift" / "2011-03-01"
    for folder in (validation, drift):
        folder.mkdir(parents=True)
    (validation / "landed.html").write_text("<p>")
    (validation / "landed.json").write_text(json.dumps({"is_passed": False}))
    (drift / "verdict.json").write_text("{}")
    (newest, *_) = gather(State.of(settings), settings.reports_path).days
    assert [(gate.name, gate.is_passed) for gate in newest.gates] == [("landed", False)]
    page = build_reports(settings, NOW).parent / "days" / "2011-03-01.html"
    for href in (newest.gates[0].href, *newest.files.values()):
        assert (page.parent / href).exists()
        assert f'href="{href}"' in page.read_text()


def test_a_day_says_what_its_lists_are_because_of(settings: Settings) -> None:
    days = build_reports(settings, NOW).parent / "days"
    page = (days / "2011-03-01.html").read_text()
    assert "1\u202f043 of the first 1\u202f200 places of 120 personal lists" in page
    assert '<td>&lt;b&gt;Tea pot&lt;/b&gt;</td><td class="number">41</td>' in page
    assert "Why these items" not in (days / "2011-02-28.html").read_text()


def test_every_link_of_every_page_leads_somewhere(settings: Settings) -> None:
    import re

    root = build_reports(settings, NOW).parent
    write_start_page(settings, NOW)
    pages = sorted(root.rglob("*.html"))
    assert len(pages) == 10 + len(("start", "runbook", *TITLES))
    for page in pages:
        for href in re.findall(r'href="([^"#]+)(?:#[^"]*)?"', page.read_text()):
            assert href == "data:," or (page.parent / href).exists(), f"{page}: {href}"


def test_writing_the_pages_again_changes_only_what_has_changed(settings: Settings) -> None:
    root = build_reports(settings, NOW).parent
    before = {page: page.stat().st_mtime_ns for page in root.rglob("*.html")}
    State.of(settings).put(RETRAININGS, "2011-02-28", {"day": "2011-02-28", "reason": "by hand"})
    build_reports(settings, NOW)
    changed = {str(page.relative_to(root)) for page, at in before.items() if page.stat().st_mtime_ns != at}
    assert changed == {"days/2011-02-28.html", "retrainings/2011-02-28.html"}


def test_what_is_live_follows_a_rollback_and_the_next_publication(settings: Settings) -> None:
    state = State.of(settings)
    for version, day, fence in (("v0003", "2011-02-28", 30), ("v0004", "2011-03-01", 40)):
        state.put(PUBLICATIONS, version, {"day": day, "kind": "daily", "fence": fence, "num_users": 8})
    assert live_of(settings) == ("v0004", "")
    state.put(ROLLBACKS, "0000000041", {"from": "v0004", "to": "v0003", "at": "2011-03-02T08:00:00+00:00"})
    assert live_of(settings) == ("v0003", "v0004")
    newest, before, _ = gather(state, settings.reports_path).days
    assert [record["to"] for record in newest.rollbacks] == ["v0003"]
    assert newest.live is not None
    assert (newest.live["version"], newest.ages["live_age"]) == ("v0003", 1)
    assert before.rollbacks == []
    index = build_reports(settings, NOW).read_text()
    assert "rolled back from v0004" in index
    state.put(PUBLICATIONS, "v0005", {"day": "2011-03-01", "kind": "retrain", "fence": 42, "num_users": 8})
    assert live_of(settings) == ("v0005", "")


def live_of(settings: Settings) -> tuple[str, str]:
    site = gather(State.of(settings), settings.reports_path)
    assert site.live is not None
    return site.live["version"], site.left


def test_annotations_stand_on_their_days_and_a_wrong_file_holds_nothing_up(
    settings: Settings, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.yml"
    entry = "{day: 2011-02-28, mark: MARK, note: Easter, author: ann}"
    told = settings.model_copy(update={"annotations": str(notes)})
    notes.write_text(f"annotations: [{entry.replace('MARK', 'expected')}]")
    root = build_reports(told, NOW).parent
    assert "Easter" in (root / "days" / "2011-02-28.html").read_text()
    notes.write_text(f"annotations: [{entry.replace('MARK', 'hoped')}]")
    assert "No annotations are shown" in build_reports(told, NOW).read_text()


def test_a_busy_year_fits_pages_of_300_kilobytes(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "year")
    put_records(State.of(settings), year_of_records())
    root = build_reports(settings, NOW).parent
    sizes = {page: page.stat().st_size for page in root.rglob("*.html")}
    assert len(sizes) > 370
    assert max(sizes.values()) < 300_000
    with duckdb.connect() as query:
        counted = query.execute(
            f"""select count(*), count(distinct sliced_by), min(n) from '{root}/data/kpis.parquet'"""
        ).fetchone()
        assert counted == (365 * 6 * 4, 3, 240)
        (rows,) = query.execute(
            f"select count(*) from '{root}/data/days.parquet' where has_rung"
        ).fetchone() or (0,)
        (kept,) = query.execute(
            f"select count(distinct day) from '{root}/data/retrainings.parquet'"
        ).fetchone() or (0,)
        assert rows == kept == 7
        measured = query.execute(
            f"select count(distinct name) from '{root}/data/measures.parquet'"
        ).fetchone()
        assert measured == (12,)


def test_the_last_step_of_a_run_writes_pages_marts_and_the_bucket(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded: list[Path] = []

    def upload(_: Settings, folder: Path) -> dict[str, int]:
        uploaded.append(folder)
        assert (folder / "index.html").exists()
        return {"uploaded": 3, "deleted": 0}

    monkeypatch.setattr("jobs.site.upload_site", upload)
    day = date(2011, 3, 1)
    with State.of(settings).lease("test", "report", 60, is_last=True) as lease:
        told = retrain.report(day, StepContext.of(settings, lease))
    assert told["reports_s3"] == "uploaded 3 files, deleted 0"
    assert uploaded == [settings.reports_path]
    seconds = State.of(settings).get(DURATIONS, "retrain/2011-03-01")
    assert seconds is not None
    assert list(seconds) == ["report"]


def test_pages_may_be_left_to_the_command(settings: Settings) -> None:
    with State.of(settings).lease("test", "report", 60, is_last=True) as lease:
        context = StepContext.of(settings.model_copy(update={"pages_after_run": False}), lease)
        told = retrain.report(date(2011, 3, 1), context)
    assert "foretaste report writes and uploads the pages" in told["reports_s3"]
    assert not Path(told["report"]).exists()


def test_a_bucket_that_does_not_answer_is_said_and_holds_nothing_up(settings: Settings) -> None:
    told = publish_site(settings, NOW)
    assert told["reports_s3"].startswith("not uploaded: no S3: set FORETASTE_S3_ENDPOINT_URL")
    assert Path(told["report"]).exists()


def test_the_seconds_of_each_step_are_kept_in_the_order_of_the_run(settings: Settings) -> None:
    state, day = State.of(settings), date(2011, 3, 1)
    for step, seconds in (("monitor", 9.0), ("land", 2.0), ("land", 3.0), ("train", 60.0)):
        keep_seconds(state, step, day, seconds)
    (newest, *_) = gather(state, settings.reports_path).days
    assert list(newest.seconds.items()) == [("land", 3.0), ("monitor", 9.0)]
    assert state.get(DURATIONS, "retrain/2011-03-01") == {"train": 60.0}


def test_a_refused_challenger_gets_its_page_all_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def run_step(_: Settings, name: str, *__: Any, **___: Any) -> dict[str, Any]:
        done.append(name)
        if name == "promote":
            raise NothingToDo("refused")
        return {}

    monkeypatch.setattr(run, "run_step", run_step)
    heard: list[str] = []
    run.retrain(
        settings,
        date(2011, 3, 1),
        run_id="r",
        reason="x",
        trigger="person",
        listener=lambda name, *_: heard.append(name),
    )
    assert done[-2:] == heard[-2:] == ["promote", "report"]


def test_the_bucket_holds_what_the_folder_holds_and_only_changes_travel(
    settings: Settings, shop: Settings
) -> None:
    there = {name: getattr(shop, name) for name in ("s3_endpoint_url", "s3_access_key", "s3_secret_key")}
    told, bucket = settings.model_copy(update=there), s3_of(shop)
    bucket.put_object(Bucket=settings.s3_bucket, Key="published/live.json", Body=b"{}")
    root = build_reports(told, NOW).parent
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert upload_site(told, root) == {"uploaded": len(files), "deleted": 0}
    assert upload_site(told, root) == {"uploaded": 0, "deleted": 0}
    State.of(told).put(RETRAININGS, "2011-02-28", {"day": "2011-02-28", "reason": "by hand"})
    build_reports(told, NOW)
    assert upload_site(told, root)["uploaded"] in (2, 3)  # the day, the retraining, its flat table
    page = bucket.get_object(Bucket=settings.s3_bucket, Key="reports/days/2011-02-28.html")
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert b"by hand" in page["Body"].read()
    bucket.delete_object(Bucket=settings.s3_bucket, Key="reports/index.html")  # somebody cleared up
    (root / "days" / "2011-02-27.html").unlink()
    assert upload_site(told, root) == {"uploaded": 1, "deleted": 1}
    held = bucket.list_objects_v2(Bucket=settings.s3_bucket)["Contents"]
    keys = {entry["Key"] for entry in held}
    assert keys == {
        names.REPORTS_MANIFEST, "published/live.json", *(f"reports/{name}" for name in files - {"days/2011-02-27.html"}),
    }  # fmt: skip


def test_any_sql_tool_reads_the_marts_and_never_a_revision_that_counts_no_more(settings: Settings) -> None:
    day = date(2011, 3, 1)
    schema = arrow_schema(TABLES[names.FCT_INTERACTIONS])
    with State.of(settings).lease("test", "test", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        for num_rows in (2, 3):  # the second revision leaves the first one's file in the lake
            columns = {name: [None] * num_rows for name in schema.names} | {
                "event_id": [str(number) for number in range(num_rows)],
                "event_date": [day] * num_rows,
                "event_type": ["view"] * num_rows,
                "revenue_cents": [10] * num_rows,
            }
            lake.replace(names.FCT_INTERACTIONS, day, pa.table(columns, schema=schema), inputs=str(num_rows))
            refresh_marts(settings)
    assert len(list((settings.lake_path / names.FCT_INTERACTIONS).rglob("*.parquet"))) == 2
    (file,) = settings.marts_path.rglob("*.parquet")
    assert file.stat().st_mode & 0o222 == 0
    with duckdb.connect() as query:
        shown = query.execute(example_of("docs/reports.md").replace("HOME", str(settings.home))).fetchall()
    assert shown == [(day, "view", 3, 0.3)]


def example_of(name: str) -> str:
    """The SQL that a page of the documentation shows."""
    text = (Path(__file__).resolve().parents[2] / name).read_text()
    return text.split("```sql\n")[1].split("```")[0]


def test_a_demotion_is_told_on_its_day_and_the_former_champion_stands_again(settings: Settings) -> None:
    state = State.of(settings)
    state.put(PROMOTIONS, "5", {"day": "2011-02-27", "metrics": {}})
    state.put(RUNS, "daily/2011-03-01", {"manifest": {"champion": "5", "feed": {"shop": "Tea & Co"}}})
    told = "champion 5 is demoted, 4 takes over: clicks on its lists fell"
    state.put(DEMOTIONS, "5", {"day": "2011-03-01", "to": "4", "reason": told})
    (newest, *_) = gather(state, settings.reports_path).days
    assert newest.champion == "4"
    assert newest.ages["champion_age"] == 9
    root = build_reports(settings, NOW).parent
    assert "Champion 5 is demoted, 4 takes over" in (root / "days" / "2011-03-01.html").read_text()
    index = (root / "index.html").read_text()
    assert "<dd>model 4</dd>" in index


def test_a_refused_day_is_on_the_pages_until_it_has_passed(settings: Settings) -> None:
    """An analyst reads of it on the same day, not when the next one has run."""
    day = date(2011, 3, 2)
    shop = Shop(settings.home)
    shop.deliver(day, [event(number, item_id="") for number in range(200)])
    with pytest.raises(DayRefused):
        run.run_step(settings, "land", day, run_id="night", is_last=False)
    index = (settings.reports_path / "index.html").read_text()
    assert "This day was refused by land: what was served before is served on." in index
    page = (settings.reports_path / "days" / "2011-03-02.html").read_text()
    assert "rows are malformed, mostly NO_ITEM" in page
    assert 'href="../runbook/landing-refused.html"' in page
    run.run_step(settings, "land", day, run_id="night", is_last=False, accept="the shop was closed")
    build_reports(settings, NOW)
    assert "was refused" not in (settings.reports_path / "index.html").read_text()


def test_a_step_has_its_temporary_files_at_home_and_leaves_the_process_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def look(*_: Any) -> dict[str, Any]:
        seen.append(tempfile.gettempdir())
        raise DayRefused("no events")

    monkeypatch.setattr(Step, "load", lambda _: look)
    before = tempfile.gettempdir()
    with pytest.raises(DayRefused):
        run.run_step(settings, "train", date(2011, 3, 2), run_id="night", is_last=False)
    assert seen == [str(settings.home / "tmp")]
    assert tempfile.gettempdir() == before


def test_a_gate_that_ended_a_retraining_is_told_on_its_page(settings: Settings) -> None:
    refusal = {"day": "2011-02-28", "step": "validate-training", "why": "GateRefused: no rows"}
    State.of(settings).put(REFUSALS, "retrain/2011-02-28", refusal)
    build_reports(settings, NOW)
    page = (settings.reports_path / "retrainings" / "2011-02-28.html").read_text()
    assert "It was refused by validate-training; the champion stays." in page
    assert "GateRefused: no rows" in page
    assert "refused by validate" not in (settings.reports_path / "index.html").read_text()
