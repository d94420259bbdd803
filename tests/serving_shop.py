"""A version with three users, and the application in front of it, asked without a network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from contracts.api_keys import SCOPES, keys_path, make_key, to_json
from contracts.lists import PERSONAL, POPULAR, Pointer, pack, unpack
from contracts.published_items import PublishedItem
from contracts.serving_rules import PublishedRules, digest_of_rules
from serving.bundle import Bundle, needed_of
from serving.content import Content

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ITEMS = {index: PublishedItem(f"i{index}", f"item {index}") for index in range(6)}
#: Item 5, then 3 because of 1 and 0, then 4.
LIST = pack([5, 3, 4], [0.9, 0.5, 0.1], PERSONAL, False, len(ITEMS), [(2, 1), (2, 0)])
POINTER = Pointer(
    version="v0002", day="2026-01-04", kind="daily", fence=2, sha256="", num_users=1, num_items=len(ITEMS), num_buckets=4,
    champion="1", repeats_allowed=True, published_at="2026-01-05T11:00:00+00:00", previous="v0001",
)  # fmt: skip


def bundle(
    items: Mapping[int, PublishedItem] = ITEMS, rules: Mapping[str, Any] | None = None, **changes: Any
) -> Bundle:
    """Version v0002, published an hour before NOW."""
    text = PublishedRules.model_validate(rules or {}).to_json().encode()
    values = {
        "pointer": replace(POINTER, rules=digest_of_rules(text)), "published_at": POINTER.published_at,
        "related": {"i0": pack([3, 1], [0.75, 0.25], POPULAR, True, len(ITEMS)), "i1": pack([], [], POPULAR, True, len(ITEMS))},
        "popular": pack(list(items)[:4], [0.4, 0.3, 0.2, 0.1][: len(items)], POPULAR, False, len(items)), "is_whole": True,
    } | changes  # fmt: skip
    content = Content(text, len(items), needed_of(unpack(values["popular"])))
    content.fill((index, msgspec.json.encode(item)) for index, item in items.items())
    return Bundle.of(**values, content=content)


def write_key(home: Path, *scopes: str) -> str:
    """A key for a home folder that has none."""
    key, kept = make_key("shop", scopes or SCOPES, NOW.isoformat())
    path = keys_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_json([kept]))
    return key


class Request:
    """A request as the server hands it over, and what was answered to it."""

    def __init__(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.proto, self.method, self.headers, self.body = "http", method, headers, body
        self.path, _, self.query_string = path.partition("?")
        self.answered: tuple[int, dict[str, str], bytes] | None = None

    async def __call__(self) -> bytes:
        return self.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None:
        assert self.answered is None
        self.answered = (status, dict(headers), body)


async def ask(
    app: Any, path: str, body: bytes | Mapping[str, Any] | None = None, *, key: str = "", **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and decoded body of a request; with a body it is a POST of JSON."""
    text = json.dumps(body).encode() if isinstance(body, Mapping) else body
    given = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    if text is not None and "transfer-encoding" not in given:
        given["content-length"] = str(len(text))
    request = Request("GET" if text is None else "POST", path, given, text or b"")
    await app.__rsgi__(request, request)
    assert request.answered is not None
    status, told, answer = request.answered
    return status, told, json.loads(answer) if "json" in told["content-type"] else answer.decode()
