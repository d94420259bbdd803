"""Asks each server and store whether it answers, and whether it is fit for what we keep there."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from contracts.errors import ServiceUnreachable
from contracts.settings import Settings


@dataclass(frozen=True)
class Finding:
    """What a probe found and, when that is wrong, how to mend it."""

    ok: bool
    found: str
    mend: str = ""


def probe(settings: Settings, name: str) -> Finding:
    """Ask one server or store; what its driver raises is told, whatever it is."""
    ask, variable = _PROBES[name]
    try:
        return ask(settings)
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        return Finding(
            False, f"does not answer: {type(error).__name__}: {said}", f"Start it, or mend {variable}."
        )


def _redis(settings: Settings) -> Finding:
    import redis

    url = settings.redis_url.get_secret_value()
    client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    try:
        memory, persistence = client.info("memory"), client.info("persistence")
    finally:
        client.close()
    return judge_redis(
        policy=str(memory.get("maxmemory_policy", "unknown")),
        is_append_only=bool(persistence.get("aof_enabled")),
        has_password=bool(urlsplit(url).password),
        is_local=urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"),
    )


def judge_redis(*, policy: str, is_append_only: bool, has_password: bool, is_local: bool) -> Finding:
    """Would this Redis keep what is published, and only let us write it?"""
    if policy != "noeviction":
        mend = "CONFIG SET maxmemory-policy noeviction, and the same in its configuration."
        return Finding(False, f"maxmemory-policy is {policy}: it may forget what is published", mend)
    if not has_password and not is_local:
        return Finding(
            False,
            "it asks for no password",
            "Set requirepass there, and the password in FORETASTE_REDIS_URL.",
        )
    kept = "append-only" if is_append_only else "not append-only: publish again when it has restarted"
    return Finding(True, f"noeviction, {kept}")


def _s3(settings: Settings) -> Finding:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    bucket = settings.s3_bucket
    client = boto3.client(
        "s3",
        endpoint_url=None if settings.s3_endpoint_url == "aws" else settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key.get_secret_value() or None,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value() or None,
        region_name=settings.s3_region,
        config=Config(connect_timeout=5, read_timeout=5, retries={"max_attempts": 1}),
    )
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return Finding(False, f"there is no bucket {bucket}", "Create it, or set FORETASTE_S3_BUCKET.")
        mend = "Mend FORETASTE_S3_ACCESS_KEY and FORETASTE_S3_SECRET_KEY."
        return Finding(False, f"bucket {bucket} is refused to these keys", mend)
    finally:
        client.close()
    return Finding(True, f"bucket {bucket}")


def _mlflow(settings: Settings) -> Finding:
    return _answers_http(settings.mlflow_url, "/health")


def _airflow(settings: Settings) -> Finding:
    return _answers_http(settings.airflow_url, "/api/v2/monitor/health")


def _api(settings: Settings) -> Finding:
    import requests

    answer = requests.get(f"{settings.api_url.rstrip('/')}/v1/health", timeout=5)
    health = answer.json()
    if health["version"] is None:
        return Finding(True, "has nothing to serve yet: publish a day")
    found = f"{health['status']}: {'; '.join(health['reasons']) or health['version']}"
    return Finding(health["status"] == "ok", found, "docs/serving.md says what each reason means.")


def _reports(settings: Settings) -> Finding:
    return _answers_http(settings.reports_url, "/")


def _answers_http(url: str, path: str) -> Finding:
    import requests

    answer = requests.get(url.rstrip("/") + path, timeout=5)
    return Finding(answer.ok, f"answers {answer.status_code}", f"Look at the log of {url}.")


def _warehouse(settings: Settings) -> Finding:
    if not settings.is_warehouse_embedded:
        return _connects(settings.warehouse_url.get_secret_value())
    if not settings.duckdb_path.exists():
        return Finding(True, "embedded: none yet, the first landing makes it")
    from jobs.io.warehouse import open_warehouse

    try:
        with open_warehouse(settings):
            return Finding(True, f"embedded: {settings.duckdb_path.stat().st_size / (1 << 20):.0f} MiB")
    except ServiceUnreachable as error:
        if "lock" in str(error):
            return Finding(True, "embedded: in use by a step")
        return Finding(
            False, str(error), "Restore it, or delete it and load the history again: foretaste load"
        )


def _state(settings: Settings) -> Finding:
    if not settings.state_url.get_secret_value() and not (settings.home / "state" / "state.sqlite").exists():
        return Finding(True, "embedded: none yet, the first step makes it")
    return _connects(settings.resolved_state_url)


def _mlflow_db(settings: Settings) -> Finding:
    return _database(settings.mlflow_db_url.get_secret_value())


def _airflow_db(settings: Settings) -> Finding:
    return _database(settings.airflow_db_url.get_secret_value())


def _database(url: str) -> Finding:
    return _connects(url) if url else Finding(True, "embedded: SQLite")


def _connects(url: str) -> Finding:
    import sqlalchemy as sa

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    return Finding(True, f"{engine.dialect.name} answers")


def _spark(settings: Settings) -> Finding:
    if not settings.spark_master.startswith("spark://"):
        return Finding(True, settings.spark_master)
    address = urlsplit(settings.spark_master.split(",")[0])
    with socket.create_connection((address.hostname or "", address.port or 7077), timeout=5):
        return Finding(True, f"{settings.spark_master} listens")


_PROBES: dict[str, tuple[Callable[[Settings], Finding], str]] = {
    "valkey": (_redis, "FORETASTE_REDIS_URL"),
    "seaweedfs": (_s3, "FORETASTE_S3_ENDPOINT_URL"),
    "mlflow": (_mlflow, "FORETASTE_MLFLOW_URL"),
    "airflow": (_airflow, "FORETASTE_AIRFLOW_URL"),
    "api": (_api, "FORETASTE_API_URL"),
    "reports": (_reports, "FORETASTE_REPORTS_URL"),
    "warehouse": (_warehouse, "FORETASTE_WAREHOUSE_URL"),
    "state": (_state, "FORETASTE_STATE_URL"),
    "mlflow_db": (_mlflow_db, "FORETASTE_MLFLOW_DB_URL"),
    "airflow_db": (_airflow_db, "FORETASTE_AIRFLOW_DB_URL"),
    "spark": (_spark, "FORETASTE_SPARK_MASTER"),
}

#: What no embedded server of ours stands for.
STORES = ("warehouse", "state", "mlflow_db", "airflow_db", "spark")
