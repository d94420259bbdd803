"""What in a feed deserves a look before anything is trained on it, in sentences with their numbers."""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]

_MOST_REFUSALS = 3
#: Below this share of lines that say the same of one person, item and instant, they are noise.
_SAME_INSTANT_SHARE = 0.005
_UNDESCRIBED_SHARE = 0.01
_ANONYMOUS_SHARE = 0.1
_TIED_SHARE = 0.25
_COLD_PEOPLE_SHARE = 0.3
#: A gap that no calendar explains.
_LONG_GAP_DAYS = 7
#: From this many acts on, a share of repeats is told from chance.
_TELLING_ACTS = 1_000
_REPEATS_BELONG, _NO_REPEATS = 0.05, 0.005


def warnings_of(found: Record) -> list[str]:
    """What to look at, what stops the landing first; empty where all is well."""
    told = [
        *(f"The landing stops at this: {problem}." for problem in found["unreadable"]),
        *_refused(found["refusals"]),
    ]
    if not found["deliveries"]:
        return [
            *told,
            "No delivery is complete: none of the folders holds _SUCCESS. There is nothing to audit.",
        ]
    if not found["volume"]["events"]:
        return [*told, "There is no good event: nothing can be learnt from this feed."]
    return [*told, *_rows(found), *_clock(found), *_people(found), *_catalogue(found)]


def _refused(refusals: list[str]) -> list[str]:
    """The first refusals in full; who reads on finds all of them in the JSON."""
    shown = [
        f"The landing refuses this until somebody accepts it: {reason}."
        for reason in refusals[:_MOST_REFUSALS]
    ]
    more = len(refusals) - len(shown)
    return [*shown, f"It refuses {more:,} more for such reasons (--json lists them)."] if more else shown


def _rows(found: Record) -> list[str]:
    told = []
    events = found["accounts"]["events"]
    if bad := sum(events["quarantined"].values()):
        worst = max(sorted(events["quarantined"]), key=lambda reason: events["quarantined"][reason])
        told.append(
            f"{bad:,} of {events['read']:,} rows of events go to quarantine, mostly {worst} (docs/landing.md)."
        )
    same, acts = found["repeats"]["same_instant"], found["volume"]["acts"]
    if acts and same / acts >= _SAME_INSTANT_SHARE:
        told.append(
            f"{same:,} acts ({same / acts:.1%}) repeat another one of the same person, item, type and instant under an id of "
            "their own: they are counted. If they are lines of one order or copies, deliver one with its quantity."
        )
    return told


def _clock(found: Record) -> list[str]:
    clock, people, told = found["clock"], found["people"], []
    if clock["time_of_day"] == "order":
        told.append(
            "The clock tells order only (feed.json): trends, seasons, drift and what is new cannot be read from this feed."
        )
    if clock["time_of_day"] == "date":
        told.append(
            "Every event has the same time of day: the times are dates, and order within a day is unknown."
        )
    if clock["time_of_day"] == "count":
        told.append(
            "Times of day count the events of the day, a second each: they tell the order within a day, and neither hours "
            "nor how long somebody looked."
        )
    if clock["missing_expected_days"]:
        told.append(
            f"{_days(clock['missing_expected_days'])} have no event though the calendar in feed.json expects a delivery."
        )
    if not clock["has_calendar"] and clock["gaps"] and clock["gaps"][0]["days"] >= _LONG_GAP_DAYS:
        longest = clock["gaps"][0]
        told.append(
            f"The longest gap without events is {longest['days']} days, {longest['first']} to {longest['last']}."
        )
    if (people["tied_share"] or 0) >= _TIED_SHARE and clock["time_of_day"] != "date":
        told.append(
            f"{people['tied_share']:.1%} of people's acts share their instant with another of the same person: among them no "
            "order is known, and whoever compares models has to break ties by the same rule (here: event_id)."
        )
    return told


def _people(found: Record) -> list[str]:
    volume, people, cold, told = found["volume"], found["people"], found["cold"], []
    if volume["acts"] and not volume["people"]:
        told.append("No event names a user: items can be counted, and nobody can be recommended to by name.")
    elif (volume["anonymous_share"] or 0) >= _ANONYMOUS_SHARE:
        told.append(
            f"{volume['anonymous_share']:.1%} of the acts are anonymous: they count for items, not for anybody's taste."
        )
    if volume["people"] and people["returning_share"] == 0:
        told.append(
            f"None of {volume['people']:,} users ever acts on a second day: they are visits rather than people."
        )
    elif (cold["new_person_share"] or 0) >= _COLD_PEOPLE_SHARE:
        told.append(
            f"{cold['new_person_share']:.1%} of the acts in the last fifth of the period are those of people who had not acted "
            "before: a model has to take in new histories without being trained again, or fall back on popularity."
        )
    repeats = found["repeats"]
    if repeats["taken"] >= _TELLING_ACTS:
        if found["repeats_allowed"] and repeats["repeat_share"] < _NO_REPEATS:
            told.append(
                f"{repeats['repeat_share']:.1%} of {repeats['event_type']}s are of an item that the person had taken before, yet "
                "feed.json allows repeats: set repeats_allowed to false, or places in lists go to what nobody takes again."
            )
        if not found["repeats_allowed"] and repeats["repeat_share"] >= _REPEATS_BELONG:
            told.append(
                f"{repeats['repeat_share']:.1%} of {repeats['event_type']}s are of an item that the person had taken before, yet "
                "feed.json forbids repeats: set repeats_allowed to true, or lists cannot hold them."
            )
    return told


def _catalogue(found: Record) -> list[str]:
    catalogue, told = found["catalogue"], []
    if not catalogue["described"]:
        return [
            "No delivery describes an item: an event of an undescribed item trains nothing and is never recommended."
        ]
    if (catalogue["undescribed_acts_share"] or 0) >= _UNDESCRIBED_SHARE:
        told.append(
            f"{catalogue['undescribed_acts_share']:.1%} of the acts fall on {catalogue['undescribed_items']:,} items that no "
            "delivery describes: they train nothing and are never recommended."
        )
    if not catalogue["coverage"]["category"]:
        told.append("No item has a category: tastes, diversity and drift by category cannot be told.")
    if catalogue["unknown_people"] and catalogue["users_told_of"]:
        told.append(f"{catalogue['unknown_people']:,} people act whom no delivery of users has told of.")
    return told


def _days(count: int) -> str:
    return f"{count:,} {'day' if count == 1 else 'days'}"
