"""The loop's own memory: the lease, the fence, and small records of what has been committed.

SQLite in the home folder, or any database that SQLAlchemy reaches through ``FORETASTE_STATE_URL``.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from contracts.errors import FenceStale, LeaseHeld, ServiceUnreachable
from contracts.settings import Settings
from jobs.io.commit import cross

_METADATA = sa.MetaData()
_LEASE = sa.Table(
    "lease",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("fence", sa.BigInteger, nullable=False),  # of the holder
    sa.Column("last_fence", sa.BigInteger, nullable=False),  # the highest that was ever issued
    sa.Column("run_id", sa.Text),
    sa.Column("step", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("pid", sa.Integer),  # of the step that runs now; null between two steps of a run
    sa.Column("pid_started", sa.Float),
    sa.Column("expires_at", sa.Float, nullable=False),
)
_RECORDS = sa.Table(
    "records",
    _METADATA,
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

# Collections of records
DELIVERIES = "deliveries"  # kind/received → sha256, known_date, landed_day
LANDINGS = "landings"  # day → what the landing of that day read and touched
REPLAYS = (
    "replays"  # first day that sees the rows → what was replayed and touched, and what is still to be done
)
UNFINISHED = "unfinished"  # "landing" → what a landing began to write; nothing once it is recorded
READERS_TOLD = (
    "readers_told"  # "landing" → the day whose landing told readers last; what it told holds until it lands
)
RUNS = "runs"  # kind/day → the manifest that fixes the run, and its digest
PUBLICATIONS = "publications"  # version → day, kind, digest
PROMOTIONS = "promotions"  # MLflow version → the day it was promoted on, its digest
DEMOTIONS = (
    "demotions"  # MLflow version → the day on which what followed its lists had fallen, who took over, why
)
HEARD = "heard"  # feature day → the later day by whose words about consent its features were built again
RETRAININGS = "retrainings"  # day → reason and verdict
BLOCKINGS = (
    "blockings"  # item → what was said about it: blocked or not, when, by whom, why; the last word holds
)
ROLLBACKS = "rollbacks"  # fence → from which version to which
PASSED = "passed"  # table/day → the content and the suite with which a partition passed the gate of its day
VERDICTS = "verdicts"  # day → the drift monitor's verdict
REFUSALS = "refusals"  # kind/day → the step that said no last, and why; gone once it has passed
DURATIONS = "durations"  # kind/day → the seconds that each step of the run took
DENIALS = "denials"  # digest of an erased user who had denied → when that was said, and the first day that knows of the erasure
APPROVALS = "approvals"  # day → what a person said to that day's challenger
STALENESS = (
    "staleness"  # day → how good one model was on each day after its training, and how often to retrain
)
ALARMS = "alarms"  # kind/Dag → when it was last told, and how often it was held back since


@dataclass(frozen=True)
class Lease:
    """The right to write, held by one step of one run, with a fence that only rises."""

    state: State
    run_id: str
    fence: int

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Hold the state's write lock around a flip, so that a newer attempt cannot slip in between.

        Raises:
            FenceStale: a newer attempt holds the lease.
        """
        with self.state.write() as connection:
            holder = connection.execute(sa.select(_LEASE)).one()
            if holder.fence != self.fence:
                raise FenceStale(
                    f"fence {self.fence} of run {self.run_id} is stale: {holder.run_id} holds {holder.fence}. "
                    "This attempt writes nothing more; the newer one goes on."
                )
            yield


