"""The analysts' pages: what they say, that they stand alone, and that nothing in the data becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jobs.annotations import Annotation
from jobs.report_pages.charts import bar_of, charts_of
from jobs.report_pages.compare import combined
from jobs.report_pages.definitions import DEFINITIONS
from jobs.report_pages.intervals import intervals_of
from jobs.report_pages.tables import csv_text, rows_of
from jobs.report_pages.views import DayView, Gate, Site, accounts_of
from jobs.reports import csvs_of, pages_of

REPOSITORY = Path(__file__).resolve().parents[3]
NOW = datetime(2011, 3, 2, tzinfo=UTC)
DAY = date(2011, 3, 1)
EVIL = '"><script>alert(1)</script>'


def verdict(status: str = "ok", reasons: list[str] | None = None, effect: float = 0.1) -> dict[str, Any]:
    tastes = {
        "name": "tastes_lost", "label": "Tastes lost", "unit": "share", "status": "drift" if status == "drift" else "ok",
        "value": effect, "noise": 0.0, "noise_sd": 0.04, "effect": effect, "threshold": 0.25, "num_reference": 500,
        "num_current": 600, "halves": [effect, effect], "note": "", "facts": {"lead_before": 0.2, "lead_now": None},
    }  # fmt: skip
    empty = {"status": "unjudged", "measures": []}
    return {
        "verdict": status,
        "reasons": reasons or [],
        "champion": "1",
        "has_rung": status == "drift",
        "windows": {name: {"first": "2011-01-01", "last": "2011-01-07"} for name in ("reference", "current")},
        "num_reference": 28000,
        "num_current": 7000,
        "kinds": {"features": empty, "predictions": empty, "outcomes": {"status": status, "measures": [tastes]}},
        "lists_of_the_day_before": {
            "lists_day": "2011-02-28", "num_users": 321, "hit_rate_at_10": 0.25, "ndcg_at_10": 0.08,
            "popularity_ndcg_at_10": 0.05,
        },
    }  # fmt: skip


def landing() -> dict[str, Any]:
    return {
        "touched": ["2011-02-28", "2011-03-01"],
        "accounts": {
            "events": {
                "read": 1312,
                "good": 1290,
                "quarantined": {"bad_time": 9, "no_item": 6},
                "duplicate": 7,
            }
        },
    }


def retraining(**values: Any) -> dict[str, Any]:
    return {
        "day": DAY.isoformat(),
        "reason": "drift of 2011-03-01",
        "champion": "1",
        "challenger": "2",
        "num_users": 734,
        "judged_from": "2011-02-23",
        "mlflow_url": "http://127.0.0.1:5000/x",
        "is_promoted": True,
        "metrics": {
            "popularity": {"ndcg_at_10": 0.05},
            "challenger": {"ndcg_at_10": 0.0912, "recall_at_10": 0.12},
        },
        "verdict": {
            "is_promoted": True,
            "reasons": ["better"],
            "differences": {"popularity": {"mean": 0.04, "low": 0.03, "high": 0.05}},
        },
    } | values


def day_view(offset: int = 0, **values: Any) -> DayView:
    known: dict[str, Any] = {
        "verdict": verdict(), "landing": landing(), "publications": [], "retraining": None, "champion": "1",
    }  # fmt: skip
    return DayView(DAY - timedelta(days=offset), **(known | values))


def pages(
    *days: DayView, retrainings: list[dict[str, Any]] | None = None, shop: str = "A shop"
) -> dict[str, str]:
    site = Site(
        shop, list(days), retrainings or [], {"1": {"day": "2011-02-09", "metrics": {"ndcg_at_10": 0.07}}}
    )
    return dict(pages_of(site, NOW))


def text_of(page: str) -> str:
    without_style = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", without_style)))


class Tags(HTMLParser):
    """Every tag with its attributes, and whether what opens also closes."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@cache
