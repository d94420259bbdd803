"""The embedded servers, started and stopped for real, in a home folder whose path has a space."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError

from contracts.errors import ServiceUnreachable, SettingInvalid
from contracts.settings import Settings, load_settings
from jobs.doctor import doctor
from jobs.services import SERVERS, ServiceStatus, down, running, status, up
from jobs.services.server import HOME_MARK, answers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DEFAULT_PORTS = (6379, 8333, 5000, 8080, 8008, 8088)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "a home"
    yield home
    down(load_settings(home=home))
    assert processes_of(home) == []


@pytest.fixture
def default_ports_taken() -> Iterator[None]:
    """Somebody listens on every default port; where somebody does already, that will do."""
    with ExitStack() as stack:
        for port in DEFAULT_PORTS:
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
                listener.listen()
            except OSError:
                continue
        yield


def processes_of(home: Path) -> list[str]:
    """Command lines of what runs for this home folder, found by other means than the product's."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(HOME_MARK) == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def by_name(statuses: list[ServiceStatus]) -> dict[str, ServiceStatus]:
    return {server.name: server for server in statuses}


def states(settings: Settings) -> dict[str, str]:
    return {server.name: server.state for server in status(settings)}


def store(settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(settings.redis_url.get_secret_value())


def bucket(settings: Settings, secret: str | None = None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=secret or settings.s3_secret_key.get_secret_value(),
        region_name=settings.s3_region,
        config=Config(retries={"max_attempts": 1}),
    )


@pytest.mark.usefixtures("default_ports_taken")
def test_servers_come_up_beside_taken_ports_hold_what_they_got_and_go_down_whole(home: Path) -> None:
    wanted = {"valkey", "seaweedfs", "mlflow", "api", "reports"}
    started = by_name(up(load_settings(home=home), only=wanted))
    assert {name for name, server in started.items() if server.state == "running"} == wanted
    assert not {
        int(server.url.split(":")[2].split("/")[0]) for name, server in started.items() if name in wanted
    } & {*DEFAULT_PORTS}

    # They answer at the addresses that every other process finds, to those who have the keys.
    settings = load_settings(home=home)
    assert store(settings).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    store(settings).set("kept", "1")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=int(settings.redis_url.get_secret_value().split(":")[3].split("/")[0])).ping()
    bucket(settings).put_object(Bucket=settings.s3_bucket, Key="kept", Body=b"1")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        bucket(settings, secret="wrong").get_object(Bucket=settings.s3_bucket, Key="kept")
    assert settings.mlflow_url == started["mlflow"].url
    assert [check.name for check in doctor(settings) if check.name in wanted and not check.ok] == []

    # A second call finds them as they are.
    again = by_name(up(load_settings(home=home), only=wanted))
    assert {name: server.pids for name, server in again.items()} == {
        name: server.pids for name, server in started.items()
    }
    assert {server.seconds for server in again.values()} == {None}

    sockets = _sockets_of(started["seaweedfs"].pids[0])
    assert sockets
    down(settings)
    assert processes_of(home) == []
    assert not home.joinpath("services.env").exists()
    assert not any(path.exists() for path in sockets)
    assert set(states(load_settings(home=home)).values()) == {"stopped"}

    # What they were given is there when they come back, under the same keys and at the same addresses.
    with running(load_settings(home=home), only={"valkey", "seaweedfs"}) as back:
        assert back.redis_url == settings.redis_url
        assert back.s3_endpoint_url == settings.s3_endpoint_url
        assert store(back).get("kept") == b"1"
        assert bucket(back).get_object(Bucket=back.s3_bucket, Key="kept")["Body"].read() == b"1"
    assert processes_of(home) == []


def _sockets_of(pid: int) -> list[Path]:
    """The sockets that a process has made in the file system."""
    return [Path(found.laddr) for found in psutil.Process(pid).net_connections("unix") if found.laddr]


def test_secrets_are_generated_once_for_their_owner_only_and_never_shown_on_a_command_line(
    home: Path,
) -> None:
    with running(load_settings(home=home), only={"valkey", "seaweedfs"}) as settings:
        files = [home / "services.env", *(home / "secrets").iterdir(), *(home / "run").glob("*.[cj]*")]
        assert len(files) >= 6
        assert {oct(stat.S_IMODE(file.stat().st_mode)) for file in files} == {"0o600"}
        secrets = [file.read_text().strip() for file in (home / "secrets").iterdir()]
        shown = "\n".join(processes_of(home))
        assert "valkey-server" in shown
        assert not [secret for secret in secrets if secret in shown]
        url = settings.redis_url.get_secret_value()
    with running(load_settings(home=home), only={"valkey"}) as settings:
        assert settings.redis_url.get_secret_value() == url


def test_servers_that_were_killed_come_back_with_what_they_held(home: Path) -> None:
    killed = [server for server in up(load_settings(home=home), only={"valkey", "seaweedfs"}) if server.pids]
    settings = load_settings(home=home)
    store(settings).set("kept", "1")
    bucket(settings).put_object(Bucket=settings.s3_bucket, Key="kept", Body=b"1")
    pids = [server.pids[0] for server in killed]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=30)
    assert {states(settings)[name] for name in ("valkey", "seaweedfs")} == {"stopped"}
    back = by_name(up(settings, only={"valkey", "seaweedfs"}))
    assert not {pid for server in killed for pid in server.pids} & {
        *back["valkey"].pids,
        *back["seaweedfs"].pids,
    }
    assert store(settings).get("kept") == b"1"
    assert bucket(settings).get_object(Bucket=settings.s3_bucket, Key="kept")["Body"].read() == b"1"


