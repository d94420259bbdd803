"""What Foretaste has published, read as a shop reads it: from Redis, by the packed lists' contract."""

from __future__ import annotations

import json
from dataclasses import dataclass

import redis

from contracts import names
from contracts.consent import ANYBODY, digest_of_user, why_withheld
from contracts.lists import Pointer, unpack
from contracts.settings import Settings


@dataclass(frozen=True)
class Published:
    """One whole version: the list of everybody whom it may be served to, and the list for whoever has none."""

    version: str
    lists: dict[str, list[str]]
    reasons: dict[str, list[list[str]]]  # of each place of each list, what of the user's past speaks for it
    popular: list[str]
    titles: dict[str, str]


def read_published(settings: Settings) -> Published | None:
    """The live version, or None while nothing has been published."""
    client = redis.Redis.from_url(settings.redis_url.get_secret_value())
    with client:
        live = client.get(names.LIVE_POINTER)
        if live is None:
            return None
        assert isinstance(live, bytes)
        pointer = Pointer.from_json(live)
        items = {
            int(index): json.loads(item)
            for index, item in client.hgetall(names.items_key(pointer.version)).items()
        }
        told = {_text(field): _text(day) for field, day in client.hgetall(names.CONSENT_KEY).items()}
        lists, reasons = {}, {}
        for bucket in range(pointer.num_buckets):
            for user, packed in client.hgetall(names.lists_key(pointer.version, bucket)).items():
                assert isinstance(user, bytes)
                assert isinstance(packed, bytes)
                own = told.get(digest_of_user(user.decode()))
                if told and why_withheld(own, told.get(ANYBODY), pointer.day):
                    continue
                found = unpack(packed)
                lists[user.decode()] = [items[index]["item_id"] for index in found.indices]
                reasons[user.decode()] = [
                    [items[index]["item_id"] for index in found.reasons_of(place)]
                    for place in range(1, len(found.indices) + 1)
                ]
        popular = client.get(names.popular_key(pointer.version))
        assert isinstance(popular, bytes)
    return Published(
        version=pointer.version,
        lists=lists,
        reasons=reasons,
        popular=[items[index]["item_id"] for index in unpack(popular).indices],
        titles={item["item_id"]: item["title"] or item["item_id"] for item in items.values()},
    )


def _text(value: bytes | str) -> str:
    assert isinstance(value, bytes)
    return value.decode()
