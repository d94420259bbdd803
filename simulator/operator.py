"""What an operator does in Airflow's UI, done through the API behind it."""

from __future__ import annotations

from datetime import date
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from contracts.settings import Settings

_TIMEOUT_SECONDS = 30
#: On SQLite Airflow answers 503 to whoever meets its scheduler at the database, or 500 where the database is locked for the note
#: of who has asked: an operator would try again.
_AGAIN_WHERE_LOCKED = Retry(
    total=6, status_forcelist=(500, 503), allowed_methods=None, backoff_factor=0.5, raise_on_status=False
)


def trigger(settings: Settings, dag_id: str, params: dict[str, Any]) -> str:
    """Trigger a Dag by hand; returns the run's id.

    Raises:
        requests.HTTPError: Airflow refuses the login or the params.
    """
    asked = {"logical_date": None, "conf": params}
    return str(_post(settings, f"dags/{dag_id}/dagRuns", asked)["dag_run_id"])


def backfill(settings: Settings, dag_id: str, day: date) -> None:
    """Run a day again that has been run, as a backfill in Airflow's UI does.

    Raises:
        requests.HTTPError: Airflow refuses the login or the backfill.
    """
    asked = {
        "dag_id": dag_id,
        "from_date": f"{day}T00:00:00Z",
        "to_date": f"{day}T23:59:59Z",
        "reprocess_behavior": "completed",
    }
    try:
        _post(settings, "backfills", asked)
    except requests.HTTPError as error:
        is_conflict = error.response is not None and error.response.status_code == requests.codes.conflict
        if not (is_conflict and _cancel_backfill(settings, dag_id, day)):
            raise
        _post(settings, "backfills", asked)


def _cancel_backfill(settings: Settings, dag_id: str, day: date) -> bool:
    """End what a locked database has left of a backfill of the day: it is under way, and may have no run. Was there one?"""
    found = _ask(settings, "GET", f"backfills?dag_id={dag_id}")["backfills"]
    left = [each for each in found if not each["completed_at"] and each["from_date"].startswith(str(day))]
    for each in left:
        _ask(settings, "PUT", f"backfills/{each['id']}/cancel")
    return bool(left)


def announce(settings: Settings, asset: str, extra: dict[str, Any]) -> None:
    """Announce an asset by hand, with what its event carries.

    Raises:
        requests.HTTPError: Airflow refuses the login or the event.
    """
    [found] = _ask(settings, "GET", f"assets?name_pattern={asset}")["assets"]
    _post(settings, "assets/events", {"asset_id": found["id"], "extra": extra})


def run_note(settings: Settings, dag_id: str, run_id: str) -> str:
    """The note of a run, as the UI shows it."""
    return str(_ask(settings, "GET", f"dags/{dag_id}/dagRuns/{run_id}")["note"] or "")


def _post(settings: Settings, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return _ask(settings, "POST", path, body)


def _ask(settings: Settings, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request to Airflow's API, logged in as the embedded Airflow's operator."""
    secret = (settings.home / "secrets" / "airflow.password").read_text().strip()
    with requests.Session() as session:
        # Of backfills alone: one that is under way is not begun a second time, a run that was triggered would be.
        session.mount(
            f"{settings.airflow_url}/api/v2/backfills", HTTPAdapter(max_retries=_AGAIN_WHERE_LOCKED)
        )
        login = session.post(
            f"{settings.airflow_url}/auth/token",
            json={"username": "operator", "password": secret},
            timeout=_TIMEOUT_SECONDS,
        )
        login.raise_for_status()
        answer = session.request(
            method,
            f"{settings.airflow_url}/api/v2/{path}",
            json=body,
            headers={"Authorization": f"Bearer {login.json()['access_token']}"},
            timeout=_TIMEOUT_SECONDS,
        )
        answer.raise_for_status()
        return dict(answer.json())
