"""Start and stop the embedded servers of a home folder together, and say what became of each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from contracts.errors import ServiceUnreachable
from contracts.settings import Settings
from jobs.io.commit import write_durably
from jobs.services import supervisor
from jobs.services.airflow import DAGS, airflow, configuration
from jobs.services.api import api
from jobs.services.mlflow import mlflow
from jobs.services.pages import pages
from jobs.services.ports import Ports
from jobs.services.seaweed import seaweed
from jobs.services.server import HOME_MARK, Process, Server, environment, given_settings, text_of
from jobs.services.signals import signals_as_exceptions, undisturbed
from jobs.services.statuses import RUNNING, SERVERS, ServiceStatus, is_external, statuses_of
from jobs.services.supervisor import Record, Registry, log_path
from jobs.services.valkey import valkey


def up(
    settings: Settings, *, only: set[str] | None = None, airflow: bool = True, dags: Path = DAGS
) -> list[ServiceStatus]:
    """Start what does not run and wait until it answers; what runs as it should is left alone.

    Raises:
        SettingInvalid: a port that was set by hand is taken.
        ServiceUnreachable: a server did not start; what this call had started has been stopped again.
    """
    with supervisor.only_one(settings):
        registry = Registry.of(settings)
        _forget_dead(settings, registry)
        wanted = [name for name in SERVERS if name in (only or SERVERS) and (airflow or name != "airflow")]
        own = [name for name in wanted if not is_external(settings, registry, name)]
        with _ports(settings, registry) as ports:
            servers = _describe(settings, registry, own, ports, dags)
            begun = _outdated(registry, servers)
            try:
                supervisor.stop([record for server in begun for record in registry.of_server(server.name)])
                seconds = _start(settings, registry, servers, begun)
            except BaseException:
                with undisturbed():
                    _stop(settings, registry, {server.name for server in begun})
                raise
        return statuses_of(settings, registry, {server.name: seconds[server.name] for server in begun})


def down(settings: Settings) -> None:
    """Stop every embedded server of this home folder, and whatever one of them has left running."""
    if not settings.home.exists():
        return
    with supervisor.only_one(settings):
        _stop(settings, Registry.of(settings), set(SERVERS))


def status(settings: Settings) -> list[ServiceStatus]:
    """What runs and what does not; starts nothing."""
    return statuses_of(settings, Registry.of(settings), {})


@contextlib.contextmanager
def running(
    settings: Settings, *, only: set[str] | None = None, airflow: bool = True, dags: Path = DAGS
) -> Iterator[Settings]:
    """Servers for as long as the body runs; yields the settings with their addresses.

    What ran before goes on afterwards. A signal that ends this process ends the servers first.
    """
    before = {server.name for server in status(settings) if server.state == RUNNING}
    with signals_as_exceptions():
        started = {
            server.name
            for server in up(settings, only=only, airflow=airflow, dags=dags)
            if server.seconds is not None
        }
        try:
            yield connected(settings)
        finally:
            with undisturbed(), supervisor.only_one(settings):
                _stop(settings, Registry.of(settings), started - before)


def connected(settings: Settings) -> Settings:
    """The settings with the addresses and keys of the embedded servers that run now."""
    registry = Registry.of(settings)
    published = {
        name: value
        for server in registry.servers.values()
        for name, value in server["publishes"].items()
        if registry.is_ours(name, text_of(getattr(settings, name)))
    }
    secret = {name for name in published if isinstance(getattr(settings, name), SecretStr)}
    return settings.model_copy(
        update={name: SecretStr(value) if name in secret else value for name, value in published.items()}
    )


def airflow_environment(settings: Settings, dags: Path = DAGS) -> dict[str, str]:
    """The environment in which ``airflow`` commands reach the embedded instance."""
    registry = Registry.of(settings)
    port = registry.ports.get("airflow_port", settings.airflow_port)
    common = {name: value for name, value in environment(settings).items() if name != HOME_MARK}
    return {
        **common,
        **_given(settings, registry),
        **configuration(settings, port, dags),
    }


# Planning


def _given(settings: Settings, registry: Registry) -> dict[str, str]:
    """What tasks cannot read for themselves in the files of the home folder."""
    files = {**dotenv_values(settings.services_env_path), **dotenv_values(settings.home / "settings.env")}
    held = {variable.removeprefix("FORETASTE_").lower(): [text or ""] for variable, text in files.items()}
    names = {*held, *registry.published}
    return given_settings(
        settings, {name: [*held.get(name, []), *registry.published.get(name, [])] for name in names}
    )


def _redis_url(settings: Settings, registry: Registry) -> str:
    """The online store of the servers that are described: ours, or the one that the settings name."""
    embedded = registry.servers.get("valkey", {"publishes": {}})["publishes"]
    return str(embedded.get("redis_url") or settings.redis_url.get_secret_value())


def _ports(settings: Settings, registry: Registry) -> Ports:
    """The ports of a start, those of the servers that run already given away."""
    in_use = {name: port for server in registry.servers.values() for name, port in server["ports"].items()}
    return Ports(settings, in_use, registry.ports)


def _describe(
    settings: Settings, registry: Registry, names: list[str], ports: Ports, dags: Path
) -> list[Server]:
    """The servers as they should run, with the ports of those that do run, and write down where they will be."""
    makers = {
        "valkey": valkey,
        "seaweedfs": seaweed,
        "mlflow": mlflow,
        "airflow": lambda settings, ports: airflow(settings, ports, _given(settings, registry), dags),
        "api": lambda settings, ports: api(
            settings, ports, _given(settings, registry), _redis_url(settings, registry)
        ),
        "reports": pages,
    }
    described = []
    for name in names:
        earlier = set(ports.chosen)
        server = makers[name](settings, ports)
        own = {port: number for port, number in ports.chosen.items() if port not in earlier}
        registry.servers[name] = {
            "url": server.url,
            "login": server.login,
            "public_login": server.public_login,
            "ports": own,
            "publishes": dict(server.publishes),
        }
        described.append(server)
    registry.ports.update(ports.chosen)
    return described


def _outdated(registry: Registry, servers: list[Server]) -> list[Server]:
    """The servers that do not run, or not as they are described."""

    def is_current(server: Server) -> bool:
        held = {record.name: record.digest for record in registry.of_server(server.name)}
        return held == {process.name: process.digest() for process in server.processes}

    return [server for server in servers if not is_current(server)]


# Starting


def _start(
    settings: Settings, registry: Registry, servers: list[Server], begun: list[Server]
) -> dict[str, float]:
    """Start servers side by side; returns the seconds that each took until it answered."""
    for server in begun:
        for setting, value in server.publishes.items():
            registry.publish(setting, value)
    _publish(settings, registry)
    since = time.monotonic()
    seconds: dict[str, float] = {}
    waiting = {
        server.name: _bring_up(settings, registry, server, is_new=server in begun) for server in servers
    }
    while waiting:
        for name, steps in list(waiting.items()):
            if next(steps, "is up") == "is up":
                seconds[name] = time.monotonic() - since
                del waiting[name]
        time.sleep(0.05)
    return seconds


def _bring_up(settings: Settings, registry: Registry, server: Server, *, is_new: bool) -> Iterator[None]:
    """Start one server; hands back control whenever there is nothing to do but wait."""

    def begin(process: Process) -> Record:
        record = supervisor.start(settings, server.name, process, environment(settings))
        registry.records[process.name] = record
        registry.save()
        return record

    if is_new and server.prepare is not None:
        record = begin(server.prepare)
        yield from _await_end(settings, server.prepare, record)
        del registry.records[record.name]
    if is_new:
        for process in server.processes:
            begin(process)
    for process in server.processes:
        yield from _await_ready(settings, process, registry.records[process.name])
    server.finish()


def _await_end(settings: Settings, process: Process, record: Record) -> Iterator[None]:
    deadline = time.monotonic() + process.timeout
    while (code := supervisor.exit_code(record)) is None:
        if time.monotonic() > deadline:
            raise _failure(settings, process, f"did not end within {process.timeout:.0f} s")
        yield
    if code != 0:
        raise _failure(settings, process, f"ended with code {code}")


def _await_ready(settings: Settings, process: Process, record: Record) -> Iterator[None]:
    deadline = time.monotonic() + process.timeout
    while not process.is_ready():
        if not record.is_alive():
            raise _failure(settings, process, "ended before it was ready")
        if time.monotonic() > deadline:
            raise _failure(settings, process, f"did not answer within {process.timeout:.0f} s")
        yield


def _failure(settings: Settings, process: Process, what: str) -> ServiceUnreachable:
    log = log_path(settings, process.name)
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return ServiceUnreachable(f"{process.name} {what}. The end of {log}:\n  " + "\n  ".join(tail))


# Stopping


def _forget_dead(settings: Settings, registry: Registry) -> None:
    """Clear away servers of which a process has died, and processes that nobody has written down."""
    known = {record.server for record in registry.records.values()} | set(registry.servers)
    _stop(settings, registry, {name for name in known if not registry.is_running(name)})


def _stop(settings: Settings, registry: Registry, names: set[str]) -> None:
    supervisor.stop([record for name in names for record in registry.of_server(name)])
    for name in names:
        registry.forget(name)
    supervisor.stop_strays(settings.home, registry.records.values())
    _publish(settings, registry)


# Telling


def _publish(settings: Settings, registry: Registry) -> None:
    """Write ``services.env``, where every process of this home folder finds the servers that run."""
    registry.save()
    path = settings.services_env_path
    lines = [
        f"FORETASTE_{name.upper()}={value}"
        for server in registry.servers.values()
        for name, value in sorted(server["publishes"].items())
    ]
    if lines:
        write_durably(
            path,
            "\n".join(["# Written by `foretaste up`; removed by `foretaste down`.", *lines, ""]),
            mode=0o600,
        )
    else:
        path.unlink(missing_ok=True)
