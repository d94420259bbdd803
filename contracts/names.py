"""Every string that two rooms share, spelt once."""

from __future__ import annotations

import zlib
from datetime import date

# Lake layers and the tables in them: <layer>/<table>/day=<day>/
RAW = "raw"
QUARANTINE = "quarantine"
FEATURES = "features"
TRAINING = "training"
RECOMMENDATIONS = "recommendations"

RAW_EVENTS = f"{RAW}/events"  # day = the UTC day of the event
RAW_DECISIONS = f"{RAW}/decisions"  # day = the UTC day of the decision
RAW_ITEMS = f"{RAW}/items"  # day = the day of the delivery
RAW_USERS = f"{RAW}/users"  # day = the day of the delivery
RAW_CONSENTS = f"{RAW}/consents"  # day = the day of the delivery
RAW_IDENTITIES = f"{RAW}/identities"  # day = the day of the delivery
QUARANTINE_EVENTS = f"{QUARANTINE}/events"  # day = the day of the delivery
QUARANTINE_DECISIONS = f"{QUARANTINE}/decisions"
QUARANTINE_ITEMS = f"{QUARANTINE}/items"
QUARANTINE_USERS = f"{QUARANTINE}/users"
QUARANTINE_CONSENTS = f"{QUARANTINE}/consents"
QUARANTINE_IDENTITIES = f"{QUARANTINE}/identities"
WITHHELD_EVENTS = (
    f"{QUARANTINE}/withheld_events"  # day = the day of the delivery: places of rows without consent
)
WITHHELD_DECISIONS = f"{QUARANTINE}/withheld_decisions"
WITHHELD_USERS = f"{QUARANTINE}/withheld_users"

FCT_INTERACTIONS = f"{FEATURES}/fct_interactions"  # day = the UTC day of the event
FCT_IMPRESSIONS = f"{FEATURES}/fct_impressions"  # day = the UTC day of the impression
FCT_DECISIONS = f"{FEATURES}/fct_decisions"  # day = the UTC day of the decision
USER_DAYS = f"{FEATURES}/user_days"  # day = the UTC day of the events, as the last run to use them knew it
PAIR_DAYS = f"{FEATURES}/pair_days"  # likewise
DIM_ITEMS = f"{FEATURES}/dim_items"  # day = as known at its end, like all that follow
FEAT_USER_DAILY = f"{FEATURES}/feat_user_daily"
FEAT_ITEM_DAILY = f"{FEATURES}/feat_item_daily"
FEAT_USER_CATEGORY_DAILY = f"{FEATURES}/feat_user_category_daily"
FEAT_USER_BRAND_DAILY = f"{FEATURES}/feat_user_brand_daily"
HISTORIES = f"{FEATURES}/histories"
COVISITATION = f"{FEATURES}/covisitation"
COPURCHASE = f"{FEATURES}/copurchase"
SEQUENCES = f"{TRAINING}/sequences"
TRAINING_IMPRESSIONS = f"{TRAINING}/impressions"
LISTS = f"{RECOMMENDATIONS}/lists"  # what the daily run of the day scored
LISTS_RETRAINED = f"{RECOMMENDATIONS}/lists_retrained"  # what a retraining of the day scored

#: Tables that dbt builds once an event day and that are exported for every day a landing touched.
BY_EVENT_DAY = (FCT_INTERACTIONS, FCT_IMPRESSIONS, FCT_DECISIONS)
#: Those of them that histories and training sets are put together from.
LEARNT_FROM = (FCT_INTERACTIONS, FCT_IMPRESSIONS)
#: Tables that Spark builds once an event day, and from which it then builds what looks back on many days.
PARTS_BY_EVENT_DAY = (USER_DAYS, PAIR_DAYS)
#: Tables that Spark builds of a day from these parts, as known when it ended; a retraining reads those of its cut-offs.
LOOKING_BACK = (HISTORIES, COVISITATION, COPURCHASE)
#: Tables that describe what was known when a day ended.
BY_FEATURE_DAY = (
    DIM_ITEMS,
    FEAT_USER_DAILY,
    FEAT_ITEM_DAILY,
    FEAT_USER_CATEGORY_DAILY,
    FEAT_USER_BRAND_DAILY,
)

