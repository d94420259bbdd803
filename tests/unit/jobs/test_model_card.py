"""A model's card says what it is, why it was judged so and where it is weak; its pictures show it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from jobs.model_card import CARD, LEARNING, SLICES, artifacts_of
from jobs.report_pages.model_plots import learning_plot, slices_plot


def record(**verdict: Any) -> dict[str, Any]:
    part = {
        "kind": "group", "name": "country: <France|>", "num_users": 411, "other": "champion", "ndcg_at_10": 0.08,
        "ndcg_at_10_of_other": 0.09, "difference": {"mean": -0.01, "low": -0.03, "high": 0.01, "lower": -0.02},
        "is_below_floor": True,
    }  # fmt: skip
    return {
        "day": "2011-03-01",
        "challenger": "4",
        "num_users": 734,
        "metrics": {
            "popularity": {"ndcg_at_10": 0.05},
            "challenger": {"ndcg_at_10": 0.0912, "mrr_at_20": 0.2},
        },
        "curves": {"fit.loss": [8.0, 6.0, 5.0], "validation.ndcg_at_10": [0.01, 0.02, 0.03]},
        "manifest": {"settings": {"sasrec_width": 64}, "feed": {"shop": "Tiny shop"}},
        "verdict": {
            "is_promoted": False,
            "reasons": ["country: worse"],
            "checks": [{"name": "slice country", "has_passed": False, "told": "surely below it"}],
            "slices": [part],
        }
        | verdict,
    }


def test_the_card_tells_verdict_slices_metrics_and_settings() -> None:
    card = artifacts_of(record())[CARD]
    for told in (
        "# Challenger 4 of 2011-03-01",
        "Tiny shop",
        "## Verdict: refused",
        "* country: worse",
        "| slice country | no | surely below it |",
        "| country: <France\\|> | 411 | 0.0800 | champion 0.0900 | -0.0100 [-0.0300, +0.0100] |",
        "| ndcg_at_10 | 0.0912 | 0.0500 |",
        "| mrr_at_20 | 0.2000 | – |",
        "| sasrec_width | 64 |",
        "**Limits:**",
    ):
        assert told in card, told


def test_the_pictures_are_svg_that_says_in_words_what_it_shows() -> None:
    found = artifacts_of(record())
    slices, learning = (ElementTree.fromstring(found[name]) for name in (SLICES, LEARNING))
    assert slices.attrib["aria-label"] == "NDCG@10, challenger minus champion, in 1 slices"
    assert "country: <France|> · n 411" in "".join(slices.itertext())
    assert "fit.loss from 8 to 5" in learning.attrib["aria-label"]
    points = next(iter(learning.iter("{http://www.w3.org/2000/svg}polyline"))).attrib["points"].split()
    heights = [float(point.split(",")[1]) for point in points]
    assert len(points) == 3
    assert heights == sorted(heights)  # the loss falls


def test_where_there_is_nothing_to_draw_there_is_no_picture() -> None:
    assert slices_plot([]) == ""
    assert learning_plot({"loss": [1.0]}) == ""
    told = record(slices=[]) | {"curves": {}}
    assert set(artifacts_of(told)) == {CARD}
