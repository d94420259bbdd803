"""The reviewed rules of what is shown, checked before they are published with a version."""

from __future__ import annotations

from collections.abc import Iterator, Set

import pyarrow as pa

from contracts.errors import SettingInvalid
from contracts.published_items import MARGIN, attributes_of, values_of
from contracts.serving_rules import PIN, WEIGHTS, Condition, ServingRules
from jobs.reviewed_file import parsed, text_of

_NAME = "serving_rules.toml"
_WAY_OUT = "What is served stays served. Mend the file, and publish again; its head and docs/serving.md say what it may hold."


def load_serving_rules() -> ServingRules:
    """Read and check the reviewed file.

    Raises:
        SettingInvalid: a rule is misspelt, out of its range, or contradicts another.
    """
    return parse_serving_rules(text_of(_NAME))


def parse_serving_rules(text: str) -> ServingRules:
    """Rules from TOML text.

    Raises:
        SettingInvalid: a rule is misspelt, out of its range, or contradicts another.
    """
    found: ServingRules = parsed(ServingRules, text, _NAME, _WAY_OUT)
    return found


def refuse_unknown(rules: ServingRules, catalogue: pa.Table) -> None:
    """Refuse rules that name what the catalogue has never had: such a filter would silently let everything through.

    Args:
        catalogue: every item that was ever delivered, for sale or not; with id, category, brand and attributes.

    Raises:
        SettingInvalid: a rule names an unknown item, category, brand, attribute or value, or weighs a margin that no item has.
    """
    known = {name: set(catalogue[name].to_pylist()) for name in ("item_id", "category", "brand")}
    attributes = _values_by_attribute(catalogue, rules.attributes | {MARGIN})
    for place, surface in rules.all().items():
        for label, condition in surface.conditions():
            for what, value in _unknown(condition, known, attributes):
                raise _refusal(place, label, f"names {what} {value!r}, which no item of the catalogue has")
        for pin in surface.pins:
            if pin.item not in known["item_id"]:
                raise _refusal(
                    place, f"{PIN}:{pin.name}", f"places item {pin.item!r}, which the catalogue has not"
                )
        if surface.weights is not None and surface.weights.margin and not attributes[MARGIN]:
            raise _refusal(
                place,
                WEIGHTS,
                f"gives margin {surface.weights.margin:g}, and no item has an attribute {MARGIN!r}",
            )


def _unknown(
    condition: Condition, known: dict[str, set[str]], attributes: dict[str, set[str]]
) -> Iterator[tuple[str, str]]:
    """What a condition names and nobody has: in words, and the value."""
    for what, values, found in (
        ("item", condition.items, known["item_id"]),
        ("category", condition.categories, known["category"]),
        ("brand", condition.brands, known["brand"]),
        *((f"attribute {name}", values, attributes[name]) for name, values in condition.attributes.items()),
    ):
        for value in values or ():
            if value not in found:
                yield what, value


def _values_by_attribute(catalogue: pa.Table, named: Set[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in named}
    for text in catalogue["attributes"].unique().to_pylist():
        for name, value in attributes_of(text).items():
            if name in found:
                found[name].update(values_of(value))
    return found


def _refusal(place: str, label: str, problem: str) -> SettingInvalid:
    return SettingInvalid(f"expectations/{_NAME}: {place}: {label} {problem}. {_WAY_OUT}")
