"""The real shop's proof: what an arm's lists were worth, over all people of all days."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.proof_retail import _deliver, _lists_of
from simulator.proof_retail_report import RetailArm, RetailDay, gained, show_retail, write_retail_pages

DAY = date(2011, 6, 1)


def verdict(number: int, retrained: str = "", **changes: Any) -> dict[str, Any]:
    """What became of the day of a number, from ``DAY`` on."""
    return {
        "day": str(DAY + timedelta(days=number)), "refused": "", "verdict": "ok", "reasons": [], "has_rung": False,
        "retrained": retrained, "retraining_reasons": [], **changes,
    }  # fmt: skip


def arm(name: str, ndcg: dict[int, float], *verdicts: dict[str, Any]) -> RetailArm:
    """An arm of three weeks, whose lists were worth so much on the days of these numbers."""
    days = [RetailDay(str(DAY + timedelta(days=number)), 10, worth, 0.1) for number, worth in ndcg.items()]
    told = {each["day"]: each for each in (verdict(number) for number in range(21))}
    return RetailArm(name, days, list((told | {each["day"]: each for each in verdicts}).values()))


def test_days_count_by_their_people() -> None:
    days = [RetailDay("2011-06-01", 300, 0.2, 0.1), RetailDay("2011-06-02", 100, 0.4, 0.3)]
    found = RetailArm("adaptive", days, [])
    assert (found.num_people, found.ndcg, found.popularity_ndcg) == (
        400,
        pytest.approx(0.25),
        pytest.approx(0.15),
    )
    nobody = RetailArm("adaptive", [], [])
    assert (nobody.num_people, nobody.ndcg, nobody.popularity_ndcg) == (0, 0, 0)


def test_weeks_count_from_the_first_day_and_only_where_somebody_bought() -> None:
    found = arm("adaptive", {0: 0.1, 6: 0.3, 14: 0.5})
    assert {week: ours for week, (ours, _) in found.by_week().items()} == {0: pytest.approx(0.2), 2: 0.5}


def test_what_adaptive_gains_is_told_by_the_weeks_that_both_have() -> None:
    found = gained(arm("adaptive", {0: 0.3, 7: 0.4, 14: 0.5}), arm("frozen", {0: 0.3, 7: 0.2}))
    assert found.values == (0, pytest.approx(0.2))


def test_the_page_says_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rung = verdict(8, "promoted", verdict="drift", reasons=["tastes lost 30%"], has_rung=True)
    arms = [arm("adaptive", {0: 0.3, 7: 0.4}, rung, verdict(12, "refused")), arm("frozen", {0: 0.3, 7: 0.2})]
    write_retail_pages(tmp_path, arms)
    page = (tmp_path / "proof-online-retail.md").read_text()
    assert "UCI Online Retail, 2011-06-01 to 2011-06-21, 21 days" in page
    assert "| adaptive | 20 | 0.3500 | 0.1000 | 1 | 2 |" in page
    assert "| frozen | 20 | 0.2500 | 0.1000 | 0 | 0 |" in page
    assert "mean of 2 weeks with its 95 % interval: 0.1000 [-1.1706, 1.3706] of NDCG@10" in page
    assert "* 2011-06-09: drift, retraining promoted: tastes lost 30%" in page
    assert "<svg" in (tmp_path / "proof-online-retail.svg").read_text()
    show_retail(arms)
    assert "2011-06-09: drift, retraining promoted: tastes lost 30%" in capsys.readouterr().out


def test_a_day_without_a_report_or_without_lists_is_none(tmp_path: Path) -> None:
    assert _lists_of(tmp_path, DAY) is None
    folder = tmp_path / "reports" / "drift" / str(DAY)
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps({"lists_of_the_day_before": None}))
    assert _lists_of(tmp_path, DAY) is None
    lists = {"num_users": 3, "ndcg_at_10": 0.2, "popularity_ndcg_at_10": 0.1}
    (folder / "verdict.json").write_text(json.dumps({"lists_of_the_day_before": lists}))
    assert _lists_of(tmp_path, DAY) == RetailDay(str(DAY), 3, 0.2, 0.1)


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
