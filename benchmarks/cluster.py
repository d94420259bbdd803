"""A standalone Spark cluster on this machine, from the pip package's own classes: a master and some workers.

It listens on the loopback interface and writes below one folder. Each part leads a process group of its own, and is
ended by its id, with all that it has started.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_SECONDS_TO_START = 300.0
_SECONDS_TO_END = 20.0


@dataclass(frozen=True)
class Cluster:
    """Its address, and its workers in the order in which they were started."""

    master: str
    workers: tuple[int, ...]  # process ids

    def kill(self, worker: int) -> None:
        """End a worker with its executor and the executor's Python, as a machine that goes dark would."""
        kill_tree(self.workers[worker])


@contextmanager
def standalone_cluster(
    folder: Path, *, num_workers: int = 2, cores: int = 1, memory: str = "1g"
) -> Iterator[Cluster]:
    """Start a master and workers; when the block ends they have ended.

    Args:
        cores: of each worker: so many tasks at once.
        memory: of each worker, for its executors' JVMs.
    """
    with ExitStack() as stack:
        port, page = free_port(), free_port()
        where = ("--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page))
        stack.enter_context(_part("master.Master", *where, folder=folder / "master"))
        _wait_for(port)
        url = f"spark://127.0.0.1:{port}"
        workers, ports = [], []
        for number in range(num_workers):
            own, page = free_port(), free_port()
            where = ("--host", "127.0.0.1", "--port", str(own), "--webui-port", str(page))
            size = ("--cores", str(cores), "--memory", memory)
            begun = _part("worker.Worker", *where, *size, url, folder=folder / f"worker{number}")
            workers.append(stack.enter_context(begun))
            ports.append(own)
        for own in ports:
            _wait_for(own)
        yield Cluster(url, tuple(workers))


@contextmanager
def _part(kind: str, *arguments: str, folder: Path) -> Iterator[int]:
    """One process of the cluster, while the block runs."""
    import pyspark

    home = Path(pyspark.__file__).parent
    folder.mkdir(parents=True)
    own = {
        "SPARK_HOME": str(home),
        "SPARK_WORKER_DIR": str(folder),
        "SPARK_LOCAL_DIRS": str(folder),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:-UsePerfData -XX:TieredStopAtLevel=1",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", *arguments],
            cwd=folder,
            env={**inherited, **own},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        kill_tree(process.pid)
        process.wait()


def kill_tree(pid: int) -> None:
    """End a process and all it has started, at once."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        tree = [*process.children(recursive=True), process]
        for each in tree:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        psutil.wait_procs(tree[:-1], timeout=_SECONDS_TO_END)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listened on port {port} within {_SECONDS_TO_START:.0f} s")
        time.sleep(0.1)
