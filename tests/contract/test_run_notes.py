"""A run's note says in a sentence why it ran and what came of it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.contract, pytest.mark.filterwarnings("ignore")]

PLUGINS = Path(__file__).resolve().parents[2] / "dags" / "plugins"
ALARM = {"day": "2026-01-20", "reasons": ["category moved by 0.31 bits", "tastes lost 40%"]}


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PLUGINS))
    sys.modules.pop("foretaste_notes", None)
    return importlib.import_module("foretaste_notes")


def test_it_says_why(notes: Any) -> None:
    assert notes.why_it_ran("asset_triggered", {}, [ALARM, {"day": "2026-01-19", "reasons": ["old"]}]) == (
        "drift alarm of 2026-01-20: category moved by 0.31 bits; tastes lost 40%"
    )
    assert notes.why_it_ran("scheduled", {}, []) == "by schedule"
    assert notes.why_it_ran("backfill", {}, []) == "backfill"
    assert notes.why_it_ran("manual", {"reason": "a campaign ended"}, []) == "a campaign ended"
    assert notes.why_it_ran("manual", {}, []) == "by hand"


def test_a_day_says_its_verdict_and_what_was_published(notes: Any) -> None:
    monitor = {"day": "2026-01-20", "verdict": "drift", "reasons": ["tastes lost 40%"], "rings": True}
    published = {"published": True, "version": "v0003", "users": 1282}
    left = {"monitor": {"return_value": monitor}, "publish": {"return_value": published}}
    assert notes.what_came_of_it("foretaste_daily", left, []) == (
        "2026-01-20: drift (tastes lost 40%). Published v0003 for 1,282 users. The drift alarm rang."
    )
    calm = {**monitor, "verdict": "ok", "reasons": ["too little"], "rings": False}
    backfill = {"published": False, "why": "2026-01-20 is not the newest day: a backfill moves nothing"}
    left = {"monitor": {"return_value": calm}, "publish": {"return_value": backfill}}
    assert notes.what_came_of_it("foretaste_daily", left, []) == (
        "2026-01-20: ok. Nothing was published: 2026-01-20 is not the newest day: a backfill moves nothing."
    )


def test_a_retraining_says_what_became_of_the_challenger(notes: Any) -> None:
    published = {"published": True, "version": "v0004", "users": 1282}
    left = {
        "promote": {"return_value": {"champion": "3", "reasons": ["better", "approved by Ada"]}},
        "publish_challenger": {"return_value": published},
    }
    assert notes.what_came_of_it("foretaste_retrain", left, []) == (
        "Model 3 became the champion: better; approved by Ada. Published v0004 for 1,282 users."
    )
    refused = {"promote": {"why": "challenger 4 is refused, the champion stays: worse"}}
    assert notes.what_came_of_it("foretaste_retrain", refused, []) == (
        "Challenger 4 is refused, the champion stays: worse. Nothing was published."
    )
    skipped = {"prepare_retraining": {"why": "the retraining of 2026-01-19 is less than 3 days old"}}
    assert notes.what_came_of_it("foretaste_retrain", skipped, []).startswith(
        "The retraining of 2026-01-19 is"
    )


def test_a_failure_is_named_with_its_reason(notes: Any) -> None:
    left = {"train": {"why": "PartitionMissing: features/dim_items"}}
    assert notes.what_came_of_it("foretaste_retrain", left, ["train", "report"]) == (
        "train failed: PartitionMissing: features/dim_items; report failed: its log says why"
    )
