"""Who is one person, and what each has said about consent, by the words and links that are known up to some day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from contracts.consent import BEGINNING, END, PERSONALIZATION, Span, Word, digest_of_user, spans
from contracts.identities import Link, resolve
from contracts.tables import RAW_CONSENTS, RAW_IDENTITIES
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

Stretch = tuple[str, datetime, datetime]


@dataclass(frozen=True)
class People:
    """Ids resolved to persons, and what each person has said about personalization."""

    missing: bool  # may be used what nobody said a word about?
    persons: dict[str, str]  # alias → person
    aliases: dict[str, list[str]]  # person → aliases
    words: dict[str, list[Word]]  # person → words, said under any of its ids
    denied: dict[str, datetime] = field(default_factory=dict)  # likewise of erased ids: digest → when

    @classmethod
    def of(
        cls,
        consents: pa.Table,
        identities: pa.Table,
        *,
        missing: bool,
        denials: Mapping[str, datetime] | None = None,
    ) -> People:
        """By rows of ``raw/consents`` and ``raw/identities``; those of other purposes say nothing.

        Args:
            denials: what erased users had said, by their digests.
        """
        persons = resolve(links(identities))
        aliases: defaultdict[str, list[str]] = defaultdict(list)
        for alias, person in persons.items():
            aliases[person].append(alias)
        words: defaultdict[str, list[Word]] = defaultdict(list)
        said = about_personalization(consents).select(["user_id", "said_at", "is_granted"])
        for user_id, said_at, is_granted in zip(
            *(column.to_pylist() for column in said.columns), strict=True
        ):
            words[persons.get(user_id, user_id)].append(Word(said_at, is_granted))
        denied = dict(denials or {})
        if denied:  # an erased id that is spoken of again: what it had said counts beside its new words
            for user_id in {*said.column("user_id").to_pylist(), *persons, *persons.values()}:
                if (said_at := denied.pop(digest_of_user(user_id), None)) is not None:
                    words[persons.get(user_id, user_id)].append(Word(said_at, is_granted=False))
        return cls(missing, persons, dict(aliases), dict(words), denied)

    def person_of(self, user_id: str) -> str:
        return self.persons.get(user_id, user_id)

    def ids(self) -> set[str]:
        """Every id that a word or a link names."""
        return {*self.persons, *self.aliases, *self.words}

    def ids_of(self, user_ids: Iterable[str]) -> set[str]:
        """Every id of the persons who have one of these."""
        found = {self.person_of(user_id) for user_id in user_ids}
        return found.union(*(self.aliases.get(person, ()) for person in found))

    def spans_of(self, user_id: str) -> list[Span]:
        """When may be used what happened under an id?"""
        return spans(self._words_of(user_id), missing=self.missing)

    def denied_at(self, user_id: str) -> datetime | None:
        """When an id's person has last said no; None where the latest word is another, or there is none."""
        words = self._words_of(user_id)
        latest = max((word.said_at for word in words), default=BEGINNING)
        return latest if Word(latest, is_granted=False) in words else None

    def _words_of(self, user_id: str) -> list[Word]:
        found = self.words.get(self.person_of(user_id), [])
        if found or not self.denied:
            return found
        said_at = self.denied.get(digest_of_user(user_id))
        return [] if said_at is None else [Word(said_at, is_granted=False)]

    def exceptions(self) -> list[Stretch]:
        """Of each id the stretches of time in which the answer is another than where nothing was said."""
        return [
            (user_id, span.begin, span.end)
            for person, words in sorted(self.words.items())
            for span in spans(words, missing=self.missing)
            if span.may != self.missing
            for user_id in sorted({person, *self.aliases.get(person, ())})
        ]


def people_known(
    lake: Lake, day: date, *, missing: bool, denials: Mapping[str, datetime] | None = None
) -> People | None:
    """Everybody's words and links as the run of a day may see them; None where nobody has ever said or linked anything."""
    import pyarrow as pa

    known = [
        pa.concat_tables(
            [arrow_schema(table).empty_table()]
            + [
                lake.read(table.name, each, where=[("known_date", "<=", day)])
                for each in lake.days(table.name)
            ]
        )
        for table in (RAW_CONSENTS, RAW_IDENTITIES)
    ]
    if not (denials or any(rows.num_rows for rows in known)):
        return None
    return People.of(*known, missing=missing, denials=denials)


def links(identities: pa.Table) -> list[Link]:
    """The links that rows of ``raw/identities`` tell of."""
    columns = identities.select(["alias_id", "user_id", "linked_at"]).columns
    return [Link(*row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]


def about_personalization(consents: pa.Table) -> pa.Table:
    """The words about the one purpose that is acted upon."""
    import pyarrow.compute as pc

    return consents.filter(pc.equal(consents.column("purpose"), PERSONALIZATION))


def ids_with_links(user_ids: Iterable[str], identities: pa.Table) -> set[str]:
    """These ids and all that links of any time connect with them: who may ever have been one person with one of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found, num_found = set(user_ids), -1
    while len(found) > num_found:
        num_found, ids = len(found), pa.array(found, pa.string())
        ends = [identities.column(name) for name in ("alias_id", "user_id")]
        is_near = pc.or_(*(pc.is_in(each, value_set=ids) for each in ends))
        found.update(*(each.filter(is_near).to_pylist() for each in ends))
    return found


def changes(before: People, after: People, user_ids: Iterable[str]) -> list[Stretch]:
    """The stretches of time in which events of these ids count otherwise: for another person, or now or no longer at all."""
    found: list[Stretch] = []
    for user_id in sorted(set(user_ids)):
        if before.person_of(user_id) != after.person_of(user_id):
            found.append((user_id, BEGINNING, END))
            continue
        found += [
            (user_id, begin, end) for begin, end, did, does in _answers(before, after, user_id) if did != does
        ]
    return found


def forbidden_since(before: People, after: People, user_ids: Iterable[str]) -> list[Stretch]:
    """The stretches of time in which events of these ids might be used and may no longer."""
    return [
        (user_id, begin, end)
        for user_id in sorted(set(user_ids))
        for begin, end, did, does in _answers(before, after, user_id)
        if did and not does
    ]


def _answers(before: People, after: People, user_id: str) -> Iterator[tuple[datetime, datetime, bool, bool]]:
    """All of time, cut where either answer changes: could it be used before, and can it be after?"""
    old, new = before.spans_of(user_id), after.spans_of(user_id)
    cuts = sorted({span.begin for span in (*old, *new)})
    for begin, end in zip(cuts, [*cuts[1:], END], strict=True):
        yield begin, end, _may(old, begin), _may(new, begin)


def _may(found: Iterable[Span], at: datetime) -> bool:
    return any(span.may for span in found if span.begin <= at < span.end)
