"""Bodies are read strictly: what two readers could take for different things is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec

from serving.problems import Problem

MOST_DEPTH = 16
#: A batch is an object that holds a list of objects.
_LEVELS = 3
#: Floats below are exact where they are whole.
_EXACT = 2**53

_T = TypeVar("_T")
#: Control characters and halves of surrogate pairs: nobody means them, logs and terminals act upon them.
_REFUSED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
#: What ends a key.
_AFTER_A_KEY = re.compile(rb'"[ \t\r\n]*:')
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")
_NAMED = re.compile(r"^Object (?:contains unknown|missing required) field `(.*?)`", re.DOTALL)


def decode(body: bytes, wanted: type[_T]) -> _T:
    """The value that a body holds.

    Raises:
        Problem: it is no JSON that everybody reads alike, or not what is wanted.
    """
    value = parse(body)
    if b"\\" in body or b"\x7f" in body:  # JSON has no other way to write them
        _refuse_controls("", value)
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        value = _read_slowly(body)
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), value) from error


def decode_parameters(of_path: Mapping[str, str], query: str, wanted: type[_T]) -> _T:
    """The value that the parameters of a path and of a query make.

    Raises:
        Problem: they are not what is wanted, or one stands twice.
    """
    pairs = [*of_path.items(), *parse_qsl(query, keep_blank_values=True)]
    value = _object(pairs, "a parameter stands twice", "Send each parameter once.")
    try:
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), value) from error


def parse(body: bytes) -> Any:
    """JSON without NaN, infinities, duplicate keys, halves of surrogate pairs and deep nesting.

    It is read in C, and again slowly where something of it looks odd.

    Raises:
        Problem: the body holds one of them, or is no JSON.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse_controls("", _read_slowly(body))
        raise _unreadable(f"the body is no JSON: {error}", "Send one JSON object.") from error
    if _counted(value) != (body.count(b"[") + body.count(b"{"), len(_AFTER_A_KEY.findall(body))):
        _read_slowly(body)
    return value


def _counted(value: Any, levels: int = _LEVELS) -> tuple[int, int]:
    """The lists and objects of a value, and the keys of these, some levels down.

    In the text there are never fewer brackets that open, nor fewer ends of keys. Where there are as many, no key stands
    twice and nothing is deep; where there are more they stand in texts, or deeper down, or again.
    """
    num_brackets, num_keys = 1, 0
    inner = value
    if isinstance(value, dict):
        inner, num_keys = value.values(), len(value)
    elif not isinstance(value, list):
        return 0, 0
    if levels > 1:
        for each in inner:
            if isinstance(each, (dict, list)):
                brackets, keys = _counted(each, levels - 1)
                num_brackets += brackets
                num_keys += keys
    return num_brackets, num_keys


def _read_slowly(body: bytes) -> Any:
    """What a body holds by a reader that says what is wrong with it; whole numbers are int however they are written.

    Raises:
        Problem: something is.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _unreadable(f"byte {error.start} of the body is no UTF-8", "Send the body in UTF-8.") from error
    _refuse_deep(text)
    try:
        return _slowly.decode(text)
    except ValueError as error:
        raise _unreadable(f"the body is no JSON: {error}", "Send one JSON object.") from error


def _object(
    pairs: list[tuple[str, Any]],
    wrong: str = "a key stands twice in one object",
    hint: str = "Send each key once.",
) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _unreadable(wrong, hint, field=twice)
    return found


def _refuse_controls(field: str, value: Any) -> None:
    if isinstance(value, str):
        if _REFUSED.search(value):
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "a text holds a control character or half of a surrogate pair",
                "Send text without them.",
                field=_printable(field),
                value=value,
            )
    elif isinstance(value, dict):
        for key, each in value.items():
            _refuse_controls(field, key)
            _refuse_controls(f"{field}.{key}" if field else key, each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            _refuse_controls(f"{field}[{number}]", each)


def _constant(name: str) -> NoReturn:
    raise _unreadable(f"{name} is no JSON", "Leave out numbers that there are not.", value=name)


def _finite(text: str) -> float | int:
    """A number with a point or an exponent; to JSON Schema 13.0 is as whole as 13."""
    value = float(text)
    if not math.isfinite(value):
        raise _unreadable("a number is too large", "Send numbers below 1e308.", value=text)
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _integer(text: str) -> int:
    if len(text) > 20:
        raise _unreadable("a number is too large", "Send whole numbers of at most 20 digits.", value=text)
    return int(text)


_slowly = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite, parse_int=_integer
)


def _refuse_deep(text: str) -> None:
    if text.count("[") + text.count("{") <= MOST_DEPTH:
        return
    depth = 0
    for token in _NESTING.finditer(text):
        first = token[0][0]
        depth += (first in "[{") - (first in "]}")
        if depth > MOST_DEPTH:
            raise _unreadable(
                f"the body is nested more than {MOST_DEPTH} deep",
                "Send what the API describes: /openapi.json",
            )


def _unreadable(detail: str, hint: str, *, field: str | None = None, value: str | None = None) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail, hint, field=field and _printable(field), value=value)


def _printable(field: str) -> str:
    return ascii(field)[1:-1]


def _misfit(told: str, value: Any) -> Problem:
    """What msgspec says, with the field and its value apart."""
    path, named = _PATH.search(told), _NAMED.search(told)
    at = path[1] if path else ""
    field = ".".join(part for part in (at, named[1] if named else "") if part)
    found = _at(value, field)
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        told if path is None else told[: path.start()],
        "Mend that field; /openapi.json describes them all.",
        field=_printable(field) or None,
        value=found,
    )


def _at(value: Any, field: str) -> Any:
    for part in filter(None, re.split(r"[.\[\]]+", field)):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value
