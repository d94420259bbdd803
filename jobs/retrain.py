"""Begin and end a retraining: is one due, what fixes it, and its page."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from contracts import names
from contracts.errors import NothingToDo
from jobs.features.cutoffs import cutoffs_of, rank_days_of
from jobs.horizon import judge_horizon, people_by_horizon
from jobs.io.state import LANDINGS, PROMOTIONS, RETRAININGS, VERDICTS
from jobs.monitoring.thresholds import load_thresholds
from jobs.runs import StepContext, champion_of, fix_manifest, is_newest, settings_in, standing
from jobs.transform import build_without_withdrawn, catch_up

#: Who asks for a retraining. A person is never held back by the cool-down, and may repeat a day; a storm of alarms may not.
TRIGGERS = (ALARM, SCHEDULE, PERSON) = ("alarm", "schedule", "person")


def prepare(
    day: date, context: StepContext, *, reason: str = "by hand", trigger: str = PERSON
) -> dict[str, Any]:
    """Fix the manifest of a retraining, unless one is too near or the day is not the newest.

    Where a backfill has left facts that know of no later withdrawal, they are built by what is known now first; so are the
    features of the earlier days that the training reads, where these count who has withdrawn since.

    Raises:
        NothingToDo: a retraining within the cool-down has been done, a later day has been landed since, or an alarm comes so
            early after a drift that nobody could judge the challenger.
    """
    key = day.isoformat()
    recorded, days_since = context.state.get(RETRAININGS, key), _days_since_the_drift(day, context)
    if trigger != PERSON and recorded is not None and recorded.get("run_id") != context.run_id:
        raise NothingToDo(
            f"the retraining of {day} has been begun already, for this reason: {recorded['reason']}"
        )
    if recorded is None:
        if context.state.get(LANDINGS, key) is None:
            raise NothingToDo(f"{day} has not been landed: run it first, foretaste run --day {day}")
        if trigger != PERSON:
            _refuse_in_cooldown(day, context)
        if trigger == ALARM:
            _refuse_too_early(day, days_since, context)
        if not is_newest(context.state, day):
            latest = max(context.state.all(LANDINGS))
            raise NothingToDo(
                f"{day} is not the newest day ({latest} has landed): a backfill starts no retraining"
            )
        begun = {"reason": reason, "trigger": trigger, "run_id": context.run_id}
        context.state.put(RETRAININGS, key, {"day": key, **begun, "approved_by": context.settings.approval})
    catch_up(context)
    champion = standing(context.state, champion_of(context.state, day), day)
    judge_days = _judge_days(day, champion, days_since, context)
    manifest = fix_manifest(
        context,
        names.RETRAIN,
        day,
        champion,
        judge_days=judge_days,
        rank_days=_rank_days(days_since - judge_days, context),
    )
    without = build_without_withdrawn(cutoffs_of(day, settings_in(manifest)), context)
    return {
        "reason": (recorded or {"reason": reason})["reason"],
        "champion": manifest["champion"],
        "judge_days": manifest["settings"]["judge_days"],
        **({"built_without_withdrawn": [str(each) for each in without]} if without else {}),
    }


#: Longer than anything is looked back on: nothing has drifted of late.
_LONG_AGO = 10_000
#: From so many days after a drift on a challenger knows two of them and is judged on two.
_DAYS_TO_JUDGE = 4


def _days_since_the_drift(day: date, context: StepContext) -> int:
    """How many days of the world after the last drift there are, as the day's verdict says.

    A challenger that knows none of them says nothing about the one that would be promoted: half of them judge at most.
    """
    verdict = context.state.get(VERDICTS, day.isoformat()) or {}
    since = (verdict.get("settling") or {}).get("drift_since")
    return (day - date.fromisoformat(since)).days + 1 if since else _LONG_AGO


def _judge_days(day: date, champion: str | None, days_since: int, context: StepContext) -> int:
    """On how many days the challenger is judged: on none that the champion was trained on."""
    settings, most = context.settings, min(context.settings.judge_days, max(1, days_since // 2))
    promotion = context.state.get(PROMOTIONS, champion) if champion else None
    if promotion is not None:
        most = max(1, min(most, (day - date.fromisoformat(promotion["day"])).days))
    return judge_horizon(context.lake, day, most=most, enough=settings.judge_users, threads=settings.threads)


def _rank_days(days_since: int, context: StepContext) -> int:
    """On how many days a ranker learns, of those since a drift on which nobody is judged.

    One that learns on most of them, over a transformer that knows few, learns not to trust it: a third is enough. Where
    only one is left it learns on days before the drift as well, where its transformer is good.
    """
    most = rank_days_of(context.settings.judge_days)
    return most if days_since < 2 else min(most, max(1, days_since // 3))


def _refuse_too_early(day: date, days_since: int, context: StepContext) -> None:
    """On the first days after a drift one day judges, and it has to hold enough people; then there are two."""
    if days_since >= _DAYS_TO_JUDGE:
        return
    enough, threads = context.settings.judge_users, context.settings.threads
    people = people_by_horizon(context.lake, day, most=1, threads=threads).get(1, 0)
    if people < enough:
        raise NothingToDo(
            f"tastes drifted {days_since} days ago, and of the {people} people who acted on {day} a challenger cannot be judged "
            f"(FORETASTE_JUDGE_USERS is {enough}): the alarm rings again, and from the {_DAYS_TO_JUDGE}th day on two days judge. "
            f"A person need not wait: foretaste retrain --day {day}"
        )


def _refuse_in_cooldown(day: date, context: StepContext) -> None:
    cooldown = timedelta(days=load_thresholds().alarm.cooldown_days)
    for other in context.state.all(RETRAININGS):
        if timedelta(0) <= day - date.fromisoformat(other) < cooldown:
            raise NothingToDo(
                f"the retraining of {other} is less than {cooldown.days} days old (cooldown_days in expectations/drift.toml): "
                f"{day} starts none. A person may: foretaste retrain --day {day}"
            )


def report(day: date, context: StepContext) -> dict[str, Any]:
    """Write the pages again, with this retraining's reasons on them."""
    from jobs.site import finish_run

    told = finish_run(context, "report", day)
    page = f"{context.settings.reports_url}/retrainings/{day}.html" if context.settings.reports_url else ""
    return {**told, "page_url": page}
