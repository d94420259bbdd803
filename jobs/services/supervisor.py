"""Starts, recognises and ends processes, so that none is lost: not by a crash of ours, nor by one of theirs.

Every process is started in a session of its own and written down at once in ``HOME/run/services.json``.
What belongs to it is found again by three marks: its session, its ancestry and a variable in its
environment that its whole offspring inherits.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from contracts.settings import Settings
from jobs.io.commit import write_durably
from jobs.services.server import HOME_MARK, Process

_LOG_LIMIT = 16 << 20
#: Children of this very process, kept so that they are reaped when they end.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Record:
    """A process that was started: enough to find it, or to know that it is gone."""

    name: str
    server: str
    pid: int  # also its process group and its session
    started: float  # tells it from a later process with the same id
    digest: str
    grace: float
    leavings: tuple[str, ...]

    def is_alive(self) -> bool:
        if self.pid in _CHILDREN and _CHILDREN[self.pid].poll() is not None:
            return False
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass
class Registry:
    """What stands in ``HOME/run/services.json``: processes, the ports in use and what was published."""

    path: Path
    records: dict[str, Record] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)  # of the last start; kept when servers end
    published: dict[str, list[str]] = field(
        default_factory=dict
    )  # setting → values of all starts, the last one last
    servers: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # that run: name → url, login, ports, publishes

    @classmethod
    def of(cls, settings: Settings) -> Registry:
        path = settings.home / "run" / "services.json"
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return cls(path)
        records = {
            name: Record(**{**record, "leavings": tuple(record["leavings"])})
            for name, record in held["records"].items()
        }
        return cls(path, records, held["ports"], held["published"], held["servers"])

    def save(self) -> None:
        held = {
            "records": {name: asdict(record) for name, record in sorted(self.records.items())},
            "ports": self.ports,
            "published": self.published,
            "servers": self.servers,
        }
        write_durably(self.path, json.dumps(held, indent=1, sort_keys=True) + "\n", mode=0o600)

    def of_server(self, server: str) -> list[Record]:
        return [record for record in self.records.values() if record.server == server]

    def is_running(self, server: str) -> bool:
        records = self.of_server(server)
        return bool(records) and all(record.is_alive() for record in records)

    def publish(self, setting: str, value: str) -> None:
        """Remember an address as ours, so that settings which were read before it changed are not taken for a person's."""
        earlier = [other for other in self.published.get(setting, []) if other != value]
        self.published[setting] = [*earlier, value]

    def is_ours(self, setting: str, value: str) -> bool:
        return value in ("", *self.published.get(setting, []))

    def forget(self, server: str) -> None:
        self.records = {name: record for name, record in self.records.items() if record.server != server}
        self.servers.pop(server, None)


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """One start or stop at a time in a home folder; a second one waits."""
    for folder in ("run", "tmp", "logs"):
        (settings.home / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.home / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def log_path(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"{name}.log"


def start(settings: Settings, server: str, process: Process, environment: Mapping[str, str]) -> Record:
    """Start a process in its own session, detached from this one."""
    log = log_path(settings, process.name)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as stream:
        child = subprocess.Popen(
            process.command,
            env={**environment, **process.environment},
            cwd=settings.home / "run",
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _CHILDREN[child.pid] = child
    started = psutil.Process(child.pid).create_time()
    return Record(process.name, server, child.pid, started, process.digest(), process.grace, process.leavings)


def exit_code(record: Record) -> int | None:
    """The exit code of a child of this process; None while it runs."""
    return _CHILDREN[record.pid].poll()


def stop(records: Iterable[Record]) -> None:
    """End processes and all that they started: ask, wait, then make them. Returns when they are gone.

    Only the first process of each is asked, as it knows how to end the others: a task whose step we ended
    under its hands would count as failed, while one that is killed with its scheduler is run again.
    """
    records = list(records)
    begun = time.monotonic()
    asked = {record.pid for record in records}
    _signal([process for process in _members(records) if process.pid in asked], force=False)
    while _members(records):
        waited = time.monotonic() - begun
        _signal(_members([record for record in records if waited >= record.grace]), force=True)
        time.sleep(0.05)
    for record in records:
        if record.pid in _CHILDREN:
            _CHILDREN.pop(record.pid).wait()
        for leaving in record.leavings:
            with contextlib.suppress(FileNotFoundError, PermissionError):  # somebody else's of the same name
                Path(leaving).unlink()


def stop_strays(home: Path, records: Iterable[Record]) -> None:
    """End what carries the mark of this home folder and belongs to none of these records.

    Such as what a killed ``foretaste up`` had started and not yet written down, or a task that outlived
    its scheduler.
    """
    records = list(records)
    force = False
    while strays := _marked(home, {process.pid for process in _members(records)}):
        _signal(strays, force=force)
        psutil.wait_procs(strays, timeout=1 if force else 3)
        force = True


def _signal(members: list[psutil.Process], *, force: bool) -> None:
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill() if force else process.terminate()


def _members(records: list[Record]) -> list[psutil.Process]:
    """Every living process of these records' sessions, and the offspring that made a session of its own."""
    sessions = {record.pid for record in records if not _is_reused(record)}
    if not sessions:
        return []
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) in sessions:
                found[process.pid] = process
                found.update({child.pid: child for child in process.children(recursive=True)})
    return [process for process in found.values() if _is_living(process)]


def _marked(home: Path, members: set[int]) -> list[psutil.Process]:
    spared = {*members, os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (
                process.pid not in spared
                and process.environ().get(HOME_MARK) == str(home)
                and _is_living(process)
            ):
                found.append(process)
    return found


def _is_reused(record: Record) -> bool:
    """Does another process have this id by now? Then our session has ended: its id is not given away before."""
    try:
        return abs(psutil.Process(record.pid).create_time() - record.started) >= 1
    except psutil.NoSuchProcess:
        return False


def _is_living(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
