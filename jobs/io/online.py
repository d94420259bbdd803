"""Redis, written: versions of lists beside each other, and one pointer that readers follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import FenceStale, ServiceUnreachable, StoreUnfit
from contracts.lists import Pointer
from contracts.settings import Settings
from jobs.io.commit import cross

if TYPE_CHECKING:
    from jobs.io.state import Lease

#: Seconds for which a collected version stays readable, for readers that are still at it.
GRACE_SECONDS = 60
_KEYS_AT_ONCE = 32


@contextmanager
def open_online_store(settings: Settings, *, timeout: float = 30) -> Iterator[OnlineStore]:
    """The online store that the settings name.

    Raises:
        ServiceUnreachable: it does not answer, or refuses the password.
    """
    import redis

    url = settings.redis_url.get_secret_value()
    if not url:
        raise ServiceUnreachable(
            "no online store: set FORETASTE_REDIS_URL or start the embedded one with `foretaste up`"
        )
    client = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
    try:
        client.ping()
        yield OnlineStore(client)
    except (redis.ConnectionError, redis.TimeoutError, redis.AuthenticationError) as error:
        place = url.rsplit("@", 1)[-1]
        raise ServiceUnreachable(
            f"the online store at {place} does not answer: {error}. Look with: foretaste doctor"
        ) from error
    finally:
        client.close()


def read_pointer(settings: Settings) -> Pointer | None:
    """What is live, or None while nothing has been published."""
    with open_online_store(settings, timeout=2) as store:
        return store.pointer()


class OnlineStore:
    """The versions of one Redis."""

    def __init__(self, client: Any) -> None:
        self._client = client  # redis-py's types mix its synchronous and asynchronous answers

    def pointer(self) -> Pointer | None:
        live = self._client.get(names.LIVE_POINTER)
        return None if live is None else Pointer.from_json(live)

    def versions(self) -> dict[str, Pointer]:
        """Every kept version with the pointer it was published with, oldest first."""
        kept = self._client.hgetall(names.VERSIONS_KEY)
        return {name.decode(): Pointer.from_json(text) for name, text in sorted(kept.items())}

    def refuse_if_unfit(self, num_bytes: int) -> None:
        """Refuse a store that would drop lists, or that has no room for ``num_bytes`` more.

        Raises:
            StoreUnfit: its policy evicts keys, or its memory is too small.
        """
        policy = self._client.config_get("maxmemory-policy").get("maxmemory-policy", "unknown")
        if policy != "noeviction":
            raise StoreUnfit(
                f"the online store's maxmemory-policy is {policy}: under pressure it would silently drop lists. "
                "Set it: CONFIG SET maxmemory-policy noeviction, and in its configuration file"
            )
        memory = self._client.info("memory")
        room = memory["maxmemory"] - memory["used_memory"] if memory.get("maxmemory") else None
        if room is not None and room < 2 * num_bytes:
            raise StoreUnfit(
                f"the online store has {room >> 20} MiB left; a version of {num_bytes >> 20} MiB needs twice its size. "
                "Raise maxmemory or lower FORETASTE_VERSIONS_KEPT"
            )

    def write_version(
        self,
        version: str,
        lists: Mapping[int, Mapping[str, bytes]],
        items: Mapping[int, bytes],
        popular: bytes,
    ) -> None:
        """Write a version's keys, replacing what a killed attempt left under its name.

        Args:
            lists: packed lists by bucket and user.
            items: item JSON by vocabulary index.
        """
        buckets = sorted(lists)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.unlink(names.items_key(version), names.popular_key(version))
        pipeline.hset(names.items_key(version), mapping=items)
        pipeline.set(names.popular_key(version), popular)
        pipeline.execute()
        for start in range(0, len(buckets), _KEYS_AT_ONCE):
            for bucket in buckets[start : start + _KEYS_AT_ONCE]:
                key = names.lists_key(version, bucket)
                pipeline.unlink(key)
                if lists[bucket]:
                    pipeline.hset(key, mapping=lists[bucket])
            pipeline.execute()
        cross("online:written")

    def verify_version(
        self,
        version: str,
        lists: Mapping[int, Mapping[str, bytes]],
        num_items: int,
        sample: Sequence[str],
        num_buckets: int,
    ) -> None:
        """Compare what was written with what should be: every count, and the bytes of a sample of users.

        Raises:
            StoreUnfit: the store holds something else.
        """
        pipeline = self._client.pipeline(transaction=False)
        for bucket in sorted(lists):
            pipeline.hlen(names.lists_key(version, bucket))
        counts = dict(zip(sorted(lists), pipeline.execute(), strict=True))
        wrong = [bucket for bucket, count in counts.items() if count != len(lists[bucket])]
        if wrong or self._client.hlen(names.items_key(version)) != num_items:
            raise StoreUnfit(
                f"version {version} is not whole in the online store: buckets {wrong[:5]}. It stays invisible; publish again"
            )
        for user in sample:
            bucket = names.bucket_of(user, num_buckets)
            pipeline.hget(names.lists_key(version, bucket), user)
        for user, packed in zip(sample, pipeline.execute(), strict=True):
            if packed != lists[names.bucket_of(user, num_buckets)][user]:
                raise StoreUnfit(
                    f"version {version} reads back differently from the online store. It stays invisible; publish again"
                )
        cross("online:verified")

    def flip(self, pointer: Pointer, lease: Lease | None) -> None:
        """Make a version live, unless somebody with a higher fence has been there.

        Raises:
            FenceStale: the live pointer carries a higher fence than ours.
        """
        import redis

        with self._client.pipeline() as pipeline:
            while True:
                try:
                    pipeline.watch(names.LIVE_POINTER)
                    live = pipeline.get(names.LIVE_POINTER)
                    if live is not None and Pointer.from_json(live).fence > pointer.fence:
                        raise FenceStale(
                            f"fence {pointer.fence} is stale: {Pointer.from_json(live).version} was made live with a higher one. "
                            "This attempt publishes nothing"
                        )
                    pipeline.multi()
                    pipeline.set(names.LIVE_POINTER, pointer.to_json())
                    pipeline.hset(names.VERSIONS_KEY, pointer.version, pointer.to_json())
                    if lease is None:
                        pipeline.execute()
                    else:
                        with lease.guard():
                            pipeline.execute()
                    break
                except redis.WatchError:
                    continue
        cross("online:flipped")

    def collect(self, num_kept: int) -> list[str]:
        """Let go of the oldest versions; the live one and the newest ``num_kept`` stay. Returns what went."""
        versions = self.versions()
        live = self.pointer()
        newest = sorted(versions)[-num_kept:]
        dropped = [name for name in versions if name not in newest and (live is None or name != live.version)]
        pipeline = self._client.pipeline(transaction=False)
        for name in dropped:
            for bucket in range(versions[name].num_buckets):
                pipeline.expire(names.lists_key(name, bucket), GRACE_SECONDS)
            pipeline.expire(names.items_key(name), GRACE_SECONDS)
            pipeline.expire(names.popular_key(name), GRACE_SECONDS)
            pipeline.hdel(names.VERSIONS_KEY, name)
        pipeline.execute()
        cross("online:collected")
        return dropped

    def packed_list(self, pointer: Pointer, user_id: str) -> bytes | None:
        """A user's packed list in a version, or None for a stranger."""
        found: bytes | None = self._client.hget(
            names.lists_key(pointer.version, names.bucket_of(user_id, pointer.num_buckets)), user_id
        )
        return found

    def popular(self, pointer: Pointer) -> bytes:
        """The packed list for whoever has none.

        Raises:
            StoreUnfit: the version is not whole.
        """
        found: bytes | None = self._client.get(names.popular_key(pointer.version))
        if found is None:
            raise StoreUnfit(f"version {pointer.version} is live but not whole. Go back: foretaste rollback")
        return found

    def items(self, pointer: Pointer, indices: Sequence[int]) -> list[bytes]:
        """The JSON of items by vocabulary index."""
        return (
            list(self._client.hmget(names.items_key(pointer.version), [str(index) for index in indices]))
            if indices
            else []
        )
