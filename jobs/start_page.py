"""The start page: every address with its login, and the state of the loop, at ``HOME/reports/start.html``.

People on the network may see the page: it names users and the files that hold their passwords, never a password.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.alarms import APPROVAL_WAITING, STALE_VERSION, TITLES
from contracts.errors import ForetasteError
from contracts.settings import Settings
from jobs.approval import told
from jobs.io.state import ALARMS, PUBLICATIONS, State
from jobs.report_pages.audits import audits_written
from jobs.runbook import environment, runbook_url, write_if_changed, write_runbook
from jobs.services import ServiceStatus
from jobs.services import status as services
from jobs.status import is_waiting, status

_DAYS, _RETRAININGS, _ALARMS = 7, 5, 8
_PURPOSES = {
    "airflow": ("Airflow", "Runs, what waits for a person, starting a retraining by hand"),
    "mlflow": ("MLflow", "Every model with its figures; champion and challenger"),
    "reports": ("Reports", "The verdict of each day, drift, retrainings"),
    "api": ("Decision API", "What a shop's pages ask for ranked items"),
    "valkey": ("Redis", "The online store that shops read lists from"),
    "seaweedfs": ("S3", "Published lists as files"),
}


def write_start_page(settings: Settings, now: datetime) -> Path:
    """Write the start page and the runbook beside it; returns the page."""
    write_runbook(settings)
    path = settings.reports_path / "start.html"
    write_if_changed(path, render(settings, status(settings, now), services(settings), now))
    return path


def render(settings: Settings, answer: dict[str, Any], servers: list[ServiceStatus], now: datetime) -> str:
    """The page, from what ``foretaste status`` says and the servers that run."""
    state = State.of(settings)
    return (
        environment()
        .get_template("start.html.j2")
        .render(
            root="",
            now=f"{now:%Y-%m-%d %H:%M}",
            shop=_shop(settings),
            state=_state(answer, settings),
            places=_places(settings, servers),
            days=_days(settings, state, answer),
            retrainings=_retrainings(settings, answer),
            alarms=_alarms(state),
        )
    )


def _shop(settings: Settings) -> str:
    from jobs.feed_reader import read_description

    try:
        return read_description(settings).shop
    except ForetasteError:  # a feed that is not there yet has no name
        return ""


def _state(answer: dict[str, Any], settings: Settings) -> dict[str, Any]:
    published, drift, champion = answer["published"], answer["drift"], answer["champion"]
    verdict = drift["verdict"] if drift else ""
    waiting = [record for record in answer["retrainings"] if is_waiting(record)]
    notices = [
        {
            "text": f"Challenger {record['challenger']} of {record['day']} waits for a person.",
            "link": f"{settings.airflow_url}/required_actions"
            if settings.airflow_url
            else runbook_url(APPROVAL_WAITING),
            "label": "Answer in Airflow" if settings.airflow_url else "What to do",
        }
        for record in waiting
    ]
    if answer["stale"]:
        notices.append({"text": answer["stale"], "link": runbook_url(STALE_VERSION), "label": "What to do"})
    if answer["blocked"]:
        last = answer["blocked"][-1]
        notices.append(
            {
                "text": f"Nobody is shown {len(answer['blocked']):,} blocked items, the last {last['item_id']}, "
                f"by {last['by']}: {last['why']}."
            }
        )
    notices += [{"text": problem} for problem in answer["problems"]]
    said = (
        f"{published['version']} of {published['day']} is served to {published['num_users']:,} users"
        if published
        else "Nothing is served, or it cannot be read"
    )
    return {
        "mood": "invalid" if answer["problems"] or answer["stale"] else verdict or "none",
        "sentence": f"{said}; {_judged(drift)}.",
        "notices": notices,
        "tiles": [
            {"name": "Newest day", "value": answer["day"] or "none"},
            {
                "name": "Champion",
                "value": f"model {champion['version']}" if champion else "none",
                "more": f"since {champion['day']}" if champion else "lists come from the ladder below it",
            },
            {
                "name": "Published",
                "value": published["version"] if published else "nothing",
                "more": f"at {published['published_at'][:16].replace('T', ' ')}" if published else "",
            },
            {"name": "Last verdict", "value": verdict or "none", "more": drift["day"] if drift else ""},
        ],
    }


def _judged(drift: dict[str, Any] | None) -> str:
    if drift is None:
        return "no day has been judged yet"
    reasons = f" ({'; '.join(drift['reasons'])})" if drift["verdict"] != "ok" and drift["reasons"] else ""
    return f"the verdict of {drift['day']} is {drift['verdict']}{reasons}"


def _places(settings: Settings, servers: list[ServiceStatus]) -> list[dict[str, str]]:
    known = {"airflow": settings.airflow_url, "mlflow": settings.mlflow_public_url}
    places = []
    for server in sorted(servers, key=lambda server: list(_PURPOSES).index(server.name)):
        name, purpose = _PURPOSES[server.name]
        address = known.get(server.name) or server.url
        is_page = address.startswith(("http://", "https://")) and server.name not in ("seaweedfs", "api")
        link = "index.html" if server.name == "reports" else address if is_page else ""
        login = server.public_login
        places.append(
            {
                "name": name if link else f"{name} {address}".strip(),
                "purpose": purpose,
                "link": link,
                "login": login,
                "state": server.state,
            }
        )
    if (settings.reports_path / "dbt" / "index.html").exists():
        purpose = "Every table and column with its meaning, and where it comes from"
        places.append(
            {"name": "dbt docs", "purpose": purpose, "link": "dbt/index.html", "login": "", "state": ""}
        )
    places += [
        {"name": f"Audit of {shop}", "purpose": "What the feed supports, and which model to begin with",
         "link": page, "login": "", "state": ""}
        for page, shop in audits_written(settings.reports_path)
    ]  # fmt: skip
    if (settings.reports_path / "features.html").exists():
        purpose = "Every feature: how it is computed, who uses it, how it is distributed"
        places.append(
            {"name": "Features", "purpose": purpose, "link": "features.html", "login": "", "state": ""}
        )
    purpose = "What to do when an alarm rings"
    return [
        *places,
        {"name": "Runbook", "purpose": purpose, "link": "runbook/index.html", "login": "", "state": ""},
    ]


def _days(settings: Settings, state: State, answer: dict[str, Any]) -> list[dict[str, str]]:
    published: dict[str, list[str]] = {}
    for version, record in state.all(PUBLICATIONS).items():
        published.setdefault(record["day"], []).append(version)
    days = sorted({*answer["landings"], *answer["verdicts"]}, reverse=True)[:_DAYS]
    return [
        {
            "day": day,
            "verdict": answer["verdicts"].get(day, {}).get("verdict", "not judged"),
            "published": ", ".join(published.get(day, [])) or "nothing",
            "page": _page(settings, f"days/{day}.html"),
        }
        for day in days
    ]


def _retrainings(settings: Settings, answer: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "day": record["day"],
            "why": record["reason"],
            "outcome": outcome_of(record),
            "page": _page(settings, f"retrainings/{record['day']}.html"),
        }
        for record in reversed(answer["retrainings"][-_RETRAININGS:])
    ]


def outcome_of(record: dict[str, Any]) -> str:
    """What came of a retraining, in words."""
    if "challenger" not in record:
        return "begun, and not judged yet"
    verdict, approval = record["verdict"], record.get("approval")
    if not verdict["is_promoted"]:
        return f"challenger {record['challenger']} was refused: {'; '.join(verdict['reasons'])}"
    if record.get("is_promoted"):
        return f"challenger {record['challenger']} became the champion" + (
            f", {told(approval)}" if approval else ""
        )
    return f"challenger {record['challenger']}: " + (
        told(approval) if approval else "judged, and not promoted yet"
    )


def _page(settings: Settings, name: str) -> str:
    return name if (settings.reports_path / name).exists() else ""


def _alarms(state: State) -> list[dict[str, str]]:
    rung = sorted(state.all(ALARMS).values(), key=lambda alarm: str(alarm["told_at"]), reverse=True)
    return [
        {
            "at": alarm["told_at"][:16].replace("T", " ") or "not told",
            "title": TITLES[alarm["kind"]],
            "day": alarm["day"],
            "why": alarm["why"],
            "runbook": runbook_url(alarm["kind"]),
        }
        for alarm in rung[:_ALARMS]
    ]
