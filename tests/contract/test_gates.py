"""The gates read what the steps before them wrote, judge it, and keep what they found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts import names
from contracts.errors import GateRefused, PartitionMissing, PartitionTorn
from contracts.settings import load_settings
from contracts.tables import TABLES
from expectations import features
from jobs import validate
from jobs.gate import Gate
from jobs.io.commit import digest_of
from jobs.io.schemas import arrow_schema
from jobs.io.state import LANDINGS, RUNS, State
from jobs.passed import keep_passed, num_rows_passed
from jobs.runs import StepContext, run_key, settings_of_run
from tests.declared import valid_features

pytestmark = pytest.mark.contract

REPOSITORY = Path(__file__).resolve().parents[2]
DAY = date(2011, 3, 1)
USERS = [f"user{number:02d}" for number in range(12)]
ITEMS = [f"item{number:02d}" for number in range(12)]
HORIZON = 1  # judge_days
CUTOFFS = (DAY - timedelta(days=1), DAY - timedelta(days=2))  # the earlier ones of a retraining of DAY

Change = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose lake holds every table as it should be; made once and copied for each test."""
    home = tmp_path_factory.mktemp("template")
    with opened(home) as context:
        for table, day, rows in everything():
            write(context, table, day, rows)
        begin(context, names.DAILY)
        touched = [day_before(1), DAY.isoformat()]
        context.state.put(LANDINGS, DAY.isoformat(), {"touched": touched, "deliveries": []})
    return home


