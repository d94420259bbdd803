"""How a column of a dbt model is computed, read from its SQL: expression by expression, down through its CTEs and models.

It reads the SQL as it is written (imports as CTEs, one thought a CTE, ``select`` lists with aliases), without a warehouse and
without dbt. Loops are unrolled, macros stay calls: ``share_micros('a', 'b')`` says more than what it comes to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, Undefined

from contracts.features import MODELS

_ROOT = MODELS.parent
_MOST_STEPS = 8
_COMMENT = re.compile(r"--[^\n]*")
_CTE = re.compile(r"(?:\bwith\b|,)\s*(\w+)\s+as\s*\(", re.IGNORECASE)
_REF = r"\{\{\s*ref\('(\w+)'\)\s*\}\}"
_FROM = re.compile(rf"\b(?:from|join)\s+(?:{_REF}|(\w+))(?:\s+as\s+(\w+))?", re.IGNORECASE)
_QUALIFIED = re.compile(r"\b([a-z_]\w*)\.([a-z_]\w*)\b")


@dataclass(frozen=True)
class Step:
    """One expression on the way: a column, and what it is computed from."""

    place: str  # the model, or the model and its CTE
    column: str
    expression: str


@dataclass(frozen=True)
class Lineage:
    """How a column comes about, down to the models that it is made of."""

    steps: tuple[Step, ...]  # the model's own first
    models: tuple[str, ...]  # that the model reads for it
    origins: tuple[str, ...]  # the staging models that it all comes from


@dataclass(frozen=True)
class _Select:
    columns: dict[str, str]  # alias → expression
    sources: dict[str, str]  # alias → CTE or model
    has_star: bool


def lineage_of(model: str, column: str) -> Lineage:
    """How a column of a model is computed, and from which models."""
    steps, read = list[Step](), dict[str, None]()
    waiting = [(model, "", column)]
    seen = set(waiting)
    while waiting and len(steps) < _MOST_STEPS:
        place, cte, name = waiting.pop(0)
        select = _selects(place).get(cte)
        if select is None:
            continue
        expression = select.columns.get(name, "")
        wanted = list(_columns_in(expression, select)) if expression else []
        if not expression and select.has_star:
            wanted = [(source, name) for source in select.sources.values()]
        elif expression and not re.fullmatch(r"(\w+\.)?\w+", expression):
            steps.append(Step(f"{place}.{cte}" if cte else place, name, expression))
        for source, each in wanted:
            is_cte = source in _selects(place)
            if place == model:
                read |= dict.fromkeys(_models_below(model, source))
            reached = (place, source, each) if is_cte else (source, "", each)
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    models = tuple(read) or _refs(model)
    origins = {
        origin for each in models for origin in _origins(each) if not origin.startswith("stg_engine__")
    }
    return Lineage(tuple(steps), models, tuple(sorted(origins)))


def _columns_in(expression: str, select: _Select) -> Iterator[tuple[str, str]]:
    """The columns that an expression names, with the CTE or model of each."""
    found = dict.fromkeys(_QUALIFIED.findall(expression))
    if found:
        yield from ((select.sources[alias], name) for alias, name in found if alias in select.sources)
    elif len(select.sources) == 1:  # nobody has to say whose columns they are
        [source] = select.sources.values()
        yield from ((source, name) for name in dict.fromkeys(re.findall(r"\b[a-z_]\w*\b", expression)))


def _models_below(model: str, source: str) -> tuple[str, ...]:
    """The models that a CTE reads, with all that it joins; of a model itself."""
    select = _selects(model).get(source)
    if select is None:
        return (source,)
    return tuple(
        found for each in select.sources.values() if each != source for found in _models_below(model, each)
    )


class _Macro(Undefined):
    """What Jinja finds under a name that it does not know: a macro, which is written down as it is called."""

    def __getattr__(self, name: str) -> Any:  # whoever asks what it can do is not told that it is undefined
        raise AttributeError(name)

    def __call__(self, *arguments: Any, **_: Any) -> str:  # type: ignore[override]
        return f"{self._undefined_name}({', '.join(map(str, arguments))})"


def _rendered(text: str) -> str:
    """A model without its Jinja: loops unrolled, variables as the project has them, calls of macros as calls."""
    variables = yaml.safe_load((_ROOT.parent / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    environment = Environment(undefined=_Macro, autoescape=False)  # noqa: S701  (SQL, not HTML)
    return environment.from_string(text).render(
        ref=lambda name: f"{{{{ ref('{name}') }}}}",
        var=lambda name, default=None: variables.get(name, default),
        config=lambda **_: "",
        target={"type": "duckdb"},
    )


@cache
def _sql(model: str) -> str:
    path = next(_ROOT.rglob(f"{model}.sql"), None)
    return "" if path is None else _COMMENT.sub("", _rendered(path.read_text(encoding="utf-8")))


@cache
def _refs(model: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(_REF, _sql(model))))


@cache
def _origins(model: str) -> frozenset[str]:
    """The models that read no other one: staging, or the weights of a seed."""
    refs = _refs(model)
    return frozenset({model}) if not refs else frozenset(origin for each in refs for origin in _origins(each))


@cache
def _selects(model: str) -> dict[str, _Select]:
    """The ``select`` of each CTE by its name, and the last one by an empty name."""
    sql, found, at = _sql(model), dict[str, _Select](), 0
    while (begun := _CTE.search(sql, at)) is not None and not sql[at : begun.start()].strip():
        end = _closing(sql, begun.end() - 1)
        found[begun[1]] = _select(sql[begun.end() : end])
        at = end + 1
    return found | {"": _select(sql[at:])}


def _select(text: str) -> _Select:
    begin, end = _top_level(text, "select"), _top_level(text, "from")
    if begin < 0 or _top_level(text, "union") >= 0:  # of several branches none is the expression
        return _Select({}, {}, False)
    columns, has_star = dict[str, str](), False
    for part in _split(text[begin + len("select") : end if end >= 0 else len(text)]):
        told = " ".join(part.split())
        named = re.fullmatch(r"(.*?)\s+as\s+(\w+)", told, re.IGNORECASE | re.DOTALL)
        if told.endswith("*"):
            has_star = True
        elif named and _depth(named[1]) == 0:
            columns[named[2]] = named[1]
        elif told:
            columns[told.rsplit(".", 1)[-1]] = told
    rest = text[end:] if end >= 0 else ""
    sources = {alias or ref or name: ref or name for ref, name, alias in _FROM.findall(rest)}
    return _Select(columns, sources, has_star)


def _top_level(text: str, word: str) -> int:
    """Where a word stands outside of every bracket; -1 where it does not."""
    for match in re.finditer(rf"\b{word}\b", text, re.IGNORECASE):
        if _depth(text[: match.start()]) == 0:
            return match.start()
    return -1


def _split(text: str) -> list[str]:
    """The parts between the commas that stand outside of every bracket."""
    parts, depth, begin = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "({[") - (letter in ")}]")
        if letter == "," and depth == 0:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]


def _depth(text: str) -> int:
    return sum((letter in "({[") - (letter in ")}]") for letter in text)


def _closing(text: str, opening: int) -> int:
    """Where the bracket ends that is opened at a place."""
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] in "({[") - (text[at] in ")}]")
        if depth == 0:
            return at
    return len(text)