def everything() -> dict[str, str]:
    days = [
        day_view(offset, verdict=verdict("drift" if offset == 0 else "ok", ["tastes lost 40%"]))
        for offset in range(4)
    ]
    return pages(*days, retrainings=[retraining()])


def test_the_newest_day_stands_on_top_and_is_told_in_one_sentence() -> None:
    index = pages(day_view(0, verdict=verdict("drift", ["outcomes: tastes lost 40%"])), day_view(1))[
        "index.html"
    ]
    assert index.index("days/2011-03-01.html") < index.index("days/2011-02-28.html")
    assert "1 March 2011 : The world has moved away from what the champion knows. The alarm rang." in text_of(
        index
    )
    assert "outcomes: tastes lost 40%" in index


def test_a_day_that_is_not_judged_yet_does_not_hide_the_last_verdict() -> None:
    index = pages(day_view(0, verdict=None), day_view(1))["index.html"]
    assert "28 February 2011 : The world is as the champion knows it." in text_of(index)


def test_the_index_shows_rows_in_and_out() -> None:
    row = text_of(pages(day_view())["index.html"].split("<tbody>")[1])
    assert "1 312 1 290 22" in row


def test_the_day_accounts_for_every_row_that_was_read() -> None:
    page = text_of(pages(day_view())["days/2011-03-01.html"])
    assert "read good quarantined duplicate events 1 312 1 290 15 7" in page


def test_the_day_says_why_rows_were_not_accepted_most_frequent_first() -> None:
    page = text_of(pages(day_view())["days/2011-03-01.html"])
    assert "events quarantined bad time 9 events quarantined no item 6" in page


def test_dbt_docs_are_linked_from_every_page_once_they_are_written() -> None:
    site = Site("A shop", [day_view()], [], {}, dbt_docs="dbt/index.html")
    found = dict(pages_of(site, NOW))
    assert 'href="dbt/index.html"' in found["index.html"]
    assert 'href="../dbt/index.html"' in found["days/2011-03-01.html"]
    assert "dbt docs" not in pages(day_view())["index.html"]


def test_accounts_without_kinds_are_those_of_events() -> None:
    assert accounts_of({"accounts": {"read": 3, "good": 2}}) == {"events": {"read": 3, "good": 2}}
    assert accounts_of({}) == {}


def test_the_day_shows_each_measure_beside_its_alarm() -> None:
    page = text_of(pages(day_view(verdict=verdict("drift", effect=0.4)))["days/2011-03-01.html"])
    assert "Tastes lost △ drift 40.0 % ± 4.0 % 40.0 % 25.0 % share 500 600" in page


def test_the_day_links_gates_files_and_its_neighbours() -> None:
    day = day_view(
        1,
        gates=[Gate("landed", "../validation/x/landed.html", True)],
        files={"the verdict": "../drift/x/verdict.json"},
    )
    page = pages(day_view(0), day, day_view(2))["days/2011-02-28.html"]
    for href in (
        "../validation/x/landed.html",
        "../drift/x/verdict.json",
        "2011-03-01.html",
        "2011-02-27.html",
    ):
        assert f'href="{href}"' in page


def test_an_invalid_day_says_that_the_data_is_broken() -> None:
    page = text_of(pages(day_view(verdict=verdict("invalid", ["volume collapsed"])))["days/2011-03-01.html"])
    assert "The data is broken, so nothing is said about drift." in page
    assert "volume collapsed" in page


def test_a_retraining_shows_the_challenger_first_and_the_interval_of_each_difference() -> None:
    page = text_of(pages(day_view(), retrainings=[retraining()])["retrainings/2011-03-01.html"])
    assert "Challenger 2 became the champion." in page
    assert "734 users with outcomes, 2011-02-23 to 2011-03-01" in page
    assert page.index("challenger 0.0912") < page.index("popularity 0.0500")
    assert "popularity +0.0400 +0.0300 to +0.0500" in page
    assert "surely better" in page


