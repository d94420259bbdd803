"""The house is kept: names collide with nobody, every verb is documented, the Makefile's commands exist."""

from __future__ import annotations

import re
from importlib.metadata import packages_distributions
from pathlib import Path

import click

from jobs.cli import cli
from jobs.io.commit import BOUNDARIES
from jobs.steps import STEPS

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("contracts", "expectations", "jobs", "models", "serving", "simulator")


def python_files(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in (REPOSITORY / room).rglob("*.py")]


def test_no_other_distribution_provides_one_of_our_names() -> None:
    providers = packages_distributions()
    assert {room: providers.get(room, ["foretaste"]) for room in ROOMS} == {
        room: ["foretaste"] for room in ROOMS
    }


def test_every_room_says_in_one_sentence_what_it_is() -> None:
    for path in python_files(*ROOMS):
        first = next((line for line in path.read_text().splitlines() if line), '"""')
        assert first.startswith('"""'), f"{path.relative_to(REPOSITORY)} has no docstring"


def test_every_verb_of_the_cli_stands_in_the_documentation() -> None:
    told = "\n".join(
        path.read_text() for path in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    )

    def verbs(group: click.Group, prefix: str) -> list[str]:
        found = []
        for name, command in group.commands.items():
            found += (
                verbs(command, f"{prefix} {name}")
                if isinstance(command, click.Group)
                else [f"{prefix} {name}"]
            )
        return found

    assert [verb for verb in verbs(cli, "foretaste") if f"{verb}" not in told] == []


def test_every_step_names_a_function_in_a_file_that_is_there() -> None:
    for step in STEPS.values():
        module, function = step.function.split(":")
        path = REPOSITORY / Path(*module.split("."))
        source = (
            path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
        ).read_text()
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), step.function


def test_every_boundary_of_the_commit_protocol_is_crossed_somewhere() -> None:
    sources = "\n".join(path.read_text() for path in python_files("jobs"))
    assert [name for name in BOUNDARIES if f'cross("{name}")' not in sources] == []
    assert set(re.findall(r'cross\("([^"]+)"\)', sources)) == set(BOUNDARIES)


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        str(path.relative_to(REPOSITORY))
        for path in python_files(*ROOMS)
        if re.search(r"os\.(environ|getenv)", path.read_text())
    }
    assert readers <= {"contracts/settings.py"}


def test_no_folder_has_a_name_that_says_nothing() -> None:
    banned = {"utils", "common", "helpers", "shared", "lib", "scripts", "misc"}
    folders = {path.name for path in REPOSITORY.glob("*/") if path.is_dir()}
    assert not folders & banned
    assert not {path.stem for path in python_files(*ROOMS)} & banned
