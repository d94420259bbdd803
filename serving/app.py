"""The application: what is wired to what, and what runs for as long as the process does; no decisions."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version

import msgspec
from msgspec import UNSET

from contracts.api_keys import ADMIN, DECIDE, INGEST, keys_path
from contracts.decisions import MOST_ITEMS, Decision, DecisionRequest, Related, RelatedRequest
from contracts.events import Event, EventBatch, Received
from contracts.settings import Settings, load_settings
from serving.blocked import Blocked
from serving.decide import decide, shadow_of, withheld
from serving.exchange import JSON, Answer, Exchange, Route, Scope, Transport
from serving.feedback import Feedback
from serving.health import Health, judge
from serving.keys import Gate, KeyRing
from serving.metrics import Metrics
from serving.online import Online
from serving.openapi import document
from serving.problems import Problem
from serving.published import Published, View
from serving.related import related
from serving.session_events import bought_of
from serving.sessions import Sessions
from serving.snapshot import Snapshot
from serving.strict_json import decode

log = logging.getLogger("foretaste.serving")

_DECISION_BYTES = 16 << 10
_EVENT_BYTES = 1 << 20
#: What a request leaves behind dies young: with the default of 700 the collector looks at it all many times a second.
_COLLECTED_EVERY = (50_000, 20, 100)

_encode = msgspec.json.Encoder().encode


class App:
    """An RSGI application; its names with underscores are what the server calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._feedback: Feedback | None = None  # it belongs to the running loop
        self._online = Online(settings.redis_url.get_secret_value())
        snapshot = Snapshot(settings.home / "serving" / "snapshot")
        blocked = Blocked(settings.home / "serving" / "blocked")
        self._published = Published(self._online, snapshot, blocked, time.monotonic, time.time)
        self._sessions = Sessions()
        self._metrics = Metrics(
            self._age, lambda: self._published.view().can_ask, lambda: len(blocked.items), self._of_journal
        )
        gate = Gate(
            KeyRing(keys_path(settings.home), time.monotonic), settings.api_rate_limit, time.monotonic
        )
        routes = self._routes()
        self._document = msgspec.json.encode(document(version("foretaste"), routes))
        self._exchange = Exchange(routes, gate, self._metrics)

    async def __rsgi__(self, scope: Scope, transport: Transport) -> None:
        if scope.proto == "http":  # no other protocol is spoken here
            await self._exchange(scope, transport)

    # Routes

    def _routes(self) -> dict[str, Route]:
        return {
            "/v1/decisions": Route(
                "decide",
                "POST",
                "Ranked items for a user, from one version, with all that says how they came about.",
                DECIDE,
                self._decide,
                {HTTPStatus.OK: ("The decision.", JSON, Decision)},
                takes=(DecisionRequest,),
                most_bytes=_DECISION_BYTES,
            ),
            "/v1/events": Route(
                "events",
                "POST",
                "What people did: one event or a batch. Of a batch good events are kept, and the others told of.",
                INGEST,
                self._take_events,
                {
                    HTTPStatus.ACCEPTED: ("Durable: at least one event that is good.", JSON, Received),
                    HTTPStatus.CONFLICT: (
                        "Nothing kept: other events were sent under these ids.",
                        JSON,
                        Received,
                    ),
                    HTTPStatus.UNPROCESSABLE_ENTITY: ("Nothing kept: no event is good.", JSON, Received),
                },
                takes=(Event, EventBatch),
                most_bytes=_EVENT_BYTES,
            ),
            "/v1/items/{item_id}/related": Route(
                "related",
                "GET",
                "What people take together with an item, of what is for sale.",
                DECIDE,
                self._tell_related,
                {HTTPStatus.OK: ("The items, most often taken together first.", JSON, Related)},
                asks=RelatedRequest,
            ),
            "/v1/health": Route(
                "health",
                "GET",
                "How well this process can answer, and why not better.",
                None,
                self._tell_health,
                {
                    HTTPStatus.OK: ("It answers, from the top of the ladder or from lower.", JSON, Health),
                    HTTPStatus.SERVICE_UNAVAILABLE: (
                        "It cannot answer: no version was ever seen.",
                        JSON,
                        Health,
                    ),
                },
            ),
            "/metrics": Route(
                "metrics",
                "GET",
                "Figures of this process, for Prometheus.",
                ADMIN,
                self._tell_metrics,
                {HTTPStatus.OK: ("The figures.", "text/plain", str)},
            ),
            "/openapi.json": Route(
                "openapi",
                "GET",
                "This document.",
                None,
                self._tell_document,
                {HTTPStatus.OK: ("The document.", JSON, dict)},
            ),
        }

    async def _decide(self, body: bytes) -> Answer:
        request = decode(body, DecisionRequest)
        user_id = _who(request)
        view = self._published.view()
        if view.bundle is None:
            raise _nothing_seen(view)
        now = datetime.fromtimestamp(time.time(), UTC)
        fresh = self._sessions.fresh(request, user_id, now.timestamp())
        told = await self._published.ask(view, user_id, with_history=bool(fresh) and view.ranker is not None)
        session, bought = None, frozenset[str]()
        if fresh is not None and told is not None and not withheld(view.bundle, told):
            session = await self._sessions.rank(view.ranker, told.history, fresh, MOST_ITEMS)
            bought = bought_of(fresh)
        decision = decide(
            request,
            view.bundle,
            told,
            user_id=user_id,
            fallback=view.fallback,
            decision_id=f"{view.bundle.version}:{secrets.token_hex(16)}",
            now=now,
            session=session,
            bought=bought,
        )
        shadow = shadow_of(request, view.bundle, told, user_id=user_id, session=session, bought=bought)
        if self._feedback is not None and await self._feedback.log(user_id, decision, shadow, now):
            decision = msgspec.structs.replace(decision, is_logged=True)
        self._metrics.decided(decision.source, decision.fallback)
        return Answer(_encode(decision))

    async def _take_events(self, body: bytes) -> Answer:
        if self._feedback is None:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the journal is closed",
                "Send it again.",
                headers={"retry-after": "1"},
            )
        return await self._feedback.take(body, datetime.fromtimestamp(time.time(), UTC))

    async def _tell_related(self, request: RelatedRequest) -> Answer:
        view = self._published.view()
        if view.bundle is None:
            raise _nothing_seen(view)
        now = datetime.fromtimestamp(time.time(), UTC)
        return Answer(_encode(related(request, view.bundle, fallback=view.fallback, now=now)))

    async def _tell_health(self, body: bytes) -> Answer:
        now = datetime.fromtimestamp(time.time(), UTC)
        problem = self._feedback.problem if self._feedback else ""
        health = judge(self._published.view(), now, self._settings.version_max_age_hours, problem)
        is_able = health.status != "unavailable"
        return Answer(_encode(health), HTTPStatus.OK if is_able else HTTPStatus.SERVICE_UNAVAILABLE)

    async def _tell_metrics(self, body: bytes) -> Answer:
        return Answer(self._metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    async def _tell_document(self, body: bytes) -> Answer:
        return Answer(self._document)

    def _age(self) -> float:
        bundle = self._published.view().bundle
        return math.nan if bundle is None else bundle.age_seconds(datetime.fromtimestamp(time.time(), UTC))

    def _of_journal(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        return (self._feedback.events, self._feedback.decisions) if self._feedback else ({}, {})

    # For as long as the process runs

    async def start(self) -> None:
        """See what is published, and open the journal."""
        await self._published.start()
        self._feedback = Feedback(self._settings.home, self._sessions.take)
        await self._feedback.prepare(datetime.fromtimestamp(time.time(), UTC))

    async def stop(self) -> None:
        """Let go of all that was opened; what waits for the journal is written."""
        if self._feedback is not None:
            await self._feedback.close()
        await self._online.close()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self.start())
        self._following = loop.create_task(self._published.follow())
        _spare_collector()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._following.cancel()
        loop.run_until_complete(self.stop())


def _who(request: DecisionRequest) -> str:
    """The id that lists are kept under: a user's or a device's."""
    user_id, anonymous_id = request.user_id, request.anonymous_id
    if user_id is not UNSET and anonymous_id is UNSET:
        return user_id
    if anonymous_id is not UNSET and user_id is UNSET:
        return anonymous_id
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "one of user_id and anonymous_id is needed, and not both",
        "Send user_id of who is logged in, else anonymous_id.",
        field="user_id",
    )


def _nothing_seen(view: View) -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"no version was ever seen: {view.problem}",
        "Ask again after the seconds of Retry-After; an operator looks with: foretaste doctor",
        headers={"retry-after": "1"},
    )


def _spare_collector() -> None:
    """Its pauses are most of the slowest answers: what is there now stays for ever and is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_EVERY)


def create() -> App:
    """The application of this environment: what the server's process calls."""
    return App(load_settings())