def test_a_retraining_says_how_much_of_what_it_knows_holds_on_days_it_has_not_seen() -> None:
    gap = {"trained": 0.4, "validation": 0.1, "kept": 0.25, "popularity_kept": 0.8}
    page = text_of(pages(retrainings=[retraining(gap=gap)])["retrainings/2011-03-01.html"])
    assert "Kept on unseen days 25.0 % NDCG@10 0.4000 → 0.1000; popularity 80.0 %" in page.replace(
        "\u202f", " "
    )


def test_a_retraining_shows_its_checks_its_slices_and_how_it_learnt() -> None:
    part = {
        "kind": "group", "name": f"country: {EVIL}", "num_users": 411, "other": "champion", "ndcg_at_10": 0.08,
        "ndcg_at_10_of_other": 0.09, "difference": {"mean": -0.01, "low": -0.03, "high": 0.01}, "is_below_floor": False,
    }  # fmt: skip
    check = {"name": "speed", "has_passed": None, "told": "scores 900 people a second"}
    told = {**retraining()["verdict"], "slices": [part], "checks": [check]}
    metrics = {"challenger": {"ndcg_at_10": 0.0912, "ndcg_at_20": 0.11, "gini_at_10": 0.7}}
    page = pages(
        day_view(), retrainings=[retraining(verdict=told, metrics=metrics, curves={"loss": [3.0, 2.0]})]
    )["retrainings/2011-03-01.html"]
    text = text_of(page)
    assert "411 0.0800 0.0900 −0.0300 to +0.0100 kept" in text
    assert "speed not judged scores 900 people a second" in text
    assert "NDCG 0.0912 0.1100" in text
    assert "Learning curves: loss from 3 to 2" in page
    assert EVIL not in page


def test_a_refused_retraining_says_that_the_champion_stays() -> None:
    page = pages(day_view(), retrainings=[retraining(is_promoted=False)])["retrainings/2011-03-01.html"]
    assert "Challenger 2 was refused; the champion stays." in text_of(page)


def test_a_retraining_that_has_only_begun_has_a_page() -> None:
    begun = {"day": DAY.isoformat(), "reason": "by hand"}
    assert "not been judged yet" in pages(day_view(), retrainings=[begun])["retrainings/2011-03-01.html"]


@pytest.mark.parametrize("name", sorted(everything()))
def test_a_page_stands_alone_and_is_small(name: str) -> None:
    page = everything()[name]
    assert len(page.encode()) < 300_000
    tags = Tags(page)
    assert not [tag for tag, values in tags.found if tag in ("img", "iframe") or "src" in values]
    assert "fetch(" not in page
    loaded = [values.get("href") or "" for tag, values in tags.found if tag == "link"]
    assert loaded == ["data:,"]
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize("name", sorted(everything()))
def test_a_page_can_be_read_with_a_screen_reader(name: str) -> None:
    page = everything()[name]
    tags = Tags(page)
    assert tags.open == []
    found = [tag for tag, _ in tags.found]
    assert ("html", {"lang": "en"}) in tags.found
    assert found.count("h1") == 1
    assert found.count("table") == found.count("caption")
    assert all(values.get("scope") in ("col", "row") for tag, values in tags.found if tag == "th")
    pictures = [values for tag, values in tags.found if tag == "svg"]
    assert all(values.get("aria-label") or values.get("aria-hidden") == "true" for values in pictures)
    levels = [int(tag[1]) for tag in found if re.fullmatch(r"h[1-6]", tag)]
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_nothing_in_the_data_becomes_markup() -> None:
    day = day_view(
        verdict=verdict("drift", [EVIL]),
        landing={
            "accounts": {EVIL: {EVIL: {EVIL: 1}}},
            "touched": [EVIL],
            "accepted_reason": EVIL,
            "refusals": [EVIL],
            "noted": {EVIL: 1},
        },
        publications=[{"version": EVIL, "kind": EVIL, "sha256": EVIL, "day": "2011-03-01", "champion": EVIL}],
        champion=EVIL,
    )
    evil = retraining(reason=EVIL, champion=EVIL, challenger=EVIL, metrics={EVIL: {EVIL: 0.5}})
    for page in pages(day, retrainings=[evil], shop=EVIL).values():
        assert "<script>alert" not in page
        assert "&#34;&gt;&lt;script&gt;" in page


