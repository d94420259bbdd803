"""dbt makes lines of those events that a log of its gets, and of no others."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from dbt_common.events.base_types import EventLevel, EventMsg
from dbt_common.events.event_manager_client import ctx_set_event_manager, get_event_manager
from dbt_common.events.functions import fire_event
from dbt_common.events.logger import LoggerConfig
from dbt_common.events.types import Note

from jobs.io.dbt_events import drop_unheard_events

EVERY = ("debug", "info", "warn", "error")


@pytest.fixture(autouse=True)
def manager() -> Iterator[None]:
    before = get_event_manager()
    drop_unheard_events()
    yield
    ctx_set_event_manager(before)


def told(level: EventLevel) -> tuple[list[str], list[str]]:
    """What a log of a level gets of one event of each, and of which of them a line was made."""
    log, made = io.StringIO(), []

    def make(event: EventMsg) -> bool:
        made.append(event.info.level)
        return True

    get_event_manager().add_logger(
        LoggerConfig(name=f"a log of {level}", level=level, output_stream=log, filter=make)
    )
    for each in EVERY:
        fire_event(Note(msg=f"this is {each}"), level=EventLevel(each))
    return [line.split()[-1] for line in log.getvalue().splitlines()], made


def test_a_log_of_information_gets_all_but_debug_events_and_no_line_is_made_of_those() -> None:
    assert told(EventLevel.INFO) == (["info", "warn", "error"], ["info", "warn", "error"])


def test_a_log_of_debug_events_gets_all() -> None:
    assert told(EventLevel.DEBUG) == (list(EVERY), list(EVERY))


def test_what_has_to_be_an_error_is_one_at_any_level() -> None:
    get_event_manager().warn_error = True
    with pytest.raises(Exception, match="this is debug"):
        fire_event(Note(msg="this is debug"), level=EventLevel.DEBUG, force_warn_or_error_handling=True)
