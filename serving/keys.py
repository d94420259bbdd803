"""Who may ask what: the keys in the file, looked up by their digest, and how often each may."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from contracts.api_keys import ApiKey, digest_of_key, read_keys
from contracts.errors import SettingInvalid
from serving.problems import Problem

log = logging.getLogger("foretaste.serving")

#: Seconds after which a changed file is noticed at the latest.
_LOOKED_AT_EVERY = 0.5


class KeyRing:
    """The keys that are valid now; a file that cannot be read leaves those that were read before.

    Args:
        clock: a clock that never goes back, in seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._by_digest: dict[str, ApiKey] = {}
        self._mark: tuple[int, int, int] | None = None
        self._looked_at = float("-inf")

    def find(self, key: str) -> ApiKey | None:
        now = self._clock()
        if now - self._looked_at > _LOOKED_AT_EVERY:
            self._looked_at = now
            self._read_again()
        return self._by_digest.get(digest_of_key(key))

    def _read_again(self) -> None:
        try:
            found = self._path.stat()
            mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            mark = (0, 0, 0)
        if mark == self._mark:
            return
        try:
            self._by_digest = {key.sha256: key for key in read_keys(self._path)}
        except (SettingInvalid, OSError) as error:
            log.error("keys_unreadable kept=%d why=%s", len(self._by_digest), error)
        self._mark = mark


class Bucket:
    """Tokens that come back at a steady rate: who has been silent may ask for a second's worth at once."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._at, self._tokens = rate, now, max(rate, 1)

    def take(self, now: float) -> float:
        """0 when there was a token, else the seconds until there will be one."""
        self._tokens = min(self._tokens + (now - self._at) * self._rate, max(self._rate, 1))
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0


class Gate:
    """Lets a request in by its key, its scope and its rate.

    Args:
        rate: requests a second of one key.
    """

    def __init__(self, ring: KeyRing, rate: float, clock: Callable[[], float]) -> None:
        self._ring, self._rate, self._clock = ring, rate, clock
        self._buckets: dict[str, Bucket] = {}

    def admit(self, authorization: str, scope: str) -> ApiKey:
        """The key of a request.

        Raises:
            Problem: there is none, it may not do this, or it has been used too often.
        """
        scheme, _, token = authorization.partition(" ")
        key = self._ring.find(token.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "no valid key was sent",
                "Send the header `Authorization: Bearer KEY`; an operator makes one: foretaste keys create",
                headers={"www-authenticate": "Bearer"},
            )
        if scope not in key.scopes:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"key {key.key_id} has not the scope {scope}",
                f"Use a key that has it: foretaste keys create NAME --scope {scope}",
            )
        self._refuse_too_many(key)
        return key

    def _refuse_too_many(self, key: ApiKey) -> None:
        now = self._clock()
        bucket = self._buckets.get(key.key_id)
        if bucket is None:
            bucket = self._buckets[key.key_id] = Bucket(self._rate, now)
        if wait := bucket.take(now):
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"key {key.key_id} has asked more than {self._rate:g} times a second",
                "Ask again after the seconds of Retry-After, or raise FORETASTE_API_RATE_LIMIT.",
                headers={"retry-after": str(max(1, round(wait)))},
            )
