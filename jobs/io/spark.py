"""One Spark, configured once: local[n] in this process's own JVM, or a standalone cluster.

With a ``spark://`` master the home folder and this code have to lie on paths that the workers share: they read and
write the lake's files where these are.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from contracts.errors import ServiceUnreachable
from contracts.settings import Settings, environment_of_library
from jobs.io.commit import write_durably
from jobs.io.java import class_archive

if TYPE_CHECKING:
    from pyspark import SparkContext

_REPOSITORY = Path(__file__).resolve().parents[2]

#: Without these a Spark of somebody else, or its configuration, would take the place of ours.
_FOREIGN = ("SPARK_", "PYSPARK_")

_SECONDS_TO_CONNECT = 5.0
_SECONDS_TO_FIND_EXECUTORS = 60.0
_SECONDS_WITHOUT_EXECUTORS = 60.0
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_END = 20.0
_SECONDS_TO_ARCHIVE = 300.0

_LOG4J = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = console
# Spark raises the root's level to this logger's when Python starts it.
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = error
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} spark %c{1} %m%n%ex
"""


@contextmanager
def spark_context(settings: Settings, *, archive_classes_to: Path | None = None) -> Iterator[SparkContext]:
    """A Spark whose JVM ends with the block; inside another one's block, that one.

    Args:
        archive_classes_to: write an archive of the classes that were loaded when it ends.

    Raises:
        JavaMissing: no Java, or one that is too old.
        ServiceUnreachable: the Spark master does not answer, or has no worker to give, or all workers were lost meanwhile.
    """
    from pyspark import SparkContext

    active = SparkContext._active_spark_context
    if active is not None:  # whoever has started it stops it
        yield active
        return
    archive = class_archive()
    _refuse_silent_master(settings.spark_master)
    if archive_classes_to is not None:
        sharing = [_quoted(f"-XX:ArchiveClassesAtExit={archive_classes_to}"), "-Xlog:disable"]
    else:
        sharing = [_quoted(f"-XX:SharedArchiveFile={archive}"), "-Xlog:cds*=off"] if archive.exists() else []
    context = _start(settings, sharing)
    try:
        _refuse_master_without_workers(context, settings.spark_master)
        with _without_workers_given_up(context, settings.spark_master):
            yield context
    finally:
        _stop(context, _SECONDS_TO_END if archive_classes_to is None else _SECONDS_TO_ARCHIVE)


def _start(settings: Settings, sharing: list[str]) -> SparkContext:
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException

    try:
        # PySpark configures its JVM by the environment alone; the launcher is a JVM of its own.
        own = {"PYSPARK_PYTHON": sys.executable, "SPARK_LAUNCHER_OPTS": "-XX:-UsePerfData"}
        with environment_of_library(own, without=_FOREIGN):
            configuration = SparkConf().setAll(list(_configuration(settings, sharing).items()))
            return SparkContext(conf=configuration)
    except (PySparkException, Py4JError) as error:
        raise ServiceUnreachable(
            f"Spark did not start with FORETASTE_SPARK_MASTER={settings.spark_master}: {error}. "
            "What its JVM said stands above; foretaste doctor looks at Java, memory and the master."
        ) from error


