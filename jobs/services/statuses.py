"""What is told of the embedded servers: which run, where, and how to log in."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from contracts.settings import Settings
from jobs.services.server import text_of
from jobs.services.supervisor import Registry

#: Every embedded server, and the setting that puts somebody else's in its place.
REPLACED_BY = {
    "valkey": "redis_url",
    "seaweedfs": "s3_endpoint_url",
    "mlflow": "mlflow_url",
    "airflow": "airflow_url",
    "api": "api_url",
    "reports": "reports_url",
}
SERVERS = tuple(REPLACED_BY)

RUNNING, STOPPED, EXTERNAL = "running", "stopped", "external"


@dataclass(frozen=True)
class ServiceStatus:
    """One server: where it is, how to log in, and whether it runs."""

    name: str
    state: str  # running, stopped, or external: somebody else's, named by a setting
    url: str = ""
    login: str = ""
    pids: tuple[int, ...] = ()
    seconds: float | None = None  # that this start took; None for what was not started now
    public_login: str = ""  # as everybody may see it


def is_external(settings: Settings, registry: Registry, name: str) -> bool:
    """Does a setting name somebody else's server? What an earlier start of ours wrote there is not somebody else's."""
    setting = REPLACED_BY[name]
    return not registry.is_ours(setting, text_of(getattr(settings, setting)))


def statuses_of(settings: Settings, registry: Registry, seconds: dict[str, float]) -> list[ServiceStatus]:
    return [_status(settings, registry, name, seconds.get(name)) for name in SERVERS]


def _status(settings: Settings, registry: Registry, name: str, seconds: float | None) -> ServiceStatus:
    if is_external(settings, registry, name):
        return ServiceStatus(name, EXTERNAL, without_password(text_of(getattr(settings, REPLACED_BY[name]))))
    if not registry.is_running(name):
        return ServiceStatus(name, STOPPED)
    held = registry.servers[name]
    pids = tuple(record.pid for record in registry.of_server(name))
    # A home folder that an earlier version has written tells no public login.
    public = held.get("public_login", "")
    return ServiceStatus(name, RUNNING, held["url"], held["login"], pids, seconds, public)


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def render(statuses: list[ServiceStatus]) -> str:
    """Addresses and logins, a line each."""
    rows = [
        (
            server.name,
            f"ready in {server.seconds:.1f} s" if server.seconds is not None else server.state,
            server.url,
            server.login,
        )
        for server in statuses
    ]
    return "\n".join(f"{name:<10} {state:<16} {url:<32} {login}".rstrip() for name, state, url, login in rows)
