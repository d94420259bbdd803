"""What Airflow's own database says about its runs; read only, from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from contracts.settings import Settings

_TASKS = sa.text(
    """
    select run.dag_id, run.run_id, run.run_type, run.data_interval_end, run.state as run_state, task.task_id, task.state,
        task.duration as seconds
    from dag_run as run
    left join task_instance as task on task.dag_id = run.dag_id and task.run_id = run.run_id
    order by run.run_after, run.id, coalesce(task.start_date, task.end_date) nulls last, task.task_id
    """
).columns(data_interval_end=sa.DateTime)


@dataclass(frozen=True)
class TaskRun:
    """One task of one run."""

    dag_id: str
    run_id: str
    run_type: str
    data_interval_end: datetime | None  # a run that an asset has started has no interval
    run_state: str
    task_id: str | None  # None: the run has no tasks yet
    state: str | None
    seconds: float | None

    @property
    def day(self) -> date | None:
        """The day that the run describes, if its interval says so."""
        return self.data_interval_end.date() - timedelta(days=1) if self.data_interval_end else None


class AirflowRuns:
    """The runs that one Airflow has had."""

    def __init__(self, settings: Settings) -> None:
        url = (
            settings.airflow_db_url.get_secret_value()
            or f"sqlite:///{settings.home / 'airflow' / 'airflow.db'}"
        )
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)

    def tasks(self) -> list[TaskRun]:
        """Every task of every run, in the order in which they ran."""
        with self._engine.connect() as connection:
            return [TaskRun(**row) for row in connection.execute(_TASKS).mappings()]

    def states(self, dag_id: str) -> dict[str, str]:
        """The state of each run of a Dag, by run id, oldest first."""
        return {task.run_id: task.run_state for task in self.tasks() if task.dag_id == dag_id}

    def seconds_after(self, dag_id: str, task_id: str) -> float:
        """Seconds from the end of a task to the end of its run; of the Dag's latest run that is over."""
        query = sa.text(
            """
            select run.end_date as run_ended, task.end_date as task_ended
            from dag_run as run
            join task_instance as task on task.dag_id = run.dag_id and task.run_id = run.run_id
            where run.dag_id = :dag_id and task.task_id = :task_id and run.end_date is not null
            order by run.id desc
            limit 1
            """
        ).columns(run_ended=sa.DateTime, task_ended=sa.DateTime)
        with self._engine.connect() as connection:
            row = connection.execute(query, {"dag_id": dag_id, "task_id": task_id}).one()
        return float((row.run_ended - row.task_ended).total_seconds())

    def seconds_between(self, first: tuple[str, str], last: tuple[str, str]) -> float:
        """Seconds from the start of one task to the end of another, each (Dag, task); of their latest runs."""
        started, ended = self._latest(*first)[0], self._latest(*last)[1]
        return float((ended - started).total_seconds())

    def _latest(self, dag_id: str, task_id: str) -> tuple[datetime, datetime]:
        """When the latest run of a task that is over began and ended."""
        query = sa.text(
            """
            select start_date, end_date from task_instance
            where dag_id = :dag_id and task_id = :task_id and end_date is not null and start_date is not null
            order by start_date desc
            limit 1
            """
        ).columns(start_date=sa.DateTime, end_date=sa.DateTime)
        with self._engine.connect() as connection:
            row = connection.execute(query, {"dag_id": dag_id, "task_id": task_id}).one()
        return row.start_date, row.end_date
