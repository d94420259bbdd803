"""A day is scored to the same bytes whether or not states were kept, and the step says how many histories it has read."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from contracts import names
from contracts.lists import CONTENT, PERSONAL, POPULAR, SEGMENT, SESSION, SOURCES
from contracts.settings import load_settings
from jobs import score
from jobs.features.tasks import Task
from jobs.io.kept_states import read_states
from jobs.io.state import State
from jobs.runs import StepContext
from tests.scoring import write_day, write_histories
from tests.tiny_world import DAY

pytestmark = pytest.mark.contract

NUM_USERS = 60


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path)
    with State.of(settings).lease("test", "score", 60, is_last=True) as lease:
        context = StepContext.of(settings, lease)
        write_day(context, NUM_USERS)
        yield context


def scored(context: StepContext) -> tuple[dict, tuple[str, ...]]:
    """What the step says, and the digests of the lists' bytes."""
    told = score.run(DAY, context)
    return told, context.lake.verify(names.LISTS, DAY).contents


def test_every_list_says_what_it_was_made_from_and_the_step_counts_them(context: StepContext) -> None:
    told, _ = scored(context)
    assert sum(told["sources"].values()) == told["lists"] == NUM_USERS + 20
    assert list(told["sources"]) == list(SOURCES)
    assert {source for source, count in told["sources"].items() if count} == {
        PERSONAL,
        CONTENT,
        SEGMENT,
        POPULAR,
    }  # fmt: skip  (the item that the champion does not know has no neighbours)
    sources = context.lake.read(names.LISTS, DAY, ["source"]).column("source").to_pylist()
    assert told["sources"] == {source: sources.count(source) for source in told["sources"]}


def test_of_unchanged_histories_none_is_encoded_again_and_the_lists_are_the_same(
    context: StepContext,
) -> None:
    first, bytes_before = scored(context)
    assert first["encoded"] == first["histories"] > 40
    context.lake.drop(names.LISTS)
    again, bytes_after = scored(context)
    assert (again["encoded"], again["histories"]) == (0, first["histories"])
    assert bytes_after == bytes_before


def test_whose_history_has_changed_is_encoded_and_gets_the_list_of_a_run_without_kept_states(
    context: StepContext,
) -> None:
    _, before = scored(context)
    write_histories(context, NUM_USERS, longer=(3, 8))
    told, with_states = scored(context)
    assert told["encoded"] == 2
    assert with_states != before
    shutil.rmtree(context.settings.states_path)
    context.lake.drop(names.LISTS)
    told, without = scored(context)
    assert told["encoded"] == told["histories"]
    assert without == with_states


def test_without_a_champion_nothing_is_encoded(context: StepContext) -> None:
    manifest = context.state.get("runs", f"daily/{DAY}")
    context.state.put("runs", f"daily/{DAY}", {"manifest": {**manifest["manifest"], "champion": None}})
    told, _ = scored(context)
    assert "encoded" not in told
    assert told["sources"][PERSONAL] == 0
    assert told["sources"][SESSION] > 30


def test_what_nobody_has_in_their_history_any_more_is_forgotten(context: StepContext) -> None:
    """Of whoever is erased, or has withdrawn, nothing is left behind here."""
    _, _ = scored(context)
    [kept] = context.settings.states_path.iterdir()
    before = len(read_states(kept).digests_S2)
    write_histories(context, NUM_USERS - 20)
    told, _ = scored(context)
    assert told["encoded"] == 0
    assert len(read_states(kept).digests_S2) == told["histories"] < before


def test_of_too_many_people_no_states_are_kept_and_the_lists_are_the_same(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, with_states = scored(context)
    context.lake.drop(names.LISTS)
    shutil.rmtree(context.settings.states_path)
    monkeypatch.setattr("jobs.score._MOST_BYTES", 1000)
    told, without = scored(context)
    assert "encoded" not in told
    assert not context.settings.states_path.exists()
    assert without == with_states


class _Shipped:
    """Tasks as a worker gets them: by their bytes."""

    def __call__(self, _: object, tasks: Sequence[Task]) -> None:
        for task in tasks:
            pickle.loads(pickle.dumps(task)).run()


@pytest.mark.parametrize("champion", ["1", None])
def test_the_tasks_that_spark_hands_out_give_the_bytes_of_processes(
    context: StepContext, monkeypatch: pytest.MonkeyPatch, champion: str | None
) -> None:
    """One after the other in this process; a real Spark is in tests/integration."""
    manifest = context.state.get("runs", f"daily/{DAY}")
    context.state.put("runs", f"daily/{DAY}", {"manifest": {**manifest["manifest"], "champion": champion}})
    told, by_processes = scored(context)
    context.lake.drop(names.LISTS)
    shutil.rmtree(context.settings.states_path, ignore_errors=True)
    monkeypatch.setattr("jobs.ranking.shares.SHARE", 25)
    monkeypatch.setattr("jobs.io.spark.spark_context", lambda settings: nullcontext())
    monkeypatch.setattr("jobs.features.tasks.run_on_spark", _Shipped())
    on_spark = replace(context, settings=context.settings.model_copy(update={"score_with": "spark"}))
    assert scored(on_spark) == (told, by_processes)
    assert not list((context.lake.root / "_staging").iterdir())
