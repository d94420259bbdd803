"""The closed loop on one machine: a shop, its history, two days under Airflow, an alarm, a retraining.

Runs Foretaste from outside, as a person would: through its command line and Airflow. What it prints at the
end is read from Airflow's own database, from ``foretaste status`` and from Redis; then it asks the decision API as a shop does.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from contracts.errors import ForetasteError
from contracts.feed import days_between
from contracts.settings import Settings, load_settings
from simulator.airflow_runs import AirflowRuns, TaskRun
from simulator.api_calls import show_calls
from simulator.command import DemoFailed, console, foretaste
from simulator.operator import trigger
from simulator.published import Published, read_published
from simulator.worlds import OnlineRetail, SimulatedShop, World

MARKER = "demo.json"
_OVER = ("success", "failed")
_RUN_TIMEOUT = 900


@contextmanager
def stage(number: int, title: str) -> Iterator[None]:
    """Print what is going on, and how long it took."""
    console.print(f"\n[bold]{number}. {title}[/bold]")
    begun = time.perf_counter()
    yield
    console.print(f"   [dim]{time.perf_counter() - begun:.1f} s[/dim]")


def wait_for_run(runs: AirflowRuns, dag_id: str, count: int) -> str:
    """Wait until the ``count``-th run of a Dag is over; every task is shown as it ends.

    Raises:
        DemoFailed: the run failed, or does not end.
    """
    shown: set[tuple[str, str]] = set()
    for _ in range(_RUN_TIMEOUT):
        tasks = [task for task in runs.tasks() if task.dag_id == dag_id]
        run_ids = list(dict.fromkeys(task.run_id for task in tasks))
        if len(run_ids) >= count:
            current = [task for task in tasks if task.run_id == run_ids[count - 1]]
            for task in current:
                _show_task(task, shown)
            if current[0].run_state in _OVER:
                if current[0].run_state != "success":
                    raise DemoFailed(
                        f"{dag_id} {run_ids[count - 1]} failed; its log is under HOME/airflow/logs"
                    )
                return run_ids[count - 1]
        time.sleep(1)
    raise DemoFailed(
        f"{dag_id}: run {count} was not over after {_RUN_TIMEOUT} s; look at it: foretaste status"
    )


def _show_task(task: TaskRun, shown: set[tuple[str, str]]) -> None:
    key = (task.run_id, str(task.task_id))
    if task.state in ("success", "failed", "skipped") and key not in shown:
        shown.add(key)
        console.print(f"   {task.task_id:<28} {task.state:<8} {task.seconds or 0:6.1f} s", markup=False)


def run_demo(world: World, settings: Settings) -> None:
    """Everything that the demo shows, for one world."""
    console.print(f"[bold]Foretaste[/bold]: {world.title}. State lies in {settings.home}.")
    history = days_between(world.first, world.last_history)
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(foretaste, "up", is_shown=False)  # meanwhile, nothing below needs a server
        with stage(1, f"{len(history)} days of history are delivered, {world.first} to {world.last_history}"):
            console.print(f"   {world.deliver(history, None)}", markup=False)
        with stage(2, f"History up to {world.champion_day} becomes tables and features, in one pass"):
            foretaste("load", "--day", str(world.first), "--to", str(world.champion_day))
        with stage(3, "Servers have been starting meanwhile: Redis protocol, S3 protocol, MLflow, Airflow"):
            starting.result()
            settings = load_settings()
            console.print(f"   Airflow {settings.airflow_url}   MLflow {settings.mlflow_url}", markup=False)
    with stage(4, "A first champion is trained on it, judged on its last days, and published"):
        foretaste("retrain", "--day", str(world.champion_day), "--reason", "first model")
    with stage(5, f"{world.story}: the days up to {world.last_history} pass while nobody retrains"):
        foretaste(
            "load", "--day", str(world.champion_day + timedelta(days=1)), "--to", str(world.last_history)
        )
    runs = AirflowRuns(settings)
    retraining = None
    for count, day in enumerate(world.live_days, start=1):
        with stage(5 + count, f"Airflow's scheduler runs {day}, as soon as the shop has delivered it"):
            console.print(f"   {world.deliver([day], read_published(settings))}", markup=False)
            wait_for_run(runs, "foretaste_daily", count)
            has_rung = any(
                task.task_id == "ring_drift_alarm" and task.state == "success" for task in runs.tasks()
            )
            if has_rung and not retraining:
                console.print(
                    "   The drift alarm has rung: a retraining starts by itself. Why:", markup=False
                )
                _show_reasons(json.loads(foretaste("status", "--json", is_shown=False))["drift"]["reasons"])
                retraining = wait_for_run(runs, "foretaste_retrain", 1)
                _show_outcome(json.loads(foretaste("status", "--json", is_shown=False))["retrainings"][-1])
    if world.is_judged_at_end and not retraining:
        with stage(6 + len(world.live_days), "No alarm has rung: an operator starts a retraining in Airflow"):
            last = world.live_days[-1]
            trigger(
                settings, "foretaste_retrain", {"day": str(last), "reason": "the last days judge the lists"}
            )
            wait_for_run(runs, "foretaste_retrain", 1)
    published = read_published(settings)
    show_summary(settings, runs, published)
    if world.recovery():
        console.print(f"[bold]{world.recovery()}[/bold]")
    if published is not None:
        show_calls(settings, published)
    show_where_to_look(settings)


def _show_reasons(reasons: Sequence[str]) -> None:
    for reason in reasons:
        console.print(f"     {reason}", markup=False)


def _show_outcome(retraining: dict[str, Any]) -> None:
    """Say what came of a retraining, and why."""
    outcome = "promoted" if retraining.get("is_promoted") else "refused"
    console.print(f"   Challenger {retraining.get('challenger')} is {outcome}:", markup=False)
    _show_reasons(retraining["verdict"]["reasons"])


def show_summary(settings: Settings, runs: AirflowRuns, published: Published | None) -> None:
    """Print what happened: runs, rows, models, drift and lists."""
    status = json.loads(foretaste("status", "--json", is_shown=False))
    console.print()
    console.print(_runs_table(runs.tasks()))
    for table in (_rows_table(status["landings"]), _models_table(status["retrainings"])):
        console.print(table)
    if status["retrainings"]:
        show_competitors(status["retrainings"][-1])
        show_against_popularity(status["retrainings"][-1])
    for day, drift in status["verdicts"].items():
        reasons = "; ".join(drift["reasons"])
        console.print(f"Drift on {day}: [bold]{drift['verdict']}[/bold]{f'. {reasons}' if reasons else ''}")
    live = status["published"]
    console.print(
        f"Published: {live['version']} of {live['day']}, {live['num_users']} users, sha256 {live['sha256'][:16]}…"
    )
    if published is not None:
        console.print(_list_table(published))


def show_where_to_look(settings: Settings) -> None:
    """Print where to look next."""
    console.print("\nWhere to look next:")
    console.print(
        "  make up                         Airflow, MLflow, reports and dbt docs, with these runs in them"
    )
    console.print(f"  {settings.reports_path / 'index.html'}", markup=False)
    console.print(
        "  .venv/bin/foretaste status | recommend USER | explain USER ITEM | rollback | quarantine | doctor"
    )


def show_competitors(retraining: dict[str, Any]) -> None:
    """Print which recommenders competed in the last retraining, and how near each came."""
    validation = retraining["validation"]
    best = sorted(validation["ndcg_at_10"].items(), key=lambda pair: -pair[1])
    told = ", ".join(f"{name} {ndcg:.4f}" for name, ndcg in best)
    console.print(
        f"The challenger is {retraining['recommender']}, chosen by {validation['num_users']:,} people on earlier days, ndcg@10: {told}"
    )


def show_against_popularity(retraining: dict[str, Any]) -> None:
    """Print what the last retraining's challenger gained over recent popularity, with its interval."""
    difference = retraining["verdict"]["differences"]["popularity"]
    console.print(
        f"Lists against recent popularity, {retraining['judged_from']} to {retraining['day']}, "
        f"{retraining['num_users']:,} users: ndcg@10 {difference['mean']:+.4f} "
        f"[{difference['low']:+.4f}, {difference['high']:+.4f}] (95 % bootstrap)"
    )


