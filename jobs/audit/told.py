"""An audit in words: headings, and below each a label, a value and what the value means; for terminal and page alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]

NOTHING = "–"


@dataclass(frozen=True)
class Line:
    """One figure."""

    label: str
    value: str
    meaning: str = ""


@dataclass(frozen=True)
class Section:
    """Figures of one subject."""

    title: str
    lines: tuple[Line, ...]


def sections_of(found: Record) -> list[Section]:
    """All figures, in the order in which a stranger asks; subjects that the feed has nothing of are left out."""
    told = [Section("What the landing would take in", tuple(_rows(found)))]
    if not found["volume"]["events"]:
        return told
    return [
        *told,
        Section("Who, what and when", tuple(_volume(found))),
        Section("The clock", tuple(_clock(found))),
        Section("Feedback", tuple(_feedback(found))),
        *([Section("Histories", tuple(_people(found)))] if found["people"]["lengths"] else []),
        Section("New people, new items", tuple(_cold(found))),
        Section("Items", tuple(_catalogue(found))),
    ]


def _rows(found: Record) -> list[Line]:
    lines = [
        Line(
            "Deliveries",
            ", ".join(f"{_count(count)} of {kind}" for kind, count in found["deliveries"].items()) or "none",
        )
    ]
    for kind, account in found["accounts"].items():
        parts = [f"{_count(account['good'])} good"]
        for name, words in (("quarantined", "quarantined"), ("set_aside", "set aside")):
            if account[name]:
                reasons = ", ".join(
                    f"{_count(count)} {reason}" for reason, count in sorted(account[name].items())
                )
                parts.append(f"{_count(sum(account[name].values()))} {words} ({reasons})")
        if account["duplicate"]:
            parts.append(f"{_count(account['duplicate'])} duplicate")
        lines.append(Line(f"Rows of {kind}", _count(account["read"]), ", ".join(parts)))
    return lines


def _volume(found: Record) -> list[Line]:
    volume, clock = found["volume"], found["clock"]
    by_type = ", ".join(f"{_count(count)} {name}" for name, count in volume["by_type"].items())
    return [
        Line("Events", _count(volume["events"]), by_type),
        Line("Acts", _count(volume["acts"]), "views, carts, purchases and ratings: what tells of taste, and what follows counts"),
        Line("People", _count(volume["people"]), f"{_share(volume['anonymous_share'])} of the acts are anonymous"),
        Line("Items acted upon", _count(volume["items"])),
        Line("Density", _share(volume["density"], 3), f"{_count(volume['pairs'])} pairs of person and item, of all there could be"),
        _period(clock),
    ]  # fmt: skip


def _period(clock: Record) -> Line:
    if clock["time_of_day"] == "order":
        return Line(
            "Period",
            "unknown",
            f"laid out over {clock['first']} to {clock['last']}: the clock tells order only",
        )
    days = f"{_count(clock['days'])} days with events, {_count(clock['empty_days'])} without"
    return Line("Period", f"{clock['first']} to {clock['last']}", days)


def _clock(found: Record) -> list[Line]:
    clock, people = found["clock"], found["people"]
    kinds = {
        "order": "none: the times tell order only (feed.json)",
        "date": "none: every event has the same one, the times are dates",
        "count": "none: it counts the events of the day",
        "real": f"told to {clock['resolution']}",
    }
    lines = [Line("Time of day", kinds[clock["time_of_day"]])]
    if clock["closed_weekdays"]:
        lines.append(Line("Never on", ", ".join(clock["closed_weekdays"])))
    if clock["gaps"]:
        longest = clock["gaps"][0]
        lines.append(Line("Longest gap", _days(longest["days"]), f"{longest['first']} to {longest['last']}"))
    if clock["missing_expected_days"]:
        lines.append(
            Line("Expected and empty", _days(clock["missing_expected_days"]), "by the calendar in feed.json")
        )
    if people["tied_share"] is not None:
        lines.append(
            Line(
                "Ties",
                _share(people["tied_share"]),
                "of people's acts share their instant with another of the same person",
            )
        )
    return lines


def _feedback(found: Record) -> list[Line]:
    feedback, volume = found["feedback"], found["volume"]
    implicit = {name: volume["by_type"].get(name, 0) for name in ("view", "cart", "purchase", "return")}
    deeds = ", ".join(f"{_count(count)} {name}" for name, count in implicit.items() if count)
    lines = [Line("Implicit", _count(sum(implicit.values())), deeds or "no view, cart, purchase or return")]
    if feedback["ratings"]:
        levels = (
            f"{feedback['levels']} values from {feedback['lowest']:g} to {feedback['highest']:g}"
            if feedback["with_value"]
            else "none says how many stars"
        )
        lines.append(
            Line(
                "Explicit",
                _count(feedback["ratings"]),
                f"ratings, {_count(feedback['with_value'])} with a value; {levels}",
            )
        )
    else:
        lines.append(Line("Explicit", "0", "no ratings"))
    if feedback["impressions"]:
        lines.append(
            Line(
                "Shown",
                _count(feedback["impressions"]),
                f"impressions, {_share(feedback['followed_share'])} followed the same day by an act; {_count(feedback['with_position'])} "
                f"with a position, {_count(feedback['with_propensity'])} with a propensity",
            )
        )
    else:
        lines.append(Line("Shown", "0", "no impressions: what was shown and left is not known"))
    return lines


def _people(found: Record) -> list[Line]:
    people, repeats = found["people"], found["repeats"]
    lines = [
        Line("Acts a person", _spread(people["lengths"]), _largest(people["lengths"])),
        Line(
            "Steps in time",
            _spread(people["steps"]),
            "instants at which a person acts; lines of one order are one step",
        ),
        *_days_of_people(people),
        Line(
            "One act only",
            _share(people["once_share"]),
            f"of the people; {_share(people['few_share'])} have fewer than 5",
        ),
    ]
    if people["session_lengths"]:
        lines.append(
            Line(
                "Visits, orders",
                _count(people["sessions"]),
                f"(session_id) with {_spread(people['session_lengths'])} acts",
            )
        )
    if repeats["taken"]:
        allowed = "allows" if found["repeats_allowed"] else "forbids"
        lines.append(
            Line(
                "Repeats",
                _share(repeats["repeat_share"]),
                f"of {repeats['event_type']}s are of an item that the person had taken before, by {_share(repeats['repeaters_share'])} "
                f"of the people; feed.json {allowed} repeats",
            )
        )
    if repeats["same_instant"]:
        lines.append(
            Line(
                "Same again",
                _count(repeats["same_instant"]),
                "acts with the person, item, type and instant of another one",
            )
        )
    return lines


def _days_of_people(people: Record) -> list[Line]:
    if people["days"] is None:
        return []
    return [
        Line(
            "Days",
            _spread(people["days"]),
            f"{_share(people['returning_share'])} of the people act on more than one",
        )
    ]


def _cold(found: Record) -> list[Line]:
    cold = found["cold"]
    lines = [
        Line("People with few acts", _share(found["people"]["few_share"]), "fewer than 5"),
        Line("Items with few acts", _share(cold["few_items_share"]), "fewer than 5, of the items acted upon"),
    ]
    if cold["trained_until"] is None or not cold["later_acts"]:
        return [*lines, Line("A model at 80 %", NOTHING, "the clock makes no period that could be parted")]
    until = cold["trained_until"].replace("T", " ")
    return [
        *lines,
        Line("A model at 80 %", _count(cold["later_acts"]), f"acts come after {until}, when 80 % of the period had gone by"),
        Line("… of new people", _share(cold["new_person_share"]), "of the later acts that name somebody"),
        Line("… of new items", _share(cold["new_item_share"]), f"of the later acts; {_share(cold['new_items_described_share'])} of them are described"),
        Line("… of either", _share(cold["new_either_share"]), "of the later acts: what it could not know"),
    ]  # fmt: skip


def _catalogue(found: Record) -> list[Line]:
    catalogue, spread = found["catalogue"], found["concentration"]["items"]
    coverage = ", ".join(f"{name} {_share(share)}" for name, share in catalogue["coverage"].items())
    lines = [
        Line("Described", _count(catalogue["described"]), coverage if catalogue["described"] else "no delivery of items"),
        Line("Acted upon, not described", _count(catalogue["undescribed_items"]), f"with {_share(catalogue['undescribed_acts_share'])} of the acts"),
        Line("Described, not acted upon", _count(catalogue["untouched_items"])),
        Line("Users told of", _count(catalogue["users_told_of"]), f"{_count(catalogue['unknown_people'])} act whom nobody told of"),
    ]  # fmt: skip
    if spread:
        lines.append(
            Line(
                "Concentration",
                f"Gini {spread['gini']:.2f}",
                f"the busiest hundredth of the items has {_share(spread['top_hundredth_share'])} of the acts",
            )
        )
    if found["concentration"]["item_acts"]:
        lines.append(
            Line(
                "Acts an item",
                _spread(found["concentration"]["item_acts"]),
                _largest(found["concentration"]["item_acts"]),
            )
        )
    return lines


def _count(number: int) -> str:
    return f"{number:,}"


def _share(value: float | None, places: int = 1) -> str:
    return NOTHING if value is None else f"{value * 100:.{places}f} %"


def _days(count: int) -> str:
    return f"{count:,} {'day' if count == 1 else 'days'}"


def _spread(found: Record) -> str:
    return f"median {found['median']:,}, mean {found['mean']:,}"


def _largest(found: Record) -> str:
    return f"a tenth have {found['p10']:,} or fewer, a tenth {found['p90']:,} or more, one has {found['largest']:,}"
