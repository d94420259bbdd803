"""A version's model for sessions is made of the day's own partitions, and what it lacks costs the sessions alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import names
from contracts.settings import Settings
from jobs import session_edition
from jobs.io.state import State
from jobs.ranking.next_item import NextItemModel
from jobs.runs import StepContext
from jobs.session_edition import load_sessions, session_edition_of
from models.session_bytes import from_bytes
from tests.tiny_day import tiny_day
from tests.tiny_world import DAY, NUM_ITEMS, NUM_USERS

pytestmark = pytest.mark.contract


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return tiny_day(tmp_path / "home")


@pytest.fixture
def context(settings: Settings) -> Iterator[StepContext]:
    with State.of(settings).lease("test-sessions", "publish", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


@pytest.mark.parametrize("champion", ["1", None])
def test_it_holds_the_champion_if_there_is_one_and_everybodys_history(
    context: StepContext, champion: str | None
) -> None:
    sessions, why = load_sessions(DAY, context, champion)
    assert sessions is not None
    assert (why, isinstance(sessions.model, NextItemModel)) == ("", champion is not None)
    found, why = session_edition_of(sessions, sessions.item_ids, context.lake, DAY, repeats_allowed=True)
    assert found is not None
    model = from_bytes(found.model)
    assert (model.champion is not None, len(model.index_N)) == (champion is not None, NUM_ITEMS)
    assert (len(found.user_ids), why) == (NUM_USERS, "")


@pytest.mark.parametrize("lacking", ["champion", "files", "partition"])
def test_what_is_not_to_be_had_is_told(settings: Settings, context: StepContext, lacking: str) -> None:
    if lacking == "files":  # and no MLflow to fetch them from
        shutil.rmtree(settings.home / "models")
    if lacking == "partition":
        shutil.rmtree(context.lake.root / names.partition(names.COPURCHASE, DAY))
    sessions, why = load_sessions(DAY, context, "9" if lacking == "champion" else "1")
    assert sessions is None
    assert {"champion": "version 9", "files": "MLflow", "partition": "copurchase"}[lacking] in why


def test_a_model_that_is_too_large_is_left_out_and_told(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_edition, "MOST_BYTES", 1000)
    sessions, _ = load_sessions(DAY, context, "1")
    assert sessions is not None
    found, why = session_edition_of(sessions, sessions.item_ids, context.lake, DAY, repeats_allowed=True)
    assert found is None
    assert "too many" in why
