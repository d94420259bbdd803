"""The state of the loop in one answer, also when servers are down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from contracts.errors import ForetasteError
from contracts.lists import Pointer
from contracts.settings import Settings
from jobs.approval import WAITING
from jobs.blocking import blocked_items
from jobs.io.state import DEMOTIONS, LANDINGS, PROMOTIONS, RETRAININGS, ROLLBACKS, VERDICTS, State
from jobs.report_pages.views import accounts_of

_DAYS_SHOWN = 7
#: A daily publication is due after 24 hours; a day whose delivery is waited for half a day is not yet late.
_STALE_HOURS = 36


def status(settings: Settings, now: datetime) -> dict[str, Any]:
    """Day, champion, what is published, drift, and who is at work; what cannot be read is null and named."""
    answer: dict[str, Any] = dict.fromkeys(("day", "champion", "published", "drift", "holder", "stale"))
    answer |= {
        "blocked": [],
        "demotions": {},
        "landings": {},
        "verdicts": {},
        "retrainings": [],
        "problems": [],
    }
    rollbacks: dict[str, dict[str, Any]] = {}
    with _told(answer["problems"]):
        state = State.of(settings)
        rollbacks = state.all(ROLLBACKS)
        answer |= _remembered(state)
    live: Pointer | None = None
    with _told(answer["problems"]):
        live, answer["published"] = _published(settings, rollbacks, now)
    with _told(answer["problems"]):
        _compare_s3(settings, live, answer["problems"])
    answer["stale"] = why_stale(answer, is_scheduled=bool(settings.schedule_start))
    return answer


def why_stale(answer: dict[str, Any], *, is_scheduled: bool) -> str | None:
    """Why what is served is older than it ought to be; None when it is not."""
    published, day = answer["published"], answer["day"]
    if published is None or day is None:
        return None
    if published["day"] < day:
        return f"{published['version']} serves the lists of {published['day']}, and {day} has been landed"
    if is_scheduled and published["age_seconds"] > _STALE_HOURS * 3600:
        return f"{published['version']} was published {_age(published['age_seconds'])} ago, and a day is due every day"
    return None


def _remembered(state: State) -> dict[str, Any]:
    landings, promotions, verdicts = state.all(LANDINGS), state.all(PROMOTIONS), state.all(VERDICTS)
    demotions = state.all(DEMOTIONS)
    champion = max(
        promotions.keys() - demotions.keys(),
        key=lambda version: (promotions[version]["day"], int(version)),
        default=None,
    )
    return {
        "blocked": blocked_items(state),
        "day": max(landings, default=None),
        "champion": None if champion is None else {"version": champion, **promotions[champion]},
        "demotions": demotions,
        "drift": _verdict(max(verdicts), verdicts[max(verdicts)]) if verdicts else None,
        "verdicts": {day: _verdict(day, verdicts[day]) for day in sorted(verdicts)[-_DAYS_SHOWN:]},
        "holder": state.holder(),
        "landings": {
            day: accounts_of(landings[day]).get("events", {}) for day in sorted(landings)[-_DAYS_SHOWN:]
        },
        "retrainings": list(state.all(RETRAININGS).values()),
    }


def _verdict(day: str, verdict: dict[str, Any]) -> dict[str, Any]:
    return {
        "day": day,
        "verdict": verdict["verdict"],
        "reasons": verdict["reasons"],
        "rings": verdict["rings"],
    }


def _published(
    settings: Settings, rollbacks: dict[str, dict[str, Any]], now: datetime
) -> tuple[Pointer | None, dict[str, Any] | None]:
    from jobs.io.online import open_online_store

    with open_online_store(settings, timeout=2) as store:
        pointer, versions = store.pointer(), store.versions()
    if pointer is None:
        return None, None
    rolled_back = rollbacks.get(f"{pointer.fence:010d}")
    return pointer, {
        "version": pointer.version,
        "day": pointer.day,
        "kind": pointer.kind,
        "champion": pointer.champion,
        "num_users": pointer.num_users,
        "sha256": pointer.sha256,
        "published_at": pointer.published_at,
        "age_seconds": round((now - datetime.fromisoformat(pointer.published_at)).total_seconds()),
        "rolled_back_from": rolled_back["from"] if rolled_back else None,
        "kept": {version: kept.day for version, kept in versions.items()},
    }


def _compare_s3(settings: Settings, live: Pointer | None, problems: list[str]) -> None:
    from jobs.io.objects import open_objects

    with open_objects(settings, timeout=2, attempts=1) as objects:
        pointer = objects.pointer()
    if live is not None and pointer != live:
        shown = "nothing" if pointer is None else f"{pointer.version} of {pointer.day}"
        problems.append(
            f"S3 points at {shown}, Redis at {live.version} of {live.day}: the next publication mends it"
        )


@contextmanager
def _told(problems: list[str]) -> Iterator[None]:
    """One server that does not answer keeps nobody from hearing about the others."""
    try:
        yield
    except ForetasteError as error:
        problems.append(str(error))


def render(answer: dict[str, Any]) -> str:
    """The answer as a person reads it."""
    rows = [
        ("day", answer["day"] or "no day has been landed yet"),
        ("champion", _champion(answer["champion"])),
        *(("demoted", record["reason"]) for record in answer["demotions"].values()),
        ("published", _live(answer["published"])),
        ("drift", _drift(answer["drift"])),
        *((("blocked", _blocked(answer["blocked"])),) if answer["blocked"] else ()),
        ("at work", answer["holder"] or "nobody"),
        *(("waiting", _waiting(record)) for record in answer["retrainings"] if is_waiting(record)),
        *((("stale", answer["stale"]),) if answer["stale"] else ()),
        *(("problem", problem) for problem in answer["problems"]),
    ]
    return "\n".join(f"{name:<10} {told}" for name, told in rows)


def is_waiting(record: dict[str, Any]) -> bool:
    """Does a retraining wait for a person's answer?"""
    return (record.get("approval") or {}).get("answer") == WAITING


def _waiting(record: dict[str, Any]) -> str:
    day = record["day"]
    return f"challenger {record['challenger']} of {day}, for a person: in Airflow, or foretaste approve --day {day} --by NAME"


def _champion(champion: dict[str, Any] | None) -> str:
    if champion is None:
        return "none: lists come from the ladder below it (docs/architecture.md)"
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in sorted(champion.get("metrics", {}).items()))
    return f"version {champion['version']}, promoted on {champion['day']}" + (
        f" ({metrics})" if metrics else ""
    )


def _live(published: dict[str, Any] | None) -> str:
    if published is None:
        return "nothing, or it cannot be read"
    told = (
        f"{published['version']} of {published['day']} ({published['kind']}) for {published['num_users']:,} users, "
        f"{_age(published['age_seconds'])} ago, sha256 {published['sha256'][:12]}"
    )
    if published["rolled_back_from"]:
        told += f"; rolled back from {published['rolled_back_from']}"
    others = [
        f"{version} of {day}" for version, day in published["kept"].items() if version != published["version"]
    ]
    return told + (f"; also kept: {', '.join(others)}" if others else "")


def _blocked(items: list[dict[str, Any]]) -> str:
    return f"{len(items):,} items, which nobody is shown: foretaste blocked"


def _drift(drift: dict[str, Any] | None) -> str:
    if drift is None:
        return "no day has been judged yet"
    reasons = "; ".join(drift.get("reasons", []))
    return f"{drift['verdict']} on {drift['day']}" + (f": {reasons}" if reasons else "")


def _age(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
