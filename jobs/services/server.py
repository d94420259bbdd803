"""What one embedded server is: the processes it needs, what makes it ready, the addresses it publishes."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from contracts.settings import Settings, inherited_environment
from jobs.io.commit import digest_of
from jobs.services.ports import LOOPBACK

REPOSITORY = Path(__file__).resolve().parents[2]

#: Names the home folder in the environment of every process below a server, however deep, so that none is missed.
HOME_MARK = "FORETASTE_SERVED_FROM"


@dataclass(frozen=True)
class Process:
    """One process of a server, before it is started."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)  # beside what every server gets
    is_ready: Callable[[], bool] = lambda: True
    timeout: float = 60
    grace: float = 5  # seconds between asking it to stop and making it
    leavings: tuple[str, ...] = ()  # files outside the home folder that it does not remove itself
    configuration: str = ""  # what stands in the file that it reads

    def digest(self) -> str:
        """What it is started with: a process that runs with another digest has to be started again."""
        return digest_of([self.command, dict(self.environment), self.configuration])


@dataclass(frozen=True)
class Server:
    """An embedded server: its processes, its address and login, and the settings that it publishes."""

    name: str
    processes: tuple[Process, ...]
    url: str
    login: str = ""
    public_login: str = ""  # as everybody may see it: names a password's file in its place
    publishes: Mapping[str, str] = field(default_factory=dict)  # setting → value, for services.env
    prepare: Process | None = None  # runs to its end before the others start
    finish: Callable[[], None] = lambda: None  # once it is ready


def environment(settings: Settings) -> dict[str, str]:
    """What every process of ours gets: the caller's environment, without what is meant for other installations."""
    foreign = (
        "FORETASTE_",
        "AIRFLOW",
        "_AIRFLOW",
        "MLFLOW_",
        "_MLFLOW",
        "WEED_",
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
    )
    return {
        **inherited_environment(drop_prefixes=foreign),
        HOME_MARK: str(settings.home),
        "TMPDIR": str(settings.home / "tmp"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "SPT_NOENV": "1",  # Airflow writes its process titles over the environment otherwise, our mark included
    }


def given_settings(settings: Settings, known: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The settings that a person gave, as environment variables: what ``up`` was called with is what tasks see.

    Args:
        known: for each setting, values that did not come from a person, or that stand in a file of the home
            folder, where every process reads them as they are at that time.
    """
    given = {name: text_of(getattr(settings, name)) for name in sorted(settings.model_fields_set | {"home"})}
    return {
        f"FORETASTE_{name.upper()}": text for name, text in given.items() if text not in known.get(name, ())
    }


def text_of(value: object) -> str:
    """A setting as it stands in the environment."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def answers(port: int, path: str = "/", seconds: float = 2) -> tuple[int, bytes]:
    """Status and body of a GET on loopback; (0, b"") when nobody answers."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
