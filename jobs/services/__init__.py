"""The embedded servers: Valkey, SeaweedFS, MLflow, Airflow, the decision API and the report pages, started and stopped as one."""

from __future__ import annotations

from jobs.services.lifecycle import airflow_environment, connected, down, running, status, up
from jobs.services.statuses import SERVERS, ServiceStatus, render

__all__ = [
    "SERVERS",
    "ServiceStatus",
    "airflow_environment",
    "connected",
    "down",
    "render",
    "running",
    "status",
    "up",
]