# Warehouse schemas
WAREHOUSE_RAW = "raw"
WAREHOUSE_OPS = "ops"

# Run kinds
DAILY = "daily"
RETRAIN = "retrain"

# MLflow
NEXT_ITEM_TASK = "next-item"
TUNE_TASK = "tune"
CHAMPION = "champion"
CHALLENGER = "challenger"


def registered_model(task: str) -> str:
    return f"foretaste-{task}"


def experiment(task: str) -> str:
    return f"foretaste/{task}"


# Assets (Airflow)
DRIFT_ALARM = "loop/drift_alarm"
CHAMPION_MODEL = "loop/champion"
PUBLISHED_LISTS = "loop/published_lists"


def asset_uri(table: str) -> str:
    """``features/feat_user_daily`` → ``foretaste://features/feat_user_daily``."""
    return f"foretaste://{table}"


# Redis
LIVE_POINTER = "ft:live"
VERSIONS_KEY = "ft:versions"  # hash: version → the pointer JSON it was published with
ATTEMPTS_KEY = (
    "ft:attempts"  # hash: version → its number of buckets, while it is written and nobody may read it
)
CONSENT_KEY = (
    "ft:consent"  # hash: digest of a user → from which day on versions may be served, see contracts.consent
)
BLOCKED_KEY = (
    "ft:blocked"  # JSON: ids of items that nobody may be shown, in any version; see contracts.blocked
)
CONSENT_MARK = "sha256"  # its field that says which table S3 holds as well


def version_name(number: int) -> str:
    return f"v{number:04d}"


def version_number(version: str) -> int:
    """Versions are in the order of their numbers; as text, v10000 would come before v9999."""
    return int(version.removeprefix("v"))


def is_version(text: str) -> bool:
    return text.startswith("v") and text[1:].isdecimal()


def lists_key(version: str, bucket: int) -> str:
    """Hash of packed lists by user id."""
    return f"ft:{version}:recs:{bucket:04d}"


def items_key(version: str) -> str:
    """Hash of item JSON by index in the version's vocabulary; what the indices in packed lists mean."""
    return f"ft:{version}:items"


def popular_key(version: str) -> str:
    """One packed list for whoever has none."""
    return f"ft:{version}:popular"


def related_key(version: str) -> str:
    """Hash of packed lists by item id: what people take together with it."""
    return f"ft:{version}:related"


def rules_key(version: str) -> str:
    """JSON of the rules under which a version is shown, see ``contracts.serving_rules``."""
    return f"ft:{version}:rules"


def session_key(version: str) -> str:
    """What ranks sessions, see ``models.session_bytes``; absent where the version was published without."""
    return f"ft:{version}:session"


def histories_key(version: str, bucket: int) -> str:
    """Hash of packed recent histories by user id, see ``contracts.histories``; absent likewise."""
    return f"ft:{version}:histories:{bucket:04d}"


def features_key(version: str) -> str:
    """JSON of what features a version holds, see ``contracts.online_features``; absent where it holds none."""
    return f"ft:{version}:features"


def feature_texts_key(version: str) -> str:
    """Hash of texts by table, column and code; what the codes in packed features mean."""
    return f"ft:{version}:feature_texts"


def features_of_key(version: str, entity: str, bucket: int) -> str:
    """Hash of packed features by the entity's id; the entity is ``user_id`` or ``item_id``."""
    return f"ft:{version}:{entity.removesuffix('_id')}_features:{bucket:04d}"


def bucket_of(id_: str, num_buckets: int) -> int:
    """The bucket of a user or an item: the same in every process and version."""
    return zlib.crc32(id_.encode()) % num_buckets


# S3
PUBLISHED = "published/"
PUBLISHED_POINTER = f"{PUBLISHED}live.json"
PUBLISHED_CONSENT = f"{PUBLISHED}consent.parquet"  # what CONSENT_KEY holds, for readers of the versions in S3
REPORTS = "reports/"  # the analysts' pages
REPORTS_MANIFEST = f"{REPORTS}site.json"  # path → sha256 of every file of the last upload


def published_prefix(version: str) -> str:
    return f"{PUBLISHED}{version}/"


def partition(table: str, day: date) -> str:
    """``features/feat_user_daily`` and a day → the lake folder of that partition."""
    return f"{table}/day={day.isoformat()}"
