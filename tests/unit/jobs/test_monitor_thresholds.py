"""Every threshold of expectations/drift.toml decides something: each has a test that turns on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.errors import SettingInvalid
from contracts.feed import days_between
from jobs.guard import Following, why_fallen
from jobs.monitor import does_ring
from jobs.monitoring.baseline import sound_days
from jobs.monitoring.busyness import Busyness
from jobs.monitoring.columns import DRIFT, NUMBERS, OK, SHARES, SHOWN, UNJUDGED, Column, Measure
from jobs.monitoring.completeness import _COLUMNS, Completeness
from jobs.monitoring.divergence import Noise, js_bits, wasserstein
from jobs.monitoring.exposure import Exposure, exposure_measures
from jobs.monitoring.list_outcomes import accuracy_measure, list_measure
from jobs.monitoring.outcomes import click_measure, conversion_measure
from jobs.monitoring.panel import Panel
from jobs.monitoring.people import KnownCatalogue, share_columns, taste_measure, unknown_measures
from jobs.monitoring.settling import settling
from jobs.monitoring.snapshots import feature_column, list_columns
from jobs.monitoring.thresholds import Thresholds, load_thresholds, parse_thresholds
from jobs.monitoring.traffic import traffic_reasons
from jobs.monitoring.validity import Volume, column_reasons, volume_reasons
from jobs.monitoring.verdict import decide, judged, measure_column
from jobs.monitoring.windows import Span, TasteSpans, Windows, choose_windows

FIRST = date(2011, 1, 1)
WEEK = timedelta(days=7)


def with_threshold(path: str, value: float) -> Thresholds:
    """The reviewed thresholds with one of them changed."""
    section, name = path.split(".", 1)
    thresholds = load_thresholds()
    changed = getattr(thresholds, section).model_copy(update={name: value})
    return thresholds.model_copy(update={section: changed})


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def measured(**values: Any) -> Measure:
    known = {
        "kind": "outcomes",
        "name": "m",
        "label": "m",
        "unit": "share",
        "status": UNJUDGED,
        "value": 0.5,
        "threshold": 0.3,
    }
    return Measure(**(known | values))


def numbers(count: int, shift: float, threshold: float = 0.3, kind: str = "data") -> Column:
    values = pd.Series(np.random.default_rng(1).normal(size=count))
    return Column(kind, "c", "c", NUMBERS, values, values + shift, threshold)  # type: ignore[arg-type]


def shares(counts: list[int], other: list[int], threshold: float) -> Column:
    before, now = (pd.Series(np.repeat(list("abcdefghij")[: len(rows)], rows)) for rows in (counts, other))
    return Column(
        "predictions", "c", "c", SHARES, before, now, threshold, pd.Series(range(len(before))), len(now)
    )


def status_of(column: Column, thresholds: Thresholds) -> str:
    if column.method == NUMBERS:
        value = wasserstein(column.reference.to_numpy(), column.current.to_numpy())
    else:
        names = sorted(set(column.reference) | set(column.current))
        value = js_bits(
            column.reference.value_counts().reindex(names, fill_value=0).to_numpy(),
            column.current.value_counts().reindex(names, fill_value=0).to_numpy(),
        )
    return measure_column(column, value, thresholds.evidence, rng()).status


def volume(rows: dict[str, int], open_days: int = 7) -> Volume:
    return Volume(rows, open_days, 7)


def panel_of(
    events: pd.DataFrame | None = None,
    impressions: pd.DataFrame | None = None,
    traffic: pd.DataFrame | None = None,
) -> Panel:
    empty = pd.DataFrame({"event_date": pd.to_datetime([])})
    return Panel(empty, *(empty if frame is None else frame for frame in (events, impressions, traffic)))


def traffic(
    first: date, num_days: int, a_day: int, each: int, buying: int = 0, busiest: int = 40
) -> pd.DataFrame:
    """So many people a day, each with so many events."""
    return pd.DataFrame(
        {
            "event_date": pd.to_datetime([first + timedelta(days=offset) for offset in range(num_days)]),
            "num_user_days": a_day,
            "num_events": a_day * each,
            "num_buying": buying,
            "top_counts": [[busiest, each]] * num_days,
            "unseen_if_halved": 0.5**each,
        }
    )


def broken_traffic(recent: pd.DataFrame, thresholds: Thresholds) -> list[str]:
    """What is wrong with two days after two weeks of 100 people with 10 events each."""
    days = Span(FIRST + 2 * WEEK, FIRST + 2 * WEEK + timedelta(days=1))
    windows = replace(two_weeks(), current=days)
    before = traffic(FIRST, 14, 100, 10)
    return traffic_reasons(before, before, recent, windows, None, thresholds.validity, thresholds.evidence)


def two_days(a_day: int, each: int, busiest: int = 40) -> pd.DataFrame:
    return traffic(FIRST + 2 * WEEK, 2, a_day, each, busiest=busiest)


def two_weeks() -> Windows:
    before, now = Span(FIRST, FIRST + timedelta(days=6)), Span(FIRST + WEEK, FIRST + timedelta(days=13))
    return Windows(before, now, before.last, TasteSpans(before, before, before, now))


def taste_panel(num_users: int, num_moved: int, purity: float = 1.0) -> Panel:
    """Each person likes one of four categories; in the second week ``num_moved`` of them like the next one."""
    rows = []
    for user in range(num_users):
        for offset in range(14):
            is_moved = offset >= 7 and user < num_moved
            is_stray = offset % 7 >= round(7 * purity)
            category = (user + is_moved + (offset if is_stray else 0)) % 4
            rows.append((f"u{user:03d}", f"i{category}", f"c{category}", FIRST + timedelta(days=offset)))
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "category", "event_date"])
    return panel_of(events.assign(event_date=pd.to_datetime(events["event_date"])))


def taste_status(panel: Panel, thresholds: Thresholds) -> str:
    return taste_measure(panel, two_weeks(), thresholds, rng())[0].status


def click_panel(rate_now: float) -> Panel:
    rows = []
    for user in range(300):
        for offset in range(14):
            clicked = 2 if offset < 7 else int(2 * rate_now)
            rows.append((pd.Timestamp(FIRST + timedelta(days=offset)), f"u{user}", 10, clicked))
    return panel_of(
        impressions=pd.DataFrame(rows, columns=["event_date", "user_id", "num_shown", "num_clicked"])
    )


def following(rate: float, num_days: int) -> Following:
    """Twenty thousand impressions a day with so many clicks."""
    shown = 20_000 * num_days
    return Following(shown, int(rate * shown), rate * shown, Busyness(5.0, 0.1), (rate,) * num_days)


def outcome(ours: float, popular: float, num_users: int = 300) -> dict[str, Any]:
    return {
        "num_users": num_users,
        "ndcg_at_10": ours,
        "popularity_ndcg_at_10": popular,
        "hit_rate_at_10": 0.2,
        "ndcg_squares": num_users * (ours**2 + 0.01),
        "difference_squares": num_users * ((ours - popular) ** 2 + 1e-5),
    }


def turn_min_rows() -> None:
    column = shares([300, 300], [590, 10], 0.05)
    assert status_of(column, with_threshold("evidence.min_rows", 600)) == DRIFT
    assert status_of(column, with_threshold("evidence.min_rows", 601)) == SHOWN


def turn_min_users() -> None:
    assert status_of(numbers(200, 1.0), with_threshold("evidence.min_users", 200)) == DRIFT
    assert status_of(numbers(200, 1.0), with_threshold("evidence.min_users", 201)) == SHOWN
    assert taste_status(taste_panel(201, 201), with_threshold("evidence.min_users", 201)) == DRIFT
    assert taste_status(taste_panel(201, 201), with_threshold("evidence.min_users", 202)) == UNJUDGED


def turn_reference_days() -> None:
    for days in (14, 28):
        windows = choose_windows(
            FIRST + timedelta(days=60), FIRST, FIRST + timedelta(days=44), monitor_days=7, reference_days=days
        )
        assert windows is not None
        assert windows.reference.num_days == days


def turn_sample_rows() -> None:
    panel = taste_panel(60, 0)
    for rows in (100, 200):
        column = share_columns(panel, two_weeks(), with_threshold("evidence.sample_rows", rows))[0]
        assert (len(column.reference), len(column.current)) == (rows, rows)


def turn_noise_draws() -> None:
    column = shares([300, 300], [310, 290], 0.05)
    found = {
        measure_column(column, 0.1, with_threshold("evidence.noise_draws", draws).evidence, rng()).noise
        for draws in (10, 50)
    }
    assert len(found) == 2


def turn_noise_sigmas() -> None:
    noise = Noise(0.1, 0.1)  # an effect of 0.4: four standard deviations
    assert judged(measured(), noise, with_threshold("evidence.noise_sigmas", 3.9).evidence).status == DRIFT
    assert judged(measured(), noise, with_threshold("evidence.noise_sigmas", 4.1).evidence).status == OK


def turn_persistence() -> None:
    found = measured(halves=(0.9, 0.12))  # 0.4 of the threshold in the second half
    assert (
        judged(found, Noise(0, 0.01), with_threshold("evidence.persistence", 0.39).evidence).status == DRIFT
    )
    assert judged(found, Noise(0, 0.01), with_threshold("evidence.persistence", 0.41).evidence).status == OK


def turn_min_volume() -> None:
    before, now = volume({"view": 1000}), volume({"view": 500})
    assert volume_reasons(before, now, before, with_threshold("validity.min_volume", 0.49).validity) == []
    (reason,) = volume_reasons(before, now, before, with_threshold("validity.min_volume", 0.51).validity)
    assert "volume collapsed" in reason


def turn_min_open_days() -> None:
    before, now = volume({"view": 700}), volume({"view": 300}, open_days=3)
    assert volume_reasons(before, now, before, with_threshold("validity.min_open_days", 0.42).validity) == []
    (reason,) = volume_reasons(before, now, before, with_threshold("validity.min_open_days", 0.43).validity)
    assert "3 of 7 expected ones have events" in reason


def turn_min_type_share() -> None:
    before, now = volume({"view": 900, "cart": 100}), volume({"view": 1000})
    assert volume_reasons(before, now, before, with_threshold("validity.min_type_share", 0.11).validity) == []
    (reason,) = volume_reasons(before, now, before, with_threshold("validity.min_type_share", 0.09).validity)
    assert "cart events have all but vanished" in reason


def turn_kept_type_share() -> None:
    before, now = volume({"view": 900, "cart": 100}), volume({"view": 980, "cart": 20})
    assert (
        volume_reasons(before, now, before, with_threshold("validity.kept_type_share", 0.19).validity) == []
    )
    assert (
        volume_reasons(before, now, before, with_threshold("validity.kept_type_share", 0.21).validity) != []
    )


def turn_max_null_rise() -> None:
    column = numbers(1000, 0.0)
    broken = replace(column, current=column.current.mask(column.current.index < 300))
    for limit, num_reasons in ((0.31, 0), (0.29, 1)):
        thresholds = with_threshold("validity.max_null_rise", limit)
        assert len(column_reasons([broken], thresholds.validity, thresholds.evidence)) == num_reasons


def turn_min_share_drifted() -> None:
    one_in_four = [measured(kind="data", status=DRIFT, effect=0.5, is_one_of_many=True)] + [
        measured(kind="data", status=OK, is_one_of_many=True)
    ] * 3
    for share, verdict in ((0.25, "drift"), (0.26, "ok")):
        assert (
            decide(one_in_four, {}, with_threshold("features.min_share_drifted", share).features).verdict
            == verdict
        )


def turn_features_threshold() -> None:
    before = pd.Series(np.random.default_rng(1).gamma(2, 5, 1000))
    for threshold, status in ((0.2, DRIFT), (2.0, OK)):
        thresholds = with_threshold("features.threshold", threshold)
        assert (
            status_of(feature_column("user.views_28d", before, before * 1.6, 45, thresholds), thresholds)
            == status
        )


def turn_lookback_days() -> None:
    values = pd.Series(np.arange(1000))
    for days, status in ((45, DRIFT), (46, SHOWN)):
        thresholds = with_threshold("features.lookback_days", {"user.views_28d": days})  # type: ignore[arg-type]
        assert (
            status_of(feature_column("user.views_28d", values, values + 2000, 45, thresholds), thresholds)
            == status
        )


def turn_list_bits(name: str, column: int) -> Callable[[], None]:
    def turn() -> None:
        users = pd.Series([f"u{row}" for row in range(800)])
        first = pd.DataFrame({"user_id": users, "place": 1, "score": 1.0})
        first, today = (
            first.assign(item_id=np.arange(800) % k, category=np.arange(800) % k) for k in (10, 5)
        )
        # Half of ten equal items gone is 0.311 bits.
        for bits, status in ((0.25, DRIFT), (0.33, OK)):
            thresholds = with_threshold(f"predictions.{name}", bits)
            assert status_of(list_columns(first, today, thresholds)[column], thresholds) == status

    return turn


def turn_people_bits(name: str, column: int) -> Callable[[], None]:
    def turn() -> None:
        days = pd.to_datetime([FIRST + timedelta(days=row % 14) for row in range(5600)])
        is_now = days >= pd.Timestamp(FIRST + WEEK)
        users = pd.Series([f"u{row // 14}" for row in range(5600)])
        kinds = np.where(is_now, np.arange(5600) % 5, np.arange(5600) % 10)
        panel = panel_of(
            pd.DataFrame({"user_id": users, "item_id": kinds, "category": kinds, "event_date": days})
        )
        for bits, status in ((0.25, DRIFT), (0.33, OK)):
            thresholds = with_threshold(f"people.{name}", bits)
            assert status_of(share_columns(panel, two_weeks(), thresholds)[column], thresholds) == status

    return turn


def turn_taste_lost() -> None:
    panel = taste_panel(300, 90)  # three in ten: their lead turns from 3/4 into -1/4, so 0.4 is lost
    assert taste_status(panel, with_threshold("people.taste_lost", 0.38)) == DRIFT
    assert taste_status(panel, with_threshold("people.taste_lost", 0.42)) == OK


def turn_min_taste_lead() -> None:
    panel = taste_panel(300, 300)
    assert taste_status(panel, with_threshold("people.min_taste_lead", 0.74)) == DRIFT
    assert taste_status(panel, with_threshold("people.min_taste_lead", 0.76)) == UNJUDGED


def turn_ctr_lost() -> None:
    panel = click_panel(0.5)
    for lost, status in ((0.49, DRIFT), (0.51, OK)):
        assert (
            click_measure(panel, two_weeks(), with_threshold("outcomes.ctr_lost", lost), rng()).status
            == status
        )


def turn_ndcg_below_popularity() -> None:
    windows = two_weeks()
    outcomes = {windows.current.last - timedelta(days=back): outcome(0.08, 0.10) for back in range(4)}
    for share, status in ((0.19, DRIFT), (0.21, OK)):
        thresholds = with_threshold("outcomes.ndcg_below_popularity", share)
        assert list_measure(outcomes, windows, thresholds).status == status


def turn_cooldown_days() -> None:
    retrained = [FIRST - timedelta(days=2)]
    for days, rings in ((2, True), (3, False)):
        cooldown = with_threshold("alarm.cooldown_days", days).alarm.cooldown_days
        assert does_ring(True, True, FIRST, retrained, cooldown) is rings


def turn_settle_growth() -> None:
    since = FIRST
    for growth, asks in ((1.5, True), (1.51, False)):  # four days known, six passed
        alarm = with_threshold("alarm.settle_growth", growth).alarm
        found = settling(
            since + timedelta(days=5),
            is_drift=False,
            drift_since=since,
            trained_until=since + timedelta(days=3),
            well_known_days=7,
            thresholds=alarm,
        )
        assert bool(found.reason) is asks


def turn_settle_days() -> None:
    for days, is_over in ((10, True), (11, False)):
        alarm = with_threshold("alarm.settle_days", days).alarm
        day = FIRST + timedelta(days=10)
        found = settling(
            day, is_drift=False, drift_since=FIRST, trained_until=FIRST, well_known_days=7, thresholds=alarm
        )
        assert (found.drift_since is None) is is_over


def turn_recent_days() -> None:
    for days in (2, 3):
        assert (
            two_weeks().recent(with_threshold("alarm.recent_days", days).alarm.recent_days).current.num_days
            == days
        )


def turn_taste_lost_recently() -> None:
    windows = two_weeks().recent(2)
    panel = taste_panel(300, 90)
    for lost, status in ((0.38, DRIFT), (0.42, OK)):
        thresholds = with_threshold("people.taste_lost_recently", lost)
        assert taste_measure(panel, windows, thresholds, rng(), is_recent=True)[0].status == status


def turn_unknown_items() -> None:
    panel = taste_panel(500, 0)  # a quarter of what they act upon is item i0
    known = KnownCatalogue(frozenset({"i1", "i2", "i3"}), frozenset({"c0"}))
    for share, status in ((0.24, DRIFT), (0.26, OK)):
        thresholds = with_threshold("people.unknown_items", share)
        assert unknown_measures(panel, two_weeks().recent(2), known, thresholds, rng())[0].status == status


def turn_unknown_categories() -> None:
    panel = taste_panel(500, 0)
    categories = panel.within(two_weeks().recent(2).current)["category"]
    known = KnownCatalogue(frozenset({"i1"}), frozenset(categories) - {"c0"})
    share = (categories == "c0").mean()
    assert 0 < share < 1
    for threshold, status in ((share - 0.01, DRIFT), (share + 0.01, OK)):
        thresholds = with_threshold("people.unknown_categories", threshold)
        assert unknown_measures(panel, two_weeks().recent(2), known, thresholds, rng())[1].status == status


def turn_conversion_lost() -> None:
    frame = pd.concat([traffic(FIRST, 7, 500, 5, buying=100), traffic(FIRST + WEEK, 7, 500, 5, buying=50)])
    for lost, status in ((0.49, DRIFT), (0.51, OK)):
        thresholds = with_threshold("outcomes.conversion_lost", lost)
        assert conversion_measure(panel_of(traffic=frame), two_weeks(), thresholds).status == status


def turn_accuracy_lost() -> None:
    first = {FIRST + timedelta(days=back): outcome(0.2, 0.1) for back in range(3)}
    now = {FIRST + WEEK + timedelta(days=back): outcome(0.1, 0.1) for back in range(4)}
    for lost, status in ((0.49, DRIFT), (0.51, OK)):
        thresholds = with_threshold("outcomes.accuracy_lost", lost)
        assert accuracy_measure(first, now, thresholds).status == status


def turn_max_silent_days() -> None:
    silent = two_days(100, 10).iloc[:0]
    assert broken_traffic(silent, with_threshold("validity.max_silent_days", 2)) == []
    (reason,) = broken_traffic(silent, with_threshold("validity.max_silent_days", 1))
    assert "2 open days in a row are silent" in reason


def turn_min_recent_volume() -> None:
    halved = two_days(100, 5)
    assert broken_traffic(halved, with_threshold("validity.min_recent_volume", 0.5)) == []
    (reason,) = broken_traffic(halved, with_threshold("validity.min_recent_volume", 0.51))
    assert "events are lost: 0.50 of what these weekdays had" in reason


def turn_max_events_lost() -> None:
    fewer = two_days(60, 8)  # two of the five that every other event lost would take from each
    assert broken_traffic(fewer, with_threshold("validity.max_events_lost", 0.41)) == []
    assert len(broken_traffic(fewer, with_threshold("validity.max_events_lost", 0.39))) == 1


def crowds_alone(path: str, value: float) -> Thresholds:
    """Whoever stands out, and not the few busiest together."""
    thresholds = with_threshold(path, value)
    validity = thresholds.validity.model_copy(update={"max_busiest_rise": 1.0})
    return thresholds.model_copy(update={"validity": validity})


def turn_crowd_factor() -> None:
    crawled = two_days(100, 10, busiest=100)
    assert broken_traffic(crawled, crowds_alone("validity.crowd_factor", 2.5)) == []
    (reason,) = broken_traffic(crawled, crowds_alone("validity.crowd_factor", 2.4))
    assert "nobody had more than 40" in reason


def turn_max_crowd_share() -> None:
    crawled = two_days(100, 10, busiest=100)  # a tenth of all events
    assert broken_traffic(crawled, crowds_alone("validity.max_crowd_share", 0.1)) == []
    assert len(broken_traffic(crawled, crowds_alone("validity.max_crowd_share", 0.09))) == 1


def turn_max_busiest_rise() -> None:
    crawled = two_days(
        100, 10, busiest=79
    )  # under twice as many as anybody had: 0.089 of a day's events after 0.05
    assert broken_traffic(crawled, with_threshold("validity.max_busiest_rise", 0.039)) == []
    (reason,) = broken_traffic(crawled, with_threshold("validity.max_busiest_rise", 0.038))
    assert "the 5 busiest hold 9% of a day's events or more, at most 5% in the reference" in reason
    one_day = pd.concat([crawled.head(1), two_days(100, 10).tail(1)])
    assert broken_traffic(one_day, with_threshold("validity.max_busiest_rise", 0.01)) == []


def turn_sound_days() -> None:
    promoted = FIRST + timedelta(days=27)
    current = Span(promoted + timedelta(days=1), promoted + WEEK)
    windows = Windows(Span(FIRST, promoted), current, promoted, None)
    for num_days in (7, 20):
        chosen = with_threshold("validity.sound_days", num_days).validity.sound_days
        found = sound_days(windows, current, lambda day: False, chosen)
        assert found == days_between(promoted - timedelta(days=num_days - 1), promoted)


def turn_min_people_of_type() -> None:
    full = dict.fromkeys(_COLUMNS, 0.0)
    found = Completeness({"view": (100, full)}, {"view": (50, full | {"dwell_ms": 1.0})})
    for rows, num_reasons in ((50, 1), (51, 0)):
        thresholds = with_threshold("evidence.min_people_of_type", rows)
        assert len(found.reasons(thresholds.validity, thresholds.evidence)) == num_reasons


def test_a_column_that_few_people_lack_by_chance_is_not_broken() -> None:
    before, broken = dict.fromkeys(_COLUMNS, 0.0) | {"user_id": 0.12}, {"user_id": 0.4}
    few = Completeness({"cart": (230, before)}, {"cart": (30, before | broken)})
    many = Completeness({"cart": (2300, before)}, {"cart": (3000, before | broken)})
    thresholds = with_threshold("validity.max_null_rise", 0.2)
    assert few.reasons(thresholds.validity, thresholds.evidence) == []
    (reason,) = many.reasons(thresholds.validity, thresholds.evidence)
    assert reason == "user_id is missing in 40% of a person's cart events on average (12% in the reference)"


def turn_rollback_clicks_lost() -> None:
    before, now = following(0.10, 7), following(0.06, 2)
    for bound, is_fallen in ((0.39, True), (0.41, False)):
        assert bool(why_fallen(before, now, with_threshold("rollback.clicks_lost", bound))) is is_fallen


def turn_exposure(name: str, place: int) -> Callable[[], None]:
    def turn() -> None:
        start, now = Exposure(100, 0.8, 0.3, 1.0), Exposure(100, 0.6, 0.55, 1.25)  # 0.25 of each
        for limit, status in ((0.24, DRIFT), (0.26, OK)):
            thresholds = with_threshold(f"loop.{name}", limit)
            assert exposure_measures(start, now, thresholds.loop)[place].status == status

    return turn


TURNS: dict[str, Callable[[], None]] = {
    "rollback.clicks_lost": turn_rollback_clicks_lost,
    "alarm.recent_days": turn_recent_days,
    "alarm.settle_growth": turn_settle_growth,
    "alarm.settle_days": turn_settle_days,
    "people.taste_lost_recently": turn_taste_lost_recently,
    "people.unknown_items": turn_unknown_items,
    "people.unknown_categories": turn_unknown_categories,
    "outcomes.conversion_lost": turn_conversion_lost,
    "outcomes.accuracy_lost": turn_accuracy_lost,
    "validity.max_silent_days": turn_max_silent_days,
    "validity.min_recent_volume": turn_min_recent_volume,
    "validity.max_events_lost": turn_max_events_lost,
    "validity.crowd_factor": turn_crowd_factor,
    "validity.max_crowd_share": turn_max_crowd_share,
    "validity.sound_days": turn_sound_days,
    "validity.max_busiest_rise": turn_max_busiest_rise,
    "evidence.min_people_of_type": turn_min_people_of_type,
    "loop.coverage_lost": turn_exposure("coverage_lost", 0),
    "loop.gini_risen": turn_exposure("gini_risen", 1),
    "loop.popularity_lift_risen": turn_exposure("popularity_lift_risen", 2),
    "alarm.cooldown_days": turn_cooldown_days,
    "evidence.min_rows": turn_min_rows,
    "evidence.min_users": turn_min_users,
    "evidence.reference_days": turn_reference_days,
    "evidence.sample_rows": turn_sample_rows,
    "evidence.noise_draws": turn_noise_draws,
    "evidence.noise_sigmas": turn_noise_sigmas,
    "evidence.persistence": turn_persistence,
    "validity.min_volume": turn_min_volume,
    "validity.min_open_days": turn_min_open_days,
    "validity.max_null_rise": turn_max_null_rise,
    "validity.min_type_share": turn_min_type_share,
    "validity.kept_type_share": turn_kept_type_share,
    "features.min_share_drifted": turn_min_share_drifted,
    "features.threshold": turn_features_threshold,
    "features.lookback_days": turn_lookback_days,
    "predictions.category_bits": turn_list_bits("category_bits", 0),
    "predictions.item_bits": turn_list_bits("item_bits", 1),
    "people.category_bits": turn_people_bits("category_bits", 0),
    "people.item_bits": turn_people_bits("item_bits", 1),
    "people.taste_lost": turn_taste_lost,
    "people.min_taste_lead": turn_min_taste_lead,
    "outcomes.ctr_lost": turn_ctr_lost,
    "outcomes.ndcg_below_popularity": turn_ndcg_below_popularity,
}


@pytest.mark.parametrize("path", TURNS)
def test_a_verdict_turns_on_the_threshold(path: str) -> None:
    TURNS[path]()


def test_every_threshold_has_such_a_test() -> None:
    written = load_thresholds().model_dump()
    # These are read by queries alone: integration tests turn on them.
    expected = {
        *TURNS,
        "rollback.days",
        "evidence.panel_rows",
        "validity.price_factor",
        "validity.max_price_jumps",
    }
    assert {f"{section}.{name}" for section, values in written.items() for name in values} == expected


def test_an_item_alarm_does_not_ring_at_what_online_retail_does_every_month() -> None:
    assert load_thresholds().people.item_bits > 0.16


def test_the_weeks_after_a_peak_lose_no_events_though_each_person_does_a_little_less() -> None:
    """What a lived year's two days before Christmas had: 0.57 of what November's weekdays had, 0.79 by each person."""
    recent = traffic(FIRST + 2 * WEEK, 2, 72, 79)
    windows = replace(two_weeks(), current=Span(FIRST + 2 * WEEK, FIRST + 2 * WEEK + timedelta(days=1)))
    given = load_thresholds()
    reference = traffic(FIRST, 14, 100, 100)
    assert traffic_reasons(reference, reference, recent, windows, None, given.validity, given.evidence) == []


def test_what_days_differ_by_is_no_loss() -> None:
    """A wholesaler's: each customer orders 10 lines on one day and 30 on another, whatever the weekday."""
    given = load_thresholds()
    windows = replace(two_weeks(), current=Span(FIRST + 2 * WEEK, FIRST + 2 * WEEK + timedelta(days=1)))
    steady = traffic(FIRST, 14, 50, 20)
    restless = steady.assign(num_events=[500] * 7 + [1500] * 7)
    recent = traffic(FIRST + 2 * WEEK, 2, 50, 10)
    assert traffic_reasons(restless, restless, recent, windows, None, given.validity, given.evidence) == []
    (reason,) = traffic_reasons(steady, steady, recent, windows, None, given.validity, given.evidence)
    assert reason.startswith("events are lost: 0.50")