def test_a_link_that_is_no_web_address_is_left_out() -> None:
    page = pages(day_view(), retrainings=[retraining(mlflow_url="javascript:alert(1)")])[
        "retrainings/2011-03-01.html"
    ]
    assert "javascript:" not in page


def test_a_site_without_days_tells_how_to_run_one() -> None:
    assert "foretaste run --day" in pages()["index.html"]


def test_a_year_of_days_fits_an_index_and_older_ones_keep_their_pages() -> None:
    reasons = ["outcomes: Items acted upon moved by 0.312 bits (alarm from 0.2)"]
    days = [day_view(offset, verdict=verdict("drift", reasons)) for offset in range(400)]
    name, index = next(iter(pages_of(Site("A shop", days, [], {}), NOW)))
    assert name == "index.html"
    assert len(index.encode()) < 300_000
    assert "35 older days have pages of their own" in index
    assert index.count('<th scope="row"') == 365


def test_a_page_of_an_old_day_does_not_change_because_time_goes_by() -> None:
    site = Site("A shop", [day_view()], [retraining()], {})
    today, later = (dict(pages_of(site, now)) for now in (NOW, NOW + timedelta(days=9)))
    assert [name for name in today if today[name] != later[name]] == ["index.html"]


def test_a_chart_needs_three_days_and_says_in_words_what_it_shows() -> None:
    assert charts_of([day_view(0), day_view(1)]) == {}
    days = [day_view(offset, verdict=verdict(effect=0.1 + 0.1 * offset)) for offset in (0, 1, 2)]
    tastes = charts_of(days)["Drift"][0]
    assert tastes.summary == "Tastes lost: 30.0% on 2011-02-27, 10.0% on 2011-03-01, alarm from 25.0%"
    heights = [float(point.split(",")[1]) for point in tastes.lines[0].points.split()]
    assert tastes.threshold_y is not None
    assert heights[0] < tastes.threshold_y < heights[2]  # the picture's y grows downwards


def test_a_bar_reaches_its_mark_when_the_alarm_does() -> None:
    bar = bar_of({"effect": 0.25, "threshold": 0.25})
    assert bar is not None
    assert (bar.width, bar.is_over) == (50.0, True)
    assert bar_of({"effect": None, "threshold": 0.25}) is None


def test_intervals_share_an_axis_that_holds_zero() -> None:
    found = {
        entry.name: entry
        for entry in intervals_of(
            {"als": {"mean": 2, "low": 1, "high": 3}, "champion": {"mean": -1, "low": -2, "high": 0}}
        )
    }
    assert list(found) == ["champion", "als"]
    (alone,) = intervals_of({"als": {"mean": 2, "low": 1, "high": 3}})
    assert alone.x_zero < alone.x_low
    assert found["als"].x_zero == found["champion"].x_zero == found["champion"].x_high
    assert (found["als"].is_above, found["champion"].is_below) == (True, False)


def ratio(value: float | None, n: int, scale: float = 1.0) -> dict[str, Any]:
    ends = (None, None) if value is None else (value - 0.01 * scale, value + 0.01 * scale)
    return {"numerator": int((value or 0) * n), "n": n, "value": value, "low": ends[0], "high": ends[1]}


def kpis(ctr: float | None = 0.05) -> dict[str, Any]:
    return {
        "users": 70,
        "orders": 6,
        "ctr": ratio(ctr, 9000),
        "conversion": ratio(0.06, 2400),
        "revenue_per_session": ratio(412.0, 2400, scale=5000.0),
        "impression_conversion": ratio(0.004, 9000),
    }


