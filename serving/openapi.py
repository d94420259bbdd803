"""The API described by itself (OpenAPI 3.1): schemas come from the types that are decoded and encoded."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from contracts.api_keys import ADMIN, DECIDE
from contracts.decisions import Decision, DecisionRequest
from serving.exchange import JSON, PROBLEM_JSON
from serving.health import Health
from serving.problems import ProblemDetails

_SCHEMAS = (DecisionRequest, Decision, Health, ProblemDetails)
_ASKED_BADLY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_KEYED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def document(version: str) -> dict[str, Any]:
    """The document of this release."""
    _, schemas = msgspec.json.schema_components(_SCHEMAS, ref_template="#/components/schemas/{name}")
    schemas["DecisionRequest"]["oneOf"] = [{"required": ["user_id"]}, {"required": ["anonymous_id"]}]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Foretaste",
            "version": version,
            "description": "Ranked items for a user and a surface. Every request of a scope needs a key; `foretaste keys create` makes one.",
        },
        "paths": {
            "/v1/decisions": {
                "post": {
                    "operationId": "decide",
                    "summary": "Ranked items for a user, from one version, with all that says how they came about.",
                    "security": [{"key": []}],
                    "description": f"Needs the scope {DECIDE}.",
                    "requestBody": {"required": True, "content": {JSON: {"schema": _ref("DecisionRequest")}}},
                    "responses": {
                        "200": _content("The decision.", JSON, _ref("Decision")),
                        **_problems(*_KEYED, *_ASKED_BADLY, *_BUSY),
                    },
                }
            },
            "/v1/health": {
                "get": {
                    "operationId": "health",
                    "summary": "How well this process can answer, and why not better.",
                    "responses": {
                        "200": _content(
                            "It answers, from the top of the ladder or from lower.", JSON, _ref("Health")
                        ),
                        "503": _content("It cannot answer: no version was ever seen.", JSON, _ref("Health")),
                    },
                }
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "Figures of this process, for Prometheus.",
                    "security": [{"key": []}],
                    "description": f"Needs the scope {ADMIN}.",
                    "responses": {
                        "200": _content("The figures.", "text/plain", {"type": "string"}),
                        **_problems(*_KEYED, *_BUSY),
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    "operationId": "openapi",
                    "summary": "This document.",
                    "responses": {"200": _content("The document.", JSON, {"type": "object"})},
                }
            },
        },
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(description: str, content_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {content_type: {"schema": schema}}}


def _problems(*statuses: HTTPStatus) -> dict[str, Any]:
    return {
        str(status.value): _content(status.description or status.phrase, PROBLEM_JSON, _ref("ProblemDetails"))
        for status in statuses
    }
