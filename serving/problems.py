"""What is told of a request that gets no other answer (RFC 9457): what is wrong, where, with which value, and the way out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from msgspec import Struct, json

#: Of a value that is refused, so much is told back.
_SHOWN = 100


class ProblemDetails(Struct, omit_defaults=True):
    """What is wrong with a request, and what would mend it."""

    type: str
    title: str
    status: int
    detail: str
    hint: str
    field: str | None = None
    value: str | None = None


class Problem(Exception):
    """A request that cannot be answered as it is asked."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        hint: str,
        *,
        field: str | None = None,
        value: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.details = ProblemDetails(
            type=f"urn:foretaste:problem:{status.name.lower().replace('_', '-')}",
            title=status.phrase,
            status=status,
            detail=detail,
            hint=hint,
            field=field,
            value=None if value is None else _shown(value),
        )

    def body(self) -> bytes:
        return json.encode(self.details)


def _shown(value: Any) -> str:
    """A value as it may stand in an answer and in a log: short, and without characters that do something there."""
    text = ascii(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
