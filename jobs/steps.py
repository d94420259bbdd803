"""The steps of a run, by name: what ``foretaste step NAME`` and every Airflow task call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from typing import Any

from contracts import names
from jobs.runs import StepContext

Result = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One step: the function that does it, and what a person on call should know about it."""

    name: str
    function: str  # module:function; imported when the step runs, because imports are most of a step's time
    purpose: str
    arguments: tuple[tuple[str, Any], ...] = ()
    is_always: bool = False  # run also where an earlier step has found nothing to do

    def load(self) -> Callable[..., Result]:
        module, function = self.function.split(":")
        return getattr(import_module(module), function)  # type: ignore[no-any-return]

    def run(self, day: date, context: StepContext, **options: Any) -> Result:
        return self.load()(day, context, **dict(self.arguments), **options)


DAILY_STEPS = (
    Step(
        "land",
        "jobs.land:run",
        "Ship what the API has taken; land what was received and not yet landed; quarantine what is malformed.",
    ),
    Step("validate-landed", "jobs.validate:run_landed", "Gate on what has landed."),
    Step("transform", "jobs.transform:run", "dbt: staging, marts and features; exported to the lake."),
    Step("build", "jobs.features.build:run", "Spark: ordered histories, co-visitation, co-purchase."),
    Step("validate-features", "jobs.validate:run_features", "Gate on features."),
    Step("score", "jobs.score:run", "The champion's ranked lists for every user.", (("kind", names.DAILY),)),
    Step("validate-scores", "jobs.validate:run_scores", "Gate on the lists.", (("kind", names.DAILY),)),
    Step(
        "publish",
        "jobs.publish:run",
        "Publish the lists to Redis and S3 as a new version.",
        (("kind", names.DAILY),),
    ),
    Step("monitor", "jobs.monitor:run", "Drift of features, predictions and outcomes; the day's report."),
)

RETRAIN_STEPS = (
    Step("prepare-retraining", "jobs.retrain:prepare", "Is a retraining due, and why? Fix its manifest."),
    Step(
        "build-training-set",
        "jobs.features.build:run",
        "Spark: the training set, and what a day's run builds where it has not.",
        (("kind", names.RETRAIN),),
    ),
    Step("validate-training", "jobs.validate:run_training", "Gate on the training set."),
    Step("train", "jobs.train:run", "Fit a challenger, judge it on the last days, refit it, register it."),
    Step("promote", "jobs.promote:run", "Promote the challenger or refuse it, with reasons."),
    Step("score-challenger", "jobs.score:run", "The new champion's lists.", (("kind", names.RETRAIN),)),
    Step(
        "validate-challenger-scores",
        "jobs.validate:run_scores",
        "Gate on its lists.",
        (("kind", names.RETRAIN),),
    ),
    Step("publish-challenger", "jobs.publish:run", "Publish its lists.", (("kind", names.RETRAIN),)),
    Step("report", "jobs.retrain:report", "Write the retraining's page, also of a refusal.", is_always=True),
)

#: What Airflow runs between train and promote where a person approves; `foretaste approve` is its like without Airflow.
REQUEST_APPROVAL = Step(
    "request-approval",
    "jobs.approval:request",
    "The question to a person about the challenger, with the evidence.",
)

#: Bulk history: the part of a day that later days build on.
LOAD_STEPS = tuple(step for step in DAILY_STEPS if step.name in ("land", "validate-landed", "transform"))

STEPS: dict[str, Step] = {step.name: step for step in (*DAILY_STEPS, *RETRAIN_STEPS, REQUEST_APPROVAL)}

_OF_RETRAINING = frozenset(step.name for step in RETRAIN_STEPS)


def kind_of(step: str) -> str:
    """The kind of run that a step belongs to."""
    return names.RETRAIN if step in _OF_RETRAINING else names.DAILY


#: A run is over, and gives its lease back, after one of these.
LAST_STEPS = (DAILY_STEPS[-1].name, RETRAIN_STEPS[-1].name)
