"""The state of the loop in one answer, also when servers are down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from contracts.errors import ForetasteError
from contracts.settings import Settings
from jobs.io.online import open_online_store
from jobs.io.state import LANDINGS, PROMOTIONS, RETRAININGS, VERDICTS, State

_LANDINGS_SHOWN = 7


def status(settings: Settings, now: datetime) -> dict[str, Any]:
    """Day, champion, what is published, drift, and who is at work; what cannot be read is null and named."""
    state = State.of(settings)
    landings, promotions, verdicts = state.all(LANDINGS), state.all(PROMOTIONS), state.all(VERDICTS)
    champion = max(promotions, key=lambda version: (promotions[version]["day"], int(version)), default=None)
    problems: list[str] = []
    return {
        "day": max(landings, default=None),
        "champion": None if champion is None else {"version": champion, **promotions[champion]},
        "published": _published(settings, now, problems),
        "drift": None if not verdicts else {"day": max(verdicts), **verdicts[max(verdicts)]},
        "holder": state.holder(),
        "landings": {day: landings[day]["accounts"] for day in sorted(landings)[-_LANDINGS_SHOWN:]},
        "retrainings": list(state.all(RETRAININGS).values()),
        "problems": problems,
    }


def _published(settings: Settings, now: datetime, problems: list[str]) -> dict[str, Any] | None:
    try:
        with open_online_store(settings, timeout=2) as store:
            pointer = store.pointer()
            kept = list(store.versions())
    except ForetasteError as error:
        problems.append(str(error))
        return None
    if pointer is None:
        return None
    published_at = datetime.fromisoformat(pointer.published_at)
    return {
        "version": pointer.version,
        "day": pointer.day,
        "kind": pointer.kind,
        "num_users": pointer.num_users,
        "sha256": pointer.sha256,
        "published_at": pointer.published_at,
        "age_seconds": round((now.astimezone(UTC) - published_at).total_seconds()),
        "kept": kept,
    }


def render(answer: dict[str, Any]) -> str:
    """The answer as a person reads it."""
    champion, published, drift = answer["champion"], answer["published"], answer["drift"]
    metrics = (
        ""
        if champion is None
        else ", ".join(f"{name} {value:.4f}" for name, value in champion["metrics"].items())
    )
    lines = [
        f"day         {answer['day'] or 'no day has been landed yet'}",
        "champion    none: everyone gets recent popularity"
        if champion is None
        else f"champion    version {champion['version']} of {champion['day']} ({metrics})",
        "published   nothing"
        if published is None
        else f"published   {published['version']} of {published['day']} for {published['num_users']:,} users, "
        f"{published['age_seconds']} s ago; kept: {', '.join(published['kept'])}",
        "drift       not looked at yet"
        if drift is None
        else f"drift       {drift['verdict']} on {drift['day']}",
        f"at work     {answer['holder'] or 'nobody'}",
    ]
    return "\n".join(lines + [f"problem     {problem}" for problem in answer["problems"]])
