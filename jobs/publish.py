"""Publish a day's lists, features and what ranks sessions: a new version beside the old one, checked, then one pointer flips.

The order is: keys in Redis → read back → data and manifest in S3 → Redis' pointer → S3's pointer → record → collect.
Until the flip nobody sees anything of a version, and once it is seen both stores hold it whole. Killed before the
flip, a second run begins a new version and removes what was left of the first; killed after it, a second run finds
the version live and does what had not been done.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from contracts import names
from contracts.errors import FenceStale, StoreUnfit
from contracts.lists import Pointer
from contracts.serving_rules import ServingRules, digest_of_rules
from jobs.blocking import tell_store
from jobs.common_reasons import common_reasons
from jobs.edition import Edition, edition_of
from jobs.feature_edition import FeatureEdition, feature_edition_of, further_key, online_tables
from jobs.io.objects import Objects, open_objects
from jobs.io.online import OnlineStore, Versions, open_online_store
from jobs.io.online_content import content_of
from jobs.io.state import PUBLICATIONS, RUNS
from jobs.item_texts import COLUMNS
from jobs.runs import (
    StepContext,
    champion_of_run,
    lists_table,
    manifest_of,
    promoted_on,
    run_key,
    why_not_live,
    why_old,
)
from jobs.serving_rules import load_serving_rules, refuse_unknown
from jobs.session_edition import SessionEdition, Sessions, load_sessions, session_edition_of

log = logging.getLogger("foretaste.publish")

#: Users whose lists, and users and items whose features, are read back before a version goes live.
_SAMPLE = 1000
#: What a pointer says of what its version was made of.
_MADE_OF = ("day", "kind", "sha256", "champion", "features", "rules", "session")


def run(
    day: date, context: StepContext, *, kind: str = names.DAILY, now: datetime | None = None
) -> dict[str, Any]:
    """Publish the lists of a run, and the features of its day; a backfill records its digest and moves nothing.

    Args:
        now: when the version says it was published; by default the time of the state's clock.

    Raises:
        GateRefused: a list is not what a reader may be given.
        SettingInvalid: the rules of what is shown are wrong.
        StoreUnfit: Redis evicts, is too small, or reads back something else.
        FenceStale: a newer attempt, or a rollback, has been there; this attempt leaves nothing.
    """
    manifest, rules = manifest_of(context.state, kind, day), load_serving_rules()
    why_not = why_not_live(context.state, day) if kind == names.DAILY else why_old(context.state, day)
    sessions, without_sessions, champion = None, "", None
    if why_not is None:
        is_daily = kind == names.DAILY
        champion = champion_of_run(context.state, manifest) if is_daily else promoted_on(context.state, day)
        sessions, without_sessions = load_sessions(day, context, champion)
    edition, why = _edition(day, context, kind, manifest["settings"]["list_length"], rules, sessions)
    told: dict[str, Any] = {"day": day.isoformat(), "users": len(edition.user_ids), "digest": edition.digest}
    _record(context, kind, day, edition.digest, why)
    if why_not is not None:
        return {**told, "published": False, "why": why_not}
    stamp = (now or datetime.fromtimestamp(context.state.clock(), UTC)).isoformat(timespec="seconds")
    features = _features(day, context)
    repeats_allowed = bool(manifest["feed"]["repeats_allowed"])
    session = None
    if sessions is not None:
        session, without_sessions = session_edition_of(
            sessions, edition.item_ids, context.lake, day, repeats_allowed=repeats_allowed
        )
    told["sessions"] = f"none: {without_sessions}" if session is None else len(session.user_ids)
    [data] = context.lake.files(lists_table(kind), [day])
    with open_online_store(context.settings) as online, open_objects(context.settings) as objects:
        live, recorded = online.pointer(), context.state.all(PUBLICATIONS)
        sources = (
            *(edition.digest, champion, features.catalogue.digest),
            *(digest_of_rules(edition.rules), None if session is None else session.digest),
        )
        wanted = dict(zip(_MADE_OF, (day.isoformat(), kind, *sources), strict=True))
        version = _published_before(online, recorded, wanted)
        if version is not None:
            told |= {"published": False, "why": f"already published as {version}", "version": version}
            kept = online.versions().get(version)
            if kept is not None and not objects.is_whole(version):
                objects.write_version(kept, data)
        elif (
            kind == names.DAILY
            and live is not None
            and (live.day, live.kind) == (day.isoformat(), names.RETRAIN)
        ):
            told |= {
                "published": False,
                "why": f"{live.version} is live: the lists of a newer champion for {day}",
            }
        else:
            online.clear_attempts()
            num_fields = len(edition.user_ids) + len(edition.items) + features.num_fields
            num_bytes = edition.num_bytes + features.num_bytes
            if session is not None:
                num_fields, num_bytes = num_fields + len(session.user_ids), num_bytes + session.num_bytes
            online.refuse_if_unfit(num_fields, num_bytes)
            version = online.reserve([*recorded, *objects.versions()], context.settings.list_buckets)
            pointer = Pointer(
                version=version,
                day=day.isoformat(),
                kind=kind,
                fence=context.lease.fence,
                sha256=edition.digest,
                num_users=len(edition.user_ids),
                num_items=len(edition.items),
                num_buckets=context.settings.list_buckets,
                champion=champion,
                repeats_allowed=repeats_allowed,
                published_at=stamp,
                features=features.catalogue.digest,
                rules=digest_of_rules(edition.rules),
            )
            if session is not None:
                pointer = replace(
                    pointer,
                    session=session.digest,
                    session_bytes=len(session.model),
                    num_histories=len(session.user_ids),
                )
            _make_live(pointer, edition, features, session, data, context, online, objects)
            told |= {"published": True, "version": version, "champion": champion}
        told["s3"] = _finish(context, online, objects, recorded)
    return told


def _edition(
    day: date,
    context: StepContext,
    kind: str,
    length: int,
    rules: ServingRules,
    sessions: Sessions | None,
) -> tuple[Edition, dict[str, Any]]:
    """The lists, ready to be written, and what they are because of."""
    lake, lists = context.lake, context.lake.read(lists_table(kind), day)
    catalogue = lake.read(names.DIM_ITEMS, day, [*COLUMNS, "is_available"])
    refuse_unknown(rules, catalogue)
    popularity = lake.read(names.FEAT_ITEM_DAILY, day, ["item_id", "popularity_7d"])
    ranked_over = None if sessions is None else sessions.item_ids
    edition = edition_of(lists, catalogue, popularity, length, rules, ranked_over)
    return edition, common_reasons(lists, catalogue)


def _features(day: date, context: StepContext) -> FeatureEdition:
    """Every feature of the day, whatever a list was made of."""
    return feature_edition_of(
        day,
        {
            table.short_name: context.lake.read(
                table.name,
                day,
                [*filter(None, (table.key[0], further_key(table))), *(each.name for each in table.features)],
            )
            for table in online_tables()
        },
    )


def _record(context: StepContext, kind: str, day: date, digest: str, why: dict[str, Any]) -> None:
    """Note what this run gives; running it again has to give the same."""
    record = context.state.get(RUNS, run_key(kind, day)) or {}
    before = record.get("digest")
    if (before, record.get("reasons")) == (digest, why):
        return
    if before not in (None, digest):
        log.warning("digest_changed run=%s before=%s now=%s", run_key(kind, day), before, digest)
    context.state.put(RUNS, run_key(kind, day), {**record, "digest": digest, "reasons": why})


def _published_before(
    online: OnlineStore, recorded: dict[str, dict[str, Any]], wanted: dict[str, str | None]
) -> str | None:
    """The version that was made of exactly this, if it is kept whole, or was let go for newer ones.

    It need not be live: who runs a day again does not mean to undo a rollback.
    """
    kept = online.versions()
    for version, pointer in reversed(kept.items()):
        if {name: getattr(pointer, name) for name in _MADE_OF} == wanted and online.is_whole(pointer):
            return version
    oldest = min(map(names.version_number, kept), default=0)
    for version, record in recorded.items():
        is_same = {name: record.get(name) for name in _MADE_OF} == wanted
        if is_same and names.version_number(version) < oldest:
            return version
    return None


def _make_live(
    pointer: Pointer,
    edition: Edition,
    features: FeatureEdition,
    session: SessionEdition | None,
    data: Path,
    context: StepContext,
    online: OnlineStore,
    objects: Objects,
) -> None:
    def choose(live: Pointer | None, versions: Versions) -> Pointer:
        return replace(pointer, previous=live.version if live else None)

    try:
        _write(pointer, edition, features, session, online)
        objects.write_version(pointer, data)
        tell_store(context.state, online)  # a store that is new knows nothing of what is blocked
        online.flip(choose, context.lease.guard())
    except (FenceStale, StoreUnfit):
        # Both are raised before the flip, so nobody will ever read it.
        online.discard(pointer.version, pointer.num_buckets)
        objects.delete_version(pointer.version)
        raise


def _write(
    pointer: Pointer,
    edition: Edition,
    features: FeatureEdition,
    session: SessionEdition | None,
    online: OnlineStore,
) -> None:
    content = content_of(edition, features, session, pointer.num_buckets)
    online.write_version(pointer.version, content)
    offline = {entity: features.offline(entity, _sample(ids)) for entity, ids in features.ids.items()}
    online.verify_version(pointer, content, _sample(edition.user_ids), offline)


def _sample(ids: list[str]) -> list[str]:
    return ids[:: max(-(-len(ids) // _SAMPLE), 1)]


def _finish(
    context: StepContext, online: OnlineStore, objects: Objects, recorded: dict[str, dict[str, Any]]
) -> str:
    """What follows a flip, ours or that of a run that was killed after it: S3's pointer, the record, the collection.

    Returns what S3's pointer says.
    """
    live = online.pointer()
    is_held = live is not None and objects.is_whole(live.version)
    if live is not None and is_held:
        objects.point_at(live)
    missing = {
        version: asdict(pointer) for version, pointer in online.versions().items() if version not in recorded
    }
    if missing:
        context.state.put_many(PUBLICATIONS, missing)
    objects.collect(online.collect(context.settings.versions_kept))
    return (
        live.version
        if live is not None and is_held
        else "does not hold what is live; the next version mends it"
    )
