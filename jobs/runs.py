"""What fixes a run: its manifest, written once and read by every later step and by every re-run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from contracts import names
from contracts.errors import PartitionMissing
from contracts.settings import SETTINGS_BEFORE, Settings
from jobs.features.cutoffs import rank_days_of
from jobs.feed_reader import read_description
from jobs.io.commit import digest_of
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, DEMOTIONS, LANDINGS, PROMOTIONS, PUBLICATIONS, RUNS, Lease, State


@dataclass(frozen=True)
class StepContext:
    """What every step gets beside its day: settings, the state, and a lake it may write to under the lease."""

    settings: Settings
    state: State
    lease: Lease
    lake: Lake
    run_id: str
    begun: float = field(default_factory=time.perf_counter)  # for the seconds that the step takes

    @classmethod
    def of(cls, settings: Settings, lease: Lease) -> StepContext:
        return cls(settings, lease.state, lease, Lake.of(settings, lease), lease.run_id)


def run_key(kind: str, day: date) -> str:
    return f"{kind}/{day.isoformat()}"


def is_newest(state: State, day: date) -> bool:
    """Has no later day been landed? Only the newest day moves the live pointer or starts a retraining."""
    landed = [date.fromisoformat(record["landed_day"]) for record in state.all(DELIVERIES).values()]
    published = [date.fromisoformat(record["day"]) for record in state.all(PUBLICATIONS).values()]
    return all(day >= other for other in landed + published)


def why_old(state: State, day: date) -> str | None:
    """That a later day has been landed or published; None when none has."""
    return None if is_newest(state, day) else f"{day} is not the newest day: a backfill moves nothing"


def why_not_live(state: State, day: date) -> str | None:
    """Why the daily run of ``day`` moves nothing that is live and rings no alarm; None when it may.

    After an outage the days run in order while later ones lie in the feed already: only the newest goes live. A
    shop whose next delivery is always there by the time a day is run is not catching up, and is published daily.
    """
    old = why_old(state, day)
    if old is not None:
        return old
    landings = state.all(LANDINGS)
    earlier = max((key for key in landings if key < day.isoformat()), default=None)
    usual = _days_ahead(landings, earlier) if earlier else 0
    ahead = _days_ahead(landings, day.isoformat())
    if ahead in (0, usual):
        return None
    return (
        f"when {day} was landed the feed was {ahead} days ahead (the landing before: {usual}): only the newest day goes "
        f"live. Run the next: foretaste run --day {day + timedelta(days=1)}"
    )


def _days_ahead(landings: dict[str, dict[str, Any]], key: str) -> int:
    """How many days later than the landed day the newest delivery was that lay in the feed by then."""
    later = landings.get(key, {}).get("later_delivery")
    return (date.fromisoformat(later) - date.fromisoformat(key)).days if later else 0


def champion_of(state: State, day: date) -> str | None:
    """The champion that a daily run of ``day`` uses: the last one promoted on an earlier day.

    A promotion on the day itself takes effect on the next day's run (its own run publishes that day's
    lists), so a backfill finds the same champion as the first run did. One that was demoted is none from the day
    after on.
    """
    demoted = {version for version, record in state.all(DEMOTIONS).items() if record["day"] < day.isoformat()}
    promoted = [
        (record["day"], int(version))
        for version, record in state.all(PROMOTIONS).items()
        if record["day"] < day.isoformat() and version not in demoted
    ]
    return str(max(promoted)[1]) if promoted else None


def champion_of_run(state: State, manifest: dict[str, Any]) -> str | None:
    """The champion of a daily run's manifest or, where the run itself has demoted that one, who took over."""
    return standing(state, manifest["champion"], date.fromisoformat(manifest["day"]))


def standing(state: State, champion: str | None, day: date) -> str | None:
    """The champion, or who took over when it was demoted on this very day."""
    demoted = state.get(DEMOTIONS, champion) if champion else None
    return str(demoted["to"]) if demoted and demoted["day"] == day.isoformat() else champion


def promoted_on(state: State, day: date) -> str:
    """The champion that the retraining of this day has promoted: the last, if it was run more than once.

    Raises:
        PartitionMissing: it has promoted none.
    """
    promoted = [
        int(version) for version, record in state.all(PROMOTIONS).items() if record["day"] == day.isoformat()
    ]
    if not promoted:
        raise PartitionMissing(f"no model was promoted on {day}. Retrain: foretaste retrain --day {day}")
    return str(max(promoted))


def fix_manifest(
    context: StepContext, kind: str, day: date, champion: str | None, **chosen: Any
) -> dict[str, Any]:
    """The manifest of a run: deliveries up to its day, the champion of that day, the settings (``chosen`` ones for it).

    Written by the run's first execution; a later one gets what the first one wrote, so a backfill uses
    the champion of its day and not today's.
    """
    recorded = context.state.get(RUNS, run_key(kind, day))
    if recorded is not None:
        return dict(recorded["manifest"])
    manifest = {
        "kind": kind,
        "day": day.isoformat(),
        "deliveries": {
            key: record["sha256"]
            for key, record in context.state.all(DELIVERIES).items()
            if record["known_date"] <= day.isoformat()
        },
        "champion": champion,
        "feed": read_description(context.settings).model_dump(mode="json"),
        "settings": context.settings.run_settings() | chosen,
    }
    context.state.put(RUNS, run_key(kind, day), {"manifest": manifest, "sha256": digest_of(manifest)})
    return manifest


def manifest_of(state: State, kind: str, day: date) -> dict[str, Any]:
    """The manifest that an earlier step of this run has fixed.

    Raises:
        PartitionMissing: no step has begun this run.
    """
    recorded = state.get(RUNS, run_key(kind, day))
    if recorded is None:
        raise PartitionMissing(f"no {kind} run of {day} has begun. Begin it: foretaste run --day {day}")
    return dict(recorded["manifest"])


def settings_in(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recorded run; where there was no such setting yet, the one that does what it did."""
    chosen = {**SETTINGS_BEFORE, **manifest["settings"]}
    return {"rank_days": rank_days_of(chosen["judge_days"]), **chosen}


def settings_of_run(context: StepContext, day: date) -> dict[str, Any]:
    """The settings that the day's run was begun with; those of now when the step is run on its own.

    Where a retraining of the day has begun, its horizon counts: only training looks at the splits.
    """
    daily, retraining = (
        _recorded_settings(context.state, kind, day) for kind in (names.DAILY, names.RETRAIN)
    )
    chosen = daily or retraining or settings_in({"settings": context.settings.run_settings()})
    return chosen | {name: (retraining or chosen)[name] for name in ("judge_days", "rank_days")}


def settings_of_cutoff(context: StepContext, cutoff: date, chosen: dict[str, Any]) -> dict[str, Any]:
    """The settings of a day that a retraining looks back to: its own run's, or the retraining's where it was only loaded."""
    return settings_of_run(context, cutoff) if has_begun(context.state, cutoff) else chosen


def has_begun(state: State, day: date) -> bool:
    """Has a run of the day ever begun, or was the day only loaded?"""
    return any(state.get(RUNS, run_key(kind, day)) is not None for kind in (names.DAILY, names.RETRAIN))


def _recorded_settings(state: State, kind: str, day: date) -> dict[str, Any] | None:
    recorded = state.get(RUNS, run_key(kind, day))
    return None if recorded is None else settings_in(recorded["manifest"])


def lists_table(kind: str) -> str:
    return names.LISTS if kind == names.DAILY else names.LISTS_RETRAINED
