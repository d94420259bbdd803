"""The way in: what is logged, how an error is told, and with which exit code it ends."""

from __future__ import annotations

import logging
import signal
import sys

import click

from contracts.errors import (
    EXIT_FAILED,
    EXIT_NOTHING_TO_DO,
    EXIT_TRY_AGAIN,
    ForetasteError,
    NothingToDo,
)
from contracts.settings import load_settings
from jobs.cli.group import cli


def _next_command(error: ForetasteError, arguments: list[str]) -> str:
    if error.exit_code == EXIT_TRY_AGAIN:
        return f"foretaste {' '.join(arguments)}"
    return "foretaste doctor" if error.exit_code == EXIT_FAILED else "foretaste status"


def main() -> None:
    """Run the CLI; a refusal is one line that says what, why, what is still served and what to do next."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    for noisy in (
        "py4j",
        "botocore",
        "boto3",
        "urllib3",
        "great_expectations",
        "httpx",
        "alembic",
        "pyspark",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger().handlers[0].addFilter(_is_worth_reading)
    # A task that an orchestrator ends has to give back its lease and its child processes.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    arguments = sys.argv[1:]
    try:
        cli(standalone_mode=False)
    except NothingToDo as nothing:
        click.echo(f"nothing to do: {nothing}", err=True)
        raise SystemExit(EXIT_NOTHING_TO_DO) from None
    except ForetasteError as error:
        served = (
            ""
            if arguments[:1] in (["doctor"], ["up"], ["down"], ["import"], ["audit"])
            else f" | {_served(error)}"
        )
        click.echo(
            f"{type(error).__name__}: {error}{served} | next: {_next_command(error, arguments)}", err=True
        )
        raise SystemExit(error.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(2) from None
    except click.Abort:
        raise SystemExit(130) from None


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Great Expectations gives its loggers levels of their own; only its warnings matter here."""
    return record.levelno >= logging.WARNING or not record.name.startswith("great_expectations")


def _served(error: ForetasteError) -> str:
    from jobs.alarms import what_is_served

    try:
        return what_is_served(load_settings())
    except ForetasteError as problem:
        return str(problem)
