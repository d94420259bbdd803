"""Search for better settings of the transformer, on validation days alone, and say what they would be worth.

A search is of one day's training set: it trains up to D - h - g and is judged by what people wanted until D - h, as training
chooses its epochs (``jobs/features/cutoffs.py``). The last h days, which judge challengers, are not read. It writes nothing but
its own memory in ``HOME/tune``, so it holds nobody's lease, and the loop goes on beside it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

import torch

from contracts import names
from contracts.errors import GateRefused, PartitionMissing, ServiceUnreachable
from contracts.settings import Settings
from jobs.features.cutoffs import Cutoffs, cutoffs_of
from jobs.io.commit import digest_of
from jobs.io.lake import Lake
from jobs.io.registry import open_registry
from jobs.io.state import RUNS, State
from jobs.io.study import Study, Trial, open_study
from jobs.ranking.world import World, load_world
from jobs.report_pages.tables import csv_text
from jobs.runs import run_key, settings_in
from jobs.settings_file import write_settings
from jobs.training.search import Budget, Comparison, Train, Watch, compare, search
from jobs.training.search_space import including, load_space
from jobs.training.sequences import Sequences, read_sequences
from jobs.training.trainer import Trainer


@dataclass(frozen=True)
class Search:
    """What a search has found."""

    day: date
    validated: tuple[date, date]  # first and last of the days that it was judged by
    names: tuple[str, ...]  # the settings that were searched
    trials: list[Trial]
    found: Comparison
    minutes: float  # that all trials have taken
    mlflow_url: str  # the run's page, or why there is none

    def lines(self) -> dict[str, str]:
        """The best settings as ``settings.env`` has them."""
        return {f"FORETASTE_{name.upper()}": _written(self.found.best.settings[name]) for name in self.names}


def tune(
    settings: Settings,
    day: date,
    *,
    trials: int,
    minutes: float,
    listener: Callable[[Trial], None] = lambda trial: None,
    clock: Callable[[], float] = time.monotonic,
) -> Search:
    """Search within a budget; the same data and space go on where an earlier call has ended.

    Args:
        trials, minutes: of the search in all, earlier calls included; whichever ends first.

    Raises:
        PartitionMissing: no retraining of the day has built a training set.
        GateRefused: nobody can be judged by, or no trial came to an end within the budget.
    """
    chosen, repeats_allowed = _chosen(settings, day)
    ends, lake = cutoffs_of(day, chosen), Lake.of(settings)
    sequences = read_sequences(lake, day, until=ends.end_of_rank)
    world = load_world(lake, ends.end_of_fit)
    trainer = Trainer(chosen, repeats_allowed)
    trainer.refuse_unless_wanted(
        world, sequences.between(ends.end_of_fit, ends.end_of_rank), until=ends.end_of_rank
    )
    space = including(load_space(), chosen)
    key = digest_of(
        [_data(lake, ends, sequences), {name: repr(values) for name, values in space.items()}, chosen]
    )[:16]
    torch.set_num_threads(chosen["threads"])
    train = _train(world, sequences, ends, repeats_allowed)
    with open_study(settings, key, chosen["seed"]) as study:
        tried = search(
            study, space, chosen, train, Budget(trials, 60 * minutes), clock=clock, listener=listener
        )
        found = compare(tried, chosen, chosen["seed"])
        if found is None:
            why = next((trial.note for trial in tried), "")
            raise GateRefused(
                f"the settings in force came to no figure within {trials} trials and {minutes:g} minutes"
                f"{f' ({why})' if why else ''}: give the search more minutes, it goes on where it was"
            )
        taken = study.seconds() / 60
        first = ends.end_of_fit + timedelta(days=1)
        result = Search(day, (first, ends.end_of_rank), tuple(space), tried, found, taken, "")
        return replace(result, mlflow_url=_logged(settings, study, key, result))


def _chosen(settings: Settings, day: date) -> tuple[dict[str, Any], bool]:
    """The settings in force, with the cut-offs of the day's retraining; whether lists may repeat what people have."""
    recorded = State.of(settings).get(RUNS, run_key(names.RETRAIN, day))
    if recorded is None:
        raise PartitionMissing(
            f"no retraining of {day} has built a training set to search in. Build one: foretaste retrain --day {day}"
        )
    manifest = recorded["manifest"]
    cuts = {name: settings_in(manifest)[name] for name in ("judge_days", "rank_days")}
    return settings.run_settings() | cuts, bool(manifest["feed"]["repeats_allowed"])


def _train(world: World, sequences: Sequences, ends: Cutoffs, repeats_allowed: bool) -> Train:
    outcomes = sequences.between(ends.end_of_fit, ends.end_of_rank)

    def train(chosen: dict[str, Any], watch: Watch) -> tuple[float, list[float]]:
        _, curve = Trainer(chosen, repeats_allowed).fit_transformer(
            world, sequences, validate_on=outcomes, watch=watch
        )
        return max(curve.ndcg), [] if curve.gap is None else curve.gap.validation_U.tolist()

    return train