@contextmanager
def opened(home: Path) -> Iterator[StepContext]:
    settings = load_settings(home=home, list_length=3, judge_days=HORIZON, reports_url="http://reports")
    with State.of(settings).lease("test", "gate", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Iterator[StepContext]:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    with opened(tmp_path) as context:
        yield context


def day_before(days: int) -> str:
    return (DAY - timedelta(days=days)).isoformat()


def begin(context: StepContext, kind: str, **settings: Any) -> None:
    chosen = {**context.settings.run_settings(), **settings}
    manifest = {"kind": kind, "day": DAY.isoformat(), "settings": chosen, "feed": {"repeats_allowed": False}}
    context.state.put(RUNS, run_key(kind, DAY), {"manifest": manifest, "sha256": digest_of(manifest)})


def write(context: StepContext, table: str, day: date, rows: list[dict[str, Any]] | pa.Table) -> None:
    schema = arrow_schema(TABLES[table])
    if isinstance(rows, list):
        rows = pa.Table.from_pylist([{**dict.fromkeys(schema.names), **row} for row in rows], schema=schema)
    context.lake.replace(table, day, rows, inputs="test")


def change(context: StepContext, table: str, how: Change, day: date = DAY) -> None:
    write(context, table, day, how(context.lake.read(table, day)))


def put(column: str, value: Any, row: int = 0) -> Change:
    """Another value in one row."""

    def changed(rows: pa.Table) -> pa.Table:
        values = rows.column(column).to_pylist()
        values[row] = value
        index = rows.column_names.index(column)
        return rows.set_column(index, column, pa.array(values, rows.schema.field(column).type))

    return changed


def acted_on(*items: str, depth: int = 3) -> list[dict[str, Any]]:
    """What everybody did on a day."""
    return [{"user_id": user, "item_ids": items, "item_depths": [depth] * len(items)} for user in USERS]


def everything() -> Iterator[tuple[str, date, list[dict[str, Any]]]]:
    for days in (0, 1):
        day = DAY - timedelta(days=days)
        at = datetime(day.year, day.month, day.day, 12)
        known = {"received_date": day, "known_date": day}
        yield (
            names.RAW_EVENTS,
            day,
            [
                {
                    **known,
                    "event_id": f"{day}/{user}",
                    "user_id": user,
                    "item_id": "item00",
                    "event_type": "view",
                }
                | {"occurred_at": at, "event_date": day, "body_hash": "0"}
                for user in USERS
            ],
        )
    first = DAY - timedelta(days=9)
    yield (
        names.RAW_ITEMS,
        first,
        [
            {"item_id": item, "price_cents": 100, "received_date": first, "known_date": first}
            for item in ITEMS
        ],
    )
    told = {"received_date": DAY, "known_date": DAY, "user_id": "user01"}
    at = datetime(DAY.year, DAY.month, DAY.day, 9)
    word = {**told, "purpose": "personalization", "is_granted": True, "said_at": at}
    yield names.RAW_CONSENTS, DAY, [word, {**word, "user_id": "user02"}]
    yield names.RAW_IDENTITIES, DAY, [{**told, "alias_id": "cookie", "linked_at": at}]
    yield (
        names.DIM_ITEMS,
        DAY,
        [{"item_id": i, "feature_date": DAY, "is_available": i != "item11"} for i in ITEMS],
    )
    keys_of: dict[str, list[dict[str, Any]]] = {
        names.FEAT_ITEM_DAILY: [{"item_id": item} for item in ITEMS],
        names.FEAT_USER_DAILY: [{"user_id": user} for user in USERS],
        names.FEAT_USER_CATEGORY_DAILY: [{"user_id": user, "category": "light"} for user in USERS],
        names.FEAT_USER_BRAND_DAILY: [{"user_id": user, "brand": "acme"} for user in USERS],
    }
    for table, keys in keys_of.items():
        yield table, DAY, [{**key, "feature_date": DAY, **valid_features(TABLES[table])} for key in keys]
    yield names.USER_DAYS, DAY - timedelta(days=3), acted_on("item00", "item01")
    pairs = [
        {"item_id": one, "neighbour_id": other, "weight": 1, "neighbour_rank": 1}
        for one, other in (("item00", "item01"), ("item01", "item00"))
    ]
    seen = {
        "item_ids": ["item00"],
        "item_depths": [1],
        "item_days_ago": [0],
        "seen_item_ids": ["item00"],
        "seen_depths": [1],
        "seen_days_ago": [0],
    }
    for cutoff in (DAY, *CUTOFFS):
        yield names.HISTORIES, cutoff, [{"user_id": user, **seen} for user in USERS]
        yield names.COVISITATION, cutoff, pairs
        yield names.COPURCHASE, cutoff, pairs
    splits = {"fit": 2, "rank": 1, "judge": 0}
    yield (
        names.SEQUENCES,
        DAY,
        [
            {
                "user_id": user,
                "event_date": DAY - timedelta(days=days * HORIZON),
                "item_ids": [ITEMS[(step + shift) % 12] for step in range(10 if split == "fit" else 1)],
                "item_depths": [1] * (10 if split == "fit" else 1),
                "split": split,
            }
            for shift, user in enumerate(USERS)
            for split, days in splits.items()
        ],
    )
    yield (
        names.TRAINING_IMPRESSIONS,
        DAY,
        [
            {"event_id": user, "user_id": user, "item_id": "item01", "event_date": DAY, "position": place}
            | {"outcome": "clicked" if place == 1 else "ignored", "split": "judge", "propensity": 1.0}
            for place, user in enumerate(USERS, start=1)
        ],
    )
    yield names.FCT_IMPRESSIONS, DAY, [{"event_id": user, "known_date": DAY} for user in USERS]
    ranked = {"source": "personal", "is_short": False, "scores": [0.9, 0.5, 0.5]}
    ranked |= {"reason_places": [1], "reason_item_ids": ["item00"]}
    yield (
        names.LISTS,
        DAY,
        [{**ranked, "user_id": u, "item_ids": ["item01", "item02", "item03"]} for u in USERS],
    )


GATES = {
    "landed": validate.run_landed,
    "features": validate.run_features,
    "training": validate.run_training,
    "scores": validate.run_scores,
}


@pytest.mark.parametrize("gate", GATES)
def test_a_good_day_passes_and_its_page_is_kept(shop: StepContext, gate: str) -> None:
    result = GATES[gate](DAY, shop)
    folder = shop.settings.reports_path / "validation" / "2011-03-01"
    told = json.loads((folder / f"{gate}.json").read_text())
    assert told["is_passed"] is True
    assert sum(len(table["expectations"]) for table in told["tables"]) == result["expectations"] > 10
    assert result["page_url"] == f"http://reports/validation/2011-03-01/{gate}.html"
    page = (folder / f"{gate}.html").read_text()
    assert "Passed" in page
    assert "<script" not in page
    assert "http" not in page  # nothing is fetched from anywhere


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_tells_the_same_when_run_again(shop: StepContext, gate: str) -> None:
    folder = shop.settings.reports_path / "validation" / "2011-03-01"
    first = (
        GATES[gate](DAY, shop),
        (folder / f"{gate}.json").read_bytes(),
        (folder / f"{gate}.html").read_bytes(),
    )
    assert (
        GATES[gate](DAY, shop),
        (folder / f"{gate}.json").read_bytes(),
        (folder / f"{gate}.html").read_bytes(),
    ) == first


REFUSALS: list[tuple[str, str, Change, str]] = [
    ("landed", names.RAW_EVENTS, put("event_type", "bought"), "event_type"),
    ("landed", names.RAW_EVENTS, put("event_id", "2011-03-01/user01"), "event_id"),
    ("landed", names.RAW_EVENTS, put("value", float("nan")), "value"),
    ("landed", names.RAW_CONSENTS, put("user_id", "user02"), "user_id, purpose, said_at, is_granted"),
    ("landed", names.RAW_CONSENTS, put("is_granted", None), "is_granted"),
    ("landed", names.RAW_IDENTITIES, put("alias_id", " "), "alias_id"),
    ("features", names.FEAT_USER_DAILY, put("recency_days", -1), "recency_days"),
    ("features", names.FEAT_ITEM_DAILY, lambda rows: rows.slice(1), r"\(rows\)"),
    ("features", names.DIM_ITEMS, lambda rows: rows.slice(0, 0), r"\(rows\)"),
    ("features", names.HISTORIES, put("item_ids", []), "num_item_ids"),
    ("features", names.HISTORIES, put("item_days_ago", []), "num_item_days_ago, num_item_ids"),
    ("features", names.HISTORIES, put("seen_days_ago", [180]), "most_seen_days_ago"),
    ("features", names.HISTORIES, put("seen_days_ago", [1]), "recency_days, least_seen_days_ago"),
    ("features", names.COVISITATION, put("weight", 0), "weight"),
    ("features", names.COPURCHASE, put("neighbour_id", "item00"), "is_other"),
    (
        "features",
        names.FEAT_USER_DAILY,
        lambda rows: rows.drop_columns(["orders_90d"]),
        "expected_type, found_type",
    ),
    ("training", names.SEQUENCES, put("split", "judge"), "split, split_of_date"),
    ("training", names.SEQUENCES, put("item_ids", []), "num_item_ids"),
    ("training", names.SEQUENCES, put("item_depths", [4]), "most_item_depths"),
    ("training", names.TRAINING_IMPRESSIONS, put("outcome", "liked"), "outcome"),
    ("training", names.TRAINING_IMPRESSIONS, put("propensity", 1.5), "propensity"),
    ("training", names.TRAINING_IMPRESSIONS, put("split", "rank"), "split, split_of_date"),
    ("training", names.SEQUENCES, lambda rows: rows.slice(0, 27), "num_steps"),
    ("scores", names.LISTS, put("item_ids", ["item01", "item01", "item03"]), "num_repeated"),
    ("scores", names.LISTS, put("item_ids", ["item01", "ghost", "item03"]), "num_unknown"),
    ("scores", names.LISTS, put("item_ids", ["item01", "item11", "item03"]), "num_unavailable"),
    ("scores", names.LISTS, put("item_ids", ["item01", "item00", "item03"]), "num_seen"),
    ("scores", names.LISTS, put("item_ids", ["item01", "item02"]), "num_items, num_scores"),
    ("scores", names.LISTS, put("scores", [0.1, 0.5, 0.5]), "num_rising"),
    ("scores", names.LISTS, put("scores", [0.9, 0.5, float("nan")]), "num_not_finite"),
    ("scores", names.LISTS, put("is_short", True), "is_short, is_below_length"),
    ("scores", names.LISTS, put("reason_places", None), "num_reason_places, num_reasons"),
    ("scores", names.LISTS, put("reason_item_ids", ["item02"]), "num_foreign_reasons"),
    ("scores", names.LISTS, put("reason_places", [4]), "num_misplaced_reasons"),
    ("scores", names.LISTS, put("source", "popular"), "num_impersonal_reasons"),
    ("scores", names.LISTS, lambda rows: rows.slice(1), "is_listed"),
    ("scores", names.LISTS, lambda rows: rows.slice(0, 0), r"\(rows\)"),
]


@pytest.mark.parametrize(("gate", "table", "how", "column"), REFUSALS)
def test_a_refusal_names_table_column_value_and_the_way_out(
    shop: StepContext, gate: str, table: str, how: Change, column: str
) -> None:
    change(shop, table, how)
    with pytest.raises(
        GateRefused, match=rf"gate {gate} of 2011-03-01: .*{table}.*, {column}: .*foretaste \w+"
    ):
        GATES[gate](DAY, shop)
    told = json.loads((shop.settings.reports_path / "validation" / "2011-03-01" / f"{gate}.json").read_text())
    assert told["is_passed"] is False


def test_a_fourth_refusal_is_counted_and_stands_on_the_page(shop: StepContext) -> None:
    for column in ("views_28d", "purchases_28d", "categories_28d", "tenure_days"):
        change(shop, names.FEAT_USER_DAILY, put(column, -7))
    with pytest.raises(GateRefused, match=r"and 1 more\. All of it: .*features\.html"):
        validate.run_features(DAY, shop)
    page = (shop.settings.reports_path / "validation" / "2011-03-01" / "features.html").read_text()
    assert page.count('class="bad">not met') == 4
    assert "e.g. -7" in page


def test_what_becomes_known_later_is_not_judged_today(shop: StepContext) -> None:
    late = put("known_date", DAY + timedelta(days=1))
    change(shop, names.RAW_EVENTS, lambda rows: put("event_type", "bought")(late(rows)))
    assert validate.run_landed(DAY, shop)["rows"][names.RAW_EVENTS] == 2 * len(USERS) - 1


def test_events_of_items_that_nobody_delivered_are_refused(shop: StepContext) -> None:
    for day in (DAY, DAY - timedelta(days=1)):
        for row in range(len(USERS)):
            change(shop, names.RAW_EVENTS, put("item_id", "ghost", row), day)
    with pytest.raises(GateRefused, match="is_item_known: at least 50% of events name a delivered item"):
        validate.run_landed(DAY, shop)


def test_a_landing_that_touched_nothing_passes_and_says_so(shop: StepContext) -> None:
    shop.state.put(LANDINGS, DAY.isoformat(), {"touched": [], "deliveries": []})
    validate.run_landed(DAY, shop)
    page = (shop.settings.reports_path / "validation" / "2011-03-01" / "landed.html").read_text()
    assert "no event was delivered" in page


def test_a_bulk_landing_is_counted_whole_and_looked_at_where_it_is_newest(shop: StepContext) -> None:
    touched = [DAY - timedelta(days=days) for days in range(20)]
    row = shop.lake.read(names.RAW_EVENTS, DAY).slice(0, 1).to_pylist()[0]
    for day in touched[2:]:
        at = datetime(day.year, day.month, day.day)
        write(
            shop, names.RAW_EVENTS, day, [{**row, "event_id": str(day), "event_date": day, "occurred_at": at}]
        )
    shop.state.put(
        LANDINGS, DAY.isoformat(), {"touched": [day.isoformat() for day in touched], "deliveries": []}
    )
    rows = validate.run_landed(DAY, shop)["rows"]
    assert rows["raw/events (days touched)"] == 20
    assert rows[names.RAW_EVENTS] == 2 * len(USERS) + 5


def test_a_touched_day_without_a_partition_is_refused(shop: StepContext) -> None:
    shop.state.put(LANDINGS, DAY.isoformat(), {"touched": [DAY.isoformat(), day_before(5)], "deliveries": []})
    with pytest.raises(GateRefused, match=r"raw/events \(days touched\), num_rows"):
        validate.run_landed(DAY, shop)


@pytest.mark.parametrize("gate", ["features", "training"])
@pytest.mark.parametrize(
    ("table", "is_not_enough"),
    [(names.COVISITATION, acted_on("item00")), (names.COPURCHASE, acted_on("item00", "item01", depth=2))],
)
def test_neighbours_may_be_missing_only_where_nobody_acted_on_two_items(
    shop: StepContext, gate: str, table: str, is_not_enough: list[dict[str, Any]]
) -> None:
    day = DAY if gate == "features" else CUTOFFS[-1]
    change(shop, table, lambda rows: rows.slice(0, 0), day)
    with pytest.raises(GateRefused, match=rf"{table}.*, \(rows\)"):
        GATES[gate](DAY, shop)
    write(shop, names.USER_DAYS, DAY - timedelta(days=3), is_not_enough)
    name = table if gate == "features" else f"{table} ({day})"
    assert GATES[gate](DAY, shop)["rows"][name] == 0


def test_affinities_to_brands_may_be_missing_only_where_nobody_acted_on_one(shop: StepContext) -> None:
    change(shop, names.FEAT_USER_BRAND_DAILY, lambda rows: rows.slice(0, 0))
    assert validate.run_features(DAY, shop)["rows"][names.FEAT_USER_BRAND_DAILY] == 0
    change(shop, names.FEAT_USER_DAILY, put("brands_28d", 2))
    with pytest.raises(GateRefused, match=rf"{names.FEAT_USER_BRAND_DAILY}, \(rows\)"):
        validate.run_features(DAY, shop)


def test_impressions_may_be_missing_only_where_nobody_was_shown_anything_that_is_known(
    shop: StepContext,
) -> None:
    change(shop, names.TRAINING_IMPRESSIONS, lambda rows: rows.slice(0, 0))
    with pytest.raises(GateRefused, match=rf"{names.TRAINING_IMPRESSIONS}, \(rows\)"):
        validate.run_training(DAY, shop)
    told_tomorrow = [{"event_id": "late", "known_date": DAY + timedelta(days=1)}]
    for told in (told_tomorrow, []):
        write(shop, names.FCT_IMPRESSIONS, DAY, told)
        assert validate.run_training(DAY, shop)["rows"][names.TRAINING_IMPRESSIONS] == 0
    page = (shop.settings.reports_path / "validation" / "2011-03-01" / "training.html").read_text()
    assert "nothing is learnt from outcomes" in page


def test_what_happened_after_a_cutoff_needs_no_neighbours_before_it(shop: StepContext) -> None:
    write(shop, names.USER_DAYS, DAY, acted_on("item00", "item01"))
    write(shop, names.USER_DAYS, DAY - timedelta(days=3), [])
    for table in (names.COVISITATION, names.COPURCHASE):
        change(shop, table, lambda rows: rows.slice(0, 0), CUTOFFS[0])
    assert f"{names.COPURCHASE} ({CUTOFFS[0]})" in validate.run_training(DAY, shop)["rows"]


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_what_a_cutoff_knew_is_judged_before_anything_is_trained(shop: StepContext, cutoff: date) -> None:
    change(shop, names.HISTORIES, put("seen_depths", [4]), cutoff)
    with pytest.raises(GateRefused, match=rf"{names.HISTORIES} \({cutoff}\), most_seen_depths"):
        validate.run_training(DAY, shop)


def test_a_cutoff_before_all_interactions_is_told_and_has_nothing_to_be_judged(shop: StepContext) -> None:
    for table in names.LOOKING_BACK:
        shutil.rmtree(shop.lake.root / names.partition(table, CUTOFFS[-1]))
    assert f"{names.HISTORIES} ({CUTOFFS[-1]})" in validate.run_training(DAY, shop)["rows"]
    page = (shop.settings.reports_path / "validation" / "2011-03-01" / "training.html").read_text()
    assert "Nobody had acted by then" in page


def test_a_training_set_cut_at_other_days_than_the_retraining_is_refused(shop: StepContext) -> None:
    begin(shop, names.RETRAIN, judge_days=3)
    with pytest.raises(GateRefused, match="split, split_of_date: is the split of the day"):
        validate.run_training(DAY, shop)


def test_histories_are_those_of_the_daily_run_and_splits_those_of_the_retraining(shop: StepContext) -> None:
    chosen = settings_of_run(shop, DAY)
    assert (chosen["history_length"], chosen["judge_days"]) == (50, HORIZON)
    begin(shop, names.RETRAIN, history_length=7, judge_days=3, rank_days=2)
    chosen = settings_of_run(shop, DAY)
    assert (chosen["history_length"], chosen["judge_days"], chosen["rank_days"]) == (50, 3, 2)
    nothing_begun = settings_of_run(shop, DAY + timedelta(days=1))
    assert nothing_begun == {**shop.settings.run_settings(), "rank_days": 1}


def test_a_training_set_without_anybody_to_judge_by_is_refused(shop: StepContext) -> None:
    change(shop, names.SEQUENCES, lambda rows: rows.filter(pc.not_equal(rows.column("split"), "judge")))
    with pytest.raises(GateRefused, match=r"splits.*num_steps.*FORETASTE_JUDGE_DAYS, now 1"):
        validate.run_training(DAY, shop)


def test_seen_items_may_be_listed_where_the_shop_allows_repeats(shop: StepContext) -> None:
    change(shop, names.LISTS, put("item_ids", ["item01", "item00", "item03"]))
    recorded = shop.state.get(RUNS, run_key(names.DAILY, DAY))
    recorded["manifest"]["feed"]["repeats_allowed"] = True
    shop.state.put(RUNS, run_key(names.DAILY, DAY), recorded)
    validate.run_scores(DAY, shop)


def test_the_lists_of_a_retraining_have_a_gate_and_a_page_of_their_own(shop: StepContext) -> None:
    begin(shop, names.RETRAIN)
    write(shop, names.LISTS_RETRAINED, DAY, shop.lake.read(names.LISTS, DAY))
    change(shop, names.LISTS, put("scores", [0.1, 0.5, 0.5]))  # the daily lists are not its affair
    assert validate.run_scores(DAY, shop, kind=names.RETRAIN)["page_url"].endswith("/scores-retrained.html")


@pytest.mark.parametrize(
    ("gate", "table"),
    [("features", names.FEAT_USER_DAILY), ("training", names.SEQUENCES), ("scores", names.LISTS)],
)
def test_a_missing_and_a_torn_partition_are_named(shop: StepContext, gate: str, table: str) -> None:
    [path] = shop.lake.files(table, [DAY])
    path.write_bytes(path.read_bytes().replace(b"user0", b"user9"))
    with pytest.raises(PartitionTorn, match=table):
        GATES[gate](DAY, shop)
    (path.parent / "manifest.json").unlink()
    with pytest.raises(PartitionMissing, match=f"{table} has no partition 2011-03-01"):
        GATES[gate](DAY, shop)


def test_a_day_that_was_not_landed_is_named(shop: StepContext) -> None:
    with pytest.raises(PartitionMissing, match="foretaste step land --day 2011-03-02"):
        validate.run_landed(DAY + timedelta(days=1), shop)


def test_a_suite_that_judges_nothing_is_refused(shop: StepContext) -> None:
    from expectations import rules
    from expectations.frames import as_frame

    gate = Gate("test", DAY, shop, "")
    with pytest.raises(GateRefused, match="0 of 0 expectations on features/lists were evaluated"):
        gate.judge("features/lists", rules.suite("empty", []), as_frame(pa.table({"user_id": ["anna"]})))


def test_an_expectation_that_cannot_be_evaluated_is_a_refusal(shop: StepContext) -> None:
    from expectations import rules
    from expectations.frames import as_frame

    gate = Gate("test", DAY, shop, "")
    gate.judge(
        "a table",
        rules.suite("odd", [rules.at_least(1), *rules.between(0, 1, "no_such_column")]),
        as_frame(pa.table({"a": [1]})),
    )
    with pytest.raises(GateRefused, match=r"no_such_column: .*could not be evaluated: .*no_such_column"):
        gate.finish()


def test_a_gate_imports_no_backend_that_it_judges_nothing_with() -> None:
    program = (
        "import sys; from expectations import landed, features, training, scores, findings; "
        "print(*sorted({'pyspark', 'sqlalchemy', 'boto3', 'altair', 'scipy.stats'} & set(sys.modules)))"
    )
    script = REPOSITORY / "jobs" / "__init__.py"  # PySpark ends a process whose main module has no file
    told = subprocess.run(
        [sys.executable, "-c", f"__file__ = {str(script)!r}; {program}"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stdout.strip()) == (0, ""), told.stderr[-2000:]


def test_what_passed_on_its_own_day_is_not_judged_again_until_it_or_its_bounds_change(
    shop: StepContext,
) -> None:
    """The worlds of cut-offs were judged when they were built; only what is new can be wrong."""
    cutoff, table = CUTOFFS[0], names.COVISITATION

    def judged() -> dict[str, tuple[int, bool]]:
        validate.run_training(DAY, shop)
        folder = shop.settings.reports_path / "validation" / "2011-03-01"
        told = json.loads((folder / "training.json").read_text())["tables"]
        return {each["table"]: (each["num_rows"], bool(each["expectations"])) for each in told}

    before, name = judged(), f"{table} ({cutoff})"
    keep_passed(shop, cutoff, {table: features.neighbours(table)})
    assert judged() == {**before, name: (before[name][0], False)}
    page = (shop.settings.reports_path / "validation" / "2011-03-01" / "training.html").read_text()
    assert f"Passed gate features of {cutoff}, and is the same now." in page
    keep_passed(shop, cutoff, {table: features.neighbours(names.COPURCHASE)})
    assert judged() == before
    keep_passed(shop, cutoff, {table: features.neighbours(table)})
    change(shop, table, put("weight", 0), cutoff)
    with pytest.raises(GateRefused, match=rf"{table} \({cutoff}\), weight"):
        validate.run_training(DAY, shop)


def test_the_gate_of_a_day_remembers_what_passed_and_not_what_it_refused(shop: StepContext) -> None:
    validate.run_features(DAY, shop)
    suite = features.neighbours(names.COVISITATION)
    num_rows = shop.lake.read(names.COVISITATION, DAY).num_rows
    assert num_rows_passed(shop, names.COVISITATION, DAY, suite) == num_rows > 0
    change(shop, names.COVISITATION, put("weight", 0))
    with pytest.raises(GateRefused):
        validate.run_features(DAY, shop)
    assert num_rows_passed(shop, names.COVISITATION, DAY, suite) is None
