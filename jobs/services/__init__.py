"""The embedded servers: Valkey, SeaweedFS, MLflow, Airflow and the report pages, started and stopped as one."""

from __future__ import annotations

from jobs.services.lifecycle import (
    SERVERS,
    ServiceStatus,
    airflow_environment,
    connected,
    down,
    render,
    running,
    status,
    up,
)

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
