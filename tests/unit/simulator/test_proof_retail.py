"""The real shop's proof: what an arm's lists were worth, over all people of all days."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from simulator.proof_retail import RetailArm, _deliver, _lists_of, _weighted

DAY = date(2011, 6, 1)


def test_days_count_by_their_people() -> None:
    days = [
        {"num_users": 300, "ndcg_at_10": 0.2, "popularity_ndcg_at_10": 0.1},
        {"num_users": 100, "ndcg_at_10": 0.4, "popularity_ndcg_at_10": 0.3},
    ]
    assert _weighted(days) == (400, pytest.approx(0.25), pytest.approx(0.15))
    assert _weighted([]) == (0, 0, 0)


def test_a_day_without_a_report_or_without_lists_is_none(tmp_path: Path) -> None:
    assert _lists_of(tmp_path, DAY) is None
    folder = tmp_path / "reports" / "drift" / str(DAY)
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps({"lists_of_the_day_before": None}))
    assert _lists_of(tmp_path, DAY) is None


def test_a_delivery_comes_whole_and_a_closed_day_brings_none(tmp_path: Path) -> None:
    staged, feed = tmp_path / "staged", tmp_path / "feed"
    delivery = staged / "events" / f"received={DAY}"
    delivery.mkdir(parents=True)
    feed.mkdir()
    (delivery / "events.csv").write_text("item_id\n")
    (delivery / "_SUCCESS").touch()
    _deliver(staged, feed, DAY)
    _deliver(staged, feed, date(2011, 6, 4))
    assert sorted(path.name for path in feed.glob("events/*/*")) == ["_SUCCESS", "events.csv"]


def test_retrainings_count_promoted_or_refused() -> None:
    verdicts = [{"retrained": outcome} for outcome in ("promoted", "refused", "skipped", "")]
    assert RetailArm("adaptive", 1, 0.1, 0.1, verdicts).num_retrainings == 2
