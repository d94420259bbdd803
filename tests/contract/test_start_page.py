"""The start page tells addresses, logins and the state of the loop, and no secret."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.settings import load_settings
from jobs.io.state import ALARMS, BLOCKINGS, LANDINGS, PUBLICATIONS, RETRAININGS, VERDICTS, State
from jobs.services import ServiceStatus
from jobs.start_page import outcome_of, render, write_start_page
from jobs.status import status, why_stale

pytestmark = pytest.mark.contract

NOW = datetime(2026, 1, 21, 8, 30, tzinfo=UTC)
SECRET = "s3cr3t-of-airflow"
SERVERS = [
    ServiceStatus(
        "airflow",
        "running",
        "http://127.0.0.1:8080",
        f"operator / {SECRET}",
        public_login="operator, password in F",
    ),
    ServiceStatus(
        "valkey", "running", "redis://127.0.0.1:6379/0", "password in V", public_login="password in V"
    ),
    ServiceStatus("mlflow", "stopped"),
    ServiceStatus("reports", "running", "http://127.0.0.1:8088"),
    ServiceStatus("seaweedfs", "running", "http://127.0.0.1:8333", "keys in K", public_login="keys in K"),
]
RETRAINING: dict[str, Any] = {
    "day": "2026-01-20", "reason": "drift alarm of 2026-01-20: moved", "challenger": "4",
    "verdict": {"is_promoted": True, "reasons": ["better"]},
    "approval": {"answer": "waiting", "by": "", "at": "", "note": ""},
}  # fmt: skip


def page_of(home: Path, servers: list[ServiceStatus] = SERVERS) -> str:
    settings = load_settings(home=home, airflow_url="http://127.0.0.1:8080")
    state = State.of(settings)
    state.put(LANDINGS, "2026-01-20", {"touched": []})
    state.put(PUBLICATIONS, "v0003", {"day": "2026-01-20", "kind": "daily"})
    state.put(RETRAININGS, "2026-01-20", RETRAINING)
    state.put(VERDICTS, "2026-01-20", {"verdict": "drift", "reasons": ["moved <far>"], "rings": True})
    words = [
        {
            "item_id": "i7",
            "is_blocked": True,
            "at": "2026-01-20T09:00:00+00:00",
            "by": "ada",
            "why": "recalled",
        }
    ]
    state.put(BLOCKINGS, "i7", {"words": words})
    rung = {"kind": "drift", "source": "foretaste_daily", "day": "2026-01-20", "why": "moved", "told_at": "2026-01-21T04:00:00+00:00"}  # fmt: skip
    state.put(ALARMS, "drift/foretaste_daily", {**rung, "held_back": 0})
    return render(settings, status(settings, NOW), servers, NOW)


def test_it_tells_every_address_with_its_login_and_no_password(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert SECRET not in page
    for told in (
        'href="http://127.0.0.1:8080"',
        "operator, password in F",
        "redis://127.0.0.1:6379/0",
        "keys in K",
        "stopped",
    ):
        assert told in page


def test_it_tells_the_state_of_the_loop(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    for told in (
        "the verdict of 2026-01-20 is drift (moved &lt;far&gt;)",
        "Challenger 4 of 2026-01-20 waits for a person.",
        "Nobody is shown 1 blocked items, the last i7, by ada: recalled.",
        'href="http://127.0.0.1:8080/required_actions"',
        "drift alarm of 2026-01-20: moved",
        "<td>v0003</td>",
        'href="runbook/drift.html"',
        "Written at 2026-01-21 08:30",
    ):
        assert told in page, told


def test_it_is_written_before_anything_has_happened_and_leads_to_the_reports_and_back(tmp_path: Path) -> None:
    from jobs.reports import build_reports

    settings = load_settings(home=tmp_path)
    page = write_start_page(settings, NOW).read_text()
    assert "No day has been landed yet" in page
    assert 'href="index.html"' in page
    assert (tmp_path / "reports" / "runbook" / "drift.html").exists()
    assert 'href="start.html"' in build_reports(settings, NOW).read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "challenger 4: it waits for a person's approval"),
        ({"approval": None}, "challenger 4: judged, and not promoted yet"),
        ({"approval": None, "is_promoted": True}, "challenger 4 became the champion"),
        ({"approval": {"answer": "approved", "by": "Ada", "at": "T", "note": ""}, "is_promoted": True}, "challenger 4 became the champion, approved by Ada at T"),
        ({"approval": {"answer": "declined", "by": "Ada", "at": "T", "note": "no"}, "is_promoted": False}, "challenger 4: a person has declined: Ada at T: no"),
        ({"verdict": {"is_promoted": False, "reasons": ["worse"]}, "approval": None}, "challenger 4 was refused: worse"),
    ],
)  # fmt: skip
def test_it_says_what_came_of_a_retraining(change: dict[str, Any], told: str) -> None:
    assert outcome_of({**RETRAINING, **change}) == told


@pytest.mark.parametrize(
    ("published", "day", "is_scheduled", "is_stale"),
    [
        (("2026-01-20", 3600), "2026-01-20", True, False),
        (("2026-01-19", 3600), "2026-01-20", True, True),  # a run has landed the day and not published it
        (("2026-01-20", 37 * 3600), "2026-01-20", True, True),
        (("2026-01-20", 37 * 3600), "2026-01-20", False, False),  # nothing is due without a schedule
        (None, "2026-01-20", True, False),
    ],
)
def test_what_is_served_is_old(
    published: tuple[str, int] | None, day: str, is_scheduled: bool, is_stale: bool
) -> None:
    live = published and {"version": "v3", "day": published[0], "age_seconds": published[1]}
    assert (why_stale({"published": live, "day": day}, is_scheduled=is_scheduled) is not None) == is_stale