def told(**values: Any) -> dict[str, Any]:
    """A verdict with the figures of its day, and what moved."""
    moved = {
        "name": "8001", "title": "Mug", "before": ratio(0.1, 25000), "now": ratio(0.14, 6000),
        "change": 0.04, "low": 0.03, "high": 0.05,
    }  # fmt: skip
    span = {"first": "2011-01-01", "last": "2011-01-07"}
    slices = {"by_version": {"v0003": kpis(0.04)}, "by_group": {"heavy": kpis(0.07)}}
    figures = {"newest_event_at": "2011-03-01T22:30:00", "all": kpis(), **slices}
    found = {
        "kpis": figures,
        "moved": {"reference": span, "current": span, "categories": [], "items": [moved]},
    }
    return verdict() | found | values


def test_a_figure_stands_with_its_interval_its_n_and_a_link_to_what_it_means() -> None:
    found = pages(day_view(verdict=told()))
    page = text_of(found["days/2011-03-01.html"])
    assert "everybody 5.0 % 4.0 % to 6.0 %, n 9 000" in page
    assert "4.12 3.62 to 4.62, n 2 400" in page
    assert "version v0003 4.0 %" in page
    assert "group heavy 7.0 %" in page
    assert 'href="../definitions.html#ctr"' in found["days/2011-03-01.html"]
    assert "Click-through rate 5.0 % 4.0 % to 6.0 %, n 9 000" in text_of(found["index.html"])


def test_answers_from_a_lower_rung_are_seen_with_their_reason() -> None:
    share, nothing = ratio(0.25, 400), {"value": None, "low": None, "high": None, "numerator": 0, "n": 0}
    answers = [
        {"version": "v0003", "source": "personal", "fallback": None, "num_decisions": 900, "num_short": 0, "num_ruled": 30, "num_dropping": 0,
         "clicked": share, "purchased": share},
        {"version": "v0003", "source": "snapshot", "fallback": "store_away", "num_decisions": 70, "num_short": 7, "num_ruled": 9, "num_dropping": 2,
         "clicked": nothing, "purchased": nothing},
    ]  # fmt: skip
    found = pages(day_view(verdict=told(answers=answers)))["days/2011-03-01.html"]
    assert "rung of the ladder and reason: 970 together" in text_of(found)
    assert "personal – v0003 900 0 30 0 25.0 %" in text_of(found)
    assert "snapshot store_away v0003 70 7 9 2 – –" in text_of(found)
    assert "What the API answered" not in pages(day_view(verdict=told()))["days/2011-03-01.html"]
    (row, other) = rows_of(Site("A shop", [day_view(verdict=told(answers=answers))], [], {}))["answers"][1]
    assert (row["num_shown"], row["num_clicked"], other["fallback"], other["num_dropping"]) == (
        400,
        100,
        "store_away",
        2,
    )


def test_what_moved_is_told_before_and_after() -> None:
    page = text_of(pages(day_view(verdict=told()))["days/2011-03-01.html"])
    assert "Mug 8001 10.0 % 2 500 of 25 000 14.0 % 840 of 6 000 +4.0 3.0 to 5.0 sure" in page


def test_every_link_to_a_definition_finds_one() -> None:
    found = pages(day_view(verdict=told()), day_view(1), retrainings=[retraining()])
    linked = {key for page in found.values() for key in re.findall(r'definitions\.html#([^"]+)"', page)}
    anchors = set(re.findall(r'<div id="([^"]+)"', found["definitions.html"]))
    assert linked
    assert linked <= anchors == set(DEFINITIONS)
    for definition in DEFINITIONS.values():
        assert all(
            (definition.meaning, definition.unit, definition.n, definition.interval, definition.source)
        )


