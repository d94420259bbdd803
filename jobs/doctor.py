"""Says what is missing or wrong, and how to mend it; changes nothing."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from contracts.settings import Settings, inherited_environment
from jobs.services import connected, status
from jobs.services.ports import is_free
from jobs.services.probes import STORES, probe
from jobs.services.server import REPOSITORY
from jobs.services.statuses import EXTERNAL, RUNNING

_GIB = 1 << 30
_MIN_DISK_GIB, _MIN_MEMORY_GIB, _MIN_JAVA = 2, 6, 17
_PORTS = {
    "valkey": "redis_port",
    "seaweedfs": "s3_port",
    "mlflow": "mlflow_port",
    "airflow": "airflow_port",
    "api": "api_port",
    "reports": "reports_port",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found and, when that is wrong, how to mend it."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def doctor(settings: Settings) -> list[Check]:
    """Look at the machine, the environment, the home folder and every server that the settings name."""
    settings = connected(settings)
    return [
        _python(sys.version_info[:3]),
        _java(),
        _packages((REPOSITORY / "requirements.lock").read_text(encoding="utf-8"), _installed),
        _memory(psutil.virtual_memory().total),
        _home(settings.home),
        _private_files(settings),
        *_servers(settings),
        *(_probed(settings, name) for name in STORES),
    ]


def render(checks: list[Check]) -> str:
    """A line for each check, and under a wrong one how to mend it."""
    lines = []
    for check in checks:
        lines.append(f"{'ok   ' if check.ok else 'WRONG'}  {check.name:<14} {check.found}")
        if not check.ok:
            lines.append(f"{'':7}{'':<14}  → {check.mend}")
    wrong = sum(not check.ok for check in checks)
    lines.append(f"{wrong} of {len(checks)} need mending" if wrong else "nothing needs mending")
    return "\n".join(lines)


# The machine and the environment


def _python(found: tuple[int, ...]) -> Check:
    shown = ".".join(str(part) for part in found)
    return Check(
        "python",
        found[:2] == (3, 11),
        shown,
        "Make the environment with Python 3.11: make setup PYTHON=python3.11",
    )


def _java() -> Check:
    home = inherited_environment().get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else "java"
    mend = f"Install Java {_MIN_JAVA} or newer (apt-get install openjdk-17-jre-headless) and point JAVA_HOME at it, or unset it."
    try:
        told = subprocess.run(
            [program, "-XX:-UsePerfData", "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("java", False, f"{program} does not run: {error}", mend)
    return _java_version(told.stderr + told.stdout, program, mend)


def _java_version(told: str, program: str, mend: str) -> Check:
    match = re.search(r'version "(?:1\.)?(\d+)[^"]*"', told)
    if match is None:
        return Check("java", False, f"{program} does not tell its version", mend)
    return Check("java", int(match[1]) >= _MIN_JAVA, f"{match[0].removeprefix('version ')} ({program})", mend)


def _packages(lock: str, installed: Callable[[str], str]) -> Check:
    pins = [line.split(";")[0].strip() for line in lock.splitlines()]
    wanted = dict(pin.split("==", 1) for pin in pins if "==" in pin and not pin.startswith(("#", "-")))
    found = {name: installed(name.split("[")[0]) for name in wanted}
    wrong = [
        f"{name} is {found[name] or 'missing'}, not {pin}"
        for name, pin in wanted.items()
        if found[name] != pin
    ]
    if not wrong:
        return Check("packages", True, f"{len(wanted)} as locked")
    return Check(
        "packages",
        False,
        "; ".join(wrong[:4]) + (f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""),
        "make setup",
    )


def _installed(name: str) -> str:
    try:
        return version(name.split("[")[0]).split("+")[
            0
        ]  # torch's CPU build has the same version with a local mark
    except PackageNotFoundError:
        return ""


def _memory(total: int) -> Check:
    mend = f"Foretaste with Airflow and Spark needs about {_MIN_MEMORY_GIB} GiB: start with `foretaste up --without-airflow`."
    return Check("memory", total >= _MIN_MEMORY_GIB * _GIB, f"{total / _GIB:.1f} GiB", mend)


# The home folder


def _home(home: Path) -> Check:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Check(
            "home",
            False,
            f"{home} cannot be written: {error.strerror}",
            "Set FORETASTE_HOME to a folder of yours.",
        )
    mend = f"Free at least {_MIN_DISK_GIB} GiB, or set FORETASTE_HOME to a folder on another disk."
    return Check("home", free >= _MIN_DISK_GIB * _GIB, f"{home}, {free / _GIB:.0f} GiB free", mend)


def _private_files(settings: Settings) -> Check:
    """Files that hold a secret may be read by their owner only."""
    home = settings.home
    files = [
        settings.services_env_path,
        *(home / "run").glob("*.json"),
        *(home / "run").glob("*.conf"),
        *(home / "secrets").glob("*"),
    ]
    open_ones = [str(file) for file in files if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077]
    if open_ones:
        return Check(
            "secrets",
            False,
            "readable by others: " + ", ".join(open_ones),
            f"chmod 600 {' '.join(map(_quoted, open_ones))}",
        )
    return Check("secrets", True, "readable by their owner only")


def _quoted(path: str) -> str:
    return f"'{path}'"


# Servers


def _servers(settings: Settings) -> Iterator[Check]:
    for server in status(settings):
        if server.state == RUNNING:
            yield _probed(settings, server.name, embedded_at=server.url)
        elif server.state == EXTERNAL:
            yield _probed(settings, server.name)
        else:
            yield _not_running(settings, server.name)


def _probed(settings: Settings, name: str, embedded_at: str = "") -> Check:
    finding = probe(settings, name)
    if embedded_at:
        found = f"embedded at {embedded_at}: {finding.found}"
        return Check(name, finding.ok, found, finding.mend and "foretaste down, then foretaste up")
    return Check(name, finding.ok, finding.found, finding.mend)


def _not_running(settings: Settings, name: str) -> Check:
    setting = _PORTS[name]
    port = getattr(settings, setting)
    if is_free(port):
        return Check(name, True, f"not running; `foretaste up` starts it on port {port}")
    if setting in settings.model_fields_set:
        mend = f"Stop what listens there, or set another FORETASTE_{setting.upper()}."
        return Check(name, False, f"not running, and its port {port} is taken", mend)
    return Check(name, True, f"not running; port {port} is taken, so `foretaste up` takes a free one")
