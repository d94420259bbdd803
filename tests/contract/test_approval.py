"""Where a person approves, nothing is promoted without an answer, and the answer stays with what it was given for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import NothingToDo, PartitionMissing
from contracts.settings import load_settings
from jobs import approval, promote
from jobs.io.state import RETRAININGS, State
from jobs.runs import StepContext

pytestmark = pytest.mark.contract

DAY = date(2026, 1, 20)
AT = "2026-01-21T08:00:00+00:00"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path / "home", approval="person", reports_url="http://reports")
    with State.of(settings).lease("test", "retrain", 60, is_last=True) as lease:
        context = StepContext.of(settings, lease)
        retrained(context)
        yield context


def retrained(context: StepContext, *, is_worthy: bool = True, sha256: str = "abc", **other: Any) -> None:
    """A challenger has been judged."""
    record = {
        "day": str(DAY),
        "reason": "drift alarm of 2026-01-20: category moved by 0.31 bits",
        "challenger": "4",
        "sha256": sha256,
        "mlflow_url": "http://mlflow/#/runs/4",
        "judged_from": "2026-01-14",
        "num_users": 1234,
        "metrics": {
            "challenger": {"ndcg_at_10": 0.1432},
            "champion": {"ndcg_at_10": 0.1321},
            "popularity": {"ndcg_at_10": 0.0911},
        },
        "verdict": {
            "is_promoted": is_worthy,
            "reasons": ["champion: ndcg@10 0.1321 → 0.1432: better"],
            "differences": {"champion": {"mean": 0.0111, "low": 0.0042, "high": 0.0187, "lower": 0.005}},
        },
        **other,
    }
    context.state.put(RETRAININGS, str(DAY), record)


def recorded(context: StepContext) -> dict[str, Any]:
    record = context.state.get(RETRAININGS, str(DAY))
    assert record is not None
    return record


def test_nothing_is_promoted_before_a_person_has_answered(context: StepContext) -> None:
    with pytest.raises(NothingToDo, match=r"waits for a person.*foretaste approve --day 2026-01-20"):
        promote.run(DAY, context)
    assert recorded(context)["approval"]["answer"] == "waiting"
    assert recorded(context)["is_promoted"] is False


def test_a_person_who_declines_is_named_with_the_note(context: StepContext) -> None:
    approval.answer(context.state, DAY, approval.DECLINED, by="Ada", at=AT, note="a campaign is on")
    with pytest.raises(NothingToDo, match=r"a person has declined: Ada at .*: a campaign is on"):
        promote.run(DAY, context)
    assert recorded(context)["approval"] == {
        "answer": "declined", "by": "Ada", "at": AT, "note": "a campaign is on",
    }  # fmt: skip


def test_time_that_runs_out_is_an_answer_that_a_person_may_better(context: StepContext) -> None:
    approval.answer(context.state, DAY, approval.UNANSWERED, by="nobody", at=AT)
    with pytest.raises(NothingToDo, match="nobody has answered"):
        promote.run(DAY, context)
    approval.answer(context.state, DAY, approval.APPROVED, by="Ada", at=AT)
    assert approval.approval_of(recorded(context), context) == {
        "answer": "approved", "by": "Ada", "at": AT, "note": "",
    }  # fmt: skip


def test_the_first_person_is_the_one_who_counts(context: StepContext) -> None:
    approval.answer(context.state, DAY, approval.DECLINED, by="Ada", at=AT)
    with pytest.raises(NothingToDo, match="declined: Ada.*the first answer counts"):
        approval.answer(context.state, DAY, approval.APPROVED, by="Bob", at=AT)
    again = approval.answer(context.state, DAY, approval.DECLINED, by="Ada", at="2026-01-22T08:00:00+00:00")
    assert again["at"] == AT


def test_an_answer_is_for_one_model_and_no_other(context: StepContext) -> None:
    approval.answer(context.state, DAY, approval.APPROVED, by="Ada", at=AT)
    retrained(context, sha256="abc")
    assert approval.answer_of(context.state, recorded(context)) is not None
    retrained(context, sha256="another")
    assert approval.answer_of(context.state, recorded(context)) is None


def test_a_retraining_that_began_under_a_person_stays_under_one(context: StepContext) -> None:
    retrained(context, approved_by="person")
    alone = dataclasses.replace(context, settings=load_settings(home=context.settings.home))
    with pytest.raises(NothingToDo, match="waits for a person"):
        promote.run(DAY, alone)


def test_where_nobody_is_asked_nobody_is_waited_for(context: StepContext) -> None:
    alone = dataclasses.replace(context, settings=load_settings(home=context.settings.home))
    assert approval.approval_of(recorded(context), alone) is None


def test_nobody_is_asked_about_a_challenger_that_its_judgement_has_refused(context: StepContext) -> None:
    retrained(context, is_worthy=False)
    assert approval.request(DAY, context)["asks"] is False
    with pytest.raises(NothingToDo, match="refused by its judgement, which nobody overrules"):
        approval.answer(context.state, DAY, approval.APPROVED, by="Ada", at=AT)
    with pytest.raises(NothingToDo, match="challenger 4 is refused"):
        promote.run(DAY, context)


def test_the_question_carries_its_evidence(context: StepContext) -> None:
    question = approval.request(DAY, context)
    assert question["asks"] is True
    assert question["subject"] == "May challenger 4 of 2026-01-20 become the champion?"
    for told in (
        "drift alarm of 2026-01-20: category moved by 0.31 bits",
        "| Challenger | 0.1432 | – |",
        "| Champion | 0.1321 | +0.0111 [+0.0042, +0.0187] |",
        "| Recent popularity | 0.0911 |",
        "1,234 users, 2026-01-14 to 2026-01-20",
        "(http://reports/retrainings/2026-01-20.html)",
        "(http://reports/days/2026-01-20.html)",
        "(http://mlflow/#/runs/4)",
        "(http://reports/runbook/approval-waiting.html)",
    ):
        assert told in question["body"], told


def test_the_page_of_the_evidence_is_there_when_the_question_is_and_says_that_it_waits(
    context: StepContext,
) -> None:
    retrained(context, is_promoted=False)  # of an earlier, refused attempt
    approval.request(DAY, context)
    page = (context.settings.reports_path / "retrainings" / f"{DAY}.html").read_text()
    assert "waits for a person" in page
    assert "was refused" not in page
    approval.answer(context.state, DAY, approval.APPROVED, by="Ada", at=AT)
    assert approval.request(DAY, context) == {"asks": False, "why": f"approved by Ada at {AT}"}


def test_a_day_without_a_challenger_is_named(context: StepContext) -> None:
    with pytest.raises(PartitionMissing, match="foretaste retrain --day 2026-01-21"):
        approval.answer(context.state, date(2026, 1, 21), approval.APPROVED, by="Ada", at=AT)
