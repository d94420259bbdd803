"""The audit as a terminal shows it."""

from __future__ import annotations

import textwrap
from typing import Any

from jobs.audit.told import sections_of

Record = dict[str, Any]

_WIDTH, _LABEL = 110, 26
_VERDICTS = {"begin": "begin with", "next": "next", "not yet": "not yet"}


def render(found: Record) -> str:
    """What to begin with, what to look at, then every figure."""
    advice = found["advice"]
    parts = [
        f"{found['shop']}  ({found['feed']})",
        "",
        _folded(f"Begin with: {advice['begin_with']}", f"{_sentence(advice['why'])}"),
        "",
    ]
    if found["warnings"]:
        parts += ["Look at", *(_bullet(told) for told in found["warnings"]), ""]
    for section in sections_of(found):
        parts.append(section.title)
        for line in section.lines:
            parts.append(_row(line.label, f"{line.value}  {line.meaning}".rstrip()))
        parts.append("")
    parts.append("Models")
    parts += [
        _row(f"{each['family']}", f"{_VERDICTS[each['verdict']]}: {each['why']}")
        for each in advice["families"]
    ]
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _folded(head: str, text: str) -> str:
    return "\n".join([head, *textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")])


def _bullet(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH, initial_indent="  ! ", subsequent_indent="    "))


def _row(label: str, text: str) -> str:
    lines = textwrap.wrap(text, _WIDTH - _LABEL - 2) or [""]
    first = f"  {label:<{_LABEL}}{lines[0]}"
    return "\n".join([first.rstrip(), *(f"  {'':<{_LABEL}}{line}" for line in lines[1:])])