def test_the_day_says_what_foretaste_did_and_how_fresh_accurate_and_fast_it_was() -> None:
    live = {"version": "v0002", "day": "2011-02-28"}
    day = day_view(
        verdict=told(),
        retraining=retraining(),
        publications=[
            {
                "version": "v0003",
                "num_users": 42,
                "champion": None,
                "kind": "daily",
                "sha256": "ab",
                "day": "2011-03-01",
            }
        ],
        live=live,
        rollbacks=[{"from": "v0003", "to": "v0002", "at": "2011-03-02T08:00:00+00:00"}],
        seconds={"land": 2.0, "monitor": 9.5},
        champion_day=date(2011, 2, 9),
        newest_delivery=DAY,
    )
    page = text_of(pages(day)["days/2011-03-01.html"])
    assert "Published v0003 for 42 users, from recent popularity." in page
    assert "Retrained (drift of 2011-03-01) and promoted challenger 2." in page
    assert "Pointed readers back from v0003 to v0002, at 2011-03-02T08:00:00+00:00." in page
    assert "When the day ended readers got v0002, the lists of 2011-02-28." in page
    assert "Newest event 1.5 h Newest delivery 0 days Champion 20 days Published lists 1 day" in page
    assert "Hit rate@10 25.0 % 20.6 % to 30.0 %, n 321" in page
    assert "land 2.0 monitor 9.5 Together 11.5" in page


def annotation(mark: str, day: date = DAY, note: str = "Easter") -> Annotation:
    return Annotation.model_validate({"day": day, "mark": mark, "note": note, "author": "ann"})


def test_an_alarm_that_a_person_calls_wrong_is_counted_and_shown() -> None:
    wrong = day_view(verdict=verdict("drift"), annotations=[annotation("wrong")])
    right = day_view(1, verdict=verdict("drift"), annotations=[annotation("expected")])
    quiet = day_view(2, annotations=[annotation("wrong")])
    found = pages(wrong, right, quiet)
    assert "Alarms that were wrong 1 of 2 alarms" in text_of(found["index.html"])
    assert "A wrong alarm : Easter (ann)" in text_of(found["days/2011-03-01.html"])


def test_what_happened_is_marked_in_the_trends_and_read_out() -> None:
    happened = day_view(
        1,
        verdict=verdict("drift"),
        retraining=retraining(),
        demotion={"version": "2", "to": "1", "reason": "clicks fell"},
        rollbacks=[{"from": "v2", "to": "v1", "at": ""}],
        annotations=[annotation("incident", DAY - timedelta(days=1), "The tracker was down")],
    )
    chart = charts_of([day_view(0), happened, day_view(2)])["Drift"][0]
    assert [mark.kind for mark in chart.marks] == ["alarm", "promoted", "demoted", "rollback", "incident"]
    assert len({mark.x for mark in chart.marks}) == 5
    assert len({mark.day_x for mark in chart.marks}) == 1
    assert "promotion on 2011-02-28" in chart.summary
    assert "incident: The tracker was down on 2011-02-28" in chart.summary


def test_days_stand_where_they_belong_also_when_some_are_missing() -> None:
    chart = charts_of([day_view(0), day_view(1), day_view(4)])["Drift"][0]
    places = [float(point.split(",")[0]) for point in chart.lines[0].points.split()]
    assert places[1] - places[0] == pytest.approx(3 * (places[2] - places[1]), abs=0.2)


def test_the_share_of_lists_that_the_champion_has_ranked_is_drawn_where_it_was_counted() -> None:
    counted = verdict() | {
        "sources": {"personal": 75, "session": 20, "content": 0, "segment": 0, "popular": 5}
    }
    days = [day_view(0, verdict=counted), day_view(1), day_view(2, verdict=verdict() | {"sources": None})]
    csv = dict(csvs_of(Site("A shop", days, [], {})))["data/personal_lists.csv"]
    assert csv.splitlines() == ["day,value,low,high,n", "2011-03-01,0.75,,,100"]


