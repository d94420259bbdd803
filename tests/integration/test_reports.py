"""The pages from real records: what steps write is what the pages find."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from contracts.settings import Settings, load_settings
from jobs.io.state import LANDINGS, PROMOTIONS, PUBLICATIONS, RETRAININGS, RUNS, State
from jobs.report_pages.views import gather
from jobs.reports import build_reports

pytestmark = pytest.mark.integration

NOW = datetime(2011, 3, 2, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = load_settings(home=tmp_path / "home")
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
    state.put(RUNS, "daily/2011-03-01", {"manifest": {"champion": "4", "feed": {"shop": "Tea & Co"}}})
    return settings


def test_records_become_days_newest_first_with_what_belongs_to_them(settings: Settings) -> None:
    site = gather(State.of(settings), settings.reports_path)
    assert [day.day for day in site.days] == [date(2011, 3, 1), date(2011, 2, 28), date(2011, 2, 27)]
    newest, before, _ = site.days
    assert (site.shop, newest.champion, before.champion) == ("Tea & Co", "4", None)
    assert [record["version"] for record in before.publications] == ["v0001", "v0002"]
    assert before.retraining == {"day": "2011-02-28", "reason": "weekly"}
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


def test_every_link_of_every_page_leads_somewhere(settings: Settings) -> None:
    import re

    root = build_reports(settings, NOW).parent
    pages = sorted(root.rglob("*.html"))
    assert len(pages) == 5
    for page in pages:
        for href in re.findall(r'href="([^"#]+)"', page.read_text()):
            assert href == "data:," or (page.parent / href).exists(), f"{page}: {href}"


def test_writing_the_pages_again_changes_only_what_has_changed(settings: Settings) -> None:
    root = build_reports(settings, NOW).parent
    before = {page: page.stat().st_mtime_ns for page in root.rglob("*.html")}
    State.of(settings).put(RETRAININGS, "2011-02-28", {"day": "2011-02-28", "reason": "by hand"})
    build_reports(settings, NOW)
    changed = {str(page.relative_to(root)) for page, at in before.items() if page.stat().st_mtime_ns != at}
    assert changed == {"days/2011-02-28.html", "retrainings/2011-02-28.html"}
