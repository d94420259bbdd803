"""Alarms reach people once in a cool-down, by every channel that is set, and never make anything worse."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts import alarms
from contracts.errors import NothingToDo
from contracts.settings import Settings, load_settings
from jobs.alarms import Alarm, of_verdict, tell
from jobs.io.state import ALARMS, State
from tests.receivers import webhook

pytestmark = pytest.mark.contract

NOW = datetime(2026, 1, 21, 4, 0, tzinfo=UTC)
ALARM = Alarm(
    alarms.DRIFT, "foretaste_daily", date(2026, 1, 20), "category moved by 0.31 bits", "http://reports/d.html"
)


def settings_of(home: Path, **given: Any) -> Settings:
    return load_settings(home=home, reports_url="http://reports", **given)


def test_a_message_says_what_when_why_what_is_served_and_where_to_read_on(tmp_path: Path) -> None:
    message = tell(settings_of(tmp_path), ALARM, NOW)
    assert message["subject"] == "Foretaste: People's taste has drifted (2026-01-20)"
    for told in (
        "Why: category moved by 0.31 bits",
        "Readers meanwhile: ",
        "From: foretaste_daily",
        "See: http://reports/d.html",
        "What to do: http://reports/runbook/drift.html",
    ):
        assert told in message["text"]


def test_an_alarm_is_told_once_in_a_cool_down_and_says_how_often_it_was_held_back(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, notify_cooldown_hours=2)
    tell(settings, ALARM, NOW)
    for minutes in (1, 119):
        with pytest.raises(NothingToDo, match="FORETASTE_NOTIFY_COOLDOWN_HOURS"):
            tell(settings, ALARM, NOW + timedelta(minutes=minutes))
    assert "2 more like it" in tell(settings, ALARM, NOW + timedelta(hours=2))["text"]
    with pytest.raises(NothingToDo):
        tell(settings, ALARM, NOW + timedelta(hours=3))


def test_another_kind_or_another_dag_is_another_alarm(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    tell(settings, ALARM, NOW)
    tell(settings, Alarm(alarms.DATA_INVALID, "foretaste_daily", None, "no events"), NOW)
    tell(settings, Alarm(alarms.DRIFT, "foretaste_retrain", None, "drift"), NOW)


def test_of_a_storm_of_the_same_alarm_one_message_is_sent(tmp_path: Path) -> None:
    with webhook() as (url, posted):
        settings = settings_of(tmp_path, notify="webhook", notify_webhook_url=url)
        State.of(settings)
        barrier = threading.Barrier(20)

        def ring() -> None:
            barrier.wait()
            with suppress(NothingToDo):
                tell(settings, ALARM, NOW)

        threads = [threading.Thread(target=ring) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(posted) == 1
    held = State.of(settings).get(ALARMS, "drift/foretaste_daily")
    assert held is not None
    assert held["held_back"] == 19


def test_a_webhook_gets_the_message_as_json(tmp_path: Path) -> None:
    with webhook() as (url, posted):
        tell(settings_of(tmp_path, notify="log, webhook", notify_webhook_url=url), ALARM, NOW)
    [message] = posted
    assert message["kind"] == "drift"
    assert message["day"] == "2026-01-20"
    assert message["runbook_url"] == "http://reports/runbook/drift.html"
    assert message["text"].startswith("Foretaste: ")


def test_a_webhook_that_does_not_take_it_is_asked_again_and_its_address_is_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "foretaste"), webhook(500) as (url, posted):
        settings = settings_of(tmp_path, notify="webhook", notify_webhook_url=url)
        assert tell(settings, ALARM, NOW)["problem"] == "the webhook answers 500"
        tell(settings, ALARM, NOW + timedelta(minutes=1))
        assert len(posted) == 2
    assert "does not answer" in tell(settings, ALARM, NOW + timedelta(minutes=2))["problem"]
    assert "secret-path" not in caplog.text


def test_a_verdict_rings_for_drift_and_for_broken_data_only() -> None:
    assert of_verdict("drift", ("a", "b"), rings=True) == [{"kind": "drift", "why": "a; b"}]
    assert of_verdict("drift", ("a",), rings=False) == []
    assert of_verdict("invalid", ("no events",), rings=False) == [
        {"kind": "data-invalid", "why": "no events"}
    ]
    assert of_verdict("ok", (), rings=False) == []
