"""What a version holds in Redis: its keys, how they are written, and how many fields they have to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.lists import Pointer
from contracts.online_features import ENTITIES, Catalogue
from contracts.serving_rules import digest_of_rules

if TYPE_CHECKING:  # readers of the store need no NumPy
    from jobs.edition import Edition
    from jobs.feature_edition import FeatureEdition
    from jobs.session_edition import SessionEdition

#: What is gathered before it is sent.
_KEYS_AT_ONCE = 32

#: Packed lists or features by id, one mapping for each bucket.
Buckets = Sequence[Mapping[str, bytes]]


@dataclass(frozen=True)
class Content:
    """Everything that a version publishes."""

    lists: Buckets
    items: Sequence[bytes]  # the JSON of each item of the vocabulary
    popular: bytes
    rules: str  # JSON
    features: Mapping[str, Buckets]  # by entity
    feature_texts: Mapping[str, str]
    catalogue: Catalogue
    session: bytes | None  # the model that ranks sessions
    histories: Buckets

    def write(self, version: str, pipeline: Any) -> None:
        """Send every key."""
        pipeline.set(names.popular_key(version), self.popular)
        pipeline.set(names.rules_key(version), self.rules)
        if self.items:
            items = {str(index): item for index, item in enumerate(self.items)}
            pipeline.hset(names.items_key(version), mapping=items)
        _hash_by_bucket(pipeline, self.lists, lambda bucket: names.lists_key(version, bucket))
        for entity, buckets in self.features.items():
            _hash_by_bucket(
                pipeline, buckets, lambda bucket, of=entity: names.features_of_key(version, of, bucket)
            )
        if self.feature_texts:
            pipeline.hset(names.feature_texts_key(version), mapping=self.feature_texts)
        if self.session is not None:
            pipeline.set(names.session_key(version), self.session)
            _hash_by_bucket(pipeline, self.histories, lambda bucket: names.histories_key(version, bucket))
        pipeline.set(names.features_key(version), self.catalogue.to_json())
        pipeline.execute()


def content_of(
    edition: Edition, features: FeatureEdition, session: SessionEdition | None, num_buckets: int
) -> Content:
    """Lists, features and histories, each in the bucket of its id."""
    return Content(
        lists=_in_buckets(edition.user_ids, edition.packed_U, num_buckets),
        items=edition.items,
        popular=edition.popular,
        rules=edition.rules,
        features={
            entity: _in_buckets(ids, features.packed[entity], num_buckets)
            for entity, ids in features.ids.items()
        },
        feature_texts=features.texts,
        catalogue=features.catalogue,
        session=None if session is None else session.model,
        histories=[] if session is None else _in_buckets(session.user_ids, session.packed_U, num_buckets),
    )


def _in_buckets(ids: Sequence[str], packed: Sequence[bytes], num_buckets: int) -> Buckets:
    found: list[dict[str, bytes]] = [{} for _ in range(num_buckets)]
    for id_, each in zip(ids, packed, strict=True):
        found[names.bucket_of(id_, num_buckets)][id_] = each
    return found


def keys_of(version: str, num_buckets: int) -> list[str]:
    """Every key that a version may have."""
    buckets = range(num_buckets)
    return [
        names.items_key(version),
        names.popular_key(version),
        names.rules_key(version),
        names.features_key(version),
        names.feature_texts_key(version),
        names.session_key(version),
        *(names.histories_key(version, bucket) for bucket in buckets),
        *(names.lists_key(version, bucket) for bucket in buckets),
        *(names.features_of_key(version, entity, bucket) for entity in ENTITIES for bucket in buckets),
    ]


def is_whole(client: Any, pointer: Pointer) -> bool:
    """Does a version hold as many lists, items, features and histories as were published, and the rules that were?"""
    version, buckets = pointer.version, range(pointer.num_buckets)
    pipeline = client.pipeline(transaction=False)
    pipeline.exists(names.popular_key(version))
    pipeline.get(names.rules_key(version))
    pipeline.get(names.features_key(version))
    pipeline.hlen(names.items_key(version))
    pipeline.strlen(names.session_key(version))
    for bucket in buckets:
        pipeline.hlen(names.lists_key(version, bucket))
    for bucket in buckets:
        pipeline.hlen(names.histories_key(version, bucket))
    for entity in ENTITIES:
        for bucket in buckets:
            pipeline.hlen(names.features_of_key(version, entity, bucket))
    has_popular, rules, told, num_items, session_bytes, *counts = pipeline.execute()
    num_lists, num_histories, *num_features = (
        sum(counts[start : start + len(buckets)]) for start in range(0, len(counts), len(buckets))
    )
    if not has_popular or (num_items, num_lists) != (pointer.num_items, pointer.num_users):
        return False
    if pointer.rules is not None and (rules is None or digest_of_rules(rules) != pointer.rules):
        return False
    if (session_bytes, num_histories) != (pointer.session_bytes, pointer.num_histories):
        return False
    if pointer.features is None:
        return True
    catalogue = None if told is None else Catalogue.from_json(told)
    return (
        catalogue is not None
        and catalogue.digest == pointer.features
        and dict(zip(ENTITIES, num_features, strict=True)) == catalogue.num_entities
    )


def _hash_by_bucket(pipeline: Any, buckets: Buckets, key_of: Any) -> None:
    for bucket, mapping in enumerate(buckets):
        if mapping:
            pipeline.hset(key_of(bucket), mapping=mapping)
        if bucket % _KEYS_AT_ONCE == 0:
            pipeline.execute()
    pipeline.execute()
