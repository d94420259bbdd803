"""Reviewed notes on days: what an entry may say, and that a wrong one is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from contracts.errors import SettingInvalid
from contracts.settings import Settings, load_settings
from jobs.annotations import annotations_of, load_annotations


def settings_with(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "notes.yml"
    path.write_text(text, encoding="utf-8")
    return load_settings(home=tmp_path / "home", annotations=str(path))


def test_entries_cover_their_days_and_come_oldest_first(tmp_path: Path) -> None:
    text = """
annotations:
  - {day: 2011-04-24, mark: expected, note: Easter, author: ann}
  - {from: 2011-03-01, to: 2011-03-03, mark: incident, note: "The tracker: down", author: bob}
"""
    found = load_annotations(settings_with(tmp_path, text))
    assert [(entry.mark, entry.days) for entry in found] == [
        ("incident", "2011-03-01 to 2011-03-03"),
        ("expected", "2011-04-24"),
    ]
    assert annotations_of(found, date(2011, 3, 3)) == [found[0]]
    assert annotations_of(found, date(2011, 3, 4)) == []


def test_the_file_of_the_package_holds_no_entry(tmp_path: Path) -> None:
    assert load_annotations(load_settings(home=tmp_path)) == ()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            "{day: 2011-04-24, mark: wrongg, note: x, author: a}",
            "entry 1, mark: .*'expected', 'wrong' or 'incident'.*'wrongg'",
        ),
        ("{day: 2011-04-31, mark: wrong, note: x, author: a}", "entry 1, day: .*2011-04-31"),
        ("{day: 2011-04-24, mark: wrong, note: x, author: a, notes: y}", "entry 1, notes: Extra inputs"),
        ("{day: 2011-04-24, mark: wrong, author: a}", "entry 1, note: Field required"),
        ("{mark: wrong, note: x, author: a}", "entry 1: .*either day, or both from and to"),
        ("{from: 2011-04-24, mark: wrong, note: x, author: a}", "either day, or both from and to"),
        (
            "{day: 2011-04-24, to: 2011-04-25, mark: wrong, note: x, author: a}",
            "either day, or both from and to",
        ),
        (
            "{from: 2011-04-25, to: 2011-04-24, mark: wrong, note: x, author: a}",
            "is later than to 2011-04-24",
        ),
        ("{day: [", "is no YAML"),
    ],
)
def test_a_wrong_entry_is_named_with_what_it_may_say(tmp_path: Path, entry: str, told: str) -> None:
    with pytest.raises(SettingInvalid, match=told):
        load_annotations(settings_with(tmp_path, f"annotations:\n  - {entry}\n"))


def test_a_file_that_is_missing_or_holds_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="FORETASTE_ANNOTATIONS: .*nowhere.yml cannot be read"):
        load_annotations(load_settings(home=tmp_path, annotations=str(tmp_path / "nowhere.yml")))
    with pytest.raises(SettingInvalid, match="annotations: "):
        load_annotations(settings_with(tmp_path, "annotation: []"))


def test_a_file_of_yaml_makes_no_objects(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="is no YAML"):
        load_annotations(settings_with(tmp_path, "annotations: !!python/object/apply:os.system ['true']"))