def _runs_table(tasks: list[TaskRun]) -> Table:
    table = Table(title="Runs, from Airflow's database", title_justify="left")
    for column in ("run", "task", "state"):
        table.add_column(column)
    table.add_column("seconds", justify="right")
    last = ""
    for task in tasks:
        if task.task_id is None or task.state is None:
            continue
        run = (
            f"{task.dag_id} of {task.day}" if task.day else f"{task.dag_id} {task.run_type.replace('_', ' ')}"
        )
        table.add_row(
            run if task.run_id != last else "", task.task_id, task.state, f"{task.seconds or 0:.1f}"
        )
        last = task.run_id
    return table


def _rows_table(landings: dict[str, dict[str, int]]) -> Table:
    table = Table(
        title="Rows of events, read = good + quarantined + duplicate + set aside", title_justify="left"
    )
    table.add_column("landed on")
    outcomes = ("read", "good", "quarantined", "duplicate", "set_aside")
    for outcome in outcomes:
        table.add_column(outcome.replace("_", " "), justify="right")
    for day, account in landings.items():
        table.add_row(day, *(f"{account.get(outcome, 0):,}" for outcome in outcomes))
    return table


def _models_table(retrainings: list[dict[str, Any]]) -> Table:
    table = Table(title="Retrainings, judged on days that the models had not seen", title_justify="left")
    for column in ("day", "model", "ndcg@10", "hit rate@10", "coverage@10", "verdict"):
        table.add_column(column, justify="right" if "@" in column else "left", overflow="fold")
    for retraining in retrainings:
        verdict = "; ".join(retraining["verdict"]["reasons"])
        for index, (name, metrics) in enumerate(retraining["metrics"].items()):
            table.add_row(
                retraining["day"] if index == 0 else "",
                f"challenger ({retraining['recommender']})" if name == "challenger" else name,
                f"{metrics['ndcg_at_10']:.4f}",
                f"{metrics['hit_rate_at_10']:.3f}",
                f"{metrics['coverage_at_10']:.3f}",
                f"{'promoted' if retraining['is_promoted'] else 'refused'}: {verdict}" if index == 0 else "",
            )
    return table


