"""The models that rank sessions, each of the version it was published with: loaded while requests go on."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable

from serving.bundle import Bundle
from serving.online import Online
from serving.pipe import StoreAway
from serving.session_ranker import SessionRanker, load_ranker

log = logging.getLogger("foretaste.serving")

#: Versions whose model is held: the live one and the one that a rollback goes to.
_HELD = 2
#: Seconds between two tries to load one that could not be.
_TRIED_EVERY = 10.0


class SessionModels:
    """Holds the models of the last versions.

    Args:
        clock: a clock that never goes back, in seconds.
    """

    def __init__(self, online: Online, clock: Callable[[], float]) -> None:
        self._online, self._clock = online, clock
        self._rankers: dict[str, SessionRanker] = {}  # by version; who was wanted last comes last
        self._problems: dict[str, tuple[str, float]] = {}  # by version, and when it was tried
        self._loading: asyncio.Task[None] | None = None

    def of(self, bundle: Bundle | None) -> SessionRanker | None:
        """The model of a version, if it is there."""
        return None if bundle is None else self._rankers.get(bundle.version)

    def problem(self, bundle: Bundle | None) -> str:
        """Why a version's sessions cannot be ranked though it was published with a model; "" where they can."""
        if bundle is None or bundle.pointer.session is None or bundle.version in self._rankers:
            return ""
        why, _ = self._problems.get(bundle.version, ("its model is being loaded", 0))
        return f"sessions of {bundle.version} are not ranked: {why}"

    def want(self, bundle: Bundle) -> None:
        """Load the model of a version, unless it is held, or is being loaded, or could not be a moment ago."""
        version = bundle.version
        if version in self._rankers:
            self._rankers[version] = self._rankers.pop(version)
            return
        _, tried_at = self._problems.get(version, ("", float("-inf")))
        if bundle.pointer.session is None or self._loading or self._clock() - tried_at < _TRIED_EVERY:
            return
        self._loading = asyncio.create_task(self._load(bundle))

    async def settled(self) -> None:
        """Wait for what is being loaded."""
        if self._loading is not None:
            await self._loading

    async def _load(self, bundle: Bundle) -> None:
        pointer, why = bundle.pointer, ""
        try:
            saved = await self._online.session_model(pointer)
            if hashlib.sha256(saved).hexdigest() != pointer.session:
                raise ValueError(f"{len(saved):,} of {pointer.session_bytes:,} bytes are there, or others")
            ranker = await asyncio.to_thread(load_ranker, saved, pointer, bundle.items)
            self._rankers[pointer.version] = ranker
            for version in [*self._rankers][:-_HELD]:
                del self._rankers[version]
            log.info("sessions_loaded version=%s batch_ms=%.1f", pointer.version, ranker.seconds * 1e3)
        except StoreAway as error:
            why = f"the online store is away: {error}"
        except ValueError as error:
            why = f"its model is not whole: {error}"
        except Exception as error:  # the outer edge of a task that nobody waits for
            log.exception("sessions_refused version=%s", pointer.version)
            why = f"its model cannot be loaded: {type(error).__name__}"
        finally:
            self._loading = None
        if why:
            log.warning("sessions_not_loaded version=%s why=%s", pointer.version, why)
            self._problems = {pointer.version: (why, self._clock())}