def _configuration(settings: Settings, sharing: list[str]) -> dict[str, str]:
    folder = settings.home / "spark"
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    logging = folder / "log4j2.properties"
    write_durably(logging, _LOG4J)
    java_options = [
        *sharing,
        "-XX:-UsePerfData",  # would write to /tmp
        "-XX:TieredStopAtLevel=1",  # it hands out tasks for seconds: starting fast matters, running fast does not
        _quoted(f"-Djava.io.tmpdir={temporary}"),
        _quoted(f"-Dlog4j2.configurationFile={logging.as_uri()}"),
    ]
    configuration = {
        "spark.app.name": "foretaste",
        "spark.master": settings.spark_master,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(temporary),
        # Tasks say that they are done and no more: one that sent rows to the driver would be refused.
        "spark.driver.maxResultSize": "32m",
        # Where Python workers find what they are given to do.
        "spark.executorEnv.PYTHONPATH": str(_REPOSITORY),
    }
    if settings.spark_master.startswith("local"):
        configuration |= {
            "spark.driver.memory": settings.spark_memory,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
    else:
        configuration |= {
            "spark.executor.memory": settings.spark_memory,
            "spark.executor.extraJavaOptions": "-XX:-UsePerfData",
        }
        if urlsplit(settings.spark_master).hostname in ("127.0.0.1", "localhost"):
            configuration["spark.driver.host"] = "127.0.0.1"
            configuration["spark.driver.bindAddress"] = "127.0.0.1"
    return configuration | {"spark.driver.extraJavaOptions": " ".join(java_options)}


def _quoted(option: str) -> str:
    """An option for Java that may hold spaces, as Spark's launcher splits them."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _stop(context: SparkContext, seconds: float) -> None:
    """End Spark and its JVM, which PySpark would leave running until Python ends."""
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    context.stop()
    SparkContext._gateway = None
    SparkContext._jvm = None
    gateway.shutdown()
    gateway.proc.stdin.close()  # the JVM ends when this pipe does
    try:
        gateway.proc.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        gateway.proc.kill()
        gateway.proc.wait()


def _refuse_silent_master(master: str) -> None:
    """Spark itself would try for minutes. One of several masters has to answer."""
    if master.startswith("local"):
        return
    reasons = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_SECONDS_TO_CONNECT).close()
            return
        except (OSError, ValueError) as error:
            reasons.append(f"{address}: {error}")
    raise ServiceUnreachable(
        f"Spark master {master} does not answer ({'; '.join(reasons)}). "
        "Start it, or set FORETASTE_SPARK_MASTER (local[2] needs none)."
    )


def _num_executors(context: SparkContext) -> int:
    return int(context._jsc.sc().getExecutorMemoryStatus().size()) - 1  # the driver counts as one


def _refuse_master_without_workers(context: SparkContext, master: str) -> None:
    """A job on a cluster without workers would wait for ever."""
    if master.startswith("local"):
        return
    from py4j.protocol import Py4JError

    deadline = time.monotonic() + _SECONDS_TO_FIND_EXECUTORS
    try:
        while not _num_executors(context):
            if time.monotonic() > deadline:
                raise ServiceUnreachable(
                    f"Spark master {master} gave no executor within {_SECONDS_TO_FIND_EXECUTORS:.0f} s: it has no worker, or "
                    "none with enough memory and cores free. Start a worker, or lower FORETASTE_SPARK_MEMORY."
                )
            time.sleep(0.2)
    except Py4JError as error:  # Spark has given the master up and stopped by itself
        raise ServiceUnreachable(
            f"Spark master {master} was lost before it gave an executor. Look at its log, and run the step again."
        ) from error


@contextmanager
def _without_workers_given_up(context: SparkContext, master: str) -> Iterator[None]:
    """A job whose workers have all been lost would wait for ever as well; while one is left, it does the others' tasks."""
    if master.startswith("local"):
        yield
        return
    is_over, is_given_up = threading.Event(), threading.Event()
    watching = threading.Thread(target=_watch, args=(context, is_over, is_given_up), daemon=True)
    watching.start()
    try:
        yield
    except Exception as error:
        if is_given_up.is_set():
            raise ServiceUnreachable(
                f"Spark master {master} has lost all executors and had no other for {_SECONDS_WITHOUT_EXECUTORS:.0f} s. "
                "What was committed before stands; start a worker and run the step again."
            ) from error
        raise
    finally:
        is_over.set()
        watching.join()


def _watch(context: SparkContext, is_over: threading.Event, is_given_up: threading.Event) -> None:
    """Cancel what has had no executor for too long; a driver that has ended has nothing to cancel."""
    from py4j.protocol import Py4JError

    alone_since = time.monotonic()
    with suppress(Py4JError):
        while not is_over.wait(_SECONDS_BETWEEN_LOOKS):
            if _num_executors(context):
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > _SECONDS_WITHOUT_EXECUTORS:
                is_given_up.set()
                context.cancelAllJobs()
                return