def _list_table(published: Published) -> Table:
    user = sorted(published.lists)[len(published.lists) // 2]
    table = Table(title=f"The list of user {user}, version {published.version}", title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("item")
    table.add_column("title")
    table.add_column("because of")
    for rank, item in enumerate(published.lists[user][:5], start=1):
        because = (published.titles[reason] for reason in published.reasons[user][rank - 1])
        table.add_row(str(rank), item, published.titles[item], ", ".join(because))
    return table


#: What `make test`, `make bench`, `make proof` and `make calibrate` leave in the home folder is nobody's state.
_OF_OTHER_COMMANDS = ("tests", "bench", "bench.jsonl", "proof", "calibration")


def fresh_home(settings: Settings, world: World) -> Settings:
    """An empty home folder with the world's settings in it; what an earlier demo left is removed.

    Raises:
        DemoFailed: the folder holds somebody's own state.
    """
    home = settings.home
    if home.exists() and any(path.name not in _OF_OTHER_COMMANDS for path in home.iterdir()):
        if not (home / MARKER).exists():
            raise DemoFailed(
                f"{home} holds state that no demo has written. Run the demo elsewhere: FORETASTE_HOME=/some/folder make demo"
            )
        foretaste("down", is_shown=False)
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).write_text(json.dumps({"title": world.title}))
    (home / "settings.env").write_text(
        "".join(f"FORETASTE_{name}={value}\n" for name, value in world.settings.items())
    )
    return load_settings()


def main() -> None:
    """``make demo``: with a simulated shop, or with DATA=online-retail SOURCE=folder on real data."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--data", choices=["simulated", "online-retail"], default="simulated")
    parser.add_argument("--source", type=Path, help="folder of the real data set")
    parser.add_argument("--seed", type=int, default=7, help="seed of the simulated shop")
    parser.add_argument("--no-shift", action="store_true", help="a simulated shop whose taste stays as it is")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    try:
        settings = load_settings()
        world: World
        if arguments.data == "online-retail":
            if arguments.source is None:
                parser.error(
                    "--data online-retail needs --source: make demo DATA=online-retail SOURCE=folder"
                )
            world = OnlineRetail(settings.home / "feed", arguments.source.absolute())
        else:
            world = SimulatedShop(settings.home / "feed", arguments.seed, has_shift=not arguments.no_shift)
        settings = fresh_home(settings, world)
        try:
            run_demo(world, settings)
        finally:
            foretaste("down", is_shown=False)
    except ForetasteError as error:
        console.print(f"[bold red]{type(error).__name__}[/bold red]: {error}")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        console.print("\nStopped. Nothing is left running; what was begun is replaced by the next demo.")
        raise SystemExit(130) from None
    console.print(f"\nThe demo took {time.perf_counter() - begun:.0f} s.")


if __name__ == "__main__":
    main()
