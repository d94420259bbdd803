"""Commands that run the loop: days, history, retrainings, single steps, and a person's answer."""

from __future__ import annotations

import errno
import select
import sys
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TextIO

import click

from contracts.settings import load_settings
from jobs.cli.group import (
    accept_option,
    cli,
    day_option,
    json_option,
    listener,
    print_json,
    run_id_of,
    silent,
)


@cli.command("run")
@day_option(required=True, help="The day to run.")
@day_option("--to", "last", help="Run every day up to this one; only the newest goes live.")
@accept_option
def run_command(day: date, last: date | None, accept: str | None) -> None:
    """Run every step of a day: land, transform, build, score, publish, monitor."""
    from jobs.run import run_days

    run_days(load_settings(), day, last or day, run_id=run_id_of("run"), listener=listener, accept=accept)


@cli.command("load")
@day_option(required=True, help="First day of the history.")
@day_option("--to", "last", required=True, help="Last day of the history.")
@accept_option
def load_command(day: date, last: date, accept: str | None) -> None:
    """Load a history at once: land and transform, without scoring or publishing."""
    from jobs.run import load_history

    load_history(load_settings(), day, last, run_id=run_id_of("load"), listener=listener, accept=accept)


@cli.command("retrain")
@day_option(required=True, help="Train up to this day.")
@click.option("--reason", default="by hand", show_default=True, help="Why; recorded with the retraining.")
def retrain_command(day: date, reason: str) -> None:
    """Train a challenger, judge it against the champion, promote or refuse it, publish its lists."""
    from jobs.run import retrain

    retrain(
        load_settings(), day, run_id=run_id_of("retrain"), reason=reason, trigger="person", listener=listener
    )


@cli.command("follow")
@day_option(required=True, help="First day to run.")
@day_option("--to", "last", required=True, help="Last day to run.")
@click.option(
    "--retrain",
    "retrain_when",
    type=click.Choice(["on-alarm", "daily", "never"]),
    default="on-alarm",
    show_default=True,
    help="When the drift alarm rings, after every day, or never.",
)
@click.option(
    "--every", "every_days", default=0, type=click.IntRange(0), help="Retrain every so many days as well."
)
@click.option("--poll", default=60.0, show_default=True, help="Seconds between two looks for a delivery.")
@json_option
def follow_command(
    day: date, last: date, retrain_when: Any, every_days: int, poll: float, as_json: bool
) -> None:
    """Run each day as soon as it is delivered, without a scheduler: one line a day says what became of it."""
    from jobs.follow import follow

    settings = load_settings()
    found = follow(
        settings,
        day,
        last,
        retrain_when=retrain_when,
        every_days=every_days,
        poll_seconds=poll,
        run_id=run_id_of("follow"),
        listener=silent if as_json else listener,
        sleep=partial(wait_while_read, sys.stdout),
    )
    for each in found:
        print_json(each.as_record()) if as_json else click.echo(each.told())
        sys.stdout.flush()


def wait_while_read(output: TextIO, seconds: float) -> None:
    """Wait, as long as somebody reads what is printed.

    Raises:
        BrokenPipeError: whoever read ``output`` has gone; who waits for a day that nobody delivers would wait for good.
    """
    watched = select.poll()
    watched.register(output, 0)  # errors and hang-ups are told unasked; a file has none
    if watched.poll(1000 * seconds):
        raise BrokenPipeError(errno.EPIPE, "nobody reads any more what foretaste follow prints")


@cli.command("approve")
@day_option(required=True, help="The day of the retraining.")
@click.option("--decline", is_flag=True, help="The challenger does not become the champion.")
@click.option("--by", required=True, metavar="NAME", help="Who answers; recorded.")
@click.option("--note", default="", help="Why; recorded.")
@click.option(
    "--answer-only", is_flag=True, help="Record the answer and do nothing more: Airflow goes on by itself."
)
@click.option(
    "--unanswered", is_flag=True, help="The time for an answer has run out (what Airflow records then)."
)
def approve_command(
    day: date, decline: bool, by: str, note: str, answer_only: bool, unanswered: bool
) -> None:
    """Answer for a challenger that waits for a person; approved, it is promoted and its lists are published."""
    from jobs import approval
    from jobs.io.state import State
    from jobs.run import finish_retraining

    settings = load_settings()
    said = approval.UNANSWERED if unanswered else approval.DECLINED if decline else approval.APPROVED
    at = datetime.now(UTC).isoformat(timespec="seconds")
    answer = approval.answer(State.of(settings), day, said, by=by, at=at, note=note)
    if answer_only:
        print_json({**answer, "told": approval.told(answer)})
        return
    click.echo(approval.told(answer))
    finish_retraining(settings, day, run_id=run_id_of("approve"), listener=listener)


@cli.command("step")
@click.argument("name")
@day_option(required=True, help="The day to run the step for.")
@click.option("--run-id", help="The run that this step belongs to: its steps share one lease.")
@click.option("--reason", help="With prepare-retraining: why.")
@click.option("--trigger", help="With prepare-retraining: alarm, schedule or person.")
@accept_option
def step_command(
    name: str, day: date, run_id: str | None, reason: str | None, trigger: str | None, accept: str | None
) -> None:
    """Run one step; the last line it prints is its result as JSON."""
    from jobs.run import run_step
    from jobs.steps import LAST_STEPS, STEPS

    if name not in STEPS:
        raise click.BadParameter(f"{name!r} is no step; there are {', '.join(STEPS)}", param_hint="NAME")
    given = {"reason": reason, "trigger": trigger, "accept": accept}
    options = {key: value for key, value in given.items() if value}
    result = run_step(
        load_settings(),
        name,
        day,
        run_id=run_id or run_id_of(f"step-{name}"),
        is_last=run_id is None or name in LAST_STEPS,
        **options,
    )
    print_json(result)
