"""Published features, read from Redis: all of an entity from one version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts import names
from contracts.errors import StoreUnfit
from contracts.lists import Pointer
from contracts.online_features import USER, Catalogue, Rows, text_fields, unpack, with_texts


@dataclass(frozen=True)
class FeaturesRead:
    """What a version says of some entities."""

    catalogue: Catalogue
    rows: list[Rows | None]  # of each id; None where the version has no features of it
    is_known: list[bool]  # has the version anything of that id: features, or a list?
    withheld: str = ""  # why nothing of it may be told, or ""


def read_version(client: Any, pointer: Pointer, entity: str, ids: Sequence[str]) -> FeaturesRead | None:
    """The features of some users or items in one version; None when a part of it is gone."""
    version = pointer.version
    pipeline = client.pipeline(transaction=False)
    for id_ in ids:
        bucket = names.bucket_of(id_, pointer.num_buckets)
        pipeline.hget(names.features_of_key(version, entity, bucket), id_)
        if entity == USER:  # with a list and without features: somebody of whom nothing is known lately
            pipeline.hexists(names.lists_key(version, bucket), id_)
    # Last: where the catalogue is still there, so was everything that was asked for before it.
    pipeline.get(names.features_key(version))
    *found, told = pipeline.execute()
    if told is None:
        return None
    catalogue = Catalogue.from_json(told)
    if catalogue.digest != pointer.features:
        return None
    tables = catalogue.of(entity)
    packed, has_list = (found[::2], found[1::2]) if entity == USER else (found, found)
    coded = [None if each is None else unpack(tables, each) for each in packed]
    fields = sorted({field for rows in coded if rows is not None for field in text_fields(tables, rows)})
    words = client.hmget(names.feature_texts_key(version), fields) if fields else []
    if None in words:
        return None
    texts = {field: word.decode() for field, word in zip(fields, words, strict=True)}
    return FeaturesRead(
        catalogue,
        [None if rows is None else with_texts(tables, rows, texts) for rows in coded],
        [each is not None or bool(listed) for each, listed in zip(packed, has_list, strict=True)],
    )


def refuse_unequal(read: FeaturesRead | None, entity: str, offline: Mapping[str, Rows], advice: str) -> None:
    """Compare what was read online with what the tables say.

    Raises:
        StoreUnfit: a value is another, of another type, or not there.
    """
    found = [None] * len(offline) if read is None else read.rows
    for (id_, rows), online in zip(offline.items(), found, strict=True):
        if repr(online) != repr(
            rows
        ):  # by their spelling: 1, 1.0 and True are not the same, not a number is itself
            raise StoreUnfit(
                f"the features of {entity} {id_!r} are {online} in the online store and {rows} in the lake: {advice}"
            )