def test_one_open_day_does_not_show_that_a_few_hold_a_crowds_share() -> None:
    thresholds = with_threshold("validity.max_busiest_rise", 0.01)
    crawled = two_days(100, 10, busiest=79)
    assert len(broken_traffic(crawled, thresholds)) == 1
    assert broken_traffic(crawled.tail(1), thresholds) == []


def test_every_other_event_lost_is_seen_where_people_do_little_as_well() -> None:
    """Of people with one event each day half drop out, and the others seem to do as much as ever."""
    rng = np.random.default_rng(1)
    for mean in (0.5, 1.0, 3.0, 10.0):
        did = rng.poisson(mean, 20_000)
        seen = rng.binomial(did, 0.5)
        reference, recent = (
            pd.DataFrame(
                {
                    "event_date": pd.to_datetime([first + timedelta(days=offset) for offset in range(days)]),
                    "num_user_days": (counts > 0).sum(),
                    "num_events": counts.sum(),
                    "top_counts": [np.sort(counts)[:-7:-1].tolist()] * days,
                    "unseen_if_halved": (0.5 ** counts[counts > 0]).mean(),
                }
            )
            for first, days, counts in ((FIRST, 14, did), (FIRST + 2 * WEEK, 2, seen))
        )
        windows = replace(two_weeks(), current=Span(FIRST + 2 * WEEK, FIRST + 2 * WEEK + timedelta(days=1)))
        given = load_thresholds()
        (reason,) = traffic_reasons(
            reference, reference, recent, windows, None, given.validity, given.evidence
        )
        assert reason.startswith("events are lost: 0.5"), mean


@pytest.mark.parametrize("name", ["user.recency_days", "user.tenure_days", "item.age_days"])
def test_a_column_that_grows_with_the_calendar_is_shown_and_never_judged(name: str) -> None:
    ages = pd.Series(np.arange(1000))
    assert (
        status_of(feature_column(name, ages, ages + 5000, 400, load_thresholds()), load_thresholds()) == SHOWN
    )


@pytest.mark.parametrize(("name", "is_told"), [("user.views_28d", True), ("user.views_1d", False)])
def test_a_feature_that_may_not_ring_is_not_called_broken_on_a_quiet_day(name: str, is_told: bool) -> None:
    before, nothing = pd.Series(np.arange(1000)), pd.Series(np.zeros(1000))
    thresholds = load_thresholds()
    column = feature_column(name, before, nothing, 400, thresholds)
    assert bool(column_reasons([column], thresholds.validity, thresholds.evidence)) == is_told


def test_a_misspelt_threshold_is_refused_by_name() -> None:
    with pytest.raises(SettingInvalid, match="min_volum"):
        parse_thresholds("[validity]\nmin_volum = 0.5\n")