def _data(lake: Lake, ends: Cutoffs, sequences: Sequences) -> str:
    """What a search reads, as one digest."""
    digest = hashlib.sha256()
    for part in (sequences.user_ids, sequences.items_S):
        digest.update("\n".join(part.tolist()).encode())
    for numbers in (sequences.users_S, sequences.days_S):
        digest.update(numbers.tobytes())
    tables = (*names.BY_FEATURE_DAY, *names.LOOKING_BACK)
    manifests = [lake.manifest(table, ends.end_of_fit) for table in tables]
    return digest_of([digest.hexdigest(), *(manifest.digest for manifest in manifests if manifest)])


def _logged(settings: Settings, study: Study, key: str, result: Search) -> str:
    """The search's page in MLflow, written once for as many trials; why there is none where MLflow does not answer."""
    kept = study.kept("mlflow") or {}
    if kept.get("trials") == len(result.trials):
        return str(kept["url"])
    best = result.found.best
    metrics = {
        "validation.ndcg_at_10": best.ndcg_at_10 or 0.0,
        "present.ndcg_at_10": result.found.present.ndcg_at_10 or 0.0,
        "search.trials": len(result.trials),
        "search.minutes": result.minutes,
    }
    try:
        with open_registry(settings, names.TUNE_TASK) as registry:
            url = registry.log_search(
                f"{names.TUNE_TASK}-{result.day}",
                params={"day": result.day, "search": key, **best.settings},
                metrics=metrics,
                table=trials_csv(result),
            )
    except ServiceUnreachable as unreachable:
        return f"not in MLflow: {unreachable}"
    study.keep("mlflow", {"trials": len(result.trials), "url": url})
    return url


def trials_csv(result: Search) -> str:
    """All trials of a search, a row each."""
    columns = ("trial", *result.names, "ndcg_at_10", "epochs", "seconds", "note")
    rows = [
        (
            trial.number,
            *(trial.settings[name] for name in result.names),
            "" if trial.ndcg_at_10 is None else trial.ndcg_at_10,
            trial.epochs,
            round(trial.seconds, 1),
            trial.note,
        )
        for trial in result.trials
    ]
    return csv_text(columns, rows)


def told(trial: Trial) -> str:
    """One trial in a line."""
    figure = trial.note if trial.ndcg_at_10 is None else f"ndcg@10 {trial.ndcg_at_10:.4f}"
    values = "  ".join(
        f"{name.removeprefix('sasrec_')}={_written(value)}" for name, value in trial.settings.items()
    )
    return f"trial {trial.number:<3} {figure:<28} {trial.epochs:>3} epochs {trial.seconds:6.1f} s  {values}"


def render(result: Search) -> str:
    """What was found, for a person who has never seen a search."""
    best, present, difference = result.found.best, result.found.present, result.found.difference
    first, last = result.validated
    pruned = sum(trial.ndcg_at_10 is None for trial in result.trials)
    lines = [
        f"Search as of {result.day}: {len(result.trials)} trials ({pruned} ended early) in {result.minutes:.1f} minutes, judged by",
        f"what {len(present.ndcg_U)} people wanted from {first} to {last}. The days that judge a challenger were not read.",
        "",
    ]
    ordered = sorted(result.trials, key=lambda trial: (-(trial.ndcg_at_10 or 0.0), trial.number))
    marks = {present.number: "  <- in force"} | {best.number: "  <- best"}
    if best.number == present.number:
        marks[best.number] = "  <- in force, and the best"
    lines += [told(trial) + marks.get(trial.number, "") for trial in ordered]
    lines.append("")
    if difference is None:
        lines.append("Nothing that was tried is better than the settings in force.")
        return "\n".join([*lines, result.mlflow_url])
    lines += [
        f"Best less in force, the same people: {difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] NDCG@10, "
        + ("surely better." if result.found.is_surely_better else "which may be chance."),
        f"The best of {len(result.trials)} has been lucky as well: expect less of it. A retraining judges it on other days.",
        "",
        "As settings (HOME/settings.env):",
        *(f"{name}={value}" for name, value in result.lines().items()),
        "",
        result.mlflow_url,
    ]
    return "\n".join(lines)


def as_record(result: Search) -> dict[str, Any]:
    """The same for programs."""
    difference = result.found.difference
    return {
        "day": result.day,
        "validated": list(result.validated),
        "trials": [
            {name: value for name, value in asdict(trial).items() if name != "ndcg_U"}
            for trial in result.trials
        ],
        "best": result.found.best.number,
        "present": result.found.present.number,
        "difference": difference and asdict(difference),
        "is_surely_better": result.found.is_surely_better,
        "settings": result.lines(),
        "minutes": result.minutes,
        "mlflow_url": result.mlflow_url,
    }


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def apply(settings: Settings, result: Search) -> str:
    """Write the best settings into ``HOME/settings.env``, where they are surely better; says what was done."""
    if not result.found.is_surely_better:
        return "Not applied: the best is not surely better than the settings in force, which stay."
    path = write_settings(settings, result.lines())
    return f"Applied: {path} has them. The next retraining trains with them, and judges what comes of it."
