"""What this process serves from: the version that the store points at, or what comes next on the ladder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from contracts.decisions import STORE_AWAY, STORE_EMPTY, VERSION_NOT_WHOLE, Fallback
from contracts.lists import Pointer
from serving.blocked import Blocked
from serving.bundle import Bundle
from serving.decide import Told
from serving.online import Online, VersionNotWhole
from serving.pipe import StoreAway
from serving.session_models import SessionModels
from serving.session_ranker import SessionRanker
from serving.snapshot import Snapshot

log = logging.getLogger("foretaste.serving")

#: Seconds between two looks at the pointer: so soon a rollback is seen, and a store that has come back.
LOOKED_AT_EVERY = 0.1
#: A look longer ago than this says nothing about what is live: the process has been stopped meanwhile.
_SAYS_NOTHING_AFTER = 1.0
#: Seconds between two tries to load a version that was not whole.
_TRIED_EVERY = 1.0
#: Versions held in memory: the live one and the one that a rollback goes to.
_HELD = 2


class View(Struct, frozen=True, gc=False):
    """What is known at one instant; a request takes it once and keeps to it."""

    bundle: Bundle | None
    can_ask: bool  # may the store be asked for users' lists of this version?
    fallback: Fallback | None  # why the bundle is not the live version, or cannot be
    problem: str  # the same, as an operator needs it, or why sessions are not ranked
    ranker: SessionRanker | None = None  # ranks sessions of the bundle's version


class Published:
    """Follows the pointer, and answers what the store says of a user.

    Args:
        clock: a clock that never goes back, in seconds.
        now: the time, in seconds since 1970.
    """

    def __init__(
        self,
        online: Online,
        snapshot: Snapshot,
        blocked: Blocked,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._online, self._snapshot, self._blocked = online, snapshot, blocked
        self._clock, self._now = clock, now
        self._models = SessionModels(online, clock)
        self._bundle: Bundle | None = None
        self._held: dict[str, Bundle] = {}
        self._seen: Pointer | None = None  # the pointer that was last taken up
        self._torn = ""  # what is wrong with the version that it names
        self._away: tuple[Fallback, str] | None = (STORE_AWAY, "the online store has not been asked yet")
        self._looked_at = self._tried_at = float("-inf")
        self._loading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what the disk and the store hold."""
        self._blocked.remember()
        remembered = await asyncio.to_thread(self._snapshot.read)
        self._bundle = remembered and await self._under_rules(remembered)
        await self._look()
        if self._loading is not None:
            await self._loading
            await self._models.settled()
            await self._look()  # what was seen before a model was loaded is seconds old

    async def follow(self) -> None:
        """Look at the pointer for ever."""
        while True:
            await asyncio.sleep(LOOKED_AT_EVERY)
            try:
                await self._look()
                if self._bundle is not None and self._now() >= self._bundle.rules.until:
                    await self._renew_rules()
            except Exception:  # the outer edge of a task that nobody waits for
                log.exception("look_failed")

    def view(self) -> View:
        away, bundle = self._away, self._bundle
        if away is None and self._clock() - self._looked_at > _SAYS_NOTHING_AFTER:
            away = (STORE_AWAY, "the pointer has not been looked at lately")
        if away is not None:
            return View(bundle, False, *away)
        can_ask = bundle is not None and bundle.is_whole
        return View(
            bundle,
            can_ask,
            VERSION_NOT_WHOLE if self._torn else None,
            self._torn or self._models.problem(bundle),
            self._models.of(bundle),
        )

    async def ask(self, view: View, user_id: str, *, with_history: bool = False) -> Told | None:
        """What the store says of a user in the view's version; None where it cannot be asked."""
        if not view.can_ask or view.bundle is None:
            return None
        try:
            return await self._online.ask(view.bundle.pointer, user_id, with_history=with_history)
        except StoreAway as error:
            self._lose(error)
            return None

    def _lose(self, error: StoreAway) -> None:
        if self._away is None:
            log.warning("store_lost why=%s", error)
        self._away = (STORE_AWAY, f"the online store is away: {error}")

    async def _look(self) -> None:
        try:
            pointer, blocked = await self._online.look()
        except StoreAway as error:
            self._lose(error)
            return
        self._looked_at = self._clock()
        if self._blocked.hear(blocked):
            await self._renew_rules()
            await asyncio.to_thread(self._blocked.keep)
        if pointer is None:
            self._away, self._seen = (STORE_EMPTY, "the online store holds no version"), None
        elif pointer != self._seen or self._is_due_again():
            if self._loading is None:
                self._loading = asyncio.create_task(self._take_up(pointer))
        elif self._away is not None:
            log.info("store_found version=%s", pointer.version)
            self._away = None
        self._want_model()

    def _want_model(self) -> None:
        if self._bundle is not None and self._bundle.is_whole:
            self._models.want(self._bundle)

    def _is_due_again(self) -> bool:
        return bool(self._torn) and self._clock() - self._tried_at > _TRIED_EVERY

    async def _take_up(self, pointer: Pointer) -> None:
        """Serve from what the pointer names, or from what is next to it."""
        self._tried_at = self._clock()
        bundle: Bundle | None
        try:
            try:
                bundle, torn = await self._load(pointer), ""
            except VersionNotWhole as error:
                bundle, torn = await self._next_to(pointer), str(error)
            if bundle is None or torn != self._torn or pointer != self._seen:
                log.info("bundle_swapped version=%s torn=%s", bundle and bundle.version, torn or "no")
            bundle = bundle and await self._under_rules(bundle)
            self._bundle, self._torn, self._seen, self._away = bundle, torn, pointer, None
            self._want_model()
            if bundle is not None and not torn:
                await asyncio.to_thread(self._snapshot.write, bundle)
        except StoreAway as error:
            self._lose(error)
        except Exception:  # the outer edge of a task that nobody waits for
            log.exception("bundle_refused version=%s", pointer.version)
        finally:
            self._loading = None

    async def _under_rules(self, bundle: Bundle) -> Bundle:
        """A version under its rules as they are now."""
        while True:
            blocked = self._blocked.items
            found = await asyncio.to_thread(bundle.under, blocked, self._now())
            if blocked is self._blocked.items:
                return found

    async def _renew_rules(self) -> None:
        bundle = self._bundle
        renewed = bundle and await self._under_rules(bundle)
        if self._bundle is bundle:  # no other version has taken its place meanwhile, under rules of its own
            self._bundle = renewed

    async def _load(self, pointer: Pointer) -> Bundle:
        bundle = await self._online.load(pointer, self._held.get(pointer.version))
        self._held[bundle.version] = bundle
        for version in [version for version in self._held if version != bundle.version][: 1 - _HELD]:
            del self._held[version]
        return bundle

    async def _next_to(self, pointer: Pointer) -> Bundle | None:
        """The version before a torn one, where that is whole; else what is held."""
        with suppress(VersionNotWhole):
            before = await self._online.kept(pointer.previous)
            if before is not None:
                return await self._load(before)
        return self._bundle
