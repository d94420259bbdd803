"""Redis, written and read: versions of lists and features beside each other, and one pointer that readers follow.

A version's number is never given twice, so whatever a process that should be dead still writes goes into
keys that nobody reads. Of the keys that are shared, ``ft:live`` and ``ft:versions`` change together in one
transaction, and only as long as nobody else has changed them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from contracts import names
from contracts.consent import ANYBODY, digest_of_user, why_withheld
from contracts.errors import FenceStale, PartitionMissing, ServiceUnreachable, StoreUnfit
from contracts.lists import PackedList, Pointer, unpack
from contracts.online_features import ITEM, USER, Rows
from contracts.settings import Settings
from jobs.io.commit import cross
from jobs.io.online_content import Content, is_whole, keys_of
from jobs.io.online_features import FeaturesRead, read_version, refuse_unequal

#: Seconds for which a version that has been let go stays readable, for readers that are still at it.
GRACE_SECONDS = 60
#: What Valkey and Redis need for one field of a hash beside its bytes, roughly.
_BYTES_A_FIELD = 120
_TRIES = 3
_NOT_WHOLE = "the live version is not whole. Go back to the one before: foretaste rollback"

Versions = dict[str, Pointer]
#: What shall be live, given what is live and which versions are kept.
Choose = Callable[[Pointer | None, Versions], Pointer]


@dataclass(frozen=True)
class ListRead:
    """What a version recommends to somebody."""

    pointer: Pointer
    found: PackedList
    items: list[bytes]  # the JSON of each of the first items
    reasons: list[list[bytes]]  # of each of them, the JSON of what speaks most for it
    is_known: bool  # has the version a list of that user, which may be served?
    withheld: str  # why it may not, or ""


@contextmanager
def open_online_store(settings: Settings, *, timeout: float = 30) -> Iterator[OnlineStore]:
    """The online store that the settings name.

    Raises:
        ServiceUnreachable: it does not answer, or refuses the password.
        StoreUnfit: it answers and refuses to do what it is asked: it has no memory left, say.
    """
    import redis

    url = settings.redis_url.get_secret_value()
    if not url:
        raise ServiceUnreachable(
            "no online store: set FORETASTE_REDIS_URL or start the embedded one with `foretaste up`"
        )
    place = url.rsplit("@", 1)[-1]
    try:
        client = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
    except ValueError as error:
        raise ServiceUnreachable(
            f"FORETASTE_REDIS_URL (…@{place}) is no address of a Redis: {error}"
        ) from error
    try:
        client.ping()
        yield OnlineStore(client)
    except (redis.ConnectionError, redis.TimeoutError, redis.AuthenticationError) as error:
        raise ServiceUnreachable(
            f"the online store at {place} does not answer: {error}. Look with: foretaste doctor"
        ) from error
    except redis.ResponseError as error:
        raise StoreUnfit(
            f"the online store at {place} refuses: {error}. Look with: foretaste doctor"
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

    # Reading

    def pointer(self) -> Pointer | None:
        live = self._client.get(names.LIVE_POINTER)
        return None if live is None else Pointer.from_json(live)

    def versions(self) -> Versions:
        """Every kept version with the pointer it was published with, oldest first."""
        return _versions_of(self._client.hgetall(names.VERSIONS_KEY))

    def read(self, user_id: str, count: int) -> ListRead:
        """A user's list in the live version, and its first ``count`` items.

        Whoever has no list, or has withdrawn consent since it was made, gets the popular one. All of it comes from one
        version: when that was let go meanwhile, reading starts again.

        Raises:
            PartitionMissing: nothing has been published.
            StoreUnfit: what is live is not whole.
        """
        for _ in range(_TRIES):
            pointer = self._live()
            bucket = names.bucket_of(user_id, pointer.num_buckets)
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hget(names.lists_key(pointer.version, bucket), user_id)
            pipeline.get(names.popular_key(pointer.version))
            pipeline.hmget(names.CONSENT_KEY, _asked_of_consent(user_id))
            own, popular, told = pipeline.execute()
            if popular is None:
                continue
            withheld = _why_withheld(told, pointer)
            own = None if withheld else own
            found = unpack(popular if own is None else own)
            shown = found.indices[:count]
            because = [found.reasons_of(place) for place in range(1, len(shown) + 1)]
            wanted = list(dict.fromkeys(itertools.chain(shown, *because)))
            items = self._client.hmget(names.items_key(pointer.version), wanted) if wanted else []
            if None not in items:
                of_index = dict(zip(wanted, items, strict=True))
                listed = [of_index[index] for index in shown]
                reasons = [[of_index[index] for index in each] for each in because]
                return ListRead(pointer, found, listed, reasons, own is not None, withheld)
        raise StoreUnfit(_NOT_WHOLE)

    def read_features(self, entity: str, id_: str) -> tuple[Pointer, FeaturesRead | None]:
        """Everything that the live version says of one user or item; None where it was published without features.

        Of a user who has withdrawn consent since it was made it says nothing, and why.

        Raises:
            PartitionMissing: nothing has been published.
            StoreUnfit: what is live is not whole.
        """
        for _ in range(_TRIES):
            pointer = self._live()
            if pointer.features is None:
                return pointer, None
            found = self.features_in(pointer, entity, [id_])
            if found is None:
                continue
            told = self._client.hmget(names.CONSENT_KEY, _asked_of_consent(id_)) if entity == USER else []
            if told and (why := _why_withheld(told, pointer)):
                found = replace(found, rows=[None], is_known=[False], withheld=why)
            return pointer, found
        raise StoreUnfit(_NOT_WHOLE)

    def features_in(self, pointer: Pointer, entity: str, ids: Sequence[str]) -> FeaturesRead | None:
        """What one version says of some users or items, live or not; None when it is not whole."""
        return read_version(self._client, pointer, entity, ids)

    def _live(self) -> Pointer:
        pointer = self.pointer()
        if pointer is None:
            raise PartitionMissing(
                "nothing has been published yet. Run a day: foretaste run --day YYYY-MM-DD"
            )
        return pointer

    def is_whole(self, pointer: Pointer) -> bool:
        """Does a version hold as many lists, items and features as were published, and the rules that were?"""
        return is_whole(self._client, pointer)

    # What readers have to know of consent

    def consent_mark(self) -> str:
        """Which table both stores hold; "" where one may hold another."""
        found = self._client.hget(names.CONSENT_KEY, names.CONSENT_MARK)
        return "" if found is None else str(found.decode())

    def consent(self) -> dict[str, str]:
        """The table that readers ask, and its mark where it has one."""
        fields = self._client.hscan_iter(names.CONSENT_KEY, count=10_000)
        return {field.decode(): value.decode() for field, value in fields}

    def tell_consent(self, table: Mapping[str, str], guard: AbstractContextManager[None]) -> None:
        """Put a table in the place of the one that readers ask, all at once; it is not marked yet."""
        held = self.consent()
        changed = {field: value for field, value in table.items() if held.get(field) != value}
        gone = [field for field in held if field not in table]  # the mark of what was told before, too
        with guard, self._client.pipeline() as pipeline:
            if changed:
                pipeline.hset(names.CONSENT_KEY, mapping=changed)
            if gone:
                pipeline.hdel(names.CONSENT_KEY, *gone)
            pipeline.execute()

    def mark_consent(self, sha256: str) -> None:
        """Both stores hold this table."""
        self._client.hset(names.CONSENT_KEY, names.CONSENT_MARK, sha256)

    # What nobody may be shown

    def tell_blocked(self, text: bytes) -> None:
        """Put what ``contracts.blocked`` packs in the place of what readers look at."""
        self._client.set(names.BLOCKED_KEY, text)

    def knows_item(self, item_id: str) -> bool:
        """Is an item of the catalogue that the live version was made of? Of a version without features nobody knows."""
        pointer = self.pointer()
        if pointer is None or pointer.features is None:
            return True
        bucket = names.bucket_of(item_id, pointer.num_buckets)
        return bool(self._client.hexists(names.features_of_key(pointer.version, ITEM, bucket), item_id))

    # Writing a version that nobody reads yet

    def refuse_if_unfit(self, num_fields: int, num_bytes: int) -> None:
        """Refuse a store that would drop lists, or that has no room for so much more.

        Raises:
            StoreUnfit: its policy evicts keys, or its memory is too small.
        """
        memory = self._client.info("memory")
        policy = memory.get("maxmemory_policy", "unknown")
        if policy != "noeviction":
            raise StoreUnfit(
                f"the online store's maxmemory-policy is {policy}: under pressure it would silently drop lists. "
                "Set it: CONFIG SET maxmemory-policy noeviction, and in its configuration file"
            )
        limit, needed = memory.get("maxmemory", 0), num_bytes + num_fields * _BYTES_A_FIELD
        if limit and limit - memory["used_memory"] < needed:
            raise StoreUnfit(
                f"the online store has {max(limit - memory['used_memory'], 0) >> 20} MiB left of {limit >> 20}; this version "
                f"needs about {(needed >> 20) + 1}. Raise its maxmemory, or lower FORETASTE_VERSIONS_KEPT"
            )

    def clear_attempts(self) -> None:
        """Remove what attempts that never became live have left; their numbers stay taken."""
        for name, num_buckets in self._client.hgetall(names.ATTEMPTS_KEY).items():
            # DEL and not UNLINK: the memory has to be free when we ask how much there is.
            self._client.delete(*keys_of(name.decode(), int(num_buckets)))

    def reserve(self, published: Iterable[str], num_buckets: int) -> str:
        """The name of a version that no attempt has ever written to.

        Args:
            published: versions that our own records know, in case the store has lost its own.
        """

        def above_all(pipeline: Any) -> str:
            attempts = [name.decode() for name in pipeline.hkeys(names.ATTEMPTS_KEY)]
            taken = [*published, *attempts, *_versions_of(pipeline.hgetall(names.VERSIONS_KEY))]
            version = names.version_name(1 + max(map(names.version_number, taken), default=0))
            pipeline.multi()
            pipeline.hset(names.ATTEMPTS_KEY, version, num_buckets)
            if attempts:
                pipeline.hdel(names.ATTEMPTS_KEY, *attempts)
            return version

        version: str = self._transaction(above_all, names.ATTEMPTS_KEY, names.VERSIONS_KEY)
        return version

    def write_version(self, version: str, content: Content) -> None:
        """Write a version's keys.

        Raises:
            StoreUnfit: it refuses to take them.
        """
        import redis

        try:
            content.write(version, self._client.pipeline(transaction=False))
        except redis.ResponseError as error:
            raise StoreUnfit(
                f"the online store takes no more of {version}: {error}. What was live stays live"
            ) from error
        cross("online:written")

    def verify_version(
        self,
        pointer: Pointer,
        content: Content,
        users: Sequence[str],
        offline: Mapping[str, Mapping[str, Rows]],
    ) -> None:
        """Compare what was written with what should be: every count, and what samples read back.

        Args:
            users: whose lists are compared, byte by byte.
            offline: by entity and id, what the feature tables say; compared value by value as readers get them.

        Raises:
            StoreUnfit: the store holds something else.
        """
        advice = f"{pointer.version} stays invisible, what was live stays live. Look with: foretaste doctor; then publish again"
        if not self.is_whole(pointer):
            raise StoreUnfit(
                f"the online store does not hold the {pointer.num_users:,} lists and {pointer.num_items:,} items that were "
                f"written, or not the features or the rules: {advice}"
            )
        places = [names.bucket_of(user, pointer.num_buckets) for user in users]
        items = content.items
        pipeline = self._client.pipeline(transaction=False)
        for user, bucket in zip(users, places, strict=True):
            pipeline.hget(names.lists_key(pointer.version, bucket), user)
        pipeline.get(names.popular_key(pointer.version))
        pipeline.hget(names.items_key(pointer.version), str(len(items) - 1))
        pipeline.get(names.session_key(pointer.version))
        for user, bucket in zip(users, places, strict=True):
            pipeline.hget(names.histories_key(pointer.version, bucket), user)
        expected = [
            *(content.lists[bucket][user] for user, bucket in zip(users, places, strict=True)),
            content.popular,
            items[-1] if items else None,
            content.session,
            *(
                content.histories[bucket].get(user) if content.histories else None
                for user, bucket in zip(users, places, strict=True)
            ),
        ]
        wrong = [
            number
            for number, (want, got) in enumerate(zip(expected, pipeline.execute(), strict=True))
            if want != got
        ]
        if wrong:
            what = (
                f"the list of user {users[wrong[0]]!r}"
                if wrong[0] < len(users)
                else "an item, a history, the popular list or the model for sessions"
            )
            raise StoreUnfit(f"{what} reads back differently from the online store: {advice}")
        for entity, rows in offline.items():
            refuse_unequal(self.features_in(pointer, entity, list(rows)), entity, rows, advice)
        cross("online:verified")

    def discard(self, version: str, num_buckets: int) -> None:
        """Remove a version that never was live."""
        self._client.unlink(*keys_of(version, num_buckets))
        self._client.hdel(names.ATTEMPTS_KEY, version)

    # Changing what readers see

    def flip(self, choose: Choose, guard: AbstractContextManager[None] | None = None) -> Pointer:
        """Make a version live, unless somebody with a higher fence has been there.

        Args:
            choose: asked anew whenever somebody else has changed something meanwhile.
            guard: held while the pointer changes.

        Raises:
            FenceStale: the live pointer carries a higher fence than ours, or the guard says so.
        """

        def set_pointer(pipeline: Any) -> Pointer:
            live = pipeline.get(names.LIVE_POINTER)
            versions = _versions_of(pipeline.hgetall(names.VERSIONS_KEY))
            before = None if live is None else Pointer.from_json(live)
            pointer = choose(before, versions)
            if before is not None and before.fence >= pointer.fence:
                raise FenceStale(
                    f"fence {pointer.fence} is stale: {before.version} of {before.day} was made live with {before.fence}. This "
                    "attempt changes nothing. If the state store is a new one, its fences have begun again: "
                    f"`foretaste rollback --version {before.version}` lifts them above"
                )
            pipeline.multi()
            pipeline.set(names.LIVE_POINTER, pointer.to_json())
            if pointer.version not in versions:
                pipeline.hset(names.VERSIONS_KEY, pointer.version, pointer.to_json())
                pipeline.hdel(names.ATTEMPTS_KEY, pointer.version)
            return pointer

        pointer: Pointer = self._transaction(set_pointer, names.LIVE_POINTER, names.VERSIONS_KEY, guard=guard)
        cross("online:flipped")
        return pointer

    def collect(self, num_kept: int) -> list[str]:
        """Let go of the oldest versions; the live one and the one before it always stay. Returns what is kept."""

        def let_go(pipeline: Any) -> list[str]:
            live = pipeline.get(names.LIVE_POINTER)
            versions = _versions_of(pipeline.hgetall(names.VERSIONS_KEY))
            pointer = None if live is None else Pointer.from_json(live)
            needed = [] if pointer is None else [pointer.version, pointer.previous]
            ranked = sorted(versions, key=lambda name: (name not in needed, -names.version_number(name)))
            pipeline.multi()
            for name in ranked[num_kept:]:
                for key in keys_of(name, versions[name].num_buckets):
                    pipeline.expire(key, GRACE_SECONDS)
                pipeline.hdel(names.VERSIONS_KEY, name)
            return sorted(ranked[:num_kept], key=names.version_number)

        kept: list[str] = self._transaction(let_go, names.LIVE_POINTER, names.VERSIONS_KEY)
        cross("online:collected")
        return kept

    def _transaction(
        self, prepare: Callable[[Any], Any], *watched: str, guard: AbstractContextManager[None] | None = None
    ) -> Any:
        """Read, decide and write as one: again from the start when a watched key has changed meanwhile."""
        import redis

        with guard or nullcontext(), self._client.pipeline() as pipeline:
            while True:
                try:
                    pipeline.watch(*watched)
                    result = prepare(pipeline)
                    pipeline.execute()
                    return result
                except redis.WatchError:
                    continue


def _asked_of_consent(user_id: str) -> list[str]:
    return [digest_of_user(user_id), ANYBODY]


def _why_withheld(told: Sequence[bytes | None], pointer: Pointer) -> str:
    own, anybody = (None if each is None else each.decode() for each in told)
    return why_withheld(own, anybody, pointer.day)


def _versions_of(kept: Mapping[bytes, bytes]) -> Versions:
    found = {name.decode(): Pointer.from_json(text) for name, text in kept.items()}
    return {name: found[name] for name in sorted(found, key=names.version_number)}
