"""Ask a person whether a challenger may become the champion, remember the answer, and hold promotion to it.

An answer belongs to the bytes that it was given for: a retraining that is run again and makes the same model keeps
it, another model is asked about anew. The first person's answer counts.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from contracts import alarms
from contracts.errors import NothingToDo, PartitionMissing
from contracts.settings import Settings
from jobs.io.state import APPROVALS, RETRAININGS, State
from jobs.runs import StepContext

PERSON = "person"

APPROVED, DECLINED, UNANSWERED, WAITING = "approved", "declined", "unanswered", "waiting"
WAITING_FOR_ANSWER = {"answer": WAITING, "by": "", "at": "", "note": ""}
_MODELS = {"challenger": "Challenger", "champion": "Champion", "popularity": "Recent popularity"}


def request(day: date, context: StepContext) -> dict[str, Any]:
    """What to ask a person about the day's challenger, with the evidence; asks nobody about a refused one."""
    record = judged(context.state, day)
    if not record["verdict"]["is_promoted"]:
        return {"asks": False, "why": "the challenger was refused by its judgement: nobody is asked"}
    answer = answer_of(context.state, record)
    if answer is not None:
        return {"asks": False, "why": told(answer)}
    from jobs.reports import build_reports

    # The page that the question links to has to be there before the question is.
    record["approval"] = approval_of(record, context) or WAITING_FOR_ANSWER
    context.state.put(RETRAININGS, day.isoformat(), record)
    build_reports(context.settings, now=datetime.combine(day, datetime.min.time(), UTC))
    address = context.settings.reports_url
    return {
        "asks": True,
        "why": f"challenger {record['challenger']} has passed its judgement and waits for a person",
        "subject": f"May challenger {record['challenger']} of {day} become the champion?",
        "body": evidence(record, context.settings),
        "mlflow_url": record["mlflow_url"],
        "page_url": f"{address}/retrainings/{day}.html" if address else "",
    }


def judged(state: State, day: date) -> dict[str, Any]:
    """The record of a retraining whose challenger has been judged.

    Raises:
        PartitionMissing: there is none.
    """
    record = state.get(RETRAININGS, day.isoformat())
    if record is None or "challenger" not in record:
        raise PartitionMissing(
            f"no challenger was trained on {day}. Train one: foretaste retrain --day {day}"
        )
    return record


def evidence(record: dict[str, Any], settings: Settings) -> str:
    """What a person needs to decide, as Markdown: the reason, the figures with their intervals, and links."""
    day, metrics = record["day"], record.get("metrics") or {}
    differences = record["verdict"].get("differences") or {}
    rows = [
        f"| {label} | {metrics[name]['ndcg_at_10']:.4f} | {_interval(differences.get(name))} |"
        for name, label in _MODELS.items()
        if name in metrics
    ]
    links = {
        "The retraining's page": settings.reports_url and f"{settings.reports_url}/retrainings/{day}.html",
        "The run in MLflow": record["mlflow_url"],
        "The day's drift report": settings.reports_url and f"{settings.reports_url}/days/{day}.html",
        "Runbook": settings.reports_url
        and f"{settings.reports_url}/{alarms.runbook_page(alarms.APPROVAL_WAITING)}",
    }
    return "\n".join(
        [
            f"**Day** {day}. **Why it was trained:** {record['reason']}.",
            "",
            f"Judged on {record['num_users']:,} users, {record['judged_from']} to {day}, days that none of the models was trained on:",
            "",
            "| model | NDCG@10 | challenger minus it, 95 % interval |",
            "|---|---|---|",
            *rows,
            "",
            *(f"* {reason}" for reason in record["verdict"]["reasons"]),
            "",
            " · ".join(f"[{label}]({link})" for label, link in links.items() if link),
            "",
            "What is served goes on being served until the answer, and stays so without one.",
        ]
    )


def _interval(found: dict[str, float] | None) -> str:
    return "–" if found is None else f"{found['mean']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def answer(state: State, day: date, said: str, *, by: str, at: str, note: str = "") -> dict[str, Any]:
    """Record what a person said to the day's challenger; the time running out is an answer that a person may better.

    Raises:
        NothingToDo: the challenger was refused by its judgement, or a person has answered before.
        PartitionMissing: there is no challenger of that day.
    """
    record = judged(state, day)
    if not record["verdict"]["is_promoted"]:
        reasons = "; ".join(record["verdict"]["reasons"])
        raise NothingToDo(
            f"challenger {record['challenger']} was refused by its judgement, which nobody overrules: {reasons}"
        )
    given = {"answer": said, "by": by, "at": at, "note": note, "sha256": record["sha256"]}

    def first(held: dict[str, Any] | None) -> dict[str, Any]:
        is_settled = held is not None and held["sha256"] == record["sha256"] and held["answer"] != UNANSWERED
        return held if held is not None and is_settled else given

    kept = state.change(APPROVALS, day.isoformat(), first)
    assert kept is not None
    if kept != given and (kept["answer"], kept["by"]) != (said, by):
        raise NothingToDo(f"{told(kept)}; the first answer counts. Train again to be asked again")
    return kept


def answer_of(state: State, record: dict[str, Any]) -> dict[str, Any] | None:
    """The answer that was given to this very challenger; None while there is none."""
    held = state.get(APPROVALS, record["day"])
    return held if held is not None and held["sha256"] == record["sha256"] else None


def approval_of(record: dict[str, Any], context: StepContext) -> dict[str, Any] | None:
    """What stands in the retraining's record: the answer, or that one is waited for; None where nobody is asked.

    A retraining that began under a person's approval stays under it, and so does one that is promoted while the
    setting asks for it.
    """
    found = answer_of(context.state, record)
    if found is not None:
        return {name: found[name] for name in ("answer", "by", "at", "note")}
    is_asked = PERSON in (context.settings.approval, record.get("approved_by"))
    return WAITING_FOR_ANSWER if is_asked else None


def told(answer: dict[str, Any]) -> str:
    """An answer in words."""
    note = f": {answer['note']}" if answer["note"] else ""
    return {
        APPROVED: f"approved by {answer['by']} at {answer['at']}{note}",
        DECLINED: f"a person has declined: {answer['by']} at {answer['at']}{note}",
        UNANSWERED: f"nobody has answered by {answer['at']} (FORETASTE_APPROVAL_HOURS)",
        WAITING: "it waits for a person's approval",
    }[answer["answer"]]
