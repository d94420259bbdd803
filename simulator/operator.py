"""What an operator does in Airflow's UI, done through the API behind it."""

from __future__ import annotations

from typing import Any

import requests

from contracts.settings import Settings

_TIMEOUT_SECONDS = 30


def trigger(settings: Settings, dag_id: str, params: dict[str, Any]) -> str:
    """Trigger a Dag by hand, logged in as the embedded Airflow's operator; returns the run's id.

    Raises:
        requests.HTTPError: Airflow refuses the login or the params.
    """
    secret = (settings.home / "secrets" / "airflow.password").read_text().strip()
    with requests.Session() as session:
        login = session.post(
            f"{settings.airflow_url}/auth/token",
            json={"username": "operator", "password": secret},
            timeout=_TIMEOUT_SECONDS,
        )
        login.raise_for_status()
        run = session.post(
            f"{settings.airflow_url}/api/v2/dags/{dag_id}/dagRuns",
            json={"logical_date": None, "conf": params},
            headers={"Authorization": f"Bearer {login.json()['access_token']}"},
            timeout=_TIMEOUT_SECONDS,
        )
        run.raise_for_status()
        return str(run.json()["dag_run_id"])