def test_every_plot_has_a_csv_with_what_it_draws() -> None:
    days = [day_view(offset, verdict=told()) for offset in range(3)]
    site = Site("A shop", days, [], {})
    csvs = dict(csvs_of(site))
    linked = re.findall(r'href="(data/[^"]+\.csv)"', "".join(text for _, text in pages_of(site, NOW)))
    assert linked
    assert set(linked) <= set(csvs)
    assert csvs["data/ctr.csv"].splitlines()[:2] == [
        "day,value,low,high,n",
        "2011-02-27,0.05,0.04,0.060000000000000005,9000",
    ]
    assert csvs["data/ndcg_at_10.csv"].splitlines()[0].endswith(",popularity")
    assert csvs["data/quarantine.csv"].splitlines()[1] == "2011-02-27,events,bad_time,9"


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", " =1"])
def test_a_cell_of_text_starts_no_formula_and_a_number_stays_one(text: str) -> None:
    assert csv_text(["a", "b"], [[text, -1.5]]).splitlines()[1].lstrip('"').startswith("'")
    assert csv_text(["a"], [[-1.5]]) == "a\n-1.5\n"


def test_the_pages_of_a_shop_that_says_evil_things_embed_no_end_of_a_script() -> None:
    day = day_view(champion="</script><script>alert(1)</script>")
    page = pages(day, day_view(1))["compare.html"]
    assert page.count("</script>") == 2
    embedded = page.split('id="numbers">')[1].split("</script>")[0]
    assert not set("<>&") & set(embedded)
    values = json.loads(embedded)["days"]["values"]["2011-03-01"]
    assert "</script><script>alert(1)</script>" in values


def test_a_page_allows_its_own_style_and_script_and_nothing_else() -> None:
    for name, page in everything().items():
        policy = unescape(re.findall(r'Content-Security-Policy" content="([^"]+)"', page)[0])
        assert "default-src 'none'" in policy
        style = page.split("<style>")[1].split("</style>")[0]
        scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
        for text in (style, *scripts):
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy, name


def test_a_comparison_can_be_read_before_anybody_chooses() -> None:
    first = {"version": "v0002", "day": "2011-02-28", "kind": "daily", "num_users": 6}
    second = {"version": "v0003", "day": "2011-03-01", "kind": "daily", "num_users": 9}
    newest = day_view(0, verdict=told(), publications=[second])
    page = text_of(pages(newest, day_view(1, publications=[first]))["compare.html"])
    assert "Number 2011-02-28 2011-03-01 Change" in page
    assert "Click-through rate – 5.0 % (4.0 % to 6.0 %), n 9 000 –" in page
    assert "Number v0002 v0003 Change" in page
    assert "Users 6 9 +3" in page
    assert "Click-through rate – 4.0 % (3.0 % to 5.0 %), n 9 000 –" in page
    assert "NDCG@10 0.0800, n 321 – –" in page  # the lists of the day before, judged on the newest


def test_a_number_combined_over_days_is_surer_than_each() -> None:
    assert combined([]) is None
    days = [ratio(0.04, 1000), ratio(0.06, 3000)]
    found = combined(days)
    assert found is not None
    assert (found["value"], found["n"]) == (pytest.approx(0.055), 4000)
    assert 0 < found["high"] - found["low"] < 0.02


def test_data_quality_counts_reasons_over_days() -> None:
    page = text_of(pages(day_view(0), day_view(1))["quality.html"])
    assert "bad time 18 0.7 % 2 2011-03-01 no item 12 0.5 % 2 2011-03-01" in page
    assert "2011-03-01 1 312 1 290 15 7 – bad time 9, no item 6" in page


def test_the_index_and_quality_can_be_filtered_by_what_their_rows_say() -> None:
    found = pages(day_view(0, retraining=retraining()), day_view(1))
    assert '<tr data-verdict="ok" data-month="2011-03" data-retraining="promoted">' in found["index.html"]
    assert '<option value="2011-02">' in found["index.html"]
    assert 'data-quarantined="yes"' in found["quality.html"]


