"""The reviewed rules of what is shown: a wrong one is refused by its name, its value and the way out."""

from __future__ import annotations

import pyarrow as pa
import pytest

from contracts.errors import SettingInvalid
from contracts.serving_rules import ServingRules, SurfaceRules
from jobs.reviewed_file import text_of
from jobs.serving_rules import load_serving_rules, parse_serving_rules, refuse_unknown

CATALOGUE = pa.table(
    {
        "item_id": ["cup", "wine", "sled"],
        "category": ["kitchen", "wine", None],
        "brand": ["ours", None, None],
        "attributes": [None, '{"year": 2011}', '{"season": ["winter", "always"], "margin": 0.2}'],
    }
)


def test_what_foretaste_comes_with_takes_nothing_away_and_moves_nothing() -> None:
    assert load_serving_rules() == ServingRules()
    assert load_serving_rules().default == SurfaceRules()


def test_the_example_in_the_files_head_is_a_file() -> None:
    head = text_of("serving_rules.toml")
    example = "\n".join(line.removeprefix("#   ") for line in head.splitlines() if line.startswith("#   "))
    rules = parse_serving_rules(example[example.index("[[default.filters]]") :])
    assert rules.surfaces["gifts"].pins[0].item == "i00031"
    assert ServingRules.model_validate_json(rules.to_json()) == rules


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default", "end of a table declaration"),
        ("[defaults]", "defaults.*not permitted"),
        ("[surfaces.Home]", "surfaces.Home.*match pattern"),
        ('[[default.filters]]\nname = "f"', "f needs one of hide and keep"),
        (
            '[[default.filters]]\nname = "f"\nhide = {items = ["a"]}\nkeep = {items = ["b"]}',
            "f needs one of hide and keep",
        ),
        ('[[default.filters]]\nname = "f"\nhide = {}', "a condition that says nothing"),
        ('[[default.filters]]\nname = "f"\nhide = {items = []}', "at least 1 item"),
        ('[[default.filters]]\nname = "f"\nhide = {price_at_least = 9, price_at_most = 3}', "at least 9 and at most 3"),
        ('[[default.filters]]\nname = "f"\nhide = {price_at_most = nan}', "finite number"),
        ('[[default.filters]]\nname = "F!"\nhide = {items = ["a"]}', "match pattern"),
        (
            '[[default.filters]]\nname = "f"\nhide = {items = ["a"]}\n[[default.filters]]\nname = "f"\nkeep = {items = ["a"]}',
            "filter f stands there twice",
        ),
        (
            '[[default.filters]]\nname = "f"\nhide = {items = ["a"]}\nstarts_at = 2026-01-02T00:00:00Z\n'
            "ends_at = 2026-01-01T00:00:00Z",
            "f ends at 2026-01-01",
        ),
        ('[[default.filters]]\nname = "f"\nhide = {items = ["a"]}\nstarts_at = 2026-01-02T00:00:00', "timezone"),
        ('[[default.boosts]]\nname = "b"\nwhere = {items = ["a"]}\nfactor = 0', "factor.*0.01"),
        ('[[default.pins]]\nname = "p"\nitem = "a"\nposition = 0', "position.*greater than or equal to 1"),
        (
            '[[default.pins]]\nname = "p"\nitem = "a"\nposition = 1\n[[default.pins]]\nname = "q"\nitem = "b"\nposition = 1',
            "pins p and q want place 1 at the same time",
        ),
        (
            '[[default.pins]]\nname = "p"\nitem = "a"\nposition = 1\n[[default.pins]]\nname = "q"\nitem = "a"\nposition = 2',
            "pins p and q place a at the same time",
        ),
        ('[[default.caps]]\nby = "colour"\nmost = 1\nfirst = 2', "colour"),
        ("[default]\ndiversity = {strength = 1}", "strength.*less than 1"),
        ("[default]\nweights = {relevance = 0}", "weights that are all 0"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_by_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(
        SettingInvalid, match=f"(?s)expectations/serving_rules.toml.*{message}.*Mend the file"
    ):
        parse_serving_rules(text)


def test_pins_may_follow_each_other_in_one_place() -> None:
    rules = parse_serving_rules(
        """
        [[default.pins]]
        name = "p"
        item = "a"
        position = 1
        ends_at = 2026-01-01T00:00:00Z
        [[default.pins]]
        name = "q"
        item = "b"
        position = 1
        starts_at = 2026-01-01T00:00:00Z
        """
    )
    assert rules.pinned == {"a", "b"}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('hide = {items = ["cap"]}', "filter:f names item 'cap'"),
        ('hide = {categories = ["wine", "Wines"]}', "filter:f names category 'Wines'"),
        ('keep = {brands = ["theirs"]}', "filter:f names brand 'theirs'"),
        ('hide = {attributes = {colour = ["red"]}}', "filter:f names attribute colour 'red'"),
        ('hide = {attributes = {season = ["summer"]}}', "filter:f names attribute season 'summer'"),
    ],
)
def test_what_the_catalogue_never_had_is_refused(rule: str, message: str) -> None:
    rules = parse_serving_rules(f'[[surfaces.home.filters]]\nname = "f"\n{rule}')
    with pytest.raises(SettingInvalid, match=rf"surfaces\.home: {message}.*stays served"):
        refuse_unknown(rules, CATALOGUE)


def test_a_pin_of_an_unknown_item_and_a_margin_that_nobody_told_are_refused() -> None:
    pin = parse_serving_rules('[[default.pins]]\nname = "p"\nitem = "cap"\nposition = 1')
    with pytest.raises(SettingInvalid, match="default: pin:p places item 'cap'"):
        refuse_unknown(pin, CATALOGUE)
    weights = parse_serving_rules("[default]\nweights = {relevance = 1, margin = 0.5}")
    refuse_unknown(weights, CATALOGUE)
    with pytest.raises(
        SettingInvalid, match="weights gives margin 0.5, and no item has an attribute 'margin'"
    ):
        refuse_unknown(weights, CATALOGUE.slice(0, 2))


def test_what_the_catalogue_has_is_let_through() -> None:
    rules = parse_serving_rules(
        """
        [[default.filters]]
        name = "f"
        hide = {items = ["cup"], categories = ["kitchen"], brands = ["ours"], attributes = {season = ["winter"], year = ["2011"]}}
        [[default.boosts]]
        name = "b"
        where = {attributes = {season = ["always"]}}
        factor = 2
        """
    )
    refuse_unknown(rules, CATALOGUE)
