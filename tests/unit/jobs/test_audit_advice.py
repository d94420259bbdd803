"""Which family of models to begin with: each rule, and the number on which it turns."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from jobs.audit.advice import (
    ALS,
    BLEND,
    CONTENT,
    COVISITATION,
    EASE,
    POPULARITY,
    TRANSFORMER,
    advise,
)

Record = dict[str, Any]

#: A shop like MovieLens 100K: 943 people with long histories, all of them known.
RICH: Record = {
    "volume": {"acts": 100_000, "anonymous_acts": 0, "people": 943, "items": 1682},
    "people": {
        "lengths": {"median": 65}, "steps": {"median": 32}, "returning_share": 0.36, "tied_share": 0.76,
        "pairing_sessions": 0, "pairing_people": 943,
    },
    "clock": {"time_of_day": "real"},
    "cold": {"new_item_share": 0.008},
    "feedback": {"impressions": 0, "followed": 0},
    "catalogue": {"coverage": {"title": 1.0, "category": 1.0, "attributes": 1.0}},
}  # fmt: skip


def rich(**changes: Record) -> Record:
    found = deepcopy(RICH)
    for subject, values in changes.items():
        found[subject].update(values)
    return found


BASKETS: Record = {
    "volume": {"acts": 260_000, "people": 3_000},
    "people": {"steps": {"median": 2}, "tied_share": 0.97},
}
VISITS: Record = {"people": {"returning_share": 0.0, "pairing_sessions": 18_570, "steps": {"median": 4}}}
NOBODY: Record = {
    "volume": {"people": 0, "anonymous_acts": 100_000},
    "people": {"lengths": None, "steps": None, "returning_share": None, "tied_share": None, "pairing_people": 0},
}  # fmt: skip


def begun(found: Record) -> str:
    return str(advise(found, min_people=100)["begin_with"])


def verdicts(found: Record) -> dict[str, str]:
    return {each["family"]: each["verdict"] for each in advise(found, min_people=100)["families"]}


@pytest.mark.parametrize(
    ("changes", "family"),
    [
        ({}, TRANSFORMER),
        ({"volume": {"acts": 99_999}}, EASE),
        ({"people": {"steps": {"median": 4}}}, EASE),
        ({"people": {"steps": {"median": 5}}}, TRANSFORMER),
        ({"clock": {"time_of_day": "date"}}, EASE),
        ({"clock": {"time_of_day": "date"}, "people": {"tied_share": 0.1}}, TRANSFORMER),
        (BASKETS, EASE),
        ({**BASKETS, "volume": {"acts": 260_000, "people": 3_000, "items": 20_001}}, ALS),
        ({"people": {"steps": {"median": 1}, "lengths": {"median": 1}, "pairing_people": 200}}, EASE),
        ({"people": {"steps": {"median": 1}, "lengths": {"median": 1}, "pairing_people": 180}}, POPULARITY),
        ({"volume": {"people": 99}}, POPULARITY),
        ({"volume": {"people": 99}, "people": {"pairing_sessions": 99}}, POPULARITY),
        ({"volume": {"people": 99}, "people": {"pairing_sessions": 100}}, COVISITATION),
        (VISITS, COVISITATION),
        ({"people": {**VISITS["people"], "returning_share": 0.1}}, EASE),
        (NOBODY, POPULARITY),
        ({**NOBODY, "people": {**NOBODY["people"], "pairing_sessions": 5_000}}, COVISITATION),
        ({"cold": {"new_item_share": 0.3}}, CONTENT),
        ({"cold": {"new_item_share": 0.3}, "catalogue": {"coverage": {"title": 0.7, "category": 0.1, "attributes": 0}}}, TRANSFORMER),
        ({"cold": {"new_item_share": None}}, TRANSFORMER),
        ({"feedback": {"impressions": 10_000, "followed": 500}}, BLEND),
        ({"feedback": {"impressions": 10_000, "followed": 499}}, TRANSFORMER),
        ({"feedback": {"impressions": 9_999, "followed": 500}}, TRANSFORMER),
    ],
)  # fmt: skip
def test_the_first_family_whose_needs_are_met_is_the_one_to_begin_with(changes, family) -> None:
    assert begun(rich(**changes)) == family


def test_a_feed_without_an_act_is_told_to_begin_with_popularity_and_why() -> None:
    found = rich(**NOBODY, cold={"new_item_share": None})
    found["volume"]["acts"] = found["volume"]["anonymous_acts"] = 0
    told = advise(found, min_people=100)
    assert told["begin_with"] == POPULARITY
    assert told["why"].startswith("nobody has viewed, carted, bought or rated anything")


@pytest.mark.parametrize("changes", [{}, BASKETS, VISITS, NOBODY])
def test_every_family_is_judged_once_with_its_reason_and_one_begins(changes) -> None:
    told = advise(rich(**changes), min_people=100)["families"]
    assert sorted(each["family"] for each in told) == sorted(
        [ALS, BLEND, CONTENT, COVISITATION, EASE, POPULARITY, TRANSFORMER]
    )
    assert [each["verdict"] for each in told].count("begin") == 1
    assert all(each["why"] for each in told)


def test_baskets_are_named_as_the_reason_against_a_transformer() -> None:
    why = {each["family"]: each["why"] for each in advise(rich(**BASKETS), min_people=100)["families"]}
    assert "2 steps in time or fewer (97.0% of the acts share their instant" in why[TRANSFORMER]


def test_popularity_is_never_ruled_out() -> None:
    assert verdicts(rich())[POPULARITY] == "next"