class State:
    """Lease, fence and records behind one database URL."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self._is_sqlite = url.startswith("sqlite")
        arguments: dict[str, Any] = {"connect_args": {"timeout": 30}} if self._is_sqlite else {}
        self._engine = sa.create_engine(url, poolclass=sa.NullPool, **arguments)
        try:
            self._prepare()
        except OperationalError as error:
            shown = sa.make_url(url).render_as_string(hide_password=True)
            raise ServiceUnreachable(
                f"state store {shown} does not answer: {error.orig}. Set FORETASTE_STATE_URL."
            ) from error

    @classmethod
    def of(cls, settings: Settings) -> State:
        return cls(settings.resolved_state_url)

    def _prepare(self) -> None:
        with self.write() as connection:
            _METADATA.create_all(connection)
            if connection.execute(sa.select(_LEASE.c.id)).first() is None:
                connection.execute(_LEASE.insert().values(id=1, fence=0, last_fence=0, expires_at=0.0))

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that holds the write lock from its start to its end."""
        with self._engine.connect() as connection:
            if self._is_sqlite:
                # The driver would begin lazily and let two writers read the same lease.
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                connection.connection.driver_connection.isolation_level = None  # type: ignore[union-attr]
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7051)")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK") if self._is_sqlite else connection.rollback()
                raise
            connection.exec_driver_sql("COMMIT") if self._is_sqlite else connection.commit()

    # The lease

    @contextmanager
    def lease(self, run_id: str, step: str, seconds: float, *, is_last: bool) -> Iterator[Lease]:
        """Hold the lease while a step runs; between the steps of a run it stays reserved for ``seconds``.

        Raises:
            LeaseHeld: another run, or another attempt of this one, is at work; the message names it.
        """
        lease = self._acquire(run_id, step, seconds)
        stop = threading.Event()
        beat = threading.Thread(target=self._renew, args=(lease, seconds, stop), daemon=True)
        beat.start()
        is_over = True  # a step that fails ends its run: others may go on
        try:
            yield lease
            is_over = is_last
        finally:
            stop.set()
            beat.join()
            self._release(lease, keep_seconds=0 if is_over else seconds)

    def _acquire(self, run_id: str, step: str, seconds: float) -> Lease:
        with self.write() as connection:
            holder = connection.execute(sa.select(_LEASE)).one()
            reason = self._why_held(holder, run_id)
            if reason:
                raise LeaseHeld(
                    f"{reason} Wait for it to end, or end it; a silent one is overruled after {seconds:.0f} s."
                )
            fence = holder.last_fence + 1
            connection.execute(
                _LEASE.update().values(
                    fence=fence,
                    last_fence=fence,
                    run_id=run_id,
                    step=step,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    pid_started=psutil.Process().create_time(),
                    expires_at=self.clock() + seconds,
                )
            )
        return Lease(self, run_id, fence)

    def _why_held(self, holder: sa.Row[Any], run_id: str) -> str:
        if holder.expires_at <= self.clock():
            return ""
        if holder.pid is None:
            return (
                ""
                if holder.run_id == run_id
                else f"run {holder.run_id} is between two steps, after {holder.step}."
            )
        if holder.host == socket.gethostname() and not _is_alive(holder.pid, holder.pid_started):
            return ""
        return f"run {holder.run_id} is in step {holder.step} (process {holder.pid} on {holder.host})."

    def _renew(self, lease: Lease, seconds: float, stop: threading.Event) -> None:
        while not stop.wait(seconds / 4):
            with self.write() as connection:
                connection.execute(
                    _LEASE.update()
                    .where(_LEASE.c.fence == lease.fence)
                    .values(expires_at=self.clock() + seconds)
                )

    def _release(self, lease: Lease, keep_seconds: float) -> None:
        with self.write() as connection:
            connection.execute(
                _LEASE.update()
                .where(_LEASE.c.fence == lease.fence)
                .values(
                    pid=None,
                    pid_started=None,
                    expires_at=self.clock() + keep_seconds if keep_seconds else 0.0,
                )
            )

    def holder(self) -> str | None:
        """Who holds the lease, in words; None when nobody does."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_LEASE)).one()
        return self._why_held(row, "").rstrip(".") or None

    def next_fence(self, above: int = 0) -> int:
        """A fence above every other, and above ``above``, for a flip that needs no lease (a rollback)."""
        with self.write() as connection:
            fence = max(int(connection.execute(sa.select(_LEASE.c.last_fence)).scalar_one()), above) + 1
            connection.execute(_LEASE.update().values(last_fence=fence))
        return fence

    # Records

    def put(self, collection: str, key: str, body: dict[str, Any]) -> None:
        """Write one record, replacing what stood under its key."""
        self.put_many(collection, {key: body})

    def put_many(
        self,
        collection: str,
        bodies: dict[str, dict[str, Any]],
        also: tuple[str, str, dict[str, Any]] | None = None,
    ) -> None:
        """Write several records at once, or none; ``also`` is one of another collection: (collection, key, body)."""
        self._write([(collection, key, body) for key, body in bodies.items()] + ([also] if also else []))

    def put_all(self, collections: dict[str, dict[str, dict[str, Any]]]) -> None:
        """Write records of several collections at once, or none."""
        self._write(
            [(name, key, body) for name, bodies in collections.items() for key, body in bodies.items()]
        )

    def _write(self, written: list[tuple[str, str, dict[str, Any]]]) -> None:
        with self.write() as connection:
            for collection, key, body in written:
                connection.execute(
                    _RECORDS.delete().where(_RECORDS.c.collection == collection, _RECORDS.c.key == key)
                )
                connection.execute(
                    _RECORDS.insert().values(
                        collection=collection, key=key, body=json.dumps(body, sort_keys=True)
                    )
                )
        cross("state:recorded")

    def change(
        self,
        collection: str,
        key: str,
        rule: Callable[[dict[str, Any] | None], dict[str, Any] | None],
    ) -> dict[str, Any] | None:
        """Put what ``rule`` makes of a record in its place, with nobody in between; None takes it away."""
        place = (_RECORDS.c.collection == collection, _RECORDS.c.key == key)
        with self.write() as connection:
            held = connection.execute(sa.select(_RECORDS.c.body).where(*place)).scalar_one_or_none()
            body = rule(None if held is None else json.loads(held))
            connection.execute(_RECORDS.delete().where(*place))
            if body is not None:
                told = json.dumps(body, sort_keys=True)
                connection.execute(_RECORDS.insert().values(collection=collection, key=key, body=told))
        return body

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        with self._engine.connect() as connection:
            body = connection.execute(
                sa.select(_RECORDS.c.body).where(_RECORDS.c.collection == collection, _RECORDS.c.key == key)
            ).scalar_one_or_none()
        return None if body is None else json.loads(body)

    def all(self, collection: str) -> dict[str, dict[str, Any]]:
        """Every record of a collection, in the order of the keys."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(_RECORDS.c.key, _RECORDS.c.body)
                .where(_RECORDS.c.collection == collection)
                .order_by(_RECORDS.c.key)
            ).all()
        return {str(key): json.loads(str(body)) for key, body in rows}


def _is_alive(pid: int, started: float) -> bool:
    """Is this very process running? A process id alone may have been given to somebody else."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
