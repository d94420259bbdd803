"""The verdict: what makes a day ok, drifted or invalid, and when the alarm rings."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.monitor import does_ring
from jobs.monitoring.columns import DRIFT, NUMBERS, OK, SHOWN, UNJUDGED, Column, Measure
from jobs.monitoring.divergence import Noise
from jobs.monitoring.judgement import Found
from jobs.monitoring.keep import DRIFT_VERDICTS, row_of
from jobs.monitoring.list_outcomes import ListOutcome, list_measure
from jobs.monitoring.thresholds import load_thresholds
from jobs.monitoring.validity import Volume, column_reasons, volume_reasons
from jobs.monitoring.verdict import decide, judged
from jobs.monitoring.windows import Span, Windows

DAY = date(2011, 3, 1)
THRESHOLDS = load_thresholds()


def measure(**values: Any) -> Measure:
    known = {"kind": "outcomes", "name": "m", "label": "Tastes lost", "unit": "share", "status": UNJUDGED}
    return Measure(**(known | {"value": 0.5, "effect": 0.5, "threshold": 0.25} | values))


def column(current: list[float], reference: list[float] | None = None) -> Column:
    before = pd.Series(np.arange(1000.0) if reference is None else reference)
    return Column("data", "user.views_28d", "user.views_28d", NUMBERS, before, pd.Series(current))


def reasons_of(found: Column) -> list[str]:
    return column_reasons([found], THRESHOLDS.validity, THRESHOLDS.evidence)


def test_an_effect_is_what_is_left_after_chance() -> None:
    found = judged(measure(value=0.3, effect=None), Noise(0.1, 0.01), THRESHOLDS.evidence)
    assert found.effect == pytest.approx(0.2)
    assert found.status == OK


def test_a_large_effect_that_chance_could_give_is_no_drift_and_says_so() -> None:
    found = judged(measure(), Noise(0.0, 0.3), THRESHOLDS.evidence)
    assert (found.status, found.note) == (OK, "within 3 standard deviations of chance")


def test_what_is_seen_in_one_half_of_the_window_only_is_no_drift_and_says_so() -> None:
    found = judged(measure(halves=(0.0, 1.0)), Noise(0.0, 0.01), THRESHOLDS.evidence)
    assert (found.status, found.note) == (OK, "seen in one half of the window only")


def test_nothing_wrong_is_ok_without_reasons() -> None:
    verdict = decide([measure(status=OK)], {}, THRESHOLDS.features)
    assert (verdict.verdict, verdict.reasons) == ("ok", ())


def test_one_kind_that_drifts_is_enough_and_is_told_with_its_figures() -> None:
    verdict = decide([measure(status=DRIFT), measure(kind="predictions", status=OK)], {}, THRESHOLDS.features)
    assert (verdict.verdict, verdict.reasons) == ("drift", ("outcomes: tastes lost 50% (alarm from 25%)",))
    assert verdict.kinds == {"data": UNJUDGED, "predictions": OK, "outcomes": DRIFT, "loop": UNJUDGED}


def test_a_single_feature_is_told_but_rings_nothing() -> None:
    features = [measure(kind="data", is_one_of_many=True, label="user.views_28d", unit="sd", status=DRIFT)]
    features += [measure(kind="data", is_one_of_many=True, status=OK)] * 9
    verdict = decide(features, {}, THRESHOLDS.features)
    assert verdict.verdict == "ok"
    assert verdict.reasons == (
        "alone, and not enough: data: user.views_28d moved by 0.500 standard deviations (alarm from 0.25)",
    )


def test_columns_that_are_only_shown_do_not_dilute_those_that_are_judged() -> None:
    features = [measure(kind="data", is_one_of_many=True, status=DRIFT)] + [
        measure(kind="data", is_one_of_many=True, status=SHOWN)
    ] * 20
    assert decide(features, {}, THRESHOLDS.features).verdict == "drift"


def test_broken_data_is_invalid_and_never_drift() -> None:
    verdict = decide([measure(status=DRIFT)], {"outcomes": ["volume collapsed"]}, THRESHOLDS.features)
    assert (verdict.verdict, verdict.reasons) == ("invalid", ("outcomes: volume collapsed",))


def test_a_kind_that_cannot_be_judged_leaves_the_day_ok_and_says_why() -> None:
    verdict = decide([], {}, THRESHOLDS.features, ["nothing to compare with yet"])
    assert (verdict.verdict, verdict.reasons) == ("ok", ("nothing to compare with yet",))


@pytest.mark.parametrize(
    ("current", "reason"),
    [
        ([], "has no rows"),
        ([1.0] * 999 + [np.inf], "is not finite in 1 of 1000 rows"),
        ([np.nan] * 1000, "is missing in 100.0% of rows (0.0% in the reference)"),
        ([7.0] * 1000, "is constant (7.0); it had 1000 values in the reference"),
    ],
    ids=["empty", "infinite", "missing", "constant"],
)
def test_a_broken_column_is_invalid(current: list[float], reason: str) -> None:
    assert reasons_of(column(current)) == [f"user.views_28d {reason}"]


def test_a_column_that_never_had_values_or_never_varied_is_not_broken() -> None:
    assert reasons_of(column([np.nan] * 1000, [np.nan] * 1000)) == []
    assert reasons_of(column([0.0] * 1000, [0.0] * 1000)) == []


def test_what_was_half_missing_before_may_be_half_missing_now() -> None:
    half = [np.nan] * 500 + list(range(500))
    assert reasons_of(column(half, half)) == []


def test_a_few_missing_values_are_not_broken() -> None:
    assert reasons_of(column([np.nan] * 100 + list(range(900)))) == []


def test_a_window_without_events_is_invalid_unless_the_shop_was_closed() -> None:
    before = Volume({"view": 100}, 7, 7)
    assert volume_reasons(before, Volume({}, 0, 7), before, THRESHOLDS.validity) == [
        "no events at all in the current window"
    ]
    assert volume_reasons(before, Volume({}, 0, 0), before, THRESHOLDS.validity) == []


def test_a_closed_weekend_is_no_collapse_of_volume() -> None:
    before, now = Volume({"view": 2800}, 28, 28), Volume({"view": 500}, 5, 7)
    assert volume_reasons(before, now, before, THRESHOLDS.validity) == []


def test_a_season_that_triples_the_volume_is_valid() -> None:
    assert (
        volume_reasons(
            Volume({"view": 100}, 7, 7),
            Volume({"view": 300}, 7, 7),
            Volume({"view": 100}, 7, 7),
            THRESHOLDS.validity,
        )
        == []
    )


def test_the_alarm_rings_on_a_drift_of_the_newest_day() -> None:
    assert does_ring(True, True, DAY, [], 3)


def test_the_alarm_is_silent_when_nothing_asks_for_a_retraining() -> None:
    assert not does_ring(False, True, DAY, [], 3)


def test_the_alarm_is_silent_in_a_backfill() -> None:
    assert not does_ring(True, False, DAY, [], 3)


@pytest.mark.parametrize(("days_ago", "rings"), [(0, False), (2, False), (3, True), (-1, True)])
def test_the_alarm_is_silent_in_the_cool_down_of_a_retraining(days_ago: int, rings: bool) -> None:
    assert does_ring(True, True, DAY, [DAY - timedelta(days=days_ago)], 3) is rings


def test_lists_are_judged_over_several_days_only() -> None:
    windows = Windows(
        Span(DAY - timedelta(days=20), DAY - timedelta(days=7)), Span(DAY - timedelta(days=6), DAY), DAY, None
    )
    today = ListOutcome("2011-02-28", 400, 0.2, 0.05, 0.10, 2.0, 1.1).as_record()
    alone = list_measure({DAY: today}, windows, THRESHOLDS)
    assert (alone.status, alone.facts["ndcg_at_10"]) == (SHOWN, 0.05)
    both = list_measure({DAY: today, DAY - timedelta(days=1): today}, windows, THRESHOLDS)
    assert both.status == DRIFT
    assert both.value == pytest.approx(0.5)


def test_a_verdict_is_plain_json_and_a_row_of_the_warehouse() -> None:
    verdict = decide(
        [measure(name="tastes_lost", status=DRIFT, value=np.float64(0.5), effect=np.float64(0.5))],
        {},
        THRESHOLDS.features,
    )
    record = Found(DAY, "3", None, verdict).as_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    row = row_of(DAY, record)
    assert list(row) == list(DRIFT_VERDICTS.columns)
    assert (row["day"], row["verdict"], row["tastes_lost"], row["outcomes"]) == (DAY, "drift", 0.5, "drift")


def test_values_are_written_with_six_decimals_as_plain_floats() -> None:
    record = replace(measure(), value=np.float32(0.25), noise=1 / 3, effect=-1e-9).as_record()
    assert (record["value"], record["noise"], str(record["effect"])) == (0.25, 0.333333, "0.0")
    assert type(record["value"]) is float


def test_a_value_that_is_no_number_is_written_as_nothing() -> None:
    assert replace(measure(), value=float("nan")).as_record()["value"] is None
