"""A retraining of a lake: what its challenger knows by heart stands in the record and in MLflow, and refuses it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.settings import Settings, load_settings
from jobs import train
from jobs.io.state import RETRAININGS, State
from jobs.judging.bounds import load_bounds
from jobs.runs import StepContext
from tests.walking_shop import FIRST, begin_retraining, build_lake

pytestmark = pytest.mark.integration

DAY = FIRST + timedelta(days=24)
SMALL = {
    "sasrec_width": 16, "sasrec_blocks": 1, "sasrec_heads": 1, "sasrec_epochs": 6, "history_length": 20,
    "sasrec_horizon": 1, "sasrec_learning_rate": 0.01, "num_candidates": 24, "promote_min_users": 50,
}  # fmt: skip


class _Registry:
    """Remembers what was logged; stands in for MLflow, whose own tests are elsewhere."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}

    def __enter__(self) -> _Registry:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def log_challenger(self, *_: object, metrics: dict[str, float], **__: object) -> tuple[str, str]:
        self.metrics = metrics
        return "1", "http://mlflow/1"

    def log_verdict(self, version: str, verdict: dict[str, Any], artifacts: dict[str, str]) -> None:
        pass


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = load_settings(home=tmp_path / "home", **SMALL)
    build_lake(settings, DAY, [DAY - timedelta(days=back) for back in (9, 6, 3, 0)])
    begin_retraining(settings, DAY, judge_days=6, rank_days=3)
    return settings


def verdict_of(settings: Settings) -> dict[str, Any]:
    with State.of(settings).lease("test", "train", 60, is_last=True) as lease:
        train.run(DAY, StepContext.of(settings, lease))
    record = State.of(settings).get(RETRAININGS, str(DAY))
    assert record is not None
    return record


def test_a_good_challenger_is_refused_once_it_keeps_less_than_is_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = _Registry()
    monkeypatch.setattr("jobs.train.open_registry", lambda settings: registry)
    # Everybody walks round one circle: a model that is this good would be held to have seen its answers.
    bounds = load_bounds()
    any_gain = bounds.difference.model_copy(update={"max_gain": 1.0})
    monkeypatch.setattr("jobs.train.load_bounds", lambda: bounds.model_copy(update={"difference": any_gain}))
    record = verdict_of(settings)
    assert record["verdict"]["is_promoted"], record["verdict"]["reasons"]
    assert record["gap"]["kept"] > 0.8
    assert registry.metrics["gap.kept"] == record["gap"]["kept"]
    monkeypatch.setattr("jobs.training.overfitting.LEAST_KEPT", 10.0)
    refused = verdict_of(settings)["verdict"]
    assert not refused["is_promoted"]
    assert refused["reasons"][0].startswith("overfitting: ")
