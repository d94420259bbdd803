"""What every number on the pages is: meaning, unit, n, interval and source, spelt once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """One number."""

    key: str  # its anchor on the page of definitions
    label: str
    meaning: str
    unit: str
    n: str
    interval: str
    source: str


_NOISE = "±: one standard deviation of chance, from seeded resampling of people or people's days"
_CLUSTERED = (
    "95 %, Wilson's, at the n that independent rows would need to be as uncertain: people are the clusters"
)
_NONE = "none: it is counted, not estimated"
_VERDICT = "verdicts in the state store, drift/<day>/verdict.json, data/measures.parquet"
_KPIS = "features/fct_interactions and features/fct_impressions; data/kpis.parquet"
_LANDED = "landings in the state store, ops.row_accounts, data/days.parquet"

GROUPS: tuple[tuple[str, tuple[Definition, ...]], ...] = (
    (
        "What the shop gets out of it",
        (
            Definition(
                "ctr",
                "Click-through rate",
                "Impressions of ours whose item the same person viewed later on the day, as a share of all "
                "impressions. A click counts from the day on which it is known.",
                "share of impressions",
                "impressions of the day",
                _CLUSTERED,
                _KPIS,
            ),
            Definition(
                "conversion",
                "Conversion",
                "Sessions with a purchase, as a share of all sessions. A session is a person's session_id (the "
                "person's day where the shop sends none) with a view, a cart or a purchase.",
                "share of sessions",
                "sessions of known people",
                _CLUSTERED,
                _KPIS,
            ),
            Definition(
                "revenue_per_session",
                "Revenue per session",
                "What was bought on the day, returns deducted, over all sessions.",
                "the shop's currency",
                "sessions of known people",
                "95 %, normal, delta method with people as clusters",
                _KPIS,
            ),
            Definition(
                "impression_conversion",
                "Purchases after impressions",
                "Impressions of ours whose item the same person bought later on the day, as a share of all impressions.",
                "share of impressions",
                "impressions of the day",
                _CLUSTERED,
                _KPIS,
            ),
            Definition(
                "users",
                "People with a session",
                "Known people with a session on the day.",
                "people",
                "all of them",
                _NONE,
                _KPIS,
            ),
            Definition(
                "orders",
                "Orders",
                "Known people who bought on the day: as in feat_user_daily, an order is a day with a purchase.",
                "orders",
                "all of them",
                _NONE,
                _KPIS,
            ),
            Definition(
                "version",
                "By version",
                "An impression belongs to the published version that its decision_id begins with (v0001:), or to "
                "“unknown”; a person's sessions to the version of the day's first impression, or to “none”. People "
                "choose whether they come to be shown something: a difference between “none” and a version is no effect. "
                "Over several days numerators and n are added up, and the days' intervals combined as if independent.",
                "–",
                "as of each number",
                "as of each number",
                _KPIS,
            ),
            Definition(
                "group",
                "By group of people",
                "New: with the shop for less than seven days. Of the others, heavy: active on at least four of the "
                "last 28 days; light: on fewer. Inactive: nothing for 90 days but seen a list.",
                "–",
                "as of each number",
                "as of each number",
                f"{_KPIS}; features/feat_user_daily",
            ),
            Definition(
                "answers",
                "What the API answered",
                "Decisions of known people who have consented. Clicked, bought: of those of which an item is known to have "
                "been shown, the share of which one was then viewed, or bought, on the same day; counted from the day on which "
                "it is known.",
                "share of decisions",
                "decisions of which an item was shown",
                _CLUSTERED,
                "features/fct_decisions; data/answers.parquet",
            ),
            Definition(
                "rung",
                "Rung of the ladder",
                "Where an answer comes from: what the user did last (session), the user's own list of the live version (personal) or of the one before "
                "(previous), the version's popular items, or the snapshot that a process remembers while the store cannot "
                "be asked; the reason says why it is no higher one (docs/serving.md). People choose their rung by who they are: "
                "a difference between two is no effect.",
                "–",
                "as of each number",
                "as of each number",
                "features/fct_decisions; data/answers.parquet",
            ),
        ),
    ),
    (
        "Drift",
        (
            Definition(
                "verdict",
                "Verdict",
                "ok: the world is as the champion knows it, or there is too little to tell. drift: it has moved further "
                "than chance and habit explain. invalid: the data is broken, and nothing is said about drift.",
                "–",
                "the rows of each measure",
                "see effect",
                "verdicts in the state store; thresholds in expectations/drift.toml",
            ),
            Definition(
                "alarm",
                "Alarm",
                "A drift on the newest day, outside of the cool-down after a retraining, rings and starts a retraining.",
                "–",
                "–",
                "–",
                _VERDICT,
            ),
            Definition(
                "demotion",
                "Demotion",
                "A new champion whose lists lose clicks beyond a bound, beyond chance and on every day is demoted, and the former one takes over ([rollback] in expectations/drift.toml).",
                "–",
                "impressions of its first days",
                _NOISE,
                "demotions in the state store",
            ),
            Definition(
                "effect",
                "Effect, by chance, alarm from",
                "The value less what chance alone gives two samples of these sizes. It drifts at the threshold (“alarm "
                "from”), beyond three standard deviations of chance, and in both halves of the window.",
                "that of the measure",
                "rows or people now",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "tastes_lost",
                "Tastes lost",
                "How much better a person's own categories, as the champion knew them, foretell what they act upon than "
                "other people's do: the share of that lead which is lost.",
                "share of the lead",
                "people who acted both before and now",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "tastes_lost_recently",
                "Tastes lost lately",
                "The same over the last days alone: found sooner, and said by fewer people, so that more has to be lost.",
                "share of the lead",
                "people who acted both before and lately",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "tastes-familiar_share",
                "Events in familiar categories",
                "Each person's share of events in the categories that the champion knew them for, weighted by how well it "
                "knew them: what tastes lost are computed from.",
                "standard deviations between both windows",
                "people who acted both before and now",
                "none: it is shown, never judged",
                _VERDICT,
            ),
            Definition(
                "unknown_items",
                "Acted upon and unknown to the champion",
                "Events of the last days on items that came into the catalogue after the champion was trained.",
                "share of events",
                "events of sampled people",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "unknown_categories",
                "Acted upon in categories unknown to the champion",
                "Events of the last days in categories that no item had when the champion was trained.",
                "share of events",
                "events of sampled people",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "events-category",
                "Categories acted upon",
                "Jensen–Shannon divergence between the categories of what people acted upon, reference and now.",
                "bits, 0 to 1",
                "events of sampled people",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "events-item",
                "Items acted upon",
                "Jensen–Shannon divergence between the items that people acted upon, reference and now.",
                "bits, 0 to 1",
                "events of sampled people",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "clicks_lost",
                "Clicks lost",
                "The share of the reference's click-through rate that is lost in the current window.",
                "share of the rate",
                "impressions",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "conversion_lost",
                "Conversion lost",
                "People's days that end in a purchase, as a share of their days with an event: what is lost of the reference's share.",
                "share of the share",
                "people's days",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "accuracy_lost",
                "Accuracy lost",
                "What is lost of the lists' NDCG@10 since the first days after the champion's promotion.",
                "share of that NDCG@10",
                "people and days with an outcome",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "coverage_lost",
                "Coverage, and what is lost of it",
                "The share of the available catalogue that anybody's first ten hold, beside that of the first champion's first lists.",
                "share",
                "available items",
                _NONE,
                _VERDICT,
            ),
            Definition(
                "gini_risen",
                "Gini of exposure, and its rise",
                "How unequally the first ten spread over available items: 0 where all are shown equally often, 1 where one is.",
                "0 to 1",
                "available items",
                _NONE,
                _VERDICT,
            ),
            Definition(
                "popularity_lift_risen",
                "Popularity lift, and its rise",
                "The mean popularity of what is shown, over that of what people act upon, by the weights of the last seven days.",
                "ratio",
                "available items",
                _NONE,
                _VERDICT,
            ),
            Definition(
                "personal_lists",
                "Lists by the champion",
                "The share of the day's lists that the champion has ranked; the others come from the rungs below, where it "
                "knows nothing of somebody's items.",
                "share",
                "people with a list",
                _NONE,
                "recommendations/lists; drift/<day>/verdict.json",
            ),
            Definition(
                "lists_below_popularity",
                "Lists below popularity",
                "How far NDCG@10 of the lists lies below that of recent popularity for the same people, over the window.",
                "share of popularity's NDCG@10",
                "people and days with an outcome",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "features",
                "A feature",
                "Wasserstein distance between a column of feat_user_daily or feat_item_daily on the day of promotion and "
                "today, in logarithms.",
                "standard deviations",
                "people or items",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "predictions",
                "Our lists",
                "Jensen–Shannon divergence between the first ten of the champion's first lists and of today's.",
                "bits, 0 to 1",
                "places in sampled lists",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "measure",
                "Any other measure",
                "Its label says what is compared; docs/monitoring.md tells how.",
                "as shown",
                "rows now",
                _NOISE,
                _VERDICT,
            ),
            Definition(
                "window",
                "Events in the window",
                "Events of the last monitor_days days, as known on the day.",
                "events",
                "all of them",
                _NONE,
                _VERDICT,
            ),
            Definition(
                "moved",
                "What moved",
                "The categories and items whose share of the events with a positive weight differs most between the reference "
                "and now. Sure: the interval of the change does not hold zero. The ten that moved furthest were picked "
                "out of many, so some look sure by chance.",
                "share of events; change in percentage points",
                "events of all people",
                "95 %, of a share as above; of a change normal, people as clusters, both windows as if independent",
                "features/fct_interactions, features/dim_items; drift/<day>/verdict.json",
            ),
        ),
    ),
    (
        "How accurate the lists are",
        (
            Definition(
                "ndcg_at_10",
                "NDCG@10",
                "How high the lists of the day before ranked what people then acted upon: 1 where it stands first.",
                "0 to 1",
                "people with a list who acted",
                "of the difference to popularity: 95 %, normal, paired by person",
                _VERDICT,
            ),
            Definition(
                "popularity_ndcg_at_10",
                "NDCG@10 of recent popularity",
                "The same, had the same people been shown the most popular items of the last seven days.",
                "0 to 1",
                "the same people",
                "see NDCG@10",
                _VERDICT,
            ),
            Definition(
                "hit_rate_at_10",
                "Hit rate@10",
                "People who acted upon at least one of the first ten items of their list.",
                "share of people",
                "people with a list who acted",
                "95 %, Wilson's",
                _VERDICT,
            ),
            Definition(
                "judged",
                "Metrics of a retraining",
                "NDCG@10, recall@10, hit rate@10: means over the people who acted on the days after the training set's end; "
                "coverage@10: the share of the catalogue that anybody is shown.",
                "0 to 1",
                "people with outcomes, the same for every model",
                "of differences in NDCG@10: 95 %, bootstrap, paired by person",
                "the retraining's record, MLflow, data/retrainings.parquet",
            ),
            Definition(
                "kept",
                "Kept on unseen days",
                "NDCG@10 of the network on the first days after its training, as a share of its NDCG@10 on the last items "
                "that it was trained on, of the same people. A model that knows its people by heart keeps little. Popularity, "
                "which cannot, is asked the same: what it loses, the days themselves have taken. A challenger that surely keeps "
                "less than a quarter of what popularity keeps is refused.",
                "share",
                "people who acted on both, 2,000 at most",
                "of the refusal: 95 %, bootstrap, paired by person",
                "the retraining's record, MLflow (gap.*)",
            ),
            Definition(
                "staleness",
                "NDCG@10 by age",
                "NDCG@10 of one model on each day after its training, with the histories that were known when the day began, "
                "beside popularity of the last seven days, which is counted anew each day. What people took after they were "
                "shown it is left out of both.",
                "0 to 1",
                "people who acted on the day, a sample of 1,000 at most",
                "95 %, bootstrap over people",
                "staleness in the state store, data/staleness.csv",
            ),
        ),
    ),
    (
        "How fresh, how fast, how clean",
        (
            Definition(
                "newest_event",
                "Newest event",
                "How long before the end of the day the newest event happened that its run knew.",
                "hours",
                "events of known people",
                _NONE,
                "features/fct_interactions; data/days.parquet",
            ),
            Definition(
                "newest_delivery",
                "Newest delivery",
                "Days between the day and the newest delivery of events that had landed by it.",
                "days",
                "deliveries of events",
                _NONE,
                "deliveries in the state store; data/days.parquet",
            ),
            Definition(
                "champion_age",
                "Champion",
                "Days since the last day that the model behind the day's lists was trained on.",
                "days",
                "one model",
                _NONE,
                "promotions in the state store; data/days.parquet",
            ),
            Definition(
                "live_age",
                "Published lists",
                "Days between the day and the day whose lists readers got at its end; a rollback counts.",
                "days",
                "one version",
                _NONE,
                "publications and rollbacks in the state store; data/days.parquet",
            ),
            Definition(
                "seconds",
                "Seconds",
                "How long a step took on the wall clock, the last time it was run; its process' start is not in it, and "
                "of the last step of a run what came before these pages.",
                "seconds",
                "one run",
                _NONE,
                "durations in the state store; data/days.parquet",
            ),
            Definition(
                "rows",
                "Rows",
                "What became of delivered rows: good ones landed; quarantined ones are malformed, by reason; duplicates "
                "were there before; set aside: known and not wanted. Read is their sum.",
                "rows",
                "all of them",
                _NONE,
                _LANDED,
            ),
            Definition(
                "published",
                "Published users and items",
                "People with a list, and items in the vocabulary, of a published version.",
                "people, items",
                "all of them",
                _NONE,
                "publications in the state store",
            ),
            Definition(
                "explained",
                "Places with a reason",
                "Places among the first ten of personal lists that name past items of the person without which the "
                "item would score less (docs/explanations.md).",
                "places",
                "the first ten places of all personal lists",
                _NONE,
                "recommendations/lists; runs in the state store",
            ),
            Definition(
                "wrong_alarms",
                "Alarms that were wrong",
                "Alarms that a person has marked wrong in annotations.yml, of all alarms.",
                "alarms",
                "all alarms on record",
                _NONE,
                "annotations.yml; verdicts in the state store",
            ),
        ),
    ),
)

DEFINITIONS = {definition.key: definition for _, group in GROUPS for definition in group}


def key_of(measure: str, kind: str) -> str:
    """The definition of a measure of the verdict, by its name and kind."""
    if measure.startswith(("user.", "item.")):
        return "features"
    for key in (measure.replace(".", "-"), kind):
        if key in DEFINITIONS:
            return key
    return "measure"
