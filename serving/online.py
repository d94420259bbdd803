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
from contracts.errors import ForetasteError
from contracts.lists import Pointer, unpack
from serving.bundle import Bundle, needed_of
from serving.content import Content, refuse_other_rules
from serving.decide import Told
from serving.pipe import Pipe, StoreAway, said

#: Seconds within which the store answers what a request needs, or is taken to be away.
TIMEOUT = 0.05
#: Seconds that loading a whole version may take; no request waits for it.
_LOAD_TIMEOUT = 30.0
_CONNECT_TIMEOUT = 1.0
_CONSENT_KEY, _ANYBODY = names.CONSENT_KEY.encode(), ANYBODY.encode()
_LIVE, _BLOCKED = names.LIVE_POINTER.encode(), names.BLOCKED_KEY.encode()
#: Items read at once while requests go on being answered.
_ITEMS_AT_ONCE = 500
#: The same of a model's bytes.
_BYTES_AT_ONCE = 1 << 20

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

    async def ask(self, pointer: Pointer, user_id: str, *, with_history: bool = False) -> Told:
        """A user's list in a version, what readers have to know of the user's consent, and the recent history.

        Raises:
            StoreAway: it does not answer in time.
        """
        bucket, user = names.bucket_of(user_id, pointer.num_buckets), user_id.encode()
        commands = [
            (b"HGET", names.lists_key(pointer.version, bucket).encode(), user),
            (b"HMGET", _CONSENT_KEY, digest_of_user(user_id).encode(), _ANYBODY),
        ]
        if with_history:
            commands.append((b"HGET", names.histories_key(pointer.version, bucket).encode(), user))
        packed, consent, *history = await self._pipe.ask(*commands)
        own, anybody = (None if each is None else each.decode() for each in consent)
        return Told(packed, own, anybody, history[0] if history else None)

    async def look(self) -> tuple[Pointer | None, bytes | None]:
        """What is live, and the text of what is blocked; connects where there is no connection.

        Raises:
            StoreAway: it does not answer in time.
        """
        await self._pipe.connect()
        live, blocked = await self._pipe.ask((b"GET", _LIVE), (b"GET", _BLOCKED))
        return None if live is None else Pointer.from_json(live), blocked

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
        """A version's items, popular list and rules; requests go on meanwhile.

        Args:
            held: the version as it was loaded before: its content never changes.

        Raises:
            StoreAway: it does not answer.
            VersionNotWhole: it holds fewer lists or items than were published, or other rules, or none that can be read.
        """
        try:
            await self._refuse_torn(pointer)
            if held is not None:
                return replace(held, pointer=pointer)
            popular, rules = await self._patient.mget(
                names.popular_key(pointer.version), names.rules_key(pointer.version)
            )
            refuse_other_rules(pointer, rules)
            content = Content(rules, pointer.num_items, needed_of(unpack(popular or b"")))
            for start in range(0, pointer.num_items, _ITEMS_AT_ONCE):
                part = range(start, min(start + _ITEMS_AT_ONCE, pointer.num_items))
                texts = await self._patient.hmget(
                    names.items_key(pointer.version), [str(each) for each in part]
                )
                content.fill(zip(part, texts, strict=True))
                await asyncio.sleep(0)
            first = await self.kept(pointer.version)
            return Bundle.of(pointer, (first or pointer).published_at, content, popular, is_whole=True)
        except _AWAY as error:
            raise StoreAway(said(error)) from error
        except (ValueError, TypeError) as error:
            raise VersionNotWhole(f"{pointer.version}: {error}") from error

    async def session_model(self, pointer: Pointer) -> bytes:
        """What ranks the sessions of a version, as it is stored; parts of it at once, as requests go on meanwhile.

        Raises:
            StoreAway: it does not answer.
        """
        key, found = names.session_key(pointer.version), bytearray()
        try:
            for start in range(0, pointer.session_bytes, _BYTES_AT_ONCE):
                found += await self._patient.getrange(key, start, start + _BYTES_AT_ONCE - 1)
        except _AWAY as error:
            raise StoreAway(said(error)) from error
        return bytes(found)

    async def _refuse_torn(self, pointer: Pointer) -> None:
        pipeline = self._patient.pipeline(transaction=False)
        for bucket in range(pointer.num_buckets):
            pipeline.hlen(names.lists_key(pointer.version, bucket))
        pipeline.hlen(names.items_key(pointer.version))
        *lists, num_items = await pipeline.execute()
        if (sum(lists), num_items) != (pointer.num_users, pointer.num_items):
            raise VersionNotWhole(
                f"{pointer.version} holds {sum(lists):,} of {pointer.num_users:,} lists and {num_items:,} of "
                f"{pointer.num_items:,} items"
            )

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
