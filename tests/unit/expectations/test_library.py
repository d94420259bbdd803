"""What is made lighter of Great Expectations stays what it was."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pandas as pd
import pytest

from expectations import library, rules
from expectations.findings import evaluate
from expectations.library import configurations_kept


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The expectations whose configuration was made, in order."""
    seen: list[Any] = []
    make = library._configuration_of

    def watched(expectation: Any) -> Any:
        seen.append(expectation)
        return make(expectation)

    monkeypatch.setattr(library, "_configuration_of", watched)
    return seen


def test_an_expectation_that_is_judged_makes_its_configuration_once(made: list[Any]) -> None:
    """And so does each of the copies that Great Expectations judges by."""
    [finding] = evaluate(
        rules.suite("prices", rules.between(0, 9, "price")), pd.DataFrame({"price": [1, 10]})
    )
    assert not finding.is_met
    assert len(made) == len({id(each) for each in made}) < 20


def test_a_configuration_is_kept_no_longer_than_it_is_asked_for(made: list[Any]) -> None:
    [rule] = rules.between(0, 9, "price")
    with configurations_kept():
        assert rule.configuration is rule.configuration
        assert rule.configuration.kwargs == {"column": "price", "min_value": 0, "max_value": 9}
    rule.max_value = 5
    assert rule.configuration.kwargs["max_value"] == 5
    with configurations_kept():
        assert rule.configuration.kwargs["max_value"] == 5
    assert len(made) == 3


def test_a_configuration_is_kept_for_one_thread_alone(made: list[Any]) -> None:
    [rule] = rules.between(0, 9, "price")
    with configurations_kept():
        assert rule.configuration is rule.configuration
        other = Thread(target=lambda: [rule.configuration, rule.configuration])
        other.start()
        other.join()
    assert len(made) == 3
