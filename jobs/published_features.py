"""What the online store knows of one user or item, read from Redis alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import date
from typing import Any

from contracts.online_features import FRESH, OUTDATED, UNKNOWN, WITHHELD, judge
from contracts.settings import Settings
from jobs.io.online import open_online_store


def published_features(settings: Settings, entity: str, id_: str, today: date) -> dict[str, Any]:
    """Every published feature of a user or an item with unit, age and status, as of a day.

    Raises:
        PartitionMissing: nothing has been published.
        StoreUnfit: the live version is not whole.
    """
    with open_online_store(settings, timeout=2) as store:
        pointer, read = store.read_features(entity, id_)
    answer = {entity: id_, "version": pointer.version, "day": pointer.day, "is_published": read is not None}
    if read is None:
        return answer | {"features": []}
    [rows], [is_known] = read.rows, read.is_known
    found = judge(
        read.catalogue,
        entity,
        rows,
        is_known=is_known,
        today=today,
        max_age_days=settings.features_max_age_days,
        withheld=read.withheld,
    )
    return answer | {
        "age_days": (today - date.fromisoformat(read.catalogue.day)).days,
        "has_features": rows is not None,
        "is_known": is_known,
        "withheld": read.withheld,
        "features": [asdict(feature) for feature in found],
    }


def render(answer: dict[str, Any]) -> str:
    """The features as a person reads them."""
    entity = next(name for name in ("user_id", "item_id") if name in answer)
    head = f"{answer[entity]}: features of {answer['day']}, version {answer['version']}"
    if not answer["is_published"]:
        return f"{head}\nNo features were published with this version. They come with the next: foretaste run --day DAY"
    features = answer["features"]
    lines = [f"{head}, {answer['age_days']} days ago"]
    statuses = Counter(feature["status"] for feature in features)
    if answer["withheld"]:
        lines.append(f"All of it is withheld: {answer['withheld']}.")
    elif not answer["is_known"]:
        lines.append(f"We do not know this {entity.removesuffix('_id')}.")
    elif not answer["has_features"]:
        lines.append(
            "There are no features of this user: nothing was done lately, or nothing was known by that day."
        )
    if statuses[OUTDATED]:
        lines.append(f"All of it is outdated: it {features[0]['why']}.")
    told = [
        (_name(feature), _value(feature["value"]), feature["unit"], _status(feature)) for feature in features
    ]
    widths = [max((len(row[place]) for row in told), default=0) for place in range(3)]
    lines += [
        f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {unit:<{widths[2]}}  {status}".rstrip()
        for name, value, unit, status in told
    ]
    return "\n".join(lines)


def _name(feature: dict[str, Any]) -> str:
    return f"{feature['name']} [{feature['of']}]" if feature["of"] is not None else str(feature["name"])


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _status(feature: dict[str, Any]) -> str:
    is_told_above = feature["status"] in (FRESH, OUTDATED, UNKNOWN, WITHHELD)
    return str(feature["status"]) + ("" if is_told_above else f": {feature['why']}")
