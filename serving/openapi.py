"""The API described by itself (OpenAPI 3.1): from the routes, and the types that they decode and encode."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from serving.exchange import JSON, PROBLEM_JSON, Route
from serving.problems import ProblemDetails

_ASKED_BADLY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_KEYED = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
#: What a type cannot say of itself.
_BESIDES = {"DecisionRequest": {"oneOf": [{"required": ["user_id"]}, {"required": ["anonymous_id"]}]}}


def document(version: str, routes: Mapping[str, Route]) -> dict[str, Any]:
    """The document of this release."""
    types = {type_ for route in routes.values() for type_ in route.types}
    ordered = sorted(types, key=lambda each: each.__name__)
    _, schemas = msgspec.json.schema_components(
        [*ordered, ProblemDetails], ref_template="#/components/schemas/{name}"
    )
    for name, more in _BESIDES.items():
        if name in schemas:
            schemas[name] |= more
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Foretaste",
            "version": version,
            "description": "Ranked items for a user and a surface. A route with a scope needs a key that has it; an operator "
            "makes one: `foretaste keys create`.",
        },
        "paths": {path: {route.method.lower(): _operation(path, route)} for path, route in routes.items()},
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(path: str, route: Route) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": route.name, "summary": route.summary}
    problems: tuple[HTTPStatus, ...] = ()
    if route.asks is not None:
        told["parameters"] = _parameters(route.asks, path)
        problems += (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
    if route.scope is not None:
        told |= {"description": f"Needs the scope {route.scope}.", "security": [{"key": []}]}
        problems += _KEYED
    if route.takes:
        told["requestBody"] = {"required": True, "content": _content(JSON, *route.takes)}
        problems += _ASKED_BADLY
    told["responses"] = {
        **{
            str(status.value): {
                "description": status.description,
                "content": _content(PROBLEM_JSON, ProblemDetails),
            }
            for status in problems
        },
        **{
            str(status.value): {"description": description, "content": _content(media_type, type_)}
            for status, (description, media_type, type_) in route.gives.items()
        },
    }
    return told


def _parameters(type_: type, path: str) -> list[dict[str, Any]]:
    _, schemas = msgspec.json.schema_components([type_])
    schema = schemas[type_.__name__]
    return [
        {
            "name": name,
            "in": "path" if f"{{{name}}}" in path else "query",
            "required": name in schema["required"],
            "schema": of_it,
        }
        for name, of_it in schema["properties"].items()
    ]


def _content(media_type: str, *types: type) -> dict[str, Any]:
    first, *others = [_schema(type_) for type_ in types]
    return {media_type: {"schema": {"oneOf": [first, *others]} if others else first}}


def _schema(type_: type) -> dict[str, str]:
    is_described = issubclass(type_, msgspec.Struct)
    return {"$ref": f"#/components/schemas/{type_.__name__}"} if is_described else {"type": _PLAIN[type_]}


_PLAIN: dict[type, str] = {str: "string", dict: "object"}