def test_a_taken_port_that_was_set_by_hand_is_refused_before_anything_starts(home: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(SettingInvalid, match=rf"FORETASTE_S3_PORT={port}: port {port} .* is taken"):
            up(load_settings(home=home, s3_port=port), only={"valkey", "seaweedfs"})
    assert processes_of(home) == []


def test_a_server_moves_when_its_port_is_set_by_hand(home: Path) -> None:
    up(load_settings(home=home), only={"valkey"})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    moved = by_name(up(load_settings(home=home, redis_port=port), only={"valkey"}))["valkey"]
    assert moved.url == f"redis://127.0.0.1:{port}/0"
    assert store(load_settings(home=home)).ping()
    assert len(processes_of(home)) == 1


def test_a_server_that_settings_name_is_not_started(home: Path) -> None:
    settings = load_settings(
        home=home, redis_url="rediss://:secret@store.example:6380/0", s3_endpoint_url="aws"
    )
    told = by_name(up(settings, only={"valkey", "seaweedfs"}))
    assert (told["valkey"].state, told["valkey"].url) == ("external", "rediss://store.example:6380/0")
    assert told["seaweedfs"].state == "external"
    assert processes_of(home) == []
    assert not home.joinpath("services.env").exists()


def test_a_start_that_fails_says_why_and_leaves_nothing(home: Path) -> None:
    (home / "valkey").mkdir(parents=True)
    (home / "valkey" / "appendonlydir").write_text("where its log should be")
    with pytest.raises(
        ServiceUnreachable, match=r"(?s)valkey ended before it was ready.*valkey\.log:.*appendonlydir"
    ):
        up(load_settings(home=home), only={"valkey", "reports"})
    assert processes_of(home) == []
    assert not home.joinpath("services.env").exists()


HOLD = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored below nohup
from contracts.settings import load_settings
from jobs.services import running
with running(load_settings(home=Path(sys.argv[1])), only={"valkey", "reports"}):
    print("ready", flush=True)
    time.sleep(120)
"""


@contextmanager
def holder(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds two servers for as long as it lives."""
    command = [sys.executable, "-c", HOLD, str(home)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert len(processes_of(home)) == 2
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_signal_that_ends_the_holder_ends_the_servers(home: Path, number: signal.Signals) -> None:
    with holder(home) as process:
        process.send_signal(number)
        process.wait(timeout=30)
        assert processes_of(home) == []


def test_down_ends_what_a_killed_holder_left(home: Path) -> None:
    with holder(home):
        pass
    assert len(processes_of(home)) == 2
    down(load_settings(home=home))
    assert processes_of(home) == []


def test_down_ends_what_was_started_and_not_yet_written_down(home: Path) -> None:
    with holder(home):
        pass
    (home / "run" / "services.json").unlink()
    down(load_settings(home=home))
    assert processes_of(home) == []


def test_a_first_run_with_nothing_started_needs_no_mending(home: Path) -> None:
    checks = {check.name: check for check in doctor(load_settings(home=home))}
    assert {name: checks[name].ok for name in SERVERS} == dict.fromkeys(SERVERS, True)
    assert (
        "`foretaste up` starts it" in checks["valkey"].found or "takes a free one" in checks["valkey"].found
    )
    assert not home.exists()


def test_the_doctor_finds_a_secret_that_others_can_read(home: Path) -> None:
    up(load_settings(home=home), only={"valkey"})
    (home / "secrets" / "valkey.password").chmod(0o644)
    [check] = [check for check in doctor(load_settings(home=home)) if check.name == "secrets"]
    assert not check.ok
    assert str(home / "secrets" / "valkey.password") in check.found
    assert check.mend.startswith("chmod 600 ")


DAG = """
from airflow.sdk import dag, task

@dag(schedule="@once")
def scratch():
    @task(pool="warehouse")
    def first():
        return 1
    first()

scratch()
"""


@pytest.mark.slow
def test_airflow_runs_a_dag_and_asks_for_its_login(home: Path, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "scratch.py").write_text(DAG)
    with running(load_settings(home=home), only={"airflow"}, dags=tmp_path / "dags") as settings:
        port = int(settings.airflow_url.rsplit(":", 1)[1])
        assert answers(port, "/api/v2/dags")[0] == 401
        database = home / "airflow" / "airflow.db"
        assert _state_of_the_only_run(database) == "success"
    assert processes_of(home) == []


def _state_of_the_only_run(database: Path) -> str | None:
    import sqlite3

    state = None
    for _ in range(300):
        connection = sqlite3.connect(database)
        try:
            state = next((row[0] for row in connection.execute("select state from dag_run")), None)
        finally:
            connection.close()
        if state in ("success", "failed"):
            break
        time.sleep(0.2)
    return state
