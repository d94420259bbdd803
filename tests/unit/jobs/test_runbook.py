"""Every alarm has a page that says what to do, with commands that exist."""

from __future__ import annotations

import re

import click
import pytest

from contracts.alarms import TITLES
from contracts.settings import Settings
from jobs.cli import cli
from jobs.runbook import RUNBOOK, pages, runbook_url

SECTIONS = ("What it means.", "What readers get.", "What to look at", "What to do", "How to prevent it.")


def test_every_alarm_has_a_page_and_every_page_an_alarm() -> None:
    assert {path.stem for path in RUNBOOK.glob("*.md")} == {*TITLES, "README"}


@pytest.mark.parametrize("kind", sorted(TITLES))
def test_a_page_says_all_that_a_person_on_call_needs(kind: str) -> None:
    text = (RUNBOOK / f"{kind}.md").read_text()
    assert text.startswith(f"# {TITLES[kind]}\n")
    assert [section for section in SECTIONS if f"**{section}**" not in text] == []


def test_every_command_and_option_of_the_runbook_exists() -> None:
    told = re.findall(r"`(foretaste [^`]+)`", "\n".join(path.read_text() for path in RUNBOOK.glob("*.md")))
    assert len(told) > 20
    for line in told:
        words = line.split()[1:]
        command: click.Command = cli
        while words and isinstance(command, click.Group) and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert command is not cli, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_setting_of_the_runbook_exists() -> None:
    text = "\n".join(path.read_text() for path in RUNBOOK.glob("*.md"))
    named = {name.lower() for name in re.findall(r"FORETASTE_([A-Z0-9_]+)", text)}
    assert len(named) > 10
    assert named <= set(Settings.model_fields)


def test_the_pages_are_complete_and_lead_back() -> None:
    found = dict(pages())
    assert set(found) == {f"runbook/{kind}.html" for kind in (*TITLES, "index")}
    assert "<table>" not in found["runbook/drift.html"]
    for text in found.values():
        assert 'href="../start.html"' in text
        assert "<h1>" in text
    for kind, title in TITLES.items():
        assert f'<a href="{kind}.html">{title.replace(chr(39), "&#39;")}</a>' in found["runbook/index.html"]


def test_a_page_links_to_the_runbook_from_where_it_lies() -> None:
    assert runbook_url("drift", root="../") == "../runbook/drift.html"
    with pytest.raises(KeyError):
        runbook_url("earthquake")
