"""A retraining begins only when one is due, and a run is fixed by what its first execution recorded."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from contracts import names
from contracts.errors import LeaseHeld, NothingToDo, PartitionMissing
from contracts.settings import load_settings
from jobs import promote, retrain
from jobs.io.state import DELIVERIES, DEMOTIONS, LANDINGS, PROMOTIONS, PUBLICATIONS, RETRAININGS, RUNS, State
from jobs.monitoring.thresholds import load_thresholds
from jobs.runs import (
    StepContext,
    champion_of,
    champion_of_run,
    fix_manifest,
    is_newest,
    manifest_of,
    run_key,
    settings_in,
    settings_of_run,
)

pytestmark = pytest.mark.contract

DAY = date(2011, 3, 10)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path / "home")
    (settings.home / "feed").mkdir(parents=True)
    (settings.home / "feed" / "feed.json").write_text(
        json.dumps(
            {
                "schema_version": 1, "shop": "Tiny shop", "currency": "GBP", "time_zone": "UTC",
                "repeats_allowed": True, "missing_consent": "granted",
            }
        )
    )  # fmt: skip
    with State.of(settings).lease("test", "retrain", 60, is_last=True) as lease:
        context = StepContext.of(settings, lease)
        for offset in (1, 0):
            land(context, DAY - timedelta(days=offset))
        yield context


def land(context: StepContext, day: date) -> None:
    delivery = {"kind": "events", "sha256": f"sha-{day}", "known_date": str(day), "landed_day": str(day)}
    context.state.put(DELIVERIES, f"events/{day}", delivery)
    context.state.put(LANDINGS, str(day), {"touched": []})


def test_the_reason_and_the_champion_are_recorded(context: StepContext) -> None:
    context.state.put(PROMOTIONS, "3", {"day": "2011-02-01"})
    told = retrain.prepare(DAY, context, reason="weekly")
    assert told == {"reason": "weekly", "champion": "3", "judge_days": 7}
    record = context.state.get(RETRAININGS, str(DAY))
    assert record is not None
    assert record["reason"] == "weekly"


def test_a_retraining_goes_on_from_what_is_known_of_consent_now(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(context, DAY)
    caught_up: list[StepContext] = []
    monkeypatch.setattr("jobs.retrain.catch_up", caught_up.append)
    monkeypatch.setattr("jobs.retrain.build_without_withdrawn", lambda days, _: sorted(set(days))[:1])
    told = retrain.prepare(DAY, context)
    assert caught_up == [context]
    assert told["built_without_withdrawn"] == [str(DAY - timedelta(days=7 + 3))]  # the first of its cut-offs


def test_a_retraining_that_is_run_again_keeps_its_reason(context: StepContext) -> None:
    retrain.prepare(DAY, context, reason="drift alarm")
    assert retrain.prepare(DAY, context, reason="by hand")["reason"] == "drift alarm"


def test_a_storm_of_alarms_gives_one_retraining(context: StepContext) -> None:
    """Twenty runs at once, each trying again as Airflow does while another holds the lease."""
    begun: list[int] = []
    refused: list[str] = []
    state = State.of(context.settings)

    def ring(number: int) -> None:
        while True:
            try:
                with state.lease(f"alarm-{number}", "prepare-retraining", 60, is_last=True) as lease:
                    retrain.prepare(
                        DAY,
                        StepContext.of(context.settings, lease),
                        reason=f"alarm {number}",
                        trigger=retrain.ALARM,
                    )
                    begun.append(number)
            except LeaseHeld:
                time.sleep(0.02)
                continue
            except NothingToDo as nothing:
                refused.append(str(nothing))
            return

    context.state._release(context.lease, keep_seconds=0)
    threads = [threading.Thread(target=ring, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert ["has been begun already" in why for why in refused] == [True] * 19
    record = state.get(RETRAININGS, str(DAY))
    assert record is not None
    assert record["reason"] == f"alarm {begun[0]}"


def test_a_run_that_is_tried_again_goes_on_and_a_person_may_repeat_a_day(context: StepContext) -> None:
    retrain.prepare(DAY, context, reason="drift alarm", trigger=retrain.ALARM)
    retrain.prepare(DAY, context, reason="drift alarm", trigger=retrain.ALARM)
    other = dataclasses.replace(context, run_id="another")
    with pytest.raises(NothingToDo, match="has been begun already, for this reason: drift alarm"):
        retrain.prepare(DAY, other, reason="drift alarm", trigger=retrain.ALARM)
    assert retrain.prepare(DAY, other, reason="by hand")["reason"] == "drift alarm"


def test_no_alarm_starts_a_retraining_within_the_cool_down(context: StepContext) -> None:
    retrain.prepare(DAY, context)
    end = DAY + timedelta(days=load_thresholds().alarm.cooldown_days)
    for trigger in (retrain.ALARM, retrain.SCHEDULE):
        land(context, end - timedelta(days=1))
        with pytest.raises(NothingToDo, match="cooldown_days in expectations/drift.toml"):
            retrain.prepare(end - timedelta(days=1), context, trigger=trigger)
    land(context, end)
    retrain.prepare(end, context, trigger=retrain.ALARM)


def test_a_person_is_not_held_back_by_the_cool_down(context: StepContext) -> None:
    retrain.prepare(DAY, context, trigger=retrain.ALARM)
    land(context, DAY + timedelta(days=1))
    retrain.prepare(DAY + timedelta(days=1), context, reason="a new season", trigger=retrain.PERSON)


def test_a_backfill_starts_no_retraining(context: StepContext) -> None:
    with pytest.raises(NothingToDo, match="not the newest day"):
        retrain.prepare(DAY - timedelta(days=1), context)


def test_a_day_that_was_not_landed_starts_none(context: StepContext) -> None:
    with pytest.raises(NothingToDo, match="has not been landed"):
        retrain.prepare(DAY + timedelta(days=5), context)


def test_a_refused_challenger_leaves_the_champion_and_says_why(context: StepContext) -> None:
    verdict = {"is_promoted": False, "reasons": ["champion: worse than allowed"]}
    context.state.put(
        RETRAININGS, str(DAY), {"day": str(DAY), "challenger": "4", "sha256": "x", "verdict": verdict}
    )
    with pytest.raises(NothingToDo, match="the champion stays: champion: worse than allowed"):
        promote.run(DAY, context)
    record = context.state.get(RETRAININGS, str(DAY))
    assert record is not None
    assert record["is_promoted"] is False
    assert context.state.all(PROMOTIONS) == {}


def test_promoting_before_training_is_refused(context: StepContext) -> None:
    with pytest.raises(PartitionMissing, match="foretaste retrain --day 2011-03-10"):
        promote.run(DAY, context)


def test_the_champion_of_a_day_is_the_last_one_promoted_before_it(context: StepContext) -> None:
    for version, day in (("1", "2011-02-01"), ("2", "2011-03-01"), ("10", "2011-03-10")):
        context.state.put(PROMOTIONS, version, {"day": day})
    assert champion_of(context.state, date(2011, 1, 1)) is None
    assert champion_of(context.state, date(2011, 2, 20)) == "1"
    assert (
        champion_of(context.state, date(2011, 3, 10)) == "2"
    )  # its own retraining counts from the next day on
    assert champion_of(context.state, date(2011, 3, 11)) == "10"


def test_a_demoted_champion_is_none_from_its_day_on(context: StepContext) -> None:
    for version, day in (("1", "2011-02-01"), ("2", "2011-03-01")):
        context.state.put(PROMOTIONS, version, {"day": day})
    context.state.put(DEMOTIONS, "2", {"day": "2011-03-04", "to": "1", "reason": "clicks fell"})
    manifests = [{"champion": "2", "day": day} for day in ("2011-03-03", "2011-03-04")]
    assert [champion_of_run(context.state, manifest) for manifest in manifests] == ["2", "1"]
    assert champion_of(context.state, date(2011, 3, 4)) == "2"  # as its run began, before its guard
    assert champion_of(context.state, date(2011, 3, 5)) == "1"


def test_a_retraining_challenges_who_took_over(context: StepContext) -> None:
    for version, day in (("1", "2011-02-01"), ("2", "2011-03-01")):
        context.state.put(PROMOTIONS, version, {"day": day})
    context.state.put(DEMOTIONS, "2", {"day": str(DAY), "to": "1", "reason": "clicks fell"})
    assert retrain.prepare(DAY, context)["champion"] == "1"


def test_a_run_keeps_the_manifest_of_its_first_execution(context: StepContext) -> None:
    first = fix_manifest(context, names.DAILY, DAY, "1")
    land(context, DAY + timedelta(days=1))
    assert fix_manifest(context, names.DAILY, DAY, "2") == first
    assert manifest_of(context.state, names.DAILY, DAY) == first
    assert list(first["deliveries"]) == ["events/2011-03-09", "events/2011-03-10"]
    assert first["feed"]["shop"] == "Tiny shop"
    record = context.state.get(RUNS, f"daily/{DAY}")
    assert record is not None
    assert len(record["sha256"]) == 64


def test_a_retraining_that_is_run_again_takes_as_many_threads(context: StepContext) -> None:
    """Sums are rounded in another order with another number, so that the model would be another one."""
    for threads in (3, 7):
        settings = load_settings(home=context.settings.home, threads=threads)
        retrain.prepare(DAY, dataclasses.replace(context, settings=settings))
    assert manifest_of(context.state, names.RETRAIN, DAY)["settings"]["threads"] == 3


def test_a_run_from_before_a_setting_does_what_it_did(context: StepContext) -> None:
    retrain.prepare(
        DAY,
        dataclasses.replace(
            context, settings=load_settings(home=context.settings.home, train_half_life_days=9)
        ),
    )
    recorded = context.state.get(RUNS, run_key(names.RETRAIN, DAY))
    assert recorded is not None
    assert settings_in(recorded["manifest"])["train_half_life_days"] == 9
    del recorded["manifest"]["settings"]["train_half_life_days"]
    context.state.put(RUNS, run_key(names.RETRAIN, DAY), recorded)
    assert settings_in(manifest_of(context.state, names.RETRAIN, DAY))["train_half_life_days"] == 0
    assert settings_of_run(context, DAY)["train_half_life_days"] == 0


def test_a_run_that_nobody_began_is_named(context: StepContext) -> None:
    with pytest.raises(PartitionMissing, match="no daily run of 2011-03-10 has begun"):
        manifest_of(context.state, names.DAILY, DAY)


def test_a_published_later_day_makes_a_day_old(context: StepContext) -> None:
    assert is_newest(context.state, DAY)
    context.state.put(PUBLICATIONS, "v0001", {"day": str(DAY + timedelta(days=1))})
    assert not is_newest(context.state, DAY)