def test_a_model_card_tells_data_judgement_settings_and_limits() -> None:
    manifest = {
        "settings": {"history_days": 180, "history_length": 50}, "feed": {"shop": "Tea & Co"}, "deliveries": {"a": 1, "b": 2},
    }  # fmt: skip
    page = text_of(
        pages(day_view(), retrainings=[retraining(manifest=manifest)])["retrainings/2011-03-01.html"]
    )
    assert "2 deliveries known on 2011-03-01, the last 180 days" in page
    assert "on 2011-02-23 to 2011-03-01, 734 people who acted then" in page
    assert "Limits Judged by what people did" in page
    assert "history_length 50" in page


def test_a_retraining_tells_who_competed_and_who_became_the_challenger() -> None:
    competed = {"num_users": 412, "ndcg_at_10": {"ranker": 0.0731, "blend": 0.0792, "ease": 0.0688}}
    record = retraining(recommender="blend", validation=competed, weights={"sasrec": 0.61, "ease": 0.39})
    page = text_of(pages(day_view(), retrainings=[record])["retrainings/2011-03-01.html"])
    assert "blend 0.0792 the challenger: sasrec 0.61, ease 0.39 ranker 0.0731 ease 0.0688" in page
    assert "for 412 people of whom none of these has learnt" in page
    assert "added up with weights that people's next days taught: sasrec 0.61, ease 0.39" in page
    alone = retraining(recommender="ease", validation=competed, weights={"ease": 1.0})
    page = text_of(pages(day_view(), retrainings=[alone])["retrainings/2011-03-01.html"])
    assert "ease 0.0688 the challenger Challenger beside" in page
    assert "a linear model of items (EASE)" in page


def test_a_retraining_from_before_there_was_a_choice_is_told_as_what_it_was() -> None:
    page = text_of(pages(day_view(), retrainings=[retraining()])["retrainings/2011-03-01.html"])
    assert "Who became the challenger" not in page
    assert "a ranker orders them" in page


def test_text_stands_out_from_its_ground_in_light_and_dark() -> None:
    style = (REPOSITORY / "jobs/report_pages/style.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in style.split("@media screen")[:2]
    )
    pairs = [(name, ground) for name in ("ink", "soft", "link", "incident") for ground in ("ground", "panel")]
    pairs += [(name, f"{name}-ground") for name in ("ok", "drift", "invalid", "none")] + [("soft", "head")]
    for colours in (light, light | dark):
        for text, ground in pairs:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for drawn in ("line", "second", "alarm"):
            assert contrast(colours[drawn], colours["panel"]) >= 3, drawn


def contrast(first: str, second: str) -> float:
    """WCAG's ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_what_is_wrong_with_the_annotations_is_said_on_the_index() -> None:
    site = Site("A shop", [day_view()], [], {}, problems=["No annotations are shown: entry 1, mark: <wrong>"])
    assert "entry 1, mark: &lt;wrong&gt;" in dict(pages_of(site, NOW))["index.html"]


@pytest.mark.parametrize(
    ("status", "page"),
    [("drift", "runbook/drift.html"), ("invalid", "runbook/data-invalid.html"), ("ok", "")],
)
def test_a_verdict_that_asks_for_somebody_leads_to_its_runbook_page(status: str, page: str) -> None:
    found = pages(day_view(verdict=verdict() | {"verdict": status}))[f"days/{DAY}.html"]
    assert ("What to do about it" in found) is bool(page)
    assert f'href="../{page}"' in found or not page


def test_only_pages_whose_inputs_have_changed_are_written_again() -> None:
    days = [day_view(0), day_view(1)]
    known = {
        name: re.findall(r'<meta name="inputs" content="(\w+)">', text)[0]
        for name, text in pages(*days).items()
        if name.startswith("days/")
    }

    def written(*changed: DayView) -> set[str]:
        site = Site("A shop", list(changed), [], {})
        found = pages_of(site, NOW, lambda name, inputs: known.get(name) == inputs)
        return {name for name, _ in found if name.startswith("days/")}

    assert len(known) == 2
    assert written(*days) == set()
    assert written(day_view(0, champion="2"), days[1]) == {f"days/{DAY}.html"}
    assert written(*days[:1]) == {f"days/{DAY}.html"}  # it has no day before it any more
