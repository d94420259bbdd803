"""Tell people of an alarm: in the log and by webhook from here, by e-mail through Airflow, once in a cool-down.

Telling never makes anything worse: a channel that does not answer is named in the log and in the result, and the
alarm is told again the next time, whatever the cool-down says.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from contracts.alarms import DATA_INVALID, DRIFT, TITLES, runbook_page
from contracts.errors import ForetasteError, NothingToDo
from contracts.settings import Settings
from jobs.io.state import ALARMS, State

log = logging.getLogger("foretaste.alarms")

_WEBHOOK_SECONDS = 10
_MOST_CHARACTERS = 1500  # of a reason: a message is read on a telephone


@dataclass(frozen=True)
class Alarm:
    """What has happened, where, and why."""

    kind: str
    source: str  # the Dag, or the command
    day: date | None
    why: str
    page_url: str = ""


def of_verdict(verdict: str, reasons: tuple[str, ...], *, rings: bool) -> list[dict[str, str]]:
    """The alarms of a day's verdict, as a step's result carries them."""
    kind = DRIFT if rings else DATA_INVALID if verdict == "invalid" else None
    return [{"kind": kind, "why": "; ".join(reasons)}] if kind else []


def tell(settings: Settings, alarm: Alarm, now: datetime) -> dict[str, Any]:
    """Tell an alarm and return its message, whose e-mail is Airflow's to send.

    Raises:
        NothingToDo: the same alarm was told within the cool-down; it is counted and held back.
    """
    state, key = State.of(settings), f"{alarm.kind}/{alarm.source}"
    held_back = _claim(state, key, now, timedelta(hours=settings.notify_cooldown_hours), alarm)
    message = compose(settings, alarm, held_back)
    channels = settings.channels
    if "log" in channels:
        log.warning(
            "alarm_rang kind=%s source=%s day=%s why=%s", alarm.kind, alarm.source, alarm.day, alarm.why
        )
    problem = _post(settings, message) if "webhook" in channels else ""
    if problem:
        log.warning("alarm_not_posted kind=%s problem=%s", alarm.kind, problem)
        state.change(ALARMS, key, lambda held: held and {**held, "told_at": ""})
    return {**message, "channels": list(channels), "problem": problem}


def _claim(state: State, key: str, now: datetime, cooldown: timedelta, alarm: Alarm) -> int:
    """Take the right to tell this alarm; returns how many of its like have been held back since the last."""
    told, held_back = False, 0

    def rule(held: dict[str, Any] | None) -> dict[str, Any]:
        nonlocal told, held_back
        held = held or {"told_at": "", "held_back": 0}
        last = datetime.fromisoformat(held["told_at"]) if held["told_at"] else None
        told, held_back = last is None or now - last >= cooldown, int(held["held_back"])
        if not told:
            return {**held, "held_back": held_back + 1}
        return {
            "kind": alarm.kind,
            "source": alarm.source,
            "day": str(alarm.day or ""),
            "why": _cut(alarm.why),
            "told_at": now.isoformat(timespec="seconds"),
            "held_back": 0,
        }

    state.change(ALARMS, key, rule)
    if not told:
        raise NothingToDo(f"{key} was told within {cooldown} (FORETASTE_NOTIFY_COOLDOWN_HOURS): held back")
    return held_back


def compose(settings: Settings, alarm: Alarm, held_back: int) -> dict[str, Any]:
    """The message: what, which day, why, what is still served, and where to read on."""
    day = f" ({alarm.day})" if alarm.day else ""
    address = settings.reports_url
    subject = f"Foretaste: {TITLES[alarm.kind]}{day}"
    why, served = _cut(alarm.why), what_is_served(settings)
    runbook_url = f"{address}/{runbook_page(alarm.kind)}" if address else ""
    more = f"; {held_back} more like it since the last message" if held_back else ""
    links = {"See": alarm.page_url, "What to do": runbook_url}
    lines = [
        subject,
        f"Why: {why}",
        f"Readers meanwhile: {served}",
        f"From: {alarm.source}{more}",
        *(f"{label}: {link}" for label, link in links.items() if link),
    ]
    return {
        "kind": alarm.kind,
        "subject": subject,
        "source": alarm.source,
        "day": str(alarm.day or ""),
        "why": why,
        "served": served,
        "page_url": alarm.page_url,
        "runbook_url": runbook_url,
        "held_back": held_back,
        "text": "\n".join(lines),
    }


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def _post(settings: Settings, message: dict[str, Any]) -> str:
    """Post the message as JSON; returns what went wrong, without the address, which is a secret."""
    import requests

    try:
        answer = requests.post(
            settings.notify_webhook_url.get_secret_value(), json=message, timeout=_WEBHOOK_SECONDS
        )
    except requests.RequestException as error:
        return f"the webhook does not answer ({type(error).__name__})"
    return "" if answer.ok else f"the webhook answers {answer.status_code}"


def what_is_served(settings: Settings) -> str:
    """One clause: what readers get meanwhile."""
    from jobs.io.online import read_pointer

    try:
        pointer = read_pointer(settings)
    except ForetasteError as error:
        return f"what is served cannot be read ({error})"
    if pointer is None:
        return "nothing has been published yet"
    return f"still served: {pointer.version} of {pointer.day} for {pointer.num_users:,} users"
