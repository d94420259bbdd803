"""The online store, read: users' lists at once, whole versions while requests go on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from contracts import names
from contracts.consent import ANYBODY, digest_of_user
from contracts.decisions import Item
from contracts.errors import ForetasteError
from contracts.lists import Pointer
from serving.bundle import Bundle, items_of
from serving.decide import Told
from serving.pipe import Pipe, StoreAway, said

#: Seconds within which the store answers what a request needs, or is taken to be away.
TIMEOUT = 0.05
#: Seconds that loading a whole version may take; no request waits for it.
_LOAD_TIMEOUT = 30.0
_CONNECT_TIMEOUT = 1.0
_CONSENT_KEY, _ANYBODY = names.CONSENT_KEY.encode(), ANYBODY.encode()
#: Items read at once while requests go on being answered.
_ITEMS_AT_ONCE = 500

_AWAY = (redis.RedisError, OSError, TimeoutError)


class VersionNotWhole(ForetasteError):
    """A version does not hold what was published as it."""


class Online:
    """One Redis, asked by everybody in this process."""

    def __init__(self, url: str) -> None:
        self._pipe = Pipe(url, TIMEOUT)
        # Any: redis-py's types mix what decoding makes of an answer.
        self._patient: Any = Redis.from_url(
            url,
            socket_timeout=_LOAD_TIMEOUT,
            socket_connect_timeout=_CONNECT_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )

    async def close(self) -> None:
        await self._pipe.close()
        await self._patient.aclose()

    # What has to be quick

    async def ask(self, pointer: Pointer, user_id: str) -> Told:
        """A user's list in a version, and what readers have to know of the user's consent.

        Raises:
            StoreAway: it does not answer in time.
        """
        bucket = names.bucket_of(user_id, pointer.num_buckets)
        packed, consent = await self._pipe.ask(
            (b"HGET", names.lists_key(pointer.version, bucket).encode(), user_id.encode()),
            (b"HMGET", _CONSENT_KEY, digest_of_user(user_id).encode(), _ANYBODY),
        )
        own, anybody = (None if each is None else each.decode() for each in consent)
        return Told(packed, own, anybody)

    async def pointer(self) -> Pointer | None:
        """What is live; connects where there is no connection.

        Raises:
            StoreAway: it does not answer in time.
        """
        await self._pipe.connect()
        [found] = await self._pipe.ask((b"GET", names.LIVE_POINTER.encode()))
        return None if found is None else Pointer.from_json(found)

    # What may take its time

    async def kept(self, version: str | None) -> Pointer | None:
        """The pointer that a version was published with, while it is kept.

        Raises:
            StoreAway: it does not answer in time.
        """
        try:
            found = None if version is None else await self._patient.hget(names.VERSIONS_KEY, version)
        except _AWAY as error:
            raise StoreAway(said(error)) from error
        return None if found is None else Pointer.from_json(found)

    async def load(self, pointer: Pointer, held: Bundle | None) -> Bundle:
        """A version's items, what goes with them, and its popular list; requests go on meanwhile.

        Args:
            held: the version as it was loaded before: its content never changes.

        Raises:
            StoreAway: it does not answer.
            VersionNotWhole: it holds fewer lists or items than were published, or none that can be read.
        """
        try:
            await self._refuse_torn(pointer)
            if held is not None:
                return replace(held, pointer=pointer)
            popular = await self._patient.get(names.popular_key(pointer.version))
            items: dict[int, Item] = {}
            for start in range(0, pointer.num_items, _ITEMS_AT_ONCE):
                part = range(start, min(start + _ITEMS_AT_ONCE, pointer.num_items))
                texts = await self._patient.hmget(
                    names.items_key(pointer.version), [str(each) for each in part]
                )
                items.update(items_of(part, texts))
                await asyncio.sleep(0)
            first = await self.kept(pointer.version)
            published_at, related = (first or pointer).published_at, await self._related(pointer)
            return Bundle.of(pointer, published_at, items, popular or b"", related, is_whole=True)
        except _AWAY as error:
            raise StoreAway(said(error)) from error
        except (ValueError, TypeError) as error:
            raise VersionNotWhole(f"{pointer.version}: {error}") from error

    async def _refuse_torn(self, pointer: Pointer) -> None:
        pipeline = self._patient.pipeline(transaction=False)
        for bucket in range(pointer.num_buckets):
            pipeline.hlen(names.lists_key(pointer.version, bucket))
        pipeline.hlen(names.items_key(pointer.version))
        pipeline.hlen(names.related_key(pointer.version))
        *lists, num_items, num_related = await pipeline.execute()
        expected = (pointer.num_users, pointer.num_items, pointer.num_related or 0)
        if (sum(lists), num_items, num_related) != expected:
            raise VersionNotWhole(
                f"{pointer.version} holds {sum(lists):,} of {expected[0]:,} lists, {num_items:,} of {expected[1]:,} items and what "
                f"goes with {num_related:,} of {expected[2]:,} items"
            )

    async def _related(self, pointer: Pointer) -> dict[str, bytes] | None:
        if pointer.num_related is None:
            return None
        found: dict[str, bytes] = {}
        async for item_id, packed in self._patient.hscan_iter(
            names.related_key(pointer.version), count=_ITEMS_AT_ONCE
        ):
            found[item_id.decode()] = packed
        return found

    async def policy(self) -> str:
        """What the store does when its memory is full.

        Raises:
            StoreAway: it does not answer.
        """
        try:
            memory: dict[str, Any] = await self._patient.info("memory")
        except _AWAY as error:
            raise StoreAway(said(error)) from error
        return str(memory.get("maxmemory_policy", "unknown"))
