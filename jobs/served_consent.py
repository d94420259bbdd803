"""To whom may which version be served? By all that people have said, told to readers before a landing can be refused.

A version of a day is served to somebody if and only if the person stands by consent now, and nothing that the day knew to
be usable is by now known not to have been. So who withdraws falls to the popular list at once, in whatever version is live
or is gone back to; who grants again is served once more, but from no version that was made in the meantime without knowing.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from contracts import names
from contracts.consent import ALWAYS, ANYBODY, NEVER, Span, Word, digest_of_user, spans
from contracts.identities import Link, resolve
from contracts.tables import RAW_CONSENTS, RAW_IDENTITIES, Table
from jobs.io.commit import digest_of
from jobs.io.objects import open_objects
from jobs.io.online import open_online_store
from jobs.io.state import DELIVERIES, DENIALS, LANDINGS, READERS_TOLD
from jobs.landing.classify import Classified
from jobs.landing.when_known import known_date, landed_until
from jobs.people import about_personalization, links
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa


_KEY = "landing"


@dataclass
class Circle:
    """Ids that any link, old or new, has ever joined, and all that was said of them, by the first day that knows it."""

    ids: set[str] = field(default_factory=set)
    words: list[tuple[date, str, Word]] = field(default_factory=list)
    links: list[tuple[date, Link]] = field(default_factory=list)

    @property
    def known(self) -> set[date]:
        return {day for day, *_ in self.words} | {day for day, _ in self.links}

    @property
    def is_settled(self) -> bool:
        """No alias has gone to another person: knowing more of the links has only joined people."""
        return len({(link.alias_id, link.user_id) for _, link in self.links}) == len(
            {link.alias_id for _, link in self.links}
        )

    def spans(self, *, missing: bool, before: date = date.max) -> dict[str, list[Span]]:
        """When may be used what happened under each id, by what is known before a day?"""
        persons = resolve(link for day, link in self.links if day < before)
        said: defaultdict[str, list[Word]] = defaultdict(list)
        for day, user_id, word in self.words:
            if day < before:
                said[persons.get(user_id, user_id)].append(word)
        return {each: spans(said.get(persons.get(each, each), ()), missing=missing) for each in self.ids}


def circles(
    words: Iterable[tuple[date, str, Word]], told_links: Iterable[tuple[date, Link]]
) -> Iterator[Circle]:
    """Everybody about whom something was said, in circles that share nothing."""
    leads: dict[str, str] = {}

    def root(id_: str) -> str:
        leads.setdefault(id_, id_)
        while leads[id_] != id_:
            leads[id_] = leads[leads[id_]]
            id_ = leads[id_]
        return id_

    told_links = list(told_links)
    for _, link in told_links:
        leads[root(link.alias_id)] = root(link.user_id)
    found: defaultdict[str, Circle] = defaultdict(Circle)
    for known, link in told_links:
        circle = found[root(link.user_id)]
        circle.links.append((known, link))
        circle.ids |= {link.alias_id, link.user_id}
    for known, user_id, word in words:
        circle = found[root(user_id)]
        circle.words.append((known, user_id, word))
        circle.ids.add(user_id)
    yield from found.values()


def served_from(circle: Circle, *, missing: bool) -> dict[str, str]:
    """From which day on versions may be served to each id of a circle."""
    nobody_denied = all(word.is_granted for _, _, word in circle.words)
    if missing and nobody_denied:
        return dict.fromkeys(circle.ids, ALWAYS)
    now, first = circle.spans(missing=missing), ALWAYS
    for known in () if nobody_denied and circle.is_settled else sorted(circle.known, reverse=True):
        # What a version of the day before may hold, by what was known until then.
        before, until = circle.spans(missing=missing, before=known), datetime.combine(known, time.min)
        if any(_lost(before[each], now[each], until) for each in circle.ids):
            first = known.isoformat()
            break
    return {each: first if now[each][-1].may else NEVER for each in circle.ids}


def _lost(before: Sequence[Span], now: Sequence[Span], until: datetime) -> bool:
    """Was something before an instant usable that is not any more?"""
    return any(
        max(old.begin, new.begin) < min(old.end, new.end, until)
        for old in before
        if old.may
        for new in now
        if not new.may
    )


def readers_table(found: Iterable[Circle], *, missing: bool, since: str = ALWAYS) -> dict[str, str]:
    """What readers ask, by the digest of the id: all whose answer is not that of everybody else.

    Args:
        since: the first day on which silence has meant what it means now, where it meant more before.
    """
    anybody = ALWAYS if missing else NEVER
    table = {ANYBODY: anybody}
    for circle in found:
        for user_id, first in served_from(circle, missing=missing).items():
            if (told := max(first, since)) != anybody:
                table[digest_of_user(user_id)] = told
    return table


def tell_readers(
    context: StepContext,
    *,
    arriving: Collection[Classified] = (),
    day: date | None = None,
    missing: bool | None = None,
) -> None:
    """Tell Redis, then S3, to whom versions may be served by all that has landed, or is landing now on a day.

    Redis comes first, in one stroke, and is marked when S3 holds the same: killed in between, whoever comes next tells both
    again. Where there is no online store nobody reads. What a landing has told that was then refused, or cut short, holds
    until it, or one of a later day, has told anew: others, which do not know its words, only add to it.

    Args:
        missing: may be used what nobody said a word about? By default as the newest landing had it.

    Raises:
        ServiceUnreachable, StoreUnfit: a store was not told. The step is to be run again, and nothing has landed.
        FenceStale: a newer attempt holds the lease, and knows better.
    """
    if not context.settings.redis_url.get_secret_value():
        return
    table, ahead = _table(context, arriving, day, missing), _told_ahead(context)
    with open_online_store(context.settings) as online:
        if ahead is not None and (day is None or day < ahead):
            table = stricter(table, online.consent())
        elif day is not None and (arriving or ahead):
            context.state.put(READERS_TOLD, _KEY, {"day": day.isoformat()})
        sha256 = digest_of(table)
        if online.consent_mark() == sha256:
            return
        online.tell_consent(table, context.lease.guard())
        # A guard keeps others from the state: not for long.
        with open_objects(context.settings, timeout=5, attempts=2) as objects, context.lease.guard():
            objects.tell_consent(_as_parquet(table))
            online.mark_consent(sha256)


def _told_ahead(context: StepContext) -> date | None:
    """The day whose landing has told readers and is not recorded; None where all that was told has landed."""
    told = context.state.get(READERS_TOLD, _KEY)
    is_ahead = told is not None and context.state.get(LANDINGS, told["day"]) is None
    return date.fromisoformat(told["day"]) if told is not None and is_ahead else None


def stricter(table: Mapping[str, str], held: Mapping[str, str]) -> dict[str, str]:
    """Of two tables the later answer to everybody."""
    tables = [
        {field: told for field, told in each.items() if field != names.CONSENT_MARK} for each in (table, held)
    ]
    strict = {
        field: max(each.get(field, each.get(ANYBODY, ALWAYS)) for each in tables)
        for field in {*tables[0], *tables[1]}
    }
    return {field: told for field, told in strict.items() if field == ANYBODY or told != strict[ANYBODY]}


def _table(
    context: StepContext, arriving: Collection[Classified], day: date | None, missing: bool | None
) -> dict[str, str]:
    landings = context.state.all(LANDINGS)
    meant = {
        landed: record.get("missing_consent", "granted") == "granted" for landed, record in landings.items()
    }
    if missing is None:
        missing = meant[max(meant)] if meant else True
    since = ALWAYS if missing else silence_denies_since(meant, day)
    denials = {
        digest: (date.fromisoformat(record["known_date"]), Word(datetime.fromisoformat(record["said_at"]), is_granted=False))
        for digest, record in context.state.all(DENIALS).items()
    }  # fmt: skip
    consents, identities = (_rows(each, context, arriving, day) for each in (RAW_CONSENTS, RAW_IDENTITIES))
    words, told_links = _words(consents), list(zip(_known(identities), links(identities), strict=True))
    spoken_of = {user_id for _, user_id, _ in words}.union(
        *((link.alias_id, link.user_id) for _, link in told_links)
    )
    if denials:
        for user_id in sorted(spoken_of):
            if (denial := denials.pop(digest_of_user(user_id), None)) is not None:
                words.append((denial[0], user_id, denial[1]))
    table = readers_table(circles(words, told_links), missing=missing, since=since)
    return table | (dict.fromkeys(denials, NEVER) if missing else {})


def silence_denies_since(meant: Mapping[str, bool], day: date | None) -> str:
    """The first day whose version was made without those who have said nothing.

    Args:
        meant: of each day that has landed: did silence mean yes?
        day: the day that is landing now, by which it means no; it may be an earlier one.
    """
    if not any(meant.values()):
        return ALWAYS
    newest = max(landed for landed, granted in meant.items() if granted)
    later = {landed for landed in meant if landed > newest}
    following = date.fromisoformat(newest) + timedelta(days=1)
    return min(later, default=max(following, day or following).isoformat())


def _words(consents: pa.Table) -> list[tuple[date, str, Word]]:
    about = about_personalization(consents)
    columns = about.select(["user_id", "said_at", "is_granted"]).columns
    rows = zip(_known(about), *(column.to_pylist() for column in columns), strict=True)
    return [(known, user_id, Word(said_at, is_granted)) for known, user_id, said_at, is_granted in rows]


def _known(rows: pa.Table) -> list[date]:
    known: list[date] = rows.column("known_date").to_pylist()
    return known


def _rows(table: Table, context: StepContext, arriving: Collection[Classified], day: date | None) -> pa.Table:
    """What has landed of words or links, leftovers of killed landings apart, and what is landing."""
    import pyarrow as pa

    from jobs.io.schemas import arrow_schema

    columns = [name for name in table.columns if name != "received_date"]
    schema = pa.schema([arrow_schema(table).field(name) for name in columns])
    recorded, newest = context.state.all(DELIVERIES), landed_until(context.state)
    parts = [schema.empty_table()]
    for received in context.lake.days(table.name):
        if f"{table.short_name}/{received}" in recorded:
            parts.append(context.lake.read(table.name, received, columns).cast(schema))
    for each in arriving:
        if day is not None and each.delivery.kind == table.short_name:
            known = known_date(each.delivery.received, day, newest)
            told = pa.array([known] * each.rows.num_rows, pa.date32())
            parts.append(each.rows.append_column("known_date", told).select(columns).cast(schema))
    return pa.concat_tables(parts)


def _as_parquet(table: Mapping[str, str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    digests = sorted(table)
    rows = pa.table({"user_sha256": digests, "served_from": [table[each] for each in digests]})
    stream = io.BytesIO()
    pq.write_table(rows, stream, compression="zstd")
    return stream.getvalue()
