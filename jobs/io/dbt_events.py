"""dbt's events, without those that no log of ours gets.

dbt writes the line of every debug event, of which a day has thousands, and only then asks whether a log wants it: in a
small shop that takes a good part of a build.
"""

from __future__ import annotations

from typing import Any

from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager import EventManager
from dbt_common.events.event_manager_client import ctx_set_event_manager

_DEBUG = (EventLevel.DEBUG, EventLevel.TEST)


class _HeardEvents(EventManager):
    """Passes on no debug event where no log is one of debug events (DBT_DEBUG=1 would make one)."""

    def fire_event(
        self,
        e: Any,
        level: EventLevel | None = None,
        node: Any = None,
        force_warn_or_error_handling: bool = False,
    ) -> None:
        is_debug = (level or e.level_tag()) in _DEBUG and not force_warn_or_error_handling
        if not is_debug or any(log.level in _DEBUG for log in self.loggers):
            super().fire_event(e, level, node, force_warn_or_error_handling)


def drop_unheard_events() -> None:
    """From now on, in the whole process, dbt makes nothing of an event that none of its logs gets."""
    ctx_set_event_manager(_HeardEvents())
