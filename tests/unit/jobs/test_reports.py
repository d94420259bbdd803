"""The analysts' pages: what they say, that they stand alone, and that nothing in the data becomes markup."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from jobs.report_pages.charts import bar_of, charts_of, intervals_of
from jobs.report_pages.views import DayView, Gate, Site, accounts_of
from jobs.reports import pages_of

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

    VOID = frozenset({"meta", "link", "br", "line", "circle", "rect", "polyline"})

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
    assert "Tastes lost △ drift 40.0 % ± 4.0 % 40.0 % 25.0 %" in page


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
    assert not [tag for tag, _ in tags.found if tag in ("script", "img", "iframe")]
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
        assert "<script" not in page
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
    name, index = next(pages_of(Site("A shop", days, [], {}), NOW))
    assert name == "index.html"
    assert len(index.encode()) < 300_000
    assert "35 older days have pages of their own" in index
    assert index.count('<th scope="row"') == 365


def test_a_page_of_an_old_day_does_not_change_because_time_goes_by() -> None:
    site = Site("A shop", [day_view()], [retraining()], {})
    today, later = (dict(pages_of(site, now)) for now in (NOW, NOW + timedelta(days=9)))
    assert [name for name in today if today[name] != later[name]] == ["index.html"]


def test_a_chart_needs_three_days_and_says_in_words_what_it_shows() -> None:
    assert charts_of([day_view(0), day_view(1)]) == []
    days = [day_view(offset, verdict=verdict(effect=0.1 + 0.1 * offset)) for offset in (0, 1, 2)]
    tastes = charts_of(days)[0]
    assert tastes.summary == "Tastes lost: 30% on 2011-02-27, 10% on 2011-03-01, alarm from 25%"
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
