"""What a version holds in Redis: its keys, how they are written, and how many fields they have to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.lists import Pointer
from contracts.online_features import ENTITIES, Catalogue

if TYPE_CHECKING:  # readers of the store need no NumPy
    from jobs.edition import Edition
    from jobs.feature_edition import FeatureEdition

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
    related: Mapping[str, bytes]  # packed lists by item
    features: Mapping[str, Buckets]  # by entity
    feature_texts: Mapping[str, str]
    catalogue: Catalogue

    def write(self, version: str, pipeline: Any) -> None:
        """Send every key."""
        pipeline.set(names.popular_key(version), self.popular)
        if self.items:
            items = {str(index): item for index, item in enumerate(self.items)}
            pipeline.hset(names.items_key(version), mapping=items)
        if self.related:
            pipeline.hset(names.related_key(version), mapping=self.related)
        _hash_by_bucket(pipeline, self.lists, lambda bucket: names.lists_key(version, bucket))
        for entity, buckets in self.features.items():
            _hash_by_bucket(
                pipeline, buckets, lambda bucket, of=entity: names.features_of_key(version, of, bucket)
            )
        if self.feature_texts:
            pipeline.hset(names.feature_texts_key(version), mapping=self.feature_texts)
        pipeline.set(names.features_key(version), self.catalogue.to_json())
        pipeline.execute()


def content_of(edition: Edition, features: FeatureEdition, num_buckets: int) -> Content:
    """Lists and features, each in the bucket of its id."""
    return Content(
        lists=_in_buckets(edition.user_ids, edition.packed_U, num_buckets),
        items=edition.items,
        popular=edition.popular,
        related=edition.related,
        features={
            entity: _in_buckets(ids, features.packed[entity], num_buckets)
            for entity, ids in features.ids.items()
        },
        feature_texts=features.texts,
        catalogue=features.catalogue,
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
        names.related_key(version),
        names.features_key(version),
        names.feature_texts_key(version),
        *(names.lists_key(version, bucket) for bucket in buckets),
        *(names.features_of_key(version, entity, bucket) for entity in ENTITIES for bucket in buckets),
    ]


def is_whole(client: Any, pointer: Pointer) -> bool:
    """Does a version hold as many lists, items, related items and features as were published?"""
    version, buckets = pointer.version, range(pointer.num_buckets)
    pipeline = client.pipeline(transaction=False)
    pipeline.exists(names.popular_key(version))
    pipeline.get(names.features_key(version))
    pipeline.hlen(names.items_key(version))
    pipeline.hlen(names.related_key(version))
    for bucket in buckets:
        pipeline.hlen(names.lists_key(version, bucket))
    for entity in ENTITIES:
        for bucket in buckets:
            pipeline.hlen(names.features_of_key(version, entity, bucket))
    has_popular, told, num_items, num_related, *counts = pipeline.execute()
    num_lists, *num_features = (
        sum(counts[start : start + len(buckets)]) for start in range(0, len(counts), len(buckets))
    )
    if not has_popular or (num_items, num_lists) != (pointer.num_items, pointer.num_users):
        return False
    if num_related != (pointer.num_related or 0):
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
